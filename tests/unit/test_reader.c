/* SPDX-License-Identifier: MIT */
#include "stream/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "reducers/codec.h"
#include "stream/redis.h"
#include "tests/lib/redis_proxy.h"
#include "tests/lib/redis_server.h"

#define STREAM      "salvor:{0}:events"
#define DEADLINE_MS 10000

struct bench {
    struct redis_server *server;
    struct redis *admin;
    struct stream_reader *reader;
    struct batch batch;
};

static struct error failure;

#define DO(bench, ...) do_command(redis_ask((bench)->admin, &failure, __VA_ARGS__, NULL))

static const struct redis_reply *do_command(const struct redis_reply *reply)
{
    if (reply == NULL) {
        fail_msg("%s", failure.message);
    }
    return reply;
}

static struct stream_reader *reader_of(const char *url, uint32_t count_max, uint64_t block_ms,
                                       size_t reply_goal)
{
    return stream_reader_create(&(struct stream_reader_config){.url = url,
                                                               .stream = STREAM,
                                                               .count_max = count_max,
                                                               .block_ms = block_ms,
                                                               .reply_goal = reply_goal});
}

static int set_up(void **fixture)
{
    struct bench *bench = mem_zero(sizeof(*bench));
    bench->server = redis_server_start(NULL);
    bench->admin = redis_open(redis_server_url(bench->server), 5000, &failure);
    assert_non_null(bench->admin);
    DO(bench, "XGROUP", "CREATE", STREAM, "g", "0-0", "MKSTREAM");
    *fixture = bench;
    return 0;
}

static int tear_down(void **fixture)
{
    struct bench *bench = *fixture;
    stream_reader_destroy(bench->reader);
    batch_fini(&bench->batch);
    redis_close(bench->admin);
    redis_server_remove(bench->server);
    mem_free(bench);
    return 0;
}

static void start(struct bench *bench, uint32_t count_max, uint64_t block_ms)
{
    bench->reader =
        reader_of(redis_server_url(bench->server), count_max, block_ms, READER_REPLY_GOAL);
    assert_true(stream_reader_start(bench->reader, "g", &failure));
}

static enum stream_reader_next wait_for_next(struct bench *bench)
{
    batch_reset(&bench->batch);
    return stream_reader_wait(bench->reader, -1, clock_boot_ms() + DEADLINE_MS, &bench->batch,
                              &failure);
}

static void add_numbered(const struct bench *bench, unsigned count)
{
    char id[32];
    char number[32];
    for (unsigned i = 1; i <= count; i++) {
        snprintf(id, sizeof(id), "%u-1", i);
        snprintf(number, sizeof(number), "%u", i);
        DO(bench, "XADD", STREAM, id, "type", "test", "number", number);
    }
}

static void assert_numbered(const struct entry *entry, uint64_t number)
{
    struct span names[ENTRY_FIELDS_MAX], values[ENTRY_FIELDS_MAX];
    uint32_t count = 0;
    uint64_t found = 0;
    assert_int_equal(entry->id.ms, number);
    assert_int_equal(entry->id.seq, 1);
    assert_true(codec_read_raw(entry->raw, names, values, &count));
    assert_int_equal(count, 2);
    assert_true(span_is(names[0], "type"));
    assert_true(span_is(values[0], "test"));
    assert_true(span_is(names[1], "number"));
    assert_true(span_to_number(values[1], UINT64_MAX, &found));
    assert_int_equal(found, number);
}

static void test_reader__entries_come_in_order_and_in_canonical_form(void **fixture)
{
    struct bench *bench = *fixture;
    add_numbered(bench, 250);
    start(bench, 100, 5000);
    uint64_t number = 0;
    static const uint32_t sizes[] = {100, 100, 50};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(wait_for_next(bench), READER_BATCH);
        assert_int_equal(bench->batch.count, sizes[i]);
        assert_int_equal(bench->batch.is_caught_up, i == 2);
        for (uint32_t j = 0; j < bench->batch.count; j++) {
            assert_numbered(&bench->batch.entries[j], ++number);
        }
    }
    DO(bench, "XADD", STREAM, "251-1", "type", "test", "number", "251");
    assert_int_equal(wait_for_next(bench), READER_BATCH);
    assert_int_equal(bench->batch.count, 1);
    assert_numbered(&bench->batch.entries[0], 251);
}

