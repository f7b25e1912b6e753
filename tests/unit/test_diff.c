/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "reducers/fold.h"
#include "replay/diff.h"
#include "replay/replay.h"
#include "tests/lib/capture_lines.h"
#include "tests/lib/tree.h"

#define LINES_MAX 16

static const struct capture_header plain = {.reducers = REDUCERS_VERSION};

static const char *const story[LINES_MAX] = {
    "epoch owner=me epoch=1 timeline=1 reducers=2 ordinal=0 wall_ms=1",
    "job.claimed job=j1 worker=w1 attempt=1",
    "packed job.claimed job=j2 worker=w2 attempt=1",
    "worker.lost worker=w1",
    "tick owner=me epoch=1 elapsed_ms=1000 wall_ms=1",
    "worker.lost worker=w2 reason=seen",
    NULL,
};
#define STORY_SIZE 6

static char root[TREE_PATH_SIZE], paths[DIFF_SIDES][100];

static int set_up(void **fixture)
{
    (void)fixture;
    tree_make(root);
    snprintf(paths[DIFF_A], sizeof(paths[DIFF_A]), "%s/a", root);
    snprintf(paths[DIFF_B], sizeof(paths[DIFF_B]), "%s/b", root);
    return 0;
}

static int tear_down(void **fixture)
{
    (void)fixture;
    tree_remove(root);
    return 0;
}

static void write_side(enum diff_side side, const struct capture_header *header,
                       const char *const *lines)
{
    tree_remove(paths[side]);
    capture_lines_write(paths[side], header, lines);
}

/* The story, with one line replaced. */
static void write_with(enum diff_side side, uint32_t index, const char *line)
{
    const char *lines[LINES_MAX];
    memcpy(lines, story, sizeof(story));
    lines[index] = line;
    write_side(side, &plain, lines);
}

/* The story without one entry; the others keep their ids. */
static void write_without(enum diff_side side, uint64_t ms)
{
    struct error error;
    struct buffer raw = {0};
    tree_remove(paths[side]);
    struct capture_writer *writer = capture_create(paths[side], &plain, &error);
    assert_non_null(writer);
    for (uint64_t number = 1; number <= STORY_SIZE; number++) {
        if (number != ms) {
            struct entry entry = capture_line_entry(story[number - 1], number, &raw);
            capture_append(writer, &entry);
        }
    }
    assert_true(capture_flush(writer, &error));
    capture_close(writer);
    buffer_fini(&raw);
}

static void run(struct diff_captures *diff)
{
    struct diff_config config = {.path = {paths[DIFF_A], paths[DIFF_B]}};
    struct error error = {0};
    *diff = (struct diff_captures){0};
    if (!diff_captures_run(&config, diff, &error)) {
        fail_msg("%s", error.message);
    }
}

static void assert_field(const struct diff_field *field, const char *name, const char *a,
                         const char *b)
{
    const char *const wanted[DIFF_SIDES] = {a, b};
    assert_true(span_is(field->name, name));
    for (int side = 0; side < DIFF_SIDES; side++) {
        if (wanted[side] == NULL) {
            assert_null(field->value[side].data);
        } else {
            assert_true(span_is(field->value[side], wanted[side]));
        }
    }
}

static void test_diff__equal_captures_are_equal(void **fixture)
{
    (void)fixture;
    struct diff_captures diff;
    write_side(DIFF_A, &plain, story);
    write_side(DIFF_B, &plain, story);
    run(&diff);
    assert_true(diff_captures_are_equal(&diff));
    assert_int_equal(diff.equal, STORY_SIZE);
    assert_int_equal(diff.side[DIFF_A].entries, STORY_SIZE);
    diff_captures_fini(&diff);
}

static void test_diff__names_the_entry_and_the_field(void **fixture)
{
    (void)fixture;
    static const struct {
        uint32_t index;
        const char *line, *type, *field, *a, *b;
    } cases[] = {
        {1, "job.claimed job=j1 worker=w1 attempt=2", "job.claimed", "attempt", "1", "2"},
        {1, "job.started job=j1 worker=w1 attempt=1", "job.claimed", "type", "job.claimed",
         "job.started"},
        {1, "job.claimed job=j1 worker=w1 attempt=1 own=x", "job.claimed", "own", NULL, "x"},
        {5, "worker.lost worker=w2", "worker.lost", "reason", "seen", NULL},
        {5, "worker.lost worker=w2 reason=", "worker.lost", "reason", "seen", ""},
        {2, "packed job.claimed job=j2 worker=w3 attempt=1", "job.claimed", "worker", "w2", "w3"},
        {2, "packed job.started job=j2 worker=w2 attempt=1", "job.claimed", "type", "job.claimed",
         "job.started"},
        {2, "packed job.claimed job=j2 worker=w2 attempt=1 claim=c", "job.claimed", "claim", NULL,
         "c"},
        {2, "packed job.claimed job=j2 worker=w2 attempt=1 idempotent=true", "job.claimed",
         "idempotent", NULL, "true"},
        {2, "job.claimed job=j2 worker=w2 attempt=1", "job.claimed", "form", "packed", "flat"},
        {2, "job.claimed job=j2 worker=w2 attempt=9", "job.claimed", "attempt", "1", "9"},
        {0, "epoch epoch=1 owner=me timeline=1 reducers=2 ordinal=0 wall_ms=1", "epoch",
         "bytes from 13 on", NULL, NULL},
    };
    write_side(DIFF_A, &plain, story);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct diff_captures diff;
        write_with(DIFF_B, cases[i].index, cases[i].line);
        run(&diff);
        assert_false(diff_captures_are_equal(&diff));
        assert_int_equal(diff.first.kind, DIFF_CHANGED);
        assert_int_equal(diff.first.id.ms, cases[i].index + 1);
        assert_int_equal(diff.first.ordinal[DIFF_A], cases[i].index + 1);
        assert_int_equal(diff.first.ordinal[DIFF_B], cases[i].index + 1);
        assert_true(span_is(diff.first.type, cases[i].type));
        if (i + 1 < sizeof(cases) / sizeof(cases[0])) {
            assert_field(&diff.first.field, cases[i].field, cases[i].a, cases[i].b);
        } else {
            assert_true(span_is(diff.first.field.name, cases[i].field));
        }
        assert_int_equal(diff.total.changed, 1);
        assert_int_equal(diff.types[event_type_named(span_of(cases[i].type))].changed, 1);
        assert_int_equal(diff.equal, STORY_SIZE - 1);
        diff_captures_fini(&diff);
    }
}

