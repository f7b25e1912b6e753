/* SPDX-License-Identifier: MIT */
#include "stream/live.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "stream/live_parts.h"
#include "stream/redis.h"
#include "stream/survey.h"

#define READ_COUNT       1000
#define READ_BLOCK_MS    1000
#define RENEWALS_A_LEASE 3

/* Waits before another try; says why the first time. False: STOPPED. */
static bool wait_again(struct live *live, const char *what, struct error *error)
{
    if (live->patience.delay_ms <= PATIENCE_LEAST_MS) {
        log_fact(LOG_WARNING, what, "partition", log_number(live->config.partition), "because",
                 error->message, NULL);
    }
    return patience_wait(&live->patience) ||
           error_set(error, ERROR_STOPPED, "stopped while waiting for Redis");
}

/* What forbids live work is the survey's error; the rest goes to whom it concerns. */
static void log_finding(void *self, const struct finding *finding)
{
    (void)self;
    if (finding->level > FINDING_OK && finding->forbids == ERROR_NONE) {
        log_fact(LOG_WARNING, "redis_weak", "subject", finding->subject, "found", finding->what,
                 "means", finding->means, NULL);
    }
}

static bool survey_once(struct live *live, struct error *error)
{
    struct survey survey = {
        .prefix = live->config.prefix,
        .queue_prefix = live->config.queue_prefix,
        .partition = live->config.partition,
        .partitions = live->config.partitions,
        .applies = live->config.applies,
        .sink = {.take = log_finding},
    };
    struct redis *redis = redis_open(live->config.url, REDIS_COMMAND_MS, error);
    bool is_fit = redis != NULL && survey_redis(redis, &survey, error);
    redis_close(redis);
    return is_fit;
}

struct live *live_open(const struct live_config *config, struct error *error)
{
    struct live *live = mem_zero(sizeof(*live));
    live->config = *config;
    live->phase = LIVE_GAP;
    live->patience = (struct patience){.wake_fd = config->wake_fd, .stop = config->stop};
    live->lead = lead_create(&(struct lead_config){
        .url = config->url,
        .prefix = config->prefix,
        .owner = config->owner,
        .partition = config->partition,
        .partitions = config->partitions,
        .lease_ms = config->lease_ms,
        .reducers = REDUCERS_VERSION,
    });
    live->reader = stream_reader_create(&(struct stream_reader_config){
        .url = config->url,
        .stream = lead_stream(live->lead),
        .count_max = READ_COUNT,
        .block_ms = READ_BLOCK_MS,
        .reply_goal = READER_REPLY_GOAL,
    });
    live->dispatcher = dispatcher_create(&live->config, &live->patience);
    live->duty = (struct duty){.config = &live->config, .lead = live->lead};
    while (!survey_once(live, error)) {
        /* Nobody is used to this instance yet: what is missing is told at once. */
        if (!redis_is_for_now(error) || error->code == ERROR_DENIED ||
            !wait_again(live, "redis_away", error)) {
            live_close(live);
            return NULL;
        }
    }
    patience_reset(&live->patience);
    return live;
}

void live_resume(struct live *live, uint64_t committed_ordinal, const struct sha256 *anchor)
{
    live->committed_ordinal = committed_ordinal;
    live->anchor = *anchor;
}

void live_close(struct live *live)
{
    if (live == NULL) {
        return;
    }
    struct error error;
    if (live->phase == LIVE_LEAD && !lead_give_back(live->lead, &error)) {
        log_fact(LOG_WARNING, "lease_not_given_back", "because", error.message, NULL);
    }
    dispatcher_destroy(live->dispatcher);
    stream_reader_destroy(live->reader);
    lead_destroy(live->lead);
    mem_free(live);
}

static struct lead_standing standing_of(const struct live *live,
                                        const struct state_summary *summary)
{
    return (struct lead_standing){
        .position = summary->position,
        .ordinal = summary->ordinal,
        .anchor = &live->anchor,
        .epoch = summary->epoch,
        .timeline = summary->timeline,
    };
}

/* --- before the lead --- */

