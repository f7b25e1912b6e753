/* SPDX-License-Identifier: MIT
 * Live work from the first read to the last append, against a real server: the loop with this
 * source and this sink, and a second sink through which a test watches and disturbs. */
#include "stream/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "reducers/policy.h"
#include "stream/redis.h"
#include "tests/lib/redis_server.h"
#include "tests/lib/reply.h"

#define STREAM   "salvor:{0}:events"
#define CONTROL  "salvor:{0}:ctl"
#define TICK_MS  20
#define LEASE_MS 5000
#define HANG_MS  3500
#define TEST_MS  20000

struct scene {
    struct redis_server *server;
    struct redis *admin;
    struct state *state;
    struct sha256 anchor; /* of the last entry folded, as the journal would keep it */
    uint64_t committed;
    struct buffer policy_text;
    struct sha256_text policy_hash;
    const char *owner;
    volatile sig_atomic_t stop;
    int wake_fd;
    uint64_t deadline_ms;
    uint32_t seen[EVENT_TYPE_COUNT]; /* entries folded, by type */
    uint32_t batches, looks;         /* batches begun; times that the leader looked for an answer */
    struct buffer asked;             /* kinds and ids of what was asked, one a line */
    struct service_report report;    /* given once when it has a kind */
    /* Called after each entry and each look for an answer; sets `stop` when all has been seen. */
    void (*watch)(struct scene *scene);
    int step; /* for watch */
};

static struct error failure;

#define DO(scene, ...) do_command(redis_ask((scene)->admin, &failure, __VA_ARGS__, NULL))

static const struct redis_reply *do_command(const struct redis_reply *reply)
{
    if (reply == NULL) {
        fail_msg("%s", failure.message);
    }
    return reply;
}

static void open_admin(struct scene *scene)
{
    redis_close(scene->admin);
    scene->admin = redis_open(redis_server_url(scene->server), 5000, &failure);
    assert_non_null(scene->admin);
}

static void set_policy(struct scene *scene, enum policy_effects effects, uint64_t backoff_ms)
{
    struct policy policy;
    policy_preset(PRESET_SAFE, &policy);
    policy.value[POLICY_EFFECTS] = effects;
    policy.value[POLICY_BACKOFF_MS] = backoff_ms;
    buffer_reset(&scene->policy_text);
    policy_put_text(&scene->policy_text, &policy);
    struct sha256 hash = sha256_of(buffer_span(&scene->policy_text));
    scene->policy_hash = sha256_text(&hash);
}

