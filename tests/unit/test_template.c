/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/template.h"

static void assert_renders(const char *text, enum template_place place, const char *id,
                           const char *expected)
{
    struct buffer out = {0};
    struct error error = {0};
    struct template_variables variables = {.id = span_of(id),
                                           .tag = SPAN("our tag"),
                                           .submitted_at = UINT64_C(1713784515504),
                                           .status_url = SPAN("http://h/s?a=b"),
                                           .cancel_url = SPAN("http://h/c"),
                                           .result_url = SPAN("http://h/r")};
    assert_true(template_check(span_of(text), place, &error));
    assert_true(template_render(span_of(text), place, &variables, &out, &error));
    buffer_put_byte(&out, 0);
    assert_string_equal(out.data, expected);
    buffer_fini(&out);
}

static void assert_refuses(const char *text, enum template_place place,
                           const struct template_variables *variables, const char *word)
{
    struct buffer out = {0};
    struct error error = {0};
    assert_true(template_check(span_of(text), place, &error));
    assert_false(template_render(span_of(text), place, variables, &out, &error));
    assert_string_equal(error.message, word);
    buffer_fini(&out);
}

static void test_template__fills_values_in_encoded_for_their_place(void **fixture)
{
    (void)fixture;
    assert_renders("/history/{id}", TEMPLATE_URL, "a-1._~", "/history/a-1._~");
    assert_renders("/h/{id}?x={tag}", TEMPLATE_URL, "a/b?c#d&e=f%",
                   "/h/a%2Fb%3Fc%23d%26e%3Df%25?x="
                   "our%20tag");
    assert_renders("/h/{id:path}", TEMPLATE_URL, "\xc3\xa9", "/h/%C3%A9");
    assert_renders("{status_url}/x", TEMPLATE_URL, "i", "http://h/s?a=b/x");
    assert_renders("{cancel_url}", TEMPLATE_URL, "i", "http://h/c");
    assert_renders("{result_url}", TEMPLATE_URL, "i", "http://h/r");
    assert_renders("{\"delete\":[\"{id:json}\"]}", TEMPLATE_BODY, "a\"],\"b",
                   "{\"delete\":[\"a\\\"],\\\"b\"]}");
    assert_renders("{\"jobid\":{id}}", TEMPLATE_BODY, "17", "{\"jobid\":17}");
    assert_renders("/q/[1={id}]/{tag}", TEMPLATE_POINTER, "a/b~c", "/q/[1=a~1b~0c]/our tag");
    assert_renders("{id} {tag}", TEMPLATE_TEXT, "a/\"b", "a/\"b our tag");
    assert_renders("no { variable {} {1} here", TEMPLATE_TEXT, "i", "no { variable {} {1} here");
}

static void test_template__the_time_of_the_submit_has_two_forms(void **fixture)
{
    (void)fixture;
    assert_renders("/jobs?since={submitted:unix}", TEMPLATE_URL, "i", "/jobs?since=1713784515");
    assert_renders("/j?t={submitted:rfc3339}", TEMPLATE_URL, "i", "/j?t=2024-04-22T11%3A15%3A15Z");
    assert_renders("{\"t\":{submitted:unix},\"u\":\"{submitted:rfc3339}\"}", TEMPLATE_BODY, "i",
                   "{\"t\":1713784515,\"u\":\"2024-04-22T11:15:15Z\"}");
    assert_renders("{submitted:rfc3339}", TEMPLATE_TEXT, "i", "2024-04-22T11:15:15Z");
}

static void test_template__secrets_go_into_headers_alone(void **fixture)
{
    (void)fixture;
    struct error error = {0};
    struct buffer out = {0};
    struct template_variables variables = {.token = "env:SALVOR_TEST_TOKEN"};
    struct span text = SPAN("Authorization: Bearer {token}; {env:SALVOR_TEST_TOKEN}");
    setenv("SALVOR_TEST_TOKEN", "a/b c", 1);
    assert_true(template_check(text, TEMPLATE_HEADER, &error));
    assert_true(template_render(text, TEMPLATE_HEADER, &variables, &out, &error));
    assert_true(span_is(buffer_span(&out), "Authorization: Bearer a/b c; a/b c"));
    buffer_reset(&out);
    text = SPAN("/ns/{env:SALVOR_TEST_TOKEN}/jobs");
    assert_true(template_render(text, TEMPLATE_URL, &variables, &out, &error));
    assert_true(span_is(buffer_span(&out), "/ns/a%2Fb%20c/jobs"));
    buffer_fini(&out);

    setenv("SALVOR_TEST_TOKEN", "a\r\nX-Evil: 1", 1);
    assert_refuses("X: {token}", TEMPLATE_HEADER, &variables, "bad_token");
    setenv("SALVOR_TEST_TOKEN", "..", 1);
    assert_refuses("/ns/{env:SALVOR_TEST_TOKEN}", TEMPLATE_URL, &variables, "bad_token");
    unsetenv("SALVOR_TEST_TOKEN");
    assert_refuses("X: {token}", TEMPLATE_HEADER, &variables, "no_token");
    assert_refuses("X: {file:/nowhere/at/all}", TEMPLATE_HEADER, &variables, "no_token");
    variables.token = NULL;
    assert_refuses("X: {token}", TEMPLATE_HEADER, &variables, "no_token");
    variables.token = "a literal";
    assert_refuses("X: {token}", TEMPLATE_HEADER, &variables, "bad_token");
}

