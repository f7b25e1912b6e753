/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"

static void test_error__set_says_code_and_message(void **fixture)
{
    (void)fixture;
    struct error error = {0};
    assert_false(error_set(&error, ERROR_IO, "cannot read %s: %d", "file", 7));
    assert_int_equal(error.code, ERROR_IO);
    assert_string_equal(error.message, "cannot read file: 7");
}

static void test_error__wrap_keeps_the_code(void **fixture)
{
    (void)fixture;
    struct error error = {0};
    error_set(&error, ERROR_BUSY, "LOADING");
    assert_false(error_wrap(&error, "append to %s", "salvor:{0}:events"));
    assert_int_equal(error.code, ERROR_BUSY);
    assert_string_equal(error.message, "append to salvor:{0}:events: LOADING");
}

static void test_error__long_messages_are_cut_at_the_end(void **fixture)
{
    (void)fixture;
    char text[400];
    memset(text, 'm', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct error error = {0};
    error_set(&error, ERROR_IO, "%s", text);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    error_wrap(&error, "outer");
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_memory_equal(error.message, "outer: mmm", 10);
    error_wrap(&error, "%s", text);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
}

static void test_error__every_code_has_a_text(void **fixture)
{
    (void)fixture;
    assert_string_equal(error_code_text(ERROR_NONE), "none");
    assert_string_equal(error_code_text(ERROR_DISK_FULL), "disk_full");
    assert_string_equal(error_code_text(ERROR_STOPPED), "stopped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error__set_says_code_and_message),
        cmocka_unit_test(test_error__wrap_keeps_the_code),
        cmocka_unit_test(test_error__long_messages_are_cut_at_the_end),
        cmocka_unit_test(test_error__every_code_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