static int set_up(void **fixture)
{
    static const char *const arguments[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    struct scene *scene = mem_zero(sizeof(*scene));
    scene->server = redis_server_start(arguments);
    open_admin(scene);
    scene->state = state_create(0);
    scene->owner = "me";
    scene->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    set_policy(scene, EFFECTS_APPLY, 0);
    *fixture = scene;
    return 0;
}

static int tear_down(void **fixture)
{
    struct scene *scene = *fixture;
    redis_close(scene->admin);
    redis_server_remove(scene->server);
    state_destroy(scene->state);
    buffer_fini(&scene->policy_text);
    buffer_fini(&scene->asked);
    close(scene->wake_fd);
    mem_free(scene);
    return 0;
}

static void ask_scene(void *self, const struct effect_request *request)
{
    struct scene *scene = self;
    buffer_put_text(&scene->asked, effect_kind_text(request->kind));
    buffer_put_byte(&scene->asked, ' ');
    buffer_put_span(&scene->asked, request->id);
    buffer_put_byte(&scene->asked, '\n');
}

static void look(struct scene *scene)
{
    if (clock_boot_ms() > scene->deadline_ms) {
        scene->stop = 1;
        return;
    }
    scene->watch(scene);
}

static bool take_report(void *self, struct service_report *out)
{
    struct scene *scene = self;
    scene->looks++;
    look(scene);
    *out = scene->report;
    scene->report.kind = REPORT_NONE;
    return out->kind != REPORT_NONE;
}

static bool watch_append(void *self, const struct batch *batch, struct error *error)
{
    struct scene *scene = self;
    (void)error;
    scene->batches++;
    if (batch->count > 0) {
        scene->anchor = sha256_of(batch->entries[batch->count - 1].raw);
    }
    return true;
}

static bool watch_fold(void *self, const struct entry *entry, const struct state *state,
                       const struct fold_output *output, struct error *error)
{
    struct scene *scene = self;
    struct event event;
    struct span field;
    (void)state;
    (void)output;
    (void)error;
    if (codec_decode(entry, &event, &field) == CODEC_NONE) {
        scene->seen[event.type]++;
    }
    look(scene);
    return true;
}

static struct live_config config_of(struct scene *scene)
{
    return (struct live_config){
        .url = redis_server_url(scene->server),
        .prefix = "salvor",
        .queue_prefix = "",
        .partitions = 1,
        .tick_ms = TICK_MS,
        .lease_ms = LEASE_MS,
        .owner = scene->owner,
        .policy_text = buffer_span(&scene->policy_text),
        .policy_hash = scene->policy_hash.text,
        .applies = true,
        .asker = {.self = scene, .ask = ask_scene, .take_report = take_report},
        .wake_fd = scene->wake_fd,
        .stop = &scene->stop,
    };
}

/* Runs until the watcher stops it (true) or live work ends by itself (false, `failure`). */
static bool run(struct scene *scene, void (*watch)(struct scene *scene))
{
    struct live_config config = config_of(scene);
    scene->watch = watch;
    scene->step = 0;
    scene->stop = 0;
    scene->deadline_ms = clock_boot_ms() + TEST_MS;
    memset(scene->seen, 0, sizeof(scene->seen));
    struct live *live = live_open(&config, &failure);
    if (live == NULL) {
        return false;
    }
    live_resume(live, scene->committed, &scene->anchor);
    struct loop loop = {
        .state = scene->state,
        .source = live_source(live),
        .sinks = {live_sink(live),
                  {.name = "watch", .self = scene, .append = watch_append, .fold = watch_fold}},
        .sink_count = 2,
    };
    bool is_clean = loop_run(&loop, &failure);
    live_close(live);
    assert_true(clock_boot_ms() < scene->deadline_ms);
    return is_clean;
}

static void run_clean(struct scene *scene, void (*watch)(struct scene *scene))
{
    if (!run(scene, watch)) {
        fail_msg("%s", failure.message);
    }
}

static void assert_ends(struct scene *scene, void (*watch)(struct scene *scene),
                        enum error_code code)
{
    assert_false(run(scene, watch));
    if (failure.code != code) {
        fail_msg("%s: %s", error_code_text(failure.code), failure.message);
    }
}

/* The type of the n-th entry of the stream. */
static struct span type_at(struct scene *scene, uint32_t index)
{
    const struct redis_reply *entries = DO(scene, "XRANGE", STREAM, "-", "+");
    const struct redis_reply *fields = redis_reply_at(redis_reply_at(entries, index), 1);
    return redis_reply_text(redis_reply_at(fields, 1));
}

static void assert_field(struct scene *scene, const char *key, const char *field,
                         const char *wanted)
{
    struct span found = redis_reply_text(DO(scene, "HGET", key, field));
    if (!span_is(found, wanted)) {
        fail_msg("%s %s: found '%.*s'", key, field, SPAN_FORMAT(found));
    }
}

static void until_three_ticks(struct scene *scene)
{
    scene->stop = scene->seen[EVENT_TICK] >= 3;
}

static void test_live__epoch_then_policy_then_ticks(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, until_three_ticks);
    assert_true(span_is(type_at(scene, 0), "epoch"));
    assert_true(span_is(type_at(scene, 1), "policy"));
    assert_true(span_is(type_at(scene, 2), "tick"));
    struct state_summary summary = state_summary(scene->state);
    assert_int_equal(summary.epoch, 1);
    assert_int_equal(summary.timeline, 1);
    assert_true(span_is(summary.owner, "me"));
    assert_true(span_is(summary.policy_hash, scene->policy_hash.text));
    assert_true(summary.liveness_ms > 0);
    assert_field(scene, CONTROL, "exp", "0");

    /* A second run of the same owner: the policy is in force already. */
    run_clean(scene, until_three_ticks);
    assert_int_equal(state_summary(scene->state).epoch, 2);
    assert_int_equal(scene->seen[EVENT_POLICY], 0);
    assert_int_equal(scene->seen[EVENT_EPOCH], 1);

    /* Another policy is due again. */
    set_policy(scene, EFFECTS_OBSERVE, 0);
    run_clean(scene, until_three_ticks);
    assert_int_equal(scene->seen[EVENT_POLICY], 1);
    assert_true(span_is(state_summary(scene->state).policy_hash, scene->policy_hash.text));
}

static void test_live__a_policy_that_is_refused_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    buffer_put_text(&scene->policy_text, "nonsense=1\n");
    assert_ends(scene, until_three_ticks, ERROR_REFUSED);
    assert_int_equal(scene->seen[EVENT_TICK], 0);
}

/* A job that worker w1 holds, in queue and stream. */
static void lay_out_job(struct scene *scene)
{
    DO(scene, "HSET", "job:j1", "status", "in_progress", "retry_count", "0", "worker_id", "w1",
       "priority", "50", "created_at", "2025-10-04T12:30:15.250Z");
    DO(scene, "HSET", "jobs:active:w1", "j1", "{}");
    DO(scene, "HSET", "worker:w1", "status", "busy", "current_job_id", "j1");
    DO(scene, "XADD", STREAM, "*", "type", "worker.registered", "worker", "w1");
    DO(scene, "XADD", STREAM, "*", "type", "job.started", "job", "j1", "worker", "w1", "attempt",
       "1", "service", "comfyui");
}

