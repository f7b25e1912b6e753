/* SPDX-License-Identifier: MIT
 * Stories as people read them: tests/stories/NAME.txt holds a history (tests/lib/story_draft.h) of
 * the job that its first line names, and below `----` the story that is told of it. With
 * REWRITE_STORIES=1 in the environment the stories are written anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/scenario.h"
#include "replay/why.h"
#include "tests/lib/story_draft.h"
#include "tests/lib/tree.h"

#define BELOW "----\n"

struct told_story {
    char root[TREE_PATH_SIZE];
    char audit[TREE_PATH_SIZE + 16], capture[TREE_PATH_SIZE + 16];
    struct buffer page; /* the file */
    struct span job, wanted;
    size_t above; /* bytes up to and with the line between */
};

/* Plays the history of the file. */
static void begin(struct told_story *told, const char *path)
{
    struct story_draft draft;
    *told = (struct told_story){.above = 0};
    tree_make(told->root);
    snprintf(told->audit, sizeof(told->audit), "%s/audit-0.db", told->root);
    snprintf(told->capture, sizeof(told->capture), "%s/capture-0", told->root);
    struct error error = {0};
    if (!scenario_read_file(path, &told->page, &error)) {
        fail_msg("%s", error.message);
    }
    struct span rest = buffer_span(&told->page);
    story_draft_begin(&draft, told->root);
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        if (span_is(line, "----")) {
            told->above = told->page.size - rest.size;
            told->wanted = rest;
            break;
        }
        struct span word = line;
        if (span_is(span_cut(&word, ' '), "job")) {
            told->job = word;
        }
        story_draft_line(&draft, line);
    }
    story_draft_end(&draft);
}

static void end(struct told_story *told)
{
    tree_remove(told->root);
    buffer_fini(&told->page);
}

static void tell(const struct told_story *told, const char *audit, const char *capture,
                 struct buffer *out)
{
    struct why_config config = {
        .job = told->job, .audit = audit, .capture = capture, .palette = &palette_plain};
    struct error error = {0};
    struct buffer near = {0};
    bool is_known = false;
    if (!why_tell(&config, out, &near, &is_known, &error)) {
        fail_msg("%s", error.message);
    }
    assert_true(is_known);
    buffer_fini(&near);
}

static void rewrite(const char *path, const struct told_story *told, struct span text)
{
    FILE *file = fopen(path, "wb");
    size_t above = told->above > 0 ? told->above : told->page.size;
    assert_non_null(file);
    fwrite(told->page.data, 1, above, file);
    fputs(told->above > 0 ? "" : BELOW, file);
    fwrite(text.data, 1, text.size, file);
    assert_int_equal(fclose(file), 0);
}

static void check_story(const char *name)
{
    char path[128];
    struct told_story told;
    struct buffer by_capture = {0}, by_both = {0};
    snprintf(path, sizeof(path), "tests/stories/%s.txt", name);
    begin(&told, path);
    tell(&told, NULL, told.capture, &by_capture);
    tell(&told, told.audit, told.capture, &by_both);
    if (getenv("REWRITE_STORIES") != NULL) {
        rewrite(path, &told, buffer_span(&by_capture));
    } else if (!span_equal(buffer_span(&by_capture), told.wanted)) {
        fail_msg("%s: another story than the one below ----:\n%.*s", path,
                 SPAN_FORMAT(buffer_span(&by_capture)));
    }
    /* The audit tells of the decisions what the fold does. */
    assert_true(span_equal(buffer_span(&by_capture), buffer_span(&by_both)));
    for (size_t i = 0; i < by_capture.size; i++) {
        assert_true(by_capture.data[i] == '\n' || (unsigned char)by_capture.data[i] >= ' ');
    }
    buffer_fini(&by_capture);
    buffer_fini(&by_both);
    end(&told);
}

static void test_stories__a_job_that_the_service_finished(void **fixture)
{
    (void)fixture;
    check_story("done_outside");
}

static void test_stories__a_job_that_was_forgotten_and_may_run_twice(void **fixture)
{
    (void)fixture;
    check_story("lost_repeatable");
}

static void test_stories__a_job_that_was_forgotten_and_may_not_run_twice(void **fixture)
{
    (void)fixture;
    check_story("lost_unrepeatable");
}

static void test_stories__a_job_that_runs_too_long(void **fixture)
{
    (void)fixture;
    check_story("too_long");
}

static void test_stories__a_job_that_fails_for_good(void **fixture)
{
    (void)fixture;
    check_story("broken");
}

static void test_stories__a_job_that_is_held_with_the_fleet(void **fixture)
{
    (void)fixture;
    check_story("held_with_the_fleet");
}

static void test_stories__a_job_that_is_stopped_at_its_service(void **fixture)
{
    (void)fixture;
    check_story("stopped_at_its_service");
}

static void test_stories__a_job_that_its_worker_ends_while_it_is_stopped(void **fixture)
{
    (void)fixture;
    check_story("ended_by_its_worker");
}

static void test_stories__a_job_that_takes_its_workers_with_it(void **fixture)
{
    (void)fixture;
    check_story("takes_its_workers_with_it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories__a_job_that_the_service_finished),
        cmocka_unit_test(test_stories__a_job_that_was_forgotten_and_may_run_twice),
        cmocka_unit_test(test_stories__a_job_that_was_forgotten_and_may_not_run_twice),
        cmocka_unit_test(test_stories__a_job_that_runs_too_long),
        cmocka_unit_test(test_stories__a_job_that_fails_for_good),
        cmocka_unit_test(test_stories__a_job_that_is_held_with_the_fleet),
        cmocka_unit_test(test_stories__a_job_that_is_stopped_at_its_service),
        cmocka_unit_test(test_stories__a_job_that_its_worker_ends_while_it_is_stopped),
        cmocka_unit_test(test_stories__a_job_that_takes_its_workers_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
