/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "connectors/alarms.h"

#define ALARMS 500

struct rings {
    uint64_t last_ms;
    size_t count;
};

static void on_ring(void *context, void *owner)
{
    struct rings *rings = context;
    const struct alarm *alarm = owner;
    assert_true(alarm->due_ms >= rings->last_ms);
    assert_int_equal(alarm->place, 0);
    rings->last_ms = alarm->due_ms;
    rings->count++;
}

static void test_alarms__ring_in_the_order_of_their_times(void **fixture)
{
    (void)fixture;
    static struct alarm list[ALARMS];
    struct alarms alarms = {0};
    struct rings rings = {0};
    size_t due = 0;
    for (size_t i = 0; i < ALARMS; i++) {
        list[i] = (struct alarm){.ring = on_ring, .owner = &list[i]};
        alarms_set(&alarms, &list[i], hash_number(1, i) % 1000);
    }
    for (size_t i = 0; i < ALARMS; i++) { /* a third moves, a third is cleared */
        if (i % 3 == 0) {
            alarms_set(&alarms, &list[i], hash_number(2, i) % 1000);
        } else if (i % 3 == 1) {
            alarms_clear(&alarms, &list[i]);
            alarms_clear(&alarms, &list[i]);
        }
        due += i % 3 != 1 && list[i].due_ms <= 600;
    }
    assert_true(alarms_ring(&alarms, 600, &rings));
    assert_int_equal(rings.count, due);
    assert_true(rings.last_ms <= 600);
    assert_false(alarms_ring(&alarms, 600, &rings));
    assert_true(alarms_ring(&alarms, 1000, &rings));
    assert_int_equal(rings.count, ALARMS - (ALARMS + 1) / 3);
    assert_int_equal(alarms.count, 0);
    alarms_fini(&alarms);
}

static void test_alarms__the_wait_ends_with_the_next_one(void **fixture)
{
    (void)fixture;
    struct alarms alarms = {0};
    struct alarm alarm = {.ring = on_ring, .owner = &alarm};
    assert_int_equal(alarms_wait_ms(&alarms, 1000, 250), 250);
    alarms_set(&alarms, &alarm, 1100);
    assert_int_equal(alarms_wait_ms(&alarms, 1000, 250), 100);
    assert_int_equal(alarms_wait_ms(&alarms, 1100, 250), 0);
    assert_int_equal(alarms_wait_ms(&alarms, 1200, 250), 0);
    alarms_set(&alarms, &alarm, 9000);
    assert_int_equal(alarms_wait_ms(&alarms, 1000, 250), 250);
    alarms_fini(&alarms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alarms__ring_in_the_order_of_their_times),
        cmocka_unit_test(test_alarms__the_wait_ends_with_the_next_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
