/* SPDX-License-Identifier: MIT */
#include "stream/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "reducers/codec.h"
#include "stream/redis.h"
#include "tests/lib/redis_server.h"
#include "tests/lib/reply.h"

#define STREAM  "salvor:{0}:events"
#define CONTROL "salvor:{0}:ctl"
#define META    "salvor:meta"

struct bench {
    struct redis_server *server;
    struct redis *admin;
};

/* A command that must succeed, on the test's own connection. */
#define DO(bench, ...) do_command((bench), redis_ask((bench)->admin, &failure, __VA_ARGS__, NULL))

static struct error failure;

static const struct redis_reply *do_command(const struct bench *bench,
                                            const struct redis_reply *reply)
{
    (void)bench;
    if (reply == NULL) {
        fail_msg("%s", failure.message);
    }
    return reply;
}

static int set_up(void **fixture)
{
    struct bench *bench = mem_zero(sizeof(*bench));
    bench->server = redis_server_start(NULL);
    bench->admin = redis_open(redis_server_url(bench->server), 2000, &failure);
    assert_non_null(bench->admin);
    *fixture = bench;
    return 0;
}

static int tear_down(void **fixture)
{
    struct bench *bench = *fixture;
    redis_close(bench->admin);
    redis_server_remove(bench->server);
    mem_free(bench);
    return 0;
}

static struct lead *lead_of(const struct bench *bench, const char *owner)
{
    return lead_create(&(struct lead_config){.url = redis_server_url(bench->server),
                                             .prefix = "salvor",
                                             .owner = owner,
                                             .partitions = 1,
                                             .lease_ms = 5000,
                                             .reducers = 1});
}

static const struct lead_standing nothing_folded = {0};

/* XADD of a heartbeat of worker `w` under the id. */
static void add_entry(const struct bench *bench, const char *id)
{
    DO(bench, "XADD", STREAM, id, "type", "worker.heartbeat", "worker", "w");
}

static struct sha256 heartbeat_anchor(void)
{
    const struct span names[] = {SPAN("type"), SPAN("worker")};
    const struct span values[] = {SPAN("worker.heartbeat"), SPAN("w")};
    struct buffer raw = {0};
    codec_put_raw(&raw, names, values, 2);
    struct sha256 anchor = sha256_of(buffer_span(&raw));
    buffer_fini(&raw);
    return anchor;
}

static void assert_text(const struct redis_reply *reply, const char *text)
{
    struct span found = redis_reply_text(reply);
    if (!span_is(found, text)) {
        fail_msg("found '%.*s', wanted '%s'", SPAN_FORMAT(found), text);
    }
}

static void assert_control(const struct bench *bench, const char *field, const char *text)
{
    assert_text(DO(bench, "HGET", CONTROL, field), text);
}

/* The value of a field of the newest entry, as a copy; empty when absent. */
static struct buffer newest_field(const struct bench *bench, const char *name)
{
    const struct redis_reply *reply = DO(bench, "XREVRANGE", STREAM, "+", "-", "COUNT", "1");
    const struct redis_reply *fields = redis_reply_at(redis_reply_at(reply, 0), 1);
    struct buffer value = {0};
    for (uint32_t i = 0; i + 1 < redis_reply_count(fields); i += 2) {
        if (span_is(redis_reply_text(redis_reply_at(fields, i)), name)) {
            buffer_put_span(&value, redis_reply_text(redis_reply_at(fields, i + 1)));
        }
    }
    buffer_put_byte(&value, 0);
    return value;
}

static void assert_newest(const struct bench *bench, const char *name, const char *text)
{
    struct buffer value = newest_field(bench, name);
    assert_string_equal(value.data, text);
    buffer_fini(&value);
}

static uint64_t newest_number(const struct bench *bench, const char *name)
{
    struct buffer value = newest_field(bench, name);
    uint64_t number = strtoull(value.data, NULL, 10);
    buffer_fini(&value);
    return number;
}

