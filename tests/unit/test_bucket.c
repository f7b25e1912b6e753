/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "connectors/bucket.h"

static unsigned take_all(struct bucket *bucket, uint64_t now_ms)
{
    unsigned count = 0;
    while (count < 10000 && bucket_take(bucket, now_ms)) {
        count++;
    }
    return count;
}

static void test_bucket__gives_a_seconds_worth_at_once_and_then_the_rate(void **fixture)
{
    (void)fixture;
    struct bucket bucket = bucket_create(20, 5000);
    assert_int_equal(take_all(&bucket, 5000), 20);
    assert_int_equal(bucket_wait_ms(&bucket), 50);
    assert_int_equal(take_all(&bucket, 5049), 0);
    assert_int_equal(bucket_wait_ms(&bucket), 1);
    assert_int_equal(take_all(&bucket, 5050), 1);
    assert_int_equal(take_all(&bucket, 5550), 10);
    assert_int_equal(take_all(&bucket, UINT64_MAX / 2), 20);
}

static void test_bucket__a_slow_one_still_gives_one(void **fixture)
{
    (void)fixture;
    struct bucket bucket = bucket_create(1, 0);
    assert_int_equal(take_all(&bucket, 0), 1);
    assert_int_equal(bucket_wait_ms(&bucket), 1000);
    for (uint64_t now_ms = 1; now_ms < 1000; now_ms++) { /* looking often loses nothing */
        assert_false(bucket_take(&bucket, now_ms));
    }
    assert_true(bucket_take(&bucket, 1000));
}

static void test_bucket__without_a_rate_there_is_no_limit(void **fixture)
{
    (void)fixture;
    struct bucket bucket = bucket_create(0, 0);
    assert_int_equal(take_all(&bucket, 0), 10000);
    assert_int_equal(bucket_wait_ms(&bucket), 0);
    bucket = bucket_create(UINT64_MAX, 0);
    assert_int_equal(bucket.rate_per_s, BUCKET_RATE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket__gives_a_seconds_worth_at_once_and_then_the_rate),
        cmocka_unit_test(test_bucket__a_slow_one_still_gives_one),
        cmocka_unit_test(test_bucket__without_a_rate_there_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
