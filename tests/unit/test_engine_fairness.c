/* SPDX-License-Identifier: MIT
 * That no service, however large its replies and however many of its hosts hang, takes what others
 * need: through the whole of the connectors and over real connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "connectors/breaker.h"
#include "connectors/engine.h"
#include "tests/lib/asker.h"
#include "tests/lib/scripted_service.h"

#define LONG_MS 30000

/* The queue serves all, the history is asked for each. */
#define QUEUE                                                            \
    "profile: one\nvolatile: true\nstatus:\n"                            \
    "- {request: 'GET /queue', rules: ['200 & /queue_running/[1={id}] "  \
    "exists => running', '200 & /queue_running exists => not_found']}\n" \
    "- {request: 'GET /history/{id}', rules: ['200 & /{id} exists => "   \
    "completed', '200 & body empty => not_found']}\n"

/* --- large replies --- */

/* An asker of two services: "comfyui" with the profile "one", and "other", which is small. */
static struct asker start_two(const char *yaml, const struct scripted_service *one,
                              const struct scripted_service *other)
{
    static const char small[] = "profile: small\nvolatile: false\nstatus:\n"
                                "- {request: 'GET /small/{id}', rules: ['200 => running']}\n";
    const struct connectors_config limits = ASKER_LIMITS(LONG_MS);
    const struct service_config configs[] = {
        {.name = "comfyui", .profile = "one", .base = scripted_service_url(one)},
        {.name = "other", .profile = "small", .base = scripted_service_url(other)}};
    const char *loopback = "127.0.0.0/8";
    struct asker asker = asker_create(&limits);
    struct error error = {0};
    assert_true(connectors_add_profile(asker.connectors, "one.yaml", span_of(yaml), NULL, &error));
    assert_true(connectors_add_profile(asker.connectors, "small.yaml", SPAN(small), NULL, &error));
    for (size_t i = 0; i < 2; i++) {
        struct service_config config = configs[i];
        config.allow = &loopback;
        config.allow_count = 1;
        assert_true(connectors_add_service(asker.connectors, &config, &error));
    }
    asker_begin(&asker);
    return asker;
}

/* Asks the other service: the number of answers of the first one that come before its own. */
static size_t ask_other(struct asker *asker)
{
    static unsigned asked;
    char id[32];
    snprintf(id, sizeof(id), "small-%u", ++asked);
    struct effect_request request = asker_request(id, "1");
    request.service = SPAN("other");
    assert_true(connectors_ask(asker->connectors, &request));
    for (size_t others = 0;; others++) {
        struct service_report answer = asker_next(asker);
        if (span_is(answer.effect, id)) {
            assert_answer(&answer, ANSWER_RUNNING, "");
            return others;
        }
    }
}

/* `count` times `unit` in a list. The result is the caller's. */
static char *list_of(const char *begin, const char *unit, size_t count, const char *end)
{
    struct buffer text = {0};
    buffer_put_text(&text, begin);
    for (size_t i = 0; i < count; i++) {
        buffer_put_text(&text, i == 0 ? "" : ",");
        buffer_put_text(&text, unit);
    }
    buffer_put_text(&text, end);
    buffer_put_byte(&text, 0);
    return text.data;
}

static void test_engine_fairness__a_huge_reply_is_not_read(void **fixture)
{
    (void)fixture;
    struct scripted_service *huge = scripted_service_start(), *small = scripted_service_start();
    struct asker asker = start_two(QUEUE "max_body: 16777216\n", huge, small);
    char *text = list_of("[", "[]", 5000000, "]");
    scripted_service_on(huge, "GET /", 200, NULL, text);
    scripted_service_on(small, "GET /", 200, NULL, "{}");
    struct effect_request request = asker_request("q", "1");
    assert_true(connectors_ask(asker.connectors, &request));
    struct service_report answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "too_large");
    mem_free(text);
    asker_stop(&asker);
    scripted_service_stop(small);
    scripted_service_stop(huge);
}

/* As many values as are read, and all who may share the reply look for their job in it. */
static void test_engine_fairness__a_large_reply_for_many_holds_nobody_up(void **fixture)
{
    (void)fixture;
    struct scripted_service *large = scripted_service_start(), *small = scripted_service_start();
    struct asker asker = start_two(QUEUE, large, small);
    char *text = list_of("{\"queue_running\":[", "[0,\"x\"]", JSON_VALUES_MAX / 3 - 2, "]}");
    size_t heard = 0, longest = 0;
    scripted_service_on(large, "GET /", 200, NULL, "{}");
    scripted_service_on(large, "GET /queue", 200, NULL, text);
    scripted_service_on(small, "GET /", 200, NULL, "{}");
    assert_int_equal(ask_other(&asker), 0);
    for (uint64_t i = 0; i < SHARED_QUESTIONS_MAX; i++) {
        struct number_text id = number_text(i);
        struct effect_request request = asker_request(id.text, id.text);
        assert_true(connectors_ask(asker.connectors, &request));
    }
    while (heard < SHARED_QUESTIONS_MAX) {
        size_t others = ask_other(&asker);
        heard += others;
        longest = others > longest ? others : longest;
    }
    assert_in_range(scripted_service_count(large, "GET /queue"), 1, SHARED_QUESTIONS_MAX / 8);
    assert_in_range(longest, 1, SHARED_QUESTIONS_MAX / 2);
    mem_free(text);
    asker_stop(&asker);
    scripted_service_stop(small);
    scripted_service_stop(large);
}

/* --- hosts that hang --- */

#define HANGING                                                                      \
    140 /* hosts of one service; with four requests each, more than can be under way \
         */
