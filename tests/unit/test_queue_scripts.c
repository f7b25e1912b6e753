/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "stream/queue.h"
#include "tests/lib/redis_server.h"
#include "tests/lib/reply.h"

#define STREAM  "salvor:{0}:events"
#define CONTROL "salvor:{0}:ctl"

/* One server for all tests of the file; each begins with an empty database. */
struct bench {
    struct redis_server *server;
    struct redis *admin, *redis;
};

static struct bench bench;
static struct error failure;

#define DO(...) do_command(redis_ask(bench.admin, &failure, __VA_ARGS__, NULL))

static const struct redis_reply *do_command(const struct redis_reply *reply)
{
    if (reply == NULL) {
        fail_msg("%s", failure.message);
    }
    return reply;
}

static struct redis *open_redis(void)
{
    struct redis *redis = redis_open(redis_server_url(bench.server), 2000, &failure);
    assert_non_null(redis);
    return redis;
}

static int open_bench(void **fixture)
{
    (void)fixture;
    bench.server = redis_server_start(NULL);
    bench.admin = open_redis();
    bench.redis = open_redis();
    return 0;
}

static int close_bench(void **fixture)
{
    (void)fixture;
    redis_close(bench.admin);
    redis_close(bench.redis);
    redis_server_remove(bench.server);
    return 0;
}

#define CLAIM    "1763898000.123456"
#define NINES_80 "99999999999999999999999999999999999999999999999999999999999999999999999999999999"
#define NINES    NINES_80 NINES_80 NINES_80 NINES_80 NINES_80

/* A job that worker w1 holds in its second attempt, of a leader in epoch 4. */
static int lay_out(void **fixture)
{
    (void)fixture;
    DO("FLUSHALL");
    DO("HSET", CONTROL, "owner", "me", "epoch", "4");
    DO("XADD", STREAM, "1-1", "type", "epoch");
    DO("HSET", "job:j1", "id", "j1", "status", "in_progress", "retry_count", "1", "max_retries",
       "3", "worker_id", "w1", "assigned_at", CLAIM, "started_at", "x", "priority", "50",
       "created_at", "2025-10-04T12:30:15.250Z", "payload", "{}", "workflow_id", "wf",
       "current_step", "2", "total_steps", "2", "workflow_priority", "", "workflow_datetime", "");
    DO("HSET", "jobs:active:w1", "j1", "{}", "j2", "{}");
    DO("HSET", "worker:w1", "status", "busy", "current_job_id", "j1");
    return 0;
}

static const struct queue_place place = {
    .control = CONTROL, .stream = STREAM, .queue_prefix = "", .owner = "me", .epoch = 4};

static struct effect_request request_of(enum effect_kind kind)
{
    return (struct effect_request){.id = SPAN("0.1.5-1.0.0"),
                                   .kind = kind,
                                   .job = SPAN("j1"),
                                   .worker = SPAN("w1"),
                                   .attempt = 2,
                                   .claim = SPAN(CLAIM),
                                   .losses = 2,
                                   .failures = 1,
                                   .error = SPAN("why \"it\" ended"),
                                   .result = SPAN("s3://x/y.png")};
}

static enum effect_outcome apply(const struct effect_request *request)
{
    enum effect_outcome outcome = queue_apply(bench.redis, &place, request, &failure);
    if (outcome == OUTCOME_NONE) {
        fail_msg("%s", failure.message);
    }
    return outcome;
}

static enum effect_outcome apply_kind(enum effect_kind kind)
{
    struct effect_request request = request_of(kind);
    return apply(&request);
}

static void assert_field(const char *key, const char *field, const char *wanted)
{
    const struct redis_reply *reply = DO("HGET", key, field);
    struct span found = redis_reply_text(reply);
    if (reply_is_nil(reply) ? wanted != NULL : !span_is(found, wanted)) {
        fail_msg("%s %s: found '%.*s'", key, field, SPAN_FORMAT(found));
    }
}

