/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/rules.h"

#define JSON_TYPE SPAN("application/json; charset=utf-8")

static struct judgement judge_for(enum rule_purpose purpose, const char *rule_text, uint64_t http,
                                  struct span content_type, const char *body,
                                  const struct template_variables *variables)
{
    struct arena arena = {0};
    struct error error = {0};
    struct rule rule;
    assert_true(rule_parse(&arena, purpose, span_of(rule_text), &rule, &error));
    struct reply reply = reply_open(http, content_type, span_of(body));
    struct judgement judgement = rules_judge(purpose, &rule, 1, &reply, variables);
    reply_close(&reply);
    arena_fini(&arena);
    return judgement;
}

static struct judgement judge_as(const char *rule_text, uint64_t http, struct span content_type,
                                 const char *body, const struct template_variables *variables)
{
    return judge_for(RULE_OF_STATUS, rule_text, http, content_type, body, variables);
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

static void test_rules__terms_tell_a_list_from_an_object(void **fixture)
{
    (void)fixture;
    assert_true(holds("/a list", "{\"a\":[]}"));
    assert_true(holds("/a object", "{\"a\":{}}"));
    assert_true(holds("body object & body empty", "{}"));
    static const char *const others[] = {
        "{}",          "{\"a\":null}", "{\"a\":\"\"}",  "{\"a\":0}",
        "{\"a\":1.5}", "{\"a\":true}", "{\"a\":\"[]\"}"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(holds("/a list", others[i]));
        assert_false(holds("/a object", others[i]));
    }
    assert_false(holds("/a list", "{\"a\":{}}"));
    assert_false(holds("/a object", "{\"a\":[]}"));
    assert_false(holds("body object & body empty", "[]"));
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

static void test_rules__an_id_may_be_a_number_in_the_reply(void **fixture)
{
    (void)fixture;
    struct template_variables variables = {.id = SPAN("17")};
    const char *rule = "200 & /id = \"{id}\" => completed";
    assert_int_equal(judge_as(rule, 200, JSON_TYPE, "{\"id\":17}", &variables).verdict,
                     ANSWER_COMPLETED);
    assert_int_equal(judge_as(rule, 200, JSON_TYPE, "{\"id\":170}", &variables).verdict,
                     ANSWER_INCONCLUSIVE);
    assert_int_equal(judge_as(rule, 200, JSON_TYPE, "{\"id\":17.0}", &variables).verdict,
                     ANSWER_INCONCLUSIVE);
    rule = "200 & /id = \"17\" => completed"; /* no variable: as it is written */
    assert_int_equal(judge_as(rule, 200, JSON_TYPE, "{\"id\":17}", &variables).verdict,
                     ANSWER_INCONCLUSIVE);
}

static void test_rules__what_nobody_told_makes_no_term_true(void **fixture)
{
    static const char *const terms[] = {"/x/{tag} absent",       "/g = \"{tag}\"",
                                        "/g contains \"{tag}\"", "/x/{tag} exists",
                                        "/g != \"{tag}\"",       "/g in (\"{tag}\", 1)"};
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

static void test_rules__a_cancel_is_only_known_where_a_rule_or_a_closed_door_tells(void **fixture)
{
    static const struct {
        const char *rule;
        uint64_t http;
        enum effect_outcome outcome;
        const char *word;
    } rows[] = {
        {"200 => accepted", 200, OUTCOME_ACCEPTED, NULL},
        {"200 => already_final", 200, OUTCOME_ALREADY_FINAL, NULL},
        {"403 => unsupported", 403, OUTCOME_UNSUPPORTED, NULL},
        {"409 => refused", 409, OUTCOME_REFUSED, NULL},
        {"200 => unknown", 200, OUTCOME_UNKNOWN, NULL},
        {"299 => accepted", 200, OUTCOME_UNKNOWN, "unmapped"},
        {"299 => accepted", 401, OUTCOME_REFUSED, "auth"},
        {"299 => accepted", 403, OUTCOME_REFUSED, "auth"},
        {"299 => accepted", 303, OUTCOME_UNKNOWN, "redirect"},
        {"299 => accepted", 404, OUTCOME_UNKNOWN, "bare_404"},
        {"299 => accepted", 405, OUTCOME_UNKNOWN, "unmapped"},
        {"299 => accepted", 410, OUTCOME_UNKNOWN, "bare_410"},
        {"299 => accepted", 500, OUTCOME_UNKNOWN, "server_error"},
        {"299 => accepted", 501, OUTCOME_UNKNOWN, "server_error"},
        {"299 => accepted", 503, OUTCOME_UNKNOWN, "unavailable"},
    };
    (void)fixture;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct template_variables none = {0};
        struct judgement judgement =
            judge_for(RULE_OF_CANCEL, rows[i].rule, rows[i].http, JSON_TYPE, "{}", &none);
        assert_int_equal(judgement.outcome, rows[i].outcome);
        assert_int_equal(judgement.verdict, ANSWER_NONE);
        if (rows[i].word == NULL) {
            assert_null(judgement.word);
        } else {
            assert_string_equal(judgement.word, rows[i].word);
        }
    }
    struct template_variables none = {0};
    assert_int_equal(
        judge_for(RULE_OF_CANCEL, "any => accepted", 200, SPAN("text/html"), "<html>", &none)
            .outcome,
        OUTCOME_UNKNOWN);
}

static void test_rules__a_probe_says_nothing_that_no_rule_says(void **fixture)
{
    static const struct {
        const char *rule;
        uint64_t http;
        bool is_ok, is_absent;
    } rows[] = {
        {"404 & /error exists => ok", 404, true, false},
        {"404 => absent", 404, false, true},
        {"200 => ok", 404, false, false},
        {"200 => ok", 401, false, false},
        {"200 => ok", 503, false, false},
    };
    (void)fixture;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct template_variables none = {0};
        struct judgement judgement =
            judge_for(RULE_OF_PROBE, rows[i].rule, rows[i].http, JSON_TYPE, "{\"error\":1}", &none);
        assert_int_equal(judgement.is_ok, rows[i].is_ok);
        assert_int_equal(judgement.is_absent, rows[i].is_absent);
        assert_int_equal(judgement.verdict, ANSWER_NONE);
        assert_int_equal(judgement.outcome, OUTCOME_NONE);
    }
}

static void test_rules__a_guessed_type_may_hold_json(void **fixture)
{
    (void)fixture;
    struct template_variables none = {0};
    struct span type = SPAN("text/plain; charset=utf-8");
    const char *rule = "200 & body exists => completed";
    assert_int_equal(judge_as(rule, 200, type, "{\"a\":1}", &none).verdict, ANSWER_COMPLETED);
    assert_int_equal(judge_as(rule, 200, type, "[1]", &none).verdict, ANSWER_COMPLETED);
    static const char *const texts[] = {"200", "\"done\"", "200: OK",
                                        "{\"a\":", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct judgement judgement = judge_as(rule, 200, type, texts[i], &none);
        assert_int_equal(judgement.verdict, ANSWER_INCONCLUSIVE);
        assert_string_equal(judgement.word, "wrong_type");
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
    judgement = judge_as("200 & /a exists => completed", 200, SPAN("application/octet-stream"),
                         "{\"a\":1}", &none);
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

static void assert_wrong_for(enum rule_purpose purpose, const char *rule_text, const char *part)
{
    struct arena arena = {0};
    struct error error = {0};
    struct rule rule;
    assert_false(rule_parse(&arena, purpose, span_of(rule_text), &rule, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    if (strstr(error.message, part) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", error.message, part);
    }
    arena_fini(&arena);
}

static void assert_wrong(const char *rule_text, const char *part)
{
    assert_wrong_for(RULE_OF_STATUS, rule_text, part);
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
    assert_wrong_for(RULE_OF_CANCEL, "200 => completed",
                     "\"completed\" is no verdict; allowed: accepted, already_final, refused, "
                     "unsupported, unknown");
    assert_wrong_for(RULE_OF_CANCEL, "200 => accepted lagging", "\"lagging\" is no flag");
    assert_wrong_for(RULE_OF_PROBE, "200 => running",
                     "\"running\" is no verdict; allowed: ok, absent");
}

static bool names_job(const char *rule_text, bool are_ids_reused)
{
    struct arena arena = {0};
    struct error error = {0};
    struct rule rule;
    assert_true(rule_parse(&arena, RULE_OF_STATUS, span_of(rule_text), &rule, &error));
    bool result = rule_proves(&rule, are_ids_reused);
    arena_fini(&arena);
    return result;
}

static void test_rules__know_whether_they_prove_whose_job_it_is(void **fixture)
{
    (void)fixture;
    assert_true(names_job("200 & /{id}/done = true => completed", false));
    assert_true(names_job("200 & /done = true & /group = \"{tag}\" => completed", false));
    assert_false(names_job("200 & /done = true => completed", false));
    assert_false(names_job("200 & /id != \"{id}\" => completed", false));
    assert_false(names_job("200 & /{id} absent => completed", false));
    assert_false(names_job("200 & /id in (\"{id}\", \"x\") => completed", false));
    assert_false(names_job("200 & /id contains \"{id}\" => completed", false));
    /* The number of a job that is long gone says nothing. */
    assert_false(names_job("200 & /{id}/done = true => completed", true));
    assert_false(names_job("200 & /id = \"{id}\" => completed", true));
    assert_true(names_job("200 & /group = \"{tag}\" => completed", true));
}

static void test_rules__an_identity_that_can_not_be_tried_tells_nothing(void **fixture)
{
    static const struct {
        const char *tag, *body;
        enum reply_owner owner;
    } rows[] = {
        {"t", "{\"group\":\"t\"}", REPLY_OURS},
        {"7", "{\"group\":7}", REPLY_OURS},
        {"t", "{\"group\":\"u\"}", REPLY_ANOTHERS},
        {"t", "{\"group\":7}", REPLY_ANOTHERS},
        {"t", "{\"group\":-7}", REPLY_ANOTHERS},
        {"t", "{\"group\":18446744073709551615}", REPLY_NOBODYS},
        {"t", "{\"group\":7.5}", REPLY_NOBODYS},
        {"t", "{\"group\":true}", REPLY_NOBODYS},
        {"t", "{\"group\":null}", REPLY_NOBODYS},
        {"t", "{\"group\":[\"u\"]}", REPLY_NOBODYS},
        {"t", "{\"group\":{\"u\":1}}", REPLY_NOBODYS},
        {"t", "{\"group\":\"\"}", REPLY_NOBODYS},
        {"t", "{}", REPLY_NOBODYS},
        {"", "{\"group\":\"t\"}", REPLY_NOBODYS},
        {"", "{\"group\":\"\"}", REPLY_NOBODYS},
    };
    (void)fixture;
    struct arena arena = {0};
    struct error error = {0};
    struct rule_term term;
    assert_true(rule_parse_term(&arena, SPAN("/group = \"{tag}\""), &term, &error));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct template_variables variables = {.tag = span_of(rows[i].tag)};
        struct reply reply = reply_open(200, JSON_TYPE, span_of(rows[i].body));
        if (reply_owner(&reply, &term, &variables) != rows[i].owner) {
            fail_msg("row %zu: %d", i, (int)reply_owner(&reply, &term, &variables));
        }
        reply_close(&reply);
    }
    /* What does not compare with our job names nobody. */
    struct template_variables variables = {.tag = SPAN("t")};
    struct reply reply = reply_open(200, JSON_TYPE, SPAN("{\"t\":{\"state\":\"gone\"}}"));
    assert_true(rule_parse_term(&arena, SPAN("/{tag}/state = \"here\""), &term, &error));
    assert_int_equal(reply_owner(&reply, &term, &variables), REPLY_NOBODYS);
    reply_close(&reply);
    assert_false(rule_parse_term(&arena, SPAN("/a = 1 & /b = 2"), &term, &error));
    assert_non_null(strstr(error.message, "\"& /b = 2\" is no end of a single term"));
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules__terms_compare_values),
        cmocka_unit_test(test_rules__terms_look_for_presence),
        cmocka_unit_test(test_rules__terms_tell_a_list_from_an_object),
        cmocka_unit_test(test_rules__the_job_is_filled_in),
        cmocka_unit_test(test_rules__an_id_may_be_a_number_in_the_reply),
        cmocka_unit_test(test_rules__what_nobody_told_makes_no_term_true),
        cmocka_unit_test(test_rules__statuses_are_listed),
        cmocka_unit_test(test_rules__unmapped_statuses_have_a_built_in_meaning),
        cmocka_unit_test(test_rules__a_cancel_is_only_known_where_a_rule_or_a_closed_door_tells),
        cmocka_unit_test(test_rules__a_probe_says_nothing_that_no_rule_says),
        cmocka_unit_test(test_rules__a_guessed_type_may_hold_json),
        cmocka_unit_test(test_rules__pages_and_broken_json_are_seen_by_no_rule),
        cmocka_unit_test(test_rules__flags_and_words_go_with_the_verdict),
        cmocka_unit_test(test_rules__mistakes_are_named_with_what_is_allowed),
        cmocka_unit_test(test_rules__know_whether_they_prove_whose_job_it_is),
        cmocka_unit_test(test_rules__an_identity_that_can_not_be_tried_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