static void test_reader__any_bytes_come_through(void **fixture)
{
    struct bench *bench = *fixture;
    char large[70000];
    memset(large, '\r', sizeof(large));
    const struct span names[] = {SPAN(""), SPAN("a\0b"), SPAN("a\0b")};
    const struct span values[] = {SPAN("\r\n$5\r\n"), SPAN(""), {large, sizeof(large)}};
    const struct span command[] = {SPAN("XADD"), SPAN(STREAM), SPAN("1-1"), names[0], values[0],
                                   names[1],     values[1],    names[2],    values[2]};
    assert_non_null(redis_call(bench->admin, command, 9, &failure));
    struct buffer raw = {0};
    codec_put_raw(&raw, names, values, 3);
    start(bench, 10, 5000);
    assert_int_equal(wait_for_next(bench), READER_BATCH);
    assert_int_equal(bench->batch.count, 1);
    assert_true(span_equal(bench->batch.entries[0].raw, buffer_span(&raw)));
    buffer_fini(&raw);
}

static bool is_delivered(const struct bench *bench, const char *id)
{
    const struct redis_reply *group = redis_reply_at(DO(bench, "XINFO", "GROUPS", STREAM), 0);
    return span_is(redis_reply_text(redis_reply_at(group, 7)), id);
}

static void test_reader__the_next_read_is_under_way_while_a_batch_is_worked_on(void **fixture)
{
    struct bench *bench = *fixture;
    add_numbered(bench, 3);
    start(bench, 1, 5000);
    assert_int_equal(wait_for_next(bench), READER_BATCH);
    assert_numbered(&bench->batch.entries[0], 1);
    /* Nobody calls the reader here, yet the second entry leaves the server. */
    uint64_t deadline_ms = clock_boot_ms() + DEADLINE_MS;
    while (!is_delivered(bench, "2-1")) {
        assert_true(clock_boot_ms() < deadline_ms);
        poll(NULL, 0, 1);
    }
    /* The first batch is untouched by it. */
    assert_numbered(&bench->batch.entries[0], 1);
    assert_int_equal(wait_for_next(bench), READER_BATCH);
    assert_numbered(&bench->batch.entries[0], 2);
}

static void test_reader__waiting_ends_by_time_by_waking_and_by_the_server(void **fixture)
{
    struct bench *bench = *fixture;
    start(bench, 10, 5000);
    uint64_t begin_ms = clock_boot_ms();
    assert_int_equal(stream_reader_wait(bench->reader, -1, begin_ms + 30, &bench->batch, &failure),
                     READER_TIME);
    assert_in_range(clock_boot_ms() - begin_ms, 30, 4000);
    int wake_fd = eventfd(1, EFD_CLOEXEC);
    assert_int_equal(
        stream_reader_wait(bench->reader, wake_fd, begin_ms + DEADLINE_MS, &bench->batch, &failure),
        READER_WOKEN);
    close(wake_fd);
    stream_reader_destroy(bench->reader);
    start(bench, 10, 20);
    assert_int_equal(wait_for_next(bench), READER_BATCH);
    assert_int_equal(bench->batch.count, 0);
    assert_true(bench->batch.is_caught_up);
}

static void test_reader__a_destroyed_group_is_told(void **fixture)
{
    struct bench *bench = *fixture;
    start(bench, 10, 5000);
    DO(bench, "XGROUP", "DESTROY", STREAM, "g");
    assert_int_equal(wait_for_next(bench), READER_FAILED);
    assert_int_equal(failure.code, ERROR_FENCED);
    assert_int_equal(wait_for_next(bench), READER_FAILED);
    assert_int_equal(failure.code, ERROR_UNREACHABLE);
    assert_true(stream_reader_start(bench->reader, "other", &failure));
    assert_int_equal(wait_for_next(bench), READER_FAILED);
    assert_int_equal(failure.code, ERROR_FENCED);
}

