/* SPDX-License-Identifier: MIT
 * A narrowed state goes on for those who stay as the whole one does, and knows nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "reducers/narrow.h"
#include "tests/lib/history.h"

#define OTHERS 10000 /* workers that are gone are remembered so many */

struct named {
    const char *jobs, *workers; /* ids parted by blanks */
};

static bool is_among(const char *ids, struct span id)
{
    struct span rest = span_of(ids);
    while (rest.size > 0) {
        if (span_equal(span_cut(&rest, ' '), id)) {
            return true;
        }
    }
    return false;
}

static bool keeps_job(void *payload, struct span id)
{
    const struct named *named = payload;
    return is_among(named->jobs, id);
}

static bool keeps_worker(void *payload, struct span id)
{
    const struct named *named = payload;
    return is_among(named->workers, id);
}

static void narrow(struct history *history, const char *jobs, const char *workers)
{
    struct named named = {jobs, workers};
    struct narrowing narrowing = {keeps_job, keeps_worker, &named};
    state_narrow(history->state, &narrowing);
    /* What is left can be written down and read back. */
    struct buffer first = {0}, second = {0};
    state_encode(history->state, &first);
    struct state *again = state_decode(buffer_span(&first));
    assert_non_null(again);
    state_encode(again, &second);
    assert_true(span_equal(buffer_span(&first), buffer_span(&second)));
    state_destroy(again);
    buffer_fini(&second);
    buffer_fini(&first);
}

static void assert_contents(const struct history *history, uint64_t jobs, uint64_t workers,
                            uint64_t effects)
{
    struct state_contents contents = state_contents(history->state);
    assert_int_equal(contents.jobs, jobs);
    assert_int_equal(contents.workers, workers);
    assert_int_equal(contents.effects, effects);
    assert_false(contents.is_held);
}

/* w1 holds j1 (asked about) and j2, w2 holds j3, w3 is gone with its release and j4's requeue
 * open, j5 waits with nobody; w4 holds nothing. */
static struct history begin_fleet(void)
{
    static const char *const lines[] = {
        "job.submitted job=j5 id=s1",
        "worker.registered worker=w1 heartbeat_ms=1000 id=r1",
        "worker.registered worker=w4 id=r4",
        "job.claimed job=j1 worker=w1 attempt=1 claim=c1",
        "job.handed_off job=j1 worker=w1 attempt=1 service=s service_job=p1",
        "job.claimed job=j2 worker=w1 attempt=1 claim=c2",
        "job.claimed job=j3 worker=w2 attempt=1 claim=c3",
        "job.claimed job=j4 worker=w3 attempt=1 claim=c4",
        "worker.lost worker=w3",
        "worker.stopped worker=w1",
    };
    struct history history = {.state = state_create(0)};
    history_begin(&history, "backoff_ms=0\n");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        history_fold(&history, lines[i]);
    }
    /* release w3, requeue j4; release w1, ask j1, requeue j2 */
    assert_contents(&history, 5, 4, 5);
    return history;
}

static void test_narrow__who_is_named_stays_with_effects_and_holder(void **fixture)
{
    (void)fixture;
    struct history history = begin_fleet();
    assert_true(span_is(state_job_holder(history.state, SPAN("j3")), "w2"));
    narrow(&history, "j3", "");
    assert_contents(&history, 1, 1, 0); /* w2 holds it */
    assert_true(span_is(state_job_holder(history.state, SPAN("j3")), "w2"));
    history_fini(&history);
}

static void test_narrow__a_workers_jobs_stay_with_it(void **fixture)
{
    (void)fixture;
    struct history history = begin_fleet();
    narrow(&history, "j1", ""); /* by its holder w1, whose other job is j2 */
    assert_contents(&history, 2, 1, 3);
    struct span job, worker;
    assert_true(state_effect_subject(history.state, SPAN("0.1.12-0.2.1"), &job, &worker));
    assert_true(span_is(job, "j1") && span_is(worker, "w1"));
    assert_false(state_effect_subject(history.state, SPAN("0.1.11-0.2.1"), &job, &worker));
    assert_true(job.size == 0 && worker.size == 0);
    history_fini(&history);
}

static void test_narrow__a_job_that_nobody_holds_stays_alone(void **fixture)
{
    (void)fixture;
    struct history history = begin_fleet();
    assert_int_equal(state_job_holder(history.state, SPAN("j5")).size, 0);
    assert_int_equal(state_job_holder(history.state, SPAN("j9")).size, 0);
    narrow(&history, "j5", "w4");
    assert_contents(&history, 1, 1, 0);
    /* Its producer's id is known still: so is that of w4, and w1's is not. */
    history_fold(&history, "job.submitted job=j5 id=s1");
    assert_int_equal(history.output.decisions[0].reason, REASON_DUPLICATE);
    history_fold(&history, "worker.registered worker=w4 id=r4");
    assert_int_equal(history.output.decision_count, 1);
    history_fold(&history, "worker.registered worker=w1 id=r1");
    assert_int_equal(history.output.decision_count, 0);
    history_fini(&history);
}