/* What a torn capture lacks is read again, up to what was committed. */
static enum source_next read_gap(struct live *live, const struct state_summary *summary,
                                 struct batch *batch, struct error *error)
{
    struct lead_standing standing = standing_of(live, summary);
    uint64_t missing = live->committed_ordinal - summary->ordinal;
    uint32_t count = missing < READ_COUNT ? (uint32_t)missing : READ_COUNT;
    while (!lead_read_again(live->lead, &standing, count, batch, error)) {
        if (!redis_is_for_now(error)) {
            return SOURCE_ERROR;
        }
        if (!wait_again(live, "redis_away", error)) {
            return SOURCE_END;
        }
    }
    patience_reset(&live->patience);
    return SOURCE_BATCH;
}

static void log_taken(const struct live *live, const struct state_summary *summary)
{
    struct buffer position = {0};
    stream_id_put(&position, summary->position);
    buffer_put_byte(&position, 0);
    log_fact(LOG_INFO, "took_over", "partition", log_number(live->config.partition), "epoch",
             log_number(lead_epoch(live->lead)), "owner", live->config.owner, "group",
             lead_group(live->lead), "position", position.data, "ordinal",
             log_number(summary->ordinal), NULL);
    buffer_fini(&position);
}

/* False: `error` says what ends the source; STOPPED is a clean end. */
static bool take_over(struct live *live, const struct state_summary *summary, struct error *error)
{
    struct lead_standing standing = standing_of(live, summary);
    while (!lead_take_over(live->lead, &standing, error)) {
        if (!redis_is_for_now(error) || !wait_again(live, "take_over_waits", error)) {
            return false;
        }
    }
    live->phase = LIVE_LEAD;
    patience_reset(&live->patience);
    crash_point(CRASH_TAKEN_OVER);
    duty_begin(&live->duty);
    live->renew_due_ms = clock_boot_ms() + live->config.lease_ms / RENEWALS_A_LEASE;
    log_taken(live, summary);
    return true;
}

/* --- as leader --- */

/* The group of the next connection at the folded position, and a reader of it. */
static bool mend_reader(struct live *live, const struct state_summary *summary, struct error *error)
{
    struct lead_standing standing = standing_of(live, summary);
    live->is_caught_up = false;
    do {
        if (!wait_again(live, "connection_lost", error)) {
            return false;
        }
        if (lead_replace_group(live->lead, &standing, error) &&
            stream_reader_start(live->reader, lead_group(live->lead), error)) {
            log_fact(LOG_INFO, "connection_mended", "partition", log_number(live->config.partition),
                     "group", lead_group(live->lead), NULL);
            return true;
        }
    } while (redis_is_for_now(error));
    return false;
}

bool live_check_lead(const struct live *live, const struct state_summary *summary,
                     bool *is_own_epoch, struct error *error)
{
    uint64_t epoch = lead_epoch(live->lead);
    *is_own_epoch = summary->epoch == epoch && span_is(summary->owner, live->config.owner);
    if (summary->epoch > epoch) {
        return error_set(error, ERROR_FENCED, "epoch %llu of %.*s follows ours, %llu",
                         (unsigned long long)summary->epoch, SPAN_FORMAT(summary->owner),
                         (unsigned long long)epoch);
    }
    bool is_behind = stream_id_compare(summary->position, lead_epoch_id(live->lead)) < 0;
    if (!*is_own_epoch && (!is_behind || live->is_caught_up)) {
        return error_set(error, ERROR_HISTORY, "the stream no longer holds our epoch event");
    }
    return true;
}

bool live_is_policy_due(const struct live *live, const struct state *state)
{
    return state_policy_is_due(state, span_of(live->config.owner),
                               span_of(live->config.policy_hash));
}

bool live_renew_lease(struct live *live, struct error *error)
{
    uint64_t now_ms = clock_boot_ms();
    if (now_ms < live->renew_due_ms) {
        return true;
    }
    live->renew_due_ms = now_ms + live->config.lease_ms / RENEWALS_A_LEASE;
    return lead_renew(live->lead, error) || redis_is_for_now(error);
}