static void test_reader__a_silent_server_is_given_up(void **fixture)
{
    struct bench *bench = *fixture;
    start(bench, 10, 10);
    kill(redis_server_pid(bench->server), SIGSTOP);
    uint64_t begin_ms = clock_boot_ms();
    enum stream_reader_next next = wait_for_next(bench);
    /* What was under way may have been answered before the stop. */
    while (next == READER_BATCH) {
        next = wait_for_next(bench);
    }
    kill(redis_server_pid(bench->server), SIGCONT);
    assert_int_equal(next, READER_FAILED);
    assert_int_equal(failure.code, ERROR_UNREACHABLE);
    assert_in_range(clock_boot_ms() - begin_ms, READER_PATIENCE_MS / 2, READER_PATIENCE_MS * 3);
}

static void test_reader__a_reply_cut_anywhere_gives_nothing(void **fixture)
{
    struct bench *bench = *fixture;
    add_numbered(bench, 3);
    /* The whole reply is longer than the last cut. */
    for (size_t cut = 1; cut < 150; cut++) {
        DO(bench, "XGROUP", "SETID", STREAM, "g", "0-0");
        struct redis_proxy *proxy = redis_proxy_cutting(redis_server_socket(bench->server), cut);
        struct stream_reader *reader =
            reader_of(redis_proxy_url(proxy), 3, 5000, READER_REPLY_GOAL);
        assert_true(stream_reader_start(reader, "g", &failure));
        batch_reset(&bench->batch);
        assert_int_equal(
            stream_reader_wait(reader, -1, clock_boot_ms() + DEADLINE_MS, &bench->batch, &failure),
            READER_FAILED);
        assert_int_equal(failure.code, ERROR_UNREACHABLE);
        assert_int_equal(bench->batch.count, 0);
        stream_reader_destroy(reader);
        redis_proxy_remove(proxy);
    }
}

/* An XREADGROUP reply of one stream up to its list of entries. */
#define HEAD "*1\r\n*2\r\n$1\r\ns\r\n"

static void test_reader__a_hostile_reply_gives_nothing(void **fixture)
{
    struct bench *bench = *fixture;
    static const char *const replies[] = {
        HEAD "*2000000000\r\n",
        HEAD "*2147483648\r\n",
        HEAD "*-7\r\n",
        HEAD "*1\r\n*2\r\n$3\r\n1-1\r\n*2000000000\r\n",
        HEAD "*1\r\n*2\r\n$3\r\n1-1\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
        HEAD "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$-1\r\n",
        HEAD "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n*0\r\n",
        HEAD "*1\r\n*2\r\n$3\r\n1x1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
        HEAD "*1\r\n*2\r\n*0\r\n$3\r\n1-1\r\n",
        HEAD "*1\r\n*3\r\n$3\r\n1-1\r\n*0\r\n*0\r\n",
        HEAD "*1\r\n$3\r\n1-1\r\n",
        HEAD "*2\r\n*2\r\n$3\r\n1-1\r\n*0\r\n*2\r\n$3\r\n1-2\r\n*0\r\n",
        HEAD "*1\r\n*2\r\n$3\r\n1-1\r\n$999999999999\r\n",
        "$5\r\nhello\r\n",
        ":5\r\n",
        "+OK\r\n",
        "nonsense\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
    };
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct redis_proxy *proxy = redis_proxy_saying(span_of(replies[i]));
        struct stream_reader *reader =
            reader_of(redis_proxy_url(proxy), 1, 5000, READER_REPLY_GOAL);
        assert_true(stream_reader_start(reader, "g", &failure));
        batch_reset(&bench->batch);
        enum stream_reader_next next =
            stream_reader_wait(reader, -1, clock_boot_ms() + DEADLINE_MS, &bench->batch, &failure);
        if (next != READER_FAILED || failure.code != ERROR_UNREACHABLE || bench->batch.count != 0) {
            fail_msg("reply %zu: %d, %s", i, (int)next, failure.message);
        }
        stream_reader_destroy(reader);
        redis_proxy_remove(proxy);
    }
}

static void add_texts(struct bench *bench, int count, const char *text)
{
    for (int i = 0; i < count; i++) {
        DO(bench, "XADD", STREAM, "*", "text", text);
    }
}

