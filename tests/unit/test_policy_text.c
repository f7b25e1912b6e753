/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/policy_text.h"

static void test_policy_text__is_sorted_and_hashed(void **fixture)
{
    (void)fixture;
    struct policy policy;
    policy_preset(PRESET_SAFE, &policy);
    assert_true(
        policy_set_facts(&policy, SPAN("comfyui"), (struct policy_facts){.is_volatile = true}));
    struct policy_text made = policy_text_make(&policy);
    struct span rest = buffer_span(&made.text);
    struct span before = SPAN_NONE;
    uint32_t lines = 0;
    bool has_service = false;
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        assert_true(span_compare(before, line) < 0);
        has_service |= span_is(line, "service.comfyui.volatile=true");
        before = line;
        lines++;
    }
    assert_true(has_service);
    assert_int_equal(lines, POLICY_KEY_COUNT + 1);
    struct sha256 digest = sha256_of(buffer_span(&made.text));
    struct sha256_text hash = sha256_text(&digest);
    assert_string_equal(made.hash.text, hash.text);
    policy_text_fini(&made);
}

static void test_policy_text__reads_what_it_wrote_in_any_order(void **fixture)
{
    (void)fixture;
    struct policy policy;
    policy_preset(PRESET_SEED, &policy);
    struct policy_text made = policy_text_make(&policy);
    /* The lines backwards. */
    struct buffer backwards = {0};
    struct span text = buffer_span(&made.text);
    size_t end = text.size;
    while (end > 0) {
        size_t start = end - 1;
        while (start > 0 && text.data[start - 1] != '\n') {
            start--;
        }
        buffer_put(&backwards, text.data + start, end - start);
        end = start;
    }
    struct policy_text read;
    struct error error = {0};
    assert_true(policy_text_read(buffer_span(&backwards), &read, &error));
    assert_string_equal(read.hash.text, made.hash.text);
    assert_true(span_equal(buffer_span(&read.text), text));
    policy_text_fini(&read);
    policy_text_fini(&made);
    buffer_fini(&backwards);
}

static void test_policy_text__names_the_bad_line(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"effects=apply\nmax_retries=many\n",
         "line 2: \"max_retries=many\"; allowed: a whole number from 0 to 1000000, once"},
        {"effects=maybe\n", "line 1: \"effects=maybe\"; allowed: one of observe apply, once"},
        {"effects=apply\n\ncolour=red\n", "line 2: \"\"; allowed: key=value, each policy key once"},
        {"colour=red\n", "line 1: \"colour=red\"; allowed: key=value, each policy key once"},
        {"effects=apply\neffects=apply\n",
         "line 2: \"effects=apply\"; allowed: one of observe apply, once"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_text read;
        struct error error = {0};
        assert_false(policy_text_read(span_of(cases[i].text), &read, &error));
        assert_int_equal(error.code, ERROR_USAGE);
        assert_string_equal(error.message, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_text__is_sorted_and_hashed),
        cmocka_unit_test(test_policy_text__reads_what_it_wrote_in_any_order),
        cmocka_unit_test(test_policy_text__names_the_bad_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