static bool is_iso(struct span text)
{
    static const char form[] = "0000-00-00T00:00:00.000Z";
    if (text.size != sizeof(form) - 1) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        bool is_digit = text.data[i] >= '0' && text.data[i] <= '9';
        if (form[i] == '0' ? !is_digit : text.data[i] != form[i]) {
            return false;
        }
    }
    return true;
}

static void assert_iso_field(const char *key, const char *field)
{
    assert_true(is_iso(redis_reply_text(DO("HGET", key, field))));
}

static void assert_settled(int64_t length, const char *outcome, const char *found)
{
    assert_int_equal(reply_number(DO("XLEN", STREAM)), length);
    const struct redis_reply *reply = DO("XREVRANGE", STREAM, "+", "-", "COUNT", "1");
    const struct redis_reply *fields = redis_reply_at(redis_reply_at(reply, 0), 1);
    const char *wanted[] = {
        "type", "effect.settled", "effect", "0.1.5-1.0.0", "outcome", outcome, "owner",
        "me",   "epoch",          "4",      "found",       found};
    uint32_t count = found == NULL ? 10 : 12;
    assert_int_equal(redis_reply_count(fields), count);
    for (uint32_t i = 0; i < count; i++) {
        struct span text = redis_reply_text(redis_reply_at(fields, i));
        if (!span_is(text, wanted[i])) {
            fail_msg("found '%.*s', wanted '%s'", SPAN_FORMAT(text), wanted[i]);
        }
    }
}

/* What all keys but the stream hold, to show that nothing changed. */
static struct buffer dump_all(void)
{
    static const char *const keys[] = {CONTROL,          "job:j1",       "worker:w1",
                                       "jobs:active:w1", "jobs:pending", "jobs:completed",
                                       "jobs:failed"};
    struct buffer bytes = {0};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        buffer_put_sized(&bytes, redis_reply_text(DO("DUMP", keys[i])));
    }
    return bytes;
}

static void assert_unchanged(struct buffer *before)
{
    struct buffer after = dump_all();
    assert_true(span_equal(buffer_span(before), buffer_span(&after)));
    buffer_fini(before);
    buffer_fini(&after);
}

static void test_queue__requeue_puts_the_job_back_in_order(void **fixture)
{
    (void)fixture;
    DO("ZADD", "jobs:pending", "49999998240000000", "older", "49999998220000000", "newer");
    assert_int_equal(apply_kind(EFFECT_REQUEUE), OUTCOME_APPLIED);
    assert_settled(2, "applied", NULL);
    static const char *const fields[][2] = {
        {"status", "pending"},  {"worker_id", ""},        {"assigned_at", ""},
        {"started_at", ""},     {"retry_count", "2"},     {"last_failed_worker", "w1"},
        {"salvor_losses", "2"}, {"salvor_failures", "1"}, {"salvor_effect", "0.1.5-1.0.0"},
        {"payload", "{}"}};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        assert_field("job:j1", fields[i][0], fields[i][1]);
    }
    assert_iso_field("job:j1", "failed_at");
    assert_field("jobs:active:w1", "j1", NULL);
    assert_field("jobs:active:w1", "j2", "{}");
    /* 50 * 1e15 - 1759581015 (date -u -d 2025-10-04T12:30:15Z +%s), to the double next to it. */
    struct span score = redis_reply_text(DO("ZSCORE", "jobs:pending", "j1"));
    char text[64];
    snprintf(text, sizeof(text), "%.*s", SPAN_FORMAT(score));
    assert_true(strtod(text, NULL) == 50 * 1e15 - 1759581015.0);
    const struct redis_reply *order = DO("ZREVRANGE", "jobs:pending", "0", "-1");
    assert_true(span_is(redis_reply_text(redis_reply_at(order, 0)), "j1"));
    assert_true(span_is(redis_reply_text(redis_reply_at(order, 1)), "older"));
}

