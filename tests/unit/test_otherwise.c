/* SPDX-License-Identifier: MIT
 * What would have had to be different: every decision that a scenario or a situation gives has a
 * sentence, and what the sentences say of the policy is what the reducers do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "reducers/state.h"
#include "replay/otherwise.h"
#include "tests/lib/standing_replies.h"

struct hearing {
    struct story story;
    struct standing_replies replies;
    bool is_situation; /* a scenario replies by itself */
    bool is_known[ACTION_COUNT][REASON_COUNT];
    /* One decision that is waited for. */
    enum action action;
    enum reason reason;
    struct buffer sentences; /* of all decisions like it */
    bool is_met;
};

/* The effect of the decision just added. */
static void add_effect(struct story *story, const struct told_decision *told,
                       const struct fold_output *output)
{
    for (uint32_t i = 0; i < output->change_count; i++) {
        const struct effect_change *change = &output->changes[i];
        if (span_equal(change->decision, told->row.id)) {
            struct audit_effect effect = {.id = change->id,
                                          .outcome = span_of(effect_outcome_text(change->outcome))};
            story_add_effect(story, story->decision_count - 1, &effect);
        }
    }
}

static void hear(struct hearing *hearing, struct scenario *scenario)
{
    struct state_summary summary = state_summary(scenario->state);
    const struct fold_output *output = &scenario->output;
    (void)story_add_policy(&hearing->story, summary.policy_hash, summary.policy_text);
    for (uint32_t i = 0; i < output->decision_count; i++) {
        const struct decision *row = &output->decisions[i];
        struct buffer text = {0};
        const struct told_decision *told = story_add_decision(&hearing->story, row);
        assert_non_null(told);
        add_effect(&hearing->story, told, output);
        if (!otherwise_put(&hearing->story, told, 0, &text)) {
            fail_msg("%s: no words for %s %s", scenario->path, action_text(row->action),
                     reason_code(row->reason));
        }
        hearing->is_known[row->action][row->reason] = true;
        bool is_of_fleet = row->action == ACTION_HOLD && row->job.size == 0;
        if (row->action == hearing->action && row->reason == hearing->reason && !is_of_fleet) {
            hearing->is_met = true;
            buffer_put_span(&hearing->sentences, buffer_span(&text));
            buffer_put_byte(&hearing->sentences, '\n');
            (void)otherwise_put(&hearing->story, told, 1, &hearing->sentences);
            buffer_put_byte(&hearing->sentences, '\n');
        }
        assert_false(otherwise_put(&hearing->story, told, OTHERWISE_MAX, &text));
        /* Nothing is left blank. */
        assert_null(memchr(text.data, '{', text.size));
        buffer_fini(&text);
    }
}

static void on_rows(struct scenario *scenario)
{
    struct hearing *hearing = scenario->user;
    hear(hearing, scenario);
    if (hearing->is_situation) {
        standing_replies_give(&hearing->replies, scenario);
    }
}

/* Plays the lines up to `----`; a `policy` line gets `more` behind it. */
static void play_text(struct hearing *hearing, const char *path, struct span rest,
                      enum policy_preset preset, const char *more)
{
    struct scenario scenario;
    scenario_init(&scenario, path, on_rows);
    scenario.user = hearing;
    scenario.preset = preset;
    hearing->is_situation = strstr(path, "situations/") != NULL;
    hearing->replies = standing_replies_init();
    hearing->story = (struct story){.has_audit = false};
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n'), word = line;
        scenario.line++;
        if (span_is(line, "----")) {
            break;
        }
        if (span_is(span_cut(&word, ' '), "policy")) {
            struct buffer longer = {0};
            buffer_put_span(&longer, line);
            buffer_put_text(&longer, more);
            line = arena_copy(&scenario.arena, buffer_span(&longer));
            buffer_fini(&longer);
        }
        if (line.size > 0 && line.data[0] != '#') {
            standing_replies_line(&hearing->replies, &scenario, line);
        }
    }
    scenario_fini(&scenario);
    story_fini(&hearing->story);
}

static void play(struct hearing *hearing, const char *path, enum policy_preset preset,
                 const char *more)
{
    struct buffer text = {0};
    struct error error = {0};
    if (!scenario_read_file(path, &text, &error)) {
        fail_msg("%s", error.message);
    }
    play_text(hearing, path, buffer_span(&text), preset, more);
    buffer_fini(&text);
}

