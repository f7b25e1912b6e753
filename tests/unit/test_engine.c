/* SPDX-License-Identifier: MIT
 * How questions are bounded, shared and held back, through the whole of the connectors and over
 * real connections. */
#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "connectors/endpoint.h"
#include "connectors/engine.h"
#include "tests/lib/asker.h"
#include "tests/lib/hostile_service.h"
#include "tests/lib/http_service.h"
#include "tests/lib/scripted_service.h"

#define LONG_MS 5000

/* The queue serves all, the history is asked for each. */
#define QUEUE                                                            \
    "profile: one\nvolatile: true\nstatus:\n"                            \
    "- {request: 'GET /queue', rules: ['200 & /queue_running/[1={id}] "  \
    "exists => running', '200 & /queue_running exists => not_found']}\n" \
    "- {request: 'GET /history/{id}', rules: ['200 & /{id} exists => "   \
    "completed', '200 & body empty => not_found']}\n"

static uint64_t counter(const struct http_service *service, const char *pointer)
{
    struct buffer body = {0};
    struct error error = {0};
    int64_t number = -1;
    assert_int_equal(http_service_send(service, "/control/counters", NULL, &body), 200);
    struct json *json = json_parse(buffer_span(&body), &error);
    assert_true(json_number(json_find(json, span_of(pointer)), &number));
    json_destroy(json);
    buffer_fini(&body);
    return (uint64_t)number;
}

static void delay_answers(const struct http_service *service, unsigned delay_ms)
{
    char body[64];
    snprintf(body, sizeof(body), "{\"delay_ms\":%u}", delay_ms);
    assert_int_equal(http_service_send(service, "/control/set", body, NULL), 200);
}

/* --- many at once --- */

#define MANY 2000

static void test_engine__two_thousand_questions_share_the_queue(void **fixture)
{
    (void)fixture;
    struct http_service *service = http_service_start(0);
    struct asker asker = asker_start_profile(QUEUE, http_service_url(service),
                                             (struct service_config){0}, ASKER_LIMITS(LONG_MS));
    static struct number_text ids[MANY];
    assert_int_equal(
        http_service_send(service, "/prompt",
                          "{\"prompt_id\":\"1007\",\"prompt\":{\"duration_ms\":600000}}", NULL),
        200);
    delay_answers(service, 2);
    for (uint64_t i = 0; i < MANY; i++) {
        ids[i] = number_text(1000 + i);
        struct effect_request request = asker_request(ids[i].text, ids[i].text);
        connectors_ask(asker.connectors, &request);
        connectors_ask(asker.connectors, &request);
    }
    size_t running = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        struct service_report answer = asker_next(&asker);
        running += answer.verdict == ANSWER_RUNNING;
        assert_true(answer.verdict == ANSWER_RUNNING || answer.verdict == ANSWER_NOT_FOUND);
        assert_int_equal(answer.verdict == ANSWER_RUNNING, span_is(answer.effect, "1007"));
    }
    assert_int_equal(running, 1);
    assert_true(http_service_count(service, "GET", "/queue") <= MANY / 20);
    assert_int_equal(http_service_count(service, "GET", "/history/"), MANY - 1);
    assert_true(counter(service, "/most_at_once") <= 4);
    assert_true(counter(service, "/most_at_once") >= 2);
    asker_stop(&asker);
    http_service_stop(service);
}

/* A job may have been submitted between the reply's sending and the question. */
static void test_engine__a_shared_reply_serves_no_later_question(void **fixture)
{
    (void)fixture;
    struct http_service *service = http_service_start(0);
    struct connectors_config limits = ASKER_LIMITS(LONG_MS);
    limits.per_host = 1;
    struct asker asker =
        asker_start_profile(QUEUE, http_service_url(service), (struct service_config){0}, limits);
    delay_answers(service, 300);
    uint64_t before = counter(service, "/requests");
    struct effect_request first = asker_request("first", "1"),
                          second = asker_request("second", "2"),
                          third = asker_request("third", "3");
    connectors_ask(asker.connectors, &first);
    uint64_t end_ms = clock_boot_ms() + LONG_MS;
    while (counter(service, "/requests") == before) {
        assert_true(clock_boot_ms() < end_ms);
    }
    connectors_ask(asker.connectors, &second);
    connectors_ask(asker.connectors, &third);
    for (int i = 0; i < 3; i++) {
        struct service_report answer = asker_next(&asker);
        assert_answer(&answer, ANSWER_NOT_FOUND, "");
    }
    assert_int_equal(http_service_count(service, "GET", "/queue"), 2);
    asker_stop(&asker);
    http_service_stop(service);
}

