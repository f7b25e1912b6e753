/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "comfyui_yaml.h"
#include "connectors/profile.h"

#define JSON_TYPE SPAN("application/json; charset=utf-8")

static struct judgement judge_as(const char *rule_text, uint64_t http, struct span content_type,
                                 const char *body, const struct template_variables *variables)
{
    struct arena arena = {0};
    struct error error = {0};
    struct rule rule;
    assert_true(rule_parse(&arena, span_of(rule_text), &rule, &error));
    struct reply reply = reply_open(http, content_type, span_of(body));
    struct judgement judgement = rules_judge(&rule, 1, &reply, variables);
    reply_close(&reply);
    arena_fini(&arena);
    return judgement;
}

/* Whether `200 & <terms> => completed` matches the body. */
static bool holds(const char *terms, const char *body)
{
    struct template_variables variables = {.id = SPAN("job/1"), .tag = SPAN("t")};
    char rule[256];
    snprintf(rule, sizeof(rule), "200 & %s => completed", terms);
    return judge_as(rule, 200, JSON_TYPE, body, &variables).verdict == ANSWER_COMPLETED;
}

static void test_rules__terms_compare_values(void **fixture)
{
    (void)fixture;
    assert_true(holds("/a = \"x\"", "{\"a\":\"x\"}"));
    assert_false(holds("/a = \"x\"", "{\"a\":\"xy\"}"));
    assert_false(holds("/a = \"1\"", "{\"a\":1}"));
    assert_true(holds("/a = 1", "{\"a\":1}"));
    assert_false(holds("/a = 1", "{\"a\":1.0}"));
    assert_true(holds("/a = -7", "{\"a\":-7}"));
    assert_true(holds("/a = true", "{\"a\":true}"));
    assert_false(holds("/a = true", "{\"a\":\"true\"}"));
    assert_false(holds("/a = true", "{\"a\":1}"));
    assert_true(holds("/a = false", "{\"a\":false}"));
    assert_false(holds("/a = false", "{\"a\":null}"));
    assert_true(holds("/a = null", "{\"a\":null}"));
    assert_false(holds("/a = null", "{}"));
    assert_true(holds("/a = \"q\\\"\\\\\"", "{\"a\":\"q\\\"\\\\\"}"));
    assert_true(holds("/a != \"x\"", "{\"a\":1}"));
    assert_false(holds("/a != \"x\"", "{\"a\":\"x\"}"));
    assert_false(holds("/a != \"x\"", "{}"));
    assert_true(holds("/a in (\"x\", 2,null)", "{\"a\":2}"));
    assert_true(holds("/a in(\"x\")", "{\"a\":\"x\"}"));
    assert_false(holds("/a in (\"x\", 2)", "{\"a\":3}"));
    assert_true(holds("/a contains \"ancel\"", "{\"a\":\"context canceled\"}"));
    assert_true(holds("/a contains \"\"", "{\"a\":\"\"}"));
    assert_false(holds("/a contains \"cancel\"", "{\"a\":\"canc\"}"));
    assert_false(holds("/a contains \"x\"", "{\"a\":[\"x\"]}"));
}

static void test_rules__terms_look_for_presence(void **fixture)
{
    (void)fixture;
    assert_true(holds("/a exists", "{\"a\":null}"));
    assert_false(holds("/a exists", "{}"));
    assert_true(holds("/a absent", "{}"));
    assert_false(holds("/a absent", "{\"a\":null}"));
    assert_true(holds("/a nonempty", "{\"a\":0}"));
    assert_true(holds("/a nonempty", "{\"a\":[1]}"));
    assert_true(holds("/a nonempty", "{\"a\":false}"));
    assert_false(holds("/a nonempty", "{\"a\":\"\"}"));
    assert_false(holds("/a nonempty", "{\"a\":null}"));
    assert_false(holds("/a nonempty", "{}"));
    assert_true(holds("/a empty", "{\"a\":{}}"));
    assert_true(holds("/a empty", "{\"a\":null}"));
    assert_false(holds("/a empty", "{}"));
    assert_false(holds("/a empty", "{\"a\":0}"));
    assert_true(holds("body empty", "{}"));
    assert_false(holds("body empty", "{\"a\":1}"));
    assert_true(holds("/a exists & /b = 2 & /c absent", "{\"a\":1,\"b\":2}"));
    assert_false(holds("/a exists & /b = 2 & /c absent", "{\"a\":1,\"b\":2,\"c\":3}"));
}

