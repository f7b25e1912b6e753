/* SPDX-License-Identifier: MIT
 * Live work while things go wrong: servers and connections that go away, hang or forget, other
 * leaders, entries that vanish, rights and memory that are missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/lib/live_scene.h"
#include "tests/lib/reply.h"

#define HANG_MS 3500

static void watch_crash(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        redis_server_kill(scene->server);
        redis_server_restart(scene->server);
        scene_open_admin(scene);
        lay_out_job(scene);
        stop_worker(scene);
    }
    until_nothing_open(scene);
}

static void test_live_faults__a_restarted_server_is_gone_on_with(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, watch_crash);
    assert_scene_field(scene, "job:j1", "status", "pending");
    /* The same lead, on another connection. */
    assert_int_equal(scene->seen[EVENT_EPOCH], 1);
    int64_t added = reply_number(redis_reply_at(DO(scene, "XINFO", "STREAM", STREAM), 11));
    assert_true((uint64_t)added >= state_summary(scene->state).ordinal);
}

static void watch_lost_connections(struct scene *scene)
{
    if (scene->step < 5 && scene->seen[EVENT_TICK] >= 2U * (uint32_t)(scene->step + 1)) {
        scene->step++;
        DO(scene, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        DO(scene, "SCRIPT", "FLUSH");
    }
    if (scene->step == 5) {
        scene->step = 6;
        lay_out_job(scene);
        stop_worker(scene);
    }
    until_nothing_open(scene);
}

static void test_live_faults__lost_connections_and_scripts_are_mended(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, watch_lost_connections);
    assert_scene_field(scene, "job:j1", "status", "pending");
    assert_int_equal(scene->seen[EVENT_EPOCH], 1);
}

static void watch_destroyed_group(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "XGROUP", "DESTROY", STREAM, "salvor.1.1");
        lay_out_job(scene);
        stop_worker(scene);
    }
    until_nothing_open(scene);
}

static void test_live_faults__a_destroyed_group_is_made_anew(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, watch_destroyed_group);
    assert_scene_field(scene, "job:j1", "status", "pending");
}

static void watch_take_over(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "HSET", CONTROL, "owner", "you", "epoch", "2", "exp", "99999999999999");
        DO(scene, "XGROUP", "DESTROY", STREAM, "salvor.1.1");
    }
}

static void test_live_faults__another_leader_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    assert_scene_ends(scene, watch_take_over, ERROR_FENCED);
    assert_scene_field(scene, CONTROL, "owner", "you");
    assert_scene_field(scene, CONTROL, "exp", "99999999999999");
}

static void watch_lost_entry(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "EVAL",
           "local id = redis.call('XADD', KEYS[1], '*', 'type', 'test') "
           "redis.call('XDEL', KEYS[1], id)",
           "1", STREAM);
    }
}

static void test_live_faults__an_entry_deleted_unread_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    assert_scene_ends(scene, watch_lost_entry, ERROR_HISTORY);
    /* And so does every later start. */
    scene->committed = state_summary(scene->state).ordinal;
    assert_scene_ends(scene, until_three_ticks, ERROR_HISTORY);
}

static void watch_flushed(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "DEL", STREAM);
    }
}

static void test_live_faults__a_deleted_stream_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    assert_scene_ends(scene, watch_flushed, ERROR_HISTORY);
    assert_int_equal(reply_number(DO(scene, "EXISTS", STREAM)), 0);
}

static void watch_flushed_all(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "FLUSHALL");
    }
}

static void test_live_faults__an_emptied_redis_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    assert_scene_ends(scene, watch_flushed_all, ERROR_HISTORY);
    assert_non_null(strstr(scene_failure.message, "gone"));
    assert_int_equal(reply_number(DO(scene, "DBSIZE")), 0);
}

static void watch_stray_epoch(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "XADD", STREAM, "*", "type", "epoch", "epoch", "99", "owner", "hand", "timeline",
           "4", "reducers", "2", "ordinal", "5", "wall_ms", "1");
    }
}

