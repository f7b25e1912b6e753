/* SPDX-License-Identifier: MIT
 * What a service, a name or an address can do to a question: every hostile manner, through the
 * whole of the connectors. */
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "tests/lib/asker.h"
#include "tests/lib/hostile_service.h"
#include "tests/lib/http_service.h"

/* --- names that only these tests know --- */

static pthread_mutex_t resolver_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_released = PTHREAD_COND_INITIALIZER;
static bool resolver_is_released;
static unsigned resolver_stuck; /* threads of libcurl that wait in the resolver */

/* Stands before the C library's own, for libcurl too: "never.test" resolves only when the test lets
 * it, "loopback.test" is 127.0.0.1, "metadata.test" is a link-local address, "two.test"
 * has 10.9.9.9 and 127.0.0.1. */
int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
    typedef int resolver_fn(const char *, const char *, const struct addrinfo *,
                            struct addrinfo **);
    resolver_fn *real;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strcmp(name, "never.test") == 0) {
        pthread_mutex_lock(&resolver_mutex);
        resolver_stuck++;
        while (!resolver_is_released) {
            pthread_cond_wait(&resolver_released, &resolver_mutex);
        }
        resolver_stuck--;
        pthread_cond_broadcast(&resolver_released);
        pthread_mutex_unlock(&resolver_mutex);
        return EAI_AGAIN;
    }
    if (strcmp(name, "two.test") == 0) {
        int failed = real("10.9.9.9", service, hints, result);
        return failed != 0 ? failed : real("127.0.0.1", service, hints, &(*result)->ai_next);
    }
    if (strcmp(name, "loopback.test") == 0) {
        name = "127.0.0.1";
    } else if (strcmp(name, "metadata.test") == 0) {
        name = "169.254.169.254";
    }
    return real(name, service, hints, result);
}

static unsigned resolver_threads_stuck(void)
{
    pthread_mutex_lock(&resolver_mutex);
    unsigned count = resolver_stuck;
    pthread_mutex_unlock(&resolver_mutex);
    return count;
}

static void release_resolver(void)
{
    pthread_mutex_lock(&resolver_mutex);
    resolver_is_released = true;
    pthread_cond_broadcast(&resolver_released);
    while (resolver_stuck > 0) {
        pthread_cond_wait(&resolver_released, &resolver_mutex);
    }
    resolver_is_released = false;
    pthread_mutex_unlock(&resolver_mutex);
}

/* --- services that lie, hang or break --- */

/* ComfyUI's older form, whose two requests are the hardest to answer truly. */
static const char profile_text[] =
    "profile: two_steps\n"
    "volatile: true\n"
    "status:\n"
    "- request: GET /queue\n"
    "  rules:\n"
    "  - 200 & /queue_running/[1={id}] exists => running\n"
    "  - 200 & /queue_pending/[1={id}] exists => pending\n"
    "  - 200 & /queue_running exists & /queue_pending exists => not_found\n"
    "- request: GET /history/{id}\n"
    "  rules:\n"
    "  - 200 & /{id}/status/messages/[0=execution_error] exists => failed\n"
    "  - 200 & /{id}/status/completed = true & /{id}/status/messages/[0=execution_success] exists "
    "=> completed\n"
    "  - 200 & /{id} exists => inconclusive\n"
    "  - 200 & body empty => not_found\n"
    "result: /{id}/outputs\n"
    "word: /{id}/status/status_str\n";

static struct asker create_asker(uint64_t body_max)
{
    struct error error = {0};
    struct connectors_config config = {
        .question_ms = QUESTION_MS, .body_max = body_max, .per_host = 16};
    struct asker asker = asker_create(&config);
    assert_true(connectors_add_profile(asker.connectors, "two_steps.yaml", span_of(profile_text),
                                       NULL, &error));
    return asker;
}

static struct asker start_asker(const char *base)
{
    struct error error = {0};
    struct asker asker = create_asker(1 << 16);
    struct service_config service = {.name = "comfyui", .profile = "two_steps", .base = base};
    assert_true(connectors_add_service(asker.connectors, &service, &error));
    asker_begin(&asker);
    return asker;
}

#define REPLY(status, type, body) \
    "HTTP/1.1 " status "\r\nContent-Type: " type "\r\nConnection: close\r\n\r\n" body