static void test_narrow__nobody_named_leaves_nothing(void **fixture)
{
    (void)fixture;
    struct history history = begin_fleet();
    struct state_summary before = state_summary(history.state);
    narrow(&history, "", "");
    assert_contents(&history, 0, 0, 0);
    struct state_summary after = state_summary(history.state);
    assert_int_equal(before.ordinal, after.ordinal);
    assert_int_equal(before.epoch, after.epoch);
    assert_int_equal(before.liveness_ms, after.liveness_ms);
    assert_true(span_is(after.policy_hash, "cafe"));
    /* Nobody is left to fall silent, or to be counted as watched. */
    history_fold(&history, "tick owner=leader epoch=1 elapsed_ms=900000 wall_ms=1");
    assert_int_equal(history.output.decision_count, 0);
    history_fini(&history);
}

static void test_narrow__who_stays_goes_on_as_before(void **fixture)
{
    (void)fixture;
    struct history history = begin_fleet();
    narrow(&history, "j4", "w3");
    assert_contents(&history, 1, 1, 2);
    history_fold(&history,
                 "effect.settled effect=0.1.11-0.2.1 outcome=applied owner=leader epoch=1");
    assert_int_equal(history.output.change_count, 1);
    assert_int_equal(history.output.changes[0].outcome, OUTCOME_APPLIED);
    history_fold(&history, "job.claimed job=j4 worker=w5 attempt=2");
    assert_true(span_is(state_job_holder(history.state, SPAN("j4")), "w5"));
    history_fini(&history);
}

/* Release and requeue are withdrawn when w1 is heard again; then the job is over and forgotten, and
 * so is the worker, behind as many others as are remembered. */
static struct history begin_withdrawn(void)
{
    static const char *const lines[] = {
        "worker.registered worker=w1 heartbeat_ms=1000",
        "job.claimed job=j1 worker=w1 attempt=1 claim=c1",
        "tick owner=leader epoch=1 elapsed_ms=3000 wall_ms=1",
        "job.completed job=j1 worker=w1 attempt=1",
        "effect.settled effect=0.1.6-0.2.1 outcome=applied owner=leader epoch=1",
        "worker.stopped worker=w1",
    };
    struct history history = {.state = state_create(0)};
    history_begin(&history, "backoff_ms=0\nremember=0\n");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        history_fold(&history, lines[i]);
    }
    for (int number = 0; number < OTHERS; number++) {
        char line[64];
        snprintf(line, sizeof(line), "worker.heartbeat worker=o%d", number);
        history_fold(&history, line);
        snprintf(line, sizeof(line), "worker.stopped worker=o%d", number);
        history_fold(&history, line);
    }
    return history;
}

static void assert_known(const struct history *history, struct span effect, bool is_known)
{
    struct span job, worker;
    assert_int_equal(state_effect_subject(history->state, effect, &job, &worker), is_known);
    assert_true(!is_known || (span_is(job, "j1") && span_is(worker, "w1")));
}

static void test_narrow__withdrawn_effects_stay_with_those_that_are_forgotten(void **fixture)
{
    (void)fixture;
    for (int way = 0; way < 2; way++) {
        bool is_job_kept = way == 0, is_worker_kept = way == 1;
        struct history history = begin_withdrawn();
        assert_contents(&history, 0, OTHERS, 2);
        narrow(&history, is_job_kept ? "j1" : "", is_worker_kept ? "w1" : "");
        assert_known(&history, SPAN("0.1.5-0.1.1"), is_worker_kept); /* release */
        assert_known(&history, SPAN("0.1.5-0.2.1"), is_job_kept);    /* requeue */
        history_fini(&history);
    }
}

static void test_narrow__a_hold_stays(void **fixture)
{
    (void)fixture;
    struct history history = begin_fleet();
    history_fold(&history, "operator.hold who=ann why=look");
    narrow(&history, "", "");
    assert_true(state_contents(history.state).is_held);
    history_fini(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_narrow__who_is_named_stays_with_effects_and_holder),
        cmocka_unit_test(test_narrow__a_workers_jobs_stay_with_it),
        cmocka_unit_test(test_narrow__a_job_that_nobody_holds_stays_alone),
        cmocka_unit_test(test_narrow__nobody_named_leaves_nothing),
        cmocka_unit_test(test_narrow__who_stays_goes_on_as_before),
        cmocka_unit_test(test_narrow__withdrawn_effects_stay_with_those_that_are_forgotten),
        cmocka_unit_test(test_narrow__a_hold_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
