/* SPDX-License-Identifier: MIT
 * The audit in good weather: what is committed comes back, also after a restart. */
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

static struct audit *open_writer(const char *folder)
{
    return audit_open_checked(folder_path(folder, FILE_NAME), AUDIT_WRITE);
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

static void check_decision(const struct decision *a, const struct decision *b)
{
    struct buffer left = {0}, right = {0};
    decision_put_canonical(&left, a);
    decision_put_canonical(&right, b);
    assert_true(span_equal(buffer_span(&left), buffer_span(&right)));
    buffer_fini(&left);
    buffer_fini(&right);
}

/* The cursor gives the decisions `first`, `first + step`, … and ends after `count`. */
static void check_walk(struct audit_cursor *cursor, uint64_t first, uint64_t step, uint64_t count)
{
    assert_non_null(cursor);
    struct error error = {0};
    struct decision decision;
    for (uint64_t index = 0; index < count; index++) {
        struct numbered_decision expected;
        decision_numbered(first + index * step, &expected);
        assert_int_equal(audit_next(cursor, &decision, NULL, &error), AUDIT_ROW);
        check_decision(&decision, &expected.decision);
    }
    assert_int_equal(audit_next(cursor, &decision, NULL, &error), AUDIT_END);
    audit_cursor_close(cursor);
}

static void check_verified(struct audit *audit, uint64_t count)
{
    struct error error = {0};
    uint64_t rows;
    bool is_whole = audit_verify(audit, &rows, &error);
    assert_string_equal(error.message, "");
    assert_true(is_whole);
    assert_int_equal(rows, count);
}

static void test_audit__a_new_file_is_empty_and_whole(void **fixture)
{
    struct error error = {.code = ERROR_IO};
    struct audit *audit = open_writer(*fixture);
    struct audit_position position;
    assert_false(audit_load_position(audit, &position, &error));
    assert_int_equal(error.code, ERROR_NONE);
    struct sha256 head = audit_head(audit), genesis = audit_genesis(3);
    assert_true(sha256_equal(&head, &genesis));
    struct buffer state = {0};
    assert_false(audit_load_snapshot(audit, UINT64_MAX, &position, &state, &error));
    assert_int_equal(error.code, ERROR_NONE);
    struct sha256 checkpoint;
    uint64_t ordinal;
    assert_false(audit_next_checkpoint(audit, 0, &ordinal, &checkpoint, &error));
    assert_int_equal(error.code, ERROR_NONE);
    check_walk(audit_decisions(audit, 0, &error), 0, 1, 0);
    check_verified(audit, 0);
    audit_close(audit);
}

static void test_audit__the_file_is_set_up_as_promised(void **fixture)
{
    audit_close(open_writer(*fixture));
    assert_int_equal(ask(*fixture, "PRAGMA user_version"), 1);
    assert_int_equal(ask(*fixture, "PRAGMA application_id"), 0x53414c56);
    assert_int_equal(ask(*fixture, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    assert_int_equal(ask(*fixture, "SELECT partition FROM origin"), 3);
}

static void test_audit__partitions_have_different_beginnings(void **fixture)
{
    (void)fixture;
    struct sha256 a = audit_genesis(0), b = audit_genesis(1);
    assert_false(sha256_equal(&a, &b));
}

static void test_audit__rows_come_back_as_they_were_appended(void **fixture)
{
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, 40);
    audit_write_numbered(audit, 40, 60);
    struct error error = {0};
    check_walk(audit_decisions(audit, 0, &error), 1, 1, 99);
    check_walk(audit_decisions(audit, 10 * 41, &error), 42, 1, 58);
    check_walk(audit_decisions(audit, 10 * 99, &error), 0, 1, 0);
    check_walk(audit_decisions_of(audit, SPAN("j4"), &error), 4, 10, 10);
    check_walk(audit_decisions_of(audit, SPAN("unknown"), &error), 0, 1, 0);
    check_walk(audit_decisions_of(audit, SPAN_NONE, &error), 0, 1, 0);
    check_verified(audit, 100);
    audit_close(audit);
}

static void test_audit__extreme_values_survive(void **fixture)
{
    static const char odd[] = "\xff\x80 \0 \" ' \xc3\xa4";
    struct decision decision = {
        .id = SPAN("3.1.18446744073709551615-18446744073709551615.0"),
        .timeline = INT64_MAX,
        .stream_id = {UINT64_MAX, UINT64_MAX},
        .ordinal = 1,
        .at_ms = UINT64_MAX,
        .attempt = UINT64_MAX,
        .action = ACTION_QUARANTINE,
        .reason = REASON_BAD_FIELD,
        .evidence = {odd, sizeof(odd)},
        .mode = SPAN("observe"),
    };
    struct error error = {0};
    struct audit *audit = open_writer(*fixture);
    struct audit_position position = {.timeline = 1, .stream_id = decision.stream_id, .ordinal = 1};
    assert_true(audit_begin(audit, &error));
    assert_true(audit_append(audit, &decision, &error));
    assert_true(audit_put_position(audit, &position, &error));
    assert_true(audit_commit(audit, &error));
    struct audit_cursor *cursor = audit_decisions(audit, 0, &error);
    struct decision stored;
    struct sha256 hash, head = audit_head(audit);
    assert_int_equal(audit_next(cursor, &stored, &hash, &error), AUDIT_ROW);
    check_decision(&stored, &decision);
    assert_true(sha256_equal(&hash, &head));
    audit_cursor_close(cursor);
    assert_true(audit_load_position(audit, &position, &error));
    assert_int_equal(stream_id_compare(position.stream_id, decision.stream_id), 0);
    check_verified(audit, 1);
    audit_close(audit);
}

static void test_audit__position_and_chain_go_on_after_a_restart(void **fixture)
{
    struct error error = {0};
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, 10);
    struct sha256 head = audit_head(audit);
    audit_close(audit);

    audit = open_writer(*fixture);
    struct audit_position position, expected = position_numbered(9);
    assert_true(audit_load_position(audit, &position, &error));
    assert_true(sha256_equal(&position.audit_head, &head));
    assert_true(sha256_equal(&position.entry_sha256, &expected.entry_sha256));
    assert_int_equal(position.ordinal, expected.ordinal);
    assert_int_equal(position.epoch, expected.epoch);
    assert_int_equal(position.timeline, expected.timeline);
    assert_int_equal(stream_id_compare(position.stream_id, expected.stream_id), 0);
    audit_write_numbered(audit, 10, 10);
    check_verified(audit, 20);
    audit_close(audit);
}

static void test_audit__the_head_is_the_chain_of_canonical_bytes(void **fixture)
{
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, 5);
    struct sha256 expected = audit_genesis(3), head = audit_head(audit);
    struct buffer scratch = {0};
    for (uint64_t number = 0; number < 5; number++) {
        struct numbered_decision row;
        decision_numbered(number, &row);
        expected = audit_next_head(&expected, &row.decision, &scratch);
    }
    buffer_fini(&scratch);
    assert_true(sha256_equal(&head, &expected));
    audit_close(audit);
}

