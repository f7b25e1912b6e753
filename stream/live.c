/* SPDX-License-Identifier: MIT */
#include "stream/live.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "stream/dispatch.h"
#include "stream/duty.h"
#include "stream/lead.h"
#include "stream/patience.h"
#include "stream/reader.h"
#include "stream/survey.h"

#define COMMAND_MS       2000
#define READ_COUNT       1000
#define READ_BLOCK_MS    1000
#define RENEWALS_A_LEASE 3

/* GAP ──► TAKE_OVER ──► LEAD: each is left for good; what ends a lead ends the source. */
enum live_phase { LIVE_NONE, LIVE_GAP, LIVE_TAKE_OVER, LIVE_LEAD };

struct live {
    struct live_config config;
    enum live_phase phase;
    struct patience patience;
    struct lead *lead;             /* owned */
    struct stream_reader *reader;  /* owned */
    struct dispatcher *dispatcher; /* owned */
    struct duty duty;
    uint64_t committed_ordinal;
    struct sha256 anchor; /* of the entry at the state's position, once a batch is folded */
    bool is_in_charge;    /* own epoch folded, own policy too where it is due: may act */
    bool is_caught_up;    /* the last read as leader left nothing behind */
    bool is_first_caught_up_told;
    uint64_t renew_due_ms; /* of the lease, before ticks renew it */
    bool has_caught_up;    /* and told so, once */
};

static bool is_for_now(const struct error *error)
{
    return error->code == ERROR_UNREACHABLE || error->code == ERROR_BUSY;
}

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