static void stop_worker(struct scene *scene)
{
    DO(scene, "XADD", STREAM, "*", "type", "worker.stopped", "worker", "w1");
}

static void until_nothing_open(struct scene *scene)
{
    scene->stop =
        scene->seen[EVENT_EFFECT_SETTLED] >= 2 && state_summary(scene->state).effects_open == 0;
}

static void test_live__the_effects_of_a_backlog_wait_for_epoch_and_policy(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, until_three_ticks);
    uint32_t length = (uint32_t)reply_number(DO(scene, "XLEN", STREAM));
    lay_out_job(scene);
    stop_worker(scene);
    set_policy(scene, EFFECTS_APPLY, 1);
    run_clean(scene, until_nothing_open);
    assert_field(scene, "job:j1", "status", "pending");
    assert_field(scene, "worker:w1", "status", "offline");
    assert_int_equal(reply_number(DO(scene, "ZCARD", "jobs:pending")), 1);
    static const char *const order[] = {
        "worker.registered", "job.started",   "worker.stopped", "epoch", "policy",
        "effect.settled",    "effect.settled"};
    for (uint32_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        struct span type = type_at(scene, length + i);
        if (!span_is(type, order[i])) {
            fail_msg("entry %u is a %.*s, not a %s", i, SPAN_FORMAT(type), order[i]);
        }
    }
}

static void watch_new_effect(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] > 0) {
        scene->step = 1;
        lay_out_job(scene);
        stop_worker(scene);
    }
    until_nothing_open(scene);
}

static void test_live__a_new_effect_is_sent_once(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_new_effect);
    assert_field(scene, "job:j1", "status", "pending");
    assert_int_equal(scene->seen[EVENT_EFFECT_SETTLED], 2);
}

static void watch_observed(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] > 0) {
        scene->step = 1;
        lay_out_job(scene);
        stop_worker(scene);
    }
    scene->stop = scene->seen[EVENT_WORKER_STOPPED] > 0 && scene->seen[EVENT_TICK] > 5;
}

static void test_live__observed_effects_touch_nothing(void **fixture)
{
    struct scene *scene = *fixture;
    set_policy(scene, EFFECTS_OBSERVE, 0);
    run_clean(scene, watch_observed);
    assert_field(scene, "job:j1", "status", "in_progress");
    assert_int_equal(scene->seen[EVENT_EFFECT_SETTLED], 0);
}

/* The service says that the job is done, as soon as it is asked. */
static void watch_question(struct scene *scene)
{
    static char id[DECISION_ID_MAX];
    if (scene->step == 0 && scene->seen[EVENT_TICK] > 0) {
        scene->step = 1;
        lay_out_job(scene);
        DO(scene, "XADD", STREAM, "*", "type", "job.handed_off", "job", "j1", "worker", "w1",
           "attempt", "1", "service", "comfyui", "service_job", "s1");
        stop_worker(scene);
    }
    if (scene->step == 1 && scene->asked.size > 0) {
        scene->step = 2;
        struct span rest = buffer_span(&scene->asked);
        struct span question = span_cut(&rest, '\n');
        assert_true(span_is(span_cut(&question, ' '), "ask"));
        snprintf(id, sizeof(id), "%.*s", SPAN_FORMAT(question));
        scene->report = (struct service_report){.kind = REPORT_ANSWERED,
                                                .effect = span_of(id),
                                                .job = SPAN("j1"),
                                                .attempt = 1,
                                                .verdict = ANSWER_COMPLETED,
                                                .http = 200,
                                                .latency_ms = 7,
                                                .word = SPAN("success"),
                                                .result = SPAN("s3://out")};
        assert_int_equal(eventfd_write(scene->wake_fd, 1), 0);
    }
    until_nothing_open(scene);
}

static void test_live__a_question_is_asked_and_its_answer_appended(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_question);
    assert_int_equal(scene->seen[EVENT_SERVICE_ANSWERED], 1);
    assert_field(scene, "job:j1", "status", "completed");
    assert_int_equal(reply_number(DO(scene, "EXISTS", "jobs:pending")), 0);
    struct span rest = buffer_span(&scene->asked);
    span_cut(&rest, '\n');
    assert_int_equal(rest.size, 0);
}

/* The value of a field of the last entry of this type. */
static struct span last_field(struct scene *scene, const char *type, const char *name)
{
    const struct redis_reply *entries = DO(scene, "XREVRANGE", STREAM, "+", "-");
    for (uint32_t i = 0; i < redis_reply_count(entries); i++) {
        const struct redis_reply *fields = redis_reply_at(redis_reply_at(entries, i), 1);
        if (!span_is(redis_reply_text(redis_reply_at(fields, 1)), type)) {
            continue;
        }
        for (uint32_t at = 2; at < redis_reply_count(fields); at += 2) {
            if (span_is(redis_reply_text(redis_reply_at(fields, at)), name)) {
                return redis_reply_text(redis_reply_at(fields, at + 1));
            }
        }
        return SPAN_NONE;
    }
    fail_msg("no %s was appended", type);
    return SPAN_NONE;
}

