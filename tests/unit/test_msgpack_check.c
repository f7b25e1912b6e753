/* SPDX-License-Identifier: MIT
 * The check of msgpack bytes: every head, every cut, and the bombs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reducers/msgpack_check.h"

/* Each of the format's kinds of value, by its head and how many bytes belong to it in all; a
 * container's or a counted value's bytes are all zero, which are small integers. */
static const struct {
    unsigned char head[6];
    size_t head_size;
    size_t size;
} values[] = {
    {{0x00}, 1, 1},
    {{0x7f}, 1, 1},
    {{0x80}, 1, 1},
    {{0x8f}, 1, 31},
    {{0x90}, 1, 1},
    {{0x9f}, 1, 16},
    {{0xa0}, 1, 1},
    {{0xbf}, 1, 32},
    {{0xc0}, 1, 1},
    {{0xc2}, 1, 1},
    {{0xc3}, 1, 1},
    {{0xc4, 0}, 2, 2},
    {{0xc4, 200}, 2, 202},
    {{0xc5, 1, 0}, 3, 259},
    {{0xc6, 0, 1, 0, 0}, 5, 65541},
    {{0xc7, 0}, 2, 3},
    {{0xc7, 200}, 2, 203},
    {{0xc8, 1, 0}, 3, 260},
    {{0xc9, 0, 0, 1, 0}, 5, 262},
    {{0xca}, 1, 5},
    {{0xcb}, 1, 9},
    {{0xcc}, 1, 2},
    {{0xcd}, 1, 3},
    {{0xce}, 1, 5},
    {{0xcf}, 1, 9},
    {{0xd0}, 1, 2},
    {{0xd1}, 1, 3},
    {{0xd2}, 1, 5},
    {{0xd3}, 1, 9},
    {{0xd4}, 1, 3},
    {{0xd5}, 1, 4},
    {{0xd6}, 1, 6},
    {{0xd7}, 1, 10},
    {{0xd8}, 1, 18},
    {{0xd9, 200}, 2, 202},
    {{0xda, 1, 0}, 3, 259},
    {{0xdb, 0, 0, 1, 0}, 5, 261},
    {{0xdc, 1, 0}, 3, 259},
    {{0xdd, 0, 0, 1, 0}, 5, 261},
    {{0xde, 1, 0}, 3, 515},
    {{0xdf, 0, 0, 1, 0}, 5, 517},
    {{0xe0}, 1, 1},
    {{0xff}, 1, 1},
};

static bool check(const void *bytes, size_t size)
{
    return msgpack_check((struct span){bytes, size});
}

static void test_msgpack_check__each_kind_of_value_is_measured(void **fixture)
{
    (void)fixture;
    static char bytes[70000];
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        memset(bytes, 0, sizeof(bytes));
        memcpy(bytes, values[i].head, values[i].head_size);
        assert_true(check(bytes, values[i].size));
        assert_false(check(bytes, values[i].size + 1));
        size_t shorter = values[i].size > 600 ? values[i].size - 1 : 0;
        for (; shorter < values[i].size; shorter++) {
            assert_false(check(bytes, shorter));
        }
    }
}

static void test_msgpack_check__nothing_and_the_byte_that_is_never_used_are_refused(void **fixture)
{
    (void)fixture;
    assert_false(msgpack_check(SPAN_NONE));
    assert_false(check("\xc1", 1));
    assert_false(check("\x91\xc1", 2));
}

static void test_msgpack_check__bombs_are_refused(void **fixture)
{
    (void)fixture;
    assert_false(check("\xdd\x0f\xff\xff\xff", 5)); /* makes msgpack-c ask for 6.4 GB */
    assert_false(check("\xdd\xff\xff\xff\xff", 5));
    assert_false(check("\xdf\xff\xff\xff\xff", 5));
    assert_false(check("\xdb\xff\xff\xff\xff", 5));
    assert_false(check("\xc6\xff\xff\xff\xff", 5));
    assert_false(check("\xc9\xff\xff\xff\xff\x00", 6));
    assert_false(check("\xdc\xff\xff", 3));
    assert_false(check("\xde\xff\xff\x00", 4));
    char deep[1000];
    memset(deep, 0x91, sizeof(deep));
    assert_false(check(deep, sizeof(deep)));
}

static void test_msgpack_check__depth_is_limited(void **fixture)
{
    (void)fixture;
    assert_int_equal(MSGPACK_DEPTH_MAX, 4);
    assert_true(check("\x91\x91\x91\x91\x01", 5));
    assert_true(check("\x81\x01\x81\x01\x81\x01\x81\x01\x01", 9));
    assert_true(check("\x91\x91\x91\x90", 4));
    assert_false(check("\x91\x91\x91\x91\x90", 5));
    assert_false(check("\x91\x91\x91\x91\x91\x01", 6));
    /* Levels that were left count no more. */
    assert_true(check("\x92\x91\x91\x91\x01\x91\x91\x91\x01", 9));
}

static void test_msgpack_check__values_are_limited(void **fixture)
{
    (void)fixture;
    static char bytes[MSGPACK_NODES_MAX + 8];
    memcpy(bytes, "\xdc\x0f\xff", 3); /* 4,095 values and the array itself */
    assert_true(check(bytes, 3 + 4095));
    memcpy(bytes, "\xdc\x10\x00", 3);
    assert_false(check(bytes, 3 + 4096));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_msgpack_check__each_kind_of_value_is_measured),
        cmocka_unit_test(test_msgpack_check__nothing_and_the_byte_that_is_never_used_are_refused),
        cmocka_unit_test(test_msgpack_check__bombs_are_refused),
        cmocka_unit_test(test_msgpack_check__depth_is_limited),
        cmocka_unit_test(test_msgpack_check__values_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
