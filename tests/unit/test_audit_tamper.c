/* SPDX-License-Identifier: MIT
 * Somebody else writes to the audit: verification finds it and names the row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "store/audit.h"
#include "tests/lib/audit_rows.h"
#include "tests/lib/folder.h"

#define FILE_NAME "audit-3.db"
#define ROWS      20

static int make_audit(void **fixture)
{
    *fixture = folder_make();
    struct audit *audit = audit_open_checked(folder_path(*fixture, FILE_NAME), AUDIT_WRITE);
    audit_write_numbered(audit, 0, ROWS);
    audit_close(audit);
    return 0;
}

static int remove_folder(void **fixture)
{
    folder_remove(*fixture);
    return 0;
}

static void tamper(const char *folder, const char *sql)
{
    sqlite3 *handle;
    char *message = NULL;
    assert_int_equal(sqlite3_open(folder_path(folder, FILE_NAME), &handle), SQLITE_OK);
    int before = sqlite3_total_changes(handle);
    sqlite3_exec(handle, sql, NULL, NULL, &message);
    if (message != NULL) {
        fail_msg("%s: %s", sql, message);
    }
    /* First the proof that something was tampered with at all. */
    assert_true(sqlite3_total_changes(handle) > before || strstr(sql, "DROP INDEX") == sql);
    sqlite3_close(handle);
}

static bool verify(const char *folder, struct error *error)
{
    *error = (struct error){0};
    uint64_t rows;
    struct audit *audit = audit_open_checked(folder_path(folder, FILE_NAME), AUDIT_READ);
    bool is_whole = audit_verify(audit, &rows, error);
    audit_close(audit);
    return is_whole;
}

static void check_found(const char *folder, const char *sql, const char *message)
{
    struct error error;
    tamper(folder, sql);
    if (verify(folder, &error)) {
        fail_msg("not found: %s", sql);
    }
    assert_int_equal(error.code, ERROR_DIFFERENT);
    if (strstr(error.message, message) == NULL) {
        fail_msg("%s: said \"%s\", not \"%s\"", sql, error.message, message);
    }
}

/* Each statement is undone by its second, so that one file serves them all. */
static void test_audit_tamper__a_changed_column_is_found(void **fixture)
{
    static const char *const changes[][2] = {
        {"id = id || 'x'", "id = substr(id, 1, length(id) - 1)"},
        {"timeline = 2", "timeline = 1"},
        {"stream_id = '0' || stream_id", "stream_id = substr(stream_id, 2)"},
        {"ordinal = ordinal + 1", "ordinal = ordinal - 1"},
        {"at_ms = at_ms - 1", "at_ms = at_ms + 1"},
        {"job = 'j7'", "job = 'j5'"},
        {"worker = 'w9'", "worker = 'w2'"},
        {"service = ''", "service = 'comfyui'"},
        {"attempt = 7", "attempt = 1"},
        {"action = 'complete'", "action = 'requeue'"},
        {"action = 'word of a later program'", "action = 'requeue'"},
        {"reason = 'worker_silent'", "reason = 'service_not_found'"},
        {"policy = 'aa12'", "policy = 'aa11'"},
        {"reducers = 2", "reducers = 1"},
        {"evidence = replace(evidence, '{', '{ ')", "evidence = replace(evidence, '{ ', '{')"},
        {"trace = ' '", "trace = ''"},
        {"mode = 'observe'", "mode = 'apply'"},
        /* The same bytes parted elsewhere: sizes are part of what is hashed. */
        {"worker = 'w2c', service = 'omfyui'", "worker = 'w2', service = 'comfyui'"},
    };
    struct error error;
    for (size_t index = 0; index < sizeof(changes) / sizeof(changes[0]); index++) {
        char sql[200];
        snprintf(sql, sizeof(sql), "UPDATE decision SET %s WHERE seq = 6", changes[index][0]);
        check_found(*fixture, sql, "(seq 6): its hash does not follow");
        snprintf(sql, sizeof(sql), "UPDATE decision SET %s WHERE seq = 6", changes[index][1]);
        tamper(*fixture, sql);
        assert_true(verify(*fixture, &error));
    }
}

