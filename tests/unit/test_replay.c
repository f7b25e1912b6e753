/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "replay/replay.h"
#include "tests/lib/capture_lines.h"
#include "tests/lib/folder.h"
#include "tests/lib/tree.h"

#define EPOCH "epoch owner=me epoch=1 timeline=1 reducers=2 ordinal=0 wall_ms=1"
/* With the hash of its text. */
#define POLICY                                                        \
    "policy owner=me epoch=1 origin=file text=effects=apply\\n hash=" \
    "52673288e004d56595705922bad67a0bcb187644646b6012126106fa70adea95"
#define SETTLED "effect.settled owner=me epoch=1 outcome=applied effect=0.1."

/* Two workers are told lost; each gives a release and a requeue of its job, settled behind it. */
static const char *const story[] = {
    EPOCH,
    POLICY,
    "job.claimed job=j1 worker=w1 attempt=1",
    "job.claimed job=j2 worker=w2 attempt=1",
    "worker.lost worker=w1",
    "tick owner=me epoch=1 elapsed_ms=1000 wall_ms=1",
    SETTLED "5-0.1.1",
    SETTLED "6-0.1.1",
    "worker.lost worker=w2",
    "job.progress job=j2 worker=w2 attempt=1 progress=half",
    "tick owner=me epoch=1 elapsed_ms=1000 wall_ms=1",
    SETTLED "9-0.1.1",
    NULL,
};
#define STORY_SIZE 12

static char root[TREE_PATH_SIZE], capture[100], database[100];

static int set_up(void **fixture)
{
    (void)fixture;
    tree_make(root);
    snprintf(capture, sizeof(capture), "%s/capture", root);
    snprintf(database, sizeof(database), "%s/out.db", root);
    return 0;
}

static int tear_down(void **fixture)
{
    (void)fixture;
    tree_remove(root);
    return 0;
}

static void write_story(void)
{
    const struct capture_header header = {.partition = 0, .reducers = REDUCERS_VERSION};
    capture_lines_write(capture, &header, story);
}

static struct replay_config config_of(const char *out)
{
    return (struct replay_config){.capture = capture, .database = out, .batch_size = 5};
}

