/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reducers/view.h"
#include "tests/lib/history.h"

static struct history begin(void)
{
    struct history history = {.state = state_create(0)};
    history_begin(&history, "effects=apply\nmax_retries=5\n");
    return history;
}

static void test_view__does_not_know_a_job_that_nobody_named(void **fixture)
{
    (void)fixture;
    struct history history = begin();
    struct job_view view;
    assert_false(state_view_job(history.state, SPAN("j1"), &view));
    history_fini(&history);
}

static void test_view__tells_a_job_that_nobody_holds(void **fixture)
{
    (void)fixture;
    struct history history = begin();
    struct job_view view;
    history_fold(&history, "job.submitted job=j1 service=comfyui");
    assert_true(state_view_job(history.state, SPAN("j1"), &view));
    assert_int_equal(view.core.phase, JOB_QUEUED);
    assert_true(span_is(view.text[JOB_TEXT_SERVICE], "comfyui"));
    assert_int_equal(view.worker.size, 0);
    assert_int_equal(view.holder.phase, WORKER_NONE);
    assert_int_equal(view.holder_limit_ms, 0);
    assert_int_equal(view.effect.size, 0);
    assert_int_equal(view.max_retries, 5);
    history_fini(&history);
}

static void test_view__tells_holder_clocks_and_what_is_open(void **fixture)
{
    (void)fixture;
    struct history history = begin();
    struct job_view view;
    history_fold(&history, "worker.registered worker=w1 heartbeat_ms=1000");
    history_fold(&history, "job.claimed job=j1 worker=w1 attempt=1 claim=c1 max_retries=0");
    history_fold(&history, "tick owner=leader epoch=1 elapsed_ms=700 gap_ms=40 wall_ms=9");
    assert_true(state_view_job(history.state, SPAN("j1"), &view));
    assert_int_equal(view.core.phase, JOB_CLAIMED);
    assert_true(span_is(view.worker, "w1"));
    assert_int_equal(view.holder.phase, WORKER_ACTIVE);
    assert_int_equal(view.holder_limit_ms, 3000);
    assert_int_equal(view.max_retries, 0);
    assert_int_equal(view.liveness_ms, 700);
    assert_int_equal(view.deadline_ms, 740);
    assert_false(view.is_fleet_held);
    history_fold(&history, "operator.hold who=ada why=look");
    history_fold(&history, "worker.lost worker=w1");
    assert_true(state_view_job(history.state, SPAN("j1"), &view));
    assert_int_equal(view.core.phase, JOB_REQUESTED);
    assert_int_equal(view.core.wanted, EFFECT_FAIL);
    assert_int_equal(view.holder.phase, WORKER_GONE);
    assert_true(view.effect.size > 0);
    assert_true(view.is_fleet_held);
    assert_int_equal(view.fleet_held_for, REASON_OPERATOR);
    assert_int_equal(view.fleet_held_since_ms, 700);
    history_fini(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view__does_not_know_a_job_that_nobody_named),
        cmocka_unit_test(test_view__tells_a_job_that_nobody_holds),
        cmocka_unit_test(test_view__tells_holder_clocks_and_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