static void test_queue__the_score_follows_workflow_then_job(void **fixture)
{
    static const struct {
        const char *workflow_priority, *workflow_datetime, *priority, *created_at;
        double score;
    } rows[] = {
        {"7", "1700000000999", "50", "2025-10-04T12:30:15.250Z", 7e15 - 1700000000.0},
        {"0", "0", "9", "1970-01-01T00:01:00Z", 9e15 - 60.0},
        {"", "", "1", "2024-02-29T23:59:59.999Z", 1e15 - 1709251199.0},
        {"", "", "1", "2024-03-01T00:00:00.000Z", 1e15 - 1709251200.0},
        {"", "", "1", "2000-12-31T12:00:00.000Z", 1e15 - 978264000.0},
        {"", "", "", "1999-01-01T00:00:00.000Z", 50e15 - 915148800.0},
        {"", "", "-2", "1700000000000", -2e15 - 1700000000.0},
        {"", "", "999999999", "999999999999999", 999999999e15 - 999999999999.0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lay_out(fixture);
        DO("HSET", "job:j1", "workflow_priority", rows[i].workflow_priority, "workflow_datetime",
           rows[i].workflow_datetime, "priority", rows[i].priority, "created_at",
           rows[i].created_at);
        assert_int_equal(apply_kind(EFFECT_REQUEUE), OUTCOME_APPLIED);
        struct span score = redis_reply_text(DO("ZSCORE", "jobs:pending", "j1"));
        char text[64];
        snprintf(text, sizeof(text), "%.*s", SPAN_FORMAT(score));
        if (strtod(text, NULL) != rows[i].score) {
            fail_msg("row %zu: %s, wanted %.17g", i, text, rows[i].score);
        }
    }
}

/* A job that tells no time waits from now on. */
static void test_queue__a_job_without_a_time_is_put_back_as_new(void **fixture)
{
    static const char *const rows[] = {NULL, "", "0"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lay_out(fixture);
        DO("HDEL", "job:j1", "created_at", "workflow_datetime");
        if (rows[i] != NULL) {
            DO("HSET", "job:j1", "created_at", rows[i]);
        }
        uint64_t now_s = 0;
        assert_true(
            span_to_number(redis_reply_text(redis_reply_at(DO("TIME"), 0)), UINT64_MAX, &now_s));
        assert_int_equal(apply_kind(EFFECT_REQUEUE), OUTCOME_APPLIED);
        char text[64];
        struct span score = redis_reply_text(DO("ZSCORE", "jobs:pending", "j1"));
        snprintf(text, sizeof(text), "%.*s", SPAN_FORMAT(score));
        double since_s = 50e15 - strtod(text, NULL) - (double)now_s;
        assert_true(since_s >= -8 && since_s <= 60); /* doubles of this size are 8 apart */
    }
}

static void test_queue__what_gives_no_score_is_left_alone(void **fixture)
{
    static const char *const rows[][2] = {{"priority", "high"},
                                          {"priority", "1.5"},
                                          {"created_at", "yesterday"},
                                          {"created_at", "2025-10-04T12:30:15+02:00"},
                                          {"workflow_datetime", "soon"},
                                          {"priority", NINES},
                                          {"workflow_priority", "12345678901"},
                                          {"workflow_datetime", NINES},
                                          {"created_at", "1234567890123456"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lay_out(fixture);
        DO("HSET", "job:j1", rows[i][0], rows[i][1]);
        struct buffer before = dump_all();
        assert_int_equal(apply_kind(EFFECT_REQUEUE), OUTCOME_FAILED);
        assert_settled(2, "failed", "key=job:j1\nfield=priority or created_at");
        assert_unchanged(&before);
    }
}

static const enum effect_kind job_kinds[] = {EFFECT_REQUEUE, EFFECT_COMPLETE, EFFECT_FAIL,
                                             EFFECT_TIME_OUT};

static void test_queue__the_same_effect_is_applied_once(void **fixture)
{
    for (enum effect_kind kind = EFFECT_REQUEUE; kind < EFFECT_CANCEL; kind++) {
        lay_out(fixture);
        assert_int_equal(apply_kind(kind), OUTCOME_APPLIED);
        struct buffer before = dump_all();
        assert_int_equal(apply_kind(kind), OUTCOME_APPLIED);
        assert_settled(2, "applied", NULL);
        assert_unchanged(&before);
    }
}

/* What makes a token differ, and what the script then tells of the job. */
static void test_queue__another_token_is_stale(void **fixture)
{
    static const struct {
        const char *field, *value, *found;
    } rows[] = {
        {"status", "pending", "status=pending\nattempt=2\nworker=w1\nclaim=" CLAIM},
        {"status", "completed", "status=completed\nattempt=2\nworker=w1\nclaim=" CLAIM},
        {"retry_count", "2", "status=in_progress\nattempt=3\nworker=w1\nclaim=" CLAIM},
        {"worker_id", "w2", "status=in_progress\nattempt=2\nworker=w2\nclaim=" CLAIM},
        {"assigned_at", "other\nclaim",
         "status=in_progress\nattempt=2\nworker=w1\nclaim=other claim"},
    };
    static const enum effect_kind kinds[] = {EFFECT_REQUEUE, EFFECT_FAIL, EFFECT_TIME_OUT};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t j = 0; j < sizeof(kinds) / sizeof(kinds[0]); j++) {
            lay_out(fixture);
            DO("HSET", "job:j1", rows[i].field, rows[i].value);
            struct buffer before = dump_all();
            assert_int_equal(apply_kind(kinds[j]), OUTCOME_STALE);
            assert_settled(2, "stale", rows[i].found);
            assert_unchanged(&before);
        }
    }
}