static void test_rules__the_job_is_filled_in(void **fixture)
{
    (void)fixture;
    assert_true(holds("/{id}/s = \"x\"", "{\"job/1\":{\"s\":\"x\"}}"));
    assert_true(holds("/q/[1={id}] exists", "{\"q\":[[1,\"other\"],[2,\"job/1\"]]}"));
    assert_false(holds("/q/[1={id}] exists", "{\"q\":[[1,\"other\"]]}"));
    assert_true(holds("/id = \"{id}\"", "{\"id\":\"job/1\"}"));
    assert_false(holds("/id = \"{id}\"", "{\"id\":\"job/2\"}"));
    assert_true(holds("/group = \"g-{tag}\"", "{\"group\":\"g-t\"}"));
}

static void test_rules__what_nobody_told_makes_no_term_true(void **fixture)
{
    static const char *const terms[] = {"/x/{tag} absent", "/g = \"{tag}\"",
                                        "/g contains \"{tag}\"", "/x/{tag} exists"};
    (void)fixture;
    for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
        struct template_variables variables = {.id = SPAN("i")};
        char rule[128];
        snprintf(rule, sizeof(rule), "200 & %s => completed", terms[i]);
        struct judgement judgement =
            judge_as(rule, 200, JSON_TYPE, "{\"g\":\"\",\"x\":{}}", &variables);
        assert_int_equal(judgement.verdict, ANSWER_INCONCLUSIVE);
    }
}

static enum answer_verdict judge_status(const char *rule, uint64_t http)
{
    struct template_variables none = {0};
    return judge_as(rule, http, SPAN_NONE, "", &none).verdict;
}

static void test_rules__statuses_are_listed(void **fixture)
{
    (void)fixture;
    assert_int_equal(judge_status("200 => running", 200), ANSWER_RUNNING);
    assert_int_equal(judge_status("200 => running", 201), ANSWER_INCONCLUSIVE);
    assert_int_equal(judge_status("2xx => running", 299), ANSWER_RUNNING);
    assert_int_equal(judge_status("2xx => running", 300), ANSWER_INCONCLUSIVE);
    assert_int_equal(judge_status("200,202,4xx => running", 202), ANSWER_RUNNING);
    assert_int_equal(judge_status("200,202,4xx => running", 418), ANSWER_RUNNING);
    assert_int_equal(judge_status("any => failed", 503), ANSWER_FAILED);
    assert_int_equal(judge_status("404 => not_found", 404), ANSWER_NOT_FOUND);
    assert_int_equal(judge_status("303 => completed", 303), ANSWER_COMPLETED);
}

static void test_rules__unmapped_statuses_have_a_built_in_meaning(void **fixture)
{
    static const struct {
        uint64_t http;
        enum answer_verdict verdict;
        const char *word;
    } rows[] = {
        {200, ANSWER_INCONCLUSIVE, "unmapped"},     {302, ANSWER_INCONCLUSIVE, "redirect"},
        {401, ANSWER_INCONCLUSIVE, "auth"},         {403, ANSWER_INCONCLUSIVE, "auth"},
        {404, ANSWER_INCONCLUSIVE, "bare_404"},     {410, ANSWER_INCONCLUSIVE, "bare_410"},
        {408, ANSWER_UNREACHABLE, "unavailable"},   {425, ANSWER_UNREACHABLE, "unavailable"},
        {429, ANSWER_UNREACHABLE, "unavailable"},   {502, ANSWER_UNREACHABLE, "unavailable"},
        {503, ANSWER_UNREACHABLE, "unavailable"},   {504, ANSWER_UNREACHABLE, "unavailable"},
        {500, ANSWER_INCONCLUSIVE, "server_error"}, {418, ANSWER_INCONCLUSIVE, "unmapped"},
    };
    (void)fixture;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct template_variables none = {0};
        struct judgement judgement =
            judge_as("299 => completed", rows[i].http, JSON_TYPE, "{}", &none);
        assert_int_equal(judgement.verdict, rows[i].verdict);
        assert_string_equal(judgement.word, rows[i].word);
    }
}

