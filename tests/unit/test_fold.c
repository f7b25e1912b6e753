/* SPDX-License-Identifier: MIT
 * What scenarios cannot show: what is remembered and forgotten by count, and what the shell asks
 * the state for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reducers/tables.h"
#include "tests/lib/history.h"

#define SEED "backoff_ms=0\n"

static struct history begin(const char *policy_text)
{
    struct history history = {.state = state_create(3)};
    history_begin(&history, policy_text);
    return history;
}

/* Folds the line for the number, printed with a `%u` for it. */
static void fold_numbered(struct history *history, const char *format, unsigned number)
{
    char line[256];
    snprintf(line, sizeof line, format, number, number);
    history_fold(history, line);
}

static bool is_ignored(const struct history *history, enum reason reason)
{
    const struct fold_output *output = &history->output;
    return output->decision_count == 1 && output->decisions[0].action == ACTION_IGNORE &&
           output->decisions[0].reason == reason;
}

static void test_fold__finished_jobs_are_forgotten_in_the_order_they_ended(void **fixture)
{
    (void)fixture;
    struct history history = begin("remember=2\n");
    for (unsigned job = 1; job <= 3; job++) {
        fold_numbered(&history, "job.claimed job=j%u worker=w attempt=1", job);
    }
    for (unsigned job = 3; job >= 1; job--) {
        fold_numbered(&history, "job.completed job=j%u worker=w attempt=1", job);
    }
    history_fold(&history, "job.submitted job=j1");
    assert_int_equal(history.output.decision_count, 0); /* known: its submission was not told */
    history_fold(&history, "job.completed job=j2 attempt=1");
    assert_true(is_ignored(&history, REASON_JOB_FINISHED));
    history_fold(&history, "job.completed job=j3 attempt=1");
    assert_true(is_ignored(&history, REASON_UNKNOWN_JOB));
    history_fini(&history);
}

static void test_fold__a_lower_limit_forgets_at_once(void **fixture)
{
    (void)fixture;
    struct history history = begin("");
    for (unsigned job = 1; job <= 5; job++) {
        fold_numbered(&history, "job.completed job=j%u worker=w attempt=1 id=%u", job);
    }
    assert_int_equal(history.state->finished.count, 5);
    history_policy(&history, "remember=2\n");
    assert_int_equal(history.state->finished.count, 2);
    assert_int_equal(history.state->jobs.arrivals.count, 2);
    assert_int_equal(history.state->producer_ids.arrivals.count, 2);
    history_fini(&history);
}

static void test_fold__producers_ids_are_forgotten_by_count(void **fixture)
{
    (void)fixture;
    struct history history = begin("remember=2\n");
    for (unsigned id = 1; id <= 3; id++) {
        fold_numbered(&history, "worker.registered worker=w id=%u", id);
    }
    history_fold(&history, "worker.registered worker=w id=2");
    assert_true(is_ignored(&history, REASON_DUPLICATE));
    history_fold(&history, "worker.registered worker=w id=1");
    assert_int_equal(history.output.decision_count, 0);
    history_fini(&history);
}

static void test_fold__gone_workers_are_forgotten_but_not_before_their_release(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    struct effect_request request;
    const struct effect *cursor = NULL;
    history_fold(&history, "job.claimed job=j1 worker=w0 attempt=1");
    history_fold(&history, "worker.lost worker=w0");
    history_fold(&history, "job.cancelled job=j1 attempt=1");
    for (unsigned worker = 1; worker <= GONE_WORKERS_MAX + 1; worker++) {
        fold_numbered(&history, "worker.heartbeat worker=w%u", worker);
        fold_numbered(&history, "worker.lost worker=w%u", worker);
    }
    assert_int_equal(history.state->gone.count, GONE_WORKERS_MAX);
    history_fold(&history, "worker.lost worker=w1");
    assert_true(is_ignored(&history, REASON_UNKNOWN_WORKER));
    history_fold(&history, "worker.lost worker=w0");
    assert_true(is_ignored(&history, REASON_DUPLICATE));
    assert_true(state_next_open_effect(history.state, &cursor, &request));
    assert_int_equal(request.kind, EFFECT_RELEASE);
    char line[256];
    snprintf(line, sizeof line, "effect.settled owner=leader epoch=1 effect=%.*s outcome=applied",
             SPAN_FORMAT(request.id));
    history_fold(&history, line);
    assert_int_equal(history.state->gone.count, GONE_WORKERS_MAX);
    history_fold(&history, "worker.lost worker=w2");
    assert_true(is_ignored(&history, REASON_UNKNOWN_WORKER));
    history_fold(&history, "worker.lost worker=w0");
    assert_true(is_ignored(&history, REASON_DUPLICATE));
    history_fini(&history);
}