#define JSON(body)  REPLY("200 OK", "application/json", body)
#define EMPTY_QUEUE "\"queue_running\":[],\"queue_pending\":[]"
#define SUCCESS                                                   \
    "{\"status\":{\"status_str\":\"success\",\"completed\":true," \
    "\"messages\":[[\"execution_success\",{}]]},\"outputs\":{}}"

struct hostile_row {
    const char *name;
    enum hostile_manner manner;
    const char *reply;
    enum answer_verdict verdict;
    const char *word;
};

static const struct hostile_row hostile_rows[] = {
    {"never answers", HOSTILE_SILENT, NULL, ANSWER_UNREACHABLE, "timeout"},
    {"hangs after the headers", HOSTILE_HEADERS_ONLY, NULL, ANSWER_UNREACHABLE, "timeout"},
    {"one byte a second", HOSTILE_DRIP, NULL, ANSWER_UNREACHABLE, "timeout"},
    {"endless chunks", HOSTILE_ENDLESS, NULL, ANSWER_INCONCLUSIVE, "too_large"},
    {"promises too much", HOSTILE_REPLY,
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999999999\r\n\r\n{}",
     ANSWER_INCONCLUSIVE, "too_large"},
    {"closes too early", HOSTILE_REPLY,
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{}",
     ANSWER_UNREACHABLE, "broken_off"},
    {"closes without a word", HOSTILE_REPLY, "", ANSWER_UNREACHABLE, "broken_off"},
    {"speaks no HTTP", HOSTILE_REPLY, "SSH-2.0-hello\r\n", ANSWER_UNREACHABLE, "broken_off"},
    {"HTML with 200", HOSTILE_REPLY, REPLY("200 OK", "text/html", "<html>completed</html>"),
     ANSWER_INCONCLUSIVE, "html"},
    {"500", HOSTILE_REPLY,
     REPLY("500 Oops", "application/json", "{\"" SERVICE_JOB "\":" SUCCESS "}"),
     ANSWER_INCONCLUSIVE, "server_error"},
    {"503", HOSTILE_REPLY, REPLY("503 Busy", "text/html", "<html>"), ANSWER_UNREACHABLE,
     "unavailable"},
    {"401", HOSTILE_REPLY, REPLY("401 No", "application/json", "{}"), ANSWER_INCONCLUSIVE, "auth"},
    {"bare 404", HOSTILE_REPLY, REPLY("404 Where", "application/json", "{}"), ANSWER_INCONCLUSIVE,
     "bare_404"},
    {"an empty object", HOSTILE_REPLY, JSON("{}"), ANSWER_INCONCLUSIVE, "unmapped"},
    {"an empty body", HOSTILE_REPLY, JSON(""), ANSWER_INCONCLUSIVE, "unmapped"},
    {"JSON cut in half", HOSTILE_REPLY, JSON("{\"" SERVICE_JOB "\":{\"status\":{\"comple"),
     ANSWER_INCONCLUSIVE, "bad_json"},
    {"duplicate keys", HOSTILE_REPLY,
     JSON("{" EMPTY_QUEUE ",\"" SERVICE_JOB "\":{},\"" SERVICE_JOB "\":" SUCCESS "}"),
     ANSWER_INCONCLUSIVE, "bad_json"},
    {"not a number", HOSTILE_REPLY, JSON("{\"" SERVICE_JOB "\":" SUCCESS ",\"x\":NaN}"),
     ANSWER_INCONCLUSIVE, "bad_json"},
    {"a gzip that nobody asked for", HOSTILE_REPLY,
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
     "Connection: close\r\n\r\n\x1f\x8b\x08\x01",
     ANSWER_INCONCLUSIVE, "bad_json"},
    {"another job's id", HOSTILE_REPLY, JSON("{" EMPTY_QUEUE ",\"another-id\":" SUCCESS "}"),
     ANSWER_INCONCLUSIVE, "unmapped"},
    {"a longer id", HOSTILE_REPLY, JSON("{" EMPTY_QUEUE ",\"" SERVICE_JOB "x\":" SUCCESS "}"),
     ANSWER_INCONCLUSIVE, "unmapped"},
    {"success without its message", HOSTILE_REPLY,
     JSON("{" EMPTY_QUEUE ",\"" SERVICE_JOB
          "\":{\"status\":{\"status_str\":\"success\",\"completed\":true,"
          "\"messages\":[]}}}"),
     ANSWER_INCONCLUSIVE, "inconclusive"},
    {"success beside an error", HOSTILE_REPLY,
     JSON("{" EMPTY_QUEUE ",\"" SERVICE_JOB
          "\":{\"status\":{\"status_str\":\"success\",\"completed\":true,"
          "\"messages\":[[\"execution_error\",{}]]}}}"),
     ANSWER_FAILED, "success"},
};