static uint32_t play_all(struct hearing *hearing, const char *pattern, enum policy_preset preset)
{
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        play(hearing, found.gl_pathv[i], preset, "");
    }
    uint32_t count = (uint32_t)found.gl_pathc;
    globfree(&found);
    return count;
}

static void test_otherwise__every_decision_has_words(void **fixture)
{
    (void)fixture;
    static struct hearing hearing;
    assert_true(play_all(&hearing, "tests/scenarios/*.txt", PRESET_SAFE) > 200);
    assert_true(play_all(&hearing, "tests/situations/*.txt", PRESET_SAFE) > 40);
    assert_true(play_all(&hearing, "tests/situations/*.txt", PRESET_SEED) > 40);
    uint32_t pairs = 0;
    for (int action = 0; action < ACTION_COUNT; action++) {
        for (int reason = 0; reason < REASON_COUNT; reason++) {
            pairs += hearing.is_known[action][reason];
        }
    }
    assert_true(pairs > 80);
}

#define LINES(policy, lines) .situation = "epoch\npolicy" policy "\n" lines
#define CLAIMED                     \
    "worker.registered worker=w1\n" \
    "job.claimed job=j1 worker=w1 attempt=1 claim=c1\n"
#define HANDED_OFF      "job.handed_off job=j1 worker=w1 attempt=1 service=s service_job=x\n"
#define HANDED          CLAIMED HANDED_OFF
#define GONE            "worker.lost worker=w1\n"
#define LOST            HANDED GONE
#define ENDED           "job.failed job=j1 worker=w1 attempt=1\n"
#define ANSWER(verdict) "answer j1 verdict=" verdict "\n"
#define CANCEL(outcome) ANSWER("running") "settle j1 " outcome "\n"
#define REFUSED         CANCEL("refused") ANSWER("running")
#define BEATING         "worker.registered worker=w1 heartbeat_ms=1000\nworker.registered worker=w2\n"
#define CLAIMED_BEATING BEATING "job.claimed job=j1 worker=w1 attempt=1 claim=c1\n"
#define SILENT(ms)      CLAIMED_BEATING "run " ms "\n"
#define SILENT_HANDED   CLAIMED_BEATING HANDED_OFF "run 3000\n"
#define DOUBTED         " mass_loss_min=1 mass_loss_percent=1"

/* The situation gives the decision; what the sentence says, done, gives the other: NONE, when there
 * is none. */
