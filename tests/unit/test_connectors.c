/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/lib/asker.h"
#include "tests/lib/hostile_service.h"
#include "tests/lib/http_service.h"
#include "tests/lib/scripted_service.h"

#define JSON(body) \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body

static void submit(const struct http_service *service, const char *id, const char *prompt)
{
    char body[256];
    snprintf(body, sizeof(body), "{\"prompt_id\":\"%s\",\"prompt\":%s}", id, prompt);
    assert_int_equal(http_service_send(service, "/prompt", body, NULL), 200);
}

/* --- ComfyUI's protocol --- */

/* Builds with /api/jobs, and those without. */
static const struct form {
    const char *settings;
    const char *completed, *failed, *running, *pending, *cancelled; /* words */
    const char *capabilities;
} forms[] = {
    {"{\"jobs\":true}", "completed", "failed", "in_progress", "pending", "cancelled",
     "status cancel result variant=jobs"},
    {"{\"jobs\":false}", "success", "error", "", "", "error",
     "status cancel result variant=legacy"},
};

static void ask_all(const struct http_service *service, struct asker *asker,
                    const struct form *form)
{
    struct service_report answer = asker_ask(asker, "done");
    assert_answer(&answer, ANSWER_COMPLETED, form->completed);
    assert_true(span_is(answer.effect, "0.1.5-0.0.0"));
    assert_true(span_is(answer.job, "job-1"));
    assert_int_equal(answer.attempt, 2);
    assert_int_equal(answer.http, 200);
    assert_int_equal(answer.body_sha256.size, 64);
    assert_true(span_is(answer.result, "{\"9\":{\"images\":[{\"filename\":\"done_00001_.png\","
                                       "\"subfolder\":\"\",\"type\":\"output\"}]}}"));
    answer = asker_ask(asker, "broken");
    assert_answer(&answer, ANSWER_FAILED, form->failed);
    assert_int_equal(answer.result.size, 0);
    answer = asker_ask(asker, "runs");
    assert_answer(&answer, ANSWER_RUNNING, form->running);
    answer = asker_ask(asker, "waits");
    assert_answer(&answer, ANSWER_PENDING, form->pending);
    assert_int_equal(http_service_send(service, "/interrupt", "{\"prompt_id\":\"runs\"}", NULL),
                     200);
    answer = asker_ask(asker, "runs");
    assert_answer(&answer, ANSWER_CANCELLED, form->cancelled);
    assert_int_equal(http_service_send(service, "/control/lose", "{\"prompt_id\":\"waits\"}", NULL),
                     200);
    answer = asker_ask(asker, "waits");
    assert_answer(&answer, ANSWER_NOT_FOUND, "");
}

static void test_connectors__comfyui_tells_every_state(void **fixture)
{
    (void)fixture;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct http_service *service = http_service_start(1);
        struct asker asker = asker_start(http_service_url(service));
        char told[160];
        assert_int_equal(http_service_send(service, "/control/set", forms[i].settings, NULL), 200);
        submit(service, "done", "{\"duration_ms\":0}");
        submit(service, "broken", "{\"duration_ms\":0,\"fail\":true}");
        submit(service, "runs", "{\"duration_ms\":600000}");
        submit(service, "waits", "{\"duration_ms\":600000}");
        ask_all(service, &asker, &forms[i]);
        snprintf(told, sizeof(told), "comfyui %s [%s] closed\n", http_service_url(service),
                 forms[i].capabilities);
        assert_string_equal(asker_probed(&asker), told);
        if (i == 1) { /* the queue decides alone where it can */
            assert_int_equal(http_service_count(service, "GET", "/queue"), 6);
            assert_int_equal(http_service_count(service, "GET", "/history/"), 4);
        }
        asker_stop(&asker);
        http_service_stop(service);
    }
}