static void assert_last_field(struct scene *scene, const char *type, const char *name,
                              const char *wanted)
{
    struct span found = last_field(scene, type, name);
    if (!span_is(found, wanted)) {
        fail_msg("%s %s: found '%.*s'", type, name, SPAN_FORMAT(found));
    }
}

#define LONG_SIZE 3000
static char long_text[LONG_SIZE + 1];

/* One report after the other, each with more than its fields may hold. */
static void watch_reports(struct scene *scene)
{
    const struct service_report reports[] = {
        {.kind = REPORT_SETTLED,
         .effect = SPAN("0.1.5-0.0.0"),
         .outcome = OUTCOME_REFUSED,
         .http = 409,
         .word = SPAN("it\nhas=ended")},
        {.kind = REPORT_PROBED, .service = SPAN("comfyui"), .breaker = SPAN("open")},
        {.kind = REPORT_SETTLED,
         .effect = SPAN("0.1.5-0.0.1"),
         .outcome = OUTCOME_UNKNOWN,
         .word = span_of(long_text)},
        {.kind = REPORT_ANSWERED,
         .effect = SPAN("0.1.5-0.0.2"),
         .job = SPAN("j1"),
         .attempt = 1,
         .verdict = ANSWER_INCONCLUSIVE,
         .latency_ms = UINT64_MAX,
         .word = span_of(long_text)},
        {.kind = REPORT_PROBED,
         .service = SPAN("comfyui"),
         .endpoint = SPAN("http://127.0.0.1:8188"),
         .capabilities = span_of(long_text),
         .breaker = SPAN("closed")},
    };
    const int count = sizeof(reports) / sizeof(reports[0]);
    if (scene->seen[EVENT_TICK] > 0 && scene->step < count && scene->report.kind == REPORT_NONE) {
        scene->report = reports[scene->step++];
        assert_int_equal(eventfd_write(scene->wake_fd, 1), 0);
    }
    /* The fold took each of them: none is too long, none of the wrong kind. */
    scene->stop = scene->seen[EVENT_EFFECT_SETTLED] == 2 &&
                  scene->seen[EVENT_SERVICE_PROBED] == 2 &&
                  scene->seen[EVENT_SERVICE_ANSWERED] == 1;
    if (scene->step == 2 && scene->seen[EVENT_EFFECT_SETTLED] == 1) {
        assert_last_field(scene, "effect.settled", "effect", "0.1.5-0.0.0");
        assert_last_field(scene, "effect.settled", "outcome", "refused");
        assert_last_field(scene, "effect.settled", "found", "http=409\nword=it has=ended");
        assert_last_field(scene, "effect.settled", "owner", "me");
        assert_last_field(scene, "effect.settled", "epoch", "1");
    }
}

static void test_live__every_kind_of_report_is_appended_within_its_limits(void **fixture)
{
    struct scene *scene = *fixture;
    memset(long_text, 'x', LONG_SIZE);
    run_clean(scene, watch_reports);
    assert_last_field(scene, "effect.settled", "outcome", "unknown");
    assert_int_equal(last_field(scene, "effect.settled", "found").size, TEXT_SIZE_MAX);
    assert_last_field(scene, "service.answered", "verdict", "inconclusive");
    assert_int_equal(last_field(scene, "service.answered", "word").size, TEXT_SIZE_MAX);
    assert_null(last_field(scene, "service.answered", "http").data);
    assert_int_equal(last_field(scene, "service.probed", "capabilities").size, TEXT_SIZE_MAX);
    assert_last_field(scene, "service.probed", "endpoint", "http://127.0.0.1:8188");
    assert_last_field(scene, "service.probed", "breaker", "closed");
}

/* A job that was handed off, and whose time is over soon. */
static void watch_overdue(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] > 0) {
        scene->step = 1;
        DO(scene, "XADD", STREAM, "*", "type", "job.submitted", "job", "j1", "timeout_ms", "200");
        lay_out_job(scene);
        DO(scene, "XADD", STREAM, "*", "type", "job.handed_off", "job", "j1", "worker", "w1",
           "attempt", "1", "service", "comfyui", "service_job", "s1");
    }
    scene->stop = scene->asked.size > 0;
}

static void watch_cancel(struct scene *scene)
{
    scene->stop = scene->asked.size > 0;
}

