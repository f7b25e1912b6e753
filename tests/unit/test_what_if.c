/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "replay/what_if.h"
#include "store/database.h"
#include "tests/lib/folder.h"
#include "tests/lib/scenario_capture.h"
#include "tests/lib/tree.h"

/* A job that its service has when its worker is lost. */
#define HANDED_OFF                                                      \
    "job.started job=j1 worker=w1 attempt=1 claim=c1 service=comfyui\n" \
    "job.handed_off job=j1 worker=w1 attempt=1 service=comfyui service_job=p1\n"
#define LOST "worker.lost worker=w1\n"

static char folder[TREE_PATH_SIZE];
static char capture[TREE_PATH_SIZE + 16];

static int make_folder(void **fixture)
{
    (void)fixture;
    tree_make(folder);
    snprintf(capture, sizeof(capture), "%s/capture", folder);
    return 0;
}

static int remove_folder(void **fixture)
{
    (void)fixture;
    tree_remove(folder);
    return 0;
}

/* --- asking --- */

static void write_capture(const char *lines, uint64_t begin)
{
    struct scenario_capture made = scenario_capture_write(capture, span_of(lines), begin);
    assert_true(made.entries > begin);
    buffer_fini(&made.policy);
}

static struct what_if_report ask_policy(const struct policy *policy)
{
    struct what_if_report report = {0};
    struct error error = {0};
    struct what_if_config config = {.capture = capture, .policy = policy};
    if (!what_if_run(&config, &report, &error)) {
        fail_msg("%s", error.message);
    }
    return report;
}

/* What if the policy had been this preset with these `key=value` lines? */
static struct what_if_report ask(enum policy_preset preset, const char *lines)
{
    struct policy policy;
    policy_preset(preset, &policy);
    struct span rest = span_of(lines);
    while (rest.size > 0) {
        struct span value = span_cut(&rest, '\n');
        enum policy_key key = policy_key_named(span_cut(&value, '='));
        assert_true(policy_value_parse(key, value, &policy.value[key]));
    }
    return ask_policy(&policy);
}

/* "captured action reason | other action reason", with what else is told of them. */
static void put_side(struct buffer *out, const struct what_if_job *job, enum what_if_side side)
{
    const struct what_if_decision *decision = &job->side[side];
    if (!decision->is_there) {
        buffer_put_text(out, "nothing");
    } else {
        buffer_put_text(out, action_text(decision->action));
        buffer_put_byte(out, ' ');
        buffer_put_text(out, reason_code(decision->reason));
        buffer_put_text(out, decision->is_observed ? " observed" : "");
        buffer_put_text(out, decision->is_unknown ? " unknown" : "");
        buffer_put_text(out, decision->is_possible_duplicate ? " possible" : "");
        buffer_put_text(out, job->is_proved[side] ? " proved" : "");
    }
    buffer_put_text(out, job->backs_off[side] != REASON_NONE ? " backs_off" : "");
}

static void assert_job(const struct what_if_report *report, uint32_t index, const char *wanted)
{
    struct buffer told = {0};
    assert_true(index < report->job_count);
    buffer_put_span(&told, report->jobs[index].job);
    buffer_put_text(&told, ": ");
    put_side(&told, &report->jobs[index], WHAT_IF_CAPTURED);
    buffer_put_text(&told, " | ");
    put_side(&told, &report->jobs[index], WHAT_IF_OTHER);
    buffer_put_byte(&told, '\0');
    assert_string_equal(told.data, wanted);
    buffer_fini(&told);
}

static void assert_total(const struct what_if_report *report, enum what_if_total total,
                         uint64_t captured, uint64_t other)
{
    assert_int_equal(report->total[total][WHAT_IF_CAPTURED], captured);
    assert_int_equal(report->total[total][WHAT_IF_OTHER], other);
}

/* --- what the capture proves --- */

#define RUNNING_THEN_COMPLETED                               \
    "epoch\n"                                                \
    "policy\n" HANDED_OFF LOST "answer j1 verdict=running\n" \
    "run 2000\n"                                             \
    "answer j1 verdict=completed result={\"n\":1}\n"