static void test_template__ids_are_held_to_the_profiles_characters(void **fixture)
{
    (void)fixture;
    struct template_variables variables = {.id = SPAN("a-b_1"), .id_characters = SPAN("-")};
    assert_refuses("/h/{id}", TEMPLATE_URL, &variables, "bad_id");
    assert_refuses("\"{id:json}\"", TEMPLATE_BODY, &variables, "bad_id");
    assert_refuses("/{id}", TEMPLATE_POINTER, &variables, "bad_id");
    assert_refuses("{id}", TEMPLATE_TEXT, &variables, "bad_id");
    variables.id = SPAN("a-b1");
    struct buffer out = {0};
    struct error error = {0};
    assert_true(template_render(SPAN("/h/{id}"), TEMPLATE_URL, &variables, &out, &error));
    buffer_fini(&out);
    variables.id_characters = SPAN("");
    assert_refuses("/h/{id}", TEMPLATE_URL, &variables, "bad_id");
}

static void test_template__a_raw_id_keeps_its_slashes_and_nothing_else(void **fixture)
{
    static const char *const bad[] = {"a/../b", "a..b", "a/./b", "a?b",
                                      "a#b",    "a%2e", "a b",   "a\\b"};
    (void)fixture;
    struct buffer out = {0};
    struct error error = {0};
    struct template_variables variables = {.id = SPAN("operations/a-1.2"),
                                           .id_characters = SPAN("-./")};
    assert_true(template_check(SPAN("/v1/{id:raw}:cancel"), TEMPLATE_URL, &error));
    assert_true(
        template_render(SPAN("/v1/{id:raw}:cancel"), TEMPLATE_URL, &variables, &out, &error));
    assert_true(span_is(buffer_span(&out), "/v1/operations/a-1.2:cancel"));
    buffer_fini(&out);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        variables.id = span_of(bad[i]);
        assert_refuses("/v1/{id:raw}", TEMPLATE_URL, &variables, "bad_id");
    }
    variables.id = SPAN("a/b");
    variables.id_characters = SPAN_NONE; /* what the profile does not name is not let in raw */
    assert_refuses("/v1/{id:raw}", TEMPLATE_URL, &variables, "bad_id");
}

static void test_template__line_breaks_never_reach_a_url(void **fixture)
{
    (void)fixture;
    assert_renders("/h/{id}", TEMPLATE_URL, "a\r\nHost: evil", "/h/a%0D%0AHost%3A%20evil");
    struct template_variables variables = {.status_url = SPAN("http://h/\r\nX: y")};
    assert_refuses("{status_url}", TEMPLATE_URL, &variables, "bad_url");
    variables.status_url = SPAN("http://h/ b");
    assert_refuses("{status_url}", TEMPLATE_URL, &variables, "bad_url");
}

static void test_template__an_id_never_climbs_out_of_its_path(void **fixture)
{
    static const char *const ids[] = {".", "..", "a/../b", "../x", "x/..", "a\\..\\b", "a/./b"};
    (void)fixture;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct template_variables variables = {.id = span_of(ids[i])};
        assert_refuses("/history/{id}", TEMPLATE_URL, &variables, "bad_id");
    }
    assert_renders("/h/{id}", TEMPLATE_URL, "a..b", "/h/a..b");
    assert_renders("/h/{id}", TEMPLATE_URL, "...", "/h/...");
}

static void test_template__a_bare_id_in_a_body_must_be_a_number(void **fixture)
{
    (void)fixture;
    struct template_variables variables = {.id = SPAN("1,\"x\":2")};
    assert_refuses("{\"jobid\":{id}}", TEMPLATE_BODY, &variables, "bad_id");
    variables.id = SPAN("007");
    assert_refuses("{\"jobid\":{id}}", TEMPLATE_BODY, &variables, "bad_id");
}