#define EACH 5

/* They answered a moment ago, so nothing tells that they are dead now. */
static void
test_engine_fairness__proven_hosts_that_hang_leave_room_for_other_services(void **fixture)
{
    (void)fixture;
    struct scripted_service *hosts = scripted_service_start(), *small = scripted_service_start();
    struct asker asker = start_two(ASKER_PROFILE, hosts, small);
    scripted_service_on(hosts, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    scripted_service_on(small, "GET /", 200, NULL, "{}");
    assert_int_equal(ask_other(&asker), 0);
    static char bases[HANGING][64];
    static struct number_text ids[HANGING * EACH];
    for (unsigned i = 0; i < HANGING * EACH; i++) {
        unsigned host = i % HANGING;
        ids[i] = number_text(i);
        snprintf(bases[host], sizeof(bases[host]), "http://127.2.0.%u:%u", host + 1,
                 scripted_service_port(hosts));
        struct effect_request request = asker_request(ids[i].text, "1");
        request.base = span_of(bases[host]);
        assert_true(connectors_ask(asker.connectors, &request));
        if (i < HANGING) {
            struct service_report answer = asker_next(&asker);
            assert_answer(&answer, ANSWER_RUNNING, "");
        }
        if (i + 1 == HANGING) {
            scripted_service_on(hosts, "GET /jobs/", SCRIPTED_SILENCE, NULL, "");
        }
    }
    size_t sent = 0, before;
    do { /* until no more of them are sent */
        before = sent;
        asker_wait_until(clock_boot_ms() + 300);
        sent = scripted_service_count(hosts, "GET /jobs/");
    } while (sent < HANGING + ACTIVE_MAX / 2 || sent > before);
    assert_int_equal(ask_other(&asker), 0); /* none of them was given up meanwhile */
    asker_stop(&asker);
    scripted_service_stop(small);
    scripted_service_stop(hosts);
}

/* What little time a slow service has left its question is not held against it. */
static void test_engine_fairness__without_time_left_nothing_more_is_sent(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    struct asker asker =
        asker_start_profile(QUEUE, scripted_service_url(service), (struct service_config){0},
                            ASKER_LIMITS(10 * QUESTION_LEAST_MS));
    scripted_service_on(service, "GET /queue", 200, NULL, "{\"queue_running\":[]}");
    scripted_service_on(service, "GET /history/", SCRIPTED_HANG_UP, NULL, "");
    scripted_service_delay(service, (unsigned)(10 * QUESTION_LEAST_MS - QUESTION_LEAST_MS / 2));
    for (int i = 0; i <= BREAKER_FAILURES; i++) {
        struct service_report answer = asker_ask_anew(&asker, "1", false);
        assert_answer(&answer, ANSWER_UNREACHABLE, "timeout");
    }
    assert_int_equal(scripted_service_count(service, "GET /history/"), 0);
    asker_stop(&asker);
    scripted_service_stop(service);
}

/* Workers say where their service is; a token goes where the configuration says. */
static void test_engine_fairness__a_token_is_not_sent_wherever_a_worker_says(void **fixture)
{
    (void)fixture;
    static const char yaml[] =
        ASKER_PROFILE_WITH_CANCEL "headers: {Authorization: 'Bearer {token}'}\n";
    struct scripted_service *service = scripted_service_start(), *thief = scripted_service_start();
    assert_int_equal(setenv("SALVOR_TEST_TOKEN", "hush", 1), 0);
    scripted_service_on(service, "", 200, NULL, "{\"state\":\"run\"}");
    scripted_service_on(thief, "", 200, NULL, "{\"state\":\"run\"}");
    const char *meant = strstr(scripted_service_url(thief), "127.");
    for (size_t is_meant = 0; is_meant < 2; is_meant++) {
        struct service_config config = {
            .token = "env:SALVOR_TEST_TOKEN", .allow = &meant, .allow_count = is_meant};
        struct asker asker =
            asker_start_profile(yaml, scripted_service_url(service), config, ASKER_LIMITS(LONG_MS));
        struct service_report report = asker_ask_anew(&asker, "1", false);
        assert_answer(&report, ANSWER_RUNNING, "");
        struct effect_request request = asker_request("q", "1");
        request.base = span_of(scripted_service_url(thief));
        assert_true(connectors_ask(asker.connectors, &request));
        report = asker_next(&asker);
        assert_answer(&report, is_meant ? ANSWER_RUNNING : ANSWER_INCONCLUSIVE,
                      is_meant ? "" : "token_not_allowed");
        request.id = SPAN("c");
        request.kind = EFFECT_CANCEL;
        assert_true(connectors_ask(asker.connectors, &request));
        report = asker_next(&asker);
        assert_outcome(&report, is_meant ? OUTCOME_ACCEPTED : OUTCOME_UNSUPPORTED,
                       is_meant ? "" : "token_not_allowed");
        assert_int_equal(scripted_service_count(thief, ""), 2 * is_meant);
        asker_stop(&asker);
    }
    assert_true(scripted_service_heard(service, "Authorization: Bearer hush\r\n"));
    scripted_service_stop(thief);
    scripted_service_stop(service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_fairness__a_huge_reply_is_not_read),
        cmocka_unit_test(test_engine_fairness__a_large_reply_for_many_holds_nobody_up),
        cmocka_unit_test(
            test_engine_fairness__proven_hosts_that_hang_leave_room_for_other_services),
        cmocka_unit_test(test_engine_fairness__without_time_left_nothing_more_is_sent),
        cmocka_unit_test(test_engine_fairness__a_token_is_not_sent_wherever_a_worker_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