static void
test_what_if__a_requeue_of_what_was_completed_later_is_a_proved_duplicate(void **fixture)
{
    (void)fixture;
    write_capture(RUNNING_THEN_COMPLETED, 0);
    struct what_if_report report = ask(PRESET_SEED, "");
    assert_int_equal(report.jobs_compared, 1);
    assert_int_equal(report.jobs_different, 1);
    assert_job(&report, 0, "j1: wait service_running | requeue service_running possible proved");
    assert_int_equal(report.jobs[0].completed_ms, 15);
    assert_true(report.jobs[0].is_completed_by_service);
    assert_total(&report, WHAT_IF_PROVED_DUPLICATE, 0, 1);
    assert_total(&report, WHAT_IF_POSSIBLE_DUPLICATE, 0, 1);
    assert_total(&report, WHAT_IF_REQUEUE, 0, 1);
    assert_total(&report, WHAT_IF_ASK, 1, 1);
    /* Behind its first different decision a job is not counted. */
    assert_total(&report, WHAT_IF_COMPLETE, 0, 0);
    what_if_report_fini(&report);
}

static void test_what_if__a_workers_own_word_proves_a_duplicate_too(void **fixture)
{
    (void)fixture;
    write_capture("epoch\n"
                  "policy worker_silent_ms=5000\n"
                  "job.started job=j1 worker=w1 attempt=1 claim=c1\n"
                  "run 2000\n"
                  "job.completed job=j1 worker=w1 attempt=1\n",
                  0);
    struct what_if_report report =
        ask(PRESET_SAFE, "worker_silent_ms=1000\nmass_loss_percent=0\nbackoff_ms=0");
    assert_job(&report, 0, "j1: nothing | requeue worker_silent proved");
    assert_false(report.jobs[0].is_completed_by_service);
    assert_total(&report, WHAT_IF_PROVED_DUPLICATE, 0, 1);
    assert_total(&report, WHAT_IF_RELEASE, 0, 1);
    what_if_report_fini(&report);
}

static void test_what_if__another_attempts_completion_proves_nothing(void **fixture)
{
    (void)fixture;
    /* The same number, but another worker's claim: it is the second run itself. */
    write_capture("epoch\n"
                  "policy backoff_ms=0\n"
                  "job.claimed job=j1 worker=w1 attempt=1 claim=c1\n" LOST
                  "job.claimed job=j1 worker=w2 attempt=1 claim=c2\n"
                  "job.completed job=j1 worker=w2 attempt=1 claim=c2\n",
                  0);
    struct what_if_report report = ask(PRESET_SAFE, "backoff_ms=0");
    assert_total(&report, WHAT_IF_REQUEUE, 1, 1);
    assert_total(&report, WHAT_IF_PROVED_DUPLICATE, 0, 0);
    what_if_report_fini(&report);
    /* The same worker's that claimed it again. */
    write_capture("epoch\n"
                  "policy backoff_ms=0\n"
                  "job.claimed job=j1 worker=w1 attempt=1 claim=c1\n" LOST
                  "job.claimed job=j1 worker=w1 attempt=1 claim=c2\n"
                  "job.completed job=j1 worker=w1 attempt=1\n",
                  0);
    report = ask(PRESET_SAFE, "backoff_ms=0");
    assert_total(&report, WHAT_IF_PROVED_DUPLICATE, 0, 0);
    what_if_report_fini(&report);
    write_capture("epoch\n"
                  "policy backoff_ms=0\n"
                  "job.claimed job=j1 worker=w1 attempt=1 claim=c1\n" LOST
                  "job.completed job=j1 worker=w1 attempt=1\n",
                  0);
    report = ask(PRESET_SAFE, "backoff_ms=0");
    assert_total(&report, WHAT_IF_PROVED_DUPLICATE, 1, 1);
    what_if_report_fini(&report);
}

static void test_what_if__a_failure_of_what_was_completed_is_told(void **fixture)
{
    (void)fixture;
    write_capture(RUNNING_THEN_COMPLETED, 0);
    struct what_if_report report = ask(PRESET_SEED, "max_retries=0");
    assert_job(&report, 0, "j1: wait service_running | fail retries_exhausted proved");
    assert_total(&report, WHAT_IF_ENDED_COMPLETED, 0, 1);
    assert_total(&report, WHAT_IF_PROVED_DUPLICATE, 0, 0);
    what_if_report_fini(&report);
}