static uint64_t redis_now_ms(const struct bench *bench)
{
    const struct redis_reply *time = DO(bench, "TIME");
    uint64_t seconds = 0;
    uint64_t micros = 0;
    assert_true(span_to_number(redis_reply_text(redis_reply_at(time, 0)), UINT64_MAX, &seconds));
    assert_true(span_to_number(redis_reply_text(redis_reply_at(time, 1)), UINT64_MAX, &micros));
    return seconds * 1000 + micros / 1000;
}

/* Everything that stands in stream and control hash, groups included. */
static struct buffer dump(const struct bench *bench)
{
    struct buffer bytes = {0};
    buffer_put_sized(&bytes, redis_reply_text(DO(bench, "DUMP", STREAM)));
    buffer_put_sized(&bytes, redis_reply_text(DO(bench, "DUMP", CONTROL)));
    return bytes;
}

/* The names of the stream's groups, one a line. */
static struct buffer group_names(const struct bench *bench)
{
    struct buffer names = {0};
    const struct redis_reply *groups = DO(bench, "XINFO", "GROUPS", STREAM);
    for (uint32_t i = 0; i < redis_reply_count(groups); i++) {
        buffer_put_span(&names, redis_reply_text(redis_reply_at(redis_reply_at(groups, i), 1)));
        buffer_put_byte(&names, '\n');
    }
    buffer_put_byte(&names, 0);
    return names;
}

static void assert_groups(const struct bench *bench, const char *wanted)
{
    struct buffer names = group_names(bench);
    assert_string_equal(names.data, wanted);
    buffer_fini(&names);
}

static void test_lead__a_fresh_stream_is_taken(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    assert_int_equal(lead_epoch(lead), 0);
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    assert_int_equal(lead_epoch(lead), 1);
    assert_string_equal(lead_group(lead), "salvor.1.1");
    assert_string_equal(lead_stream(lead), STREAM);
    assert_string_equal(lead_control(lead), CONTROL);
    assert_groups(bench, "salvor.1.1\n");
    static const char *const fields[][2] = {{"type", "epoch"}, {"epoch", "1"},    {"owner", "me"},
                                            {"timeline", "1"}, {"reducers", "1"}, {"ordinal", "0"},
                                            {"gap_ms", "0"}};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        assert_newest(bench, fields[i][0], fields[i][1]);
    }
    uint64_t now_ms = redis_now_ms(bench);
    assert_in_range(newest_number(bench, "wall_ms"), now_ms - 5000, now_ms);
    assert_control(bench, "owner", "me");
    assert_control(bench, "epoch", "1");
    assert_control(bench, "k", "0");
    assert_control(bench, "timeline", "1");
    lead_destroy(lead);
    lead_destroy(NULL);
}

static void test_lead__the_own_lease_is_retaken_and_only_own_groups_go(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *first = lead_of(bench, "me");
    assert_true(lead_take_over(first, &nothing_folded, &failure));
    static const char *const others[] = {"mine",       "salvor.1",   "salvor.1.1.1",
                                         "salvor.x.1", "salvorx1.1", "other.1.1"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        DO(bench, "XGROUP", "CREATE", STREAM, others[i], "$");
    }
    DO(bench, "XGROUP", "CREATE", STREAM, "salvor.77.3", "$");
    struct lead *second = lead_of(bench, "me");
    assert_true(lead_take_over(second, &nothing_folded, &failure));
    assert_int_equal(lead_epoch(second), 2);
    assert_newest(bench, "ordinal", "1");
    assert_groups(bench, "mine\nother.1.1\nsalvor.1\nsalvor.1.1.1\nsalvor.2.1\nsalvor.x.1\n"
                         "salvorx1.1\n");
    lead_destroy(first);
    lead_destroy(second);
}

static void test_lead__another_owners_lease_is_respected(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *first = lead_of(bench, "me");
    struct lead *second = lead_of(bench, "you");
    assert_true(lead_take_over(first, &nothing_folded, &failure));
    struct buffer before = dump(bench);
    assert_false(lead_take_over(second, &nothing_folded, &failure));
    assert_int_equal(failure.code, ERROR_BUSY);
    assert_non_null(strstr(failure.message, "me"));
    struct buffer after = dump(bench);
    assert_true(span_equal(buffer_span(&before), buffer_span(&after)));
    assert_true(lead_give_back(first, &failure));
    assert_true(lead_take_over(second, &nothing_folded, &failure));
    assert_int_equal(lead_epoch(second), 2);
    buffer_fini(&before);
    buffer_fini(&after);
    lead_destroy(first);
    lead_destroy(second);
}

