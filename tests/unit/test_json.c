/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/json.h"

static struct json *parse(const char *text)
{
    struct error error = {0};
    struct json *document = json_parse(span_of(text), &error);
    if (document == NULL) {
        fail_msg("%s: %s", text, error.message);
    }
    return document;
}

static void assert_json(const struct json *value, const char *text)
{
    struct buffer out = {0};
    assert_non_null(value);
    json_write(value, &out);
    buffer_put_byte(&out, 0);
    assert_string_equal(out.data, text);
    buffer_fini(&out);
}

static void assert_found(const struct json *document, const char *pointer, const char *text)
{
    const struct json *value = json_find(document, span_of(pointer));
    if (value == NULL) {
        fail_msg("nothing at %s", pointer);
    }
    assert_json(value, text);
}

static void test_json__every_kind_is_told_and_read(void **fixture)
{
    (void)fixture;
    struct json *all = parse("[null, true, false, -7, 1.5, \"a\\u0000b\", [1,2,3], {\"k\":1}]");
    static const enum json_kind kinds[] = {
        JSON_KIND_NULL, JSON_KIND_BOOLEAN, JSON_KIND_BOOLEAN, JSON_KIND_INTEGER,
        JSON_KIND_REAL, JSON_KIND_TEXT,    JSON_KIND_ARRAY,   JSON_KIND_OBJECT,
    };
    static const size_t counts[] = {0, 0, 0, 0, 0, 3, 3, 1};
    for (size_t index = 0; index < 8; index++) {
        char pointer[] = {'/', (char)('0' + index), 0};
        const struct json *value = json_find(all, span_of(pointer));
        int64_t number = 99;
        assert_int_equal(json_kind(value), kinds[index]);
        assert_int_equal(json_count(value), counts[index]);
        assert_int_equal(json_truth(value), index == 1);
        assert_int_equal(json_number(value, &number), index == 3);
        assert_int_equal(number, index == 3 ? -7 : 99);
        assert_true(span_equal(json_text(value), index == 5 ? SPAN("a\0b") : SPAN_NONE));
    }
    int64_t number;
    assert_int_equal(json_kind(NULL), JSON_KIND_NONE);
    assert_int_equal(json_count(NULL), 0);
    assert_false(json_truth(NULL));
    assert_false(json_number(NULL, &number));
    assert_int_equal(json_text(NULL).size, 0);
    assert_json(all, "[null,true,false,-7,1.5,\"a\\u0000b\",[1,2,3],{\"k\":1}]");
    json_destroy(all);
    json_destroy(NULL);
}

static void test_json__any_top_level_value(void **fixture)
{
    (void)fixture;
    static const char *const texts[] = {"null", "3", "\"x\"", "[]", "{}", "true"};
    for (size_t index = 0; index < sizeof(texts) / sizeof(texts[0]); index++) {
        struct json *document = parse(texts[index]);
        assert_json(document, texts[index]);
        assert_ptr_equal(json_find(document, SPAN_NONE), document);
        json_destroy(document);
    }
}

static void test_json__hostile_texts_are_refused(void **fixture)
{
    (void)fixture;
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "[1",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"a\":{\"b\":1,\"c\":2,\"b\":3}}",
                                      "NaN",
                                      "[Infinity]",
                                      "[-Infinity]",
                                      "1e999",
                                      "[1] x",
                                      "[1][2]",
                                      "{'a':1}",
                                      "[1,]",
                                      "\"\xff\"",
                                      "\"\\ud800\"",
                                      "<html></html>",
                                      "01",
                                      "\"\\",
                                      "{\"a\\u0000b\":1}",
                                      "9e",
                                      "]]",
                                      "1..2"};
    for (size_t index = 0; index < sizeof(bad) / sizeof(bad[0]); index++) {
        struct error error = {0};
        if (json_parse(span_of(bad[index]), &error) != NULL) {
            fail_msg("accepted: %s", bad[index]);
        }
        assert_int_equal(error.code, ERROR_CORRUPT);
        assert_non_null(strstr(error.message, "JSON line "));
    }
    struct error error = {0};
    assert_null(json_parse(SPAN("[1]\0[2]"), &error));
}

