/* SPDX-License-Identifier: MIT
 * The oldest rows leave: the chain tells of it, goes on beside a writer and after a crash, and
 * shows whoever takes away more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "store/audit_prune.h"
#include "tests/lib/audit_rows.h"
#include "tests/lib/folder.h"

#define FILE_NAME "audit-3.db"
#define FIRST_MS  1763899200000

static struct audit *open_writer(const char *folder)
{
    return audit_open_checked(folder_path(folder, FILE_NAME), AUDIT_WRITE);
}

static void put_snapshot(struct audit *audit, uint64_t number)
{
    struct error error = {0};
    struct audit_position position = position_numbered(number);
    assert_true(audit_begin(audit, &error));
    assert_true(audit_put_snapshot(audit, &position, SPAN("state"), &error));
    assert_true(audit_commit(audit, &error));
}

static void settle(struct audit *audit, uint64_t first, uint64_t count)
{
    struct error error = {0};
    assert_true(audit_begin(audit, &error));
    for (uint64_t number = first; number < first + count; number++) {
        struct numbered_decision row;
        decision_numbered(number, &row);
        char id[DECISION_ID_MAX + 2];
        snprintf(id, sizeof(id), "%s.0", row.id);
        struct effect_change change = {.id = span_of(id),
                                       .kind = EFFECT_REQUEUE,
                                       .outcome = OUTCOME_APPLIED,
                                       .at_ms = row.decision.at_ms + 1};
        assert_true(audit_change_effect(audit, &change, &error));
    }
    assert_true(audit_commit(audit, &error));
}

/* The rows 0 to `count - 1`, each with a settled effect, and snapshots behind the last two. */
static struct audit *make_audit(const char *folder, uint64_t count)
{
    struct audit *audit = open_writer(folder);
    audit_write_numbered(audit, 0, count);
    settle(audit, 0, count);
    put_snapshot(audit, count - 2);
    put_snapshot(audit, count - 1);
    return audit;
}

/* The place of decision `number`. */
static struct audit_prune_place before(uint64_t number)
{
    return (struct audit_prune_place){
        .stream_id = {UINT64_MAX, 0}, .ordinal = 10 * number, .text = SPAN("#here")};
}

static struct audit_prune_plan begin_prune(struct audit *audit, uint64_t number)
{
    struct error error = {0};
    struct audit_prune_place place = before(number);
    struct audit_prune_plan plan;
    if (!audit_prune_begin(audit, &place, &plan, &error)) {
        fail_msg("%s", error.message);
    }
    return plan;
}

static struct audit_prune_counts finish_prune(struct audit *audit)
{
    struct error error = {0};
    struct audit_prune_counts counts = {0};
    for (bool is_done = false; !is_done;) {
        assert_true(audit_prune_step(audit, &is_done, &counts, &error));
    }
    return counts;
}

static void prune(struct audit *audit, uint64_t number)
{
    begin_prune(audit, number);
    finish_prune(audit);
}

static void check_verified(const char *folder, uint64_t count)
{
    struct error error = {0};
    uint64_t rows;
    struct audit *audit = audit_open_checked(folder_path(folder, FILE_NAME), AUDIT_READ);
    bool is_whole = audit_verify(audit, &rows, &error);
    assert_string_equal(error.message, "");
    assert_true(is_whole);
    assert_int_equal(rows, count);
    audit_close(audit);
}