static void test_fold__a_gone_worker_that_comes_back_is_kept(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    history_fold(&history, "worker.heartbeat worker=w1");
    history_fold(&history, "worker.lost worker=w1");
    assert_int_equal(history.state->gone.count, 1);
    history_fold(&history, "worker.heartbeat worker=w1");
    assert_int_equal(history.state->gone.count, 0);
    history_fini(&history);
}

static void test_fold__withdrawn_effects_are_remembered_by_count(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    char line[256];
    for (unsigned job = 0; job <= WITHDRAWN_EFFECTS_MAX; job++) {
        fold_numbered(&history, "job.claimed job=j%u worker=w attempt=1", job);
    }
    history_fold(&history, "worker.lost worker=w");
    uint64_t lost_at = history.entry_count;
    assert_int_equal(history.output.decision_count, WITHDRAWN_EFFECTS_MAX + 2);
    history_policy(&history, "effects=observe\n");
    assert_int_equal(history.output.change_count, WITHDRAWN_EFFECTS_MAX + 2);
    assert_int_equal(history.state->withdrawn.count, WITHDRAWN_EFFECTS_MAX);
    assert_int_equal(state_summary(history.state).effects_open, 0);
    /* The release and the first requeue were forgotten, the second requeue was not. */
    for (unsigned n = 1; n <= 3; n++) {
        snprintf(line, sizeof line,
                 "effect.settled owner=leader epoch=1 effect=3.1.%u-0.%u.1 outcome=applied",
                 (unsigned)lost_at, n);
        history_fold(&history, line);
        assert_int_equal(history.output.change_count, n == 3);
    }
    history_fini(&history);
}

static void test_fold__policy_owners_are_remembered_by_count(void **fixture)
{
    (void)fixture;
    struct history history = {.state = state_create(0)};
    assert_true(state_policy_is_due(history.state, SPAN("me"), SPAN("aa")));
    history_begin(&history, "");
    assert_true(state_policy_is_due(history.state, SPAN("me"), SPAN("aa")));
    for (unsigned owner = 1; owner <= POLICY_OWNERS_MAX + 1; owner++) {
        char line[256];
        snprintf(line, sizeof line,
                 "epoch owner=o%u epoch=%u timeline=1 reducers=2 ordinal=0 wall_ms=1", owner,
                 owner + 1);
        history_fold(&history, line);
        assert_true(history.output.is_epoch_new);
        snprintf(line, sizeof line,
                 "policy owner=o%u epoch=%u text=remember=7 origin=file hash=h%u", owner, owner + 1,
                 owner);
        history_fold(&history, line);
        assert_true(history.output.is_policy_new);
    }
    assert_int_equal(history.state->policy_owners.arrivals.count, POLICY_OWNERS_MAX);
    /* Somebody appended one: another file is an alarm, not due. */
    assert_false(state_policy_is_due(history.state, SPAN("me"), SPAN("aa")));
    assert_false(state_policy_is_due(history.state, SPAN("o1"), SPAN("other")));
    assert_false(state_policy_is_due(history.state, SPAN("o2"), SPAN("h2")));
    assert_true(state_policy_is_due(history.state, SPAN("o2"), SPAN("changed")));
    history_fini(&history);
}