/* A text of few bytes for each value would take far more memory and time than it is long. */
static void test_json__values_are_counted_before_they_are_read(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *begin, *unit, *end;
        size_t most; /* of these that are read */
    } rows[] = {
        {"[0", ",1", "]", JSON_VALUES_MAX - 1},
        {"[0", ",[]", "]", (JSON_VALUES_MAX - 1) / 2},
        {"[\"", ",:[{", "\"]", 4 * JSON_VALUES_MAX},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t over = 0; over < 2; over++) {
            struct buffer text = {0};
            struct error error = {0};
            buffer_put_text(&text, rows[i].begin);
            for (size_t k = 0; k < rows[i].most + over; k++) {
                buffer_put_text(&text, rows[i].unit);
            }
            buffer_put_text(&text, rows[i].end);
            struct json *json = json_parse(buffer_span(&text), &error);
            bool is_text = i == 2;
            assert_int_equal(json != NULL, over == 0 || is_text);
            assert_int_equal(error.code, json != NULL ? ERROR_NONE : ERROR_REFUSED);
            json_destroy(json);
            buffer_fini(&text);
        }
    }
}

static void test_json__nesting_is_bounded(void **fixture)
{
    (void)fixture;
    char text[2 * (JSON_DEPTH_MAX + 1) + 1] = {0};
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    json_destroy(parse(text));
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    struct error error = {0};
    assert_null(json_parse(span_of(text), &error));
    assert_string_equal(error.message, "JSON nested deeper than 64 levels");
    /* Neither brackets in texts nor many brackets side by side are nesting. */
    char quoted[200] = "\"\\\"";
    memset(quoted + 3, '[', 100);
    strncat(quoted, "\"", 2);
    json_destroy(parse(quoted));
    char flat[400] = "[[]";
    for (size_t size = 3; size < 300; size += 3) {
        memcpy(flat + size, ",[]", 3);
    }
    strncat(flat, "]", 2);
    json_destroy(parse(flat));
}

static void test_json__integers_beyond_64_bits_are_reals(void **fixture)
{
    (void)fixture;
    struct json *document =
        parse("{\"seed\":18446744073709551615,\"id\":9223372036854775807,"
              "\"low\":-9223372036854775807,\"text\":\"99999999999999999999\",\"end\":1,"
              "\"more\":[12345678901234567890123,9223372036854775808],\"real\":"
              "0.99999999999999999999}");
    int64_t number;
    assert_int_equal(json_kind(json_find(document, SPAN("/seed"))), JSON_KIND_REAL);
    assert_int_equal(json_kind(json_find(document, SPAN("/more/0"))), JSON_KIND_REAL);
    assert_int_equal(json_kind(json_find(document, SPAN("/more/1"))), JSON_KIND_REAL);
    assert_int_equal(json_kind(json_find(document, SPAN("/real"))), JSON_KIND_REAL);
    assert_true(json_number(json_find(document, SPAN("/id")), &number));
    assert_true(number == INT64_MAX);
    assert_true(json_number(json_find(document, SPAN("/low")), &number));
    assert_true(number == -INT64_MAX);
    assert_true(span_is(json_text(json_find(document, SPAN("/text"))), "99999999999999999999"));
    assert_found(document, "/end", "1");
    json_destroy(document);
}

/* The example of RFC 6901, section 5. */
static void test_json__pointers_follow_the_rfc(void **fixture)
{
    (void)fixture;
    struct json *document = parse("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
                                  "\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}");
    static const char *const found[][2] = {
        {"/foo", "[\"bar\",\"baz\"]"},
        {"/foo/0", "\"bar\""},
        {"/", "0"},
        {"/a~1b", "1"},
        {"/c%d", "2"},
        {"/e^f", "3"},
        {"/g|h", "4"},
        {"/i\\j", "5"},
        {"/k\"l", "6"},
        {"/ ", "7"},
        {"/m~0n", "8"},
        {"/foo/1", "\"baz\""},
    };
    for (size_t index = 0; index < sizeof(found) / sizeof(found[0]); index++) {
        assert_found(document, found[index][0], found[index][1]);
    }
    static const char *const absent[] = {"foo",     "/foo/2", "/foo/-",   "/foo/01", "/foo/",
                                         "/foo/0/", "/m~n",   "/m~2n",    "/x",      "/foo/bar",
                                         "/m~",     "//",     "/foo/0/x", "/foo/1e0"};
    for (size_t index = 0; index < sizeof(absent) / sizeof(absent[0]); index++) {
        assert_null(json_find(document, span_of(absent[index])));
    }
    assert_null(json_find(document, SPAN("/foo\0")));
    assert_null(json_find(NULL, SPAN("/foo")));
    json_destroy(document);
}