/* A socket that takes every connection to a loopback address and never says anything. */
static int open_deaf_socket(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 4096), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

#define DEAF 600 /* more than can be under way at a time */

static void test_engine__hundreds_of_dead_hosts_hold_nobody_up(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    const char *loopback = "127.0.0.0/8";
    struct service_config config = {.allow = &loopback, .allow_count = 1};
    struct asker asker = asker_start_profile(ASKER_PROFILE, scripted_service_url(service), config,
                                             ASKER_LIMITS(700));
    static char bases[DEAF][64], ids[DEAF][16];
    unsigned port;
    int deaf = open_deaf_socket(&port);
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    struct service_report answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_RUNNING, "");
    for (unsigned i = 0; i < DEAF; i++) {
        snprintf(bases[i], sizeof(bases[i]), "http://127.1.%u.%u:%u", i / 200, i % 200 + 1, port);
        snprintf(ids[i], sizeof(ids[i]), "deaf-%u", i);
        struct effect_request request = asker_request(ids[i], "1");
        request.base = span_of(bases[i]);
        connectors_ask(asker.connectors, &request);
    }
    static int taken[ACTIVE_MAX / 2];
    for (size_t i = 0; i < ACTIVE_MAX / 2; i++) { /* then no more of them may be sent */
        struct pollfd ready = {.fd = deaf, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, LONG_MS), 1);
        taken[i] = accept(deaf, NULL, NULL);
        assert_true(taken[i] >= 0);
    }
    answer = asker_ask_anew(&asker, "1", false); /* answered before any dead one is given up */
    assert_answer(&answer, ANSWER_RUNNING, "");
    for (unsigned i = 0; i < DEAF; i++) {
        answer = asker_next(&asker);
        assert_answer(&answer, ANSWER_UNREACHABLE, "timeout");
    }
    asker_stop(&asker);
    for (size_t i = 0; i < ACTIVE_MAX / 2; i++) {
        close(taken[i]);
    }
    close(deaf);
    scripted_service_stop(service);
}

#define HOSTS 6000

/* Whatever workers say where their service is: the oldest endpoint makes room for the newest. */
static void test_engine__endpoints_without_end_are_forgotten(void **fixture)
{
    (void)fixture;
    struct asker asker = asker_start_profile(ASKER_PROFILE, "http://127.0.0.1:1",
                                             (struct service_config){0}, ASKER_LIMITS(LONG_MS));
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < HOSTS; i++) {
            char base[64], id[16];
            snprintf(base, sizeof(base), "http://10.%u.%u.%u", round, i / 200, i % 200);
            snprintf(id, sizeof(id), "%u", i);
            struct effect_request request = asker_request(id, "1");
            request.base = span_of(base);
            connectors_ask(asker.connectors, &request);
        }
        for (unsigned i = 0; i < HOSTS; i++) {
            struct service_report answer = asker_next(&asker);
            assert_answer(&answer, ANSWER_INCONCLUSIVE, "host_not_allowed");
        }
    }
    static_assert(3 * HOSTS > ENDPOINTS_MAX, "some must have been forgotten");
    asker_stop(&asker);
}

/* --- breaker, pause, rate --- */

static void expect_probed(struct asker *asker, const char *base, const char *states[])
{
    struct buffer expected = {0};
    for (size_t i = 0; states[i] != NULL; i++) {
        char line[160];
        snprintf(line, sizeof(line), "comfyui %s [status] %s\n", base, states[i]);
        buffer_put_text(&expected, line);
    }
    buffer_put_byte(&expected, 0);
    assert_string_equal(asker_probed(asker), expected.data);
    buffer_fini(&expected);
}