/* --- answers --- */

static void test_what_if__a_question_that_nobody_asked_is_unknown(void **fixture)
{
    (void)fixture;
    /* In reality the worker was only slow. */
    write_capture("epoch\n"
                  "policy worker_silent_ms=5000\n" HANDED_OFF "run 2000\n"
                  "job.completed job=j1 worker=w1 attempt=1\n",
                  0);
    struct what_if_report report = ask(PRESET_SAFE, "worker_silent_ms=1000\nmass_loss_percent=0");
    assert_job(&report, 0, "j1: nothing | ask worker_silent unknown");
    assert_int_equal(report.jobs[0].end, WHAT_IF_END_DIFFERENT);
    assert_total(&report, WHAT_IF_UNKNOWN, 0, 1);
    what_if_report_fini(&report);
}

static void test_what_if__where_the_answers_end_the_job_is_left_as_unknown(void **fixture)
{
    (void)fixture;
    write_capture("epoch\n"
                  "policy ask_limit=1\n" HANDED_OFF LOST "answer j1 verdict=unreachable\n"
                  "run 5000\n",
                  0);
    struct what_if_report report = ask(PRESET_SAFE, "ask_limit=2\nask_backoff_ms=500");
    assert_job(&report, 0, "j1: requeue service_unreachable possible | wait service_unreachable");
    what_if_report_fini(&report);
}

static void test_what_if__a_question_asked_before_tells_its_last_answer(void **fixture)
{
    (void)fixture;
    write_capture("epoch\n"
                  "policy ask_backoff_ms=20000\n" HANDED_OFF LOST "answer j1 verdict=running\n"
                  "run 10000\n",
                  0);
    struct what_if_report report = ask(PRESET_SAFE, "ask_backoff_ms=1000");
    assert_job(&report, 0, "j1: wait service_running | ask service_running unknown");
    assert_int_equal(report.jobs[0].side[WHAT_IF_OTHER].last_verdict, ANSWER_RUNNING);
    assert_int_equal(report.jobs[0].side[WHAT_IF_OTHER].last_ms,
                     report.jobs[0].side[WHAT_IF_CAPTURED].at_ms);
    what_if_report_fini(&report);
}

static void test_what_if__a_question_open_at_the_end_is_not_unknown(void **fixture)
{
    (void)fixture;
    write_capture("epoch\npolicy\n" HANDED_OFF LOST, 0);
    struct what_if_report report = ask(PRESET_SEED, "");
    assert_int_equal(report.job_count, 0);
    assert_total(&report, WHAT_IF_ASK, 1, 1);
    assert_total(&report, WHAT_IF_UNKNOWN, 0, 0);
    what_if_report_fini(&report);
    /* It is, once the other side has gone on. */
    write_capture("epoch\npolicy job_timeout_ms=1000\n" HANDED_OFF LOST "run 2000\n", 0);
    report = ask(PRESET_SAFE, "job_timeout_ms=60000");
    assert_int_equal(report.jobs_unknown, 1);
    assert_job(&report, 0, "j1: cancel deadline_passed | nothing");
    what_if_report_fini(&report);
}

static void test_what_if__an_answer_of_a_question_asked_sooner_comes_when_it_came(void **fixture)
{
    (void)fixture;
    write_capture("epoch\n"
                  "policy worker_silent_ms=3000 mass_loss_percent=0\n" HANDED_OFF "run 3000\n"
                  "answer j1 verdict=not_found\n"
                  "run 2000\n",
                  0);
    struct what_if_report report =
        ask(PRESET_SAFE, "worker_silent_ms=1000\nmass_loss_percent=0\nbackoff_ms=1000");
    assert_int_equal(report.job_count, 0);
    assert_int_equal(report.delay.count, 0); /* Both requeue when the answer is there. */
    assert_total(&report, WHAT_IF_ASK, 1, 1);
    assert_total(&report, WHAT_IF_REQUEUE, 1, 1);
    what_if_report_fini(&report);
}

/* --- against itself --- */

