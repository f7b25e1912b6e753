/* SPDX-License-Identifier: MIT
 * What is wrong with a profile, and how it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/profile.h"

#define HEAD   "profile: x\nvolatile: true\n"
#define KEEPS  "profile: x\nvolatile: false\n"
#define STATUS "status:\n- {request: 'GET /x/{id}', rules: [200 => failed]}\n"

static const struct mistake {
    const char *yaml, *message;
} mistakes[] = {
#define REQUEST    HEAD "status:\n- request: GET /x/{id}\n  rules:\n"
#define ASKS(line) HEAD "status:\n- request: " line "\n  rules: [200 => failed]\n"
#define BODY(line) HEAD "status:\n- request: POST /x\n  body: " line "\n  rules: [200 => failed]\n"
#define MORE(line) HEAD "status:\n- request: GET /x\n  rules: [200 => failed]\n  " line "\n"
#define CANCEL(line) \
    HEAD STATUS "cancel:\n- request: GET /x\n  rules: [200 => accepted]\n  " line "\n"
    {"a: [", "mine.yaml: line "},
    {"[]", "mine.yaml: line 1: expected a mapping with the keys profile, volatile"},
    {HEAD STATUS "volatil: 1\n",
     "line 5: unknown key \"volatil\"; allowed: profile, volatile, ids"},
    {"volatile: true\n" STATUS, "line 1: \"profile\" is missing: 1 to 128 printable"},
    {"profile: x\n" STATUS, "line 1: \"volatile\" is missing: true when a restart"},
    {"profile: a b\nvolatile: true\n" STATUS, "line 1: a name is 1 to 128"},
    {"profile: [a]\nvolatile: true\n" STATUS, "line 1: \"profile\" must be 1 to 128"},
    {"profile: x\nvolatile: maybe\n" STATUS, "line 2: volatile is true or false"},
    {HEAD STATUS "ids: some\n", "line 5: ids is reused or unique"},
    {HEAD STATUS "id_characters: '-?'\n",
     "line 5: \"-?\" can not stand in ids; allowed: some of -"},
    {HEAD STATUS "retention_ms: 0\n", "line 5: \"0\" is no retention_ms; allowed: a whole number"},
    {HEAD STATUS "retention_ms: 1s\n", "line 5: \"1s\" is no retention_ms"},
    {HEAD STATUS "rate_per_s: -1\n", "line 5: \"-1\" is no rate_per_s"},
    {HEAD STATUS "max_body: 9999999999\n", "line 5: \"9999999999\" is no max_body"},
    {HEAD STATUS "max_body: [1]\n", "line 5: \"max_body\" must be a whole number"},
    {HEAD STATUS "headers: [a]\n", "line 5: \"headers\" must be a mapping"},
    {HEAD STATUS "headers: {'X Y': a}\n", "line 5: \"X Y\" is no header that a profile may set"},
    {HEAD STATUS "headers: {Host: evil}\n", "line 5: \"Host\" is no header that a profile may set"},
    {HEAD STATUS "headers: {cookie: a}\n", "line 5: \"cookie\" is no header"},
    {HEAD STATUS "headers: {X-A: {token}}\n",
     "line 5: a header is one text; one that begins with {"},
    {HEAD STATUS "headers: {X-A: ''}\n", "line 5: a header is one text"},
    {HEAD STATUS "headers: {X-A: \"a\\r\\nX-B: c\"}\n", "line 5: a header holds a control byte"},
    {HEAD STATUS "headers: {X-A: \"a\\x7f\"}\n", "line 5: a header holds a control byte"},
    {HEAD STATUS "headers: {X-A: '{id}'}\n", "line 5: {id} is no variable here; allowed: {token}"},
    {HEAD STATUS "health: GET /\n", "line 5: \"health\" must be one request"},
    {HEAD STATUS "health: {request: 'GET /{id}', rules: [200 => ok]}\n",
     "line 5: this request is about no job"},
    {HEAD STATUS "health: {request: POST /x, body: '{id}', rules: [200 => ok]}\n",
     "line 5: this request is about no job"},
    {HEAD STATUS "health: {request: GET /x, rules: [200 => running]}\n",
     "line 5: \"running\" is no verdict; allowed: ok, absent"},
    {HEAD, "line 1: \"status\" is missing: a list of requests"},
    {HEAD "status: []\n", "line 3: \"status\" must be a list of requests"},
    {HEAD "status: GET /x\n", "line 3: \"status\" must be a list of requests"},
    {HEAD "status:\n- GET /x\n", "line 4: expected a mapping with the keys request, body, rules"},
    {HEAD "status:\n- request: GET /x\n", "line 4: \"rules\" is missing: a list of rules"},
    {HEAD "status:\n- rules: [200 => failed]\n",
     "line 4: \"request\" is missing: a method, a blank"},
    {ASKS("PATCH /x"), "line 4: \"PATCH /x\" is no request; allowed: GET, POST, PUT or DELETE"},
    {ASKS("GET x"), "line 4: \"GET x\" is no request"},
    {ASKS("GET"), "line 4: \"GET\" is no request"},
    {ASKS("GET http://evil/x"), "line 4: \"GET http://evil/x\" is no request"},
    {ASKS("GET x{status_url}"), "is no request"},
    {ASKS("GET /x HTTP/1.1"), "is no request"},
    {ASKS("\"GET /x\\r\\nX: y\""), "is no request"},
    {ASKS("GET /{job}"), "line 4: {job} is no variable here; allowed: {id} {id:path} {id:raw}"},
    {ASKS("GET /?k={token}"), "line 4: {token} is no variable here"},
    {BODY("[a]"), "line 5: \"body\" must be one text: JSON in single quotes"},
    {BODY("'{job}'"), "line 5: {job} is no variable here; allowed: {id} {id:json}"},
    {MORE("body: '{}'"), "line 6: a body goes with POST and PUT alone"},
    {MORE("pointer: /s"), "line 6: pointer and words go together"},
    {MORE("words: {a: failed}"), "line 6: pointer and words go together"},
    {MORE("pointer: s\n  words: {a: failed}"), "line 7: \"s\" is no pointer"},
    {MORE("pointer: /s\n  words: {a: gone}"), "line 7: \"gone\" is no verdict; allowed: pending"},
    {MORE("pointer: /s\n  words: {a: [b]}"), "line 7: expected a verdict"},
    {MORE("pointer: /s\n  words: {done: completed}"),
     "line 7: completed of a service that forgets"},
    {MORE("identity: id"), "line 6: \"id\" is no pointer"},
    {MORE("identity: /id = \"7\""),
     "line 6: an identity says whose job it is; allowed: a term with {id}"},
    {MORE("identity: /id != \"{id}\""), "line 6: an identity says whose job it is"},
    {MORE("confirm: 2"), "line 6: \"confirm\" must be {times: 2, after_ms: 500}"},
    {MORE("confirm: {after_ms: 5}"), "line 6: \"times\" is missing"},
    {MORE("confirm: {times: 1}"), "line 6: \"1\" is no times; allowed: a whole number from 2 to 5"},
    {MORE("confirm: {times: 2, after_ms: 5001}"),
     "is no after_ms; allowed: a whole number from 1 to"},
    {MORE("scope: job"), "line 6: unknown key \"scope\"; allowed: request, body, rules"},
    {CANCEL("scope: all"), "line 8: \"all\" is not allowed here; allowed: job, global"},
    {CANCEL("only_if: failed"),
     "line 8: \"failed\" is not allowed here; allowed: pending, running"},
    {CANCEL("identity: /id = \"{id}\""), "line 8: unknown key \"identity\""},
    {HEAD STATUS "cancel:\n- {request: GET /x, rules: [200 => completed]}\n",
     "line 6: \"completed\" is no verdict; allowed: accepted, already_final"},
    {REQUEST "  - [a]\n", "line 6: a rule is one line"},
    {REQUEST "  - 200 => failed\n  - 404 => gone\n",
     "line 7: \"gone\" is no verdict; allowed: pen"},
    {REQUEST "  - 200 & /done = true => completed\n",
     "line 6: completed of a service that forgets needs a proof of whose job it is; allowed: a "
     "term "
     "or an identity with {id} or {tag}"},
    {KEEPS "ids: reused\nstatus:\n- request: GET /x/{id}\n  rules: ['200 & /id = \"{id}\" => "
           "completed']\n",
     "line 6: completed of a service that uses ids again needs a proof of whose job it is; "
     "allowed: "
     "a term or an identity with {tag}"},
    {KEEPS "ids: reused\nstatus:\n- request: GET /x/{id}\n  rules: [200 => failed]\n  identity: "
           "/id = \"{id}\"\n",
     "line 7: an identity says whose job it is; allowed: a term with {tag}, since ids are reused"},
    {KEEPS "ids: reused\n" STATUS
           "cancel:\n- {request: 'DELETE /x/{id}', rules: [200 => accepted]}\n",
     "line 7: where ids are reused a cancel could hit another job"},
    {HEAD STATUS "result: outputs\n", "line 5: \"outputs\" is no pointer"},
    {HEAD STATUS "word: [a]\n", "line 5: \"word\" must be a pointer"},
    {HEAD STATUS "result: /{status_url}\n", "line 5: {status_url} is no variable"},
    {HEAD "variants: []\n", "line 3: \"variants\" must be a list of variants"},
    {HEAD "variants: [a]\n", "line 3: expected a mapping with the keys name, probe, status"},
    {HEAD STATUS "variants:\n- {name: a, status: [{request: GET /x, rules: [200 => failed]}]}\n",
     "line 5: status and cancel stand in each variant"},
    {HEAD "variants:\n- {status: [{request: GET /x, rules: [200 => failed]}]}\n",
     "line 4: \"name\" is missing"},
    {HEAD "variants:\n- {name: a}\n", "line 4: \"status\" is missing"},
    {HEAD "variants:\n"
          "- {name: a, status: [{request: GET /x, rules: [200 => failed]}]}\n"
          "- {name: b, status: [{request: GET /x, rules: [200 => failed]}]}\n",
     "line 4: \"probe\" is missing: only the last variant"},
    {HEAD "variants:\n"
          "- {name: a, probe: {request: GET /v, rules: [200 => ok]}, status: [{request: GET /x, "
          "rules: [200 => failed]}]}\n"
          "- {name: a, status: [{request: GET /x, rules: [200 => failed]}]}\n",
     "line 5: two variants of one name"},
};

static void test_profile_mistakes__are_named_with_file_line_and_what_is_allowed(void **fixture)
{
    (void)fixture;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct error error = {0};
        struct profile *profile =
            profile_load("mine.yaml", span_of(mistakes[i].yaml), NULL, &error);
        if (profile != NULL || strstr(error.message, mistakes[i].message) == NULL ||
            strncmp(error.message, "mine.yaml: line ", 16) != 0 || error.code != ERROR_USAGE) {
            fail_msg("row %zu: \"%s\" instead of \"%s\"", i, error.message, mistakes[i].message);
        }
        profile_destroy(profile);
    }
}

static void test_profile_mistakes__are_all_told_at_once(void **fixture)
{
    static const char yaml[] = "profile: a b\n"
                               "volatile: perhaps\n"
                               "colour: red\n"
                               "status:\n"
                               "- request: PATCH /x\n"
                               "  rules:\n"
                               "  - 200 => done\n"
                               "  - 404 = not_found\n";
    (void)fixture;
    struct error error = {0};
    struct buffer lines = {0};
    assert_null(profile_load("p.yaml", span_of(yaml), &lines, &error));
    assert_non_null(strstr(error.message, "p.yaml: line 3: unknown key \"colour\""));
    assert_non_null(strstr(error.message, " (and 5 more)"));
    buffer_put_byte(&lines, 0);
    assert_string_equal(strstr(lines.data, "p.yaml: line 8: "),
                        "p.yaml: line 8: \"=\" is no continuation of the rule; allowed: & term, or "
                        "=> verdict\n");
    int count = 0;
    for (const char *at = lines.data; *at != 0; at = strchr(at, '\n') + 1, count++) {
        assert_memory_equal(at, "p.yaml: line ", 13);
    }
    assert_int_equal(count, 6);
    buffer_reset(&lines);
    struct profile *profile = profile_load("p", SPAN(HEAD STATUS), &lines, &error);
    assert_non_null(profile);
    assert_int_equal(lines.size, 0);
    profile_destroy(profile);
    buffer_fini(&lines);
}

static void test_profile_mistakes__and_requests_and_rules_are_bounded(void **fixture)
{
    (void)fixture;
    struct buffer yaml = {0}, lines = {0};
    struct error error = {0};
    buffer_put_text(&yaml, REQUEST);
    for (int i = 0; i <= PROFILE_RULES_MAX; i++) {
        buffer_put_text(&yaml, "  - 200 => failed\n");
    }
    assert_null(profile_load("p", buffer_span(&yaml), NULL, &error));
    assert_non_null(strstr(error.message, "line 70: more than 64 rules"));
    buffer_reset(&yaml);
    buffer_put_text(&yaml, HEAD "status:\n");
    for (int i = 0; i <= PROFILE_REQUESTS_MAX; i++) {
        buffer_put_text(&yaml, "- {request: GET /x, rules: [200 => failed]}\n");
    }
    assert_null(profile_load("p", buffer_span(&yaml), NULL, &error));
    assert_non_null(strstr(error.message, "line 3: more than 8 requests"));
    buffer_reset(&yaml);
    buffer_put_text(&yaml, HEAD STATUS "headers:\n");
    for (int i = 0; i <= PROFILE_HEADERS_MAX; i++) {
        struct number_text name = number_text((uint64_t)i);
        buffer_put_text(&yaml, "  X-");
        buffer_put_text(&yaml, name.text);
        buffer_put_text(&yaml, ": a\n");
    }
    assert_null(profile_load("p", buffer_span(&yaml), NULL, &error));
    assert_non_null(strstr(error.message, "line 5: more than 8 headers"));
    buffer_reset(&yaml);
    buffer_put_text(&yaml, REQUEST);
    for (int i = 0; i < PROFILE_PROBLEMS_MAX + 5; i++) {
        buffer_put_text(&yaml, "  - 200 => nothing\n");
    }
    assert_null(profile_load("p", buffer_span(&yaml), &lines, &error));
    assert_non_null(strstr(error.message, " (and 24 more)"));
    size_t count = 0;
    for (size_t i = 0; i < lines.size; i++) {
        count += lines.data[i] == '\n';
    }
    assert_int_equal(count, PROFILE_PROBLEMS_MAX);
    buffer_fini(&lines);
    buffer_fini(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile_mistakes__are_named_with_file_line_and_what_is_allowed),
        cmocka_unit_test(test_profile_mistakes__are_all_told_at_once),
        cmocka_unit_test(test_profile_mistakes__and_requests_and_rules_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