static bool file_is_there(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

/* The written database holds together, and ends there. */
static struct audit_position check_database(uint64_t *rows)
{
    struct error error = {0};
    struct audit_position position = {0};
    struct audit *audit = audit_open(database, AUDIT_READ, 0, &error);
    assert_non_null(audit);
    if (!audit_verify(audit, rows, &error)) {
        fail_msg("%s", error.message);
    }
    assert_true(audit_load_position(audit, &position, &error) || error.code == ERROR_NONE);
    audit_close(audit);
    return position;
}

/* --- a database from a fold --- */

static void test_replay__writes_a_database_that_the_same_fold_agrees_with(void **fixture)
{
    (void)fixture;
    write_story();
    struct replay_config config = config_of(database);
    struct replay_report report = {0};
    struct error error = {0};
    uint64_t rows = 0;
    assert_true(replay_run(&config, &report, &error));
    assert_int_equal(report.entries, STORY_SIZE);
    assert_int_equal(report.earlier_outcomes, 0);
    assert_true(report.decisions >= 5);
    uint64_t decisions = report.decisions;
    struct sha256 hash = report.state_hash;
    replay_report_fini(&report);

    assert_int_equal(check_database(&rows).ordinal, STORY_SIZE);
    assert_int_equal(rows, decisions);

    config = config_of(NULL);
    config.audit = database;
    report = (struct replay_report){0};
    assert_true(replay_run(&config, &report, &error));
    assert_int_equal(report.counts.decisions, decisions);
    assert_int_equal(report.counts.checkpoints, 1);
    assert_true(sha256_equal(&hash, &report.state_hash));
    replay_report_fini(&report);
}

static void test_replay__refuses_a_database_that_is_there(void **fixture)
{
    (void)fixture;
    write_story();
    file_store(database, SPAN("mine"));
    struct replay_config config = config_of(database);
    struct replay_report report = {0};
    struct error error = {0};
    struct buffer kept = {0};
    assert_false(replay_run(&config, &report, &error));
    assert_int_equal(error.code, ERROR_REFUSED);
    file_load(database, &kept);
    assert_true(span_is(buffer_span(&kept), "mine"));
    buffer_fini(&kept);
    replay_report_fini(&report);
}

static void test_replay__leaves_no_database_behind_a_failure(void **fixture)
{
    (void)fixture;
    const struct capture_header header = {.partition = 0, .reducers = REDUCERS_VERSION};
    const char *lines[STORY_SIZE + 2] = {NULL};
    memcpy(lines, story, sizeof(story));
    lines[STORY_SIZE] = "epoch owner=me epoch=2 timeline=1 reducers=99 ordinal=0 wall_ms=1";
    capture_lines_write(capture, &header, lines);
    struct replay_config config = config_of(database);
    struct replay_report report = {0};
    struct error error = {0};
    assert_false(replay_run(&config, &report, &error));
    assert_int_equal(error.code, ERROR_REFUSED);
    assert_non_null(strstr(error.message, "entry 13-0: epoch 2 was opened by reducers 99"));
    assert_false(file_is_there(database));
    replay_report_fini(&report);

    /* Up to the entry before, it is replayed. */
    config.until = (struct place){.kind = PLACE_ORDINAL, .ordinal = STORY_SIZE};
    report = (struct replay_report){0};
    assert_true(replay_run(&config, &report, &error));
    assert_int_equal(report.entries, STORY_SIZE);
    replay_report_fini(&report);
}

static void test_replay__a_difference_is_told_and_the_database_is_whole(void **fixture)
{
    (void)fixture;
    char audit[100];
    uint64_t rows = 0;
    write_story();
    snprintf(audit, sizeof(audit), "%s/other.db", root);
    struct replay_config config = config_of(audit);
    struct replay_report report = {0};
    struct error error = {0};
    assert_true(replay_run(&config, &report, &error));
    uint64_t decisions = report.decisions;
    replay_report_fini(&report);

    /* The same stream but for the job that the first worker held. */
    const char *lines[STORY_SIZE + 1];
    memcpy(lines, story, sizeof(story));
    lines[2] = "job.claimed job=other worker=w1 attempt=1";
    tree_remove(capture);
    const struct capture_header header = {.partition = 0, .reducers = REDUCERS_VERSION};
    capture_lines_write(capture, &header, lines);
    config = config_of(database);
    config.audit = audit;
    report = (struct replay_report){0};
    assert_false(replay_run(&config, &report, &error));
    assert_int_equal(error.code, ERROR_DIFFERENT);
    const struct difference *difference = compare_difference(report.compare);
    assert_non_null(difference);
    assert_int_equal(difference->ordinal, 5);
    assert_string_equal(difference->fields[0].column, "job");
    assert_int_equal(report.entries, STORY_SIZE);
    assert_int_equal(report.decisions, decisions);
    assert_int_equal(check_database(&rows).ordinal, STORY_SIZE);
    assert_int_equal(rows, decisions);
    replay_report_fini(&report);
}

static bool step_twice(void *payload, uint64_t ordinal)
{
    uint64_t *calls = payload;
    assert_int_equal(ordinal, *calls * 5);
    return ++*calls < 3;
}

static void test_replay__an_interrupted_database_holds_up_to_there(void **fixture)
{
    (void)fixture;
    uint64_t calls = 0, rows = 0;
    write_story();
    struct replay_config config = config_of(database);
    config.step = step_twice;
    config.step_payload = &calls;
    struct replay_report report = {0};
    struct error error = {0};
    assert_true(replay_run(&config, &report, &error));
    assert_true(report.is_interrupted);
    assert_int_equal(report.ordinal, 10);
    assert_int_equal(check_database(&rows).ordinal, 10);
    assert_int_equal(rows, report.decisions);
    replay_report_fini(&report);
}

/* --- from one place to another --- */

static void test_replay__begins_and_ends_at_places(void **fixture)
{
    (void)fixture;
    static const struct {
        struct place from, until;
        uint64_t entries, passed, ordinal;
    } cases[] = {
        {{.kind = PLACE_NONE}, {.kind = PLACE_ORDINAL, .ordinal = 7}, 7, 0, 7},
        {{.kind = PLACE_NONE}, {.kind = PLACE_ID, .id = {7, 0}}, 7, 0, 7},
        {{.kind = PLACE_NONE}, {.kind = PLACE_ID, .id = {7, 5}}, 7, 0, 7},
        {{.kind = PLACE_NONE}, {.kind = PLACE_TIME, .time_ms = 10}, 10, 0, 10},
        {{.kind = PLACE_NONE}, {.kind = PLACE_TIME, .time_ms = 99}, 12, 0, 12},
        {{.kind = PLACE_ORDINAL, .ordinal = 6}, {.kind = PLACE_NONE}, 7, 5, 12},
        {{.kind = PLACE_ID, .id = {6, 1}}, {.kind = PLACE_ORDINAL, .ordinal = 7}, 1, 6, 7},
        {{.kind = PLACE_TIME, .time_ms = 1}, {.kind = PLACE_TIME, .time_ms = 1}, 1, 0, 1},
    };
    write_story();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (uint32_t batch_size = 1; batch_size < 14; batch_size++) {
            struct replay_config config = config_of(NULL);
            config.batch_size = batch_size;
            config.from = cases[i].from;
            config.until = cases[i].until;
            struct replay_report report = {0};
            struct error error = {0};
            assert_true(replay_run(&config, &report, &error));
            assert_int_equal(report.entries, cases[i].entries);
            assert_int_equal(report.passed, cases[i].passed);
            assert_int_equal(report.ordinal, cases[i].ordinal);
            assert_int_equal(report.first_ordinal, cases[i].passed);
            replay_report_fini(&report);
        }
    }
}