/* The first policy of the capture is the other one too. */
static void assert_same_as_itself(const char *lines, uint64_t begin, uint64_t requeues)
{
    struct scenario_capture made = scenario_capture_write(capture, span_of(lines), begin);
    struct policy policy;
    struct span bad;
    assert_true(policy_parse_text(buffer_span(&made.policy), &policy, &bad));
    struct what_if_report report = ask_policy(&policy);
    assert_int_equal(report.jobs_different, 0);
    for (enum what_if_total total = 0; total < WHAT_IF_TOTAL_COUNT; total++) {
        assert_int_equal(report.total[total][WHAT_IF_CAPTURED], report.total[total][WHAT_IF_OTHER]);
    }
    assert_int_equal(report.delay.count, 0);
    assert_total(&report, WHAT_IF_REQUEUE, requeues, requeues);
    what_if_report_fini(&report);
    buffer_fini(&made.policy);
}

/* A job that is owed under one service's policy and is another one's by now. */
#define OWED                                                           \
    "epoch\n"                                                          \
    "policy service.a.effects=observe backoff_ms=0\n"                  \
    "job.claimed job=j1 worker=w1 attempt=1 claim=c1 service=a\n" LOST \
    "job.handed_off job=j1 worker=w1 attempt=1 service=b service_job=x\n"

static void test_what_if__a_refused_policy_is_nobodys(void **fixture)
{
    (void)fixture;
    assert_same_as_itself("epoch\n"
                          "policy text=garbage\n"
                          "job.claimed job=j1 worker=w1 attempt=1 claim=c1\n" LOST "run 3000\n"
                          "policy\n"
                          "job.claimed job=j2 worker=w2 attempt=1 claim=c2\n"
                          "worker.lost worker=w2\n"
                          "run 3000\n",
                          0, 3);
}

static void test_what_if__the_same_policy_again_judges_what_is_owed_on_both_sides(void **fixture)
{
    (void)fixture;
    assert_same_as_itself(OWED "policy service.a.effects=observe backoff_ms=0\nrun 2000\n", 0, 1);
}

static void test_what_if__a_snapshots_policy_is_put_in_force_on_both_sides(void **fixture)
{
    (void)fixture;
    assert_same_as_itself(OWED "run 2000\n", 5, 0);
}

static void test_what_if__a_cancel_takes_the_outcome_that_it_had(void **fixture)
{
    (void)fixture;
    static const char lines[] = "epoch\n"
                                "policy job_timeout_ms=1000\n" HANDED_OFF "run 1000\n"
                                "settle j1 unsupported\n"
                                "answer j1 verdict=running\n"
                                "settle j1 applied\n"
                                "run 8000\n";
    write_capture(lines, 0);
    struct what_if_report report = ask(PRESET_SAFE, "job_timeout_ms=1000\nmax_retries=1");
    assert_int_equal(report.job_count, 0);
    assert_total(&report, WHAT_IF_CANCEL, 1, 1);
    assert_total(&report, WHAT_IF_TIME_OUT, 1, 1);
    assert_total(&report, WHAT_IF_UNKNOWN, 0, 0);
    what_if_report_fini(&report);
}

/* --- time --- */

#define FAILED_TWICE                                          \
    "epoch\n"                                                 \
    "policy queue.failures=salvor backoff_ms=1000\n"          \
    "job.started job=j1 worker=w1 attempt=1\n"                \
    "job.failed job=j1 worker=w1 attempt=1\n"                 \
    "run 30000\n"                                             \
    "job.started job=j2 worker=w1 attempt=1\n"                \
    "job.failed job=j2 worker=w1 attempt=1 retryable=false\n" \
    "run 2000\n"

static void test_what_if__another_back_off_is_a_delay_and_no_difference(void **fixture)
{
    (void)fixture;
    write_capture(FAILED_TWICE, 0);
    struct what_if_report report = ask(PRESET_SAFE, "backoff_ms=20000");
    assert_int_equal(report.jobs_compared, 2);
    assert_int_equal(report.job_count, 0);
    assert_int_equal(report.delay.count, 1);
    assert_int_equal(report.delay.won_ms, 0);
    assert_true(report.delay.lost_ms > 36 && report.delay.lost_ms == report.delay.lost_max_ms);
    assert_total(&report, WHAT_IF_WAIT, 1, 1);
    assert_total(&report, WHAT_IF_FAIL, 1, 1);
    what_if_report_fini(&report);
    report = ask(PRESET_SAFE, "backoff_ms=0");
    assert_int_equal(report.job_count, 0);
    assert_int_equal(report.delay.lost_ms, 0);
    assert_true(report.delay.won_ms >= 2 && report.delay.won_ms == report.delay.won_max_ms);
    assert_total(&report, WHAT_IF_WAIT, 1, 0);
    assert_total(&report, WHAT_IF_REQUEUE, 1, 1);
    what_if_report_fini(&report);
}