static void test_audit_tamper__a_policys_text_is_held_against_its_hash(void **fixture)
{
    static const char text[] = "effects=apply\n";
    struct sha256 digest = sha256_of(span_of(text));
    struct sha256_text hash = sha256_text(&digest);
    char sql[200];
    struct error error;
    snprintf(sql, sizeof(sql), "INSERT INTO policy VALUES (1, '%s', '7-0', 7, '%s')", hash.text,
             text);
    tamper(*fixture, sql);
    assert_true(verify(*fixture, &error));
    check_found(*fixture, "UPDATE policy SET text = text || ' '",
                "policy (seq 1): its hash is not that of its text");
    tamper(*fixture, "UPDATE policy SET text = trim(text, ' ')");
    assert_true(verify(*fixture, &error));
    check_found(*fixture, "UPDATE policy SET hash = upper(hash)", "policy (seq 1)");
}

static void test_audit_tamper__a_changed_hash_is_found(void **fixture)
{
    check_found(*fixture, "UPDATE decision SET hash = replace(hash, 'a', 'b') WHERE seq = 4",
                "(seq 4)");
    check_found(*fixture, "UPDATE decision SET hash = upper(hash) WHERE seq = 3", "(seq 3)");
    check_found(*fixture, "UPDATE decision SET hash = '' WHERE seq = 2", "(seq 2)");
}

static void test_audit_tamper__a_deleted_row_is_found(void **fixture)
{
    check_found(*fixture, "DELETE FROM decision WHERE seq = 8", "(seq 9)");
    check_found(*fixture, "DELETE FROM decision WHERE seq = 1", "(seq 2)");
}

static void test_audit_tamper__rows_deleted_at_the_end_are_found(void **fixture)
{
    check_found(*fixture, "DELETE FROM decision WHERE seq = 20", "the chain ends after 19 rows");
    check_found(*fixture, "DELETE FROM decision", "the chain ends after 0 rows");
}

static void test_audit_tamper__a_hidden_row_is_found(void **fixture)
{
    check_found(*fixture, "UPDATE decision SET superseded_by = 2 WHERE seq = 12", "(seq 13)");
    check_found(*fixture,
                "UPDATE decision SET superseded_by = iif(seq = 20, 2, NULL) WHERE seq IN (12, 20)",
                "the chain ends after 19 rows");
}

static void test_audit_tamper__an_inserted_row_is_found(void **fixture)
{
    check_found(*fixture,
                "UPDATE decision SET seq = seq + 100 WHERE seq > 10;"
                "INSERT INTO decision SELECT 11, id || 'x', timeline, stream_id, ordinal, at_ms,"
                " job, worker, service, attempt, action, reason, policy, reducers, evidence, trace,"
                " mode, superseded_by, hash FROM decision WHERE seq = 10",
                "(seq 11)");
}

static void
test_audit_tamper__a_row_added_at_the_end_is_found_even_with_a_right_hash(void **fixture)
{
    struct error error = {0};
    struct sha256 head;
    struct numbered_decision row;
    decision_numbered(ROWS, &row);
    struct audit *audit = audit_open_checked(folder_path(*fixture, FILE_NAME), AUDIT_WRITE);
    struct audit_position position = position_numbered(ROWS);
    assert_true(audit_begin(audit, &error));
    assert_true(audit_append(audit, &row.decision, &error));
    head = audit_head(audit);
    assert_true(audit_put_position(audit, &position, &error));
    assert_true(audit_commit(audit, &error));
    audit_close(audit);
    assert_true(verify(*fixture, &error));
    check_found(*fixture,
                "UPDATE position SET audit_head = (SELECT hash FROM decision WHERE seq = 20)",
                "the chain ends after 21 rows");
    char sql[200];
    snprintf(sql, sizeof(sql), "UPDATE position SET audit_head = '%s'", sha256_text(&head).text);
    tamper(*fixture, sql);
    assert_true(verify(*fixture, &error));
}