static void watch_future_epoch(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "XADD", STREAM, "*", "type", "epoch", "epoch", "99", "owner", "hand", "timeline",
           "4", "reducers", "99", "ordinal", "5", "wall_ms", "1");
    }
}

/* It neither leads nor decides on; what it may not fold it has not kept either. */
static void test_live_faults__an_epoch_of_unknown_reducers_ends_the_process(void **fixture)
{
    struct scene *scene = *fixture;
    assert_scene_ends(scene, watch_future_epoch, ERROR_REFUSED);
    assert_non_null(strstr(scene_failure.message, "epoch 99 was opened by reducers 99"));
}

static void test_live_faults__an_epoch_made_by_hand_ends_one_lead_alone(void **fixture)
{
    struct scene *scene = *fixture;
    assert_scene_ends(scene, watch_stray_epoch, ERROR_FENCED);
    assert_int_equal(state_summary(scene->state).epoch, 99);
    scene->committed = state_summary(scene->state).ordinal;
    scene_run_clean(scene, until_three_ticks);
    assert_int_equal(state_summary(scene->state).epoch, 100);
    assert_int_equal(state_summary(scene->state).timeline, 4);
    assert_true(span_is(state_summary(scene->state).owner, "me"));
}

/* While the backlog is read, somebody deletes the epoch event behind it. */
static void watch_lost_epoch(struct scene *scene)
{
    if (scene->step == 0) {
        scene->step = 1;
        DO(scene, "EVAL",
           "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1) "
           "redis.call('XDEL', KEYS[1], last[1][1])",
           "1", STREAM);
    }
}

static void test_live_faults__a_lead_without_its_epoch_event_ends(void **fixture)
{
    struct scene *scene = *fixture;
    DO(scene, "EVAL",
       "for i = 1, 3500 do "
       "redis.call('XADD', KEYS[1], '*', 'type', 'worker.heartbeat', 'worker', 'w') end",
       "1", STREAM);
    assert_scene_ends(scene, watch_lost_epoch, ERROR_HISTORY);
    assert_int_equal(scene->seen[EVENT_WORKER_HEARTBEAT], 3500);
    assert_int_equal(scene->seen[EVENT_EPOCH], 0);
}

static void watch_shortage(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        scene->looks = 0;
        lay_out_job(scene);
        stop_worker(scene);
        DO(scene, "CONFIG", "SET", "maxmemory", "1");
    }
    /* Several ticks and the effects are refused meanwhile. */
    if (scene->step == 1 && scene->looks >= 10 && scene->seen[EVENT_WORKER_STOPPED] > 0) {
        scene->step = 2;
        assert_int_equal(scene->seen[EVENT_EFFECT_SETTLED], 0);
        DO(scene, "CONFIG", "SET", "maxmemory", "0");
    }
    until_nothing_open(scene);
}

static void test_live_faults__a_shortage_of_memory_is_waited_out(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, watch_shortage);
    assert_int_equal(scene->step, 2);
    assert_scene_field(scene, "job:j1", "status", "pending");
}

#define DENIED_MS 400

/* First what effects need is taken away, then what reading and ticks need, for a while. */
static void watch_denial(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        scene->looks = 0;
        lay_out_job(scene);
        stop_worker(scene);
        DO(scene, "ACL", "SETUSER", "default", "-zadd");
    }
    if (scene->step == 1 && scene->looks >= 10 && scene->seen[EVENT_WORKER_STOPPED] > 0) {
        scene->step = 2;
        assert_scene_field(scene, "job:j1", "status", "in_progress");
        DO(scene, "ACL", "SETUSER", "default", "-xreadgroup", "-xinfo");
        if (fork() == 0) {
            struct redis *redis = redis_open(redis_server_url(scene->server), 5000, &scene_failure);
            poll(NULL, 0, DENIED_MS);
            redis_ask(redis, &scene_failure, "ACL", "SETUSER", "default", "+@all", NULL);
            _exit(0);
        }
    }
    until_nothing_open(scene);
}

