/* SPDX-License-Identifier: MIT
 * An audit whose oldest rows leave, by its own process or another one: the process goes on, comes
 * back after a kill, and a replay of the whole capture says what it could not compare. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "replay/journal.h"
#include "replay/replay.h"
#include "store/audit_prune.h"
#include "tests/lib/small_stream.h"
#include "tests/lib/tree.h"

#define ENTRIES 202
#define KEEP_MS 60 /* an entry is 1 ms of the stream */

struct data_place {
    char root[TREE_PATH_SIZE], data[80], audit[100], capture[100];
    struct journal *journal;
    struct state *state;
};

static int make_place(void **fixture)
{
    struct data_place *place = test_calloc(1, sizeof(*place));
    tree_make(place->root);
    snprintf(place->data, sizeof(place->data), "%s/data", place->root);
    snprintf(place->audit, sizeof(place->audit), "%s/audit-0.db", place->data);
    snprintf(place->capture, sizeof(place->capture), "%s/capture-0", place->data);
    *fixture = place;
    return 0;
}

static int remove_place(void **fixture)
{
    struct data_place *place = *fixture;
    tree_remove(place->root);
    test_free(place);
    return 0;
}

static void begin_life(struct data_place *place, uint64_t keep_ms)
{
    struct error error = {0};
    struct journal_config config = {
        .data = place->data,
        .snapshot_entries = 20,
        .snapshot_ms = JOURNAL_SNAPSHOT_MS,
        .audit_keep_ms = keep_ms,
    };
    place->journal = journal_open(&config, &place->state, &error);
    if (place->journal == NULL) {
        fail_msg("%s", error.message);
    }
}

/* As a kill does: nothing is stopped. */
static void end_life(struct data_place *place)
{
    journal_close(place->journal);
    state_destroy(place->state);
}

static void fold(struct data_place *place, uint64_t end)
{
    struct error error = {0};
    struct small_stream stream = {.end = end, .batch_size = 5};
    struct loop loop = {
        .state = place->state,
        .source = small_stream_source(&stream),
        .sinks = {journal_sink(place->journal)},
        .sink_count = 1,
    };
    if (!loop_run(&loop, &error)) {
        fail_msg("%s", error.message);
    }
}