static void test_diff__counts_what_only_one_has(void **fixture)
{
    (void)fixture;
    struct diff_captures diff;
    write_side(DIFF_A, &plain, story);
    write_without(DIFF_B, 3);
    run(&diff);
    assert_false(diff_captures_are_equal(&diff));
    assert_int_equal(diff.first.kind, DIFF_ONLY_A);
    assert_int_equal(diff.first.id.ms, 3);
    assert_false(diff.first.has_ended[DIFF_B]);
    assert_int_equal(diff.types[EVENT_JOB_CLAIMED].only[DIFF_A], 1);
    assert_int_equal(diff.total.only[DIFF_B], 0);
    assert_int_equal(diff.side[DIFF_A].beyond, 0);
    assert_int_equal(diff.equal, STORY_SIZE - 1);
    diff_captures_fini(&diff);
}

static void test_diff__compares_up_to_the_nearer_end(void **fixture)
{
    (void)fixture;
    struct diff_captures diff;
    const char *shorter[LINES_MAX] = {story[0], story[1], story[2], "no.such type=x", NULL};
    write_side(DIFF_A, &plain, story);
    write_side(DIFF_B, &plain, shorter);
    run(&diff);
    assert_int_equal(diff.first.kind, DIFF_CHANGED);
    assert_int_equal(diff.total.changed, 1);
    assert_int_equal(diff.total.only[DIFF_A], 0);
    assert_int_equal(diff.side[DIFF_A].beyond, 2);
    diff_captures_fini(&diff);

    write_side(DIFF_B, &plain, (const char *const[]){story[0], NULL});
    run(&diff);
    assert_true(diff_captures_are_equal(&diff));
    assert_true(diff_captures_overlap(&diff));
    assert_int_equal(diff.equal, 1);
    assert_int_equal(diff.side[DIFF_A].beyond, STORY_SIZE - 1);
    assert_int_equal(diff.side[DIFF_B].beyond, 0);
    diff_captures_fini(&diff);
}

static void test_diff__compares_where_both_have_entries(void **fixture)
{
    (void)fixture;
    struct diff_captures diff;
    const struct capture_header later = {.timeline = 1,
                                         .ordinal = 3,
                                         .position = {3, 0},
                                         .reducers = REDUCERS_VERSION,
                                         .policy = SPAN("effects=apply\n"),
                                         .snapshot = SPAN("a state")};
    write_side(DIFF_A, &plain, story);
    write_side(DIFF_B, &later, story + 3);
    run(&diff);
    assert_true(diff_captures_are_equal(&diff));
    assert_int_equal(diff.side[DIFF_A].passed, 3);
    assert_int_equal(diff.side[DIFF_B].passed, 0);
    assert_int_equal(diff.equal, STORY_SIZE - 3);
    diff_captures_fini(&diff);

    /* They have no entry in common. */
    write_side(DIFF_A, &plain, (const char *const[]){story[0], NULL});
    run(&diff);
    assert_int_equal(diff.side[DIFF_A].passed, 1);
    assert_int_equal(diff.side[DIFF_B].beyond, 3);
    assert_int_equal(diff.total.only[DIFF_B], 0);
    assert_false(diff_captures_overlap(&diff));
    diff_captures_fini(&diff);
}