static const struct remedy {
    const char *situation; /* or the lines themselves */
    enum action action;
    enum reason reason;
    const char *sentence; /* a part of it */
    const char *policy;   /* what it says */
    enum action other_action;
    enum reason other_reason;
    const char *short_of; /* of the policy, just not enough; NULL: there is no such */
    const char *line, *instead;
    bool is_unsaid; /* the sentence would be wrong here */
} remedies[] = {
    {.situation = "127_its_worker_is_lost_and_the_service_may_have_forgotten_it",
     ACTION_PARK,
     REASON_SERVICE_FORGOT,
     "with on_forgotten=requeue, the retry rules",
     " on_forgotten=requeue",
     ACTION_REQUEUE,
     REASON_SERVICE_FORGOT},
    {.situation =
         "128_its_worker_is_lost_and_the_service_may_have_forgotten_it_but_it_is_idempotent",
     ACTION_WAIT,
     REASON_SERVICE_FORGOT,
     "with backoff_ms=0 it would have gone back",
     " backoff_ms=0",
     ACTION_REQUEUE,
     REASON_SERVICE_FORGOT},
    {.situation = "123_its_worker_is_lost_and_the_service_runs_it_until_it_is_done",
     ACTION_WAIT,
     REASON_SERVICE_RUNNING,
     "with on_running=cancel it would have been cancelled there",
     " on_running=cancel",
     ACTION_CANCEL,
     REASON_SERVICE_RUNNING},
    {.situation = "120_its_worker_is_lost_and_the_service_completed_it",
     ACTION_COMPLETE,
     REASON_SERVICE_COMPLETED,
     "(no hand-off, or service_check_percent=0), the retry rules",
     " service_check_percent=0",
     ACTION_REQUEUE,
     REASON_WORKER_LOST},
    {.situation = "126_its_worker_is_lost_and_the_service_does_not_know_it",
     ACTION_WAIT,
     REASON_SERVICE_NOT_FOUND,
     "with on_not_found=park it would have been parked",
     " on_not_found=park",
     ACTION_PARK,
     REASON_SERVICE_NOT_FOUND},
    {.situation = "130_its_worker_is_lost_and_the_service_cannot_be_reached",
     ACTION_REQUEUE,
     REASON_SERVICE_UNREACHABLE,
     "with on_unreachable=park it would have been parked",
     " on_unreachable=park",
     ACTION_PARK,
     REASON_SERVICE_UNREACHABLE},
    {.situation = "130_its_worker_is_lost_and_the_service_cannot_be_reached",
     ACTION_ASK,
     REASON_SERVICE_UNREACHABLE,
     "with an ask_limit of 1 it would not have been asked again",
     " ask_limit=1",
     ACTION_REQUEUE,
     REASON_SERVICE_UNREACHABLE},
    {.situation = "150_its_worker_is_lost_and_its_retries_are_used_up",
     ACTION_FAIL,
     REASON_RETRIES_EXHAUSTED,
     "with a max_retries of 4 or more",
     " max_retries=4",
     ACTION_WAIT,
     REASON_WORKER_LOST},
    {.situation = "151_the_third_worker_in_a_row_is_lost_while_it_runs_the_job",
     ACTION_FAIL,
     REASON_POISON,
     "with a poison_after above 3, or 0 (off)",
     " poison_after=4",
     ACTION_REQUEUE,
     REASON_WORKER_LOST},
    {.situation = "160_its_deadline_passes_and_no_service_has_it",
     ACTION_TIME_OUT,
     REASON_DEADLINE_PASSED,
     "with on_timeout=retry the retry rules",
     " on_timeout=retry",
     ACTION_REQUEUE,
     REASON_DEADLINE_PASSED},
    {.situation = "161_its_deadline_passes_and_the_service_stops_it",
     ACTION_CANCEL,
     REASON_DEADLINE_PASSED,
     "or with service_check_percent=0, on_timeout=time_out",
     " service_check_percent=0",
     ACTION_TIME_OUT,
     REASON_DEADLINE_PASSED},
    {.situation = "141_its_worker_says_it_failed_and_the_queue_does_not_retry",
     ACTION_REQUEUE,
     REASON_JOB_FAILED,
     "with queue.failures=queue it would have been left",
     NULL,
     ACTION_NONE,
     REASON_NONE},
    {.situation = "190_five_workers_fall_silent_at_once_and_come_back",
     ACTION_HOLD,
     REASON_MASS_LOSS,
     "with mass_loss_percent=0",
     " mass_loss_percent=0",
     ACTION_REQUEUE,
     REASON_WORKER_SILENT},
    {.situation = "220_effects_are_only_observed",
     ACTION_REQUEUE,
     REASON_WORKER_LOST,
     "with effects=apply",
     NULL,
     ACTION_NONE,
     REASON_NONE},
    {.situation = "125_its_worker_is_lost_and_the_service_has_it_in_its_queue",
     ACTION_WAIT,
     REASON_SERVICE_PENDING,
     "with on_running=cancel it would have been cancelled there",
     " on_running=cancel",
     ACTION_CANCEL,
     REASON_SERVICE_PENDING},
    {.situation = "123_its_worker_is_lost_and_the_service_runs_it_until_it_is_done",
     ACTION_WAIT,
     REASON_SERVICE_RUNNING,
     "with on_running=requeue tried again",
     " on_running=requeue",
     ACTION_REQUEUE,
     REASON_SERVICE_RUNNING},
    {.situation = "132_its_worker_is_lost_and_nobody_told_how_to_ask_its_service",
     ACTION_WAIT,
     REASON_NO_PROFILE,
     "with on_unreachable=park",
     " on_unreachable=park",
     ACTION_PARK,
     REASON_NO_PROFILE},
    {.situation = "170_it_is_claimed_and_never_started",
     ACTION_WAIT,
     REASON_CLAIM_TIMED_OUT,
     "with claim_timeout_ms=0",
     NULL,
     ACTION_NONE,
     REASON_NONE},
    /* Asked again. */
    {LINES(" ask_limit=0 backoff_ms=0", LOST ANSWER("unreachable") "run 2500\n"), ACTION_REQUEUE,
     REASON_SERVICE_UNREACHABLE, "with an ask_limit above 1 it", " ask_limit=2", ACTION_ASK,
     REASON_SERVICE_UNREACHABLE, .short_of = " ask_limit=1"},
    {LINES(" ask_limit=0 backoff_ms=0", LOST ANSWER("inconclusive") "run 2500\n"), ACTION_REQUEUE,
     REASON_SERVICE_INCONCLUSIVE, "with an ask_limit above 1 it", " ask_limit=2", ACTION_ASK,
     REASON_SERVICE_INCONCLUSIVE, .short_of = " ask_limit=1"},
    {LINES(" on_unreachable=park ask_limit=1", LOST ANSWER("unreachable")), ACTION_PARK,
     REASON_SERVICE_UNREACHABLE, "with on_unreachable=requeue", " on_unreachable=requeue",
     ACTION_WAIT, REASON_SERVICE_UNREACHABLE},
    {LINES(" service_check_percent=0", LOST), ACTION_WAIT, REASON_WORKER_LOST,
     "were service_check_percent (0) to include", " service_check_percent=100", ACTION_ASK,
     REASON_WORKER_LOST},
    {LINES("", CLAIMED GONE), ACTION_WAIT, REASON_WORKER_LOST, "had it been handed off to a", "",
     ACTION_ASK, REASON_WORKER_LOST, .line = GONE, .instead = HANDED_OFF GONE},
    {LINES(" service_check_percent=0", CLAIMED GONE), ACTION_WAIT, REASON_WORKER_LOST,
     "had it been handed off", "", ACTION_WAIT, REASON_WORKER_LOST, .line = GONE,
     .instead = HANDED_OFF GONE, .is_unsaid = true},
    /* What it says. */
    {LINES(" on_running=cancel", LOST CANCEL("accepted") ANSWER("completed")), ACTION_COMPLETE,
     REASON_SERVICE_COMPLETED, "failed, cancelled or not_found, what the cancel was for", "",
     ACTION_WAIT, REASON_SERVICE_CANCELLED, .line = "completed", .instead = "not_found"},
    {LINES(" on_running=cancel", LOST CANCEL("accepted") ANSWER("completed")), ACTION_COMPLETE,
     REASON_SERVICE_COMPLETED, "on_not_found", "", ACTION_WAIT, REASON_SERVICE_CANCELLED,
     .line = "completed", .instead = "failed", .is_unsaid = true},
    {LINES(" on_running=cancel", LOST CANCEL("already_final") ANSWER("completed")), ACTION_COMPLETE,
     REASON_SERVICE_COMPLETED, "it would not have been completed", "", ACTION_WAIT,
     REASON_SERVICE_FAILED, .line = "completed", .instead = "failed"},
    {LINES("", LOST ANSWER("completed")), ACTION_COMPLETE, REASON_SERVICE_COMPLETED,
     "on_not_found=requeue would have decided\n", "", ACTION_WAIT, REASON_SERVICE_NOT_FOUND,
     .line = "completed", .instead = "not_found"},
    {LINES(" service.s.retention_ms=1000", LOST ANSWER("completed")), ACTION_COMPLETE,
     REASON_SERVICE_COMPLETED, "on_not_found=requeue would have decided within the 1 s", "",
     ACTION_WAIT, REASON_SERVICE_NOT_FOUND, .line = "completed", .instead = "not_found"},
    {LINES(" service.s.retention_ms=1000", HANDED "run 3000\n" GONE ANSWER("completed")),
     ACTION_COMPLETE, REASON_SERVICE_COMPLETED, "on_forgotten=park after that", "", ACTION_PARK,
     REASON_SERVICE_FORGOT, .line = "completed", .instead = "not_found"},
    {LINES(" volatile=s", LOST ANSWER("completed")), ACTION_COMPLETE, REASON_SERVICE_COMPLETED,
     "on_forgotten=park would have decided, since s may", "", ACTION_PARK, REASON_SERVICE_FORGOT,
     .line = "completed", .instead = "not_found"},
    {LINES(" service.s.retention_ms=1000", HANDED "run 3000\n" GONE ANSWER("not_found")),
     ACTION_PARK, REASON_SERVICE_FORGOT, "its retention_ms not told or not over", "", ACTION_WAIT,
     REASON_SERVICE_NOT_FOUND, .line = "=1000", .instead = "=3000"},
    {LINES(" on_not_found=park", LOST ANSWER("not_found")), ACTION_PARK, REASON_SERVICE_NOT_FOUND,
     "with on_not_found=requeue", " on_not_found=requeue", ACTION_WAIT, REASON_SERVICE_NOT_FOUND},
    {LINES(" on_running=requeue backoff_ms=0", LOST ANSWER("running")), ACTION_REQUEUE,
     REASON_SERVICE_RUNNING, "with on_running=wait", " on_running=wait", ACTION_WAIT,
     REASON_SERVICE_RUNNING},
    {LINES(" on_running=cancel", LOST ANSWER("running")), ACTION_CANCEL, REASON_SERVICE_RUNNING,
     "with on_running=wait", " on_running=wait", ACTION_WAIT, REASON_SERVICE_RUNNING},
    {LINES(" on_running=cancel", LOST ANSWER("running") ENDED "run 1500\n"), ACTION_REQUEUE,
     REASON_SERVICE_CANCELLED, "had its worker not told that it ended", "", ACTION_CANCEL,
     REASON_SERVICE_RUNNING, .line = ENDED, .instead = ""},
    /* Its time, and the retry rules. */
    {LINES(" job_timeout_ms=1000", CLAIMED "run 1000\n"), ACTION_TIME_OUT, REASON_DEADLINE_PASSED,
     "with a time-out above 1 s", " job_timeout_ms=1001", ACTION_NONE, REASON_NONE,
     .short_of = " job_timeout_ms=1000"},
    {LINES(" on_timeout=retry backoff_ms=0 job_timeout_ms=1000", CLAIMED "run 1000\n"),
     ACTION_REQUEUE, REASON_DEADLINE_PASSED, "with on_timeout=time_out", " on_timeout=time_out",
     ACTION_TIME_OUT, REASON_DEADLINE_PASSED},
    {LINES(" claim_timeout_ms=1000 backoff_ms=0", CLAIMED "run 1000\n"), ACTION_REQUEUE,
     REASON_CLAIM_TIMED_OUT, "with claim_timeout_ms=0 (it is 1000)", " claim_timeout_ms=0",
     ACTION_NONE, REASON_NONE},
    {LINES(" backoff_ms=0", CLAIMED GONE), ACTION_REQUEUE, REASON_WORKER_LOST,
     "with a max_retries below 1", " max_retries=0", ACTION_FAIL, REASON_RETRIES_EXHAUSTED,
     .short_of = " max_retries=1"},
    /* The worker, and the fleet. */
    {LINES("", SILENT("3000")), ACTION_RELEASE, REASON_WORKER_SILENT,
     "with a missed_heartbeats above 3", " missed_heartbeats=4", ACTION_NONE, REASON_NONE,
     .short_of = " missed_heartbeats=3"},
    {LINES("", SILENT("3000")), ACTION_WAIT, REASON_WORKER_SILENT,
     "with backoff_ms=0 it would have gone back to the queue at once\n", " backoff_ms=0",
     ACTION_REQUEUE, REASON_WORKER_SILENT},
    {LINES(DOUBTED, SILENT("3000")), ACTION_WAIT, REASON_WORKER_SILENT,
     "with backoff_ms=0 it would have been held", " backoff_ms=0", ACTION_HOLD, REASON_MASS_LOSS},
    {LINES(" on_running=cancel", SILENT_HANDED REFUSED), ACTION_WAIT, REASON_SERVICE_RUNNING,
     "with backoff_ms=0 it would have gone back to the queue at once, unless", " backoff_ms=0",
     ACTION_REQUEUE, REASON_SERVICE_RUNNING},
    {LINES(" on_running=cancel", SILENT_HANDED REFUSED), ACTION_WAIT, REASON_SERVICE_RUNNING,
     "unless the fleet is held", " backoff_ms=0", ACTION_HOLD, REASON_OPERATOR, .line = "settle",
     .instead = "operator.hold who=ann why=test\nsettle"},
    {LINES(DOUBTED " backoff_ms=0", SILENT("3250") GONE), ACTION_RELEASE, REASON_WORKER_LOST,
     "lost, what its silence had led to would have gone on", "", ACTION_HOLD, REASON_MASS_LOSS,
     .line = GONE, .instead = ""},
    {LINES(DOUBTED " backoff_ms=0", SILENT("3250") "worker.stopped worker=w1\n"), ACTION_RELEASE,
     REASON_WORKER_STOPPED, "what its silence had led to would have gone on", NULL, ACTION_NONE,
     REASON_NONE},
    {LINES(DOUBTED " hold_max_ms=900", SILENT("4000")), ACTION_RESUME, REASON_HOLD_EXPIRED,
     "with a hold_max_ms above 1 s (it is 900)", " hold_max_ms=1001", ACTION_NONE, REASON_NONE,
     .short_of = " hold_max_ms=1000"},
};