static void test_audit_tamper__reordered_rows_are_found(void **fixture)
{
    check_found(*fixture,
                "UPDATE decision SET seq = 1000 WHERE seq = 14;"
                "UPDATE decision SET seq = 14 WHERE seq = 15;"
                "UPDATE decision SET seq = 15 WHERE seq = 1000",
                "(seq 14)");
}

static void test_audit_tamper__an_exchanged_partition_is_found(void **fixture)
{
    struct error error = {0};
    uint64_t rows;
    tamper(*fixture, "UPDATE origin SET partition = 4");
    assert_null(audit_open(folder_path(*fixture, FILE_NAME), AUDIT_READ, 3, &error));
    assert_int_equal(error.code, ERROR_REFUSED);
    struct audit *audit =
        audit_open(folder_path(*fixture, FILE_NAME), AUDIT_READ, AUDIT_ANY_PARTITION, &error);
    assert_non_null(audit);
    assert_false(audit_verify(audit, &rows, &error));
    assert_non_null(strstr(error.message, "(seq 1)"));
    audit_close(audit);
}

static void test_audit_tamper__what_stands_beside_the_chain_is_checked(void **fixture)
{
    check_found(*fixture, "UPDATE effect SET decision = 'gone' WHERE seq = 5",
                "effect 3.1.1763899200004-0.0.0 belongs to no decision");
    tamper(*fixture, "DELETE FROM effect WHERE seq = 5");
    check_found(*fixture, "INSERT INTO snapshot_chunk VALUES (77, 0, x'00')",
                "snapshot at ordinal 77 has chunks but no row");
}

static void test_audit_tamper__a_row_that_stands_twice_is_found(void **fixture)
{
    tamper(*fixture, "DROP INDEX decision_id");
    struct error error = {0};
    struct numbered_decision row;
    struct audit *audit = audit_open_checked(folder_path(*fixture, FILE_NAME), AUDIT_WRITE);
    struct audit_position position = position_numbered(ROWS);
    decision_numbered(3, &row);
    assert_true(audit_begin(audit, &error));
    assert_true(audit_append(audit, &row.decision, &error));
    assert_true(audit_put_position(audit, &position, &error));
    assert_true(audit_commit(audit, &error));
    audit_close(audit);
    assert_false(verify(*fixture, &error));
    assert_string_equal(error.message, "decision 3.1.1763899200003-0.0 stands twice");
}

