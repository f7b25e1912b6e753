/* SPDX-License-Identifier: MIT
 * Partitions, jitter and roll-outs rest on these values: they may never change. They were computed
 * by an implementation of its own, in another language. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

static void test_hash__bytes_give_these_values_for_ever(void **fixture)
{
    (void)fixture;
    assert_true(hash_bytes(SPAN_NONE) == UINT64_C(0xefd01f60ba992926));
    assert_true(hash_bytes(SPAN("a")) == UINT64_C(0x82a2a958a9bece5b));
    assert_true(hash_bytes(SPAN("worker-1")) == UINT64_C(0x47e73c9b4c3c6e74));
    assert_true(hash_bytes(SPAN("job-42")) == UINT64_C(0xb6f7e4ec0c071479));
    assert_true(hash_bytes(SPAN("comfyui")) == UINT64_C(0xb41b08a5013a48bb));
    assert_true(hash_bytes(SPAN("\xff")) == UINT64_C(0x1bbd5c813c69a8d7));
}

static void test_hash__numbers_give_these_values_for_ever(void **fixture)
{
    (void)fixture;
    assert_true(hash_number(0, 0) == UINT64_C(0x7bd3144f29c0cc9e));
    assert_true(hash_number(0, 1) == UINT64_C(0x4a3a3a4ba6523826));
    assert_true(hash_number(hash_bytes(SPAN("job-42")), 1) == UINT64_C(0x978cfedeaef92132));
    assert_true(hash_number(1, UINT64_MAX) == UINT64_C(0x9729f5179431dda9));
}

static void test_hash__keys_that_differ_in_a_byte_or_in_size_differ(void **fixture)
{
    (void)fixture;
    char key[42] = {0};
    char same[42] = {0};
    for (size_t size = 0; size + 1 < sizeof(key); size++) {
        uint64_t hash = hash_key((struct span){key, size});
        assert_true(hash == hash_key((struct span){same, size}));
        assert_true(hash != hash_key((struct span){key, size + 1}));
        for (size_t index = 0; index < size; index++) {
            key[index] = 1;
            assert_true(hash != hash_key((struct span){key, size}));
            key[index] = 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash__bytes_give_these_values_for_ever),
        cmocka_unit_test(test_hash__numbers_give_these_values_for_ever),
        cmocka_unit_test(test_hash__keys_that_differ_in_a_byte_or_in_size_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
