/* SPDX-License-Identifier: MIT
 * Every scenario as a capture: the same policy decides the same, and no other one confuses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/what_if.h"
#include "tests/lib/folder.h"
#include "tests/lib/scenario_capture.h"
#include "tests/lib/tree.h"

#define SCENARIOS     "tests/scenarios"
#define SCENARIOS_MIN 250

static char folder[TREE_PATH_SIZE];
static char capture[TREE_PATH_SIZE + 16];

static int make_folder(void **fixture)
{
    (void)fixture;
    /* A capture is synced when it begins, and here are a thousand: in memory, where that can be. */
    snprintf(folder, sizeof(folder), "/dev/shm/salvor-test-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        tree_make(folder);
    }
    snprintf(capture, sizeof(capture), "%s/capture", folder);
    return 0;
}

static int remove_folder(void **fixture)
{
    (void)fixture;
    tree_remove(folder);
    return 0;
}

typedef void (*scenario_fn)(const char *name, struct span text, uint64_t *count);

/* Calls `each` with every scenario; `*count` is what they add to it. */
static uint64_t with_scenarios(scenario_fn each)
{
    uint64_t count = 0, files = 0;
    DIR *directory = opendir(SCENARIOS);
    assert_non_null(directory);
    for (struct dirent *file = readdir(directory); file != NULL; file = readdir(directory)) {
        if (strstr(file->d_name, ".txt") != NULL) {
            struct buffer text = {0};
            file_load(folder_path(SCENARIOS, file->d_name), &text);
            each(file->d_name, buffer_span(&text), &count);
            buffer_fini(&text);
            files++;
        }
    }
    closedir(directory);
    assert_true(files >= SCENARIOS_MIN);
    return count;
}

static void ask(const char *name, const struct policy *policy, struct what_if_report *report)
{
    struct error error = {0};
    struct what_if_config config = {
        .capture = capture, .policy = policy, .has_queue_failures = true};
    if (!what_if_run(&config, report, &error)) {
        fail_msg("%s: %s", name, error.message);
    }
}

/* What holds whatever the policies are. */
static void assert_sound(const char *name, const struct what_if_report *report)
{
    uint64_t different = 0;
    for (uint32_t i = 0; i < report->job_count; i++) {
        const struct what_if_job *job = &report->jobs[i];
        bool has_captured = job->side[WHAT_IF_CAPTURED].is_there;
        bool has_other = job->side[WHAT_IF_OTHER].is_there;
        different += job->end == WHAT_IF_END_DIFFERENT;
        if (job->end == WHAT_IF_END_NONE || (!has_captured && !has_other)) {
            fail_msg("%s: job %.*s without an end", name, SPAN_FORMAT(job->job));
        }
    }
    assert_int_equal(report->jobs_different, different);
    assert_int_equal(report->jobs_unknown, report->job_count - different);
    assert_true(report->job_count <= report->jobs_compared);
}

static void assert_same(const char *name, const struct what_if_report *report)
{
    if (report->jobs_different > 0) {
        fail_msg("%s: %.*s is decided differently", name, SPAN_FORMAT(report->jobs[0].job));
    }
    for (enum what_if_total total = 0; total < WHAT_IF_TOTAL_COUNT; total++) {
        if (report->total[total][WHAT_IF_CAPTURED] != report->total[total][WHAT_IF_OTHER]) {
            fail_msg("%s: %s", name, what_if_total_name(total));
        }
    }
    assert_int_equal(report->delay.count, 0);
}

#define BEHIND 9 /* entries, where a capture has a snapshot */

/* Whole, and from a snapshot. */
static void hold_against_itself(const char *name, struct span text, uint64_t *count)
{
    uint64_t entries = 1;
    for (uint64_t begin = 0; begin < entries && begin <= BEHIND; begin += BEHIND) {
        struct scenario_capture made = scenario_capture_write(capture, text, begin);
        struct policy policy;
        struct span bad;
        struct what_if_report report = {0};
        entries = made.entries;
        if (!made.has_changes && begin < entries) {
            assert_true(policy_parse_text(buffer_span(&made.policy), &policy, &bad));
            if (made.policy.size == 0) {
                policy.value[POLICY_EFFECTS] = EFFECTS_OBSERVE;
            }
            ask(name, &policy, &report);
            assert_int_equal(report.entries, entries - begin);
            assert_sound(name, &report);
            assert_same(name, &report);
            /* Only a policy in force anew asks what nobody asked. */
            assert_true(report.total[WHAT_IF_UNKNOWN][WHAT_IF_OTHER] == 0 || begin > 0 ||
                        report.reality.outcomes[OUTCOME_GONE] > 0);
            ++*count;
            what_if_report_fini(&report);
        }
        buffer_fini(&made.policy);
    }
}

/* With a policy before its own that is refused, and its own once more at the end. */
static void hold_with_policies(const char *name, struct span text, uint64_t *count)
{
    struct buffer lines = {0};
    struct span rest = text, policy = SPAN_NONE;
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        if (span_is(line, "----")) {
            break;
        }
        if (policy.size == 0 && span_holds(line, SPAN("policy")) && line.data[0] == 'p') {
            policy = line;
            buffer_put_text(&lines, "policy text=refused\n");
        }
        buffer_put_span(&lines, line);
        buffer_put_byte(&lines, '\n');
    }
    buffer_put_span(&lines, policy);
    buffer_put_text(&lines, "\nrun 2000\n");
    /* A text of its own may be one that is refused, or the empty one. */
    if (policy.size > 0 && !span_holds(policy, SPAN("text="))) {
        hold_against_itself(name, buffer_span(&lines), count);
    }
    buffer_fini(&lines);
}

static void test_what_if_scenarios__policies_refused_or_repeated_change_nothing(void **fixture)
{
    (void)fixture;
    assert_true(with_scenarios(hold_with_policies) > 0);
}

static void test_what_if_scenarios__the_same_policy_decides_the_same(void **fixture)
{
    (void)fixture;
    assert_true(with_scenarios(hold_against_itself) > SCENARIOS_MIN);
}

static void hold_against_others(const char *name, struct span text, uint64_t *count)
{
    struct scenario_capture made = scenario_capture_write(capture, text, 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct policy policy;
        struct what_if_report report = {0};
        policy_preset(i == 0 ? PRESET_SEED : PRESET_SAFE, &policy);
        policy.value[POLICY_EFFECTS] = i == 1 ? EFFECTS_OBSERVE : EFFECTS_APPLY;
        ask(name, &policy, &report);
        assert_sound(name, &report);
        *count += report.jobs_different;
        what_if_report_fini(&report);
    }
    buffer_fini(&made.policy);
}

static void test_what_if_scenarios__other_policies_decide_otherwise(void **fixture)
{
    (void)fixture;
    assert_true(with_scenarios(hold_against_others) > SCENARIOS_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_if_scenarios__the_same_policy_decides_the_same),
        cmocka_unit_test(test_what_if_scenarios__policies_refused_or_repeated_change_nothing),
        cmocka_unit_test(test_what_if_scenarios__other_policies_decide_otherwise),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