static void test_connectors__comfyui_is_told_to_cancel(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *job;
        enum effect_outcome outcomes[sizeof(forms) / sizeof(forms[0])];
        enum answer_verdict after[sizeof(forms) / sizeof(forms[0])];
    } rows[] = {
        {"waits", {OUTCOME_ACCEPTED, OUTCOME_ACCEPTED}, {ANSWER_NOT_FOUND, ANSWER_NOT_FOUND}},
        /* Without /api/jobs whatever runs would be interrupted. */
        {"runs", {OUTCOME_ACCEPTED, OUTCOME_UNSUPPORTED}, {ANSWER_CANCELLED, ANSWER_RUNNING}},
        {"done",
         {OUTCOME_ALREADY_FINAL, OUTCOME_ALREADY_FINAL},
         {ANSWER_COMPLETED, ANSWER_COMPLETED}},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct http_service *service = http_service_start(1);
        struct asker asker = asker_start(http_service_url(service));
        assert_int_equal(http_service_send(service, "/control/set", forms[i].settings, NULL), 200);
        submit(service, "done", "{\"duration_ms\":0}");
        submit(service, "runs", "{\"duration_ms\":600000}");
        submit(service, "waits", "{\"duration_ms\":600000}");
        for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
            struct effect_request request = asker_request("cancel", rows[k].job);
            request.kind = EFFECT_CANCEL;
            connectors_ask(asker.connectors, &request);
            struct service_report report = asker_next(&asker);
            assert_int_equal(report.outcome, rows[k].outcomes[i]);
            report = asker_ask(&asker, rows[k].job);
            if (report.verdict != rows[k].after[i]) {
                fail_msg("%s, form %zu: %s", rows[k].job, i, answer_verdict_text(report.verdict));
            }
        }
        asker_stop(&asker);
        http_service_stop(service);
    }
}

static void test_connectors__a_large_result_becomes_a_reference(void **fixture)
{
    (void)fixture;
    struct http_service *service = http_service_start(0);
    struct asker asker = asker_start(http_service_url(service));
    char expected[256];
    submit(service, "many", "{\"duration_ms\":0,\"images\":50}");
    struct service_report answer = asker_ask(&asker, "many");
    assert_answer(&answer, ANSWER_COMPLETED, "completed");
    snprintf(expected, sizeof(expected),
             "{\"url\":\"%s/api/jobs/many\",\"pointer\":\"/outputs\",\"bytes\":",
             http_service_url(service));
    assert_true(answer.result.size > strlen(expected) && answer.result.size <= 1024);
    assert_memory_equal(answer.result.data, expected, strlen(expected));
    asker_stop(&asker);
    http_service_stop(service);
}

static void test_connectors__where_the_worker_said_is_asked_first(void **fixture)
{
    (void)fixture;
    struct http_service *configured = http_service_start(0);
    struct http_service *own = http_service_start(0);
    struct asker asker = asker_start(http_service_url(configured));
    submit(own, "done", "{\"duration_ms\":0}");
    struct effect_request request = asker_request("q", "done");
    char base[80];
    snprintf(base, sizeof(base), "%s/", http_service_url(own));
    request.base = span_of(base);
    connectors_ask(asker.connectors, &request);
    struct service_report answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_COMPLETED, "completed");
    assert_int_equal(http_service_count(configured, "GET", "/api/jobs/"), 0);
    asker_stop(&asker);
    http_service_stop(own);
    http_service_stop(configured);
}

static void test_connectors__a_thousand_questions_are_all_answered(void **fixture)
{
    (void)fixture;
    struct http_service *service = http_service_start(0);
    struct connectors_config config = {.question_ms = 5000, .body_max = 1 << 20, .per_host = 16};
    struct service_config comfyui = {
        .name = "comfyui", .profile = "comfyui", .base = http_service_url(service)};
    struct asker asker = asker_start_with(&config, &comfyui);
    submit(service, "done", "{\"duration_ms\":0}");
    for (int i = 0; i < 1000; i++) {
        char question[32];
        snprintf(question, sizeof(question), "q-%d", i);
        struct effect_request request = asker_request(question, "done");
        connectors_ask(asker.connectors, &request);
    }
    for (int i = 0; i < 1000; i++) {
        struct service_report answer = asker_next(&asker);
        assert_answer(&answer, ANSWER_COMPLETED, "completed");
    }
    struct service_report none;
    assert_false(connectors_take_report(asker.connectors, &none));
    asker_stop(&asker);
    http_service_stop(service);
}