static void test_live__an_open_cancel_is_sent_again_by_the_next_epoch(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_overdue);
    struct buffer first = {0};
    buffer_put_span(&first, buffer_span(&scene->asked));
    assert_memory_equal(first.data, "cancel ", strlen("cancel "));
    assert_int_equal(state_summary(scene->state).effects_open, 1);
    assert_field(scene, "job:j1", "status", "in_progress");

    /* The process went away before the service said anything; its queue of questions with it. */
    buffer_reset(&scene->asked);
    scene->committed = state_summary(scene->state).ordinal;
    run_clean(scene, watch_cancel);
    assert_int_equal(state_summary(scene->state).epoch, 2);
    assert_true(span_equal(buffer_span(&scene->asked), buffer_span(&first)));
    buffer_fini(&first);
}

static void watch_crash(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        redis_server_kill(scene->server);
        redis_server_restart(scene->server);
        open_admin(scene);
        lay_out_job(scene);
        stop_worker(scene);
    }
    until_nothing_open(scene);
}

static void test_live__a_restarted_server_is_gone_on_with(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_crash);
    assert_field(scene, "job:j1", "status", "pending");
    /* The same lead, on another connection. */
    assert_int_equal(scene->seen[EVENT_EPOCH], 1);
    int64_t added = reply_number(redis_reply_at(DO(scene, "XINFO", "STREAM", STREAM), 11));
    assert_true((uint64_t)added >= state_summary(scene->state).ordinal);
}

static void watch_lost_connections(struct scene *scene)
{
    if (scene->step < 5 && scene->seen[EVENT_TICK] >= 2U * (uint32_t)(scene->step + 1)) {
        scene->step++;
        DO(scene, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        DO(scene, "SCRIPT", "FLUSH");
    }
    if (scene->step == 5) {
        scene->step = 6;
        lay_out_job(scene);
        stop_worker(scene);
    }
    until_nothing_open(scene);
}

static void test_live__lost_connections_and_scripts_are_mended(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_lost_connections);
    assert_field(scene, "job:j1", "status", "pending");
    assert_int_equal(scene->seen[EVENT_EPOCH], 1);
}

static void watch_destroyed_group(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "XGROUP", "DESTROY", STREAM, "salvor.1.1");
        lay_out_job(scene);
        stop_worker(scene);
    }
    until_nothing_open(scene);
}

static void test_live__a_destroyed_group_is_made_anew(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_destroyed_group);
    assert_field(scene, "job:j1", "status", "pending");
}

static void watch_take_over(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "HSET", CONTROL, "owner", "you", "epoch", "2", "exp", "99999999999999");
        DO(scene, "XGROUP", "DESTROY", STREAM, "salvor.1.1");
    }
}

static void test_live__another_leader_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    assert_ends(scene, watch_take_over, ERROR_FENCED);
    assert_field(scene, CONTROL, "owner", "you");
    assert_field(scene, CONTROL, "exp", "99999999999999");
}

static void watch_lost_entry(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "EVAL",
           "local id = redis.call('XADD', KEYS[1], '*', 'type', 'test') "
           "redis.call('XDEL', KEYS[1], id)",
           "1", STREAM);
    }
}

static void test_live__an_entry_deleted_unread_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    assert_ends(scene, watch_lost_entry, ERROR_HISTORY);
    /* And so does every later start. */
    scene->committed = state_summary(scene->state).ordinal;
    assert_ends(scene, until_three_ticks, ERROR_HISTORY);
}

static void watch_flushed(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "DEL", STREAM);
    }
}

static void test_live__a_deleted_stream_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    assert_ends(scene, watch_flushed, ERROR_HISTORY);
    assert_int_equal(reply_number(DO(scene, "EXISTS", STREAM)), 0);
}

static void watch_flushed_all(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "FLUSHALL");
    }
}

static void test_live__an_emptied_redis_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    assert_ends(scene, watch_flushed_all, ERROR_HISTORY);
    assert_non_null(strstr(failure.message, "gone"));
    assert_int_equal(reply_number(DO(scene, "DBSIZE")), 0);
}

static void watch_stray_epoch(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "XADD", STREAM, "*", "type", "epoch", "epoch", "99", "owner", "hand", "timeline",
           "4", "reducers", "1", "ordinal", "5", "wall_ms", "1");
    }
}

static void test_live__an_epoch_made_by_hand_ends_one_lead_alone(void **fixture)
{
    struct scene *scene = *fixture;
    assert_ends(scene, watch_stray_epoch, ERROR_FENCED);
    assert_int_equal(state_summary(scene->state).epoch, 99);
    scene->committed = state_summary(scene->state).ordinal;
    run_clean(scene, until_three_ticks);
    assert_int_equal(state_summary(scene->state).epoch, 100);
    assert_int_equal(state_summary(scene->state).timeline, 4);
    assert_true(span_is(state_summary(scene->state).owner, "me"));
}

/* While the backlog is read, somebody deletes the epoch event behind it. */
static void watch_lost_epoch(struct scene *scene)
{
    if (scene->step == 0) {
        scene->step = 1;
        DO(scene, "EVAL",
           "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1) "
           "redis.call('XDEL', KEYS[1], last[1][1])",
           "1", STREAM);
    }
}

