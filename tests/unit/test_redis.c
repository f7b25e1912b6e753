/* SPDX-License-Identifier: MIT */
#include "stream/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "stream/redis_url.h"
#include "tests/lib/redis_server.h"
#include "tests/lib/reply.h"

#define TIMEOUT_MS 2000

static struct redis *connect_to(const struct redis_server *server)
{
    struct error error = {0};
    struct redis *redis = redis_open(redis_server_url(server), TIMEOUT_MS, &error);
    assert_non_null(redis);
    return redis;
}

static int start_server(void **fixture)
{
    *fixture = redis_server_start(NULL);
    return 0;
}

static int remove_server(void **fixture)
{
    redis_server_remove(*fixture);
    return 0;
}

static void test_redis_url__parts_are_found(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *text, *host, *path, *user, *password, *database;
        int port;
    } rows[] = {
        {"redis://localhost", "localhost", "", "", "", "0", 6379},
        {"redis://10.0.0.1:7000/3", "10.0.0.1", "", "", "", "3", 7000},
        {"redis://[::1]:7000", "::1", "", "", "", "0", 7000},
        {"redis://:p@ss@host/", "host", "", "", "p@ss", "0", 6379},
        {"redis://me:a%3Ab%25@host:1/0", "host", "", "me", "a:b%", "0", 1},
        {"unix:///run/redis.sock", "", "/run/redis.sock", "", "", "0", 6379},
        {"unix:///run/redis.sock?db=5", "", "/run/redis.sock", "", "", "5", 6379},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct redis_url url;
        struct error error = {0};
        assert_true(redis_url_parse(rows[i].text, &url, &error));
        assert_string_equal(url.host, rows[i].host);
        assert_string_equal(url.path, rows[i].path);
        assert_string_equal(url.user, rows[i].user);
        assert_string_equal(url.password, rows[i].password);
        assert_string_equal(url.database, rows[i].database);
        assert_int_equal(url.port, rows[i].port);
    }
}

static void test_redis_url__what_is_no_url_is_refused(void **fixture)
{
    (void)fixture;
    static const char *const rows[] = {"",
                                       "redis:/host",
                                       "http://host",
                                       "redis://",
                                       "redis://host:0",
                                       "redis://host:65536",
                                       "redis://host:1x",
                                       "redis://host/zero",
                                       "redis://[::1",
                                       "redis://[::1]7",
                                       "redis://user@host",
                                       "redis://u:%4@host",
                                       "redis://u:%00@host",
                                       "redis://u:%zz@host",
                                       "unix://run/redis.sock",
                                       "unix:///",
                                       "unix:///a?database=1",
                                       "unix:///a?db=x"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct redis_url url;
        struct error error = {0};
        assert_false(redis_url_parse(rows[i], &url, &error));
        assert_int_equal(error.code, ERROR_USAGE);
    }
    char text[600] = "unix:///";
    memset(text + 8, 'a', 200);
    struct redis_url url;
    struct error error = {0};
    assert_false(redis_url_parse(text, &url, &error));
    memcpy(text, "redis://:", 9);
    memset(text + 9, 'a', 500);
    memcpy(text + 509, "@h", 3);
    assert_false(redis_url_parse(text, &url, &error));
}

static void test_redis__arguments_may_hold_any_bytes(void **fixture)
{
    struct redis *redis = connect_to(*fixture);
    struct error error = {0};
    struct span value = SPAN("a\0b \r\n%s");
    struct span set[] = {SPAN("SET"), SPAN("key"), value};
    assert_non_null(redis_call(redis, set, 3, &error));
    const struct redis_reply *reply = redis_ask(redis, &error, "GET", "key", NULL);
    assert_true(span_equal(redis_reply_text(reply), value));
    assert_true(reply_is_nil(redis_ask(redis, &error, "GET", "other", NULL)));
    assert_int_equal(reply_number(redis_ask(redis, &error, "DEL", "key", NULL)), 1);
    reply = redis_ask(redis, &error, "ECHO", "x", NULL);
    assert_int_equal(redis_reply_count(reply), 0);
    assert_null(redis_reply_at(reply, 0));
    redis_close(redis);
}

static void test_redis__the_database_and_the_password_are_used(void **fixture)
{
    struct redis *admin = connect_to(*fixture);
    struct error error = {0};
    assert_non_null(redis_ask(admin, &error, "SELECT", "4", NULL));
    assert_non_null(redis_ask(admin, &error, "SET", "place", "four", NULL));
    assert_non_null(
        redis_ask(admin, &error, "CONFIG", "SET", "port", "0", "requirepass", "p@ss", NULL));
    char url[200];
    snprintf(url, sizeof(url), "%s?db=4", redis_server_url(*fixture));
    struct redis *redis = redis_open(url, TIMEOUT_MS, &error);
    assert_null(redis);
    assert_int_equal(error.code, ERROR_DENIED);
    assert_non_null(redis_ask(admin, &error, "CONFIG", "SET", "requirepass", "", NULL));
    redis = redis_open(url, TIMEOUT_MS, &error);
    assert_non_null(redis);
    assert_true(span_is(redis_reply_text(redis_ask(redis, &error, "GET", "place", NULL)), "four"));
    redis_close(redis);
    redis_close(admin);
}