static void test_rules__pages_and_broken_json_are_seen_by_no_rule(void **fixture)
{
    (void)fixture;
    struct template_variables none = {0};
    struct judgement judgement =
        judge_as("any => completed", 200, SPAN("text/html"), "<html>", &none);
    assert_int_equal(judgement.verdict, ANSWER_INCONCLUSIVE);
    assert_string_equal(judgement.word, "html");
    assert_int_equal(judge_as("404 => not_found", 404, SPAN("Text/HTML"), "<html>", &none).verdict,
                     ANSWER_INCONCLUSIVE);
    judgement = judge_as("any => completed", 200, JSON_TYPE, "{\"a\":", &none);
    assert_int_equal(judgement.verdict, ANSWER_INCONCLUSIVE);
    assert_string_equal(judgement.word, "bad_json");
    judgement = judge_as("any => completed", 200, JSON_TYPE, "{\"a\":1,\"a\":2}", &none);
    assert_string_equal(judgement.word, "bad_json");
    judgement =
        judge_as("200 & /a exists => completed", 200, SPAN("text/plain"), "{\"a\":1}", &none);
    assert_string_equal(judgement.word, "wrong_type");
    /* Where the status alone says it, any content will do. */
    judgement = judge_as("200 => completed", 200, SPAN("image/png"), "\x89PNG", &none);
    assert_int_equal(judgement.verdict, ANSWER_COMPLETED);
    judgement = judge_as("200 & /a exists => completed", 200, SPAN_NONE, "{\"a\":1}", &none);
    assert_int_equal(judgement.verdict, ANSWER_COMPLETED);
    judgement = judge_as("200 & /a exists => completed", 200, SPAN("application/x+json"),
                         "{\"a\":1}", &none);
    assert_int_equal(judgement.verdict, ANSWER_COMPLETED);
}

static void test_rules__flags_and_words_go_with_the_verdict(void **fixture)
{
    (void)fixture;
    struct template_variables none = {0};
    struct judgement judgement =
        judge_as("404 => not_found expired  lagging", 404, SPAN_NONE, "", &none);
    struct buffer flags = {0};
    answer_flags_put(&flags, judgement.flags);
    assert_true(span_is(buffer_span(&flags), "expired lagging"));
    buffer_fini(&flags);
    assert_string_equal(judge_as("200 => auth", 200, SPAN_NONE, "", &none).word, "auth");
    assert_int_equal(judge_as("200 => auth", 200, SPAN_NONE, "", &none).verdict,
                     ANSWER_INCONCLUSIVE);
    assert_int_equal(judge_as("200 => retry", 200, SPAN_NONE, "", &none).verdict,
                     ANSWER_UNREACHABLE);
}