static void test_live_faults__rights_that_were_taken_away_are_waited_for(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, watch_denial);
    assert_int_equal(scene->step, 2);
    assert_true(wait(NULL) > 0);
    assert_scene_field(scene, "job:j1", "status", "pending");
    assert_int_equal(scene->seen[EVENT_EPOCH], 1);
    /* Before it leads, they are told at once. */
    struct live_config config = scene_config(scene);
    DO(scene, "ACL", "SETUSER", "default", "-zadd");
    assert_null(live_open(&config, &scene_failure));
    assert_int_equal(scene_failure.code, ERROR_REFUSED);
    DO(scene, "ACL", "SETUSER", "default", "-acl|whoami");
    assert_null(live_open(&config, &scene_failure));
    assert_int_equal(scene_failure.code, ERROR_DENIED);
}

/* Beside the test: gives the memory back when the lease was renewed. Exits with 0 when it was. */
static void give_memory_back(const struct scene *scene)
{
    struct redis *redis = redis_open(redis_server_url(scene->server), 5000, &scene_failure);
    uint64_t first_ms = 0;
    uint64_t exp_ms = 0;
    uint64_t end_ms = clock_boot_ms() + 2 * LEASE_MS;
    do {
        poll(NULL, 0, TICK_MS);
        const struct redis_reply *reply =
            redis_ask(redis, &scene_failure, "HGET", CONTROL, "exp", NULL);
        span_to_number(redis_reply_text(reply), UINT64_MAX, &exp_ms);
        first_ms = first_ms == 0 ? exp_ms : first_ms;
    } while (exp_ms <= first_ms && clock_boot_ms() < end_ms);
    redis_ask(redis, &scene_failure, "CONFIG", "SET", "maxmemory", "0", NULL);
    redis_close(redis);
    _exit(exp_ms > first_ms ? 0 : 1);
}

static void watch_refused_policy(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_EPOCH] == 1) {
        scene->step = 1;
        DO(scene, "CONFIG", "SET", "maxmemory", "1");
        if (fork() == 0) {
            give_memory_back(scene);
        }
    }
    until_three_ticks(scene);
}

static void test_live_faults__the_lease_is_kept_while_the_policy_is_refused(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, watch_refused_policy);
    int status = -1;
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
    assert_int_equal(scene->seen[EVENT_POLICY], 1);
}

static void watch_gap(struct scene *scene)
{
    if (state_summary(scene->state).ordinal == scene->committed) {
        assert_int_equal(reply_number(DO(scene, "EXISTS", CONTROL)), 0);
    }
    until_three_ticks(scene);
}

static void test_live_faults__what_was_committed_is_read_again_before_the_take_over(void **fixture)
{
    struct scene *scene = *fixture;
    for (int i = 0; i < 5; i++) {
        DO(scene, "XADD", STREAM, "*", "type", "worker.heartbeat", "worker", "w1");
    }
    scene->committed = 3;
    scene_run_clean(scene, watch_gap);
    assert_int_equal(scene->seen[EVENT_WORKER_HEARTBEAT], 5);
    scene->committed = state_summary(scene->state).ordinal + 100;
    assert_scene_ends(scene, until_three_ticks, ERROR_HISTORY);
}

static void test_live_faults__a_foreign_anchor_ends_it_before_anything(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, until_three_ticks);
    int64_t length = reply_number(DO(scene, "XLEN", STREAM));
    scene->anchor.bytes[0] ^= 1;
    assert_scene_ends(scene, until_three_ticks, ERROR_HISTORY);
    assert_int_equal(reply_number(DO(scene, "XLEN", STREAM)), length);
    scene->committed = state_summary(scene->state).ordinal + 1;
    assert_scene_ends(scene, until_three_ticks, ERROR_HISTORY);
}

static void test_live_faults__a_running_lease_is_waited_for(void **fixture)
{
    struct scene *scene = *fixture;
    const struct redis_reply *time = DO(scene, "TIME");
    uint64_t seconds = 0;
    char text[32];
    assert_true(span_to_number(redis_reply_text(redis_reply_at(time, 0)), UINT64_MAX, &seconds));
    snprintf(text, sizeof(text), "%llu", (unsigned long long)(seconds * 1000 + 1500));
    DO(scene, "HSET", CONTROL, "owner", "you", "epoch", "6", "exp", text);
    scene_run_clean(scene, until_three_ticks);
    assert_int_equal(state_summary(scene->state).epoch, 7);
}

