/* SPDX-License-Identifier: MIT */
#include "tests/lib/bare_loop.h"

#include <string.h>

#include <hiredis/hiredis.h>

#include "base/check.h"
#include "base/clock.h"
#include "reducers/codec.h"

#define GROUP      "bare"
#define GROUP_SIZE (sizeof(GROUP) - 1)

struct bare_loop {
    redisContext *redis;
    const char *key;
    bool is_acked;
    uint32_t acks; /* replies of XACK still to come */
    struct buffer raw;
};

/* NULL when there is none, or an error; the caller frees it. */
static redisReply *next_reply(struct bare_loop *loop, struct error *error)
{
    void *got = NULL;
    redisGetReply(loop->redis, &got);
    redisReply *reply = got;
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        error_set(error, ERROR_UNREACHABLE, "redis: %s",
                  reply == NULL ? loop->redis->errstr : reply->str);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

static bool pass_replies(struct bare_loop *loop, uint32_t count, struct error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        redisReply *reply = next_reply(loop, error);
        if (reply == NULL) {
            return false;
        }
        freeReplyObject(reply);
    }
    return true;
}

static void ask(struct bare_loop *loop)
{
    redisAppendCommand(loop->redis,
                       loop->is_acked ? "XREADGROUP GROUP " GROUP " c COUNT %d STREAMS %s >"
                                      : "XREADGROUP GROUP " GROUP " c COUNT %d NOACK STREAMS %s >",
                       BARE_LOOP_COUNT, loop->key);
}

static struct span text_of(const redisReply *reply)
{
    return (struct span){reply->str, reply->len};
}

/* As the program does it: the entry's canonical raw form, and that decoded. */
static void decode(struct bare_loop *loop, const redisReply *item)
{
    struct span names[ENTRY_FIELDS_MAX];
    struct span values[ENTRY_FIELDS_MAX];
    const redisReply *fields = item->element[1];
    uint32_t count = 0;
    CHECK(fields->elements / 2 <= ENTRY_FIELDS_MAX);
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        names[count] = text_of(fields->element[i]);
        values[count++] = text_of(fields->element[i + 1]);
    }
    buffer_reset(&loop->raw);
    codec_put_raw(&loop->raw, names, values, count);
    struct entry entry = {.raw = buffer_span(&loop->raw)};
    struct event event;
    struct span field;
    CHECK(stream_id_parse(text_of(item->element[0]), &entry.id));
    CHECK(codec_decode(&entry, &event, &field) == CODEC_NONE);
}

static void acknowledge(struct bare_loop *loop, const redisReply *items)
{
    const char *words[BARE_LOOP_COUNT + 3] = {"XACK", loop->key, GROUP};
    size_t sizes[BARE_LOOP_COUNT + 3] = {4, strlen(loop->key), GROUP_SIZE};
    CHECK(items->elements <= BARE_LOOP_COUNT);
    for (size_t i = 0; i < items->elements; i++) {
        words[i + 3] = items->element[i]->element[0]->str;
        sizes[i + 3] = items->element[i]->element[0]->len;
    }
    redisAppendCommandArgv(loop->redis, (int)items->elements + 3, words, sizes);
    loop->acks++;
}

/* Result: entries of the next reply to a read, 0 on error. */
static uint64_t take_batch(struct bare_loop *loop, struct error *error)
{
    redisReply *reply = next_reply(loop, error);
    while (reply != NULL && reply->type == REDIS_REPLY_INTEGER) {
        loop->acks--;
        freeReplyObject(reply);
        reply = next_reply(loop, error);
    }
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        freeReplyObject(reply);
        return 0;
    }
    const redisReply *items = reply->element[0]->element[1];
    for (size_t i = 0; i < items->elements; i++) {
        decode(loop, items->element[i]);
    }
    if (loop->is_acked) {
        acknowledge(loop, items);
    }
    uint64_t count = items->elements;
    freeReplyObject(reply);
    return count;
}

static bool drain(struct bare_loop *loop, uint64_t entries, struct error *error)
{
    uint64_t seen = 0;
    ask(loop);
    while (seen < entries) {
        ask(loop);
        uint64_t count = take_batch(loop, error);
        if (count == 0) {
            return false;
        }
        seen += count;
    }
    /* The request that finds nothing, and the acknowledgements. */
    return pass_replies(loop, loop->acks + 1, error);
}

bool bare_loop_drain(const char *socket, const char *key, uint64_t entries, bool is_acked,
                     uint64_t *took_ns, struct error *error)
{
    struct bare_loop loop = {.key = key, .is_acked = is_acked};
    error_set(error, ERROR_UNREACHABLE, "the stream is shorter than it was told");
    loop.redis = redisConnectUnix(socket);
    CHECK(loop.redis != NULL);
    redisAppendCommand(loop.redis, "XGROUP CREATE %s " GROUP " 0", key);
    bool is_fine = pass_replies(&loop, 1, error);
    uint64_t start_ns = clock_boot_ns();
    is_fine = is_fine && drain(&loop, entries, error);
    *took_ns = clock_boot_ns() - start_ns;
    redisAppendCommand(loop.redis, "XGROUP DESTROY %s " GROUP, key);
    is_fine = is_fine && pass_replies(&loop, 1, error);
    redisFree(loop.redis);
    buffer_fini(&loop.raw);
    return is_fine;
}