static void test_queue__what_was_not_told_is_not_compared(void **fixture)
{
    (void)fixture;
    struct effect_request request = request_of(EFFECT_REQUEUE);
    request.claim = SPAN_NONE;
    DO("HDEL", "job:j1", "retry_count");
    DO("HSET", "job:j1", "status", "accepted");
    request.attempt = 1;
    assert_int_equal(apply(&request), OUTCOME_APPLIED);
    assert_field("job:j1", "retry_count", "1");
}

static void test_queue__an_absent_job_is_gone(void **fixture)
{
    for (size_t i = 0; i < sizeof(job_kinds) / sizeof(job_kinds[0]); i++) {
        lay_out(fixture);
        DO("DEL", "job:j1");
        struct buffer before = dump_all();
        assert_int_equal(apply_kind(job_kinds[i]), OUTCOME_GONE);
        assert_settled(2, "gone", NULL);
        assert_unchanged(&before);
    }
}

static void test_queue__wrong_types_are_named_and_left_alone(void **fixture)
{
    static const char *const keys[] = {"job:j1",         "worker:w1",   "jobs:pending",
                                       "jobs:completed", "jobs:failed", "jobs:active:w1"};
    for (size_t i = 0; i < sizeof(job_kinds) / sizeof(job_kinds[0]); i++) {
        for (size_t j = 0; j < sizeof(keys) / sizeof(keys[0]); j++) {
            lay_out(fixture);
            DO("SET", keys[j], "x");
            struct buffer before = dump_all();
            char found[64];
            snprintf(found, sizeof(found), "key=%s\ntype=string", keys[j]);
            assert_int_equal(apply_kind(job_kinds[i]), OUTCOME_FAILED);
            assert_settled(2, "failed", found);
            assert_unchanged(&before);
        }
    }
    lay_out(fixture);
    DO("SET", "worker:w1", "x");
    assert_int_equal(apply_kind(EFFECT_RELEASE), OUTCOME_FAILED);
    assert_settled(2, "failed", "key=worker:w1\ntype=string");
    lay_out(fixture);
    DO("HSET", "job:j1", "retry_count", "many");
    assert_int_equal(apply_kind(EFFECT_FAIL), OUTCOME_FAILED);
    assert_settled(2, "failed", "key=job:j1\nfield=retry_count");
}

/* What is told of a key is cut to what a field of the stream may hold. */
static void test_queue__a_long_key_is_told_in_part(void **fixture)
{
    (void)fixture;
    char holder[3000] = {0};
    char key[sizeof(holder) + 16];
    struct buffer found = {0};
    memset(holder, 'w', sizeof(holder) - 1);
    snprintf(key, sizeof(key), "jobs:active:%s", holder);
    buffer_put_text(&found, "key=");
    buffer_put(&found, key, 1024 - found.size);
    buffer_put_byte(&found, 0);
    DO("HSET", "job:j1", "worker_id", holder);
    DO("SET", key, "x");
    assert_int_equal(apply_kind(EFFECT_REQUEUE), OUTCOME_FAILED);
    assert_settled(2, "failed", found.data);
    buffer_fini(&found);
}

