/* SPDX-License-Identifier: MIT
 * What is found out about a Redis before anything is done there. */
#include "stream/survey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "stream/redis.h"
#include "tests/lib/redis_server.h"
#include "tests/lib/reply.h"

#define TIMEOUT_MS 5000

struct scene {
    struct redis_server *server;
    struct redis *admin;
    struct survey survey;
    struct buffer found; /* a line a finding: "level subject: what; means" */
    struct error error;
};

static void take_finding(void *self, const struct finding *finding)
{
    static const char levels[] = "?.wp";
    struct scene *scene = self;
    char line[2048];
    assert_string_equal(finding->area, "redis");
    snprintf(line, sizeof(line), "%c %s: %s; %s\n", levels[finding->level], finding->subject,
             finding->what, finding->means);
    buffer_put_text(&scene->found, line);
}

static struct redis *connect_to(const struct scene *scene)
{
    struct error error;
    struct redis *redis = redis_open(redis_server_url(scene->server), TIMEOUT_MS, &error);
    assert_non_null(redis);
    return redis;
}

static int set_up(void **fixture)
{
    struct scene *scene = mem_zero(sizeof(*scene));
    scene->server = redis_server_start(NULL);
    scene->admin = connect_to(scene);
    scene->survey = (struct survey){.prefix = "salvor",
                                    .queue_prefix = "q:",
                                    .partitions = 1,
                                    .applies = true,
                                    .sink = {.self = scene, .take = take_finding}};
    *fixture = scene;
    return 0;
}

static int tear_down(void **fixture)
{
    struct scene *scene = *fixture;
    redis_close(scene->admin);
    redis_server_remove(scene->server);
    buffer_fini(&scene->found);
    mem_free(scene);
    return 0;
}

static void command(struct scene *scene, const char *line)
{
    struct span arguments[16];
    uint32_t count = 0;
    for (struct span rest = span_of(line); rest.data != NULL;) {
        arguments[count++] = span_cut(&rest, ' ');
    }
    if (redis_call(scene->admin, arguments, count, &scene->error) == NULL) {
        fail_msg("%s: %s", line, scene->error.message);
    }
}

static bool look_as(struct scene *scene, struct redis *redis)
{
    buffer_reset(&scene->found);
    bool is_fit = survey_redis(redis, &scene->survey, &scene->error);
    buffer_put_byte(&scene->found, '\0');
    return is_fit;
}

static bool look(struct scene *scene)
{
    return look_as(scene, scene->admin);
}

static void assert_found(const struct scene *scene, const char *text)
{
    if (strstr(scene->found.data, text) == NULL) {
        fail_msg("\"%s\" is not in\n%s", text, scene->found.data);
    }
}

static void assert_not_found(const struct scene *scene, const char *text)
{
    if (strstr(scene->found.data, text) != NULL) {
        fail_msg("\"%s\" is in\n%s", text, scene->found.data);
    }
}

static void assert_refused(struct scene *scene, const char *because)
{
    assert_false(look(scene));
    assert_int_equal(scene->error.code, ERROR_REFUSED);
    if (strstr(scene->error.message, because) == NULL) {
        fail_msg("%s", scene->error.message);
    }
    assert_found(scene, because);
}

static void test_survey__a_plain_server_is_fit_and_left_alone(void **fixture)
{
    struct scene *scene = *fixture;
    assert_true(look(scene));
    assert_found(scene, ". version: Redis ");
    assert_found(scene, ". cluster_enabled: 0");
    assert_found(scene, ". role: master");
    assert_found(scene, ". rights: default may send all");
    assert_found(scene, ". key: salvor:{0}:events is not there yet");
    assert_int_equal(reply_number(redis_ask(scene->admin, &scene->error, "DBSIZE", NULL)), 0);
    command(scene, "HSET salvor:meta partitions 1");
    assert_true(look(scene));
    assert_found(scene, ". partitions: 1, as salvor:meta says");
    scene->survey.partitions = 2;
    assert_refused(scene, "partitions=1");
}

static void test_survey__each_setting_has_its_level(void **fixture)
{
    static const struct {
        const char *name, *value, *found;
    } cases[] = {
        {"save", "900 1", ". save: \"900 1\""},
        {"appendonly", "no", "w appendonly: no"},
        {"appendonly", "yes", ". appendonly: yes"},
        {"appendfsync", "everysec", "w appendfsync: \"everysec\""},
        {"appendfsync", "no", "w appendfsync: \"no\""},
        {"appendfsync", "always", ". appendfsync: \"always\""},
        {"maxmemory-policy", "allkeys-lru", "w maxmemory-policy: allkeys-lru (maxmemory 0"},
        {"maxmemory", "1gb", "p maxmemory-policy: allkeys-lru;"},
        {"maxmemory-policy", "volatile-ttl", "w maxmemory-policy: volatile-ttl;"},
        {"maxmemory-policy", "noeviction", ". maxmemory-policy: noeviction;"},
    };
    struct scene *scene = *fixture;
    assert_true(look(scene));
    assert_found(scene, "p save: \"\"; nothing is kept on disk");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_non_null(redis_ask(scene->admin, &scene->error, "CONFIG", "SET", cases[i].name,
                                  cases[i].value, NULL));
        /* None of them forbids live work. */
        assert_true(look(scene));
        assert_found(scene, cases[i].found);
    }
}

