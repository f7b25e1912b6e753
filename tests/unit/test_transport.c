/* SPDX-License-Identifier: MIT
 * What is sent, and what is told of the reply. What hostile services do to a whole question stands
 * in test_hostile.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "connectors/transport.h"
#include "tests/lib/hostile_service.h"
#include "tests/lib/scripted_service.h"
#include "tests/lib/tree.h"

#define BODY_MAX   4096
#define TIMEOUT_MS 2000
#define WAIT_MS    20000
#define PLAIN      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

/* The last reply, copied. */
struct heard {
    struct transport *transport;
    struct transport_reply reply;
    void *owner;
    unsigned count;
    char type[64], body[BODY_MAX + 1];
};

static struct span keep(struct span text, char *out, size_t size)
{
    assert_true(text.size < size);
    memcpy(out, text.size > 0 ? text.data : "", text.size);
    return (struct span){out, text.size};
}

static void on_reply(void *context, void *owner, const struct transport_reply *reply)
{
    struct heard *heard = context;
    heard->reply = *reply;
    heard->owner = owner;
    heard->count++;
    heard->reply.content_type = keep(reply->content_type, heard->type, sizeof(heard->type));
    heard->reply.body = keep(reply->body, heard->body, sizeof(heard->body));
    transport_release(heard->transport, reply);
}

struct client {
    struct transport *transport;
    struct allow allow;
    struct heard heard;
};

static struct client client_open(const char *url)
{
    struct client client = {.transport = transport_create(BODY_MAX)};
    struct error error = {0};
    client.heard.transport = client.transport;
    assert_true(transport_allow_url(&client.allow, url, &error));
    return client;
}

static void client_close(struct client *client)
{
    transport_destroy(client->transport);
    allow_fini(&client->allow);
}

/* Fills in what the request leaves open, sends it and waits for its end. */
static const struct transport_reply *exchange(struct client *client,
                                              struct transport_request request)
{
    const char *word = NULL;
    unsigned before = client->heard.count;
    uint64_t end_ms = clock_boot_ms() + WAIT_MS;
    request.method = request.method == HTTP_NONE ? HTTP_GET : request.method;
    request.allow = &client->allow;
    request.timeout_ms = request.timeout_ms > 0 ? request.timeout_ms : TIMEOUT_MS;
    request.owner = client;
    if (!transport_send(client->transport, &request, &word)) {
        fail_msg("not sent: %s", word);
    }
    while (client->heard.count == before) {
        assert_true(clock_boot_ms() < end_ms);
        transport_run(client->transport, 50, on_reply, &client->heard);
    }
    assert_int_equal(client->heard.count, before + 1);
    assert_ptr_equal(client->heard.owner, client);
    return &client->heard.reply;
}

static void test_transport__each_method_is_sent_as_it_is(void **fixture)
{
    static const struct {
        enum http_method method;
        const char *body, *line, *type;
    } rows[] = {
        {HTTP_GET, "", "GET /a/b?c=d HTTP/1.1\r\n", NULL},
        {HTTP_POST, "{\"a\":1}", "POST /a/b?c=d HTTP/1.1\r\n", "application/json"},
        {HTTP_POST, "", "POST /a/b?c=d HTTP/1.1\r\n", NULL},
        {HTTP_PUT, "{\"a\":1}", "PUT /a/b?c=d HTTP/1.1\r\n", "application/json"},
        {HTTP_PUT, "", "PUT /a/b?c=d HTTP/1.1\r\n", NULL},
        {HTTP_DELETE, "", "DELETE /a/b?c=d HTTP/1.1\r\n", NULL},
    };
    (void)fixture;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char url[128];
        struct hostile_service *service = hostile_service_start(HOSTILE_REPLY, PLAIN);
        struct client client = client_open(hostile_service_url(service));
        snprintf(url, sizeof(url), "%s/a/b?c=d", hostile_service_url(service));
        const struct transport_reply *reply =
            exchange(&client, (struct transport_request){.method = rows[i].method,
                                                         .url = span_of(url),
                                                         .body = span_of(rows[i].body)});
        assert_int_equal(reply->end, TRANSPORT_REPLIED);
        assert_int_equal(reply->http, 200);
        assert_true(span_is(reply->content_type, "application/json"));
        assert_true(span_is(reply->body, "{}"));
        assert_null(reply->word);
        client_close(&client);
        const char *said = hostile_service_last_request(service);
        assert_memory_equal(said, rows[i].line, strlen(rows[i].line));
        const char *type = strstr(said, "\r\nContent-Type: ");
        assert_int_equal(type != NULL, rows[i].type != NULL);
        assert_true(type == NULL || strncmp(type + 16, rows[i].type, 16) == 0);
        const char *body = strstr(said, "\r\n\r\n");
        assert_non_null(body);
        assert_string_equal(body + 4, rows[i].body);
        hostile_service_stop(service);
    }
}