/* --- the queue of questions --- */

static void test_connectors__a_service_without_a_profile_is_answered_at_once(void **fixture)
{
    (void)fixture;
    struct connectors_config config = {.question_ms = 5000, .body_max = 1 << 20, .per_host = 16};
    struct service_config service = {.name = "bare", .base = "http://127.0.0.1:1"};
    struct asker asker = asker_start_with(&config, &service);
    struct effect_request request = asker_request("q-1", SERVICE_JOB);
    struct service_report answer;
    connectors_ask(asker.connectors, &request);
    assert_true(connectors_take_report(asker.connectors, &answer));
    assert_answer(&answer, ANSWER_NO_PROFILE, "no_profile");
    request.service = SPAN("bare");
    connectors_ask(asker.connectors, &request);
    assert_true(connectors_take_report(asker.connectors, &answer));
    assert_answer(&answer, ANSWER_NO_PROFILE, "no_profile");
    assert_false(connectors_service_facts(asker.connectors, "bare").is_volatile);
    assert_false(connectors_service_facts(asker.connectors, "comfyui").is_volatile);
    asker_stop(&asker);
}

static void test_connectors__who_finds_them_full_asks_again(void **fixture)
{
    (void)fixture;
    struct hostile_service *service = hostile_service_start(HOSTILE_SILENT, NULL);
    struct asker asker = asker_start_profile(ASKER_PROFILE, hostile_service_url(service),
                                             (struct service_config){0}, ASKER_LIMITS(2000));
    struct effect_request request;
    size_t taken = 0;
    for (bool is_taken = true; is_taken; taken += is_taken) {
        struct number_text id = number_text(taken);
        request = asker_request(id.text, id.text);
        is_taken = connectors_ask(asker.connectors, &request);
    }
    assert_true(taken > 10000);
    struct number_text first = number_text(0), last = number_text(taken);
    request = asker_request(first.text, first.text);
    assert_true(connectors_ask(asker.connectors, &request)); /* it is there already */
    asker_next(&asker);
    request = asker_request(last.text, last.text);
    assert_true(connectors_ask(asker.connectors, &request));
    for (size_t i = 0; i < taken; i++) {
        struct service_report answer = asker_next(&asker);
        assert_true(span_is(answer.word, "timeout") || span_is(answer.word, "breaker_open"));
    }
    asker_stop(&asker);
    hostile_service_stop(service);
}

/* The check has an engine of its own, which leaves nothing behind. */
static void test_connectors__a_service_can_be_asked_after_its_check(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    const struct connectors_config limits = ASKER_LIMITS(QUESTION_MS);
    struct asker asker = asker_create(&limits);
    struct error error = {0};
    struct service_check check;
    const struct service_config config = {.name = "comfyui",
                                          .profile = "one",
                                          .base = scripted_service_url(service),
                                          .rate_per_s = 1};
    static const char yaml[] = ASKER_PROFILE "health: {request: 'GET /up', rules: ['200 => ok']}\n";
    assert_true(connectors_add_profile(asker.connectors, "one.yaml", SPAN(yaml), NULL, &error));
    assert_true(connectors_add_service(asker.connectors, &config, &error));
    scripted_service_on(service, "GET /", 200, NULL, "{\"state\":\"run\"}");
    assert_true(connectors_check(asker.connectors, "comfyui", &check));
    assert_true(check.is_reachable);
    asker_begin(&asker);
    for (int i = 0; i < 2; i++) { /* the second one waits for its turn */
        struct service_report answer = asker_ask_anew(&asker, "1", false);
        assert_answer(&answer, ANSWER_RUNNING, "");
    }
    asker_stop(&asker);
    scripted_service_stop(service);
}