static void test_redis__error_replies_fall_into_classes(void **fixture)
{
    static const struct {
        const char *text;
        enum error_code code;
        bool is_broken;
    } rows[] = {
        {"LOADING Redis is loading", ERROR_BUSY, false},
        {"OOM command not allowed", ERROR_BUSY, false},
        {"BUSY Redis is busy", ERROR_BUSY, false},
        {"MISCONF Errors writing", ERROR_BUSY, false},
        {"NOREPLICAS Not enough", ERROR_BUSY, false},
        {"LEASED by w", ERROR_BUSY, false},
        {"READONLY You can't", ERROR_UNREACHABLE, true},
        {"UNBLOCKED the stream key", ERROR_UNREACHABLE, true},
        {"NOGROUP No such", ERROR_FENCED, false},
        {"FENCED by x", ERROR_FENCED, false},
        {"HISTORY gone", ERROR_HISTORY, false},
        {"WRONGTYPE Operation", ERROR_REFUSED, false},
        {"NOPERM this user", ERROR_DENIED, false},
        {"ERR The user executing the script can't run", ERROR_DENIED, false},
        {"NOAUTH Authentication required.", ERROR_DENIED, true},
        {"WRONGPASS invalid", ERROR_DENIED, true},
        {"ERR max number of clients reached", ERROR_UNREACHABLE, true},
        {"ERR max number of clientsX", ERROR_REFUSED, false},
        {"BUSYKEY Target", ERROR_REFUSED, false},
        {"ERR unknown", ERROR_REFUSED, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct redis *redis = connect_to(*fixture);
        struct error error = {0};
        assert_null(redis_ask(redis, &error, "EVAL", "return redis.error_reply(ARGV[1])", "0",
                              rows[i].text, NULL));
        assert_int_equal(error.code, rows[i].code);
        assert_string_equal(error.message, rows[i].text);
        assert_int_equal(redis_is_broken(redis), rows[i].is_broken);
        redis_close(redis);
    }
}

static void test_redis__a_script_survives_a_flushed_cache(void **fixture)
{
    static const char text[] = "return {KEYS[1], ARGV[1]}";
    static const struct redis_script script = {text, sizeof(text) - 1};
    struct redis *redis = connect_to(*fixture);
    struct error error = {0};
    const struct span arguments[] = {SPAN("k"), SPAN("v")};
    for (int i = 0; i < 3; i++) {
        const struct redis_reply *reply = redis_run(redis, &script, 1, arguments, 2, &error);
        assert_int_equal(redis_reply_count(reply), 2);
        assert_true(span_is(redis_reply_text(redis_reply_at(reply, 1)), "v"));
        assert_non_null(redis_ask(redis, &error, "SCRIPT", "FLUSH", NULL));
    }
    redis_close(redis);
}

static void test_redis__silence_breaks_the_connection_in_time(void **fixture)
{
    struct error error = {0};
    struct redis *redis = redis_open(redis_server_url(*fixture), 100, &error);
    assert_non_null(redis);
    kill(redis_server_pid(*fixture), SIGSTOP);
    uint64_t begin_ms = clock_boot_ms();
    assert_null(redis_ask(redis, &error, "PING", NULL));
    assert_in_range(clock_boot_ms() - begin_ms, 50, 5000);
    kill(redis_server_pid(*fixture), SIGCONT);
    assert_int_equal(error.code, ERROR_UNREACHABLE);
    assert_true(redis_is_broken(redis));
    /* The late reply must not be taken for that of another command. */
    assert_null(redis_ask(redis, &error, "PING", NULL));
    assert_int_equal(error.code, ERROR_UNREACHABLE);
    redis_close(redis);
}

static void test_redis__an_absent_server_is_unreachable(void **fixture)
{
    (void)fixture;
    struct error error = {0};
    assert_null(redis_open("unix:///nowhere/redis.sock", TIMEOUT_MS, &error));
    assert_int_equal(error.code, ERROR_UNREACHABLE);
    assert_null(redis_open("nothing", TIMEOUT_MS, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    redis_close(NULL);
}

/* Redis says so itself, and closes: to try again later is all that is left. */
static void test_redis__a_server_with_too_many_clients_is_unreachable(void **fixture)
{
    struct redis *admin = connect_to(*fixture);
    struct error error = {0};
    assert_non_null(redis_ask(admin, &error, "CONFIG", "SET", "maxclients", "1", NULL));
    struct redis *redis = redis_open(redis_server_url(*fixture), TIMEOUT_MS, &error);
    if (redis != NULL) {
        assert_null(redis_ask(redis, &error, "PING", NULL));
        assert_true(redis_is_broken(redis));
    }
    assert_int_equal(error.code, ERROR_UNREACHABLE);
    assert_true(redis_is_for_now(&error));
    redis_close(redis);
    redis_close(admin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redis_url__parts_are_found),
        cmocka_unit_test(test_redis_url__what_is_no_url_is_refused),
        cmocka_unit_test_setup_teardown(test_redis__arguments_may_hold_any_bytes, start_server,
                                        remove_server),
        cmocka_unit_test_setup_teardown(test_redis__the_database_and_the_password_are_used,
                                        start_server, remove_server),
        cmocka_unit_test_setup_teardown(test_redis__error_replies_fall_into_classes, start_server,
                                        remove_server),
        cmocka_unit_test_setup_teardown(test_redis__a_script_survives_a_flushed_cache, start_server,
                                        remove_server),
        cmocka_unit_test_setup_teardown(test_redis__silence_breaks_the_connection_in_time,
                                        start_server, remove_server),
        cmocka_unit_test(test_redis__an_absent_server_is_unreachable),
        cmocka_unit_test_setup_teardown(test_redis__a_server_with_too_many_clients_is_unreachable,
                                        start_server, remove_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
