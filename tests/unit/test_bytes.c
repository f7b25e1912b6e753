/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"

static void assert_span(struct span span, const char *text)
{
    assert_int_equal(span.size, strlen(text));
    assert_true(span_is(span, text));
}

static void test_bytes__spans_compare_as_unsigned_bytes(void **fixture)
{
    (void)fixture;
    assert_true(span_equal(SPAN_NONE, SPAN("")));
    assert_true(span_is(span_of(NULL), NULL));
    assert_false(span_equal(SPAN("ab"), SPAN("abc")));
    assert_false(span_equal(SPAN("ab"), SPAN("ac")));
    assert_int_equal(span_compare(SPAN("ab"), SPAN("ab")), 0);
    assert_int_equal(span_compare(SPAN_NONE, SPAN_NONE), 0);
    assert_true(span_compare(SPAN_NONE, SPAN("a")) < 0);
    assert_true(span_compare(SPAN("abc"), SPAN("ab")) > 0);
    assert_true(span_compare(SPAN("\xff"), SPAN("a")) > 0);
    assert_true(span_compare(SPAN("a\0b"), SPAN("a\0c")) < 0);
}

static void test_bytes__cut_walks_the_parts(void **fixture)
{
    (void)fixture;
    struct span rest = SPAN("a::b");
    assert_span(span_cut(&rest, ':'), "a");
    assert_span(span_cut(&rest, ':'), "");
    assert_non_null(rest.data);
    assert_span(span_cut(&rest, ':'), "b");
    assert_null(rest.data);
    assert_span(span_cut(&rest, ':'), "");

    /* A separator at the end leaves one more, empty part. */
    rest = SPAN("a:");
    assert_span(span_cut(&rest, ':'), "a");
    assert_non_null(rest.data);
    assert_int_equal(rest.size, 0);
    assert_span(span_cut(&rest, ':'), "");
    assert_null(rest.data);
}

static void test_bytes__numbers_have_one_form(void **fixture)
{
    (void)fixture;
    uint64_t number = 77;
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "01",
                                      "00",
                                      "0x1",
                                      "1.0",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "100000000000000000000",
                                      "1a",
                                      "\xb2"};
    for (size_t index = 0; index < sizeof(bad) / sizeof(bad[0]); index++) {
        assert_false(span_to_number(span_of(bad[index]), UINT64_MAX, &number));
        assert_int_equal(number, 77);
    }
    assert_true(span_to_number(SPAN("0"), 0, &number));
    assert_int_equal(number, 0);
    assert_true(span_to_number(SPAN("18446744073709551615"), UINT64_MAX, &number));
    assert_true(number == UINT64_MAX);
    assert_true(span_to_number(SPAN("100"), 100, &number));
    assert_false(span_to_number(SPAN("101"), 100, &number));
    assert_int_equal(number, 100);
    assert_string_equal(number_text(0).text, "0");
    assert_string_equal(number_text(1000).text, "1000");
    assert_string_equal(number_text(UINT64_MAX).text, "18446744073709551615");
}

static void test_bytes__buffer_grows_and_is_kept(void **fixture)
{
    (void)fixture;
    struct buffer buffer = {.limit = 1000};
    assert_int_equal(buffer_span(&buffer).size, 0);
    for (int round = 0; round < 100; round++) {
        buffer_put_text(&buffer, "0123456789");
    }
    assert_int_equal(buffer.size, 1000);
    assert_memory_equal(buffer.data + 990, "0123456789", 10);
    char *kept = buffer.data;
    buffer_reset(&buffer);
    buffer_put(&buffer, NULL, 0);
    buffer_put_text(&buffer, NULL);
    assert_int_equal(buffer.size, 0);
    memset(buffer_reserve(&buffer, 3), 'x', 3);
    buffer.size += 3;
    buffer_put_byte(&buffer, '!');
    assert_ptr_equal(buffer.data, kept);
    assert_span(buffer_span(&buffer), "xxx!");
    buffer_fini(&buffer);
    buffer_fini(&buffer);
}

