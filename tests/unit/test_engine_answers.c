/* SPDX-License-Identifier: MIT
 * What serves again, which form of an interface is spoken, what is confirmed and what is cancelled:
 * through the whole of the connectors and over real connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/lib/asker.h"
#include "tests/lib/hostile_service.h"
#include "tests/lib/scripted_service.h"

#define LONG_MS 5000

#define FORMS                                                                  \
    "profile: one\nvolatile: false\nvariants:\n"                               \
    "- name: new\n  probe: {request: 'GET /new', rules: ['200 => ok', "        \
    "'404 => absent']}\n"                                                      \
    "  status:\n  - {request: 'GET /new/{id}', rules: ['200 => running']}\n"   \
    "  cancel:\n  - {request: 'POST /new/{id}', rules: ['200 => accepted']}\n" \
    "- name: old\n  probe: {request: 'GET /old', rules: ['200 => ok', "        \
    "'404 => absent']}\n"                                                      \
    "  status:\n  - {request: 'GET /old/{id}', rules: ['200 => pending']}\n"

/* --- answers that serve again --- */

static void test_engine_answers__what_ended_is_not_asked_again(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    struct service_config config = {.answer_ttl_ms = 60000};
    struct asker asker = asker_start_profile(
        ASKER_PROFILE_WITH_CANCEL, scripted_service_url(service), config, ASKER_LIMITS(LONG_MS));
    scripted_service_on(service, "GET /jobs/run", 200, NULL, "{\"state\":\"run\"}");
    scripted_service_on(service, "GET /jobs/done", 200, NULL, "{\"state\":\"done\"}");
    scripted_service_on(service, "GET /jobs/none", 404, NULL, "{\"error\":1}");
    scripted_service_on(service, "POST /stop/run", 200, NULL, "{}");
    static const struct {
        const char *job;
        enum answer_verdict verdict;
        size_t again, fresh; /* requests of three questions and of another one, a fresh one */
    } rows[] = {{"run", ANSWER_RUNNING, 1, 1},
                {"done", ANSWER_COMPLETED, 1, 0},
                {"none", ANSWER_NOT_FOUND, 3, 1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char request[32];
        snprintf(request, sizeof(request), "GET /jobs/%s", rows[i].job);
        for (int k = 0; k < 3; k++) {
            struct service_report answer = asker_ask_anew(&asker, rows[i].job, false);
            assert_answer(&answer, rows[i].verdict, "");
            assert_true(span_is(answer.job, "job-1"));
        }
        assert_int_equal(scripted_service_count(service, request), rows[i].again);
        struct service_report answer = asker_ask_anew(&asker, rows[i].job, true);
        assert_answer(&answer, rows[i].verdict, "");
        assert_int_equal(scripted_service_count(service, request), rows[i].again + rows[i].fresh);
    }
    /* A cancel may change everything. */
    struct service_report answer = asker_cancel(&asker, "run");
    assert_outcome(&answer, OUTCOME_ACCEPTED, "");
    answer = asker_ask_anew(&asker, "run", false);
    assert_int_equal(scripted_service_count(service, "GET /jobs/run"), 3);
    /* Another attempt may run under the same id. */
    struct effect_request request = asker_request("later", "done");
    request.attempt = 3;
    connectors_ask(asker.connectors, &request);
    answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_COMPLETED, "");
    assert_int_equal(scripted_service_count(service, "GET /jobs/done"), 2);
    asker_stop(&asker);
    scripted_service_stop(service);
}

static void test_engine_answers__an_answer_lasts_as_long_as_it_may(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    struct service_config config = {.answer_ttl_ms = 200};
    struct asker asker = asker_start_profile(ASKER_PROFILE, scripted_service_url(service), config,
                                             ASKER_LIMITS(LONG_MS));
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"wait\"}");
    struct service_report answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_PENDING, "");
    asker_wait_until(clock_boot_ms() + 201);
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_RUNNING, "");
    asker_stop(&asker);
    scripted_service_stop(service);
}

/* --- forms of the interface --- */