static void test_hostile__no_hostile_service_is_believed(void **fixture)
{
    (void)fixture;
    for (size_t i = 0; i < sizeof(hostile_rows) / sizeof(hostile_rows[0]); i++) {
        const struct hostile_row *row = &hostile_rows[i];
        struct hostile_service *service = hostile_service_start(row->manner, row->reply);
        struct asker asker = start_asker(hostile_service_url(service));
        uint64_t started_ms = clock_boot_ms();
        struct service_report answer = asker_ask(&asker, SERVICE_JOB);
        assert_in_time(row->name, started_ms);
        if (answer.verdict != row->verdict || !span_is(answer.word, row->word)) {
            fail_msg("%s: verdict %d \"%.*s\"", row->name, (int)answer.verdict,
                     SPAN_FORMAT(answer.word));
        }
        assert_int_equal(answer.result.size, 0);
        asker_stop(&asker);
        hostile_service_stop(service);
    }
}

static void test_hostile__a_thousand_levels_are_not_descended(void **fixture)
{
    (void)fixture;
    struct buffer reply = {0};
    buffer_put_text(&reply, JSON("{\"" SERVICE_JOB "\":"));
    for (int i = 0; i < 1000; i++) {
        buffer_put_byte(&reply, '[');
    }
    for (int i = 0; i < 1000; i++) {
        buffer_put_byte(&reply, ']');
    }
    buffer_put(&reply, "}", 2);
    struct hostile_service *service = hostile_service_start(HOSTILE_REPLY, reply.data);
    struct asker asker = start_asker(hostile_service_url(service));
    struct service_report answer = asker_ask(&asker, SERVICE_JOB);
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "bad_json");
    asker_stop(&asker);
    hostile_service_stop(service);
    buffer_fini(&reply);
}

static void test_hostile__a_redirect_is_not_followed(void **fixture)
{
    (void)fixture;
    struct hostile_service *target = hostile_service_start(HOSTILE_REPLY, JSON("{}"));
    const char *const places[] = {hostile_service_url(target), "file:///etc/passwd",
                                  "http://169.254.169.254"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char reply[256];
        snprintf(reply, sizeof(reply),
                 "HTTP/1.1 302 Found\r\nLocation: %s/\r\nConnection: close\r\n\r\n", places[i]);
        struct hostile_service *service = hostile_service_start(HOSTILE_REPLY, reply);
        struct asker asker = start_asker(hostile_service_url(service));
        struct service_report answer = asker_ask(&asker, SERVICE_JOB);
        assert_answer(&answer, ANSWER_INCONCLUSIVE, "redirect");
        assert_int_equal(answer.http, 302);
        asker_stop(&asker);
        hostile_service_stop(service);
    }
    assert_int_equal(hostile_service_count(target), 0);
    hostile_service_stop(target);
}

static void test_hostile__nobody_listens(void **fixture)
{
    (void)fixture;
    struct hostile_service *service = hostile_service_start(HOSTILE_SILENT, NULL);
    struct asker asker = start_asker(hostile_service_url(service));
    hostile_service_stop(service);
    struct service_report answer = asker_ask(&asker, SERVICE_JOB);
    assert_answer(&answer, ANSWER_UNREACHABLE, "not_connected");
    assert_int_equal(answer.http, 0);
    asker_stop(&asker);
}

/* --- names and addresses --- */

static void test_hostile__a_name_that_never_resolves_costs_no_more_than_the_limit(void **fixture)
{
    (void)fixture;
    struct asker asker = start_asker("http://never.test:8188");
    uint64_t started_ms = clock_boot_ms();
    struct service_report answer = asker_ask(&asker, SERVICE_JOB);
    assert_in_time("a name that never resolves", started_ms);
    assert_answer(&answer, ANSWER_UNREACHABLE, "timeout");
    /* Neither does the end wait for the resolver, whose threads are all still stuck. */
    struct effect_request request = asker_request("another", SERVICE_JOB);
    connectors_ask(asker.connectors, &request);
    started_ms = clock_boot_ms();
    asker_stop(&asker);
    assert_in_time("stopping", started_ms);
    assert_true(resolver_threads_stuck() > 0);
    release_resolver();
}