/* The exchange of one GET with a service that replies so. */
static const struct transport_reply *get(struct client *client, const char *raw,
                                         struct transport_request request)
{
    struct hostile_service *service = hostile_service_start(HOSTILE_REPLY, raw);
    *client = client_open(hostile_service_url(service));
    request.url = span_of(hostile_service_url(service));
    const struct transport_reply *reply = exchange(client, request);
    client_close(client);
    hostile_service_stop(service);
    return reply;
}

static void test_transport__headers_are_the_requests_own_before_salvors(void **fixture)
{
    (void)fixture;
    const struct span headers[] = {SPAN("Authorization: Bearer a b"), SPAN("accept: text/plain"),
                                   SPAN("X-Empty-Not: 1")};
    struct hostile_service *service = hostile_service_start(HOSTILE_REPLY, PLAIN);
    struct client client = client_open(hostile_service_url(service));
    exchange(&client, (struct transport_request){.method = HTTP_POST,
                                                 .url = span_of(hostile_service_url(service)),
                                                 .body = SPAN("{}"),
                                                 .headers = headers,
                                                 .header_count = 3});
    client_close(&client);
    const char *said = hostile_service_last_request(service);
    assert_non_null(strstr(said, "\r\nAuthorization: Bearer a b\r\n"));
    assert_non_null(strstr(said, "\r\naccept: text/plain\r\n"));
    assert_null(strstr(said, "Accept: application/json"));
    static const char *const absent[] = {"Origin", "Cookie", "Expect", "Accept-Encoding",
                                         "x-www-form-urlencoded"};
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        assert_null(strstr(said, absent[i]));
    }
    hostile_service_stop(service);
}

static void test_transport__what_may_not_be_sent_is_refused_at_once(void **fixture)
{
    static const struct {
        const char *url, *word;
        struct span header;
    } rows[] = {
        {"http://127.0.0.1/", "bad_header", SPAN("X: a\r\nX-Evil: 1")},
        {"http://127.0.0.1/", "bad_header", SPAN("X: a\nb")},
        {"http://127.0.0.1/", "bad_header", SPAN("X: a\0b")},
        {"http://127.0.0.1/", "bad_header", SPAN("X: a\x7f")},
        {"http://127.0.0.1/", "bad_header", SPAN("no colon")},
        {"http://127.0.0.1/", "bad_header", SPAN("a name: x")},
        {"http://127.0.0.1/", "bad_header", SPAN(": x")},
        {"http://127.0.0.1/", "bad_header", SPAN("")},
        {"http://127.0.0.2/", "host_not_allowed", SPAN("X: a")},
        {"file:///etc/passwd", "bad_url", SPAN("X: a")},
        {"http://user@127.0.0.1/", "bad_url", SPAN("X: a")},
        {"", "bad_url", SPAN("X: a")},
    };
    (void)fixture;
    struct client client = client_open("http://127.0.0.1");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *word = NULL;
        struct transport_request request = {.method = HTTP_GET,
                                            .url = span_of(rows[i].url),
                                            .headers = &rows[i].header,
                                            .header_count = 1,
                                            .allow = &client.allow,
                                            .timeout_ms = TIMEOUT_MS};
        if (transport_send(client.transport, &request, &word) || strcmp(word, rows[i].word) != 0) {
            fail_msg("row %zu: %s", i, word == NULL ? "sent" : word);
        }
    }
    client_close(&client);
}