static void test_engine_answers__the_form_is_probed_once_for_an_endpoint(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    const char *base = scripted_service_url(service);
    struct asker asker =
        asker_start_profile(FORMS, base, (struct service_config){0}, ASKER_LIMITS(LONG_MS));
    char expected[512];
    scripted_service_on(service, "GET /new", 200, NULL, "{}");
    for (int i = 0; i < 3; i++) {
        struct service_report answer = asker_ask_anew(&asker, "1", false);
        assert_answer(&answer, ANSWER_RUNNING, "");
    }
    assert_int_equal(scripted_service_count(service, "GET /new HTTP"), 1);
    assert_int_equal(scripted_service_count(service, "GET /old"), 0);
    /* The service is put back to an older build: after some doubts it is probed anew. */
    scripted_service_on(service, "GET /new", 404, NULL, "{}");
    scripted_service_on(service, "GET /old", 200, NULL, "{}");
    for (int i = 0; i < 3; i++) {
        struct service_report answer = asker_ask_anew(&asker, "1", true);
        assert_answer(&answer, ANSWER_INCONCLUSIVE, "bare_404");
    }
    struct service_report answer = asker_ask_anew(&asker, "1", true);
    assert_answer(&answer, ANSWER_PENDING, "");
    answer = asker_cancel(&asker, "1");
    assert_outcome(&answer, OUTCOME_UNSUPPORTED, "no_cancel");
    snprintf(expected, sizeof(expected),
             "comfyui %s [status cancel variant=new] closed\n"
             "comfyui %s [status variant=old] closed\n",
             base, base);
    assert_string_equal(asker_probed(&asker), expected);
    asker_stop(&asker);
    scripted_service_stop(service);
}

static void test_engine_answers__without_a_form_nothing_is_believed(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    struct asker asker = asker_start_profile(FORMS, scripted_service_url(service),
                                             (struct service_config){0}, ASKER_LIMITS(LONG_MS));
    scripted_service_on(service, "GET /new", 500, NULL, "{}");
    struct service_report answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_UNREACHABLE, "server_error");
    assert_int_equal(scripted_service_count(service, "GET /old"), 0);
    scripted_service_on(service, "GET /", 404, NULL, "{}");
    answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_UNREACHABLE, "no_variant");
    scripted_service_on(service, "GET /", SCRIPTED_HANG_UP, NULL, "{}");
    answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_UNREACHABLE, "broken_off");
    answer = asker_cancel(&asker, "1");
    assert_outcome(&answer, OUTCOME_UNKNOWN, "broken_off");
    asker_stop(&asker);
    scripted_service_stop(service);
}

/* --- confirming, cancelling, many hosts --- */

static void
test_engine_answers__completed_is_asked_for_again_where_the_profile_says_so(void **fixture)
{
    (void)fixture;
    static const char yaml[] =
        "profile: one\nvolatile: false\nstatus:\n"
        "- {request: 'GET /jobs/{id}', confirm: {times: 2, after_ms: 500}, pointer: /state, "
        "words: {done: completed, run: running}}\n";
    struct scripted_service *service = scripted_service_start();
    struct asker asker = asker_start_profile(yaml, scripted_service_url(service),
                                             (struct service_config){0}, ASKER_LIMITS(LONG_MS));
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"done\"}");
    uint64_t started_ms = clock_boot_ms();
    struct service_report answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_COMPLETED, "");
    assert_true(clock_boot_ms() - started_ms >= 500);
    assert_true(answer.latency_ms >= 500);
    assert_int_equal(scripted_service_count(service, "GET"), 2);
    struct effect_request request = asker_request("flaps", "2");
    connectors_ask(asker.connectors, &request);
    uint64_t end_ms = clock_boot_ms() + LONG_MS;
    while (scripted_service_count(service, "GET /jobs/2") == 0) {
        assert_true(clock_boot_ms() < end_ms);
    }
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_RUNNING, "");
    asker_stop(&asker);
    scripted_service_stop(service);
}

static void test_engine_answers__a_cancel_that_would_hit_others_is_not_sent(void **fixture)
{
    (void)fixture;
    static const char yaml[] =
        ASKER_PROFILE "cancel:\n"
                      "- {request: 'POST /interrupt', scope: global, only_if: running,"
                      " rules: ['200 => accepted']}\n";
    struct scripted_service *service = scripted_service_start();
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    scripted_service_on(service, "GET /jobs/done", 200, NULL, "{\"state\":\"done\"}");
    scripted_service_on(service, "POST /interrupt", 200, NULL, "{}");
    for (int i = 0; i < 2; i++) {
        struct service_config config = {.is_exclusive = i == 1};
        struct asker asker =
            asker_start_profile(yaml, scripted_service_url(service), config, ASKER_LIMITS(LONG_MS));
        struct service_report outcome = asker_cancel(&asker, "1");
        assert_true(span_is(outcome.effect, "cancel"));
        assert_outcome(&outcome, i == 0 ? OUTCOME_UNSUPPORTED : OUTCOME_ACCEPTED,
                       i == 0 ? "not_exclusive" : "");
        assert_int_equal(scripted_service_count(service, "POST"), i);
        asker_stop(&asker);
    }
    struct asker asker =
        asker_start_profile(yaml, scripted_service_url(service),
                            (struct service_config){.is_exclusive = true}, ASKER_LIMITS(LONG_MS));
    struct service_report outcome = asker_cancel(&asker, "done");
    assert_outcome(&outcome, OUTCOME_ALREADY_FINAL, "completed");
    assert_int_equal(scripted_service_count(service, "POST"), 1);
    struct effect_request stranger = asker_request("c", "1");
    stranger.kind = EFFECT_CANCEL;
    stranger.service = SPAN("nobody");
    connectors_ask(asker.connectors, &stranger);
    outcome = asker_next(&asker);
    assert_outcome(&outcome, OUTCOME_UNSUPPORTED, "no_profile");
    asker_stop(&asker);
    scripted_service_stop(service);
}