/* What decides `action` for `reason` is heard; `is_other`: with the line that is said instead. */
static void play_remedy(struct hearing *hearing, const struct remedy *remedy, enum action action,
                        enum reason reason, const char *policy, bool is_other)
{
    *hearing = (struct hearing){.action = action, .reason = reason};
    if (strchr(remedy->situation, '\n') == NULL) {
        char path[256];
        snprintf(path, sizeof(path), "tests/situations/%s.txt", remedy->situation);
        play(hearing, path, PRESET_SAFE, policy);
    } else {
        struct buffer text = {0};
        const char *at = remedy->situation;
        const char *line = is_other && remedy->line != NULL ? strstr(at, remedy->line) : NULL;
        if (line != NULL) {
            buffer_put(&text, at, (size_t)(line - at));
            buffer_put_text(&text, remedy->instead);
            at = line + strlen(remedy->line);
        }
        buffer_put_text(&text, at);
        play_text(hearing, "lines of a remedy", buffer_span(&text), PRESET_SAFE, policy);
        buffer_fini(&text);
    }
    buffer_put_byte(&hearing->sentences, '\0');
}

static bool is_met(const struct remedy *remedy, enum action action, enum reason reason,
                   const char *policy, bool is_other)
{
    static struct hearing hearing;
    play_remedy(&hearing, remedy, action, reason, policy, is_other);
    buffer_fini(&hearing.sentences);
    return hearing.is_met;
}

