/* SPDX-License-Identifier: MIT
 * A decision's columns and the canonical bytes that the audit's chain is made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reducers/decision.h"

static struct decision example(void)
{
    return (struct decision){
        .id = SPAN("0.1.1763899200123-4.0"),
        .timeline = 1,
        .stream_id = {1763899200123, 4},
        .ordinal = 300,
        .at_ms = 1763899200123,
        .job = SPAN("j1"),
        .worker = SPAN("w1"),
        .service = SPAN("comfyui"),
        .attempt = 2,
        .action = ACTION_REQUEUE,
        .reason = REASON_WORKER_SILENT,
        .policy = SPAN("ab12"),
        .reducers = 7,
        .evidence = SPAN("{}"),
        .trace = SPAN("00-aa-bb-01"),
        .mode = SPAN("apply"),
    };
}

static void test_decision__columns_are_told_by_name_and_value(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *name;
        const char *text; /* NULL: a number */
        uint64_t number;
    } expected[DECISION_COLUMN_COUNT] = {
        {"id", "0.1.1763899200123-4.0", 0},
        {"timeline", NULL, 1},
        {"stream_id", "1763899200123-4", 0},
        {"ordinal", NULL, 300},
        {"at_ms", NULL, 1763899200123},
        {"job", "j1", 0},
        {"worker", "w1", 0},
        {"service", "comfyui", 0},
        {"attempt", NULL, 2},
        {"action", "requeue", 0},
        {"reason", "worker_silent", 0},
        {"policy", "ab12", 0},
        {"reducers", NULL, 7},
        {"evidence", "{}", 0},
        {"trace", "00-aa-bb-01", 0},
        {"mode", "apply", 0},
    };
    struct decision decision = example();
    struct buffer scratch = {0};
    for (unsigned i = 0; i < DECISION_COLUMN_COUNT; i++) {
        assert_string_equal(decision_column_name(i), expected[i].name);
        struct column_value value = decision_column(&decision, i, &scratch);
        assert_int_equal(value.is_number, expected[i].text == NULL);
        if (value.is_number) {
            assert_int_equal(value.number, expected[i].number);
        } else {
            assert_true(span_is(value.text, expected[i].text));
        }
    }
    buffer_fini(&scratch);
}

static void test_decision__canonical_bytes_are_as_documented(void **fixture)
{
    (void)fixture;
    static const char expected[] = "t\x15"
                                   "0.1.1763899200123-4.0"
                                   "n\x01"
                                   "t\x0f"
                                   "1763899200123-4"
                                   "n\xac\x02"
                                   "n\xfb\xa4\xd7\x84\xab\x33"
                                   "t\x02"
                                   "j1"
                                   "t\x02"
                                   "w1"
                                   "t\x07"
                                   "comfyui"
                                   "n\x02"
                                   "t\x07"
                                   "requeue"
                                   "t\x0d"
                                   "worker_silent"
                                   "t\x04"
                                   "ab12"
                                   "n\x07"
                                   "t\x02{}"
                                   "t\x0b"
                                   "00-aa-bb-01"
                                   "t\x05"
                                   "apply";
    struct decision decision = example();
    struct buffer buffer = {0};
    decision_put_canonical(&buffer, &decision);
    assert_int_equal(buffer.size, sizeof(expected) - 1);
    assert_memory_equal(buffer.data, expected, buffer.size);
    buffer_fini(&buffer);
}

static void test_decision__each_column_changes_the_canonical_bytes(void **fixture)
{
    (void)fixture;
    struct decision changed[DECISION_COLUMN_COUNT];
    for (unsigned i = 0; i < DECISION_COLUMN_COUNT; i++) {
        changed[i] = example();
    }
    changed[DECISION_COLUMN_ID].id = SPAN("x");
    changed[DECISION_COLUMN_TIMELINE].timeline++;
    changed[DECISION_COLUMN_STREAM_ID].stream_id.seq++;
    changed[DECISION_COLUMN_ORDINAL].ordinal++;
    changed[DECISION_COLUMN_AT_MS].at_ms++;
    changed[DECISION_COLUMN_JOB].job = SPAN_NONE;
    changed[DECISION_COLUMN_WORKER].worker = SPAN_NONE;
    changed[DECISION_COLUMN_SERVICE].service = SPAN_NONE;
    changed[DECISION_COLUMN_ATTEMPT].attempt = UINT64_MAX;
    changed[DECISION_COLUMN_ACTION].action = ACTION_PARK;
    changed[DECISION_COLUMN_REASON].reason = REASON_JOB_FAILED;
    changed[DECISION_COLUMN_POLICY].policy = SPAN("ab13");
    changed[DECISION_COLUMN_REDUCERS].reducers = 0;
    changed[DECISION_COLUMN_EVIDENCE].evidence = SPAN("[]");
    changed[DECISION_COLUMN_TRACE].trace = SPAN_NONE;
    changed[DECISION_COLUMN_MODE].mode = SPAN("observe");
    struct decision decision = example();
    struct buffer plain = {0};
    struct buffer other = {0};
    decision_put_canonical(&plain, &decision);
    for (unsigned i = 0; i < DECISION_COLUMN_COUNT; i++) {
        buffer_reset(&other);
        decision_put_canonical(&other, &changed[i]);
        assert_false(span_equal(buffer_span(&plain), buffer_span(&other)));
    }
    buffer_fini(&plain);
    buffer_fini(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decision__columns_are_told_by_name_and_value),
        cmocka_unit_test(test_decision__canonical_bytes_are_as_documented),
        cmocka_unit_test(test_decision__each_column_changes_the_canonical_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