/* Rights that are taken away while effects are carried out: each is done whole or not at all. */
static void test_queue__a_missing_right_changes_nothing(void **fixture)
{
    static const char *const rows[] = {"-hset", "-hdel",   "-zadd",    "-zrem",
                                       "-hget", "-expire", "-publish", "-hmget"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t j = 0; j < sizeof(job_kinds) / sizeof(job_kinds[0]); j++) {
            lay_out(fixture);
            struct effect_request request = request_of(job_kinds[j]);
            DO("ACL", "SETUSER", "default", rows[i]);
            struct buffer before = dump_all();
            assert_int_equal(queue_apply(bench.redis, &place, &request, &failure), OUTCOME_NONE);
            assert_int_equal(failure.code, ERROR_DENIED);
            assert_int_equal(reply_number(DO("XLEN", STREAM)), 1);
            assert_unchanged(&before);
            DO("ACL", "SETUSER", "default", "+@all");
            assert_int_equal(apply(&request), OUTCOME_APPLIED);
        }
    }
}

static void test_queue__a_foreign_epoch_or_stream_changes_nothing(void **fixture)
{
    static const struct {
        const char *command[5];
        enum error_code code;
    } rows[] = {
        {{"HSET", CONTROL, "epoch", "5"}, ERROR_FENCED},
        {{"HSET", CONTROL, "owner", "you"}, ERROR_FENCED},
        {{"DEL", CONTROL}, ERROR_HISTORY},
        {{"SET", CONTROL, "x"}, ERROR_REFUSED},
        {{"SET", STREAM, "x"}, ERROR_REFUSED},
        {{"DEL", STREAM}, ERROR_HISTORY},
        {{"XADD", STREAM, "18446744073709551615-18446744073709551615", "a", "b"}, ERROR_REFUSED},
        {{"CONFIG", "SET", "maxmemory", "1"}, ERROR_BUSY},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (enum effect_kind kind = EFFECT_REQUEUE; kind < EFFECT_CANCEL; kind++) {
            lay_out(fixture);
            const char *const *words = rows[i].command;
            DO(words[0], words[1], words[2], words[3], words[4]);
            struct buffer before = dump_all();
            struct effect_request request = request_of(kind);
            assert_int_equal(queue_apply(bench.redis, &place, &request, &failure), OUTCOME_NONE);
            assert_int_equal(failure.code, rows[i].code);
            assert_unchanged(&before);
            DO("CONFIG", "SET", "maxmemory", "0");
        }
    }
}

/* Listens to one channel and gives the message that the effect published, parsed. */
static struct json *published(const char *channel, enum effect_kind kind)
{
    struct redis *listener = open_redis();
    assert_non_null(redis_ask(listener, &failure, "SUBSCRIBE", channel, NULL));
    assert_int_equal(apply_kind(kind), OUTCOME_APPLIED);
    /* The reply of this comes behind the message. */
    const struct redis_reply *reply = redis_ask(listener, &failure, "PING", NULL);
    assert_int_equal(redis_reply_count(reply), 3);
    assert_true(span_is(redis_reply_text(redis_reply_at(reply, 0)), "message"));
    struct json *json = json_parse(redis_reply_text(redis_reply_at(reply, 2)), &failure);
    assert_non_null(json);
    redis_close(listener);
    return json;
}

static void assert_member(const struct json *json, const char *pointer, const char *wanted)
{
    const struct json *value = json_find(json, span_of(pointer));
    assert_non_null(value);
    struct buffer text = {0};
    json_write(value, &text);
    if (!span_is(buffer_span(&text), wanted)) {
        fail_msg("%s: found %.*s, wanted %s", pointer, SPAN_FORMAT(buffer_span(&text)), wanted);
    }
    buffer_fini(&text);
}