static void test_json__a_selector_picks_the_first_match(void **fixture)
{
    (void)fixture;
    struct json *document =
        parse("{\"messages\":[[\"execution_start\",{\"t\":1}],[\"execution_success\",{\"t\":2}],"
              "[\"execution_success\",{\"t\":3}],\"text\",7,null],"
              "\"conditions\":[{\"type\":\"Failed\",\"status\":\"False\"},{\"type\":\"Complete\","
              "\"status\":\"True\",\"n\":5,\"b\":true,\"z\":null,\"r\":1.5,\"a\":[1]}],"
              "\"queue\":[[0,\"id=1/[x]~\"]],\"[a=b]\":\"a member\"}");
    assert_found(document, "/messages/[0=execution_success]/1/t", "2");
    assert_found(document, "/conditions/[type=Complete]/status", "\"True\"");
    assert_found(document, "/conditions/[n=5]/type", "\"Complete\"");
    assert_found(document, "/conditions/[b=true]/type", "\"Complete\"");
    assert_found(document, "/conditions/[z=null]/type", "\"Complete\"");
    assert_found(document, "/conditions/[r=1.5]/type", "\"Complete\"");
    /* In an object it is an ordinary name. */
    assert_found(document, "/[a=b]", "\"a member\"");
    static const char *const absent[] = {
        "/messages/[0=execution]", "/messages/[1=x]",      "/messages/[9=x]", "/messages/[=x]",
        "/conditions/[type]",      "/conditions/[]",       "/conditions/[",   "/conditions/[a=[1]]",
        "/conditions/[n=5.0]",     "/conditions/[other=]", "/[type=Complete]"};
    for (size_t index = 0; index < sizeof(absent) / sizeof(absent[0]); index++) {
        assert_null(json_find(document, span_of(absent[index])));
    }
    /* Any id can stand in a selector once it is escaped. */
    struct buffer pointer = {0};
    buffer_put_text(&pointer, "/queue/[1=");
    json_put_pointer_text(&pointer, SPAN("id=1/[x]~"));
    buffer_put_text(&pointer, "]/0");
    assert_true(span_is(buffer_span(&pointer), "/queue/[1=id=1~1[x]~0]/0"));
    assert_json(json_find(document, buffer_span(&pointer)), "0");
    buffer_fini(&pointer);
    json_destroy(document);
}

static void test_json__objects_written_by_hand(void **fixture)
{
    (void)fixture;
    struct buffer out = {0};
    buffer_put_byte(&out, '{');
    json_put_text(&out, "job", SPAN("j\"1"));
    json_put_number(&out, "attempt", 2);
    json_put_truth(&out, "done", true);
    json_put_truth(&out, "late", false);
    json_put_key(&out, "inner");
    buffer_put_byte(&out, '{');
    json_put_number(&out, "n", 1);
    buffer_put_text(&out, "}}");
    assert_true(span_is(buffer_span(&out), "{\"job\":\"j\\\"1\",\"attempt\":2,\"done\":true,"
                                           "\"late\":false,\"inner\":{\"n\":1}}"));
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__every_kind_is_told_and_read),
        cmocka_unit_test(test_json__any_top_level_value),
        cmocka_unit_test(test_json__hostile_texts_are_refused),
        cmocka_unit_test(test_json__values_are_counted_before_they_are_read),
        cmocka_unit_test(test_json__nesting_is_bounded),
        cmocka_unit_test(test_json__integers_beyond_64_bits_are_reals),
        cmocka_unit_test(test_json__pointers_follow_the_rfc),
        cmocka_unit_test(test_json__a_selector_picks_the_first_match),
        cmocka_unit_test(test_json__objects_written_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