static void test_what_if__a_retry_that_does_not_come_is_a_difference(void **fixture)
{
    (void)fixture;
    write_capture(FAILED_TWICE, 0);
    struct what_if_report report = ask(PRESET_SAFE, "backoff_ms=60000");
    assert_job(&report, 0, "j1: requeue job_failed | nothing backs_off");
    assert_int_equal(report.job_count, 1);
    what_if_report_fini(&report);
}

static void test_what_if__fewer_questions_to_the_same_end_are_no_difference(void **fixture)
{
    (void)fixture;
    write_capture("epoch\n"
                  "policy worker_silent_ms=1000 mass_loss_percent=0\n" HANDED_OFF "run 1000\n"
                  "answer j1 verdict=running\n"
                  "run 4000\n"
                  "answer j1 verdict=completed\n",
                  0);
    struct what_if_report report = ask(PRESET_SAFE, "worker_silent_ms=3000\nmass_loss_percent=0");
    assert_int_equal(report.job_count, 0);
    assert_total(&report, WHAT_IF_ASK, 2, 1);
    assert_total(&report, WHAT_IF_WAIT, 1, 0);
    assert_total(&report, WHAT_IF_COMPLETE, 1, 1);
    what_if_report_fini(&report);
    /* The other one ends it while the captured one waits: what comes later is not counted. */
    report = ask(PRESET_SEED, "worker_silent_ms=1000\nmass_loss_percent=0");
    assert_job(&report, 0, "j1: wait service_running | requeue service_running possible proved");
    assert_total(&report, WHAT_IF_ASK, 1, 1);
    assert_total(&report, WHAT_IF_WAIT, 1, 0);
    assert_total(&report, WHAT_IF_COMPLETE, 0, 0);
    what_if_report_fini(&report);
}

/* --- effects --- */

static void test_what_if__what_is_only_observed_is_not_what_is_done(void **fixture)
{
    (void)fixture;
    write_capture(FAILED_TWICE, 0);
    struct what_if_report report = ask(PRESET_SAFE, "effects=observe");
    assert_int_equal(report.jobs_different, 2);
    assert_job(&report, 0, "j1: requeue job_failed | requeue job_failed observed");
    assert_job(&report, 1, "j2: fail not_retryable | fail not_retryable observed");
    assert_total(&report, WHAT_IF_OBSERVED, 0, 2);
    what_if_report_fini(&report);
}

static void test_what_if__effects_are_done_at_once_whatever_became_of_them(void **fixture)
{
    (void)fixture;
    write_capture("epoch\n"
                  "policy backoff_ms=0\n"
                  "job.started job=j1 worker=w1 attempt=1\n" LOST "settle w1 applied\n"
                  "settle j1 gone\n",
                  0);
    struct what_if_report report = ask(PRESET_SAFE, "backoff_ms=0");
    assert_int_equal(report.job_count, 0);
    assert_total(&report, WHAT_IF_PARK, 0, 0);
    assert_total(&report, WHAT_IF_REQUEUE, 1, 1);
    assert_int_equal(report.reality.outcomes[OUTCOME_GONE], 1);
    assert_int_equal(report.reality.outcomes[OUTCOME_APPLIED], 1);
    what_if_report_fini(&report);
}

static void test_what_if__what_came_of_a_cancel_that_nobody_sent_is_unknown(void **fixture)
{
    (void)fixture;
    write_capture(RUNNING_THEN_COMPLETED, 0);
    struct what_if_report report = ask(PRESET_SAFE, "on_running=cancel");
    assert_job(&report, 0, "j1: wait service_running | cancel service_running unknown");
    assert_total(&report, WHAT_IF_CANCEL, 0, 1);
    assert_total(&report, WHAT_IF_UNKNOWN, 0, 1);
    what_if_report_fini(&report);
}