static void test_fold__rows_carry_their_ids_and_the_policy(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    history_fold(&history, "job.claimed job=j1 worker=w1 attempt=1 trace=00-1");
    history_fold(&history, "worker.lost worker=w1");
    const struct decision *decision = &history.output.decisions[1];
    assert_true(span_is(decision->id, "3.1.4-0.2"));
    assert_true(span_is(decision->policy, "cafe"));
    assert_true(span_is(decision->mode, "apply"));
    assert_true(span_is(decision->trace, "00-1"));
    assert_int_equal(decision->timeline, 1);
    assert_int_equal(decision->ordinal, 4);
    assert_int_equal(decision->at_ms, 4);
    assert_int_equal(decision->reducers, REDUCERS_VERSION);
    const struct effect_change *change = &history.output.changes[1];
    assert_true(span_is(change->id, "3.1.4-0.2.1"));
    assert_true(span_is(change->decision, "3.1.4-0.2"));
    assert_true(span_is(change->target, "job:j1"));
    assert_int_equal(change->at_ms, 4);
    history_fini(&history);
}

/* The fold itself takes any version: what a program cannot fold by, the loop refuses. */
static void test_fold__rows_tell_the_version_that_their_epoch_chose(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *epoch;
        uint64_t reducers;
    } steps[] = {
        {NULL, REDUCERS_OLDEST},
        {"epoch owner=a epoch=1 timeline=1 reducers=2 ordinal=0 wall_ms=1", 2},
        {"epoch owner=b epoch=2 timeline=1 reducers=7 ordinal=0 wall_ms=1", 7},
        {"epoch owner=c epoch=3 timeline=1 reducers=4 ordinal=0 wall_ms=1", 4},
    };
    struct history history = {.state = state_create(0)};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (steps[i].epoch != NULL) {
            history_fold(&history, steps[i].epoch);
        }
        struct buffer bytes = {0};
        state_encode(history.state, &bytes);
        state_destroy(history.state);
        history.state = state_decode(buffer_span(&bytes));
        assert_non_null(history.state);
        buffer_fini(&bytes);
        history_fold(&history, "job.claimed job=j1"); /* it lacks fields: a row of its own */
        assert_int_equal(history.output.decision_count, 1);
        assert_int_equal(history.output.decisions[0].reducers, steps[i].reducers);
        assert_int_equal(state_summary(history.state).reducers, steps[i].reducers);
    }
    history_fini(&history);
}

static void test_fold__an_open_question_tells_all_that_asking_needs(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    struct effect_request request;
    const struct effect *cursor = NULL;
    history_fold(&history, "worker.registered worker=w1 services=api=http://a");
    history_fold(&history, "job.claimed job=j1 worker=w1 attempt=2 claim=c1 losses=1 failures=1");
    history_fold(&history, "job.handed_off job=j1 worker=w1 attempt=2 service=api service_job=p1 "
                           "tag=t1 submitted_at=9 status_url=http://s result_url=http://r");
    history_fold(&history, "worker.lost worker=w1");
    assert_true(state_open_effect(history.state, SPAN("3.1.6-0.2.1"), &request));
    assert_int_equal(request.kind, EFFECT_ASK);
    assert_true(span_is(request.job, "j1") && span_is(request.worker, "w1"));
    assert_int_equal(request.attempt, 2);
    assert_true(span_is(request.claim, "c1"));
    assert_int_equal(request.losses, 1);
    assert_int_equal(request.failures, 1);
    assert_true(span_is(request.reason, "worker_lost"));
    assert_true(span_is(request.service, "api") && span_is(request.service_job, "p1"));
    assert_true(span_is(request.tag, "t1"));
    assert_int_equal(request.submitted_at, 9);
    assert_true(span_is(request.status_url, "http://s"));
    assert_true(span_is(request.result_url, "http://r"));
    assert_true(span_is(request.base, "http://a"));
    assert_true(state_next_open_effect(history.state, &cursor, &request));
    assert_int_equal(request.kind, EFFECT_RELEASE);
    assert_true(state_next_open_effect(history.state, &cursor, &request));
    assert_int_equal(request.kind, EFFECT_ASK);
    assert_false(state_next_open_effect(history.state, &cursor, &request));
    assert_false(state_open_effect(history.state, SPAN("3.1.9-0.2.1"), &request));
    history_fini(&history);
}

