/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"

static void test_arena__takes_are_aligned_and_apart(void **fixture)
{
    (void)fixture;
    struct arena arena = {0};
    char *taken[200];
    for (size_t index = 0; index < 200; index++) {
        taken[index] = arena_take(&arena, index);
        assert_int_equal((uintptr_t)taken[index] % _Alignof(max_align_t), 0);
        memset(taken[index], (int)index, index);
    }
    for (size_t index = 0; index < 200; index++) {
        for (size_t byte = 0; byte < index; byte++) {
            assert_int_equal((unsigned char)taken[index][byte], index);
        }
    }
    arena_fini(&arena);
}

static void test_arena__copies_are_terminated(void **fixture)
{
    (void)fixture;
    struct arena arena = {0};
    char source[] = "text and more";
    struct span copy = arena_copy(&arena, (struct span){source, 4});
    memset(source, 'x', sizeof(source));
    assert_int_equal(copy.size, 4);
    assert_string_equal(copy.data, "text");
    assert_string_equal(arena_copy(&arena, SPAN_NONE).data, "");
    arena_fini(&arena);
}

static void test_arena__reset_keeps_the_largest_block(void **fixture)
{
    (void)fixture;
    struct arena arena = {0};
    arena_reset(&arena);
    arena_take(&arena, 10);
    char *large = arena_take(&arena, 1 << 20);
    arena_reset(&arena);
    assert_ptr_equal(arena_take(&arena, 1 << 20), large);
    /* The next block is larger still, and is the one that is kept then. */
    char *larger = arena_take(&arena, 1);
    arena_reset(&arena);
    assert_ptr_equal(arena_take(&arena, 2 << 20), larger);
    arena_fini(&arena);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__takes_are_aligned_and_apart),
        cmocka_unit_test(test_arena__copies_are_terminated),
        cmocka_unit_test(test_arena__reset_keeps_the_largest_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