/* --- the fleet --- */

static void test_what_if__without_a_hold_silence_is_acted_on(void **fixture)
{
    (void)fixture;
    struct buffer lines = {0};
    char line[80];
    buffer_put_text(&lines, "epoch\npolicy worker_silent_ms=1000 mass_loss_min=5 backoff_ms=0\n");
    for (int i = 1; i <= 6; i++) {
        snprintf(line, sizeof(line), "job.started job=j%d worker=w%d attempt=1\n", i, i);
        buffer_put_text(&lines, line);
    }
    buffer_put_text(&lines, "run 1500\n");
    for (int i = 1; i <= 6; i++) {
        snprintf(line, sizeof(line), "job.completed job=j%d worker=w%d attempt=1\n", i, i);
        buffer_put_text(&lines, line);
    }
    buffer_put_text(&lines, "run 500\n");
    buffer_put_byte(&lines, '\0');
    write_capture(lines.data, 0);
    struct what_if_report report =
        ask(PRESET_SAFE, "worker_silent_ms=1000\nmass_loss_percent=0\nbackoff_ms=0");
    assert_int_equal(report.jobs_different, 6);
    for (uint32_t i = 0; i < 6; i++) {
        char wanted[80];
        snprintf(wanted, sizeof(wanted), "j%u: hold mass_loss | requeue worker_silent proved",
                 i + 1);
        assert_job(&report, i, wanted);
    }
    assert_total(&report, WHAT_IF_FLEET_HOLD, 1, 0);
    assert_total(&report, WHAT_IF_HOLD, 6, 0);
    assert_total(&report, WHAT_IF_PROVED_DUPLICATE, 0, 6);
    what_if_report_fini(&report);
    buffer_fini(&lines);
}

static void test_what_if__a_side_far_ahead_is_not_waited_for(void **fixture)
{
    (void)fixture;
    struct buffer lines = {0};
    char line[80];
    buffer_put_text(&lines, "epoch\npolicy backoff_ms=0 job_timeout_ms=0\n");
    for (int i = 1; i <= 70; i++) {
        snprintf(line, sizeof(line), "job.started job=j1 worker=w%d attempt=%d\nrun 250\n", i, i);
        buffer_put_text(&lines, line);
    }
    buffer_put_byte(&lines, '\0');
    write_capture(lines.data, 0);
    struct what_if_report report = ask(PRESET_SAFE, "job_timeout_ms=250\ngrace_ms=0");
    assert_job(&report, 0, "j1: nothing | time_out deadline_passed");
    assert_total(&report, WHAT_IF_TIME_OUT, 0, 1);
    what_if_report_fini(&report);
    buffer_fini(&lines);
}

/* --- where a capture begins --- */

static void test_what_if__what_a_snapshot_holds_open_goes_on(void **fixture)
{
    (void)fixture;
    static const char lines[] =
        "epoch\n"
        "policy backoff_ms=0\n" HANDED_OFF "job.started job=j2 worker=w2 attempt=1\n"
        "job.started job=j3 worker=w3 attempt=1\n" LOST "worker.lost worker=w2\n"
        "answer j1 verdict=running\n"
        "worker.lost worker=w3\n"
        "run 2000\n"
        "answer j1 verdict=completed\n";
    write_capture(lines, 8); /* j1 is asked about, j2's requeue is under way */
    struct what_if_report report = ask(PRESET_SEED, "max_retries=0");
    assert_int_equal(report.first_ordinal, 8);
    assert_int_equal(report.policies, 1);
    assert_int_equal(report.jobs_compared, 2);
    assert_job(&report, 0, "j1: wait service_running | fail retries_exhausted proved");
    assert_job(&report, 1, "j3: requeue worker_lost | fail retries_exhausted");
    what_if_report_fini(&report);
}

static void test_what_if__a_question_of_a_snapshot_without_an_answer_is_open(void **fixture)
{
    (void)fixture;
    write_capture("epoch\npolicy\n" HANDED_OFF LOST "run 2000\n", 5);
    struct what_if_report report = ask(PRESET_SEED, "");
    assert_int_equal(report.jobs_compared, 0);
    assert_total(&report, WHAT_IF_UNKNOWN, 0, 0);
    what_if_report_fini(&report);
}