static void test_reader__large_entries_are_asked_for_few_at_a_time(void **fixture)
{
    struct bench *bench = *fixture;
    char large[3001];
    memset(large, 'x', sizeof(large));
    large[3000] = '\0';
    add_texts(bench, 60, large);
    bench->reader = reader_of(redis_server_url(bench->server), 100, 50, 10000);
    assert_true(stream_reader_start(bench->reader, "g", &failure));
    assert_int_equal(wait_for_next(bench), READER_BATCH);
    assert_int_equal(bench->batch.count, 60);
    /* That was too much: the read under way asks for half as many. */
    add_texts(bench, 1, large);
    assert_int_equal(wait_for_next(bench), READER_BATCH);
    add_texts(bench, 60, large);
    uint32_t most = 0;
    for (uint32_t sum = 0; sum < 60; sum += bench->batch.count) {
        assert_int_equal(wait_for_next(bench), READER_BATCH);
        most = bench->batch.count > most ? bench->batch.count : most;
    }
    assert_in_range(most, 1, 50);
    /* Small ones come many at a time again. */
    add_texts(bench, 300, "1");
    most = 0;
    for (uint32_t sum = 0; sum < 300; sum += bench->batch.count) {
        assert_int_equal(wait_for_next(bench), READER_BATCH);
        most = bench->batch.count > most ? bench->batch.count : most;
    }
    assert_in_range(most, 16, 100);
}

static void test_reader__of_an_oversized_entry_only_the_beginning_is_kept(void **fixture)
{
    struct bench *bench = *fixture;
    const size_t size = (size_t)3 << 20;
    char *huge = mem_zero(size + 1);
    memset(huge, 'y', size);
    DO(bench, "XADD", STREAM, "*", "text", huge, "more", huge);
    add_texts(bench, 1, "small");
    struct span name = SPAN("text"), value = {huge, size};
    struct buffer raw = {0};
    codec_put_raw(&raw, &name, &value, 1);
    raw.data[0] = 2; /* fields */
    bench->reader = reader_of(redis_server_url(bench->server), 100, 50, READER_REPLY_GOAL);
    assert_true(stream_reader_start(bench->reader, "g", &failure));
    assert_int_equal(wait_for_next(bench), READER_BATCH);
    assert_int_equal(bench->batch.count, 2);
    struct span kept = bench->batch.entries[0].raw;
    assert_int_equal(kept.size, ENTRY_KEPT_MAX);
    assert_memory_equal(kept.data, raw.data, ENTRY_KEPT_MAX);
    assert_int_equal(bench->batch.entries[1].raw.size, 1 + 1 + 4 + 1 + 5);
    buffer_fini(&raw);
    mem_free(huge);
}

static void test_reader__an_absent_server_is_unreachable(void **fixture)
{
    (void)fixture;
    struct stream_reader *reader = reader_of("unix:///nowhere/redis.sock", 1, 10, 1000);
    assert_false(stream_reader_start(reader, "g", &failure));
    assert_int_equal(failure.code, ERROR_UNREACHABLE);
    stream_reader_destroy(reader);
    stream_reader_destroy(NULL);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_reader__entries_come_in_order_and_in_canonical_form),
        WITH_SERVER(test_reader__any_bytes_come_through),
        WITH_SERVER(test_reader__the_next_read_is_under_way_while_a_batch_is_worked_on),
        WITH_SERVER(test_reader__waiting_ends_by_time_by_waking_and_by_the_server),
        WITH_SERVER(test_reader__a_destroyed_group_is_told),
        WITH_SERVER(test_reader__a_silent_server_is_given_up),
        WITH_SERVER(test_reader__a_reply_cut_anywhere_gives_nothing),
        WITH_SERVER(test_reader__a_hostile_reply_gives_nothing),
        WITH_SERVER(test_reader__large_entries_are_asked_for_few_at_a_time),
        WITH_SERVER(test_reader__of_an_oversized_entry_only_the_beginning_is_kept),
        cmocka_unit_test(test_reader__an_absent_server_is_unreachable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