static void test_fold__a_service_that_the_worker_does_not_name_has_no_base(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    struct effect_request request;
    history_fold(&history, "worker.registered worker=w1 services=other=http://o");
    history_fold(&history, "job.handed_off job=j1 worker=w1 attempt=1 service=api service_job=p1");
    history_fold(&history, "worker.lost worker=w1");
    assert_true(state_open_effect(history.state, SPAN("3.1.5-0.2.1"), &request));
    assert_int_equal(request.base.size, 0);
    history_fini(&history);
}

static void test_fold__a_job_is_asked_about_where_another_worker_offers_its_service(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    struct effect_request request;
    history_fold(&history, "worker.registered worker=w1 services=other=http://o");
    history_fold(&history, "worker.registered worker=w2 services=api=http://a");
    history_fold(&history, "worker.registered worker=w3 services=api=http://b");
    history_fold(&history, "worker.registered worker=w4 services=api");
    history_fold(&history, "worker.registered worker=w5 services=api=http://gone");
    history_fold(&history, "worker.stopped worker=w5");
    bool is_seen[2] = {false, false};
    for (int i = 0; i < 16; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "job.handed_off job=j%d worker=w1 attempt=1 service=api service_job=p%d", i, i);
        history_fold(&history, text);
    }
    history_fold(&history, "worker.lost worker=w1");
    for (unsigned i = 0; i < 16; i++) {
        char id[32];
        snprintf(id, sizeof id, "3.1.25-0.%u.1", i + 2);
        assert_true(state_open_effect(history.state, span_of(id), &request));
        assert_int_equal(request.kind, EFFECT_ASK);
        bool is_b = span_is(request.base, "http://b");
        assert_true(is_b || span_is(request.base, "http://a"));
        is_seen[is_b ? 1 : 0] = true;
    }
    assert_true(is_seen[0] && is_seen[1]);
    history_fini(&history);
}

static void test_fold__a_service_without_a_url_is_where_the_configuration_says(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    struct effect_request request;
    history_fold(&history, "worker.registered worker=w1 services=api");
    history_fold(&history, "worker.registered worker=w2 services=api=http://a");
    history_fold(&history, "job.handed_off job=j1 worker=w1 attempt=1 service=api service_job=p1");
    history_fold(&history, "worker.lost worker=w1");
    assert_true(state_open_effect(history.state, SPAN("3.1.6-0.2.1"), &request));
    assert_int_equal(request.base.size, 0);
    history_fini(&history);
}

static void test_fold__a_failure_carries_the_workers_words_else_the_reasons(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED "queue.failures=salvor\nmax_retries=0\n");
    struct effect_request request;
    history_fold(&history, "job.claimed job=j1 worker=w1 attempt=1");
    history_fold(&history, "job.failed job=j1 worker=w1 attempt=1 error=burnt");
    assert_true(state_open_effect(history.state, SPAN("3.1.4-0.1.1"), &request));
    assert_true(span_is(request.error, "burnt"));
    history_fold(&history, "job.claimed job=j2 worker=w1 attempt=1");
    history_fold(&history, "worker.lost worker=w1");
    assert_true(state_open_effect(history.state, SPAN("3.1.6-0.2.1"), &request));
    assert_true(span_is(request.error, reason_text(REASON_RETRIES_EXHAUSTED)));
    history_fini(&history);
}

static void test_fold__withdrawn_effects_are_not_open(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    struct effect_request request;
    const struct effect *cursor = NULL;
    history_fold(&history, "job.claimed job=j1 worker=w1 attempt=1");
    history_fold(&history, "worker.lost worker=w1");
    assert_true(state_open_effect(history.state, SPAN("3.1.4-0.2.1"), &request));
    history_policy(&history, "effects=observe\n");
    assert_false(state_open_effect(history.state, SPAN("3.1.4-0.2.1"), &request));
    assert_false(state_next_open_effect(history.state, &cursor, &request));
    history_fini(&history);
}