static void test_diff__compares_the_headers(void **fixture)
{
    (void)fixture;
    struct diff_captures diff;
    struct capture_header other = {.partition = 4,
                                   .timeline = 2,
                                   .reducers = REDUCERS_VERSION + 1,
                                   .policy = SPAN("a=1\nb=2\n")};
    struct capture_header one = plain;
    one.policy = SPAN("a=1\nb=3\n");
    write_side(DIFF_A, &one, story);
    write_side(DIFF_B, &other, story);
    run(&diff);
    assert_false(diff_captures_are_equal(&diff));
    assert_int_equal(diff.first.kind, DIFF_NONE);
    assert_int_equal(diff.head_count, 4);
    assert_field(&diff.head[0], "partition", "0", "4");
    assert_field(&diff.head[1], "timeline", "0", "2");
    assert_true(span_is(diff.head[2].name, "reducers"));
    assert_field(&diff.head[3], "policy", "b=3", "b=2");
    diff_captures_fini(&diff);
}

/* --- audits --- */

static void write_audit(enum diff_side side, const char *out)
{
    struct replay_config config = {
        .capture = paths[side], .database = out, .batch_size = REPLAY_BATCH};
    struct replay_report report = {0};
    struct error error = {0};
    assert_true(replay_run(&config, &report, &error));
    assert_true(report.decisions > 0);
    replay_report_fini(&report);
}

static void run_audits(struct diff_audits *diff)
{
    char files[DIFF_SIDES][210];
    struct error error = {0};
    for (int side = 0; side < DIFF_SIDES; side++) {
        snprintf(files[side], sizeof(files[side]), "%s.db", paths[side]);
        remove(files[side]);
        write_audit(side, files[side]);
    }
    struct diff_config config = {.path = {files[DIFF_A], files[DIFF_B]}};
    *diff = (struct diff_audits){0};
    assert_true(diff_audits_run(&config, diff, &error));
}

static void test_diff__finds_the_first_decision_and_its_columns(void **fixture)
{
    (void)fixture;
    struct diff_audits diff;
    write_side(DIFF_A, &plain, story);
    write_side(DIFF_B, &plain, story);
    run_audits(&diff);
    assert_true(diff_audits_are_equal(&diff));
    assert_int_equal(diff.equal, diff.side[DIFF_A].decisions);
    assert_int_equal(diff.side[DIFF_A].ordinal, STORY_SIZE);
    uint64_t all = diff.equal;
    diff_audits_fini(&diff);

    /* Another job is lost with the first worker. */
    write_with(DIFF_B, 1, "job.claimed job=other worker=w1 attempt=1");
    run_audits(&diff);
    assert_false(diff_audits_are_equal(&diff));
    assert_int_equal(diff.first.kind, DIFF_CHANGED);
    assert_int_equal(diff.first.ordinal, 4);
    assert_field(&diff.first.fields[0], "job", "j1", "other");
    assert_true(span_equal(diff.first.id, diff.otherwise.id));
    assert_int_equal(diff.equal + diff.total.changed, all);
    assert_int_equal(diff.otherwise_count, diff.total.changed);
    diff_audits_fini(&diff);

    /* The policy has another hash, and nothing is decided otherwise. */
    const char *const policies[DIFF_SIDES] = {"policy text= origin=operator hash=a",
                                              "policy text= origin=operator hash=b"};
    for (int side = 0; side < DIFF_SIDES; side++) {
        const char *lines[LINES_MAX] = {story[0], policies[side]};
        memcpy(lines + 2, story + 1, STORY_SIZE * sizeof(lines[0]));
        write_side(side, &plain, lines);
    }
    run_audits(&diff);
    assert_int_equal(diff.first.kind, DIFF_CHANGED);
    assert_int_equal(diff.first.field_count, 1);
    assert_field(&diff.first.fields[0], "policy", "a", "b");
    assert_int_equal(diff.otherwise.kind, DIFF_NONE);
    assert_int_equal(diff.otherwise_count, 0);
    assert_int_equal(diff.equal, 0);
    diff_audits_fini(&diff);
}

static void test_diff__counts_decisions_that_only_one_has(void **fixture)
{
    (void)fixture;
    struct diff_audits diff;
    write_side(DIFF_A, &plain, story);
    write_with(DIFF_B, 3, "worker.heartbeat worker=w1");
    run_audits(&diff);
    assert_int_equal(diff.first.kind, DIFF_ONLY_A);
    assert_int_equal(diff.first.ordinal, 4);
    assert_true(diff.total.only[DIFF_A] > 0);
    assert_int_equal(diff.total.only[DIFF_B], 0);
    assert_int_equal(diff.total.only[DIFF_A],
                     diff.side[DIFF_A].decisions - diff.side[DIFF_B].decisions);
    uint64_t releases = diff.side[DIFF_A].tally[ACTION_RELEASE][REASON_WORKER_LOST];
    assert_int_equal(releases, diff.side[DIFF_B].tally[ACTION_RELEASE][REASON_WORKER_LOST] + 1);
    diff_audits_fini(&diff);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_diff__equal_captures_are_equal),
        IN_FOLDER(test_diff__names_the_entry_and_the_field),
        IN_FOLDER(test_diff__counts_what_only_one_has),
        IN_FOLDER(test_diff__compares_up_to_the_nearer_end),
        IN_FOLDER(test_diff__compares_where_both_have_entries),
        IN_FOLDER(test_diff__compares_the_headers),
        IN_FOLDER(test_diff__finds_the_first_decision_and_its_columns),
        IN_FOLDER(test_diff__counts_decisions_that_only_one_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