static void test_live__a_lead_without_its_epoch_event_ends(void **fixture)
{
    struct scene *scene = *fixture;
    DO(scene, "EVAL",
       "for i = 1, 3500 do "
       "redis.call('XADD', KEYS[1], '*', 'type', 'worker.heartbeat', 'worker', 'w') end",
       "1", STREAM);
    assert_ends(scene, watch_lost_epoch, ERROR_HISTORY);
    assert_int_equal(scene->seen[EVENT_WORKER_HEARTBEAT], 3500);
    assert_int_equal(scene->seen[EVENT_EPOCH], 0);
}

static void watch_shortage(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        scene->looks = 0;
        lay_out_job(scene);
        stop_worker(scene);
        DO(scene, "CONFIG", "SET", "maxmemory", "1");
    }
    /* Several ticks and the effects are refused meanwhile. */
    if (scene->step == 1 && scene->looks >= 10 && scene->seen[EVENT_WORKER_STOPPED] > 0) {
        scene->step = 2;
        assert_int_equal(scene->seen[EVENT_EFFECT_SETTLED], 0);
        DO(scene, "CONFIG", "SET", "maxmemory", "0");
    }
    until_nothing_open(scene);
}

static void test_live__a_shortage_of_memory_is_waited_out(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_shortage);
    assert_int_equal(scene->step, 2);
    assert_field(scene, "job:j1", "status", "pending");
}

#define DENIED_MS 400

/* First what effects need is taken away, then what reading and ticks need, for a while. */
static void watch_denial(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        scene->looks = 0;
        lay_out_job(scene);
        stop_worker(scene);
        DO(scene, "ACL", "SETUSER", "default", "-zadd");
    }
    if (scene->step == 1 && scene->looks >= 10 && scene->seen[EVENT_WORKER_STOPPED] > 0) {
        scene->step = 2;
        assert_field(scene, "job:j1", "status", "in_progress");
        DO(scene, "ACL", "SETUSER", "default", "-xreadgroup", "-xinfo");
        if (fork() == 0) {
            struct redis *redis = redis_open(redis_server_url(scene->server), 5000, &failure);
            poll(NULL, 0, DENIED_MS);
            redis_ask(redis, &failure, "ACL", "SETUSER", "default", "+@all", NULL);
            _exit(0);
        }
    }
    until_nothing_open(scene);
}

static void test_live__rights_that_were_taken_away_are_waited_for(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_denial);
    assert_int_equal(scene->step, 2);
    assert_true(wait(NULL) > 0);
    assert_field(scene, "job:j1", "status", "pending");
    assert_int_equal(scene->seen[EVENT_EPOCH], 1);
    /* Before it leads, they are told at once. */
    struct live_config config = config_of(scene);
    DO(scene, "ACL", "SETUSER", "default", "-zadd");
    assert_null(live_open(&config, &failure));
    assert_int_equal(failure.code, ERROR_REFUSED);
    DO(scene, "ACL", "SETUSER", "default", "-acl|whoami");
    assert_null(live_open(&config, &failure));
    assert_int_equal(failure.code, ERROR_DENIED);
}

/* Beside the test: gives the memory back when the lease was renewed. Exits with 0 when it was. */
static void give_memory_back(const struct scene *scene)
{
    struct redis *redis = redis_open(redis_server_url(scene->server), 5000, &failure);
    uint64_t first_ms = 0;
    uint64_t exp_ms = 0;
    uint64_t end_ms = clock_boot_ms() + 2 * LEASE_MS;
    do {
        poll(NULL, 0, TICK_MS);
        const struct redis_reply *reply = redis_ask(redis, &failure, "HGET", CONTROL, "exp", NULL);
        span_to_number(redis_reply_text(reply), UINT64_MAX, &exp_ms);
        first_ms = first_ms == 0 ? exp_ms : first_ms;
    } while (exp_ms <= first_ms && clock_boot_ms() < end_ms);
    redis_ask(redis, &failure, "CONFIG", "SET", "maxmemory", "0", NULL);
    redis_close(redis);
    _exit(exp_ms > first_ms ? 0 : 1);
}

static void watch_refused_policy(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_EPOCH] == 1) {
        scene->step = 1;
        DO(scene, "CONFIG", "SET", "maxmemory", "1");
        if (fork() == 0) {
            give_memory_back(scene);
        }
    }
    until_three_ticks(scene);
}

static void test_live__the_lease_is_kept_while_the_policy_is_refused(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_refused_policy);
    int status = -1;
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
    assert_int_equal(scene->seen[EVENT_POLICY], 1);
}

static void watch_gap(struct scene *scene)
{
    if (state_summary(scene->state).ordinal == scene->committed) {
        assert_int_equal(reply_number(DO(scene, "EXISTS", CONTROL)), 0);
    }
    until_three_ticks(scene);
}

