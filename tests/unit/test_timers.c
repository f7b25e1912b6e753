/* SPDX-License-Identifier: MIT
 * The heap against a walk over all timers, and the order of ties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "reducers/timers.h"

#define TIMERS     200
#define OPERATIONS 20000
#define DUE_MAX    50 /* few enough for many ties */

static int is_before(const struct timer *a, const struct timer *b)
{
    if (a->due != b->due) {
        return a->due < b->due;
    }
    return a->arrival != b->arrival ? a->arrival < b->arrival : a->kind < b->kind;
}

static struct timer *first_due(struct timer *all, uint64_t now)
{
    struct timer *first = NULL;
    for (size_t i = 0; i < TIMERS; i++) {
        if (all[i].place != 0 && all[i].due <= now &&
            (first == NULL || is_before(&all[i], first))) {
            first = &all[i];
        }
    }
    return first;
}

/* Two timers of different kinds for each arrival. */
static void init_timers(struct timer *all)
{
    memset(all, 0, TIMERS * sizeof *all);
    for (size_t i = 0; i < TIMERS; i++) {
        all[i].kind = i % 2 == 0 ? TIMER_JOB_GRACE : TIMER_JOB_NEXT;
        all[i].arrival = i / 2;
    }
}

static void test_timers__behave_as_a_walk_over_all(void **fixture)
{
    (void)fixture;
    struct timer all[TIMERS];
    struct timers timers = {0};
    uint32_t count = 0;
    init_timers(all);
    for (uint64_t step = 0; step < OPERATIONS; step++) {
        uint64_t random = hash_number(3, step);
        struct timer *timer = &all[random % TIMERS];
        if ((random >> 32) % 3 == 0) {
            count -= timer->place != 0;
            timers_clear(&timers, timer);
            assert_int_equal(timer->place, 0);
        } else {
            count += timer->place == 0;
            timers_set(&timers, timer, (random >> 40) % DUE_MAX);
        }
        uint64_t now = (random >> 16) % DUE_MAX;
        assert_int_equal(timers.count, count);
        assert_ptr_equal(timers_first_due(&timers, now), first_due(all, now));
    }
    timers_fini(&timers);
}

static void test_timers__come_out_in_one_order_however_they_went_in(void **fixture)
{
    (void)fixture;
    struct timer all[TIMERS];
    struct timers timers = {0};
    for (size_t stride = 1; stride < TIMERS; stride += 6) { /* 1, 7, 13 …: prime to 200 or not */
        init_timers(all);
        for (size_t i = 0; i < TIMERS; i++) {
            timers_set(&timers, &all[(i * stride) % TIMERS], 7);
        }
        struct timer *before = NULL;
        struct timer *timer;
        while ((timer = timers_first_due(&timers, 7)) != NULL) {
            assert_true(before == NULL || is_before(before, timer));
            before = timer;
            timers_clear(&timers, timer);
        }
    }
    assert_null(timers_first_due(&timers, UINT64_MAX));
    timers_fini(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers__behave_as_a_walk_over_all),
        cmocka_unit_test(test_timers__come_out_in_one_order_however_they_went_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