static void test_audit__a_rollback_leaves_no_trace(void **fixture)
{
    struct error error = {0};
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, 3);
    struct sha256 before = audit_head(audit);
    struct numbered_decision row;
    decision_numbered(3, &row);
    assert_true(audit_begin(audit, &error));
    assert_true(audit_append(audit, &row.decision, &error));
    audit_rollback(audit);
    audit_rollback(audit);
    struct sha256 after = audit_head(audit);
    assert_true(sha256_equal(&before, &after));
    audit_write_numbered(audit, 3, 3);
    check_verified(audit, 6);
    audit_close(audit);
}

static void test_audit__a_repeated_id_is_refused_and_rolls_back(void **fixture)
{
    struct error error = {0};
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, 3);
    struct numbered_decision row;
    assert_true(audit_begin(audit, &error));
    decision_numbered(3, &row);
    assert_true(audit_append(audit, &row.decision, &error));
    decision_numbered(1, &row);
    assert_false(audit_append(audit, &row.decision, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
    check_verified(audit, 3);
    audit_write_numbered(audit, 3, 1);
    check_verified(audit, 4);
    audit_close(audit);
}

struct seen_effects {
    unsigned count, stop_after;
    char text[400];
};

static bool see_effect(void *payload, const struct audit_effect *effect)
{
    struct seen_effects *seen = payload;
    size_t used = strlen(seen->text);
    int written = snprintf(
        seen->text + used, sizeof(seen->text) - used, "%.*s %.*s %.*s %llu-%llu '%.*s' '%.*s'\n",
        SPAN_FORMAT(effect->id), SPAN_FORMAT(effect->kind), SPAN_FORMAT(effect->target),
        (unsigned long long)effect->requested_at_ms, (unsigned long long)effect->settled_at_ms,
        SPAN_FORMAT(effect->outcome), SPAN_FORMAT(effect->found));
    assert_true(written > 0);
    return ++seen->count != seen->stop_after;
}

static void change(struct audit *audit, const char *id, const char *decision,
                   enum effect_outcome outcome, uint64_t at_ms)
{
    struct error error = {0};
    struct effect_change row = {
        .id = span_of(id),
        .decision = span_of(decision),
        .kind = decision == NULL ? EFFECT_NONE : EFFECT_COMPLETE,
        .target = span_of(decision == NULL ? NULL : "job:j1"),
        .outcome = outcome,
        .found = span_of(outcome == OUTCOME_STALE ? "status=pending" : NULL),
        .at_ms = at_ms,
    };
    assert_true(audit_change_effect(audit, &row, &error));
}

static void test_audit__effects_are_requested_and_settled(void **fixture)
{
    struct error error = {0};
    struct audit *audit = open_writer(*fixture);
    assert_true(audit_begin(audit, &error));
    change(audit, "d1.0", "d1", OUTCOME_NONE, 100);
    change(audit, "d1.1", "d1", OUTCOME_OBSERVED, 100);
    change(audit, "d2.0", "d2", OUTCOME_NONE, 200);
    change(audit, "d2.0", NULL, OUTCOME_STALE, 230);
    change(audit, "d3.0", "d3", OUTCOME_NONE, 300);
    change(audit, "d3.0", NULL, OUTCOME_WITHDRAWN, 310);
    /* An `applied` that still arrives is what counts. */
    change(audit, "d3.0", NULL, OUTCOME_APPLIED, 320);
    assert_true(audit_commit(audit, &error));

    struct seen_effects seen = {0};
    assert_true(audit_effects_of(audit, SPAN("d1"), see_effect, &seen, &error));
    assert_string_equal(seen.text, "d1.0 complete job:j1 100-0 '' ''\n"
                                   "d1.1 complete job:j1 100-100 'observed' ''\n");
    seen = (struct seen_effects){0};
    assert_true(audit_effects_of(audit, SPAN_NONE, see_effect, &seen, &error));
    assert_int_equal(seen.count, 4);
    assert_non_null(strstr(seen.text, "d2.0 complete job:j1 200-230 'stale' 'status=pending'\n"
                                      "d3.0 complete job:j1 300-320 'applied' ''\n"));
    seen = (struct seen_effects){.stop_after = 2};
    assert_true(audit_effects_of(audit, SPAN_NONE, see_effect, &seen, &error));
    assert_int_equal(seen.count, 2);

    assert_true(audit_begin(audit, &error));
    struct effect_change unknown = {.id = SPAN("d9.0"), .outcome = OUTCOME_APPLIED};
    assert_false(audit_change_effect(audit, &unknown, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
    assert_string_equal(error.message, "effect d9.0 is settled, but was never requested");
    audit_close(audit);
}

static void test_audit__the_smaller_tables_are_kept(void **fixture)
{
    struct error error = {0};
    struct audit *audit = open_writer(*fixture);
    struct sha256 state_hash = sha256_of(SPAN("state")), other = sha256_of(SPAN("other")), read;
    assert_true(audit_begin(audit, &error));
    assert_true(audit_put_policy(audit, SPAN("h1"), (struct stream_id){7, 1}, SPAN("a=b"), &error));
    assert_true(audit_put_policy(audit, SPAN("h2"), (struct stream_id){8, 1}, SPAN("a=c"), &error));
    assert_true(audit_put_policy(audit, SPAN("h1"), (struct stream_id){9, 1}, SPAN("a=b"), &error));
    assert_true(audit_put_leadership(audit, 5, 1, SPAN("owner"), (struct stream_id){6, 0}, &error));
    assert_true(audit_put_quarantine(audit, (struct stream_id){10, 0}, SPAN("bad_field"),
                                     (struct span){"\0\1", 2}, &error));
    assert_true(audit_put_checkpoint(audit, 65536, (struct stream_id){11, 0}, &other, &error));
    assert_true(audit_put_checkpoint(audit, 65536, (struct stream_id){11, 0}, &state_hash, &error));
    assert_true(audit_commit(audit, &error));
    uint64_t ordinal;
    for (uint64_t from = 0; from <= 65536; from += 32768) {
        assert_true(audit_next_checkpoint(audit, from, &ordinal, &read, &error));
        assert_int_equal(ordinal, 65536);
        assert_true(sha256_equal(&read, &state_hash));
    }
    assert_false(audit_next_checkpoint(audit, 65537, &ordinal, &read, &error));
    assert_int_equal(error.code, ERROR_NONE);
    audit_close(audit);
    assert_int_equal(ask(*fixture, "SELECT group_concat(hash || at_ms || text) ="
                                   " 'h17a=b,h28a=c,h19a=b' FROM policy"),
                     1);
    assert_int_equal(ask(*fixture, "SELECT epoch || timeline || owner || stream_id || at_ms ="
                                   " '51owner6-06' FROM leadership"),
                     1);
    assert_int_equal(ask(*fixture, "SELECT stream_id || reason || hex(raw) = '10-0bad_field0001'"
                                   " FROM quarantine"),
                     1);
}

static void put_snapshot(struct audit *audit, uint64_t number, struct span state)
{
    struct error error = {0};
    struct audit_position position = position_numbered(number);
    assert_true(audit_begin(audit, &error));
    assert_true(audit_put_snapshot(audit, &position, state, &error));
    assert_true(audit_put_position(audit, &position, &error));
    assert_true(audit_commit(audit, &error));
}

static void test_audit__snapshots_come_back_and_two_are_kept(void **fixture)
{
    static char large[(5 << 20) / 2];
    for (size_t index = 0; index < sizeof(large); index++) {
        large[index] = (char)(index * 7 / 3);
    }
    struct error error = {0};
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, 2);
    struct sha256 head = audit_head(audit);
    put_snapshot(audit, 1, SPAN("first"));
    put_snapshot(audit, 2, (struct span){large, sizeof(large)});
    put_snapshot(audit, 3, (struct span){large, 1 << 20});

    struct audit_position position, second = position_numbered(2);
    struct buffer state = {0};
    buffer_put_text(&state, "before");
    assert_false(audit_load_snapshot(audit, second.ordinal - 1, &position, &state, &error));
    assert_int_equal(error.code, ERROR_NONE);
    assert_true(audit_load_snapshot(audit, second.ordinal + 9, &position, &state, &error));
    assert_int_equal(state.size, sizeof("before") - 1 + sizeof(large));
    assert_memory_equal(state.data + sizeof("before") - 1, large, sizeof(large));
    assert_int_equal(position.ordinal, second.ordinal);
    assert_int_equal(stream_id_compare(position.stream_id, second.stream_id), 0);
    assert_true(sha256_equal(&position.entry_sha256, &second.entry_sha256));
    assert_true(sha256_equal(&position.audit_head, &head));

    /* The same place again, as at a clean stop right behind a snapshot. */
    put_snapshot(audit, 3, SPAN("again"));
    buffer_reset(&state);
    assert_true(audit_load_snapshot(audit, UINT64_MAX, &position, &state, &error));
    assert_true(span_is(buffer_span(&state), "again"));
    buffer_fini(&state);
    audit_close(audit);
    assert_int_equal(ask(*fixture, "SELECT count(*) FROM snapshot"), 2);
    assert_int_equal(ask(*fixture, "SELECT count(*) FROM snapshot_chunk"), 4);
    assert_int_equal(ask(*fixture, "SELECT max(length(bytes)) FROM snapshot_chunk"), 1 << 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_audit__a_new_file_is_empty_and_whole),
        TEST(test_audit__the_file_is_set_up_as_promised),
        TEST(test_audit__partitions_have_different_beginnings),
        TEST(test_audit__rows_come_back_as_they_were_appended),
        TEST(test_audit__extreme_values_survive),
        TEST(test_audit__position_and_chain_go_on_after_a_restart),
        TEST(test_audit__the_head_is_the_chain_of_canonical_bytes),
        TEST(test_audit__a_rollback_leaves_no_trace),
        TEST(test_audit__a_repeated_id_is_refused_and_rolls_back),
        TEST(test_audit__effects_are_requested_and_settled),
        TEST(test_audit__the_smaller_tables_are_kept),
        TEST(test_audit__snapshots_come_back_and_two_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