static void test_replay__a_place_that_never_comes_is_a_mistake(void **fixture)
{
    (void)fixture;
    write_story();
    struct replay_config config = config_of(database);
    config.from = (struct place){.kind = PLACE_TIME, .time_ms = 1000};
    struct replay_report report = {0};
    struct error error = {0};
    assert_false(replay_run(&config, &report, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    assert_false(file_is_there(database));
    replay_report_fini(&report);
}

static uint64_t count_effects(uint64_t *open)
{
    struct error error = {0};
    uint64_t count = 0;
    struct audit *audit = audit_open(database, AUDIT_READ, 0, &error);
    assert_non_null(audit);
    bool is_known = false;
    assert_true(audit_has_effect(audit, SPAN("0.1.9-0.1.1"), &is_known, &error));
    count += is_known;
    assert_true(audit_has_effect(audit, SPAN("0.1.5-0.1.1"), &is_known, &error));
    *open = is_known;
    audit_close(audit);
    return count;
}

static void test_replay__a_database_from_the_middle_leaves_earlier_effects_out(void **fixture)
{
    (void)fixture;
    write_story();
    struct replay_config config = config_of(database);
    config.from = (struct place){.kind = PLACE_ORDINAL, .ordinal = 7};
    struct replay_report report = {0};
    struct error error = {0};
    uint64_t rows = 0, earlier = 0;
    assert_true(replay_run(&config, &report, &error));
    /* The outcomes of the effects that entries 5 and 6 asked for. */
    assert_int_equal(report.earlier_outcomes, 2);
    assert_int_equal(check_database(&rows).ordinal, STORY_SIZE);
    assert_int_equal(rows, report.decisions);
    assert_int_equal(count_effects(&earlier), 1);
    assert_int_equal(earlier, 0);
    replay_report_fini(&report);
}

/* --- from a snapshot --- */

/* A file behind `ordinal` entries of the story, up to `end`. */
static void write_from_snapshot(uint64_t ordinal, uint64_t end, bool is_readable)
{
    const char *lines[STORY_SIZE + 1] = {NULL};
    struct state *state = state_create(0);
    struct fold_output output = {0};
    struct buffer raw = {0}, snapshot = {0};
    struct entry entry = {0};
    for (uint64_t i = 0; i < ordinal; i++) {
        entry = capture_line_entry(story[i], i + 1, &raw);
        fold_entry(state, &entry, &output);
    }
    state_encode(state, &snapshot);
    if (!is_readable) {
        buffer_put_text(&snapshot, "of another version");
    }
    memcpy(lines, story + ordinal, (end - ordinal) * sizeof(lines[0]));
    const struct capture_header header = {
        .timeline = state_summary(state).timeline,
        .ordinal = ordinal,
        .position = entry.id,
        .reducers = REDUCERS_VERSION,
        .policy = state_summary(state).policy_text,
        .snapshot = ordinal > 0 ? buffer_span(&snapshot) : SPAN_NONE,
    };
    capture_lines_write(capture, &header, lines);
    buffer_fini(&snapshot);
    buffer_fini(&raw);
    fold_output_fini(&output);
    state_destroy(state);
}

static void test_replay__a_capture_that_begins_at_a_snapshot_gives_a_sound_database(void **fixture)
{
    (void)fixture;
    for (uint64_t ordinal = 1; ordinal < STORY_SIZE; ordinal++) {
        tree_remove(capture);
        write_from_snapshot(ordinal, STORY_SIZE, true);
        remove(database);
        struct replay_config config = config_of(database);
        struct replay_report report = {0};
        struct error error = {0};
        uint64_t rows = 0;
        if (!replay_run(&config, &report, &error)) {
            fail_msg("%s", error.message);
        }
        assert_int_equal(report.first_ordinal, ordinal);
        assert_int_equal(report.entries, STORY_SIZE - ordinal);
        struct audit_position position = check_database(&rows);
        assert_int_equal(position.ordinal, STORY_SIZE);
        assert_int_equal(position.epoch, 1);
        replay_report_fini(&report);
    }
}

static void test_replay__begins_at_the_last_snapshot_before_the_place(void **fixture)
{
    (void)fixture;
    static const struct {
        struct place from;
        bool is_readable;
        uint64_t entries, passed;
    } cases[] = {
        {{.kind = PLACE_ORDINAL, .ordinal = 9}, true, 4, 3},
        {{.kind = PLACE_ORDINAL, .ordinal = 6}, true, 7, 0},
        {{.kind = PLACE_ORDINAL, .ordinal = 5}, true, 8, 4},
        {{.kind = PLACE_TIME, .time_ms = 9}, true, 4, 3},
        {{.kind = PLACE_ID, .id = {9, 0}}, true, 4, 3},
        {{.kind = PLACE_ID, .id = {3, 0}}, true, 10, 2},
        {{.kind = PLACE_ORDINAL, .ordinal = 9}, false, 4, 8},
        {{.kind = PLACE_TIME, .time_ms = 9}, false, 4, 8},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tree_remove(capture);
        write_from_snapshot(0, 5, true);
        write_from_snapshot(5, STORY_SIZE, cases[i].is_readable);
        struct replay_config config = config_of(NULL);
        config.from = cases[i].from;
        struct replay_report report = {0};
        struct error error = {0};
        if (!replay_run(&config, &report, &error)) {
            fail_msg("%s", error.message);
        }
        assert_int_equal(report.entries, cases[i].entries);
        assert_int_equal(report.passed, cases[i].passed);
        assert_int_equal(report.first_ordinal, STORY_SIZE - cases[i].entries);
        replay_report_fini(&report);
    }
    tree_remove(capture);
    write_from_snapshot(5, STORY_SIZE, false);
    struct replay_config config = config_of(NULL);
    struct replay_report report = {0};
    struct error error = {0};
    assert_false(replay_run(&config, &report, &error));
    assert_non_null(strstr(error.message, "at ordinal 5 is not readable by this program"));
    replay_report_fini(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_replay__writes_a_database_that_the_same_fold_agrees_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replay__refuses_a_database_that_is_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_replay__leaves_no_database_behind_a_failure, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_replay__a_difference_is_told_and_the_database_is_whole,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replay__an_interrupted_database_holds_up_to_there,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replay__begins_and_ends_at_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replay__a_place_that_never_comes_is_a_mistake, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_replay__a_database_from_the_middle_leaves_earlier_effects_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_replay__a_capture_that_begins_at_a_snapshot_gives_a_sound_database, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(test_replay__begins_at_the_last_snapshot_before_the_place,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