/* The first column of the first row as a number, through a connection of its own. */
static long long ask(const char *folder, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *row;
    assert_int_equal(
        sqlite3_open_v2(folder_path(folder, FILE_NAME), &handle, SQLITE_OPEN_READONLY, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    long long number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(handle);
    return number;
}

static void test_audit_prune__the_oldest_rows_leave_and_the_chain_tells(void **fixture)
{
    struct error error = {0};
    struct audit *audit = make_audit(*fixture, 40);
    struct audit_pruned pruned;
    assert_false(audit_load_pruned(audit, &pruned, &error));
    assert_int_equal(error.code, ERROR_NONE);

    struct audit_prune_plan plan = begin_prune(audit, 25);
    assert_int_equal(plan.rows, 25);
    assert_int_equal(plan.through_seq, 25);
    assert_int_equal(plan.limit, AUDIT_PRUNE_AS_ASKED);
    check_verified(*fixture, 41); /* told, and not yet done */
    struct audit_prune_counts counts = finish_prune(audit);
    assert_int_equal(counts.decisions, 25);
    assert_int_equal(counts.effects, 25);
    check_verified(*fixture, 16);
    assert_true(audit_load_pruned(audit, &pruned, &error));
    assert_int_equal(pruned.seq, 25);
    assert_int_equal(pruned.ordinal, 240);
    assert_int_equal(pruned.stream_id.ms, FIRST_MS + 24);
    assert_int_equal(ask(*fixture, "SELECT min(seq) FROM decision"), 26);
    assert_int_equal(ask(*fixture, "SELECT min(seq) FROM effect"), 26);
    assert_int_equal(ask(*fixture, "SELECT evidence = '{\"before\":\"#here\",\"through_seq\":25,"
                                   "\"through_hash\":\"' || (SELECT hash FROM pruned) ||"
                                   " '\",\"rows\":25}' AND id = 'prune.41' AND job = ''"
                                   " AND reason = 'pruned' FROM decision WHERE action = 'prune'"),
                     1);
    /* Whoever compares with a fold does not meet the row. */
    struct audit_cursor *cursor = audit_decisions(audit, 0, &error);
    struct decision decision;
    uint64_t rows = 0;
    while (audit_next(cursor, &decision, NULL, &error) == AUDIT_ROW) {
        assert_int_not_equal(decision.action, ACTION_PRUNE);
        rows++;
    }
    audit_cursor_close(cursor);
    assert_int_equal(rows, 15);
    /* Nothing is left to do, so nothing is told. */
    assert_int_equal(begin_prune(audit, 25).rows, 0);
    assert_int_equal(ask(*fixture, "SELECT count(*) FROM decision WHERE action = 'prune'"), 1);
    audit_close(audit);
}

static void test_audit_prune__a_place_may_be_an_entry_or_a_time(void **fixture)
{
    struct error error = {0};
    struct audit_prune_plan plan;
    struct audit *audit = make_audit(*fixture, 40);
    struct audit_prune_place place = {
        .stream_id = {FIRST_MS + 7, 1}, .ordinal = UINT64_MAX, .text = SPAN("x")};
    assert_true(audit_prune_begin(audit, &place, &plan, &error));
    assert_int_equal(plan.rows, 8); /* 7-0 lies before 7-1 */
    finish_prune(audit);
    place.stream_id = (struct stream_id){FIRST_MS + 9, 0};
    assert_true(audit_prune_begin(audit, &place, &plan, &error));
    assert_int_equal(plan.rows, 1);
    finish_prune(audit);
    check_verified(*fixture, 33);
    audit_close(audit);
}

/* The row that tells of a prune is itself pruned one day. */
static void test_audit_prune__again_and_again(void **fixture)
{
    struct audit *audit = make_audit(*fixture, 40);
    uint64_t next = 40;
    for (uint64_t number = 10; number < 200; number += 30, next += 30) {
        prune(audit, number);
        audit_write_numbered(audit, next, 30);
        settle(audit, next, 30);
        put_snapshot(audit, next + 28);
        put_snapshot(audit, next + 29);
    }
    assert_int_equal(ask(*fixture, "SELECT count(*) FROM decision WHERE action = 'prune'"), 1);
    assert_int_equal(ask(*fixture, "SELECT count(*) FROM decision WHERE action <> 'prune'"), 60);
    assert_int_equal(ask(*fixture, "SELECT max(seq) FROM decision"), 250 + 7);
    check_verified(*fixture, 61);
    audit_close(audit);
    audit = open_writer(*fixture);
    audit_write_numbered(audit, next, 5);
    audit_close(audit);
    check_verified(*fixture, 66);
}

static void test_audit_prune__what_a_restart_needs_stays(void **fixture)
{
    struct audit *audit = open_writer(*fixture);
    assert_int_equal(begin_prune(audit, 10).rows, 0); /* nothing there at all */
    audit_write_numbered(audit, 0, 40);
    settle(audit, 0, 40);
    struct audit_prune_plan plan = begin_prune(audit, 30);
    assert_int_equal(plan.rows, 0);
    assert_int_equal(plan.limit, AUDIT_PRUNE_SNAPSHOT);
    assert_int_equal(plan.kept_ordinal, 0);
    put_snapshot(audit, 19);
    put_snapshot(audit, 39);
    plan = begin_prune(audit, 30);
    assert_int_equal(plan.rows, 20); /* the older snapshot stands behind row 19 */
    assert_int_equal(plan.limit, AUDIT_PRUNE_SNAPSHOT);
    assert_int_equal(plan.kept_ordinal, 196);
    finish_prune(audit);
    check_verified(*fixture, 21);
    audit_close(audit);
}

static void test_audit_prune__an_open_effect_stays_with_its_decision(void **fixture)
{
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, 40);
    settle(audit, 0, 12);
    settle(audit, 13, 27);
    put_snapshot(audit, 39);
    struct audit_prune_plan plan = begin_prune(audit, 30);
    assert_int_equal(plan.rows, 12);
    assert_int_equal(plan.limit, AUDIT_PRUNE_OPEN_EFFECT);
    assert_int_equal(plan.kept_ordinal, 120);
    finish_prune(audit);
    check_verified(*fixture, 29);
    settle(audit, 12, 1);
    assert_int_equal(begin_prune(audit, 30).rows, 18);
    finish_prune(audit);
    check_verified(*fixture, 12);
    audit_close(audit);
}

/* An outcome that was withdrawn may still come when its row is gone; one of nobody's may not. */
static void test_audit_prune__a_late_outcome_of_a_pruned_effect_is_taken(void **fixture)
{
    struct error error = {0};
    struct audit *audit = make_audit(*fixture, 40);
    prune(audit, 25);
    settle(audit, 3, 1);
    assert_int_equal(ask(*fixture, "SELECT count(*) FROM effect"), 15);
    struct effect_change change = {
        .id = SPAN("3.1.1763899200030-0.0.9"), .kind = EFFECT_REQUEUE, .outcome = OUTCOME_APPLIED};
    assert_true(audit_begin(audit, &error));
    assert_false(audit_change_effect(audit, &change, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
    audit_close(audit);
}

static void put_others(struct audit *audit, uint64_t number)
{
    struct error error = {0};
    struct sha256 digest = sha256_of(SPAN("effects=apply\n"));
    struct sha256_text hash = sha256_text(&digest);
    struct stream_id id = {FIRST_MS + number, 0};
    assert_true(audit_begin(audit, &error));
    assert_true(audit_put_policy(audit, span_of(hash.text), id, SPAN("effects=apply\n"), &error));
    assert_true(audit_put_leadership(audit, number + 1, 1, SPAN("owner"), id, &error));
    assert_true(audit_put_quarantine(audit, id, SPAN("bad_field"), SPAN("raw"), &error));
    assert_true(audit_put_checkpoint(audit, 10 * number, id, &digest, &error));
    assert_true(audit_commit(audit, &error));
}

static void test_audit_prune__what_stands_beside_the_decisions_goes_too(void **fixture)
{
    struct audit *audit = make_audit(*fixture, 40);
    for (uint64_t number = 0; number < 40; number += 10) {
        put_others(audit, number);
    }
    prune(audit, 25);
    /* Policy and leader of row 20 were still those at row 25. */
    assert_int_equal(ask(*fixture, "SELECT group_concat(at_ms - 1763899200000, '') FROM policy"),
                     2030);
    assert_int_equal(ask(*fixture, "SELECT group_concat(epoch, '') FROM leadership"), 2131);
    assert_int_equal(
        ask(*fixture, "SELECT group_concat(at_ms - 1763899200000, '') FROM quarantine"), 30);
    assert_int_equal(ask(*fixture, "SELECT group_concat(ordinal, '') FROM checkpoint"), 300);
    check_verified(*fixture, 16);
    audit_close(audit);
}

/* --- beside a writer --- */

static void test_audit_prune__a_writer_goes_on_with_the_chain_as_it_finds_it(void **fixture)
{
    struct error error = {0};
    struct audit *writer = make_audit(*fixture, 40);
    struct audit *pruner = open_writer(*fixture);
    begin_prune(pruner, 15);
    struct audit_position position;
    assert_true(audit_load_position(writer, &position, &error));
    struct sha256 known = audit_head(writer);
    assert_false(sha256_equal(&known, &position.audit_head)); /* the proof: it moved */
    audit_write_numbered(writer, 40, 1);
    assert_int_equal(finish_prune(pruner).decisions, 15);
    audit_write_numbered(writer, 41, 1);
    check_verified(*fixture, 28);

    /* And the other way round: the writer came between two prunes. */
    settle(writer, 40, 2);
    put_snapshot(writer, 40);
    put_snapshot(writer, 41);
    prune(pruner, 39);
    audit_write_numbered(writer, 42, 10);
    check_verified(*fixture, 15);
    audit_close(pruner);
    audit_close(writer);
}

/* --- a crash between two steps --- */

static void test_audit_prune__a_crash_between_two_steps_leaves_a_whole_file(void **fixture)
{
    const uint64_t count = 3 * AUDIT_PRUNE_STEP;
    audit_close(make_audit(*fixture, count));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct error error = {0};
        struct audit *audit = open_writer(*fixture);
        struct audit_prune_counts counts = {0};
        bool is_done = true;
        bool is_fine = begin_prune(audit, count - 500).rows == count - 500 &&
                       audit_prune_step(audit, &is_done, &counts, &error) &&
                       audit_begin(audit, &error);
        _exit(is_fine && !is_done && counts.decisions == AUDIT_PRUNE_STEP ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(ask(*fixture, "SELECT seq FROM pruned"), AUDIT_PRUNE_STEP);
    check_verified(*fixture, count - AUDIT_PRUNE_STEP + 1);

    /* The next one goes on, whatever it asks for, and has nothing more to tell. */
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, count, 1);
    assert_int_equal(begin_prune(audit, 10).rows, count - 500 - AUDIT_PRUNE_STEP);
    assert_int_equal(finish_prune(audit).decisions, count - 500 - AUDIT_PRUNE_STEP);
    assert_int_equal(ask(*fixture, "SELECT count(*) FROM decision WHERE action = 'prune'"), 1);
    check_verified(*fixture, 502);
    audit_close(audit);
}

/* --- whoever takes away more --- */

static void change(const char *folder, const char *sql)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(folder_path(folder, FILE_NAME), &handle), SQLITE_OK);
    int changes = sqlite3_total_changes(handle);
    char *message = NULL;
    sqlite3_exec(handle, sql, NULL, NULL, &message);
    if (message != NULL) {
        fail_msg("%s: %s", sql, message);
    }
    assert_true(sqlite3_total_changes(handle) > changes);
    sqlite3_close(handle);
}

static void test_audit_prune__more_than_the_chain_tells_is_found(void **fixture)
{
    static const char *const changes[][2] = {
        {"DELETE FROM effect WHERE seq = 26; DELETE FROM decision WHERE seq = 26",
         "(seq 27): its hash does not follow"},
        {"DELETE FROM effect WHERE seq = 26;"
         "UPDATE pruned SET seq = 26, hash = (SELECT hash FROM decision WHERE seq = 26);"
         "DELETE FROM decision WHERE seq = 26",
         "rows up to seq 26 were removed, and no row of the chain tells of it"},
        {"UPDATE pruned SET hash = replace(hash, substr(hash, 1, 1), 'e')", "(seq 26)"},
        {"UPDATE pruned SET seq = 26",
         "decision 3.1.1763899200025-0.0 stands before what was pruned"},
        {"DELETE FROM pruned", "(seq 26)"},
        {"DELETE FROM decision WHERE action = 'prune'", "the chain ends after 15 rows"},
        {"DELETE FROM decision WHERE action = 'prune';"
         "UPDATE position SET audit_head = (SELECT hash FROM decision ORDER BY seq DESC LIMIT 1)",
         "rows up to seq 25 were removed, and no row of the chain tells of it"},
        {"UPDATE decision SET evidence = replace(evidence, ':25,', ':26,') WHERE action = 'prune'",
         "decision prune.41 (seq 41): its hash"},
    };
    struct buffer whole = {0};
    struct audit *audit = make_audit(*fixture, 40);
    prune(audit, 25);
    audit_checkpoint_wal(audit);
    audit_close(audit);
    file_load(folder_path(*fixture, FILE_NAME), &whole);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct error error = {0};
        uint64_t rows;
        file_store(folder_path(*fixture, FILE_NAME), buffer_span(&whole));
        check_verified(*fixture, 16);
        change(*fixture, changes[i][0]);
        audit = audit_open_checked(folder_path(*fixture, FILE_NAME), AUDIT_READ);
        if (audit_verify(audit, &rows, &error) || error.code != ERROR_DIFFERENT ||
            strstr(error.message, changes[i][1]) == NULL) {
            fail_msg("%s: said \"%s\"", changes[i][0], error.message);
        }
        audit_close(audit);
    }
    buffer_fini(&whole);
}