/* Bytes of the file changed below SQLite. */
static void test_audit_tamper__a_damaged_page_is_found(void **fixture)
{
    const char *path = folder_path(*fixture, FILE_NAME);
    struct buffer bytes = {0};
    file_load(path, &bytes);
    /* The evidence of one row, wherever it stands: text that the chain covers. */
    char *place = NULL;
    for (size_t at = 0; at + 16 < bytes.size && place == NULL; at++) {
        place = memcmp(bytes.data + at, "{\"lost\":\"1763899", 16) == 0 ? bytes.data + at : NULL;
    }
    assert_non_null(place);
    place[3] ^= 1;
    file_store(path, buffer_span(&bytes));
    struct error error;
    assert_false(verify(*fixture, &error));
    place[3] ^= 1;
    /* The head of a page that holds rows. */
    size_t page_size = (size_t)(unsigned char)bytes.data[16] << 8 | (unsigned char)bytes.data[17];
    size_t page = (size_t)(place - bytes.data) / page_size * page_size;
    bytes.data[page] ^= 0x40;
    file_store(path, buffer_span(&bytes));
    assert_false(verify(*fixture, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
    buffer_fini(&bytes);
}

/* A row that queries by job no longer find, though the chain is whole. */
static void test_audit_tamper__an_index_that_hides_rows_is_found(void **fixture)
{
    tamper(*fixture, "PRAGMA writable_schema = ON;"
                     "UPDATE sqlite_schema SET sql ="
                     " replace(sql, 'job <> ' || char(39, 39), 'job <> ' || quote('j5'))"
                     " WHERE name = 'decision_job'");
    struct error error;
    assert_false(verify(*fixture, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
    assert_non_null(strstr(error.message, "in index decision_job"));
}

static void test_audit_tamper__a_changed_snapshot_is_not_loaded(void **fixture)
{
    static const char *const changes[] = {
        "UPDATE snapshot_chunk SET bytes = x'737461746521'",
        "UPDATE snapshot_chunk SET bytes = x'737461'",
        "UPDATE snapshot_chunk SET bytes = x'7374617466'",
        "UPDATE snapshot SET size = 4",
        "UPDATE snapshot SET size = 9223372036854775807",
        "UPDATE snapshot SET sha256 = 'x'",
        "UPDATE snapshot SET stream_id = '1'",
        "DELETE FROM snapshot_chunk",
    };
    struct error error = {0};
    for (size_t index = 0; index < sizeof(changes) / sizeof(changes[0]); index++) {
        struct audit *audit = audit_open_checked(folder_path(*fixture, FILE_NAME), AUDIT_WRITE);
        struct audit_position position = position_numbered(ROWS), loaded;
        assert_true(audit_begin(audit, &error));
        assert_true(audit_put_snapshot(audit, &position, SPAN("state"), &error));
        assert_true(audit_commit(audit, &error));
        struct buffer state = {0};
        assert_true(audit_load_snapshot(audit, UINT64_MAX, &loaded, &state, &error));
        buffer_reset(&state);
        tamper(*fixture, changes[index]);
        assert_false(audit_load_snapshot(audit, UINT64_MAX, &loaded, &state, &error));
        assert_int_equal(error.code, ERROR_CORRUPT);
        assert_int_equal(state.size, 0);
        buffer_fini(&state);
        audit_close(audit);
    }
}

static void test_audit_tamper__rows_that_make_no_sense_are_not_read(void **fixture)
{
    static const char *const changes[] = {
        "UPDATE decision SET action = 'pounce' WHERE seq = 2",
        "UPDATE decision SET action = 'park', reason = 'mood' WHERE seq = 2",
        "UPDATE decision SET reason = 'job_gone', stream_id = '5' WHERE seq = 2",
        "UPDATE decision SET stream_id = '5-0', hash = 'x' WHERE seq = 2",
    };
    for (size_t index = 0; index < sizeof(changes) / sizeof(changes[0]); index++) {
        tamper(*fixture, changes[index]);
        struct error error = {0};
        struct audit *audit = audit_open_checked(folder_path(*fixture, FILE_NAME), AUDIT_READ);
        struct audit_cursor *cursor = audit_decisions(audit, 0, &error);
        struct decision decision;
        struct sha256 hash;
        assert_int_equal(audit_next(cursor, &decision, &hash, &error), AUDIT_ERROR);
        assert_int_equal(error.code, ERROR_CORRUPT);
        assert_non_null(strstr(error.message, "(seq 2)"));
        audit_cursor_close(cursor);
        audit_close(audit);
    }
    tamper(*fixture, "UPDATE position SET audit_head = 'none'");
    struct error error = {0};
    assert_null(audit_open(folder_path(*fixture, FILE_NAME), AUDIT_READ, 3, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_audit, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_audit_tamper__a_changed_column_is_found),
        TEST(test_audit_tamper__a_policys_text_is_held_against_its_hash),
        TEST(test_audit_tamper__a_changed_hash_is_found),
        TEST(test_audit_tamper__a_deleted_row_is_found),
        TEST(test_audit_tamper__rows_deleted_at_the_end_are_found),
        TEST(test_audit_tamper__a_hidden_row_is_found),
        TEST(test_audit_tamper__an_inserted_row_is_found),
        TEST(test_audit_tamper__a_row_added_at_the_end_is_found_even_with_a_right_hash),
        TEST(test_audit_tamper__reordered_rows_are_found),
        TEST(test_audit_tamper__an_exchanged_partition_is_found),
        TEST(test_audit_tamper__what_stands_beside_the_chain_is_checked),
        TEST(test_audit_tamper__a_row_that_stands_twice_is_found),
        TEST(test_audit_tamper__a_damaged_page_is_found),
        TEST(test_audit_tamper__an_index_that_hides_rows_is_found),
        TEST(test_audit_tamper__a_changed_snapshot_is_not_loaded),
        TEST(test_audit_tamper__rows_that_make_no_sense_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