static void test_template__a_missing_value_is_named(void **fixture)
{
    (void)fixture;
    struct template_variables none = {0};
    assert_refuses("/history/{id}", TEMPLATE_URL, &none, "no_id");
    assert_refuses("/x/{tag}", TEMPLATE_URL, &none, "no_tag");
    assert_refuses("{status_url}", TEMPLATE_URL, &none, "no_status_url");
    assert_refuses("{cancel_url}", TEMPLATE_URL, &none, "no_cancel_url");
    assert_refuses("{result_url}", TEMPLATE_URL, &none, "no_result_url");
    assert_refuses("/x/{submitted:unix}", TEMPLATE_URL, &none, "no_submitted_at");
    assert_refuses("/x/{id:raw}", TEMPLATE_URL, &none, "no_id");
}

static void test_template__the_length_is_bounded(void **fixture)
{
    static char long_id[TEMPLATE_URL_MAX + 1];
    (void)fixture;
    for (size_t i = 0; i < sizeof(long_id); i++) {
        long_id[i] = 'a';
    }
    struct template_variables variables = {.id = {long_id, sizeof(long_id)}};
    assert_refuses("/{id}", TEMPLATE_URL, &variables, "too_long");
}

static void assert_wrong(const char *text, enum template_place place, const char *part)
{
    struct error error = {0};
    assert_false(template_check(span_of(text), place, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    assert_non_null(strstr(error.message, part));
}

static void test_template__mistakes_are_named_with_what_is_allowed(void **fixture)
{
    (void)fixture;
    assert_wrong("/x/{ident}", TEMPLATE_URL,
                 "{ident} is no variable here; allowed: {id} {id:path}");
    assert_wrong("/x/{id:json}", TEMPLATE_URL, "{id:json} is no variable here");
    assert_wrong("{\"a\":\"{id:path}\"}", TEMPLATE_BODY,
                 "allowed: {id} {id:json} {tag} {tag:json} {submitted:unix}");
    assert_wrong("/{status_url}", TEMPLATE_POINTER, "allowed: {id} {tag}");
    assert_wrong("X: {id}", TEMPLATE_HEADER, "allowed: {token} {env:NAME} {file:/PATH}");
    assert_wrong("/x?key={token}", TEMPLATE_URL, "{token} is no variable here");
    assert_wrong("/x?key={file:/etc/key}", TEMPLATE_URL, "{file:/etc/key} is no variable here");
    assert_wrong("{\"key\":\"{token}\"}", TEMPLATE_BODY, "{token} is no variable here");
    assert_wrong("/x?key={env:1}", TEMPLATE_URL, "{env:1} is no variable here");
    assert_wrong("X: {file:key}", TEMPLATE_HEADER, "{file:key} is no variable here");
    assert_wrong("/x{status_url}", TEMPLATE_URL, "{status_url} can only stand at the very start");
}

static void test_template__tells_what_it_uses(void **fixture)
{
    (void)fixture;
    assert_true(template_uses(SPAN("/q/[1={id}]"), "id"));
    assert_false(template_uses(SPAN("/q/id/{tag}"), "id"));
    assert_false(template_uses(SPAN("/q/{id"), "id"));
    assert_true(template_names_job(SPAN("/q?since={submitted:unix}")));
    assert_true(template_names_job(SPAN("{status_url}")));
    assert_false(template_names_job(SPAN("/q/{env:NAMESPACE}/id")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template__fills_values_in_encoded_for_their_place),
        cmocka_unit_test(test_template__the_time_of_the_submit_has_two_forms),
        cmocka_unit_test(test_template__secrets_go_into_headers_alone),
        cmocka_unit_test(test_template__ids_are_held_to_the_profiles_characters),
        cmocka_unit_test(test_template__a_raw_id_keeps_its_slashes_and_nothing_else),
        cmocka_unit_test(test_template__line_breaks_never_reach_a_url),
        cmocka_unit_test(test_template__an_id_never_climbs_out_of_its_path),
        cmocka_unit_test(test_template__a_bare_id_in_a_body_must_be_a_number),
        cmocka_unit_test(test_template__a_missing_value_is_named),
        cmocka_unit_test(test_template__the_length_is_bounded),
        cmocka_unit_test(test_template__mistakes_are_named_with_what_is_allowed),
        cmocka_unit_test(test_template__tells_what_it_uses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
