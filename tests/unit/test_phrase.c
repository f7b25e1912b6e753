/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "replay/phrase.h"

/* Compares and empties. */
static void assert_put(struct buffer *out, const char *text)
{
    buffer_put_byte(out, '\0');
    assert_string_equal(out->data, text);
    buffer_reset(out);
}

static void test_phrase__times_are_utc(void **fixture)
{
    (void)fixture;
    struct buffer out = {0};
    setenv("TZ", "Asia/Kolkata", 1);
    phrase_put_time(&out, 1700000000007);
    assert_put(&out, "2023-11-14T22:13:20.007Z");
    phrase_put_day(&out, 1700000000007);
    assert_put(&out, "2023-11-14");
    phrase_put_clock(&out, 1700000000070);
    assert_put(&out, "22:13:20.070");
    phrase_put_time(&out, UINT64_MAX); /* a year that no calendar has */
    assert_true(out.size > 0);
    buffer_fini(&out);
}

static void test_phrase__spans_of_time_have_the_unit_that_tells_most(void **fixture)
{
    (void)fixture;
    static const struct {
        uint64_t ms;
        const char *text;
    } spans[] = {
        {0, "0 ms"},
        {999, "999 ms"},
        {1000, "1 s"},
        {1250, "1.25 s"},
        {60200, "60.2 s"},
        {60005, "60.005 s"},
        {119999, "119.999 s"},
        {120000, "2 min"},
        {243000, "4 min 3 s"},
        {7199999, "119 min 59 s"},
        {7500000, "2 h 5 min"},
        {172800000, "2 d"},
        {273600000, "3 d 4 h"},
    };
    struct buffer out = {0};
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        phrase_put_span(&out, spans[i].ms);
        assert_put(&out, spans[i].text);
    }
    buffer_fini(&out);
}

static void test_phrase__bytes_become_printable(void **fixture)
{
    (void)fixture;
    struct buffer out = {0};
    phrase_put_printable(&out, SPAN("a\nb\033[31m\xc3\xa4\x7f"));
    assert_put(&out, "a, b?[31m???");
    phrase_put_excerpt(&out, SPAN("abcdef"), 4);
    assert_put(&out, "abcd…");
    phrase_put_excerpt(&out, SPAN("abcd"), 4);
    assert_put(&out, "abcd");
    buffer_fini(&out);
}

static void test_phrase__paragraphs_break_at_blanks(void **fixture)
{
    (void)fixture;
    struct buffer out = {0};
    struct paragraph how = {.palette = &palette_plain, .column = 4, .indent = 2, .width = 10};
    phrase_put_paragraph(&out, &how, SPAN("one two three waytoolongforaline … end"));
    assert_put(&out, "one\n  two\n  three\n  waytoolongforaline\n  … end");
    how.palette = &palette_coloured;
    how.style = STYLE_DIM;
    phrase_put_paragraph(&out, &how, SPAN("one two"));
    assert_put(&out, "\033[2mone\033[0m\n  \033[2mtwo\033[0m");
    how.style = STYLE_NONE;
    phrase_put_paragraph(&out, &how, SPAN("one"));
    assert_put(&out, "one");
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phrase__times_are_utc),
        cmocka_unit_test(test_phrase__spans_of_time_have_the_unit_that_tells_most),
        cmocka_unit_test(test_phrase__bytes_become_printable),
        cmocka_unit_test(test_phrase__paragraphs_break_at_blanks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