static void test_live__what_was_committed_is_read_again_before_the_take_over(void **fixture)
{
    struct scene *scene = *fixture;
    for (int i = 0; i < 5; i++) {
        DO(scene, "XADD", STREAM, "*", "type", "worker.heartbeat", "worker", "w1");
    }
    scene->committed = 3;
    run_clean(scene, watch_gap);
    assert_int_equal(scene->seen[EVENT_WORKER_HEARTBEAT], 5);
    scene->committed = state_summary(scene->state).ordinal + 100;
    assert_ends(scene, until_three_ticks, ERROR_HISTORY);
}

static void test_live__a_foreign_anchor_ends_it_before_anything(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, until_three_ticks);
    int64_t length = reply_number(DO(scene, "XLEN", STREAM));
    scene->anchor.bytes[0] ^= 1;
    assert_ends(scene, until_three_ticks, ERROR_HISTORY);
    assert_int_equal(reply_number(DO(scene, "XLEN", STREAM)), length);
    scene->committed = state_summary(scene->state).ordinal + 1;
    assert_ends(scene, until_three_ticks, ERROR_HISTORY);
}

static void test_live__a_running_lease_is_waited_for(void **fixture)
{
    struct scene *scene = *fixture;
    const struct redis_reply *time = DO(scene, "TIME");
    uint64_t seconds = 0;
    char text[32];
    assert_true(span_to_number(redis_reply_text(redis_reply_at(time, 0)), UINT64_MAX, &seconds));
    snprintf(text, sizeof(text), "%llu", (unsigned long long)(seconds * 1000 + 1500));
    DO(scene, "HSET", CONTROL, "owner", "you", "epoch", "6", "exp", text);
    run_clean(scene, until_three_ticks);
    assert_int_equal(state_summary(scene->state).epoch, 7);
}

static void watch_unknown_policy(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_EPOCH] == 1) {
        scene->step = 1;
        DO(scene, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    }
    until_three_ticks(scene);
}

static void test_live__a_policy_of_unknown_outcome_is_sent_again(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_unknown_policy);
    assert_int_equal(scene->step, 1);
    assert_int_equal(scene->seen[EVENT_POLICY], 1);
}

/* It hangs with the policy in its socket: that it arrived is told without its id. */
static void watch_hung_policy(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_EPOCH] == 1) {
        scene->step = 1;
        pid_t redis = redis_server_pid(scene->server);
        kill(redis, SIGSTOP);
        if (fork() == 0) {
            poll(NULL, 0, HANG_MS);
            kill(redis, SIGCONT);
            _exit(0);
        }
    }
    until_three_ticks(scene);
}

static void test_live__a_refused_policy_of_unknown_outcome_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    buffer_put_text(&scene->policy_text, "nonsense=1\n");
    assert_ends(scene, watch_hung_policy, ERROR_REFUSED);
    assert_non_null(strstr(failure.message, "not accepted"));
    assert_true(wait(NULL) > 0);
}

#define MANY_TEXT "500"
#define MANY      500

static void watch_many(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "EVAL",
           "for i = 1, ARGV[1] do "
           "redis.call('HSET', 'job:j' .. i, 'status', 'in_progress', 'worker_id', 'w' .. i, "
           "'created_at', '1700000000000') "
           "redis.call('XADD', KEYS[1], '*', 'type', 'job.started', 'job', 'j' .. i, "
           "'worker', 'w' .. i, 'attempt', '1') "
           "redis.call('XADD', KEYS[1], '*', 'type', 'worker.stopped', 'worker', 'w' .. i) end",
           "1", STREAM, MANY_TEXT);
    }
    scene->stop =
        scene->seen[EVENT_EFFECT_SETTLED] >= MANY && state_summary(scene->state).effects_open == 0;
}

static void test_live__many_effects_leave_time_for_ticks(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_many);
    assert_int_equal(reply_number(DO(scene, "ZCARD", "jobs:pending")), MANY);
    /* While they were carried out, which takes many ticks' time, ticks went on. */
    const struct redis_reply *entries = DO(scene, "XRANGE", STREAM, "-", "+");
    uint32_t settled = 0;
    uint32_t ticks_between = 0;
    for (uint32_t i = 0; i < redis_reply_count(entries); i++) {
        const struct redis_reply *fields = redis_reply_at(redis_reply_at(entries, i), 1);
        struct span type = redis_reply_text(redis_reply_at(fields, 1));
        settled += span_is(type, "effect.settled") ? 1 : 0;
        ticks_between += span_is(type, "tick") && settled > 0 && settled < MANY ? 1 : 0;
    }
    assert_true(ticks_between >= 1);
}

