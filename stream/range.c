/* SPDX-License-Identifier: MIT */
#include "stream/range.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "stream/reader.h"
#include "stream/redis.h"

#define COUNT_MAX_OF_READ 1000
#define BLOCK_MS          100
#define WITNESS_MS        250 /* the stream is asked for its count so often */
#define HELD_COUNT_MAX    500000
#define HELD_SIZE_MAX     ((size_t)512 << 20) /* of entries read that are not counted yet */

/* What Redis said of the stream at some moment. */
struct witness {
    uint64_t added, length; /* entries ever added; entries that are there */
    struct stream_id last;  /* id of the last one added */
};

struct stream_range {
    struct stream_range_config config;
    struct redis *redis;          /* owned; for questions about the stream */
    struct stream_reader *reader; /* owned */
    struct batch read;            /* what the reader gave */
    struct batch held;            /* read, and not handed over before it is counted */
    size_t held_size;
    uint64_t ordinal;          /* entries handed over: all of them are counted */
    struct stream_id position; /* of the last entry read */
    struct witness first;      /* when it was opened */
    struct witness witness;    /* checked once the position has come to it */
    bool has_witness, has_stream;
    uint32_t reads; /* that came since; the first may have been under way before */
    uint64_t asked_boot_ms;
};

/* Of a reply that is a list of names and values. */
static const struct redis_reply *named(const struct redis_reply *reply, const char *name)
{
    for (uint32_t i = 0; i + 1 < redis_reply_count(reply); i += 2) {
        if (span_is(redis_reply_text(redis_reply_at(reply, i)), name)) {
            return redis_reply_at(reply, i + 1);
        }
    }
    return NULL;
}

/* Asks the stream. One that is not there yet is an empty one to who follows it. */
static bool ask_witness(struct stream_range *range, struct witness *witness, struct error *error)
{
    const char *stream = range->config.stream;
    const struct redis_reply *reply =
        redis_ask(range->redis, error, "XINFO", "STREAM", stream, NULL);
    range->asked_boot_ms = clock_boot_ms();
    *witness = (struct witness){0};
    if (reply == NULL && strstr(error->message, "no such key") != NULL && !range->has_stream) {
        return range->config.is_followed ||
               error_set(error, ERROR_REFUSED,
                         "there is no stream %s in this Redis database: look at --partition, "
                         "--prefix and the database's number in the URL (--follow waits for it)",
                         stream);
    }
    if (reply == NULL) {
        return error_wrap(error, "%s", stream);
    }
    const struct redis_reply *last = named(reply, "last-generated-id");
    if (named(reply, "entries-added") == NULL ||
        !stream_id_parse(redis_reply_text(last), &witness->last)) {
        return error_set(error, ERROR_REFUSED,
                         "%s: XINFO STREAM does not tell entries-added: needs Redis or Valkey 7.0 "
                         "or newer",
                         stream);
    }
    witness->added = redis_reply_number(named(reply, "entries-added"));
    witness->length = redis_reply_number(named(reply, "length"));
    range->has_stream = true;
    return true;
}

static bool check_beginning(const struct stream_range *range, struct error *error)
{
    const struct witness *first = &range->first;
    return first->added == first->length ||
           error_set(error, ERROR_HISTORY,
                     "%s: %" PRIu64 " of the %" PRIu64 " entries ever added are gone, so no state "
                     "can be told; take the captures under DATA/capture-P of the instance that ran",
                     range->config.stream, first->added - first->length, first->added);
}

/* How many of what is held lie up to the id. */
static uint32_t held_up_to(const struct stream_range *range, struct stream_id id)
{
    uint32_t count = range->held.count;
    while (count > 0 && stream_id_compare(range->held.entries[count - 1].id, id) > 0) {
        count--;
    }
    return count;
}

/* Hands the first `count` of what is held over; the others stay. */
static void release(struct stream_range *range, uint32_t count, struct batch *batch)
{
    struct batch rest = {0};
    range->held_size = 0;
    for (uint32_t i = 0; i < range->held.count; i++) {
        const struct entry *entry = &range->held.entries[i];
        struct batch *to = i < count ? batch : &rest;
        batch_add(to, entry->id, arena_copy(&to->arena, entry->raw));
        range->held_size += i < count ? 0 : entry->raw.size;
    }
    batch_fini(&range->held);
    range->held = rest;
    range->ordinal += count;
}

static bool refuse_other_stream(const struct stream_range *range, uint64_t read, uint64_t added,
                                struct error *error)
{
    return error_set(error, ERROR_HISTORY,
                     "%s: it is not the stream any more that was read: %" PRIu64
                     " entries were read, it counts %" PRIu64,
                     range->config.stream, read, added);
}

