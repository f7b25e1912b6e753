/* SPDX-License-Identifier: MIT */
#include "stream/range.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "stream/reader.h"
#include "stream/redis.h"

#define COUNT_MAX_OF_READ 1000
#define BLOCK_MS          100
#define WITNESS_MS        250 /* the count is checked so often while the stream is followed */

/* What Redis said of the stream at some moment. */
struct witness {
    uint64_t added, length; /* entries ever added; entries that are there */
    struct stream_id last;  /* id of the last one added */
};

struct stream_range {
    struct stream_range_config config;
    struct redis *redis;          /* owned; for questions about the stream */
    struct stream_reader *reader; /* owned */
    struct batch read;            /* what the reader gave, from `next` on not handed over yet */
    uint32_t next;
    uint64_t ordinal; /* entries handed over */
    struct stream_id position;
    struct witness first;   /* when it was opened */
    struct witness witness; /* checked once the position has come to it */
    bool has_witness;
    uint32_t reads; /* that came since; the first may have been under way before */
    uint64_t witness_boot_ms, verified;
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

static bool take_witness(struct stream_range *range, struct error *error)
{
    const char *stream = range->config.stream;
    const struct redis_reply *reply =
        redis_ask(range->redis, error, "XINFO", "STREAM", stream, NULL);
    if (reply == NULL) {
        return error_wrap(error, "%s", stream);
    }
    struct witness *witness = &range->witness;
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
    range->has_witness = true;
    range->reads = 0;
    range->witness_boot_ms = clock_boot_ms();
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

/* The position has come to the witness, or past it: every entry up to there was read. */
static bool check_witness(struct stream_range *range, struct error *error)
{
    const struct witness *witness = &range->witness;
    range->has_witness = false;
    if (range->ordinal < witness->added) {
        return error_set(error, ERROR_HISTORY,
                         "%s: %" PRIu64 " entries were trimmed or deleted before they were read, "
                         "behind ordinal %" PRIu64,
                         range->config.stream, witness->added - range->ordinal, range->verified);
    }
    if (range->ordinal > witness->added) {
        return error_set(error, ERROR_HISTORY,
                         "%s: it is not the stream any more that was read: %" PRIu64
                         " entries were read, it counts %" PRIu64,
                         range->config.stream, range->ordinal, witness->added);
    }
    range->verified = range->ordinal;
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
    if (range->redis == NULL || !take_witness(range, error)) {
        goto close;
    }
    range->first = range->witness;
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
    mem_free(range);
}

uint64_t stream_range_total(const struct stream_range *range)
{
    return range->first.added;
}

uint64_t stream_range_verified(const struct stream_range *range)
{
    return range->verified;
}

static bool is_at_witness(const struct stream_range *range)
{
    return stream_id_compare(range->position, range->witness.last) >= 0;
}

/* Hands over what was read, up to the witness, where the count is checked. */
static bool hand_over(struct stream_range *range, struct batch *batch, struct error *error)
{
    while (range->next < range->read.count) {
        const struct entry *entry = &range->read.entries[range->next];
        bool is_behind = stream_id_compare(entry->id, range->witness.last) > 0;
        if (range->has_witness && is_behind && !check_witness(range, error)) {
            return false;
        }
        if (is_behind && !range->config.is_followed) {
            break; /* it came after the beginning */
        }
        batch_add(batch, entry->id, entry->raw);
        range->position = entry->id;
        range->ordinal++;
        range->next++;
    }
    /* A read that began behind the witness and found less than it asked for: what is missing up
     * to there will not come. */
    bool is_all = is_at_witness(range) || (range->reads > 1 && range->read.is_caught_up);
    return !range->has_witness || !is_all || check_witness(range, error);
}

static bool is_witness_due(const struct stream_range *range)
{
    return range->config.is_followed && !range->has_witness &&
           clock_boot_ms() - range->witness_boot_ms >= WITNESS_MS;
}

enum stream_range_next stream_range_read(struct stream_range *range, struct batch *batch,
                                         struct error *error)
{
    if (!range->config.is_followed && !range->has_witness) {
        return RANGE_END;
    }
    if (is_witness_due(range) && !take_witness(range, error)) {
        return RANGE_ERROR;
    }
    batch_reset(&range->read);
    range->next = 0;
    switch (stream_reader_wait(range->reader, -1, clock_boot_ms() + 2 * BLOCK_MS, &range->read,
                               error)) {
    case READER_BATCH:
        range->reads++;
        return hand_over(range, batch, error) ? RANGE_BATCH : RANGE_ERROR;
    case READER_FAILED:
        return RANGE_ERROR;
    default:
        return RANGE_BATCH;
    }
}