static struct service_report ask_at(const char *base, const char *const *allow, size_t allow_count,
                                    const char *worker_base)
{
    static char word[256];
    struct error error = {0};
    struct service_config service = {.name = "comfyui",
                                     .profile = "two_steps",
                                     .base = base,
                                     .allow = allow,
                                     .allow_count = allow_count};
    struct asker asker = create_asker(1 << 20);
    assert_true(connectors_add_service(asker.connectors, &service, &error));
    asker_begin(&asker);
    struct effect_request request = asker_request("q", SERVICE_JOB);
    request.base = span_of(worker_base);
    connectors_ask(asker.connectors, &request);
    struct service_report answer = asker_next(&asker);
    CHECK(answer.word.size < sizeof(word));
    memcpy(word, answer.word.data, answer.word.size);
    answer.word.data = word;
    asker_stop(&asker);
    return answer;
}

static void test_hostile__only_allowed_hosts_are_asked(void **fixture)
{
    (void)fixture;
    struct hostile_service *service = hostile_service_start(HOSTILE_REPLY, JSON("{}"));
    const char *own = hostile_service_url(service);
    char named[64], metadata[64];
    snprintf(named, sizeof(named), "http://loopback.test:%u", hostile_service_port(service));
    snprintf(metadata, sizeof(metadata), "http://metadata.test:%u", hostile_service_port(service));
    const struct {
        const char *base, *allow, *worker_base, *word;
    } refused[] = {
        {"http://192.0.2.1", NULL, own, "host_not_allowed"},
        {"http://192.0.2.1", "other.test", named, "host_not_allowed"},
        {"http://192.0.2.1", "10.0.0.0/8", named, "host_not_allowed"},
        {metadata, NULL, NULL, "host_not_allowed"},
        {own, NULL, "file:///etc/passwd", "bad_url"},
        {own, NULL, "ftp://127.0.0.1", "bad_url"},
        {own, NULL, "http://user:secret@127.0.0.1", "bad_url"},
        {own, NULL, "http://127.0.0.1 evil", "bad_url"},
        {own, NULL, "127.0.0.1", "bad_url"},
        {NULL, NULL, NULL, "no_base"},
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct service_report answer = ask_at(refused[i].base, &refused[i].allow,
                                              refused[i].allow != NULL, refused[i].worker_base);
        if (answer.verdict != ANSWER_INCONCLUSIVE || !span_is(answer.word, refused[i].word)) {
            fail_msg("row %zu: %d \"%.*s\"", i, (int)answer.verdict, SPAN_FORMAT(answer.word));
        }
    }
    assert_int_equal(hostile_service_count(service), 0);

    const char *block = "127.0.0.0/8";
    struct service_report answer = ask_at("http://192.0.2.1", &block, 1, own);
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "unmapped");
    answer = ask_at("http://192.0.2.1", &block, 1, named);
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "unmapped");
    answer = ask_at(named, NULL, 0, NULL);
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "unmapped");
    assert_int_equal(hostile_service_count(service), 6);
    hostile_service_stop(service);
}

/* A name with two addresses, of which one is not allowed: the other one heard the request. */
static void test_hostile__what_went_to_an_allowed_address_was_sent(void **fixture)
{
    static const struct {
        const char *reply;
        enum answer_verdict verdict;
        enum effect_outcome outcome;
    } rows[] = {{JSON("{\"state\":\"run\"}"), ANSWER_RUNNING, OUTCOME_ACCEPTED},
                {"", ANSWER_UNREACHABLE, OUTCOME_UNKNOWN}};
    const char *block = "127.0.0.0/8";
    const struct service_config config = {.allow = &block, .allow_count = 1};
    (void)fixture;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char named[64];
        struct hostile_service *service = hostile_service_start(HOSTILE_REPLY, rows[i].reply);
        struct asker asker = asker_start_profile(ASKER_PROFILE_WITH_CANCEL, "http://192.0.2.1",
                                                 config, ASKER_LIMITS(QUESTION_MS));
        snprintf(named, sizeof(named), "http://two.test:%u", hostile_service_port(service));
        struct effect_request request = asker_request("q", "1");
        request.base = span_of(named);
        connectors_ask(asker.connectors, &request);
        struct service_report report = asker_next(&asker);
        assert_int_equal(report.verdict, rows[i].verdict);
        request.id = SPAN("c");
        request.kind = EFFECT_CANCEL;
        connectors_ask(asker.connectors, &request);
        report = asker_next(&asker);
        assert_int_equal(report.outcome, rows[i].outcome);
        assert_int_equal(hostile_service_count(service), 2);
        asker_stop(&asker);
        hostile_service_stop(service);
    }
}

