/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "connectors/breaker.h"

static struct breaker opened_at(uint64_t now_ms)
{
    struct breaker breaker = breaker_create();
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        assert_string_equal(breaker_text(&breaker), "closed");
        breaker_fail(&breaker, 0, now_ms);
    }
    assert_string_equal(breaker_text(&breaker), "open");
    return breaker;
}

static void test_breaker__failures_in_a_row_open_it(void **fixture)
{
    (void)fixture;
    struct breaker breaker = breaker_create();
    for (int round = 0; round < 3; round++) {
        for (int i = 1; i < BREAKER_FAILURES; i++) {
            breaker_fail(&breaker, 0, 0);
        }
        breaker_succeed(&breaker);
    }
    assert_string_equal(breaker_text(&breaker), "closed");
    breaker = opened_at(100);
    assert_false(breaker_may_send(&breaker));
    assert_false(breaker_admits(&breaker, 100 + BREAKER_COOL_MS - 1));
}

static void test_breaker__one_trial_decides(void **fixture)
{
    (void)fixture;
    struct breaker breaker = opened_at(0);
    assert_true(breaker_admits(&breaker, BREAKER_COOL_MS));
    assert_string_equal(breaker_text(&breaker), "half_open");
    assert_true(breaker_may_send(&breaker));
    uint32_t trial = breaker_send(&breaker);
    assert_int_not_equal(trial, 0);
    assert_false(breaker_may_send(&breaker));
    breaker_fail(&breaker, 0, BREAKER_COOL_MS); /* a straggler from before says nothing */
    assert_string_equal(breaker_text(&breaker), "half_open");
    breaker_untry(&breaker, trial);
    assert_true(breaker_may_send(&breaker));
    assert_int_not_equal(breaker_send(&breaker), 0);
    breaker_succeed(&breaker);
    assert_string_equal(breaker_text(&breaker), "closed");
    assert_false(breaker_send(&breaker));
}

/* A trial may end only after others have closed the breaker and it opened again. */
static void test_breaker__an_old_trial_says_nothing_of_a_later_one(void **fixture)
{
    (void)fixture;
    struct breaker breaker = opened_at(0);
    assert_true(breaker_admits(&breaker, BREAKER_COOL_MS));
    uint32_t old = breaker_send(&breaker);
    breaker_succeed(&breaker); /* what was under way when it opened */
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        breaker_fail(&breaker, 0, BREAKER_COOL_MS);
    }
    assert_true(breaker_admits(&breaker, 2 * BREAKER_COOL_MS));
    breaker_untry(&breaker, old);
    uint32_t trial = breaker_send(&breaker);
    assert_int_not_equal(trial, old);
    breaker_untry(&breaker, old);
    assert_false(breaker_may_send(&breaker));
    breaker_fail(&breaker, old, 2 * BREAKER_COOL_MS);
    assert_string_equal(breaker_text(&breaker), "half_open");
    breaker_fail(&breaker, trial, 2 * BREAKER_COOL_MS);
    assert_string_equal(breaker_text(&breaker), "open");
}

static void test_breaker__each_failed_trial_doubles_the_wait_up_to_a_limit(void **fixture)
{
    (void)fixture;
    struct breaker breaker = opened_at(0);
    uint64_t now_ms = 0, cool_ms = BREAKER_COOL_MS;
    for (int i = 0; i < 20; i++) {
        assert_false(breaker_admits(&breaker, now_ms + cool_ms - 1));
        now_ms += cool_ms;
        assert_true(breaker_admits(&breaker, now_ms));
        breaker_fail(&breaker, breaker_send(&breaker), now_ms);
        assert_string_equal(breaker_text(&breaker), "open");
        cool_ms = cool_ms * 2 < BREAKER_COOL_MAX_MS ? cool_ms * 2 : BREAKER_COOL_MAX_MS;
    }
    assert_int_equal(cool_ms, BREAKER_COOL_MAX_MS);
    breaker_succeed(&breaker); /* what was under way before it opened came back after all */
    assert_true(breaker_admits(&breaker, now_ms));
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        breaker_fail(&breaker, 0, now_ms);
    }
    assert_true(breaker_admits(&breaker, now_ms + BREAKER_COOL_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_breaker__failures_in_a_row_open_it),
        cmocka_unit_test(test_breaker__one_trial_decides),
        cmocka_unit_test(test_breaker__an_old_trial_says_nothing_of_a_later_one),
        cmocka_unit_test(test_breaker__each_failed_trial_doubles_the_wait_up_to_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
