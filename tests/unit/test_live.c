/* SPDX-License-Identifier: MIT
 * Live work from the first read to the last append, against a real server: who may act when, what
 * is sent, what is appended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "tests/lib/live_scene.h"
#include "tests/lib/reply.h"

static void test_live__epoch_then_policy_then_ticks(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, until_three_ticks);
    assert_true(span_is(scene_type_at(scene, 0), "epoch"));
    assert_true(span_is(scene_type_at(scene, 1), "policy"));
    assert_true(span_is(scene_type_at(scene, 2), "tick"));
    struct state_summary summary = state_summary(scene->state);
    assert_int_equal(summary.epoch, 1);
    assert_int_equal(summary.timeline, 1);
    assert_true(span_is(summary.owner, "me"));
    assert_true(span_is(summary.policy_hash, scene->policy_hash.text));
    assert_true(summary.liveness_ms > 0);
    assert_scene_field(scene, CONTROL, "exp", "0");

    /* A second run of the same owner: the policy is in force already. */
    scene_run_clean(scene, until_three_ticks);
    assert_int_equal(state_summary(scene->state).epoch, 2);
    assert_int_equal(scene->seen[EVENT_POLICY], 0);
    assert_int_equal(scene->seen[EVENT_EPOCH], 1);

    /* Another policy is due again. */
    scene_set_policy(scene, EFFECTS_OBSERVE, 0);
    scene_run_clean(scene, until_three_ticks);
    assert_int_equal(scene->seen[EVENT_POLICY], 1);
    assert_true(span_is(state_summary(scene->state).policy_hash, scene->policy_hash.text));
}

static void test_live__a_policy_that_is_refused_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    buffer_put_text(&scene->policy_text, "nonsense=1\n");
    assert_scene_ends(scene, until_three_ticks, ERROR_REFUSED);
    assert_int_equal(scene->seen[EVENT_TICK], 0);
}

static void test_live__the_effects_of_a_backlog_wait_for_epoch_and_policy(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, until_three_ticks);
    uint32_t length = (uint32_t)reply_number(DO(scene, "XLEN", STREAM));
    lay_out_job(scene);
    stop_worker(scene);
    scene_set_policy(scene, EFFECTS_APPLY, 1);
    scene_run_clean(scene, until_nothing_open);
    assert_scene_field(scene, "job:j1", "status", "pending");
    assert_scene_field(scene, "worker:w1", "status", "offline");
    assert_int_equal(reply_number(DO(scene, "ZCARD", "jobs:pending")), 1);
    static const char *const order[] = {
        "worker.registered", "job.started",   "worker.stopped", "epoch", "policy",
        "effect.settled",    "effect.settled"};
    for (uint32_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        struct span type = scene_type_at(scene, length + i);
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
    scene_run_clean(scene, watch_new_effect);
    assert_scene_field(scene, "job:j1", "status", "pending");
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
    scene_set_policy(scene, EFFECTS_OBSERVE, 0);
    scene_run_clean(scene, watch_observed);
    assert_scene_field(scene, "job:j1", "status", "in_progress");
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
    scene_run_clean(scene, watch_question);
    assert_int_equal(scene->seen[EVENT_SERVICE_ANSWERED], 1);
    assert_scene_field(scene, "job:j1", "status", "completed");
    assert_int_equal(reply_number(DO(scene, "EXISTS", "jobs:pending")), 0);
    struct span rest = buffer_span(&scene->asked);
    span_cut(&rest, '\n');
    assert_int_equal(rest.size, 0);
}

/* The asker has no room: the question is asked again, and a job that needs no question does not
 * wait for that. */
static void watch_full_asker(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] > 0) {
        scene->step = 1;
        scene->refusals = UINT32_MAX;
        lay_out_job(scene);
        DO(scene, "HSET", "job:j2", "status", "in_progress", "retry_count", "0", "worker_id", "w2",
           "priority", "50", "created_at", "2025-10-04T12:30:15.250Z");
        DO(scene, "HSET", "jobs:active:w2", "j2", "{}");
        DO(scene, "HSET", "worker:w2", "status", "busy", "current_job_id", "j2");
        DO(scene, "XADD", STREAM, "*", "type", "worker.registered", "worker", "w2");
        DO(scene, "XADD", STREAM, "*", "type", "job.started", "job", "j2", "worker", "w2",
           "attempt", "1");
        DO(scene, "XADD", STREAM, "*", "type", "job.handed_off", "job", "j1", "worker", "w1",
           "attempt", "1", "service", "comfyui", "service_job", "s1");
        stop_worker(scene);
        DO(scene, "XADD", STREAM, "*", "type", "worker.stopped", "worker", "w2");
    }
    if (scene->step == 1 && scene->seen[EVENT_EFFECT_SETTLED] > 0) {
        assert_true(scene->refusals < UINT32_MAX);
        assert_int_equal(scene->asked.size, 0);
        scene->step = 2;
        scene->refusals = 0;
    }
    scene->stop = scene->asked.size > 0;
}

static void test_live__a_question_without_room_is_asked_again(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, watch_full_asker);
    struct span rest = buffer_span(&scene->asked);
    struct span question = span_cut(&rest, '\n');
    assert_true(span_is(span_cut(&question, ' '), "ask"));
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
    scene_run_clean(scene, watch_reports);
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
    scene_run_clean(scene, watch_overdue);
    struct buffer first = {0};
    buffer_put_span(&first, buffer_span(&scene->asked));
    assert_memory_equal(first.data, "cancel ", strlen("cancel "));
    assert_int_equal(state_summary(scene->state).effects_open, 1);
    assert_scene_field(scene, "job:j1", "status", "in_progress");

    /* The process went away before the service said anything; its queue of questions with it. */
    buffer_reset(&scene->asked);
    scene->committed = state_summary(scene->state).ordinal;
    scene_run_clean(scene, watch_cancel);
    assert_int_equal(state_summary(scene->state).epoch, 2);
    assert_true(span_equal(buffer_span(&scene->asked), buffer_span(&first)));
    buffer_fini(&first);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(test_live__epoch_then_policy_then_ticks),
        IN_SCENE(test_live__a_policy_that_is_refused_ends_it),
        IN_SCENE(test_live__the_effects_of_a_backlog_wait_for_epoch_and_policy),
        IN_SCENE(test_live__a_new_effect_is_sent_once),
        IN_SCENE(test_live__observed_effects_touch_nothing),
        IN_SCENE(test_live__a_question_is_asked_and_its_answer_appended),
        IN_SCENE(test_live__a_question_without_room_is_asked_again),
        IN_SCENE(test_live__every_kind_of_report_is_appended_within_its_limits),
        IN_SCENE(test_live__an_open_cancel_is_sent_again_by_the_next_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