static void assert_wrong(const char *rule_text, const char *part)
{
    struct arena arena = {0};
    struct error error = {0};
    struct rule rule;
    assert_false(rule_parse(&arena, span_of(rule_text), &rule, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    if (strstr(error.message, part) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", error.message, part);
    }
    arena_fini(&arena);
}

static void test_rules__mistakes_are_named_with_what_is_allowed(void **fixture)
{
    (void)fixture;
    assert_wrong("", "list of HTTP statuses");
    assert_wrong("2x0 => running", "\"2x0\" is no list of HTTP statuses");
    assert_wrong("600 => running", "\"600\" is no list");
    assert_wrong("6xx => running", "\"6xx\" is no list");
    assert_wrong("200, 202 => running", "\"200,\" is no list");
    assert_wrong("200,200,200,200,200,200,200,200,200 => running", "up to 8");
    assert_wrong("200 running",
                 "\"running\" is no continuation of the rule; allowed: & term, or =>");
    assert_wrong("200", "\"\" is no continuation");
    assert_wrong("200 => done", "\"done\" is no verdict; allowed: pending, running, completed");
    assert_wrong("200 => ", "\"\" is no verdict");
    assert_wrong("200 => completed maybe",
                 "\"maybe\" is no flag behind the verdict; allowed: expired");
    assert_wrong("200 & status = 1 => failed", "\"status\" is no pointer; allowed: /name");
    assert_wrong("200 & /status == 1 => failed", "\"==\" is no test of a value; allowed: =, !=");
    assert_wrong("200 & /status=1 => failed", "\"=>\" is no test of a value");
    assert_wrong("200 & /status = done => failed", "\"done\" is no value; allowed: \"text\"");
    assert_wrong("200 & /status = 1.5 => failed", "\"1.5\" is no value");
    assert_wrong("200 & /status = \"x => failed", "no closed text");
    assert_wrong("200 & /status in \"x\" => failed", "no list; allowed: (value");
    assert_wrong("200 & /status in (\"x\" => failed", "no end of a list");
    assert_wrong("200 & /status contains 7 => failed", "no value for contains");
    assert_wrong("200 & /{job} exists => failed", "{job} is no variable here; allowed: {id} {tag}");
    assert_wrong("200 & /a = \"{id:json}\" => failed", "{id:json} is no variable here");
    assert_wrong("200 & /a in (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17) => failed",
                 "more than 16");
    assert_wrong("200 & /a exists & /a exists & /a exists & /a exists & /a exists & /a exists "
                 "& /a exists & /a exists & /a exists => failed",
                 "more than 8 terms");
}

static bool names_job(const char *rule_text)
{
    struct arena arena = {0};
    struct error error = {0};
    struct rule rule;
    assert_true(rule_parse(&arena, span_of(rule_text), &rule, &error));
    bool result = rule_names_job(&rule);
    arena_fini(&arena);
    return result;
}

static void test_rules__know_whether_they_prove_whose_job_it_is(void **fixture)
{
    (void)fixture;
    assert_true(names_job("200 & /{id}/done = true => completed"));
    assert_true(names_job("200 & /done = true & /group = \"{tag}\" => completed"));
    assert_false(names_job("200 & /done = true => completed"));
    assert_false(names_job("200 & /id != \"{id}\" => completed"));
    assert_false(names_job("200 & /{id} absent => completed"));
    assert_false(names_job("200 & /id in (\"{id}\", \"x\") => completed"));
}

/* --- the shipped profile against replies recorded from ComfyUI's own tests --- */

static struct judgement judge_fixture(const char *folder, const char *file, size_t probe,
                                      const char *id)
{
    static char text[65536];
    char path[512];
    struct error error = {0};
    snprintf(path, sizeof(path), "%s/comfyui/%s.json", folder, file);
    FILE *stream = fopen(path, "r");
    if (stream == NULL) {
        fail_msg("cannot open %s", path);
    }
    size_t size = fread(text, 1, sizeof(text), stream);
    fclose(stream);
    struct profile *profile =
        profile_load("comfyui.yaml", (struct span){comfyui_yaml, comfyui_yaml_size}, &error);
    assert_non_null(profile);
    struct template_variables variables = {.id = span_of(id)};
    struct reply reply = reply_open(200, JSON_TYPE, (struct span){text, size});
    struct judgement judgement = rules_judge(profile->probes[probe].rules,
                                             profile->probes[probe].rule_count, &reply, &variables);
    reply_close(&reply);
    profile_destroy(profile);
    return judgement;
}

static void test_rules__comfyui_replies_get_the_right_verdict(void **fixture)
{
    static const struct {
        const char *file;
        size_t probe; /* 0: the queue, 1: the history */
        const char *id;
        enum answer_verdict verdict;
    } rows[] = {
        {"history_success", 1, "prompt-456", ANSWER_COMPLETED},
        {"history_error", 1, "prompt-789", ANSWER_FAILED},
        {"history_interrupted", 1, "prompt-cancelled", ANSWER_CANCELLED},
        {"history_unknown_or_running", 1, "prompt-456", ANSWER_NOT_FOUND},
        {"DERIVED_history_stale_success_flag", 1, "prompt-cycle", ANSWER_FAILED},
        /* Success without its message, as early builds wrote it, proves nothing. */
        {"history_success_with_outputs", 1, "prompt-123", ANSWER_INCONCLUSIVE},
        {"history_success", 1, "another-id", ANSWER_INCONCLUSIVE},
        {"job_404", 1, "prompt-456", ANSWER_INCONCLUSIVE},
        {"DERIVED_queue", 0, "prompt-running", ANSWER_RUNNING},
        {"DERIVED_queue", 0, "prompt-pending", ANSWER_PENDING},
        {"DERIVED_queue", 0, "prompt-456", ANSWER_NOT_FOUND},
        {"history_unknown_or_running", 0, "prompt-456", ANSWER_INCONCLUSIVE},
    };
    (void)fixture;
    const char *folder = getenv("SALVOR_FIXTURES");
    if (folder == NULL) {
        print_message("SALVOR_FIXTURES is not set: ComfyUI's recorded replies are skipped\n");
        skip();
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum answer_verdict verdict =
            judge_fixture(folder, rows[i].file, rows[i].probe, rows[i].id).verdict;
        if (verdict != rows[i].verdict) {
            fail_msg("%s, %s: verdict %d instead of %d", rows[i].file, rows[i].id, (int)verdict,
                     (int)rows[i].verdict);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules__terms_compare_values),
        cmocka_unit_test(test_rules__terms_look_for_presence),
        cmocka_unit_test(test_rules__the_job_is_filled_in),
        cmocka_unit_test(test_rules__what_nobody_told_makes_no_term_true),
        cmocka_unit_test(test_rules__statuses_are_listed),
        cmocka_unit_test(test_rules__unmapped_statuses_have_a_built_in_meaning),
        cmocka_unit_test(test_rules__pages_and_broken_json_are_seen_by_no_rule),
        cmocka_unit_test(test_rules__flags_and_words_go_with_the_verdict),
        cmocka_unit_test(test_rules__mistakes_are_named_with_what_is_allowed),
        cmocka_unit_test(test_rules__know_whether_they_prove_whose_job_it_is),
        cmocka_unit_test(test_rules__comfyui_replies_get_the_right_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
