/* SPDX-License-Identifier: MIT
 * Captures as scenarios: every scenario of tests/scenarios is made a capture of, and comes back as
 * a scenario that gives the same rows. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "replay/scenario_write.h"
#include "tests/lib/folder.h"
#include "tests/lib/scenario_capture.h"
#include "tests/lib/tree.h"

#define SCENARIOS   "tests/scenarios/"
#define LEAST_FILES 200

static void keep_rows(struct scenario *scenario)
{
    scenario_put_rows(scenario->user, &scenario->output);
}

/* The rows that the scenario gives. */
static struct buffer play(struct span text)
{
    struct buffer rows = {0};
    struct error error = {0};
    struct scenario scenario;
    scenario_init(&scenario, "scenario", keep_rows);
    scenario.user = &rows;
    if (!scenario_play(&scenario, text, NULL, NULL, &error)) {
        fail_msg("%s", error.message);
    }
    scenario_fini(&scenario);
    return rows;
}

/* Rows without their digits: a long quiet time is one tick, so that ids may be others. */
static void put_shape(struct buffer *out, struct span rows)
{
    for (size_t i = 0; i < rows.size; i++) {
        if (rows.data[i] < '0' || rows.data[i] > '9') {
            buffer_put_byte(out, (uint8_t)rows.data[i]);
        }
    }
}

static void assert_same_shape(const char *name, struct span a, struct span b)
{
    struct buffer first = {0}, second = {0};
    put_shape(&first, a);
    put_shape(&second, b);
    if (!span_equal(buffer_span(&first), buffer_span(&second))) {
        fail_msg("%s: the rows have another shape", name);
    }
    buffer_fini(&second);
    buffer_fini(&first);
}

static void write_and_compare(const char *folder, const char *path)
{
    struct buffer text = {0}, written = {0};
    struct error error = {0};
    const char *file = folder_path(folder, "scenario.txt");
    const char *capture = folder_path(folder, "capture");
    struct scenario_write_config config = {.capture = capture, .file = file, .origin = path};
    struct scenario_report report;
    assert_true(scenario_read_file(path, &text, &error));
    struct scenario_capture made = scenario_capture_write(capture, buffer_span(&text), 0);
    if (!scenario_write(&config, &report, &error)) {
        fail_msg("%s: %s", path, error.message);
    }
    assert_int_equal(report.entries, made.entries);
    assert_true(scenario_read_file(file, &written, &error));
    struct buffer wanted = play(buffer_span(&text)), given = play(buffer_span(&written));
    assert_same_shape(path, buffer_span(&wanted), buffer_span(&given));
    remove(file);
    buffer_fini(&given);
    buffer_fini(&wanted);
    buffer_fini(&made.policy);
    buffer_fini(&written);
    buffer_fini(&text);
}

static void test_scenario_write__every_scenario_comes_back(void **fixture)
{
    (void)fixture;
    DIR *directory = opendir(SCENARIOS);
    char *folder = folder_make();
    unsigned count = 0;
    assert_non_null(directory);
    for (struct dirent *found; (found = readdir(directory)) != NULL;) {
        if (found->d_name[0] != '.') {
            struct buffer path = {0};
            buffer_put_text(&path, SCENARIOS);
            buffer_put_text(&path, found->d_name);
            buffer_put_byte(&path, '\0');
            write_and_compare(folder, path.data);
            buffer_fini(&path);
            count++;
        }
    }
    closedir(directory);
    tree_remove(folder_path(folder, "capture"));
    folder_remove(folder);
    assert_true(count >= LEAST_FILES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenario_write__every_scenario_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
