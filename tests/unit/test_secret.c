/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "connectors/secret.h"
#include "tests/lib/tree.h"

static char folder[TREE_PATH_SIZE];

static int make_folder(void **fixture)
{
    (void)fixture;
    tree_make(folder);
    return 0;
}

static int remove_folder(void **fixture)
{
    (void)fixture;
    tree_remove(folder);
    unsetenv("SALVOR_TEST_TOKEN");
    return 0;
}

/* "file:FOLDER/token", whose content it is. */
static const char *file_with(const char *content, size_t size)
{
    static char source[TREE_PATH_SIZE + 16];
    snprintf(source, sizeof(source), "file:%s/token", folder);
    FILE *stream = fopen(source + 5, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(content, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
    return source;
}

static void assert_secret(const char *source, const char *expected)
{
    struct buffer out = {0};
    const char *word = "unset";
    buffer_put_text(&out, "Bearer ");
    assert_true(secret_read(span_of(source), &out, &word));
    assert_null(word);
    assert_int_equal(out.size, 7 + strlen(expected));
    assert_memory_equal(out.data + 7, expected, strlen(expected));
    buffer_fini(&out);
}

static void assert_refused(const char *source, const char *expected)
{
    struct buffer out = {0};
    const char *word = NULL;
    assert_false(secret_read(span_of(source), &out, &word));
    assert_string_equal(word, expected);
    buffer_fini(&out);
}

static void test_secret__comes_from_the_environment(void **fixture)
{
    (void)fixture;
    setenv("SALVOR_TEST_TOKEN", "abc def", 1);
    assert_secret("env:SALVOR_TEST_TOKEN", "abc def");
    setenv("SALVOR_TEST_TOKEN", "", 1);
    assert_refused("env:SALVOR_TEST_TOKEN", "no_token");
    unsetenv("SALVOR_TEST_TOKEN");
    assert_refused("env:SALVOR_TEST_TOKEN", "no_token");
}

static void test_secret__of_a_file_is_read_anew_each_time(void **fixture)
{
    (void)fixture;
    assert_secret(file_with("first\n", 6), "first");
    assert_secret(file_with("second", 6), "second");
    const char *source = file_with("third\r\n", 7);
    assert_secret(source, "third");
    assert_int_equal(unlink(source + 5), 0);
    assert_refused(source, "no_token");
    assert_refused(file_with("", 0), "no_token");
    assert_refused(file_with("\n", 1), "no_token");
}

static void test_secret__never_carries_a_control_byte(void **fixture)
{
    static const struct {
        const char *content;
        size_t size;
    } rows[] = {
        {"a\r\nX-Evil: 1", 12}, {"a\nb\n", 4}, {"a\0b", 3}, {"a\tb", 3}, {"a\x7f", 2}, {"a\n\n", 3},
    };
    (void)fixture;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_refused(file_with(rows[i].content, rows[i].size), "bad_token");
    }
    setenv("SALVOR_TEST_TOKEN", "a\r\nX-Evil: 1", 1);
    assert_refused("env:SALVOR_TEST_TOKEN", "bad_token");
}

static void test_secret__is_bounded(void **fixture)
{
    static char large[SECRET_SIZE_MAX + 1];
    (void)fixture;
    memset(large, 'a', sizeof(large));
    struct buffer out = {0};
    const char *word;
    assert_true(secret_read(span_of(file_with(large, SECRET_SIZE_MAX)), &out, &word));
    assert_int_equal(out.size, SECRET_SIZE_MAX);
    assert_refused(file_with(large, sizeof(large)), "bad_token");
    buffer_fini(&out);
}

/* A pipe without a writer would hold up who opens it. */
static void test_secret__is_read_from_files_alone(void **fixture)
{
    char source[TREE_PATH_SIZE + 16];
    (void)fixture;
    snprintf(source, sizeof(source), "file:%s/pipe", folder);
    assert_int_equal(mkfifo(source + 5, 0600), 0);
    assert_refused(source, "no_token");
    snprintf(source, sizeof(source), "file:%s", folder);
    assert_refused(source, "no_token");
}

static void test_secret__sources_have_two_forms(void **fixture)
{
    static const char *const wrong[] = {"",        "abc",       "env:",   "env:1A",   "env:A B",
                                        "env:A-B", "file:",     "file:/", "file:a/b", "ENV:A",
                                        "env",     "file:a\nb", "env:A}", "secret:/a"};
    (void)fixture;
    assert_true(secret_is_source(SPAN("env:A_1")));
    assert_true(secret_is_source(SPAN("file:/run/token")));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(secret_is_source(span_of(wrong[i])));
        assert_refused(wrong[i], "bad_token");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret__comes_from_the_environment),
        cmocka_unit_test(test_secret__of_a_file_is_read_anew_each_time),
        cmocka_unit_test(test_secret__never_carries_a_control_byte),
        cmocka_unit_test(test_secret__is_bounded),
        cmocka_unit_test(test_secret__is_read_from_files_alone),
        cmocka_unit_test(test_secret__sources_have_two_forms),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