static void test_connectors__a_question_under_way_is_not_asked_twice(void **fixture)
{
    (void)fixture;
    struct hostile_service *service = hostile_service_start(HOSTILE_SILENT, NULL);
    struct asker asker = asker_start(hostile_service_url(service));
    struct effect_request request = asker_request("q", SERVICE_JOB);
    struct service_report answer;
    connectors_ask(asker.connectors, &request);
    connectors_ask(asker.connectors, &request);
    answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_UNREACHABLE, "timeout");
    assert_int_equal(hostile_service_count(service), 1);
    assert_false(connectors_take_report(asker.connectors, &answer));
    /* Once its answer is taken it can be asked anew. */
    connectors_ask(asker.connectors, &request);
    answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_UNREACHABLE, "timeout");
    assert_true(connectors_service_facts(asker.connectors, "comfyui").is_volatile);
    asker_stop(&asker);
    hostile_service_stop(service);
}

static void test_connectors__a_slow_host_holds_no_other_one(void **fixture)
{
    (void)fixture;
    struct hostile_service *slow = hostile_service_start(HOSTILE_SILENT, NULL);
    struct http_service *fast = http_service_start(0);
    struct connectors_config config = {.question_ms = 1000, .body_max = 1 << 20, .per_host = 1};
    struct service_config service = {
        .name = "comfyui", .profile = "history", .base = hostile_service_url(slow)};
    struct asker asker = asker_create(&config);
    struct error error = {0};
    assert_true(connectors_add_profile(
        asker.connectors, "history.yaml",
        SPAN("profile: history\nvolatile: false\nstatus:\n"
             "- {request: 'GET /history/{id}', rules: [200 & body empty => not_found]}\n"),
        NULL, &error));
    assert_true(connectors_add_service(asker.connectors, &service, &error));
    asker_begin(&asker);
    struct effect_request first = asker_request("first", SERVICE_JOB),
                          second = asker_request("second", SERVICE_JOB);
    struct effect_request other = asker_request("other", SERVICE_JOB);
    other.base = span_of(http_service_url(fast));
    second.wait_ms = 300;
    connectors_ask(asker.connectors, &first);
    connectors_ask(asker.connectors, &second);
    connectors_ask(asker.connectors, &other);
    struct service_report answer = asker_next(&asker);
    assert_true(span_is(answer.effect, "other"));
    assert_answer(&answer, ANSWER_NOT_FOUND, "");
    answer = asker_next(&asker);
    assert_true(span_is(answer.effect, "second"));
    assert_answer(&answer, ANSWER_UNREACHABLE, "waited_too_long");
    answer = asker_next(&asker);
    assert_true(span_is(answer.effect, "first"));
    assert_answer(&answer, ANSWER_UNREACHABLE, "timeout");
    asker_stop(&asker);
    http_service_stop(fast);
    hostile_service_stop(slow);
}

static void test_connectors__stopping_drops_what_is_under_way(void **fixture)
{
    (void)fixture;
    struct hostile_service *service = hostile_service_start(HOSTILE_SILENT, NULL);
    struct connectors_config config = {.question_ms = 60000, .body_max = 1 << 20, .per_host = 1};
    struct service_config comfyui = {
        .name = "comfyui", .profile = "comfyui", .base = hostile_service_url(service)};
    struct asker asker = asker_start_with(&config, &comfyui);
    struct effect_request active = asker_request("a", SERVICE_JOB),
                          waiting = asker_request("b", SERVICE_JOB);
    connectors_ask(asker.connectors, &active);
    connectors_ask(asker.connectors, &waiting);
    uint64_t started_ms = clock_boot_ms();
    asker_stop(&asker);
    assert_in_time("stopping", started_ms);
    hostile_service_stop(service);
    connectors_destroy(NULL);
}

/* --- configuration --- */