static void watch_unknown_policy(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_EPOCH] == 1) {
        scene->step = 1;
        DO(scene, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    }
    until_three_ticks(scene);
}

static void test_live_faults__a_policy_of_unknown_outcome_is_sent_again(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, watch_unknown_policy);
    assert_int_equal(scene->step, 1);
    assert_int_equal(scene->seen[EVENT_POLICY], 1);
}

/* It hangs with the policy in its socket: that it arrived is told without its id. */
static void watch_hung_policy(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_EPOCH] == 1) {
        scene->step = 1;
        pid_t redis = redis_server_pid(scene->server);
        kill(redis, SIGSTOP);
        if (fork() == 0) {
            poll(NULL, 0, HANG_MS);
            kill(redis, SIGCONT);
            _exit(0);
        }
    }
    until_three_ticks(scene);
}

static void test_live_faults__a_refused_policy_of_unknown_outcome_ends_it(void **fixture)
{
    struct scene *scene = *fixture;
    buffer_put_text(&scene->policy_text, "nonsense=1\n");
    assert_scene_ends(scene, watch_hung_policy, ERROR_REFUSED);
    assert_non_null(strstr(scene_failure.message, "not accepted"));
    assert_true(wait(NULL) > 0);
}

#define MANY_TEXT "500"
#define MANY      500

static void watch_many(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        DO(scene, "EVAL",
           "for i = 1, ARGV[1] do "
           "redis.call('HSET', 'job:j' .. i, 'status', 'in_progress', 'worker_id', 'w' .. i, "
           "'created_at', '1700000000000') "
           "redis.call('XADD', KEYS[1], '*', 'type', 'job.started', 'job', 'j' .. i, "
           "'worker', 'w' .. i, 'attempt', '1') "
           "redis.call('XADD', KEYS[1], '*', 'type', 'worker.stopped', 'worker', 'w' .. i) end",
           "1", STREAM, MANY_TEXT);
    }
    scene->stop =
        scene->seen[EVENT_EFFECT_SETTLED] >= MANY && state_summary(scene->state).effects_open == 0;
}

static void test_live_faults__many_effects_leave_time_for_ticks(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, watch_many);
    assert_int_equal(reply_number(DO(scene, "ZCARD", "jobs:pending")), MANY);
    /* While they were carried out, which takes many ticks' time, ticks went on. */
    const struct redis_reply *entries = DO(scene, "XRANGE", STREAM, "-", "+");
    uint32_t settled = 0;
    uint32_t ticks_between = 0;
    for (uint32_t i = 0; i < redis_reply_count(entries); i++) {
        const struct redis_reply *fields = redis_reply_at(redis_reply_at(entries, i), 1);
        struct span type = redis_reply_text(redis_reply_at(fields, 1));
        settled += span_is(type, "effect.settled") ? 1 : 0;
        ticks_between += span_is(type, "tick") && settled > 0 && settled < MANY ? 1 : 0;
    }
    assert_true(ticks_between >= 1);
}

static void watch_hang(struct scene *scene)
{
    if (scene->step == 0 && scene->seen[EVENT_TICK] >= 2) {
        scene->step = 1;
        scene->seen[EVENT_TICK] = 0;
        pid_t redis = redis_server_pid(scene->server);
        kill(redis, SIGSTOP);
        if (fork() == 0) {
            poll(NULL, 0, HANG_MS);
            kill(redis, SIGCONT);
            _exit(0);
        }
    }
    scene->stop = scene->step == 1 && scene->seen[EVENT_TICK] >= 5;
}

