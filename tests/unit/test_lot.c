/* SPDX-License-Identifier: MIT
 * Decisions rest on a job's lot: it may never change, and it must spread what hangs on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "reducers/lot.h"

static void test_lot__never_changes(void **fixture)
{
    (void)fixture;
    assert_int_equal(job_lot(SPAN("job-42")), UINT64_C(0xb6f7e4ec0c071479) % 100);
    assert_int_equal(job_lot(SPAN("a")), UINT64_C(0x82a2a958a9bece5b) % 100);
    assert_int_equal(job_lot(SPAN_NONE), UINT64_C(0xefd01f60ba992926) % 100);
}

static void test_lot__ids_that_count_up_fall_into_all_lots_alike(void **fixture)
{
    (void)fixture;
    enum { JOBS_OF_LOT = 100 };
    unsigned count[LOT_COUNT] = {0};
    for (unsigned number = 0; number < LOT_COUNT * JOBS_OF_LOT; number++) {
        char id[32];
        int size = snprintf(id, sizeof(id), "job-%u", number);
        count[job_lot((struct span){id, (size_t)size})]++;
    }
    for (unsigned lot = 0; lot < LOT_COUNT; lot++) {
        assert_in_range(count[lot], JOBS_OF_LOT / 2, JOBS_OF_LOT * 2);
    }
}

/* The back-off takes the lot's hash with the attempt: of a wait between 500 and 1,000 ms each tenth
 * gets its share of the lots. */
static void test_lot__spreads_a_wait_in_each_attempt(void **fixture)
{
    (void)fixture;
    enum { TENTHS = 10 };
    for (uint64_t attempt = 1; attempt <= 5; attempt++) {
        unsigned count[TENTHS] = {0};
        for (uint64_t lot = 0; lot < LOT_COUNT; lot++) {
            count[hash_number(lot, attempt) % 500 * TENTHS / 500]++;
        }
        for (unsigned tenth = 0; tenth < TENTHS; tenth++) {
            assert_in_range(count[tenth], 2, 22);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lot__never_changes),
        cmocka_unit_test(test_lot__ids_that_count_up_fall_into_all_lots_alike),
        cmocka_unit_test(test_lot__spreads_a_wait_in_each_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