static void test_hostile__a_pooled_connection_is_checked_again(void **fixture)
{
    (void)fixture;
    struct http_service *http = http_service_start(0);
    struct error error = {0};
    char named[64];
    const char *port = strrchr(http_service_url(http), ':');
    const char *block = "10.0.0.0/8";
    snprintf(named, sizeof(named), "http://loopback.test%s", port);
    struct service_config trusted = {.name = "trusted", .profile = "two_steps", .base = named};
    struct service_config strict = {
        .name = "strict", .profile = "two_steps", .allow = &block, .allow_count = 1};
    struct asker asker = create_asker(1 << 20);
    assert_true(connectors_add_service(asker.connectors, &trusted, &error));
    assert_true(connectors_add_service(asker.connectors, &strict, &error));
    asker_begin(&asker);
    struct effect_request request = asker_request("q", SERVICE_JOB);
    request.service = SPAN("trusted");
    connectors_ask(asker.connectors, &request);
    struct service_report answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_NOT_FOUND, "");
    request.service = SPAN("strict");
    request.base = span_of(named);
    connectors_ask(asker.connectors, &request);
    answer = asker_next(&asker);
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "host_not_allowed");
    assert_int_equal(http_service_count(http, "GET", "/queue"), 1);
    asker_stop(&asker);
    http_service_stop(http);
}

static void test_hostile__a_request_says_no_more_than_it_must(void **fixture)
{
    (void)fixture;
    struct hostile_service *service =
        hostile_service_start(HOSTILE_REPLY, JSON("{" EMPTY_QUEUE "}"));
    setenv("http_proxy", "http://192.0.2.1:1", 1);
    setenv("all_proxy", "http://192.0.2.1:1", 1);
    struct asker asker = start_asker(hostile_service_url(service));
    struct service_report answer = asker_ask(&asker, "a/b\r\nX-Evil: 1");
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "unmapped");
    asker_stop(&asker);
    const char *head = hostile_service_last_request(service);
    static const char line[] = "GET /history/a%2Fb%0D%0AX-Evil%3A%201 HTTP/1.1\r\n";
    assert_memory_equal(head, line, sizeof(line) - 1);
    assert_non_null(strstr(head, "\r\nAccept: application/json\r\n"));
    assert_null(strstr(head, "\r\nOrigin"));
    assert_null(strstr(head, "\r\nExpect"));
    assert_null(strstr(head, "\r\nX-Evil"));
    assert_null(strstr(head, "\r\nAccept-Encoding"));
    hostile_service_stop(service);
}

static void test_hostile__an_id_that_would_climb_out_is_not_sent(void **fixture)
{
    (void)fixture;
    struct hostile_service *service =
        hostile_service_start(HOSTILE_REPLY, JSON("{" EMPTY_QUEUE "}"));
    struct asker asker = start_asker(hostile_service_url(service));
    struct service_report answer = asker_ask(&asker, "x/../../system_stats");
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "bad_id");
    answer = asker_ask(&asker, "");
    assert_answer(&answer, ANSWER_INCONCLUSIVE, "no_id");
    asker_stop(&asker);
    hostile_service_stop(service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile__no_hostile_service_is_believed),
        cmocka_unit_test(test_hostile__a_thousand_levels_are_not_descended),
        cmocka_unit_test(test_hostile__a_redirect_is_not_followed),
        cmocka_unit_test(test_hostile__nobody_listens),
        cmocka_unit_test(test_hostile__a_name_that_never_resolves_costs_no_more_than_the_limit),
        cmocka_unit_test(test_hostile__only_allowed_hosts_are_asked),
        cmocka_unit_test(test_hostile__what_went_to_an_allowed_address_was_sent),
        cmocka_unit_test(test_hostile__a_pooled_connection_is_checked_again),
        cmocka_unit_test(test_hostile__a_request_says_no_more_than_it_must),
        cmocka_unit_test(test_hostile__an_id_that_would_climb_out_is_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