/* The position has come to the witness, or past it: every entry up to there was read. */
static bool check_witness(struct stream_range *range, struct batch *batch, struct error *error)
{
    const struct witness *witness = &range->witness;
    uint32_t count = held_up_to(range, witness->last);
    uint64_t read = range->ordinal + count;
    range->has_witness = false;
    if (read < witness->added) {
        return error_set(error, ERROR_HISTORY,
                         "%s: %" PRIu64 " entries were trimmed or deleted before they were read, "
                         "behind ordinal %" PRIu64,
                         range->config.stream, witness->added - read, range->ordinal);
    }
    if (read > witness->added) {
        return refuse_other_stream(range, read, witness->added, error);
    }
    release(range, count, batch);
    return true;
}

/* Asks the stream how much it ever held. As long as nothing is gone of it nothing can be missing
 * in what was read; else the count tells, once the position has come to it. */
static bool take_witness(struct stream_range *range, struct batch *batch, struct error *error)
{
    struct witness witness;
    if (!ask_witness(range, &witness, error)) {
        return false;
    }
    uint64_t read = range->ordinal + range->held.count;
    if (read > witness.added) {
        return refuse_other_stream(range, read, witness.added, error);
    }
    if (witness.added == witness.length) {
        bool is_followed = range->config.is_followed;
        release(range, is_followed ? range->held.count : held_up_to(range, range->first.last),
                batch);
    } else if (!range->has_witness) {
        range->witness = witness;
        range->has_witness = true;
        range->reads = 0;
    }
    return true;
}

struct stream_range *stream_range_open(const struct stream_range_config *config,
                                       struct error *error)
{
    struct stream_range *range = mem_zero(sizeof(*range));
    struct stream_reader_config reader = {
        .url = config->url,
        .stream = config->stream,
        .count_max = COUNT_MAX_OF_READ,
        .block_ms = BLOCK_MS,
        .reply_goal = READER_REPLY_GOAL,
    };
    range->config = *config;
    range->reader = stream_reader_create(&reader);
    range->redis = redis_open(config->url, REDIS_COMMAND_MS, error);
    if (range->redis == NULL || !ask_witness(range, &range->first, error)) {
        goto close;
    }
    range->witness = range->first;
    range->has_witness = true;
    if (!check_beginning(range, error) ||
        !stream_reader_follow(range->reader, range->position, error)) {
        goto close;
    }
    return range;
close:
    stream_range_close(range);
    return NULL;
}

void stream_range_close(struct stream_range *range)
{
    if (range == NULL) {
        return;
    }
    stream_reader_destroy(range->reader);
    redis_close(range->redis);
    batch_fini(&range->read);
    batch_fini(&range->held);
    mem_free(range);
}

uint64_t stream_range_total(const struct stream_range *range)
{
    return range->first.added;
}

/* Holds what was read; gives what the witness counts. */
static bool hold(struct stream_range *range, struct batch *batch, struct error *error)
{
    for (uint32_t i = 0; i < range->read.count; i++) {
        const struct entry *entry = &range->read.entries[i];
        batch_add(&range->held, entry->id, arena_copy(&range->held.arena, entry->raw));
        range->held_size += entry->raw.size;
        range->position = entry->id;
    }
    if (range->held_size > HELD_SIZE_MAX || range->held.count > HELD_COUNT_MAX) {
        return error_set(error, ERROR_HISTORY,
                         "%s: it is trimmed while it is read, and %" PRIu32 " entries behind "
                         "ordinal %" PRIu64 " cannot be counted before more are held than allowed",
                         range->config.stream, range->held.count, range->ordinal);
    }
    /* A read that began behind the witness and found less than it asked for: what is missing up
     * to there will not come. */
    bool is_all = stream_id_compare(range->position, range->witness.last) >= 0 ||
                  (range->reads > 1 && range->read.is_caught_up);
    return !range->has_witness || !is_all || check_witness(range, batch, error);
}

enum stream_range_next stream_range_read(struct stream_range *range, struct batch *batch,
                                         struct error *error)
{
    if (!range->config.is_followed && !range->has_witness) {
        return RANGE_END;
    }
    if (clock_boot_ms() - range->asked_boot_ms >= WITNESS_MS &&
        !take_witness(range, batch, error)) {
        return RANGE_ERROR;
    }
    batch_reset(&range->read);
    switch (stream_reader_wait(range->reader, -1, clock_boot_ms() + 2 * BLOCK_MS, &range->read,
                               error)) {
    case READER_BATCH:
        range->reads++;
        return hold(range, batch, error) ? RANGE_BATCH : RANGE_ERROR;
    case READER_FAILED:
        return RANGE_ERROR;
    default:
        return RANGE_BATCH;
    }
}