static void test_what_if__without_a_captured_policy_the_other_holds_from_the_start(void **fixture)
{
    (void)fixture;
    write_capture("epoch\n"
                  "job.started job=j1 worker=w1 attempt=1\n" LOST "run 2000\n",
                  0);
    struct what_if_report report = ask(PRESET_SAFE, "backoff_ms=0");
    assert_int_equal(report.policies, 0);
    assert_job(&report, 0, "j1: requeue worker_lost observed | requeue worker_lost");
    what_if_report_fini(&report);
}

/* --- the policy --- */

static bool holds(const struct buffer *text, const char *part)
{
    return span_holds(buffer_span(text), span_of(part));
}

static void test_what_if__facts_that_are_not_told_are_as_captured(void **fixture)
{
    (void)fixture;
    write_capture("epoch\n"
                  "policy volatile=comfyui queue.failures=salvor\n" HANDED_OFF LOST
                  "answer j1 verdict=not_found\n",
                  0);
    struct what_if_report report = ask(PRESET_SAFE, "");
    assert_int_equal(report.job_count, 0);
    assert_total(&report, WHAT_IF_PARK, 1, 1);
    assert_true(span_is(buffer_span(&report.kept), "comfyui"));
    assert_true(span_equal(buffer_span(&report.captured_text), buffer_span(&report.other_text)));
    what_if_report_fini(&report);
    struct policy policy;
    policy_preset(PRESET_SAFE, &policy);
    assert_true(policy_set_facts(&policy, SPAN("comfyui"), (struct policy_facts){0}));
    report = ask_policy(&policy);
    assert_job(&report, 0, "j1: park service_forgot | nothing backs_off");
    assert_int_equal(report.kept.size, 0);
    assert_true(holds(&report.other_text, "service.comfyui.volatile=false\n"));
    what_if_report_fini(&report);
}

static void test_what_if__later_captured_policies_are_not_the_others(void **fixture)
{
    (void)fixture;
    write_capture("epoch\n"
                  "policy backoff_ms=0\n"
                  "job.started job=j1 worker=w1 attempt=1\n" LOST "policy max_retries=0\n"
                  "job.started job=j2 worker=w2 attempt=1\n"
                  "worker.lost worker=w2\n",
                  0);
    struct what_if_report report = ask(PRESET_SAFE, "backoff_ms=0");
    assert_int_equal(report.policies, 2);
    assert_int_equal(report.jobs_compared, 2);
    assert_job(&report, 0, "j2: fail retries_exhausted | requeue worker_lost");
    assert_int_equal(report.job_count, 1);
    assert_true(holds(&report.captured_text, "max_retries=0\n"));
    what_if_report_fini(&report);
}

/* --- the work itself --- */

static bool stop(void *payload, uint64_t done, uint64_t total)
{
    uint64_t *steps = payload;
    (void)done;
    return total == 0 ? true : --*steps > 0;
}

static void test_what_if__stops_when_it_is_asked_to(void **fixture)
{
    (void)fixture;
    write_capture("epoch\npolicy\nrun 1050000\n", 0);
    struct policy policy;
    uint64_t steps = 1;
    struct what_if_report report = {0};
    struct error error = {0};
    policy_preset(PRESET_SAFE, &policy);
    struct what_if_config config = {
        .capture = capture, .policy = &policy, .step = stop, .payload = &steps};
    assert_false(what_if_run(&config, &report, &error));
    assert_int_equal(error.code, ERROR_STOPPED);
    assert_int_equal(steps, 0);
    what_if_report_fini(&report);
}

static void test_what_if__a_capture_that_is_not_there_is_an_error(void **fixture)
{
    (void)fixture;
    struct policy policy;
    struct what_if_report report = {0};
    struct error error = {0};
    policy_preset(PRESET_SAFE, &policy);
    struct what_if_config config = {.capture = folder_path(folder, "none"), .policy = &policy};
    assert_false(what_if_run(&config, &report, &error));
    assert_int_not_equal(error.code, ERROR_NONE);
    what_if_report_fini(&report);
}

static uint64_t number_in(struct database *database, const char *sql)
{
    struct error error = {0};
    uint64_t number = 0;
    assert_true(database_number(database, sql, &number, &error));
    return number;
}

