/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "connectors/lookup.h"

#define ENTRIES 1000

static void test_lookup__finds_what_was_put_and_not_what_was_removed(void **fixture)
{
    (void)fixture;
    static struct lookup_entry entries[ENTRIES];
    static struct number_text keys[ENTRIES];
    struct lookup lookup = {0};
    assert_null(lookup_find(&lookup, SPAN("7")));
    for (size_t i = 0; i < ENTRIES; i++) {
        keys[i] = number_text(i);
        lookup_put(&lookup, &entries[i], span_of(keys[i].text), &keys[i]);
    }
    assert_int_equal(lookup.count, ENTRIES);
    assert_true(lookup.bucket_count >= ENTRIES);
    for (size_t i = 0; i < ENTRIES; i += 2) {
        lookup_remove(&lookup, &entries[i]);
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        struct number_text key = number_text(i);
        assert_ptr_equal(lookup_find(&lookup, span_of(key.text)), i % 2 == 0 ? NULL : &keys[i]);
    }
    assert_null(lookup_find(&lookup, SPAN("")));
    lookup_put(&lookup, &entries[0], span_of(keys[0].text), &keys[0]);
    assert_ptr_equal(lookup_find(&lookup, SPAN("0")), &keys[0]);
    lookup_fini(&lookup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup__finds_what_was_put_and_not_what_was_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