static void test_lead__a_zombie_can_do_nothing(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *zombie = lead_of(bench, "me");
    struct lead *leader = lead_of(bench, "you");
    struct lead_witness witness;
    assert_true(lead_take_over(zombie, &nothing_folded, &failure));
    DO(bench, "HSET", CONTROL, "exp", "0");
    assert_true(lead_take_over(leader, &nothing_folded, &failure));
    struct buffer before = dump(bench);
    assert_int_equal(lead_tick(zombie, 250, 0, &witness, &failure), LEAD_FAILED);
    assert_int_equal(failure.code, ERROR_FENCED);
    assert_false(lead_replace_group(zombie, &nothing_folded, &failure));
    assert_int_equal(failure.code, ERROR_FENCED);
    assert_false(lead_renew(zombie, &failure));
    assert_int_equal(failure.code, ERROR_FENCED);
    assert_false(lead_give_back(zombie, &failure));
    assert_int_equal(failure.code, ERROR_FENCED);
    assert_null(redis_ask(bench->admin, &failure, "XREADGROUP", "GROUP", "salvor.1.1", "leader",
                          "NOACK", "STREAMS", STREAM, ">", NULL));
    assert_int_equal(failure.code, ERROR_FENCED);
    assert_memory_equal(failure.message, "NOGROUP", 7);
    struct buffer after = dump(bench);
    assert_true(span_equal(buffer_span(&before), buffer_span(&after)));
    buffer_fini(&before);
    buffer_fini(&after);
    lead_destroy(zombie);
    lead_destroy(leader);
}

static void test_lead__the_same_owner_under_an_older_epoch_is_fenced(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *first = lead_of(bench, "me");
    struct lead *second = lead_of(bench, "me");
    struct lead_witness witness;
    assert_true(lead_take_over(first, &nothing_folded, &failure));
    assert_true(lead_take_over(second, &nothing_folded, &failure));
    assert_int_equal(lead_tick(first, 250, 0, &witness, &failure), LEAD_FAILED);
    assert_int_equal(failure.code, ERROR_FENCED);
    assert_int_equal(lead_tick(second, 250, 0, &witness, &failure), LEAD_APPENDED);
    lead_destroy(first);
    lead_destroy(second);
}

static void test_lead__a_tick_renews_the_lease_and_bears_witness(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    struct lead_witness witness;
    add_entry(bench, "5-1");
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    DO(bench, "HSET", CONTROL, "exp", "1");
    assert_int_equal(lead_tick(lead, 250, 70, &witness, &failure), LEAD_APPENDED);
    assert_int_equal(witness.added, 2);
    assert_int_equal(stream_id_compare(witness.last, lead_epoch_id(lead)), 0);
    assert_newest(bench, "type", "tick");
    assert_newest(bench, "elapsed_ms", "250");
    assert_newest(bench, "gap_ms", "70");
    assert_newest(bench, "owner", "me");
    assert_newest(bench, "epoch", "1");
    uint64_t now_ms = redis_now_ms(bench);
    assert_in_range(newest_number(bench, "wall_ms"), now_ms - 5000, now_ms);
    struct buffer id = {0};
    stream_id_put(&id, witness.id);
    buffer_put_byte(&id, 0);
    assert_control(bench, "tick", id.data);
    assert_control(bench, "k", "1");
    uint64_t end_ms = 0;
    assert_true(
        span_to_number(redis_reply_text(DO(bench, "HGET", CONTROL, "exp")), UINT64_MAX, &end_ms));
    assert_in_range(end_ms, now_ms, now_ms + 5000);
    buffer_fini(&id);
    lead_destroy(lead);
}