static void test_engine__the_breaker_opens_is_tried_and_closes(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start(), *other = scripted_service_start();
    const char *base = scripted_service_url(service);
    struct asker asker =
        asker_start_profile(ASKER_PROFILE, base, (struct service_config){0}, ASKER_LIMITS(LONG_MS));
    scripted_service_on(other, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    scripted_service_on(service, "GET /jobs/", SCRIPTED_HANG_UP, NULL, "");
    struct service_report answer;
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        expect_probed(&asker, base, (const char *[]){NULL});
        answer = asker_ask_anew(&asker, "1", false);
        assert_answer(&answer, ANSWER_UNREACHABLE, "broken_off");
    }
    uint64_t opened_ms = clock_boot_ms();
    size_t sent = scripted_service_count(service, "GET");
    expect_probed(&asker, base, (const char *[]){"open", NULL});
    answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_UNREACHABLE, "breaker_open");
    answer = asker_cancel(&asker, "1");
    assert_outcome(&answer, OUTCOME_UNSUPPORTED, "no_cancel");
    assert_int_equal(scripted_service_count(service, ""), sent);
    struct effect_request elsewhere = asker_request("elsewhere", "1");
    elsewhere.base = span_of(scripted_service_url(other));
    connectors_ask(asker.connectors, &elsewhere);
    answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_RUNNING, "");
    /* A trial that fails opens it for twice as long; one that succeeds closes it. */
    asker_wait_until(opened_ms + BREAKER_COOL_MS);
    answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_UNREACHABLE, "broken_off");
    uint64_t again_ms = clock_boot_ms();
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    asker_wait_until(again_ms + BREAKER_COOL_MS);
    answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_UNREACHABLE, "breaker_open");
    asker_wait_until(again_ms + BREAKER_COOL_MS * 2);
    answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_RUNNING, "");
    expect_probed(&asker, base,
                  (const char *[]){"open", "half_open", "open", "half_open", "closed", NULL});
    asker_stop(&asker);
    scripted_service_stop(other);
    scripted_service_stop(service);
}

#define SECRET_PATH "/tmp/salvor-test-engine-XXXXXX"

/* What was never sent says nothing of the host: the next question is the trial then. */
static void test_engine__a_trial_that_can_not_be_sent_is_none(void **fixture)
{
    (void)fixture;
    static const char yaml[] = ASKER_PROFILE "headers: {Authorization: 'Bearer {token}'}\n";
    struct scripted_service *service = scripted_service_start();
    const char *base = scripted_service_url(service);
    char path[] = SECRET_PATH, source[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hush", 4), 4);
    snprintf(source, sizeof(source), "file:%s", path);
    struct asker asker = asker_start_profile(yaml, base, (struct service_config){.token = source},
                                             ASKER_LIMITS(LONG_MS));
    scripted_service_on(service, "GET /jobs/", SCRIPTED_HANG_UP, NULL, "");
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        asker_ask_anew(&asker, "1", false);
    }
    uint64_t opened_ms = clock_boot_ms();
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    assert_int_equal(ftruncate(fd, 0), 0);
    asker_wait_until(opened_ms + BREAKER_COOL_MS);
    struct service_report answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "no_token");
    assert_int_equal(pwrite(fd, "rotated", 7, 0), 7);
    answer = asker_ask_anew(&asker, "1", false);
    assert_answer(&answer, ANSWER_RUNNING, "");
    assert_true(scripted_service_heard(service, "Authorization: Bearer rotated\r\n"));
    expect_probed(&asker, base, (const char *[]){"open", "half_open", "closed", NULL});
    asker_stop(&asker);
    close(fd);
    unlink(path);
    scripted_service_stop(service);
}

static void test_engine__a_service_does_not_answer_for_another_on_its_host(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    const struct connectors_config limits = ASKER_LIMITS(LONG_MS);
    struct asker asker = asker_create(&limits);
    struct error error = {0};
    static const char *const names[] = {"comfyui", "other"};
    assert_true(
        connectors_add_profile(asker.connectors, "one.yaml", SPAN(ASKER_PROFILE), NULL, &error));
    for (size_t i = 0; i < 2; i++) {
        struct service_config config = {
            .name = names[i], .profile = "one", .base = scripted_service_url(service)};
        assert_true(connectors_add_service(asker.connectors, &config, &error));
    }
    asker_begin(&asker);
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    scripted_service_on(service, "GET /jobs/bad", SCRIPTED_HANG_UP, NULL, "");
    for (int i = 0; i <= BREAKER_FAILURES; i++) {
        struct service_report answer = asker_ask_anew(&asker, "bad", false);
        assert_answer(&answer, ANSWER_UNREACHABLE,
                      i < BREAKER_FAILURES ? "broken_off" : "breaker_open");
    }
    struct effect_request request = asker_request("q", "good");
    request.service = SPAN("other");
    connectors_ask(asker.connectors, &request);
    struct service_report answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_RUNNING, "");
    asker_stop(&asker);
    scripted_service_stop(service);
}