/* The file's policy goes first, where it is due; and it must come to be in force. */
static bool send_policy(struct live *live, const struct state *state,
                        const struct state_summary *summary, struct error *error)
{
    struct duty *duty = &live->duty;
    if (!live_is_policy_due(live, state)) {
        return true;
    }
    if (!duty->is_policy_sent) {
        return duty_send_policy(duty, error);
    }
    if (stream_id_is_zero(duty->policy_id)) {
        return duty_settle_policy(duty, error);
    }
    return stream_id_compare(summary->position, duty->policy_id) < 0 ||
           error_set(error, ERROR_REFUSED, "the file's policy was not accepted");
}

/* Does what is due; `*until_ms` says when something is due again. */
static bool do_duties(struct live *live, const struct state *state,
                      const struct state_summary *summary, uint64_t *until_ms, struct error *error)
{
    struct duty *duty = &live->duty;
    uint64_t now_ms = clock_boot_ms();
    *until_ms = now_ms + live->config.tick_ms;
    bool is_own_epoch = false;
    if (!live_check_lead(live, summary, &is_own_epoch, error)) {
        return false;
    }
    if (!is_own_epoch) {
        return true;
    }
    if (!live->is_in_charge) {
        return live_renew_lease(live, error) && send_policy(live, state, summary, error);
    }
    bool has_more = false;
    if (!duty_send_reports(duty, &has_more, error)) {
        return false;
    }
    if (now_ms >= duty->tick_due_ms &&
        (!duty_tick(duty, error) ||
         !duty_hold_witness(duty, summary->position, summary->ordinal, error))) {
        return false;
    }
    uint64_t dispatch_ms = dispatcher_due_ms(live->dispatcher);
    *until_ms = has_more ? now_ms : duty->tick_due_ms;
    *until_ms = dispatch_ms < *until_ms ? dispatch_ms : *until_ms;
    return true;
}

static enum source_next end_of(const struct error *error)
{
    return error->code == ERROR_STOPPED ? SOURCE_END : SOURCE_ERROR;
}

static enum source_next read_as_leader(struct live *live, const struct state *state,
                                       struct batch *batch, struct error *error)
{
    struct state_summary summary = state_summary(state);
    while (!patience_is_stopped(&live->patience)) {
        uint64_t until_ms = 0;
        if (!do_duties(live, state, &summary, &until_ms, error)) {
            return SOURCE_ERROR;
        }
        switch (stream_reader_wait(live->reader, live->config.wake_fd, until_ms, batch, error)) {
        case READER_BATCH:
            live->is_caught_up = batch->is_caught_up;
            patience_reset(&live->patience);
            if (batch->count > 0) {
                return SOURCE_BATCH;
            }
            break;
        case READER_WOKEN:
            patience_drain(&live->patience);
            break;
        case READER_TIME:
            if (clock_boot_ms() >= dispatcher_due_ms(live->dispatcher)) {
                return SOURCE_BATCH; /* empty: the loop comes to the dispatch */
            }
            break;
        case READER_FAILED:
            if ((error->code != ERROR_FENCED && !redis_is_for_now(error)) ||
                !mend_reader(live, &summary, error)) {
                return end_of(error);
            }
            break;
        }
    }
    return SOURCE_END;
}

static enum source_next read_live(void *self, const struct state *state, struct batch *batch,
                                  struct error *error)
{
    struct live *live = self;
    struct state_summary summary = state_summary(state);
    if (patience_is_stopped(&live->patience)) {
        return SOURCE_END;
    }
    if (live->phase == LIVE_GAP && summary.ordinal < live->committed_ordinal) {
        return read_gap(live, &summary, batch, error);
    }
    if (live->phase == LIVE_GAP) {
        live->phase = LIVE_TAKE_OVER;
    }
    if (live->phase == LIVE_TAKE_OVER) {
        if (!take_over(live, &summary, error)) {
            return end_of(error);
        }
        if (!stream_reader_start(live->reader, lead_group(live->lead), error) &&
            (!redis_is_for_now(error) || !mend_reader(live, &summary, error))) {
            return end_of(error);
        }
    }
    CHECK(live->phase == LIVE_LEAD);
    return read_as_leader(live, state, batch, error);
}

struct source live_source(struct live *live)
{
    return (struct source){.name = "live", .self = live, .read = read_live};
}