static void test_lead__the_lease_is_renewed_and_ended(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    DO(bench, "HSET", CONTROL, "exp", "1");
    assert_true(lead_renew(lead, &failure));
    uint64_t now_ms = redis_now_ms(bench);
    uint64_t end_ms = 0;
    assert_true(
        span_to_number(redis_reply_text(DO(bench, "HGET", CONTROL, "exp")), UINT64_MAX, &end_ms));
    assert_in_range(end_ms, now_ms, now_ms + 5000);
    assert_true(lead_give_back(lead, &failure));
    assert_control(bench, "exp", "0");
    /* Also when memory is short: a lead must not be lost for that. */
    DO(bench, "CONFIG", "SET", "maxmemory", "1");
    assert_true(lead_renew(lead, &failure));
    assert_true(lead_give_back(lead, &failure));
    DO(bench, "CONFIG", "SET", "maxmemory", "0");
    DO(bench, "DEL", CONTROL);
    assert_false(lead_renew(lead, &failure));
    assert_int_equal(failure.code, ERROR_HISTORY);
    assert_false(lead_replace_group(lead, &nothing_folded, &failure));
    assert_int_equal(failure.code, ERROR_HISTORY);
    assert_int_equal(reply_number(DO(bench, "EXISTS", CONTROL)), 0);
    lead_destroy(lead);
}

static void test_lead__an_append_of_unknown_outcome_is_there_once(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    struct lead_witness witness;
    const struct span names[] = {SPAN("type"), SPAN("name")};
    const struct span first[] = {SPAN("test"), SPAN("first")};
    const struct span second[] = {SPAN("test"), SPAN("second")};
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    assert_int_equal(lead_tick(lead, 250, 0, &witness, &failure), LEAD_APPENDED);
    kill(redis_server_pid(bench->server), SIGSTOP);
    /* The command waits in the socket: it is carried out when the server goes on. */
    assert_int_equal(lead_append(lead, names, first, 2, &witness, &failure), LEAD_KEPT);
    assert_int_equal(failure.code, ERROR_UNREACHABLE);
    kill(redis_server_pid(bench->server), SIGCONT);
    /* It had arrived: its id is not told any more, but a bound of it. */
    assert_int_equal(lead_settle(lead, &witness, &failure), LEAD_APPENDED);
    assert_true(stream_id_is_zero(witness.id));
    struct stream_id bound = witness.last;
    assert_int_equal(lead_settle(lead, &witness, &failure), LEAD_APPENDED);
    assert_true(stream_id_is_zero(witness.last));
    assert_int_equal(lead_append(lead, names, second, 2, &witness, &failure), LEAD_APPENDED);
    assert_int_equal(stream_id_compare(witness.last, bound), 0);
    assert_int_equal(reply_number(DO(bench, "XLEN", STREAM)), 4);
    assert_newest(bench, "name", "second");
    assert_int_equal(witness.added, 3);
    assert_control(bench, "k", "3");
    lead_destroy(lead);
}