/* All who wait for a host that turns out dead are told at once. */
static void test_engine__who_waits_for_a_dead_host_is_told_when_the_breaker_opens(void **fixture)
{
    (void)fixture;
    struct hostile_service *service = hostile_service_start(HOSTILE_SILENT, NULL);
    struct connectors_config limits = ASKER_LIMITS(300);
    limits.per_host = BREAKER_FAILURES;
    struct asker asker = asker_start_profile(ASKER_PROFILE, hostile_service_url(service),
                                             (struct service_config){0}, limits);
    size_t timeouts = 0;
    uint64_t started_ms = clock_boot_ms();
    for (uint64_t i = 0; i < 100; i++) {
        struct number_text id = number_text(i);
        struct effect_request request = asker_request(id.text, id.text);
        connectors_ask(asker.connectors, &request);
    }
    for (uint64_t i = 0; i < 100; i++) {
        struct service_report answer = asker_next(&asker);
        assert_int_equal(answer.verdict, ANSWER_UNREACHABLE);
        timeouts += span_is(answer.word, "timeout");
        assert_true(span_is(answer.word, "timeout") || span_is(answer.word, "breaker_open"));
    }
    /* Those that were sent as the first ones were given up end so, too. */
    assert_true(timeouts >= BREAKER_FAILURES && timeouts <= 2 * BREAKER_FAILURES);
    assert_in_time("a hundred questions to a dead host", started_ms);
    asker_stop(&asker);
    hostile_service_stop(service);
}

static void test_engine__nothing_is_sent_before_the_time_that_the_service_named(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    struct asker asker = asker_start_profile(ASKER_PROFILE, scripted_service_url(service),
                                             (struct service_config){0}, ASKER_LIMITS(LONG_MS));
    scripted_service_on(service, "GET /jobs/", 429, "Retry-After: 1\r\n", "{}");
    struct service_report answer = asker_ask_anew(&asker, "1", false);
    uint64_t told_ms = clock_boot_ms();
    assert_answer(&answer, ANSWER_UNREACHABLE, "throttled");
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    struct effect_request patient = asker_request("patient", "1"),
                          hasty = asker_request("hasty", "2");
    hasty.wait_ms = 200;
    connectors_ask(asker.connectors, &patient);
    connectors_ask(asker.connectors, &hasty);
    answer = asker_next(&asker);
    assert_true(span_is(answer.effect, "hasty"));
    assert_answer(&answer, ANSWER_UNREACHABLE, "waited_too_long");
    assert_int_equal(scripted_service_count(service, "GET"), 1);
    answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_RUNNING, "");
    assert_true(clock_boot_ms() - told_ms >= 900); /* told after it was heard */
    assert_true(answer.latency_ms < 500);          /* waiting for leave is not the service's time */
    assert_string_equal(asker_probed(&asker), "");
    asker_stop(&asker);
    scripted_service_stop(service);
}

static void test_engine__a_service_gets_no_more_requests_a_second_than_it_may(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    struct service_config config = {.rate_per_s = 20};
    struct asker asker = asker_start_profile(ASKER_PROFILE, scripted_service_url(service), config,
                                             ASKER_LIMITS(LONG_MS));
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"run\"}");
    uint64_t started_ms = clock_boot_ms();
    for (uint64_t i = 0; i < 30; i++) {
        struct number_text id = number_text(i);
        struct effect_request request = asker_request(id.text, id.text);
        connectors_ask(asker.connectors, &request);
    }
    for (uint64_t i = 0; i < 30; i++) {
        struct service_report answer = asker_next(&asker);
        assert_answer(&answer, ANSWER_RUNNING, "");
    }
    /* A second's worth at once, ten more at fifty milliseconds each. */
    assert_true(clock_boot_ms() - started_ms >= 450);
    assert_int_equal(scripted_service_count(service, "GET"), 30);
    asker_stop(&asker);
    scripted_service_stop(service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine__two_thousand_questions_share_the_queue),
        cmocka_unit_test(test_engine__a_shared_reply_serves_no_later_question),
        cmocka_unit_test(test_engine__hundreds_of_dead_hosts_hold_nobody_up),
        cmocka_unit_test(test_engine__endpoints_without_end_are_forgotten),
        cmocka_unit_test(test_engine__the_breaker_opens_is_tried_and_closes),
        cmocka_unit_test(test_engine__a_trial_that_can_not_be_sent_is_none),
        cmocka_unit_test(test_engine__a_service_does_not_answer_for_another_on_its_host),
        cmocka_unit_test(test_engine__who_waits_for_a_dead_host_is_told_when_the_breaker_opens),
        cmocka_unit_test(test_engine__nothing_is_sent_before_the_time_that_the_service_named),
        cmocka_unit_test(test_engine__a_service_gets_no_more_requests_a_second_than_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