static void check_other(const struct remedy *remedy)
{
    const char *policy = remedy->policy;
    enum action other = remedy->other_action;
    if (other != ACTION_NONE && !is_met(remedy, other, remedy->other_reason, policy, true)) {
        fail_msg("%s: with%s there is no %s %s", remedy->situation, policy, action_text(other),
                 reason_code(remedy->other_reason));
    }
    /* And what was decided before is not decided then; a back-off is a wait for the same reason. */
    if (remedy->action != ACTION_WAIT &&
        is_met(remedy, remedy->action, remedy->reason, policy, true)) {
        fail_msg("%s: with%s there still is %s %s", remedy->situation, policy,
                 action_text(remedy->action), reason_code(remedy->reason));
    }
    if (remedy->short_of != NULL &&
        !is_met(remedy, remedy->action, remedy->reason, remedy->short_of, false)) {
        fail_msg("%s: with%s already there is no %s %s", remedy->situation, remedy->short_of,
                 action_text(remedy->action), reason_code(remedy->reason));
    }
}

static void test_otherwise__what_it_says_is_what_the_reducers_do(void **fixture)
{
    (void)fixture;
    static struct hearing hearing;
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
        const struct remedy *remedy = &remedies[i];
        play_remedy(&hearing, remedy, remedy->action, remedy->reason, "", false);
        bool is_said = strstr(hearing.sentences.data, remedy->sentence) != NULL;
        if (!hearing.is_met || is_said == remedy->is_unsaid) {
            fail_msg("%s: \"%s\" is %ssaid, but \"%s\"", remedy->situation, remedy->sentence,
                     is_said ? "" : "not ", hearing.sentences.data);
        }
        buffer_fini(&hearing.sentences);
        if (remedy->policy != NULL) {
            check_other(remedy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_otherwise__every_decision_has_words),
        cmocka_unit_test(test_otherwise__what_it_says_is_what_the_reducers_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