static void test_lead__an_append_lost_with_the_server_is_sent_again(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    struct lead_witness witness;
    const struct span names[] = {SPAN("type")};
    const struct span values[] = {SPAN("test")};
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    DO(bench, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    /* Nothing of it reached the server. */
    assert_int_equal(lead_append(lead, names, values, 1, &witness, &failure), LEAD_KEPT);
    assert_int_equal(reply_number(DO(bench, "XLEN", STREAM)), 1);
    assert_int_equal(lead_tick(lead, 250, 0, &witness, &failure), LEAD_APPENDED);
    assert_int_equal(reply_number(DO(bench, "XLEN", STREAM)), 3);
    assert_newest(bench, "type", "tick");
    lead_destroy(lead);
}

static void test_lead__k_out_of_order_is_refused(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    struct lead_witness witness;
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    assert_int_equal(lead_tick(lead, 250, 0, &witness, &failure), LEAD_APPENDED);
    DO(bench, "HSET", CONTROL, "k", "0");
    assert_int_equal(lead_tick(lead, 250, 0, &witness, &failure), LEAD_FAILED);
    assert_int_equal(failure.code, ERROR_HISTORY);
    DO(bench, "HSET", CONTROL, "k", "2");
    assert_int_equal(lead_tick(lead, 250, 0, &witness, &failure), LEAD_APPENDED);
    assert_true(stream_id_is_zero(witness.id));
    assert_int_equal(reply_number(DO(bench, "XLEN", STREAM)), 2);
    DO(bench, "DEL", CONTROL);
    assert_int_equal(lead_tick(lead, 250, 0, &witness, &failure), LEAD_FAILED);
    assert_int_equal(failure.code, ERROR_HISTORY);
    lead_destroy(lead);
}

static void test_lead__a_shortage_of_memory_changes_nothing(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    struct lead_witness witness;
    DO(bench, "CONFIG", "SET", "maxmemory", "1");
    assert_false(lead_take_over(lead, &nothing_folded, &failure));
    assert_int_equal(failure.code, ERROR_BUSY);
    assert_int_equal(reply_number(DO(bench, "DBSIZE")), 0);
    DO(bench, "CONFIG", "SET", "maxmemory", "0");
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    DO(bench, "CONFIG", "SET", "maxmemory", "1");
    assert_int_equal(lead_tick(lead, 250, 0, &witness, &failure), LEAD_NOT_NOW);
    assert_int_equal(failure.code, ERROR_BUSY);
    DO(bench, "CONFIG", "SET", "maxmemory", "0");
    assert_int_equal(lead_tick(lead, 500, 0, &witness, &failure), LEAD_APPENDED);
    assert_int_equal(reply_number(DO(bench, "XLEN", STREAM)), 2);
    lead_destroy(lead);
}

static void test_lead__a_replaced_group_stands_at_the_folded_position(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    struct sha256 anchor = heartbeat_anchor();
    add_entry(bench, "5-1");
    add_entry(bench, "5-2");
    struct lead_standing standing = {.position = {5, 1}, .ordinal = 1, .anchor = &anchor};
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    DO(bench, "XREADGROUP", "GROUP", lead_group(lead), "leader", "NOACK", "STREAMS", STREAM, ">");
    assert_true(lead_replace_group(lead, &standing, &failure));
    assert_string_equal(lead_group(lead), "salvor.1.2");
    assert_groups(bench, "salvor.1.2\n");
    const struct redis_reply *group = redis_reply_at(DO(bench, "XINFO", "GROUPS", STREAM), 0);
    assert_text(redis_reply_at(group, 7), "5-1");
    assert_int_equal(reply_number(redis_reply_at(group, 9)), 1);
    const struct redis_reply *reply = DO(bench, "XREADGROUP", "GROUP", lead_group(lead), "leader",
                                         "NOACK", "STREAMS", STREAM, ">");
    assert_int_equal(redis_reply_count(redis_reply_at(redis_reply_at(reply, 0), 1)), 2);
    /* Without the group, as after an operator's XGROUP DESTROY, it is made anew as well. */
    DO(bench, "XGROUP", "DESTROY", STREAM, lead_group(lead));
    assert_true(lead_replace_group(lead, &standing, &failure));
    assert_groups(bench, "salvor.1.3\n");
    DO(bench, "DEL", STREAM);
    assert_false(lead_replace_group(lead, &standing, &failure));
    assert_int_equal(failure.code, ERROR_HISTORY);
    lead_destroy(lead);
}

static void test_lead__the_gap_is_measured_by_redis(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    char wall[32];
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    static const struct {
        uint64_t ago_ms;
        bool is_ahead;
        uint64_t least_ms, most_ms;
    } rows[] = {{40000, false, 40000, 45000},
                {700000, false, LEAD_GAP_MAX_MS, LEAD_GAP_MAX_MS},
                {40000, true, 0, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t now_ms = redis_now_ms(bench);
        uint64_t wall_ms = rows[i].is_ahead ? now_ms + rows[i].ago_ms : now_ms - rows[i].ago_ms;
        snprintf(wall, sizeof(wall), "%llu", (unsigned long long)wall_ms);
        DO(bench, "HSET", CONTROL, "wall", wall);
        assert_true(lead_take_over(lead, &nothing_folded, &failure));
        assert_in_range(newest_number(bench, "gap_ms"), rows[i].least_ms, rows[i].most_ms);
    }
    lead_destroy(lead);
}

static void test_lead__epoch_and_timeline_never_go_back(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    DO(bench, "HSET", CONTROL, "epoch", "41", "timeline", "3");
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    assert_int_equal(lead_epoch(lead), 42);
    assert_newest(bench, "timeline", "3");
    struct lead_standing standing = nothing_folded;
    standing.epoch = 42;
    standing.timeline = 5;
    assert_true(lead_take_over(lead, &standing, &failure));
    assert_int_equal(lead_epoch(lead), 43);
    assert_newest(bench, "timeline", "5");
    lead_destroy(lead);
}

/* A stream as it can be found, where it was folded up to, and whether that can be gone on from. */
struct history_row {
    const char *name;
    const char *ids[7];     /* added in turn */
    const char *deleted[3]; /* XDEL */
    const char *trimmed_to; /* XTRIM MAXLEN */
    struct stream_id position;
    uint64_t ordinal;
    bool has_other_bytes, is_good;
};

static const struct history_row history_rows[] = {
    {.name = "all folded",
     .ids = {"1-1", "2-1"},
     .position = {2, 1},
     .ordinal = 2,
     .is_good = true},
    {.name = "some unread",
     .ids = {"1-1", "2-1"},
     .position = {1, 1},
     .ordinal = 1,
     .is_good = true},
    {.name = "none read yet", .ids = {"1-1", "2-1"}, .is_good = true},
    {.name = "folded ones trimmed",
     .ids = {"1-1", "2-1", "3-1"},
     .trimmed_to = "1",
     .position = {2, 1},
     .ordinal = 2,
     .is_good = true},
    {.name = "all folded, all trimmed",
     .ids = {"1-1", "2-1"},
     .trimmed_to = "0",
     .position = {2, 1},
     .ordinal = 2,
     .is_good = true},
    {.name = "the anchor deleted",
     .ids = {"1-1", "2-1", "3-1"},
     .deleted = {"2-1"},
     .position = {2, 1},
     .ordinal = 2,
     .is_good = true},
    {.name = "a folded one deleted later than the position",
     .ids = {"1-1", "2-1", "3-1"},
     .deleted = {"1-1"},
     .position = {2, 1},
     .ordinal = 2,
     .is_good = true},
    {.name = "other bytes",
     .ids = {"1-1", "2-1"},
     .position = {2, 1},
     .ordinal = 2,
     .has_other_bytes = true},
    {.name = "the anchor was never there", .ids = {"1-1", "3-1"}, .position = {2, 1}, .ordinal = 1},
    {.name = "an unread one trimmed",
     .ids = {"1-1", "2-1", "3-1", "4-1"},
     .trimmed_to = "1",
     .position = {2, 1},
     .ordinal = 2},
    {.name = "all unread ones trimmed",
     .ids = {"1-1", "2-1", "3-1"},
     .trimmed_to = "0",
     .position = {2, 1},
     .ordinal = 2},
    {.name = "an unread one deleted",
     .ids = {"1-1", "2-1", "3-1", "4-1"},
     .deleted = {"3-1"},
     .position = {2, 1},
     .ordinal = 2},
    {.name = "trimmed before it was ever read", .ids = {"1-1", "2-1"}, .trimmed_to = "1"},
    {.name = "fewer entries than folded", .ids = {"1-1", "2-1"}, .position = {2, 1}, .ordinal = 3},
    {.name = "more entries than folded", .ids = {"1-1", "2-1"}, .position = {2, 1}, .ordinal = 1},
    {.name = "ends before the position", .ids = {"1-1", "2-1"}, .position = {2, 2}, .ordinal = 2},
    {.name = "gone", .position = {2, 1}, .ordinal = 2},
    {.name = "large numbers are told apart",
     .ids = {"18446744073709551614-1"},
     .position = {18446744073709551615U, 0},
     .ordinal = 1},
    {.name = "sequences are no words",
     .ids = {"5-9", "5-10"},
     .position = {5, 10},
     .ordinal = 2,
     .is_good = true},
};

static void lay_out(const struct bench *bench, const struct history_row *row)
{
    DO(bench, "FLUSHALL");
    for (size_t i = 0; row->ids[i] != NULL; i++) {
        add_entry(bench, row->ids[i]);
    }
    for (size_t i = 0; row->deleted[i] != NULL; i++) {
        DO(bench, "XDEL", STREAM, row->deleted[i]);
    }
    if (row->trimmed_to != NULL) {
        DO(bench, "XTRIM", STREAM, "MAXLEN", row->trimmed_to);
    }
}

static void test_lead__only_the_folded_stream_is_taken_and_a_refusal_changes_nothing(void **fixture)
{
    const struct bench *bench = *fixture;
    for (size_t i = 0; i < sizeof(history_rows) / sizeof(history_rows[0]); i++) {
        const struct history_row *row = &history_rows[i];
        lay_out(bench, row);
        struct sha256 anchor = heartbeat_anchor();
        anchor.bytes[31] ^= row->has_other_bytes ? 1 : 0;
        struct lead_standing standing = {
            .position = row->position, .ordinal = row->ordinal, .anchor = &anchor};
        struct lead *lead = lead_of(bench, "me");
        struct buffer before = dump(bench);
        bool is_taken = lead_take_over(lead, &standing, &failure);
        struct buffer after = dump(bench);
        if (is_taken != row->is_good) {
            fail_msg("%s: %s", row->name, is_taken ? "taken" : failure.message);
        }
        if (!is_taken) {
            assert_int_equal(failure.code, ERROR_HISTORY);
            assert_true(span_equal(buffer_span(&before), buffer_span(&after)));
        }
        buffer_fini(&before);
        buffer_fini(&after);
        lead_destroy(lead);
    }
}

/* With the folded entry there, an epoch above the stored one was made by hand; without it, the
 * control hash may have lost writes. */
static void test_lead__an_older_stored_epoch_needs_the_anchor(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    struct sha256 anchor = heartbeat_anchor();
    struct lead_standing standing = {
        .position = {1, 1}, .ordinal = 1, .anchor = &anchor, .epoch = 99, .timeline = 7};
    add_entry(bench, "1-1");
    add_entry(bench, "2-1");
    DO(bench, "HSET", CONTROL, "epoch", "2", "owner", "me");
    assert_true(lead_take_over(lead, &standing, &failure));
    assert_int_equal(lead_epoch(lead), 100);
    assert_newest(bench, "epoch", "100");
    assert_newest(bench, "timeline", "7");

    DO(bench, "XDEL", STREAM, "1-1");
    assert_true(lead_take_over(lead, &standing, &failure));
    assert_int_equal(lead_epoch(lead), 101);
    DO(bench, "HSET", CONTROL, "epoch", "98");
    struct buffer before = dump(bench);
    assert_false(lead_take_over(lead, &standing, &failure));
    assert_int_equal(failure.code, ERROR_HISTORY);
    assert_non_null(strstr(failure.message, "older than the folded one"));
    struct buffer after = dump(bench);
    assert_true(span_equal(buffer_span(&before), buffer_span(&after)));
    buffer_fini(&before);
    buffer_fini(&after);
    DO(bench, "DEL", CONTROL);
    assert_false(lead_take_over(lead, &standing, &failure));
    assert_int_equal(failure.code, ERROR_HISTORY);
    lead_destroy(lead);
}

static void test_lead__the_number_of_partitions_is_written_by_who_leads(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    DO(bench, "HSET", META, "partitions", "2");
    struct buffer before = dump(bench);
    assert_false(lead_take_over(lead, &nothing_folded, &failure));
    assert_int_equal(failure.code, ERROR_REFUSED);
    assert_non_null(strstr(failure.message, "says 2, not 1"));
    struct buffer after = dump(bench);
    assert_true(span_equal(buffer_span(&before), buffer_span(&after)));
    buffer_fini(&before);
    buffer_fini(&after);
    DO(bench, "DEL", META);
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    assert_text(DO(bench, "HGET", META, "partitions"), "1");
    lead_destroy(lead);
}

/* Rights that are taken away while it leads: nothing is half done, and all goes on with them. */
static void test_lead__a_missing_right_changes_nothing(void **fixture)
{
    static const char *const rows[] = {"-hset", "-xadd", "-xinfo", "-evalsha", "-type"};
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    struct lead_witness witness;
    assert_true(lead_take_over(lead, &nothing_folded, &failure));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DO(bench, "ACL", "SETUSER", "default", rows[i]);
        struct buffer before = dump(bench);
        assert_int_equal(lead_tick(lead, 250, 0, &witness, &failure), LEAD_NOT_NOW);
        assert_int_equal(failure.code, ERROR_DENIED);
        assert_false(lead_take_over(lead, &nothing_folded, &failure));
        assert_int_equal(failure.code, ERROR_DENIED);
        struct buffer after = dump(bench);
        assert_true(span_equal(buffer_span(&before), buffer_span(&after)));
        buffer_fini(&before);
        buffer_fini(&after);
        DO(bench, "ACL", "SETUSER", "default", "+@all");
    }
    assert_int_equal(lead_tick(lead, 250, 0, &witness, &failure), LEAD_APPENDED);
    assert_int_equal(witness.added, 1);
    lead_destroy(lead);
}

static void test_lead__a_poisoned_stream_changes_nothing(void **fixture)
{
    const struct bench *bench = *fixture;
    struct lead *lead = lead_of(bench, "me");
    add_entry(bench, "18446744073709551615-18446744073709551615");
    assert_false(lead_take_over(lead, &nothing_folded, &failure));
    assert_int_equal(failure.code, ERROR_REFUSED);
    assert_int_equal(reply_number(DO(bench, "EXISTS", CONTROL)), 0);
    assert_groups(bench, "");
    DO(bench, "DEL", STREAM);
    DO(bench, "SET", STREAM, "x");
    assert_false(lead_take_over(lead, &nothing_folded, &failure));
    assert_int_equal(failure.code, ERROR_REFUSED);
    DO(bench, "DEL", STREAM);
    DO(bench, "SET", CONTROL, "x");
    assert_false(lead_take_over(lead, &nothing_folded, &failure));
    assert_int_equal(failure.code, ERROR_REFUSED);
    assert_int_equal(reply_number(DO(bench, "EXISTS", STREAM)), 0);
    lead_destroy(lead);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_lead__a_fresh_stream_is_taken),
        WITH_SERVER(test_lead__the_own_lease_is_retaken_and_only_own_groups_go),
        WITH_SERVER(test_lead__another_owners_lease_is_respected),
        WITH_SERVER(test_lead__a_zombie_can_do_nothing),
        WITH_SERVER(test_lead__the_same_owner_under_an_older_epoch_is_fenced),
        WITH_SERVER(test_lead__a_tick_renews_the_lease_and_bears_witness),
        WITH_SERVER(test_lead__the_lease_is_renewed_and_ended),
        WITH_SERVER(test_lead__an_append_of_unknown_outcome_is_there_once),
        WITH_SERVER(test_lead__an_append_lost_with_the_server_is_sent_again),
        WITH_SERVER(test_lead__k_out_of_order_is_refused),
        WITH_SERVER(test_lead__a_shortage_of_memory_changes_nothing),
        WITH_SERVER(test_lead__a_replaced_group_stands_at_the_folded_position),
        WITH_SERVER(test_lead__the_gap_is_measured_by_redis),
        WITH_SERVER(test_lead__epoch_and_timeline_never_go_back),
        WITH_SERVER(test_lead__only_the_folded_stream_is_taken_and_a_refusal_changes_nothing),
        WITH_SERVER(test_lead__an_older_stored_epoch_needs_the_anchor),
        WITH_SERVER(test_lead__the_number_of_partitions_is_written_by_who_leads),
        WITH_SERVER(test_lead__a_missing_right_changes_nothing),
        WITH_SERVER(test_lead__a_poisoned_stream_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
