/* SPDX-License-Identifier: MIT
 * The table against an array that holds the same keys in order of arrival. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "reducers/table.h"

#define KEYS       500 /* several times the buckets at first */
#define OPERATIONS 20000

struct entity {
    struct table_node node;
    uint64_t key;
};

static struct span key_text(uint64_t key, char text[16])
{
    int size = snprintf(text, 16, "k%llu", (unsigned long long)key);
    return (struct span){text, (size_t)size};
}

static void assert_walks(const struct table *table, const uint64_t *expected, size_t count)
{
    struct entity *entity = table_oldest(table);
    uint64_t arrival = 0;
    assert_int_equal(table->arrivals.count, count);
    for (size_t i = 0; i < count; i++, entity = table_next(entity)) {
        assert_non_null(entity);
        assert_int_equal(entity->key, expected[i]);
        assert_true(entity->node.arrival > arrival);
        arrival = entity->node.arrival;
    }
    assert_null(entity);
}

static void test_table__behaves_as_an_array(void **fixture)
{
    (void)fixture;
    struct table table;
    uint64_t expected[KEYS];
    size_t count = 0;
    char text[16];
    table_init(&table, sizeof(struct entity));
    for (uint64_t step = 1; step <= OPERATIONS; step++) {
        uint64_t key = hash_number(2, step) % KEYS;
        struct entity *entity = table_find(&table, key_text(key, text));
        size_t place = 0;
        while (place < count && expected[place] != key) {
            place++;
        }
        assert_int_equal(entity != NULL, place < count);
        if (entity == NULL) {
            entity = table_add(&table, key_text(key, text), step);
            assert_int_equal(entity->key, 0);
            entity->key = key;
            expected[count++] = key;
        } else {
            assert_int_equal(entity->key, key);
            table_remove(&table, entity);
            memmove(&expected[place], &expected[place + 1],
                    (count - place - 1) * sizeof expected[0]);
            count--;
        }
        if (step % 100 == 0) {
            assert_walks(&table, expected, count);
        }
    }
    table_fini(&table);
}

static void test_table__keeps_its_own_copy_of_the_key(void **fixture)
{
    (void)fixture;
    struct table table;
    char text[] = "job";
    table_init(&table, sizeof(struct entity));
    assert_null(table_find(&table, SPAN("job")));
    assert_null(table_oldest(&table));
    struct entity *entity = table_add(&table, span_of(text), 1);
    text[0] = 'x';
    assert_ptr_equal(table_find(&table, SPAN("job")), entity);
    assert_null(table_find(&table, span_of(text)));
    assert_true(span_is(entity->node.key, "job"));
    table_fini(&table);
}

/* The state of hash_key behind the first of two words. */
static uint64_t after_first_word(uint64_t word)
{
    uint64_t hash = (UINT64_C(0xcbf29ce484222325) ^ 16 ^ word) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

/* The second word takes back what the first one changed. */
static void test_table__keys_of_the_same_hash_are_told_apart(void **fixture)
{
    (void)fixture;
    struct table table;
    const uint64_t words[2][2] = {{1, 0}, {2, after_first_word(1) ^ after_first_word(2)}};
    struct span first = {(const char *)words[0], sizeof words[0]};
    struct span second = {(const char *)words[1], sizeof words[1]};
    assert_true(hash_key(first) == hash_key(second));
    table_init(&table, sizeof(struct entity));
    struct entity *entity = table_add(&table, first, 1);
    assert_null(table_find(&table, second));
    struct entity *other = table_add(&table, second, 2);
    assert_ptr_equal(table_find(&table, first), entity);
    assert_ptr_equal(table_find(&table, second), other);
    table_remove(&table, entity);
    assert_null(table_find(&table, first));
    assert_ptr_equal(table_find(&table, second), other);
    table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table__behaves_as_an_array),
        cmocka_unit_test(test_table__keys_of_the_same_hash_are_told_apart),
        cmocka_unit_test(test_table__keeps_its_own_copy_of_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
