/* SPDX-License-Identifier: MIT
 * Every word of the tables is told, told once, and found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reducers/decision.h"

static void test_words__reasons_have_distinct_codes_and_a_text(void **fixture)
{
    (void)fixture;
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        assert_true(strlen(reason_code(i)) > 0);
        assert_true(strlen(reason_text(i)) > strlen("no"));
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(reason_code(i), reason_code(k));
            assert_string_not_equal(reason_text(i), reason_text(k));
        }
    }
    assert_string_equal(reason_code(REASON_NONE), "none");
    assert_string_equal(reason_code(REASON_FORKED), "forked");
    assert_string_equal(reason_text(REASON_JOB_GONE), "the queue has no such job");
}

static void test_words__actions_are_told(void **fixture)
{
    (void)fixture;
    for (unsigned i = 0; i < ACTION_COUNT; i++) {
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(action_text(i), action_text(k));
        }
    }
    assert_string_equal(action_text(ACTION_NONE), "none");
    assert_string_equal(action_text(ACTION_TIME_OUT), "time_out");
    assert_string_equal(action_text(ACTION_QUARANTINE), "quarantine");
}

static void test_words__effect_kinds_are_found_again(void **fixture)
{
    (void)fixture;
    for (unsigned i = 0; i < EFFECT_KIND_COUNT; i++) {
    }
    assert_string_equal(effect_kind_text(EFFECT_RELEASE), "release");
}

static void test_words__effect_outcomes_are_found_again(void **fixture)
{
    (void)fixture;
    for (unsigned i = 0; i < EFFECT_OUTCOME_COUNT; i++) {
        assert_int_equal(effect_outcome_named(span_of(effect_outcome_text(i))), i);
    }
    assert_string_equal(effect_outcome_text(OUTCOME_WITHDRAWN), "withdrawn");
    assert_int_equal(effect_outcome_named(SPAN("Applied")), OUTCOME_NONE);
    assert_int_equal(effect_outcome_named(SPAN("none")), OUTCOME_NONE);
}

static void test_words__answer_verdicts_are_found_again(void **fixture)
{
    (void)fixture;
    for (unsigned i = 0; i < ANSWER_VERDICT_COUNT; i++) {
        assert_int_equal(answer_verdict_named(span_of(answer_verdict_text(i))), i);
    }
    assert_string_equal(answer_verdict_text(ANSWER_NO_PROFILE), "no_profile");
    assert_int_equal(answer_verdict_named(SPAN("completed ")), ANSWER_NONE);
    assert_int_equal(answer_verdict_named(SPAN("")), ANSWER_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words__reasons_have_distinct_codes_and_a_text),
        cmocka_unit_test(test_words__actions_are_told),
        cmocka_unit_test(test_words__effect_kinds_are_found_again),
        cmocka_unit_test(test_words__effect_outcomes_are_found_again),
        cmocka_unit_test(test_words__answer_verdicts_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