static void test_survey__wrong_types_are_refused(void **fixture)
{
    static const char *const keys[] = {"salvor:{0}:ctl", "salvor:{0}:events", "salvor:meta"};
    struct scene *scene = *fixture;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char line[64];
        command(scene, "FLUSHALL");
        snprintf(line, sizeof(line), "SET %s x", keys[i]);
        command(scene, line);
        snprintf(line, sizeof(line), "%s is a string, not a ", keys[i]);
        assert_refused(scene, line);
    }
    /* All are told; the queue's forbid nothing, since watching goes without them. */
    command(scene, "SET salvor:{0}:ctl x");
    command(scene, "SET q:jobs:pending x");
    assert_false(look(scene));
    assert_found(scene, "p key: salvor:{0}:ctl");
    assert_found(scene, "p key: salvor:meta");
    assert_found(scene, "p key: q:jobs:pending is a string, not a zset");
    command(scene, "DEL salvor:{0}:ctl salvor:meta");
    assert_true(look(scene));
    assert_found(scene, "p key: q:jobs:pending is a string, not a zset");
}

static void test_survey__a_missing_right_is_named(void **fixture)
{
    struct scene *scene = *fixture;
    command(scene, "ACL SETUSER small on >pass ~* &* +@all -zrem -zadd");
    struct redis *redis = connect_to(scene);
    assert_non_null(redis_ask(redis, &scene->error, "AUTH", "small", "pass", NULL));
    assert_false(look_as(scene, redis));
    assert_int_equal(scene->error.code, ERROR_REFUSED);
    assert_non_null(strstr(scene->error.message, "ZADD q:jobs:pending 1 x"));
    assert_found(scene, "p rights: small may not send ZADD q:jobs:pending 1 x: ");
    assert_found(scene, "p rights: small may not send ZREM q:jobs:pending x: ");
    assert_not_found(scene, "may send all");
    /* Who only observes needs no right on the queue, but each on the stream. */
    scene->survey.applies = false;
    assert_true(look_as(scene, redis));
    assert_found(scene, "w rights: small may not send ZREM q:jobs:pending x");
    command(scene, "ACL SETUSER small -xadd");
    assert_false(look_as(scene, redis));
    assert_int_equal(scene->error.code, ERROR_REFUSED);
    assert_non_null(strstr(scene->error.message, "XADD salvor:{0}:events * type x"));
    command(scene, "ACL SETUSER small -acl");
    assert_false(look_as(scene, redis));
    assert_int_equal(scene->error.code, ERROR_DENIED);
    assert_non_null(strstr(scene->error.message, "ACL WHOAMI"));

    scene->survey.applies = true;
    command(scene, "ACL SETUSER small +@all resetkeys ~salvor:* ~job*");
    assert_false(look_as(scene, redis));
    assert_non_null(strstr(scene->error.message, "q:job:x"));
    command(scene, "ACL SETUSER small ~q:* resetchannels &job_failed");
    /* Changed rights end the connection. */
    redis_close(redis);
    redis = connect_to(scene);
    assert_non_null(redis_ask(redis, &scene->error, "AUTH", "small", "pass", NULL));
    assert_false(look_as(scene, redis));
    assert_non_null(strstr(scene->error.message, "PUBLISH complete_job"));
    redis_close(redis);
}

/* Who hosts Redis may keep CONFIG to himself. */
static void test_survey__settings_that_are_withheld_are_told(void **fixture)
{
    struct scene *scene = *fixture;
    command(scene, "ACL SETUSER small on >pass ~* &* +@all -config -info");
    struct redis *redis = connect_to(scene);
    assert_non_null(redis_ask(redis, &scene->error, "AUTH", "small", "pass", NULL));
    assert_false(look_as(scene, redis));
    assert_non_null(strstr(scene->error.message, "INFO"));
    command(scene, "ACL SETUSER small +info");
    assert_true(look_as(scene, redis));
    assert_found(scene, "w CONFIG GET: save: NOPERM");
    redis_close(redis);
}

static void test_survey__who_leads_and_what_waits_is_told(void **fixture)
{
    struct scene *scene = *fixture;
    command(scene, "XADD salvor:{0}:events * type test");
    command(scene, "XADD salvor:{0}:events * type test");
    command(scene, "XGROUP CREATE salvor:{0}:events salvor.4.1 0-0");
    command(scene, "HSET salvor:{0}:ctl owner me epoch 4 exp 99999999999999");
    assert_true(look(scene));
    assert_found(scene, ". lead: me leads partition 0 in epoch 4");
    assert_found(scene, ". stream: 2 entries of 2 ever added");
    assert_found(scene, ". group: salvor.4.1 has 2 entries left to read");
    command(scene, "HSET salvor:{0}:ctl exp 0");
    assert_true(look(scene));
    assert_found(scene, ". lead: nobody leads partition 0; the last epoch was 4");
}

static void test_survey__a_replica_is_told(void **fixture)
{
    struct scene *scene = *fixture;
    command(scene, "REPLICAOF 127.0.0.1 1");
    /* A right that is not missing, but a server that takes no writes: live work waits for it. */
    assert_true(look(scene));
    assert_found(scene, "p role: slave; a replica takes no writes");
}

static void test_survey__a_lost_connection_breaks_it_off(void **fixture)
{
    struct scene *scene = *fixture;
    command(scene, "SET salvor:meta x");
    redis_server_kill(scene->server);
    assert_false(look(scene));
    assert_int_equal(scene->error.code, ERROR_UNREACHABLE);
    assert_found(scene, "p INFO: ");
    assert_not_found(scene, "rights");
}

int main(void)
{
#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_SCENE(test_survey__a_plain_server_is_fit_and_left_alone),
        IN_SCENE(test_survey__each_setting_has_its_level),
        IN_SCENE(test_survey__wrong_types_are_refused),
        IN_SCENE(test_survey__a_missing_right_is_named),
        IN_SCENE(test_survey__settings_that_are_withheld_are_told),
        IN_SCENE(test_survey__who_leads_and_what_waits_is_told),
        IN_SCENE(test_survey__a_replica_is_told),
        IN_SCENE(test_survey__a_lost_connection_breaks_it_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