/* Where a prune was cut short, what it has not yet reached must be what it saw. */
static void test_audit_prune__a_change_in_what_is_still_to_go_is_found(void **fixture)
{
    const uint64_t count = 2 * AUDIT_PRUNE_STEP + 10;
    struct error error = {0};
    struct audit_prune_counts counts = {0};
    bool is_done;
    uint64_t rows;
    struct audit *audit = make_audit(*fixture, count);
    begin_prune(audit, count - 5);
    assert_true(audit_prune_step(audit, &is_done, &counts, &error));
    check_verified(*fixture, count - AUDIT_PRUNE_STEP + 1);
    change(*fixture, "UPDATE pruned SET hash = (SELECT hash FROM decision ORDER BY seq LIMIT 1)");
    assert_false(audit_verify(audit, &rows, &error));
    assert_non_null(strstr(error.message, "(seq 1001)"));
    audit_close(audit);
}

static void test_audit_prune__rows_that_were_replaced_go_with_the_others(void **fixture)
{
    struct audit *audit = make_audit(*fixture, 40);
    audit_close(audit);
    /* Replaced rows are no part of the chain: the 41st, put behind row 10, as a fork would leave
     * it. */
    change(*fixture, "UPDATE decision SET seq = -seq WHERE seq > 10;"
                     "UPDATE decision SET seq = 1 - seq WHERE seq < 0;"
                     "INSERT INTO decision SELECT 11, 'gone', timeline, stream_id, ordinal, at_ms,"
                     " job, worker, service, attempt, action, reason, policy, reducers, evidence,"
                     " trace, mode, 2, hash FROM decision WHERE seq = 10");
    check_verified(*fixture, 40);
    audit = open_writer(*fixture);
    assert_int_equal(begin_prune(audit, 11).through_seq, 12);
    finish_prune(audit);
    assert_int_equal(ask(*fixture, "SELECT count(*) FROM decision WHERE id = 'gone'"), 0);
    check_verified(*fixture, 30);
    audit_close(audit);
}