/* The service may have heard it: what became of it is unknown, and it is not sent twice. */
static void test_engine_answers__a_cancel_without_a_reply_is_not_repeated(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    struct asker asker =
        asker_start_profile(ASKER_PROFILE_WITH_CANCEL, scripted_service_url(service),
                            (struct service_config){0}, ASKER_LIMITS(LONG_MS));
    scripted_service_on(service, "POST /stop/", SCRIPTED_HANG_UP, NULL, "");
    struct service_report outcome = asker_cancel(&asker, "1");
    assert_outcome(&outcome, OUTCOME_UNKNOWN, "broken_off");
    assert_int_equal(outcome.http, 0);
    assert_int_equal(scripted_service_count(service, "POST"), 1);
    asker_stop(&asker);
    scripted_service_stop(service);
}

/* On a kept connection that turns out dead libcurl would send it a second time. */
static void test_engine_answers__a_cancel_has_a_connection_of_its_own(void **fixture)
{
    (void)fixture;
    struct hostile_service *service =
        hostile_service_start(HOSTILE_ONCE, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                            "Content-Length: 15\r\n\r\n{\"state\":\"run\"}");
    struct asker asker =
        asker_start_profile(ASKER_PROFILE_WITH_CANCEL, hostile_service_url(service),
                            (struct service_config){0}, ASKER_LIMITS(LONG_MS));
    struct service_report report = asker_ask_anew(&asker, "1", false);
    assert_answer(&report, ANSWER_RUNNING, "");
    report = asker_cancel(&asker, "1");
    assert_outcome(&report, OUTCOME_ACCEPTED, "");
    assert_int_equal(hostile_service_count(service), 2);
    asker_stop(&asker);
    hostile_service_stop(service);
}

static void test_engine_answers__no_hostile_service_makes_a_cancel_look_accepted(void **fixture)
{
    (void)fixture;
    static const struct {
        enum hostile_manner manner;
        const char *reply;
    } rows[] = {
        {HOSTILE_SILENT, NULL},
        {HOSTILE_HEADERS_ONLY, NULL},
        {HOSTILE_DRIP, NULL},
        {HOSTILE_ENDLESS, NULL},
        {HOSTILE_REPLY, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>{}"},
        {HOSTILE_REPLY, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":"},
        {HOSTILE_REPLY, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hostile_service *service = hostile_service_start(rows[i].manner, rows[i].reply);
        struct asker asker =
            asker_start_profile(ASKER_PROFILE_WITH_CANCEL, hostile_service_url(service),
                                (struct service_config){0}, ASKER_LIMITS(QUESTION_MS));
        uint64_t started_ms = clock_boot_ms();
        struct service_report outcome = asker_cancel(&asker, "1");
        assert_int_equal(outcome.kind, REPORT_SETTLED);
        assert_int_equal(outcome.outcome, OUTCOME_UNKNOWN);
        assert_in_time("a cancel", started_ms);
        asker_stop(&asker);
        hostile_service_stop(service);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_answers__what_ended_is_not_asked_again),
        cmocka_unit_test(test_engine_answers__an_answer_lasts_as_long_as_it_may),
        cmocka_unit_test(test_engine_answers__the_form_is_probed_once_for_an_endpoint),
        cmocka_unit_test(test_engine_answers__without_a_form_nothing_is_believed),
        cmocka_unit_test(
            test_engine_answers__completed_is_asked_for_again_where_the_profile_says_so),
        cmocka_unit_test(test_engine_answers__a_cancel_that_would_hit_others_is_not_sent),
        cmocka_unit_test(test_engine_answers__a_cancel_without_a_reply_is_not_repeated),
        cmocka_unit_test(test_engine_answers__a_cancel_has_a_connection_of_its_own),
        cmocka_unit_test(test_engine_answers__no_hostile_service_makes_a_cancel_look_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