static void test_connectors__mistakes_in_the_configuration_are_named(void **fixture)
{
    const char *bad_block = "10.0.0.0/99";
    const struct {
        struct service_config service;
        const char *message;
    } rows[] = {
        {{.name = "a", .profile = "nope"}, "service a: no profile \"nope\"; there are: comfyui, "},
        {{.name = "a", .profile = "mine", .base = "ftp://x"},
         "service a: the base is no URL to ask"},
        {{.name = "a", .profile = "mine", .base = "http://u:secret@x"},
         "service a: the base is no URL to ask"},
        {{.name = "a", .profile = "mine", .allow = &bad_block, .allow_count = 1},
         "service a: \"10.0.0.0/99\": the block's size"},
    };
    (void)fixture;
    struct connectors_config config = {.question_ms = 1, .body_max = 1, .per_host = 1};
    struct connectors *connectors = connectors_create(&config);
    struct error error = {0};
    assert_true(connectors_add_profile(connectors, "mine.yaml",
                                       SPAN("profile: mine\nvolatile: false\nstatus:\n"
                                            "- {request: GET /x, rules: [200 => running]}\n"),
                                       NULL, &error));
    assert_false(
        connectors_add_profile(connectors, "bad.yaml", SPAN("profile: x\n"), NULL, &error));
    assert_non_null(strstr(error.message, "bad.yaml: line 1: \"volatile\" is missing"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(connectors_add_service(connectors, &rows[i].service, &error));
        if (strncmp(error.message, rows[i].message, strlen(rows[i].message)) != 0) {
            fail_msg("\"%s\" instead of \"%s\"", error.message, rows[i].message);
        }
        assert_null(strstr(error.message, "secret"));
    }
    struct service_config good = {.name = "a", .profile = "mine", .base = "http://[::1]:8188"};
    assert_true(connectors_add_service(connectors, &good, &error));
    assert_false(connectors_add_service(connectors, &good, &error));
    assert_string_equal(error.message, "service a: given twice");
    connectors_destroy(connectors);
}

/* A profile that uses every kind of place: a stored URL, a POST body, a status for a retry. */
static void test_connectors__other_shapes_of_services_can_be_asked(void **fixture)
{
    (void)fixture;
    static const char yaml[] =
        "profile: other\nvolatile: true\nstatus:\n"
        "- request: POST {status_url}\n"
        "  body: '{\"id\":\"{id:json}\",\"n\":{tag}}'\n"
        "  rules:\n"
        "  - '200 & /state = \"done\" & /id = \"{id}\" => completed partial'\n"
        "  - 200 => retry\n"
        "result: body\n";
    struct hostile_service *http =
        hostile_service_start(HOSTILE_REPLY, JSON("{\"id\":\"j\\\"1\",\"state\":\"done\"}"));
    struct connectors_config config = {
        .question_ms = QUESTION_MS, .body_max = 1 << 20, .per_host = 16};
    struct service_config service = {
        .name = "comfyui", .profile = "other", .base = "http://127.0.0.1"};
    struct asker asker = asker_create(&config);
    struct error error = {0};
    assert_true(connectors_add_profile(asker.connectors, "other.yaml", SPAN(yaml), NULL, &error));
    assert_true(connectors_add_service(asker.connectors, &service, &error));
    asker_begin(&asker);
    struct effect_request request = asker_request("q", "j\"1");
    request.tag = SPAN("7");
    connectors_ask(asker.connectors, &request);
    struct service_report answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "no_status_url");
    char url[96];
    snprintf(url, sizeof(url), "%s/s?job=1", hostile_service_url(http));
    request.status_url = span_of(url);
    connectors_ask(asker.connectors, &request);
    answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_COMPLETED, "");
    assert_true(span_is(answer.flags, "partial"));
    assert_true(span_is(answer.result, "{\"id\":\"j\\\"1\",\"state\":\"done\"}"));
    request.service_job = SPAN("another");
    connectors_ask(asker.connectors, &request);
    answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_UNREACHABLE, "retry");
    asker_stop(&asker);
    const char *head = hostile_service_last_request(http);
    assert_memory_equal(head, "POST /s?job=1 HTTP/1.1\r\n", 24);
    assert_non_null(strstr(head, "\r\nContent-Type: application/json\r\n"));
    hostile_service_stop(http);
}