static uint64_t count(const struct data_place *place, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_open(place->audit, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    uint64_t number = (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(handle);
    return number;
}

/* This stream tells no outcomes: they are put beside the fold. */
static void settle_all(const struct data_place *place)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(place->audit, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle,
                                  "UPDATE effect SET settled_at_ms = requested_at_ms, outcome ="
                                  " 'applied' WHERE settled_at_ms IS NULL",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_true(sqlite3_changes(handle) > 0);
    sqlite3_close(handle);
}

static void check_verified(const struct data_place *place)
{
    struct error error = {0};
    uint64_t rows;
    struct audit *audit = audit_open(place->audit, AUDIT_READ, 0, &error);
    assert_non_null(audit);
    if (!audit_verify(audit, &rows, &error)) {
        fail_msg("%s", error.message);
    }
    audit_close(audit);
}

/* The whole capture against what is left: everything is compared or counted as pruned. */
static void check_replay(const struct data_place *place)
{
    struct error error = {0};
    struct replay_report report = {0};
    struct replay_config config = {
        .capture = place->capture, .audit = place->audit, .batch_size = 7};
    if (!replay_run(&config, &report, &error)) {
        fail_msg("%s", error.message);
    }
    uint64_t left = count(place, "SELECT count(*) FROM decision WHERE action <> 'prune'");
    assert_int_equal(report.entries, ENTRIES);
    assert_int_equal(report.counts.decisions, left);
    assert_true(report.counts.pruned > 0);
    assert_int_equal(report.counts.pruned, report.decisions - left);
    assert_int_equal(report.counts.effects, count(place, "SELECT count(*) FROM effect"));
    replay_report_fini(&report);
}

static void test_journal_prune__rows_older_than_they_are_kept_leave_at_snapshots(void **fixture)
{
    struct data_place *place = *fixture;
    begin_life(place, KEEP_MS);
    fold(place, 120);
    /* An open effect holds all that follow. */
    assert_int_equal(count(place, "SELECT max(evidence ->> '$.through_seq') FROM decision"), 1);
    settle_all(place);
    fold(place, ENTRIES);
    assert_true(count(place, "SELECT ordinal FROM pruned") > 20);
    /* Nothing that is not old enough went, and nothing that a restart needs. */
    assert_int_equal(count(place, "SELECT (SELECT max(at_ms) FROM decision) -"
                                  " CAST(stream_id AS INTEGER) > 60 FROM pruned"),
                     1);
    assert_int_equal(
        count(place, "SELECT ordinal <= (SELECT min(ordinal) FROM snapshot) FROM pruned"), 1);
    end_life(place);
    check_verified(place);
    check_replay(place);
    begin_life(place, KEEP_MS);
    assert_int_equal(state_summary(place->state).ordinal, ENTRIES);
    end_life(place);
    check_verified(place);
}

static void test_journal_prune__kept_for_ever_is_the_default(void **fixture)
{
    struct data_place *place = *fixture;
    begin_life(place, 0);
    fold(place, 120);
    settle_all(place);
    fold(place, ENTRIES);
    assert_int_equal(count(place, "SELECT count(*) FROM pruned"), 0);
    end_life(place);
}

static void test_journal_prune__another_process_prunes_between_two_batches(void **fixture)
{
    struct data_place *place = *fixture;
    struct error error = {0};
    struct audit_prune_plan plan;
    struct audit_prune_counts counts = {0};
    struct audit_prune_place before = {
        .stream_id = {UINT64_MAX, 0}, .ordinal = 60, .text = SPAN("#60")};
    bool is_done;
    begin_life(place, 0);
    fold(place, 120);
    settle_all(place);
    struct audit *pruner = audit_open(place->audit, AUDIT_PRUNE, AUDIT_ANY_PARTITION, &error);
    assert_true(audit_prune_begin(pruner, &before, &plan, &error));
    assert_true(plan.rows > 0);
    fold(place, 160);
    assert_true(audit_prune_step(pruner, &is_done, &counts, &error));
    assert_true(is_done);
    assert_int_equal(counts.decisions, plan.rows);
    fold(place, ENTRIES);
    audit_close(pruner);
    end_life(place);
    check_verified(place);
    check_replay(place);
    begin_life(place, 0);
    end_life(place);
}

/* What is committed, and gone from the capture, is read and compared again: behind a prune too. */
static void test_journal_prune__a_row_missing_behind_the_pruned_is_still_found(void **fixture)
{
    struct data_place *place = *fixture;
    struct error error = {0};
    struct replay_report report = {0};
    struct replay_config config = {
        .capture = place->capture, .audit = place->audit, .batch_size = 7};
    begin_life(place, KEEP_MS);
    fold(place, 120);
    settle_all(place);
    fold(place, ENTRIES);
    end_life(place);
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(place->audit, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle,
                                  "DELETE FROM decision WHERE seq ="
                                  " (SELECT min(seq) FROM decision WHERE action <> 'prune')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_changes(handle), 1);
    sqlite3_close(handle);
    assert_false(replay_run(&config, &report, &error));
    assert_int_equal(error.code, ERROR_DIFFERENT);
    assert_true(report.counts.pruned > 0);
    replay_report_fini(&report);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_journal_prune__rows_older_than_they_are_kept_leave_at_snapshots),
        TEST(test_journal_prune__kept_for_ever_is_the_default),
        TEST(test_journal_prune__another_process_prunes_between_two_batches),
        TEST(test_journal_prune__a_row_missing_behind_the_pruned_is_still_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