static struct json *kept(const char *key)
{
    struct json *json = json_parse(redis_reply_text(DO("HGET", key, "j1")), &failure);
    assert_non_null(json);
    return json;
}

static void assert_expires(const char *key, int64_t seconds)
{
    int64_t left = reply_number(DO("TTL", key));
    assert_in_range(left, seconds - 60, seconds);
}

static void test_queue__complete_marks_and_takes_every_copy_back(void **fixture)
{
    (void)fixture;
    DO("ZADD", "jobs:pending", "1", "j1", "2", "j2");
    struct json *message = published("complete_job", EFFECT_COMPLETE);
    assert_member(message, "/job_id", "\"j1\"");
    assert_member(message, "/worker_id", "\"w1\"");
    assert_member(message, "/status", "\"completed\"");
    assert_member(message, "/progress", "100");
    assert_member(message, "/result", "\"s3://x/y.png\"");
    assert_member(message, "/workflow_id", "\"wf\"");
    assert_member(message, "/current_step", "2");
    assert_member(message, "/total_steps", "2");
    assert_null(json_find(message, SPAN("/workflow_priority")));
    int64_t timestamp = 0;
    assert_true(json_number(json_find(message, SPAN("/timestamp")), &timestamp));
    assert_true(timestamp > 1600000000000);
    json_destroy(message);
    assert_settled(2, "applied", NULL);
    assert_field("job:j1", "status", "completed");
    assert_iso_field("job:j1", "completed_at");
    assert_field("jobs:active:w1", "j1", NULL);
    assert_field("jobs:active:w1", "j2", "{}");
    assert_true(reply_is_nil(DO("ZSCORE", "jobs:pending", "j1")));
    assert_false(reply_is_nil(DO("ZSCORE", "jobs:pending", "j2")));
    struct json *entry = kept("jobs:completed");
    assert_member(entry, "/success", "true");
    assert_member(entry, "/data", "\"s3://x/y.png\"");
    assert_true(is_iso(json_text(json_find(entry, SPAN("/completed_at")))));
    json_destroy(entry);
    assert_expires("jobs:completed", 86400);
}

static void test_queue__complete_needs_no_token(void **fixture)
{
    static const char *const rows[][2] = {{"status", "pending"}, {"status", "timeout"},
                                          {"status", "failed"},  {"retry_count", "7"},
                                          {"worker_id", "w9"},   {"worker_id", ""}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lay_out(fixture);
        DO("HSET", "job:j1", rows[i][0], rows[i][1]);
        DO("HSET", "jobs:active:w9", "j1", "{}");
        DO("ZADD", "jobs:pending", "1", "j1");
        assert_int_equal(apply_kind(EFFECT_COMPLETE), OUTCOME_APPLIED);
        assert_field("job:j1", "status", "completed");
        assert_int_equal(reply_number(DO("EXISTS", "jobs:pending")), 0);
        bool is_held_by_nine = strcmp(rows[i][1], "w9") == 0;
        assert_field("jobs:active:w9", "j1", is_held_by_nine ? NULL : "{}");
    }
}