static void test_transport__a_reply_is_cut_off_at_the_requests_own_limit(void **fixture)
{
    (void)fixture;
    struct client client;
    static const char chunked[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123456789";
    const struct transport_reply *reply =
        get(&client, chunked, (struct transport_request){.body_max = 10});
    assert_int_equal(reply->end, TRANSPORT_REPLIED);
    assert_int_equal(reply->body.size, 10);
    reply = get(&client, chunked, (struct transport_request){.body_max = 9});
    assert_int_equal(reply->end, TRANSPORT_TOO_LARGE);
    assert_string_equal(reply->word, "too_large");
    reply = get(&client, PLAIN, (struct transport_request){.body_max = 1});
    assert_int_equal(reply->end, TRANSPORT_TOO_LARGE);
    reply = get(&client, chunked, (struct transport_request){0}); /* the transport's limit */
    assert_int_equal(reply->end, TRANSPORT_REPLIED);
}

/* A date `seconds` from here, as HTTP writes it. */
static const char *http_date(int seconds)
{
    static char text[64];
    time_t at = (time_t)(clock_wall_ms() / 1000) + seconds;
    struct tm parts;
    gmtime_r(&at, &parts);
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return text;
}

static uint64_t retry_after(const char *value)
{
    char raw[256];
    struct client client;
    snprintf(raw, sizeof(raw),
             "HTTP/1.1 429 Slow\r\n%s%s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
             value == NULL ? "X: y" : "Retry-After: ", value == NULL ? "" : value);
    const struct transport_reply *reply = get(&client, raw, (struct transport_request){0});
    assert_int_equal(reply->http, 429);
    return reply->retry_after_ms;
}

static void test_transport__retry_after_is_seconds_or_a_date_within_bounds(void **fixture)
{
    (void)fixture;
    assert_int_equal(retry_after(NULL), 0);
    assert_int_equal(retry_after("7"), 7000);
    assert_int_equal(retry_after("0"), 0);
    assert_int_equal(retry_after("-5"), 0);
    assert_int_equal(retry_after("soon"), 0);
    assert_int_equal(retry_after("30"), 30000);
    assert_int_equal(retry_after("86400"), 30000);
    assert_int_equal(retry_after("99999999999999999999999999"), 0); /* no number at all */
    uint64_t dated = retry_after(http_date(20));
    assert_in_range(dated, 10000, 20000);
    assert_int_equal(retry_after(http_date(100000)), 30000);
    assert_int_equal(retry_after(http_date(-100)), 0);
}

/* A connection that was kept may be dead: libcurl then sends the request again of itself, which a
 * cancel must not suffer. */
static void test_transport__a_fresh_request_is_never_sent_twice(void **fixture)
{
    (void)fixture;
    for (int is_fresh = 0; is_fresh <= 1; is_fresh++) {
        struct hostile_service *service = hostile_service_start(HOSTILE_ONCE, PLAIN);
        struct client client = client_open(hostile_service_url(service));
        struct transport_request request = {.url = span_of(hostile_service_url(service))};
        assert_int_equal(exchange(&client, request)->end, TRANSPORT_REPLIED);
        assert_int_equal(hostile_service_count(service), 1);
        request.method = HTTP_POST;
        request.is_fresh = is_fresh == 1;
        assert_int_equal(exchange(&client, request)->end, TRANSPORT_REPLIED);
        assert_int_equal(hostile_service_count(service), is_fresh == 1 ? 2 : 3);
        client_close(&client);
        hostile_service_stop(service);
    }
}

static void test_transport__a_fresh_request_that_gets_no_answer_is_told_so(void **fixture)
{
    (void)fixture;
    struct client client;
    const struct transport_reply *reply =
        get(&client, "", (struct transport_request){.method = HTTP_POST, .is_fresh = true});
    assert_int_equal(reply->end, TRANSPORT_NO_REPLY);
    assert_string_equal(reply->word, "broken_off");
}

static void test_transport__a_unix_socket_stands_for_the_host(void **fixture)
{
    (void)fixture;
    char folder[TREE_PATH_SIZE], path[TREE_PATH_SIZE + 8];
    tree_make(folder);
    snprintf(path, sizeof(path), "%s/socket", folder);
    struct hostile_service *service = hostile_service_start_at(path, HOSTILE_REPLY, PLAIN);
    struct client client = client_open("http://docker.test");
    struct transport_request request = {.url = SPAN("http://docker.test/info"),
                                        .unix_socket = path};
    const struct transport_reply *reply = exchange(&client, request);
    assert_int_equal(reply->end, TRANSPORT_REPLIED);
    assert_int_equal(reply->http, 200);
    assert_memory_equal(hostile_service_last_request(service),
                        "GET /info HTTP/1.1\r\nHost: docker.test\r\n", 39);
    const char *word;
    request.url = SPAN("http://other.test/info"); /* a socket opens no other host */
    request.method = HTTP_GET;
    request.allow = &client.allow;
    request.timeout_ms = TIMEOUT_MS;
    assert_false(transport_send(client.transport, &request, &word));
    assert_string_equal(word, "host_not_allowed");
    hostile_service_stop(service);
    request.url = SPAN("http://docker.test/info");
    reply = exchange(&client, request);
    assert_int_equal(reply->end, TRANSPORT_NO_REPLY);
    client_close(&client);
    tree_remove(folder);
}

/* TLS needs a trusted certificate: a service without one is no service. */
static void test_transport__certificates_that_can_not_be_read_end_the_request(void **fixture)
{
    (void)fixture;
    char url[64];
    struct hostile_service *service = hostile_service_start(HOSTILE_REPLY, PLAIN);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", hostile_service_port(service));
    struct client client = client_open(url);
    const struct transport_reply *reply = exchange(
        &client, (struct transport_request){.url = span_of(url), .ca_file = "/nowhere/ca.pem"});
    assert_int_equal(reply->end, TRANSPORT_NO_REPLY);
    assert_string_equal(reply->word, "tls");
    client_close(&client);
    hostile_service_stop(service);
}

/* The time of the whole request is the only limit. */
static void test_transport__a_slow_reply_is_waited_for(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    struct client client = client_open(scripted_service_url(service));
    scripted_service_on(service, "GET /", 200, NULL, "{}");
    scripted_service_delay(service, 4500);
    const struct transport_reply *reply =
        exchange(&client, (struct transport_request){.url = span_of(scripted_service_url(service)),
                                                     .timeout_ms = 8000});
    assert_int_equal(reply->end, TRANSPORT_REPLIED);
    client_close(&client);
    scripted_service_stop(service);
}

#define PART_SIZE (TRANSPORT_BODIES_MAX / 8) /* of one reply: four fill the half */

struct taken {
    const struct transport_reply *replies[8];
    size_t count;
};

static void take_reply(void *context, void *owner, const struct transport_reply *reply)
{
    struct taken *taken = context;
    (void)owner;
    taken->replies[taken->count++] = reply;
}

static void get_part(struct client *client, const char *url, uint64_t *bodies, struct taken *taken)
{
    const char *word = NULL;
    const struct transport_request request = {.method = HTTP_GET,
                                              .url = span_of(url),
                                              .allow = &client->allow,
                                              .body_max = PART_SIZE * 2,
                                              .bodies = bodies,
                                              .timeout_ms = WAIT_MS};
    size_t before = taken->count;
    assert_true(transport_send(client->transport, &request, &word));
    while (taken->count == before) {
        transport_run(client->transport, 50, take_reply, taken);
    }
}

static void test_transport__who_holds_half_of_the_room_gets_no_more(void **fixture)
{
    (void)fixture;
    struct scripted_service *service = scripted_service_start();
    const char *url = scripted_service_url(service);
    struct client client = client_open(url);
    struct taken taken = {0};
    uint64_t greedy = 0, modest = 0;
    char *part = mem_zero(PART_SIZE + 1);
    memset(part, 'x', PART_SIZE);
    scripted_service_on(service, "GET /", 200, NULL, part);
    mem_free(part);
    for (int i = 0; i < 5; i++) {
        get_part(&client, url, &greedy, &taken);
        assert_int_equal(taken.replies[i]->end, i < 4 ? TRANSPORT_REPLIED : TRANSPORT_TOO_LARGE);
    }
    transport_release(client.transport, taken.replies[4]); /* what came of it until then */
    assert_int_equal(greedy, TRANSPORT_BODIES_MAX / 2);
    get_part(&client, url, &modest, &taken);
    assert_int_equal(taken.replies[5]->end, TRANSPORT_REPLIED);
    transport_release(client.transport, taken.replies[5]);
    assert_int_equal(modest, 0);
    transport_release(client.transport, taken.replies[0]);
    get_part(&client, url, &greedy, &taken);
    assert_int_equal(taken.replies[6]->end, TRANSPORT_REPLIED);
    client_close(&client);
    scripted_service_stop(service);
}

static void test_transport__a_secret_goes_where_it_is_meant_to(void **fixture)
{
    static const char *const entries[] = {"gpu.test", "10.0.0.0/8", "meant.test:8188",
                                          "192.0.2.0/24:8188"};
    static const struct {
        const char *base, *url;
        bool is_sent;
    } rows[] = {
        {"http://gpu.test:8188/a", "http://GPU.test:8188/b", true},
        {"http://gpu.test", "http://gpu.test:80", true},
        {"https://gpu.test", "https://gpu.test:443", true},
        {"https://gpu.test", "http://gpu.test:443", false},
        {"https://gpu.test", "http://gpu.test", false},
        {"https://gpu.test", "https://gpu.test:8443", false},
        {"http://gpu.test", "https://gpu.test:80", false},
        {"https://gpu.test", "https://10.1.2.3", false},
        {"https://gpu.test", "http://meant.test:8188", true},
        {"https://gpu.test", "http://192.0.2.7:8188", true},
        {NULL, "https://gpu.test:1", true},
        {NULL, "http://gpu.test", false},
        {NULL, "http://meant.test:8188", true},
    };
    (void)fixture;
    struct client client = {.transport = transport_create(BODY_MAX)};
    struct error error = {0};
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        assert_true(allow_add(&client.allow, entries[i], &error));
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *word = NULL;
        struct transport_request request = {.method = HTTP_GET,
                                            .url = span_of(rows[i].url),
                                            .base = rows[i].base,
                                            .has_secret = true,
                                            .allow = &client.allow,
                                            .timeout_ms = TIMEOUT_MS};
        bool is_sent = transport_send(client.transport, &request, &word);
        if (is_sent != rows[i].is_sent || (!is_sent && strcmp(word, "token_not_allowed") != 0)) {
            fail_msg("row %zu: %s", i, is_sent ? "sent" : word);
        }
        request.has_secret = false;
        assert_true(transport_send(client.transport, &request, &word));
    }
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transport__each_method_is_sent_as_it_is),
        cmocka_unit_test(test_transport__headers_are_the_requests_own_before_salvors),
        cmocka_unit_test(test_transport__what_may_not_be_sent_is_refused_at_once),
        cmocka_unit_test(test_transport__a_reply_is_cut_off_at_the_requests_own_limit),
        cmocka_unit_test(test_transport__retry_after_is_seconds_or_a_date_within_bounds),
        cmocka_unit_test(test_transport__a_slow_reply_is_waited_for),
        cmocka_unit_test(test_transport__who_holds_half_of_the_room_gets_no_more),
        cmocka_unit_test(test_transport__a_secret_goes_where_it_is_meant_to),
        cmocka_unit_test(test_transport__a_fresh_request_is_never_sent_twice),
        cmocka_unit_test(test_transport__a_fresh_request_that_gets_no_answer_is_told_so),
        cmocka_unit_test(test_transport__a_unix_socket_stands_for_the_host),
        cmocka_unit_test(test_transport__certificates_that_can_not_be_read_end_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
