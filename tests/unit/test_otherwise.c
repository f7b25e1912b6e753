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
        if (row->action == hearing->action && row->reason == hearing->reason) {
            hearing->is_met = true;
            buffer_put_span(&hearing->sentences, buffer_span(&text));
            (void)otherwise_put(&hearing->story, told, 1, &hearing->sentences);
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

/* Plays the file up to `----`; its `policy` line gets `more` behind it. */
static void play(struct hearing *hearing, const char *path, enum policy_preset preset,
                 const char *more)
{
    struct buffer text = {0};
    struct scenario scenario;
    scenario_init(&scenario, path, on_rows);
    scenario.user = hearing;
    scenario.preset = preset;
    hearing->is_situation = strstr(path, "situations/") != NULL;
    hearing->replies = standing_replies_init();
    hearing->story = (struct story){.has_audit = false};
    struct error error = {0};
    if (!scenario_read_file(path, &text, &error)) {
        fail_msg("%s", error.message);
    }
    for (struct span rest = buffer_span(&text); rest.size > 0;) {
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

/* The situation gives the decision; what the sentence says of the policy, done, gives the other. */
static const struct remedy {
    const char *situation;
    enum action action;
    enum reason reason;
    const char *sentence; /* a part of it */
    const char *policy;   /* what it says */
    enum action other_action;
    enum reason other_reason;
} remedies[] = {
    {"127_its_worker_is_lost_and_the_service_may_have_forgotten_it", ACTION_PARK,
     REASON_SERVICE_FORGOT, "with on_forgotten=requeue, the retry rules", " on_forgotten=requeue",
     ACTION_REQUEUE, REASON_SERVICE_FORGOT},
    {"128_its_worker_is_lost_and_the_service_may_have_forgotten_it_but_it_is_idempotent",
     ACTION_WAIT, REASON_SERVICE_FORGOT, "with backoff_ms=0 it would have gone back",
     " backoff_ms=0", ACTION_REQUEUE, REASON_SERVICE_FORGOT},
    {"123_its_worker_is_lost_and_the_service_runs_it_until_it_is_done", ACTION_WAIT,
     REASON_SERVICE_RUNNING, "with on_running=cancel it would have been cancelled there",
     " on_running=cancel", ACTION_CANCEL, REASON_SERVICE_RUNNING},
    {"120_its_worker_is_lost_and_the_service_completed_it", ACTION_COMPLETE,
     REASON_SERVICE_COMPLETED, "(no hand-off, or service_check_percent=0), the retry rules",
     " service_check_percent=0", ACTION_REQUEUE, REASON_WORKER_LOST},
    {"126_its_worker_is_lost_and_the_service_does_not_know_it", ACTION_WAIT,
     REASON_SERVICE_NOT_FOUND, "with on_not_found=park it would have been parked",
     " on_not_found=park", ACTION_PARK, REASON_SERVICE_NOT_FOUND},
    {"130_its_worker_is_lost_and_the_service_cannot_be_reached", ACTION_REQUEUE,
     REASON_SERVICE_UNREACHABLE, "with on_unreachable=park it would have been parked",
     " on_unreachable=park", ACTION_PARK, REASON_SERVICE_UNREACHABLE},
    {"130_its_worker_is_lost_and_the_service_cannot_be_reached", ACTION_ASK,
     REASON_SERVICE_UNREACHABLE, "with an ask_limit of 1 it would not have been asked again",
     " ask_limit=1", ACTION_REQUEUE, REASON_SERVICE_UNREACHABLE},
    {"150_its_worker_is_lost_and_its_retries_are_used_up", ACTION_FAIL, REASON_RETRIES_EXHAUSTED,
     "with a max_retries of 4 or more", " max_retries=4", ACTION_WAIT, REASON_WORKER_LOST},
    {"151_the_third_worker_in_a_row_is_lost_while_it_runs_the_job", ACTION_FAIL, REASON_POISON,
     "with a poison_after above 3, or 0 (off)", " poison_after=4", ACTION_REQUEUE,
     REASON_WORKER_LOST},
    {"160_its_deadline_passes_and_no_service_has_it", ACTION_TIME_OUT, REASON_DEADLINE_PASSED,
     "with on_timeout=retry the retry rules", " on_timeout=retry", ACTION_REQUEUE,
     REASON_DEADLINE_PASSED},
    {"161_its_deadline_passes_and_the_service_stops_it", ACTION_CANCEL, REASON_DEADLINE_PASSED,
     "or with service_check_percent=0, on_timeout=time_out", " service_check_percent=0",
     ACTION_TIME_OUT, REASON_DEADLINE_PASSED},
    {"141_its_worker_says_it_failed_and_the_queue_does_not_retry", ACTION_REQUEUE,
     REASON_JOB_FAILED, "with queue.failures=queue it would have been left", NULL, ACTION_NONE,
     REASON_NONE},
    {"190_five_workers_fall_silent_at_once_and_come_back", ACTION_HOLD, REASON_MASS_LOSS,
     "with mass_loss_percent=0", " mass_loss_percent=0", ACTION_REQUEUE, REASON_WORKER_SILENT},
    {"220_effects_are_only_observed", ACTION_REQUEUE, REASON_WORKER_LOST, "with effects=apply",
     NULL, ACTION_NONE, REASON_NONE},
};

static void play_situation(struct hearing *hearing, const struct remedy *remedy, bool is_remedied)
{
    char path[256];
    *hearing = (struct hearing){
        .action = is_remedied ? remedy->other_action : remedy->action,
        .reason = is_remedied ? remedy->other_reason : remedy->reason,
    };
    snprintf(path, sizeof(path), "tests/situations/%s.txt", remedy->situation);
    play(hearing, path, PRESET_SAFE, is_remedied ? remedy->policy : "");
    buffer_put_byte(&hearing->sentences, '\0');
}

static void test_otherwise__what_it_says_is_what_the_reducers_do(void **fixture)
{
    (void)fixture;
    static struct hearing hearing;
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
        const struct remedy *remedy = &remedies[i];
        play_situation(&hearing, remedy, false);
        if (!hearing.is_met || strstr(hearing.sentences.data, remedy->sentence) == NULL) {
            fail_msg("%s: \"%s\" is not said, but \"%s\"", remedy->situation, remedy->sentence,
                     hearing.sentences.data);
        }
        buffer_fini(&hearing.sentences);
        if (remedy->policy == NULL) {
            continue;
        }
        play_situation(&hearing, remedy, true);
        if (!hearing.is_met) {
            fail_msg("%s: with%s there is no %s %s", remedy->situation, remedy->policy,
                     action_text(remedy->other_action), reason_code(remedy->other_reason));
        }
        buffer_fini(&hearing.sentences);
        if (remedy->action == ACTION_WAIT) {
            continue; /* a back-off is a wait for the same reason */
        }
        /* And what was decided before is not decided then. */
        struct remedy swapped = *remedy;
        swapped.other_action = remedy->action;
        swapped.other_reason = remedy->reason;
        play_situation(&hearing, &swapped, true);
        if (hearing.is_met) {
            fail_msg("%s: with%s there still is %s %s", remedy->situation, remedy->policy,
                     action_text(remedy->action), reason_code(remedy->reason));
        }
        buffer_fini(&hearing.sentences);
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