static void test_queue__complete_respects_the_end_the_job_already_had(void **fixture)
{
    static const struct {
        const char *field, *value, *status;
    } rows[] = {{"x", "x", "completed"},
                {"x", "x", "cancelled"},
                {"error", "Job cancelled by user", "failed"},
                {"cancelled_at", "2025-10-04T12:30:15.250Z", "failed"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lay_out(fixture);
        DO("HSET", "job:j1", "status", rows[i].status, rows[i].field, rows[i].value);
        struct buffer before = dump_all();
        assert_int_equal(apply_kind(EFFECT_COMPLETE), OUTCOME_STALE);
        char found[128];
        snprintf(found, sizeof(found), "status=%s\nattempt=2\nworker=w1\nclaim=" CLAIM,
                 i == 0 ? "completed" : "cancelled");
        assert_settled(2, "stale", found);
        assert_unchanged(&before);
    }
}

static void assert_failure_kept(void)
{
    struct json *entry = kept("jobs:failed");
    assert_member(entry, "/error", "\"why \\\"it\\\" ended\"");
    assert_true(is_iso(json_text(json_find(entry, SPAN("/failed_at")))));
    assert_member(entry, "/retry_count", "1");
    assert_member(entry, "/max_retries", "3");
    json_destroy(entry);
    assert_expires("jobs:failed", 604800);
    assert_field("jobs:active:w1", "j1", NULL);
    assert_field("job:j1", "error", "why \"it\" ended");
    assert_field("job:j1", "salvor_effect", "0.1.5-1.0.0");
    assert_field("job:j1", "salvor_losses", "2");
    assert_field("job:j1", "salvor_failures", "1");
    assert_iso_field("job:j1", "failed_at");
}

static void test_queue__fail_is_final(void **fixture)
{
    (void)fixture;
    struct json *message = published("job_failed", EFFECT_FAIL);
    assert_member(message, "/job_id", "\"j1\"");
    assert_member(message, "/worker_id", "\"w1\"");
    assert_member(message, "/status", "\"failed\"");
    assert_member(message, "/can_retry", "false");
    assert_member(message, "/retry_count", "1");
    assert_member(message, "/workflow_id", "\"wf\"");
    json_destroy(message);
    assert_settled(2, "applied", NULL);
    assert_field("job:j1", "status", "failed");
    assert_field("worker:w1", "current_job_id", "j1");
    assert_failure_kept();
}

static void test_queue__time_out_frees_the_worker(void **fixture)
{
    struct json *message = published("cancel_job", EFFECT_TIME_OUT);
    assert_member(message, "/job_id", "\"j1\"");
    assert_member(message, "/worker_id", "\"w1\"");
    assert_member(message, "/reason", "\"why \\\"it\\\" ended\"");
    json_destroy(message);
    assert_settled(2, "applied", NULL);
    assert_field("job:j1", "status", "timeout");
    assert_field("worker:w1", "status", "idle");
    assert_field("worker:w1", "current_job_id", "");
    assert_failure_kept();

    lay_out(fixture);
    message = published("job_failed", EFFECT_TIME_OUT);
    assert_member(message, "/status", "\"timeout\"");
    json_destroy(message);

    lay_out(fixture);
    DO("HSET", "worker:w1", "current_job_id", "j2");
    assert_int_equal(apply_kind(EFFECT_TIME_OUT), OUTCOME_APPLIED);
    assert_field("worker:w1", "status", "busy");
    assert_field("worker:w1", "current_job_id", "j2");

    lay_out(fixture);
    DO("DEL", "worker:w1");
    assert_int_equal(apply_kind(EFFECT_TIME_OUT), OUTCOME_APPLIED);
    assert_int_equal(reply_number(DO("EXISTS", "worker:w1")), 0);
}

static void test_queue__release_compares_the_workers_job(void **fixture)
{
    (void)fixture;
    assert_int_equal(apply_kind(EFFECT_RELEASE), OUTCOME_APPLIED);
    assert_settled(2, "applied", NULL);
    assert_field("worker:w1", "status", "offline");
    assert_field("worker:w1", "current_job_id", "");

    lay_out(fixture);
    struct effect_request request = request_of(EFFECT_RELEASE);
    request.job = SPAN_NONE;
    struct buffer before = dump_all();
    assert_int_equal(apply(&request), OUTCOME_STALE);
    assert_settled(2, "stale", "status=busy\njob=j1");
    assert_unchanged(&before);
    DO("HSET", "worker:w1", "current_job_id", "");
    assert_int_equal(apply(&request), OUTCOME_APPLIED);
    assert_field("worker:w1", "status", "offline");

    lay_out(fixture);
    DO("DEL", "worker:w1");
    before = dump_all();
    assert_int_equal(apply_kind(EFFECT_RELEASE), OUTCOME_GONE);
    assert_settled(2, "gone", NULL);
    assert_unchanged(&before);
}

static void test_queue__the_prefix_stands_before_every_key(void **fixture)
{
    (void)fixture;
    DO("RENAME", "job:j1", "q:job:j1");
    DO("RENAME", "jobs:active:w1", "q:jobs:active:w1");
    DO("RENAME", "worker:w1", "q:worker:w1");
    struct queue_place elsewhere = place;
    elsewhere.queue_prefix = "q:";
    struct effect_request request = request_of(EFFECT_TIME_OUT);
    assert_int_equal(queue_apply(bench.redis, &elsewhere, &request, &failure), OUTCOME_APPLIED);
    assert_field("q:job:j1", "status", "timeout");
    assert_field("q:worker:w1", "status", "idle");
    assert_field("q:jobs:active:w1", "j1", NULL);
    assert_int_equal(reply_number(DO("HEXISTS", "q:jobs:failed", "j1")), 1);
    request = request_of(EFFECT_COMPLETE);
    request.id = SPAN("0.1.6-1.0.0");
    assert_int_equal(queue_apply(bench.redis, &elsewhere, &request, &failure), OUTCOME_APPLIED);
    assert_int_equal(reply_number(DO("HEXISTS", "q:jobs:completed", "j1")), 1);
}

static void test_queue__only_commands_that_cannot_fail_are_used(void **fixture)
{
    (void)fixture;
    static const char *const allowed[] = {"hset",   "hdel",    "zadd", "zrem",
                                          "expire", "publish", "xadd"};
    for (enum effect_kind kind = EFFECT_REQUEUE; kind < EFFECT_CANCEL; kind++) {
        lay_out(fixture);
        DO("CONFIG", "RESETSTAT");
        assert_int_equal(apply_kind(kind), OUTCOME_APPLIED);
        struct span rest = redis_reply_text(DO("INFO", "commandstats"));
        char lines[8192];
        snprintf(lines, sizeof(lines), "%.*s", SPAN_FORMAT(rest));
        static const char *const looks[] = {
            "type",    "hmget", "hget",        "exists",           "time",
            "evalsha", "eval",  "script|load", "config|resetstat", "info"};
        for (char *line = strstr(lines, "cmdstat_"); line != NULL;
             line = strstr(line + 1, "cmdstat_")) {
            bool is_known = false;
            size_t size = strcspn(line + 8, ":");
            for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
                is_known = is_known ||
                           (strlen(allowed[i]) == size && strncmp(line + 8, allowed[i], size) == 0);
            }
            for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
                is_known = is_known ||
                           (strlen(looks[i]) == size && strncmp(line + 8, looks[i], size) == 0);
            }
            if (!is_known) {
                fail_msg("%.*s is used", (int)size, line + 8);
            }
        }
    }
}