static bool survey_once(struct live *live, struct error *error)
{
    struct survey survey = {
        .prefix = live->config.prefix,
        .queue_prefix = live->config.queue_prefix,
        .control = lead_control(live->lead),
        .stream = lead_stream(live->lead),
        .partitions = live->config.partitions,
    };
    struct redis *redis = redis_open(live->config.url, COMMAND_MS, error);
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
        if (!is_for_now(error) || !wait_again(live, "redis_away", error)) {
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
        .last_tick = summary->last_tick,
        /* Whoever takes over has just come up: it was not there when that tick was appended. */
        .since_tick_ms = LEAD_NOT_MEASURED,
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
        if (!is_for_now(error)) {
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
        if (!is_for_now(error) || !wait_again(live, "take_over_waits", error)) {
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
    } while (is_for_now(error));
    return false;
}

/* Is the fold that of the stream we lead? */
static bool check_lead(const struct live *live, const struct state_summary *summary,
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

static bool is_policy_due(const struct live *live, const struct state *state)
{
    return state_policy_is_due(state, span_of(live->config.owner),
                               span_of(live->config.policy_hash));
}

/* The file's policy goes first, where it is due; and it must come to be in force. */
static bool send_policy(struct live *live, const struct state *state,
                        const struct state_summary *summary, struct error *error)
{
    struct duty *duty = &live->duty;
    if (!is_policy_due(live, state)) {
        return true;
    }
    if (!duty->is_policy_sent) {
        return duty_send_policy(duty, error);
    }
    if (stream_id_is_zero(duty->policy_id)) {
        /* Its outcome is not known, and no tick comes yet that would send it again. */
        return lead_settle(live->lead, error) != LEAD_FAILED;
    }
    return stream_id_compare(summary->position, duty->policy_id) < 0 ||
           error_set(error, ERROR_REFUSED, "the file's policy was not accepted");
}

static bool hold_witness(struct duty *duty, struct stream_id position, uint64_t ordinal,
                         struct error *error)
{
    int order = stream_id_compare(position, duty->witness.last);
    if (duty->witness.added == 0 || order < 0) {
        return true;
    }
    uint64_t added = duty->witness.added;
    duty->witness.added = 0;
    /* Behind it: that entry itself was deleted; the next tick's witness tells how many. */
    return order > 0 || added == ordinal ||
           error_set(error, ERROR_HISTORY,
                     "the stream counted %llu entries up to a point where %llu were folded",
                     (unsigned long long)added, (unsigned long long)ordinal);
}

/* Does what is due; `*until_ms` says when something is due again. */
static bool do_duties(struct live *live, const struct state *state,
                      const struct state_summary *summary, uint64_t *until_ms, struct error *error)
{
    struct duty *duty = &live->duty;
    uint64_t now_ms = clock_boot_ms();
    *until_ms = now_ms + live->config.tick_ms;
    bool is_own_epoch = false;
    if (!check_lead(live, summary, &is_own_epoch, error)) {
        return false;
    }
    if (!is_own_epoch) {
        return true;
    }
    if (!live->is_in_charge) {
        return send_policy(live, state, summary, error);
    }
    bool has_more = false;
    if (!duty_send_answers(duty, &has_more, error)) {
        return false;
    }
    if (now_ms >= duty->tick_due_ms &&
        (!duty_tick(duty, error) ||
         !hold_witness(duty, summary->position, summary->ordinal, error))) {
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
            if ((error->code != ERROR_FENCED && !is_for_now(error)) ||
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
            (!is_for_now(error) || !mend_reader(live, &summary, error))) {
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

/* --- the sink --- */

static bool append_batch(void *self, const struct batch *batch, struct error *error)
{
    struct live *live = self;
    (void)error;
    if (batch->count > 0) {
        live->anchor = sha256_of(batch->entries[batch->count - 1].raw);
    }
    return true;
}

static bool fold_batch_entry(void *self, const struct entry *entry, const struct state *state,
                             const struct fold_output *output, struct error *error)
{
    struct live *live = self;
    if (live->is_in_charge) {
        dispatcher_note(live->dispatcher, output);
    }
    if (live->duty.witness.added == 0 ||
        stream_id_compare(entry->id, live->duty.witness.last) < 0) {
        return true;
    }
    return hold_witness(&live->duty, entry->id, state_summary(state).ordinal, error);
}

/* Before there are ticks, committed batches keep the lease. */
static bool renew_lease(struct live *live, struct error *error)
{
    uint64_t now_ms = clock_boot_ms();
    if (now_ms < live->renew_due_ms) {
        return true;
    }
    live->renew_due_ms = now_ms + live->config.lease_ms / RENEWALS_A_LEASE;
    return lead_renew(live->lead, error) || is_for_now(error);
}

/* The sinks before this one have committed the position. */
static bool tell_caught_up(void *self, const struct state *state, bool is_caught_up,
                           struct error *error)
{
    struct live *live = self;
    (void)error;
    if (is_caught_up && live->phase == LIVE_LEAD && !live->has_caught_up) {
        live->has_caught_up = true;
        log_fact(LOG_INFO, "caught_up", "partition", log_number(live->config.partition), "ordinal",
                 log_number(state_summary(state).ordinal), NULL);
    }
    return true;
}

static bool dispatch_effects(void *self, const struct state *state, struct error *error)
{
    struct live *live = self;
    if (live->phase != LIVE_LEAD) {
        return true;
    }
    bool is_own_epoch = false;
    struct state_summary summary = state_summary(state);
    if (!check_lead(live, &summary, &is_own_epoch, error)) {
        return false;
    }
    if (!live->is_in_charge && is_own_epoch && !is_policy_due(live, state)) {
        live->is_in_charge = true;
        dispatcher_note_all(live->dispatcher);
        log_fact(LOG_INFO, "in_charge", "partition", log_number(live->config.partition), "epoch",
                 log_number(summary.epoch), "effects_open", log_number(summary.effects_open), NULL);
    }
    if (live->is_caught_up && !live->is_first_caught_up_told) {
        /* The position is committed: a batch that catches up is never left without. */
        live->is_first_caught_up_told = true;
        log_fact(LOG_INFO, "caught_up", "partition", log_number(live->config.partition), "ordinal",
                 log_number(summary.ordinal), NULL);
    }
    struct queue_place place = {
        .control = lead_control(live->lead),
        .stream = lead_stream(live->lead),
        .queue_prefix = live->config.queue_prefix,
        .owner = live->config.owner,
        .epoch = lead_epoch(live->lead),
    };
    return live->is_in_charge ? dispatcher_run(live->dispatcher, &place, state, error)
                              : renew_lease(live, error);
}

struct sink live_sink(struct live *live)
{
    return (struct sink){
        .name = "live",
        .self = live,
        .append = append_batch,
        .fold = fold_batch_entry,
        .commit = tell_caught_up,
        .dispatch = dispatch_effects,
    };
}