static void test_bytes__decimals_and_json_strings(void **fixture)
{
    (void)fixture;
    struct buffer buffer = {0};
    buffer_put_decimal(&buffer, 0);
    buffer_put_byte(&buffer, ' ');
    buffer_put_decimal(&buffer, UINT64_MAX);
    assert_span(buffer_span(&buffer), "0 18446744073709551615");
    buffer_reset(&buffer);
    buffer_put_json_string(&buffer, SPAN("a\"b\\c\n\0\x7f\xc3\xa9~ "));
    assert_span(buffer_span(&buffer), "\"a\\\"b\\\\c\\u000a\\u0000\\u007f\\u00c3\\u00a9~ \"");
    buffer_fini(&buffer);
}

static void test_bytes__reader_reads_what_was_put(void **fixture)
{
    (void)fixture;
    static const uint64_t numbers[] = {0, 1, 127, 128, 16383, 16384, UINT64_MAX - 1, UINT64_MAX};
    const size_t count = sizeof(numbers) / sizeof(numbers[0]);
    struct buffer buffer = {0};
    for (size_t index = 0; index < count; index++) {
        buffer_put_varint(&buffer, numbers[index]);
    }
    buffer_put_sized(&buffer, SPAN("text"));
    buffer_put_sized(&buffer, SPAN_NONE);
    buffer_put_byte(&buffer, 0xfe);

    struct reader reader = {.rest = buffer_span(&buffer)};
    for (size_t index = 0; index < count; index++) {
        assert_true(reader_varint(&reader) == numbers[index]);
    }
    assert_span(reader_sized(&reader), "text");
    assert_span(reader_sized(&reader), "");
    assert_int_equal(reader_byte(&reader), 0xfe);
    assert_false(reader.is_bad);
    assert_int_equal(reader.rest.size, 0);
    assert_int_equal(reader_bytes(&reader, 0).size, 0);
    assert_false(reader.is_bad);
    assert_int_equal(reader_byte(&reader), 0);
    assert_true(reader.is_bad);
    buffer_fini(&buffer);
}

static void test_bytes__bad_input_stays_bad(void **fixture)
{
    (void)fixture;
    static const struct span bad[] = {
        {"\x80", 1},                                         /* cut off */
        {"\x80\x00", 2},                                     /* longer than needed */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},    /* bit 65 */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", 11} /* eleven groups */
    };
    for (size_t index = 0; index < sizeof(bad) / sizeof(bad[0]); index++) {
        struct reader reader = {.rest = bad[index]};
        assert_int_equal(reader_varint(&reader), 0);
        assert_true(reader.is_bad);
    }
    /* A size beyond the end, and everything after it. */
    struct reader reader = {.rest = SPAN("\x05"
                                         "abcd")};
    assert_int_equal(reader_sized(&reader).size, 0);
    assert_true(reader.is_bad);
    assert_int_equal(reader_byte(&reader), 0);
    assert_int_equal(reader_varint(&reader), 0);
    assert_int_equal(reader_bytes(&reader, 1).size, 0);
}

static void test_bytes__predicates_look_at_every_byte(void **fixture)
{
    (void)fixture;
    assert_true(span_holds(SPAN("abc"), SPAN("bc")));
    assert_true(span_holds(SPAN("abc"), SPAN("abc")));
    assert_true(span_holds(SPAN_NONE, SPAN("")));
    assert_true(span_holds(SPAN("a"), SPAN_NONE));
    assert_false(span_holds(SPAN("abc"), SPAN("ac")));
    assert_false(span_holds(SPAN("ab"), SPAN("abc")));
    assert_false(span_holds(SPAN_NONE, SPAN("a")));
    assert_true(span_is_solid(SPAN("a-~!")));
    assert_false(span_is_solid(SPAN("a b")));
    assert_false(span_is_solid(SPAN("a\x7f")));
    assert_false(span_is_solid(SPAN("\xc3\xa4")));
    assert_true(span_is_line(SPAN("a b \xc3\xa4")));
    assert_false(span_is_line(SPAN("a\n")));
    assert_false(span_is_line(SPAN("a\0b")));
    assert_false(span_is_line(SPAN("\x7f")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes__spans_compare_as_unsigned_bytes),
        cmocka_unit_test(test_bytes__cut_walks_the_parts),
        cmocka_unit_test(test_bytes__numbers_have_one_form),
        cmocka_unit_test(test_bytes__buffer_grows_and_is_kept),
        cmocka_unit_test(test_bytes__decimals_and_json_strings),
        cmocka_unit_test(test_bytes__reader_reads_what_was_put),
        cmocka_unit_test(test_bytes__bad_input_stays_bad),
        cmocka_unit_test(test_bytes__predicates_look_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