static void test_audit_prune__freed_pages_are_given_back(void **fixture)
{
    struct error error = {0};
    struct audit *audit = make_audit(*fixture, 2000);
    prune(audit, 1990);
    long long pages = ask(*fixture, "PRAGMA page_count");
    assert_true(ask(*fixture, "PRAGMA freelist_count") > 100);
    for (bool is_done = false; !is_done;) {
        assert_true(audit_give_back(audit, 50, &is_done, &error));
    }
    assert_int_equal(ask(*fixture, "PRAGMA freelist_count"), 0);
    assert_true(ask(*fixture, "PRAGMA page_count") < pages - 100);
    check_verified(*fixture, 11);
    audit_close(audit);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_audit_prune__the_oldest_rows_leave_and_the_chain_tells),
        TEST(test_audit_prune__a_place_may_be_an_entry_or_a_time),
        TEST(test_audit_prune__again_and_again),
        TEST(test_audit_prune__what_a_restart_needs_stays),
        TEST(test_audit_prune__an_open_effect_stays_with_its_decision),
        TEST(test_audit_prune__a_late_outcome_of_a_pruned_effect_is_taken),
        TEST(test_audit_prune__what_stands_beside_the_decisions_goes_too),
        TEST(test_audit_prune__a_writer_goes_on_with_the_chain_as_it_finds_it),
        TEST(test_audit_prune__a_crash_between_two_steps_leaves_a_whole_file),
        TEST(test_audit_prune__more_than_the_chain_tells_is_found),
        TEST(test_audit_prune__a_change_in_what_is_still_to_go_is_found),
        TEST(test_audit_prune__rows_that_were_replaced_go_with_the_others),
        TEST(test_audit_prune__freed_pages_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