/* What a service says of its result becomes the job's result as it is: a text without quotes. */
static void test_connectors__a_result_is_handed_on_as_it_is(void **fixture)
{
    (void)fixture;
    static const char yaml[] =
        "profile: plain\nvolatile: false\nstatus:\n"
        "- {request: 'GET /x', rules: ['200 & /state = \"done\" => completed']}\n"
        "result: /result\n";
    static const struct {
        const char *reply;
        enum answer_verdict verdict;
        struct span result;
    } rows[] = {
        {JSON("{\"state\":\"done\",\"result\":\"s3://a/\\u00e4\\\"b.png\"}"), ANSWER_COMPLETED,
         SPAN("s3://a/\xc3\xa4\"b.png")},
        {JSON("{\"state\":\"done\",\"result\":\"\"}"), ANSWER_COMPLETED, SPAN("")},
        {JSON("{\"state\":\"done\",\"result\":{\"a\": [1, true]}}"), ANSWER_COMPLETED,
         SPAN("{\"a\":[1,true]}")},
        {JSON("{\"state\":\"done\",\"result\":7}"), ANSWER_COMPLETED, SPAN("7")},
        {JSON("{\"state\":\"done\",\"result\":null}"), ANSWER_COMPLETED, SPAN("null")},
        /* Not UTF-8, in four ways: nothing of such a reply is handed on. */
        {JSON("{\"state\":\"done\",\"result\":\"\xff\xfe\"}"), ANSWER_INCONCLUSIVE, SPAN("")},
        {JSON("{\"state\":\"done\",\"result\":\"\xc0\x80\"}"), ANSWER_INCONCLUSIVE, SPAN("")},
        {JSON("{\"state\":\"done\",\"result\":\"\xed\xa0\x80\"}"), ANSWER_INCONCLUSIVE, SPAN("")},
        {JSON("{\"state\":\"done\",\"result\":\"\\ud800\"}"), ANSWER_INCONCLUSIVE, SPAN("")},
    };
    struct connectors_config config = {
        .question_ms = QUESTION_MS, .body_max = 1 << 20, .per_host = 16};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hostile_service *http = hostile_service_start(HOSTILE_REPLY, rows[i].reply);
        struct service_config service = {
            .name = "comfyui", .profile = "plain", .base = hostile_service_url(http)};
        struct asker asker = asker_create(&config);
        struct error error = {0};
        assert_true(
            connectors_add_profile(asker.connectors, "plain.yaml", SPAN(yaml), NULL, &error));
        assert_true(connectors_add_service(asker.connectors, &service, &error));
        asker_begin(&asker);
        struct service_report answer = asker_ask(&asker, "j");
        assert_int_equal(answer.verdict, rows[i].verdict);
        if (!span_equal(answer.result, rows[i].result)) {
            fail_msg("row %zu: \"%.*s\"", i, SPAN_FORMAT(answer.result));
        }
        asker_stop(&asker);
        hostile_service_stop(http);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connectors__comfyui_tells_every_state),
        cmocka_unit_test(test_connectors__comfyui_is_told_to_cancel),
        cmocka_unit_test(test_connectors__a_large_result_becomes_a_reference),
        cmocka_unit_test(test_connectors__where_the_worker_said_is_asked_first),
        cmocka_unit_test(test_connectors__a_thousand_questions_are_all_answered),
        cmocka_unit_test(test_connectors__a_service_without_a_profile_is_answered_at_once),
        cmocka_unit_test(test_connectors__who_finds_them_full_asks_again),
        cmocka_unit_test(test_connectors__a_service_can_be_asked_after_its_check),
        cmocka_unit_test(test_connectors__a_question_under_way_is_not_asked_twice),
        cmocka_unit_test(test_connectors__a_slow_host_holds_no_other_one),
        cmocka_unit_test(test_connectors__stopping_drops_what_is_under_way),
        cmocka_unit_test(test_connectors__mistakes_in_the_configuration_are_named),
        cmocka_unit_test(test_connectors__other_shapes_of_services_can_be_asked),
        cmocka_unit_test(test_connectors__a_result_is_handed_on_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