static void watch_hang(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        scene->seen[EVENT_TICK] = 0;
        pid_t redis = redis_server_pid(scene->server);
        kill(redis, SIGSTOP);
        if (fork() == 0) {
            poll(NULL, 0, HANG_MS);
            kill(redis, SIGCONT);
            _exit(0);
        }
    }
    scene->stop = scene->step == 1 && scene->seen[EVENT_TICK] >= 5;
}

static void test_live__the_time_of_a_hanging_server_goes_to_the_gap(void **fixture)
{
    struct scene *scene = *fixture;
    run_clean(scene, watch_hang);
    assert_true(wait(NULL) > 0);
    struct state_summary summary = state_summary(scene->state);
    uint64_t gap_ms = summary.deadline_ms - summary.liveness_ms;
    assert_in_range(gap_ms, HANG_MS - 1500, HANG_MS + 3000);
    /* Each append is there once, although the outcome of one was unknown for a while. */
    assert_int_equal(scene->seen[EVENT_EPOCH], 1);
    char k[32];
    int64_t ticks_and_policy = reply_number(DO(scene, "XLEN", STREAM)) - 1;
    snprintf(k, sizeof(k), "%lld", (long long)ticks_and_policy);
    assert_field(scene, CONTROL, "k", k);
}

static void never(struct scene *scene)
{
    (void)scene;
}

static void test_live__a_server_that_comes_late_is_waited_for(void **fixture)
{
    struct scene *scene = *fixture;
    pid_t redis = redis_server_pid(scene->server);
    kill(redis, SIGSTOP);
    pid_t helper = fork();
    if (helper == 0) {
        poll(NULL, 0, 200);
        kill(redis, SIGCONT);
        _exit(0);
    }
    run_clean(scene, until_three_ticks);
    assert_int_equal(waitpid(helper, NULL, 0), helper);
}

static void test_live__a_stop_ends_the_waiting(void **fixture)
{
    struct scene *scene = *fixture;
    redis_server_stop(scene->server);
    struct live_config config = config_of(scene);
    scene->watch = never;
    scene->stop = 1;
    assert_null(live_open(&config, &failure));
    assert_int_equal(failure.code, ERROR_STOPPED);
    live_close(NULL);
    redis_server_restart(scene->server);
    open_admin(scene);
    scene->stop = 0;
    config.partitions = 2;
    struct live *live = live_open(&config, &failure);
    assert_non_null(live);
    live_close(live);
    assert_int_equal(reply_number(DO(scene, "DBSIZE")), 0);
    DO(scene, "HSET", "salvor:meta", "partitions", "2");
    config.partitions = 1;
    assert_null(live_open(&config, &failure));
    assert_int_equal(failure.code, ERROR_REFUSED);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(test_live__epoch_then_policy_then_ticks),
        IN_SCENE(test_live__a_policy_that_is_refused_ends_it),
        IN_SCENE(test_live__the_effects_of_a_backlog_wait_for_epoch_and_policy),
        IN_SCENE(test_live__a_new_effect_is_sent_once),
        IN_SCENE(test_live__observed_effects_touch_nothing),
        IN_SCENE(test_live__a_question_is_asked_and_its_answer_appended),
        IN_SCENE(test_live__every_kind_of_report_is_appended_within_its_limits),
        IN_SCENE(test_live__an_open_cancel_is_sent_again_by_the_next_epoch),
        IN_SCENE(test_live__a_restarted_server_is_gone_on_with),
        IN_SCENE(test_live__lost_connections_and_scripts_are_mended),
        IN_SCENE(test_live__a_destroyed_group_is_made_anew),
        IN_SCENE(test_live__another_leader_ends_it),
        IN_SCENE(test_live__an_entry_deleted_unread_ends_it),
        IN_SCENE(test_live__a_deleted_stream_ends_it),
        IN_SCENE(test_live__an_emptied_redis_ends_it),
        IN_SCENE(test_live__an_epoch_made_by_hand_ends_one_lead_alone),
        IN_SCENE(test_live__a_lead_without_its_epoch_event_ends),
        IN_SCENE(test_live__a_shortage_of_memory_is_waited_out),
        IN_SCENE(test_live__rights_that_were_taken_away_are_waited_for),
        IN_SCENE(test_live__the_lease_is_kept_while_the_policy_is_refused),
        IN_SCENE(test_live__what_was_committed_is_read_again_before_the_take_over),
        IN_SCENE(test_live__a_foreign_anchor_ends_it_before_anything),
        IN_SCENE(test_live__a_running_lease_is_waited_for),
        IN_SCENE(test_live__a_server_that_comes_late_is_waited_for),
        IN_SCENE(test_live__a_policy_of_unknown_outcome_is_sent_again),
        IN_SCENE(test_live__a_refused_policy_of_unknown_outcome_ends_it),
        IN_SCENE(test_live__many_effects_leave_time_for_ticks),
        IN_SCENE(test_live__the_time_of_a_hanging_server_goes_to_the_gap),
        IN_SCENE(test_live__a_stop_ends_the_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
