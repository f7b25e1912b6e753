/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "comfyui_yaml.h"
#include "connectors/profile.h"

static void test_profile__the_shipped_one_loads(void **fixture)
{
    (void)fixture;
    struct error error = {0};
    struct profile *profile =
        profile_load("comfyui.yaml", (struct span){comfyui_yaml, comfyui_yaml_size}, &error);
    if (profile == NULL) {
        fail_msg("%s", error.message);
        return;
    }
    assert_true(span_is(profile->name, "comfyui"));
    assert_true(profile->is_volatile);
    assert_int_equal(profile->probe_count, 2);
    assert_true(span_is(profile->probes[0].target, "/queue"));
    assert_true(span_is(profile->probes[1].target, "/history/{id}"));
    assert_false(profile->probes[0].is_post);
    assert_true(profile->has_result);
    assert_true(span_is(profile->result, "/{id}/outputs"));
    profile_destroy(profile);
}

static void test_profile__reads_every_key(void **fixture)
{
    (void)fixture;
    struct error error = {0};
    struct profile *profile =
        profile_load("p.yaml",
                     SPAN("profile: rclone\n"
                          "volatile: false\n"
                          "status:\n"
                          "  - request: POST /job/status\n"
                          "    body: '{\"jobid\": {id}}'\n"
                          "    rules: ['200 & /finished = true => completed']\n"
                          "  - request: GET {status_url}/more\n"
                          "    rules:\n"
                          "      - 404 => not_found expired\n"
                          "result: body\n"),
                     &error);
    if (profile == NULL) {
        fail_msg("%s", error.message);
        return;
    }
    assert_false(profile->is_volatile);
    assert_true(profile->probes[0].is_post);
    assert_true(span_is(profile->probes[0].body, "{\"jobid\": {id}}"));
    assert_int_equal(profile->probes[0].rules[0].verdict, ANSWER_COMPLETED);
    assert_true(profile->probes[1].is_absolute);
    assert_int_equal(profile->probes[1].rules[0].flags, 1u << ANSWER_FLAG_EXPIRED);
    assert_true(profile->has_result);
    assert_int_equal(profile->result.size, 0);
    assert_false(profile->has_word);
    profile_destroy(profile);
}

static void test_profile__mistakes_are_named_with_file_line_and_what_is_allowed(void **fixture)
{
#define HEAD  "profile: x\nvolatile: true\n"
#define PROBE HEAD "status:\n- request: GET /x/{id}\n  rules:\n"
    static const struct {
        const char *yaml, *message;
    } rows[] = {
        {"a: [", "mine.yaml: line "},
        {"[]", "mine.yaml: line 1: expected a mapping with the keys profile, volatile"},
        {"profile: x\nvolatil: true\n",
         "line 2: unknown key \"volatil\"; allowed: profile, volatile, status, result, word"},
        {"volatile: true\n", "line 1: \"profile\" is missing: 1 to 128 printable"},
        {"profile: x\n", "line 1: \"volatile\" is missing: true when a restart"},
        {"profile: a b\nvolatile: true\n", "line 1: a profile's name is 1 to 128"},
        {"profile: x\nvolatile: maybe\n", "line 2: volatile is true or false"},
        {HEAD, "\"status\" is missing: a list of requests, each with request, body, rules"},
        {HEAD "status: []\n", "line 3: \"status\" must be a list of requests"},
        {HEAD "status: GET /x\n", "line 3: \"status\" must be a list"},
        {HEAD "status:\n- GET /x\n",
         "line 4: expected a mapping with the keys request, body, rules"},
        {HEAD "status:\n- request: GET /x\n", "line 4: \"rules\" is missing: a list of rules"},
        {HEAD "status:\n- rules: [200 => failed]\n", "line 4: \"request\" is missing"},
        {HEAD "status:\n- request: PUT /x\n  rules: [200 => failed]\n",
         "line 4: a request is \"GET\" or \"POST\""},
        {HEAD "status:\n- request: GET x\n  rules: [200 => failed]\n", "line 4: a request is"},
        {HEAD "status:\n- request: GET\n  rules: [200 => failed]\n", "line 4: a request is"},
        {HEAD "status:\n- request: GET http://evil/x\n  rules: [200 => failed]\n",
         "line 4: a request is"},
        {HEAD "status:\n- request: GET /x HTTP/1.1\n  rules: [200 => failed]\n",
         "line 4: a request is"},
        {HEAD "status:\n- request: GET /{job}\n  rules: [200 => failed]\n",
         "line 4: {job} is no variable here; allowed: {id} {id:path}"},
        {HEAD "status:\n- request: GET /x\n  body: '{}'\n  rules: [200 => failed]\n",
         "line 5: a body is one text, and goes with POST alone"},
        {HEAD "status:\n- request: POST /x\n  body: '{job}'\n  rules: [200 => failed]\n",
         "line 5: {job} is no variable here; allowed: {id} {id:json}"},
        {PROBE "  - [a]\n", "line 6: a rule is one line"},
        {PROBE "  - 200 => failed\n  - 404 => gone\n",
         "line 7: \"gone\" is no verdict; allowed: pen"},
        {PROBE "  - 200 & /done = true => completed\n",
         "line 6: completed of a volatile service needs a proof of whose job it is"},
        {PROBE "  - 200 => failed\nresult: outputs\n", "line 7: \"outputs\" is no pointer"},
        {PROBE "  - 200 => failed\nword: [a]\n", "line 7: expected a pointer"},
        {PROBE "  - 200 => failed\nresult: /{status_url}\n", "line 7: {status_url} is no variable"},
    };
    (void)fixture;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error error = {0};
        struct profile *profile = profile_load("mine.yaml", span_of(rows[i].yaml), &error);
        if (profile != NULL || strstr(error.message, rows[i].message) == NULL ||
            strncmp(error.message, "mine.yaml: line ", 16) != 0 || error.code != ERROR_USAGE) {
            fail_msg("row %zu: \"%s\" instead of \"%s\"", i, error.message, rows[i].message);
        }
    }
}

static void test_profile__the_number_of_requests_and_rules_is_bounded(void **fixture)
{
    (void)fixture;
    struct buffer yaml = {0};
    struct error error = {0};
    buffer_put_text(&yaml, PROBE);
    for (int i = 0; i <= PROFILE_RULES_MAX; i++) {
        buffer_put_text(&yaml, "  - 200 => failed\n");
    }
    assert_null(profile_load("p", buffer_span(&yaml), &error));
    assert_non_null(strstr(error.message, "line 5: more than 64 rules"));
    buffer_reset(&yaml);
    buffer_put_text(&yaml, HEAD "status:\n");
    for (int i = 0; i <= PROFILE_PROBES_MAX; i++) {
        buffer_put_text(&yaml, "- {request: GET /x, rules: [200 => failed]}\n");
    }
    assert_null(profile_load("p", buffer_span(&yaml), &error));
    assert_non_null(strstr(error.message, "line 3: more than 8 requests"));
    buffer_fini(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile__the_shipped_one_loads),
        cmocka_unit_test(test_profile__reads_every_key),
        cmocka_unit_test(test_profile__mistakes_are_named_with_file_line_and_what_is_allowed),
        cmocka_unit_test(test_profile__the_number_of_requests_and_rules_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