static void test_live_faults__the_time_of_a_hanging_server_goes_to_the_gap(void **fixture)
{
    struct scene *scene = *fixture;
    scene_run_clean(scene, watch_hang);
    assert_true(wait(NULL) > 0);
    struct state_summary summary = state_summary(scene->state);
    uint64_t gap_ms = summary.deadline_ms - summary.liveness_ms;
    assert_in_range(gap_ms, HANG_MS - 1500, HANG_MS + 3000);
    /* Each append is there once, although the outcome of one was unknown for a while. */
    assert_int_equal(scene->seen[EVENT_EPOCH], 1);
    char k[32];
    int64_t ticks_and_policy = reply_number(DO(scene, "XLEN", STREAM)) - 1;
    snprintf(k, sizeof(k), "%lld", (long long)ticks_and_policy);
    assert_scene_field(scene, CONTROL, "k", k);
}

static void never(struct scene *scene)
{
    (void)scene;
}

static void test_live_faults__a_server_that_comes_late_is_waited_for(void **fixture)
{
    struct scene *scene = *fixture;
    pid_t redis = redis_server_pid(scene->server);
    kill(redis, SIGSTOP);
    pid_t helper = fork();
    if (helper == 0) {
        poll(NULL, 0, 200);
        kill(redis, SIGCONT);
        _exit(0);
    }
    scene_run_clean(scene, until_three_ticks);
    assert_int_equal(waitpid(helper, NULL, 0), helper);
}

static void test_live_faults__a_stop_ends_the_waiting(void **fixture)
{
    struct scene *scene = *fixture;
    redis_server_stop(scene->server);
    struct live_config config = scene_config(scene);
    scene->watch = never;
    scene->stop = 1;
    assert_null(live_open(&config, &scene_failure));
    assert_int_equal(scene_failure.code, ERROR_STOPPED);
    live_close(NULL);
    redis_server_restart(scene->server);
    scene_open_admin(scene);
    scene->stop = 0;
    config.partitions = 2;
    struct live *live = live_open(&config, &scene_failure);
    assert_non_null(live);
    live_close(live);
    assert_int_equal(reply_number(DO(scene, "DBSIZE")), 0);
    DO(scene, "HSET", "salvor:meta", "partitions", "2");
    config.partitions = 1;
    assert_null(live_open(&config, &scene_failure));
    assert_int_equal(scene_failure.code, ERROR_REFUSED);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(test_live_faults__a_restarted_server_is_gone_on_with),
        IN_SCENE(test_live_faults__lost_connections_and_scripts_are_mended),
        IN_SCENE(test_live_faults__a_destroyed_group_is_made_anew),
        IN_SCENE(test_live_faults__another_leader_ends_it),
        IN_SCENE(test_live_faults__an_entry_deleted_unread_ends_it),
        IN_SCENE(test_live_faults__a_deleted_stream_ends_it),
        IN_SCENE(test_live_faults__an_emptied_redis_ends_it),
        IN_SCENE(test_live_faults__an_epoch_of_unknown_reducers_ends_the_process),
        IN_SCENE(test_live_faults__an_epoch_made_by_hand_ends_one_lead_alone),
        IN_SCENE(test_live_faults__a_lead_without_its_epoch_event_ends),
        IN_SCENE(test_live_faults__a_shortage_of_memory_is_waited_out),
        IN_SCENE(test_live_faults__rights_that_were_taken_away_are_waited_for),
        IN_SCENE(test_live_faults__the_lease_is_kept_while_the_policy_is_refused),
        IN_SCENE(test_live_faults__what_was_committed_is_read_again_before_the_take_over),
        IN_SCENE(test_live_faults__a_foreign_anchor_ends_it_before_anything),
        IN_SCENE(test_live_faults__a_running_lease_is_waited_for),
        IN_SCENE(test_live_faults__a_policy_of_unknown_outcome_is_sent_again),
        IN_SCENE(test_live_faults__a_refused_policy_of_unknown_outcome_ends_it),
        IN_SCENE(test_live_faults__many_effects_leave_time_for_ticks),
        IN_SCENE(test_live_faults__the_time_of_a_hanging_server_goes_to_the_gap),
        IN_SCENE(test_live_faults__a_server_that_comes_late_is_waited_for),
        IN_SCENE(test_live_faults__a_stop_ends_the_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