static void test_fold__a_forgotten_jobs_release_still_names_it(void **fixture)
{
    (void)fixture;
    struct history history = begin("remember=0\n");
    struct effect_request request;
    history_fold(&history, "job.claimed job=j1 worker=w1 attempt=1");
    history_fold(&history, "worker.lost worker=w1");
    history_fold(&history, "job.cancelled job=j1 attempt=1");
    assert_true(state_open_effect(history.state, SPAN("3.1.4-0.1.1"), &request));
    assert_true(span_is(request.job, "j1"));
    assert_int_equal(request.claim.size, 0);
    history_fini(&history);
}

/* What was withdrawn may still be told as done, when nobody remembers its job. */
static void test_fold__a_forgotten_jobs_effect_is_recorded_as_done(void **fixture)
{
    (void)fixture;
    struct history history = begin("remember=0\nbackoff_ms=0\n");
    history_fold(&history, "job.claimed job=j1 worker=w1 attempt=1");
    history_fold(&history, "worker.lost worker=w1");
    history_fold(&history, "job.cancelled job=j1 attempt=1");
    assert_int_equal(history.output.changes[0].outcome, OUTCOME_WITHDRAWN);
    history_fold(&history,
                 "effect.settled owner=leader epoch=1 effect=3.1.4-0.2.1 outcome=applied");
    assert_int_equal(history.output.change_count, 1);
    assert_int_equal(history.output.changes[0].outcome, OUTCOME_APPLIED);
    assert_int_equal(history.output.decision_count, 0);
    history_fini(&history);
}

static void test_fold__the_summary_tells_where_the_state_stands(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    history_fold(&history, "job.claimed job=j1 worker=w1 attempt=1");
    history_fold(&history, "job.completed job=j1 worker=w1 attempt=1");
    history_fold(&history, "job.claimed job=j2 worker=w1 attempt=1");
    history_fold(&history, "worker.heartbeat worker=w2");
    history_fold(&history, "worker.unheard worker=w2");
    history_fold(&history, "worker.lost worker=w1");
    history_fold(&history, "tick owner=leader epoch=1 elapsed_ms=250 gap_ms=1000 wall_ms=77");
    struct state_summary summary = state_summary(history.state);
    assert_int_equal(summary.partition, 3);
    assert_int_equal(summary.timeline, 1);
    assert_int_equal(summary.epoch, 1);
    assert_true(span_is(summary.owner, "leader"));
    assert_int_equal(summary.ordinal, 9);
    assert_int_equal(summary.position.ms, 9);
    assert_int_equal(summary.liveness_ms, 250);
    assert_int_equal(summary.deadline_ms, 1250);
    assert_int_equal(summary.last_tick.ms, 9);
    assert_int_equal(summary.last_tick_wall_ms, 77);
    assert_true(span_is(summary.policy_hash, "cafe"));
    assert_true(span_is(summary.policy_text, SEED));
    assert_int_equal(summary.jobs_open, 1);
    assert_int_equal(summary.effects_open, 2);
    assert_int_equal(summary.unknown_types, 1);
    assert_int_equal(summary.heartbeats, 1);
    assert_int_equal(summary.events, 8);
    history_policy(&history, "effects=observe\n");
    state_destroy(NULL);
    history_fini(&history);
}

static void test_fold__a_file_policy_without_an_owner_is_forged(void **fixture)
{
    (void)fixture;
    struct history history = {.state = state_create(0)};
    history_fold(&history, "policy text=remember=7 origin=file hash=aa");
    assert_int_equal(history.output.decision_count, 1);
    assert_int_equal(history.output.decisions[0].reason, REASON_FORGED);
    assert_false(history.output.is_policy_new);
    history_fini(&history);
}