#define ON_QUEUE(test) cmocka_unit_test_setup(test, lay_out)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_QUEUE(test_queue__requeue_puts_the_job_back_in_order),
        ON_QUEUE(test_queue__the_score_follows_workflow_then_job),
        ON_QUEUE(test_queue__a_job_without_a_time_is_put_back_as_new),
        ON_QUEUE(test_queue__what_gives_no_score_is_left_alone),
        ON_QUEUE(test_queue__the_same_effect_is_applied_once),
        ON_QUEUE(test_queue__another_token_is_stale),
        ON_QUEUE(test_queue__what_was_not_told_is_not_compared),
        ON_QUEUE(test_queue__an_absent_job_is_gone),
        ON_QUEUE(test_queue__wrong_types_are_named_and_left_alone),
        ON_QUEUE(test_queue__a_long_key_is_told_in_part),
        ON_QUEUE(test_queue__a_missing_right_changes_nothing),
        ON_QUEUE(test_queue__a_foreign_epoch_or_stream_changes_nothing),
        ON_QUEUE(test_queue__complete_marks_and_takes_every_copy_back),
        ON_QUEUE(test_queue__complete_needs_no_token),
        ON_QUEUE(test_queue__complete_respects_the_end_the_job_already_had),
        ON_QUEUE(test_queue__fail_is_final),
        ON_QUEUE(test_queue__time_out_frees_the_worker),
        ON_QUEUE(test_queue__release_compares_the_workers_job),
        ON_QUEUE(test_queue__the_prefix_stands_before_every_key),
        ON_QUEUE(test_queue__only_commands_that_cannot_fail_are_used),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