static void test_what_if__tables_hold_what_the_report_tells(void **fixture)
{
    (void)fixture;
    const char *path = folder_path(folder, "out.db");
    struct error error = {0};
    write_capture(RUNNING_THEN_COMPLETED, 0);
    struct what_if_report report = ask(PRESET_SEED, "");
    assert_true(what_if_record(&report, path, &error));
    assert_true(what_if_record(&report, path, &error)); /* It is made anew. */
    what_if_report_fini(&report);
    struct database *database = database_open(path, DATABASE_READ, &error);
    assert_non_null(database);
    assert_int_equal(number_in(database, "SELECT count(*) FROM what_if_total"),
                     WHAT_IF_TOTAL_COUNT);
    assert_int_equal(number_in(database, "SELECT other - captured FROM what_if_total "
                                         "WHERE name = 'proved_duplicate'"),
                     1);
    assert_int_equal(
        number_in(database,
                  "SELECT count(*) FROM what_if_job WHERE job = 'j1' AND ended = 'different' AND "
                  "captured_action = 'wait' AND captured_proved = 0 AND other_action = 'requeue' "
                  "AND other_reason = 'service_running' AND other_mode = 'apply' AND other_proved "
                  "= 1 AND completed_at_ms = 15 AND other_attempt = 1 AND "
                  "other_evidence ->> '$.measures.possible_duplicate' = 1"),
        1);
    database_close(database);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_if__a_requeue_of_what_was_completed_later_is_a_proved_duplicate),
        cmocka_unit_test(test_what_if__a_workers_own_word_proves_a_duplicate_too),
        cmocka_unit_test(test_what_if__another_attempts_completion_proves_nothing),
        cmocka_unit_test(test_what_if__a_failure_of_what_was_completed_is_told),
        cmocka_unit_test(test_what_if__a_question_that_nobody_asked_is_unknown),
        cmocka_unit_test(test_what_if__where_the_answers_end_the_job_is_left_as_unknown),
        cmocka_unit_test(test_what_if__a_question_asked_before_tells_its_last_answer),
        cmocka_unit_test(test_what_if__a_question_open_at_the_end_is_not_unknown),
        cmocka_unit_test(test_what_if__an_answer_of_a_question_asked_sooner_comes_when_it_came),
        cmocka_unit_test(test_what_if__a_refused_policy_is_nobodys),
        cmocka_unit_test(test_what_if__the_same_policy_again_judges_what_is_owed_on_both_sides),
        cmocka_unit_test(test_what_if__a_snapshots_policy_is_put_in_force_on_both_sides),
        cmocka_unit_test(test_what_if__a_cancel_takes_the_outcome_that_it_had),
        cmocka_unit_test(test_what_if__another_back_off_is_a_delay_and_no_difference),
        cmocka_unit_test(test_what_if__a_retry_that_does_not_come_is_a_difference),
        cmocka_unit_test(test_what_if__fewer_questions_to_the_same_end_are_no_difference),
        cmocka_unit_test(test_what_if__what_is_only_observed_is_not_what_is_done),
        cmocka_unit_test(test_what_if__effects_are_done_at_once_whatever_became_of_them),
        cmocka_unit_test(test_what_if__what_came_of_a_cancel_that_nobody_sent_is_unknown),
        cmocka_unit_test(test_what_if__without_a_hold_silence_is_acted_on),
        cmocka_unit_test(test_what_if__a_side_far_ahead_is_not_waited_for),
        cmocka_unit_test(test_what_if__what_a_snapshot_holds_open_goes_on),
        cmocka_unit_test(test_what_if__a_question_of_a_snapshot_without_an_answer_is_open),
        cmocka_unit_test(test_what_if__without_a_captured_policy_the_other_holds_from_the_start),
        cmocka_unit_test(test_what_if__facts_that_are_not_told_are_as_captured),
        cmocka_unit_test(test_what_if__later_captured_policies_are_not_the_others),
        cmocka_unit_test(test_what_if__stops_when_it_is_asked_to),
        cmocka_unit_test(test_what_if__a_capture_that_is_not_there_is_an_error),
        cmocka_unit_test(test_what_if__tables_hold_what_the_report_tells),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