/* The silence timer is not moved by each heartbeat: when it is due it looks at the last one. */
static void test_fold__a_worker_heard_meanwhile_is_not_silent(void **fixture)
{
    (void)fixture;
    static const char tick[] = "tick owner=leader epoch=1 elapsed_ms=600 wall_ms=1";
    struct history history = begin("worker_silent_ms=1000\n");
    history_fold(&history, "worker.heartbeat worker=w1");
    history_fold(&history, tick);
    history_fold(&history, "worker.heartbeat worker=w1");
    history_fold(&history, tick);
    assert_int_equal(history.output.decision_count, 0);
    history_fold(&history, tick);
    assert_int_equal(history.output.decision_count, 1);
    assert_int_equal(history.output.decisions[0].reason, REASON_WORKER_SILENT);
    history_fini(&history);
}

/* As a fold that starts from a snapshot sees them, whose timers are set anew. */
static void test_fold__workers_are_missed_in_the_order_of_their_last_signs(void **fixture)
{
    (void)fixture;
    static const char tick[] = "tick owner=leader epoch=1 elapsed_ms=100 wall_ms=1";
    struct history history = begin("worker_silent_ms=1000\n");
    history_fold(&history, "worker.heartbeat worker=w1");
    history_fold(&history, tick);
    history_fold(&history, "worker.heartbeat worker=w2");
    history_fold(&history, tick);
    history_fold(&history, "worker.heartbeat worker=w1");
    history_fold(&history, "tick owner=leader epoch=1 elapsed_ms=2000 wall_ms=1");
    assert_int_equal(history.output.decision_count, 2);
    assert_true(span_is(history.output.decisions[0].worker, "w2"));
    assert_true(span_is(history.output.decisions[1].worker, "w1"));
    history_fini(&history);
}

static void test_fold__an_entry_that_is_no_entry_is_counted_and_quarantined(void **fixture)
{
    (void)fixture;
    struct history history = begin(SEED);
    struct entry entry = {.id = {9, 9}, .raw = SPAN("\xff")};
    fold_entry(history.state, &entry, &history.output);
    assert_int_equal(history.output.decision_count, 1);
    assert_int_equal(history.output.decisions[0].action, ACTION_QUARANTINE);
    assert_int_equal(state_summary(history.state).ordinal, 3);
    history_fini(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold__finished_jobs_are_forgotten_in_the_order_they_ended),
        cmocka_unit_test(test_fold__a_lower_limit_forgets_at_once),
        cmocka_unit_test(test_fold__producers_ids_are_forgotten_by_count),
        cmocka_unit_test(test_fold__gone_workers_are_forgotten_but_not_before_their_release),
        cmocka_unit_test(test_fold__a_gone_worker_that_comes_back_is_kept),
        cmocka_unit_test(test_fold__withdrawn_effects_are_remembered_by_count),
        cmocka_unit_test(test_fold__policy_owners_are_remembered_by_count),
        cmocka_unit_test(test_fold__rows_carry_their_ids_and_the_policy),
        cmocka_unit_test(test_fold__rows_tell_the_version_that_their_epoch_chose),
        cmocka_unit_test(test_fold__an_open_question_tells_all_that_asking_needs),
        cmocka_unit_test(test_fold__a_service_that_the_worker_does_not_name_has_no_base),
        cmocka_unit_test(test_fold__a_job_is_asked_about_where_another_worker_offers_its_service),
        cmocka_unit_test(test_fold__a_service_without_a_url_is_where_the_configuration_says),
        cmocka_unit_test(test_fold__a_failure_carries_the_workers_words_else_the_reasons),
        cmocka_unit_test(test_fold__withdrawn_effects_are_not_open),
        cmocka_unit_test(test_fold__a_forgotten_jobs_release_still_names_it),
        cmocka_unit_test(test_fold__a_forgotten_jobs_effect_is_recorded_as_done),
        cmocka_unit_test(test_fold__the_summary_tells_where_the_state_stands),
        cmocka_unit_test(test_fold__a_file_policy_without_an_owner_is_forged),
        cmocka_unit_test(test_fold__a_worker_heard_meanwhile_is_not_silent),
        cmocka_unit_test(test_fold__workers_are_missed_in_the_order_of_their_last_signs),
        cmocka_unit_test(test_fold__an_entry_that_is_no_entry_is_counted_and_quarantined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
