/* SPDX-License-Identifier: MIT
 * Folds a stream from its first entry into a fresh data folder, as nothing but the entries tell it:
 * what a process that was killed and started again must have come to as well.
 *   fold_stream URL STREAM ORDINAL DATA     stops behind the ORDINAL-th entry */
#include <stdio.h>

#include "base/check.h"
#include "replay/journal.h"
#include "stream/redis.h"

#define COMMAND_MS 10000
#define READ_COUNT 1000

struct stream_source {
    struct redis *redis;
    const char *stream;
    uint64_t end; /* ordinal to stop behind */
};

static void put_raw(struct buffer *raw, const struct redis_reply *fields)
{
    buffer_put_varint(raw, redis_reply_count(fields) / 2);
    for (uint32_t i = 0; i < redis_reply_count(fields); i++) {
        buffer_put_sized(raw, redis_reply_text(redis_reply_at(fields, i)));
    }
}

static enum source_next read_stream(void *self, const struct state *state, struct batch *batch,
                                    struct error *error)
{
    struct stream_source *source = self;
    struct state_summary summary = state_summary(state);
    uint64_t missing = source->end - summary.ordinal;
    char from[64], count[24];
    snprintf(from, sizeof(from), "(%llu-%llu", (unsigned long long)summary.position.ms,
             (unsigned long long)summary.position.seq);
    snprintf(count, sizeof(count), "%llu",
             (unsigned long long)(missing < READ_COUNT ? missing : READ_COUNT));
    if (missing == 0) {
        return SOURCE_END;
    }
    const struct redis_reply *reply =
        redis_ask(source->redis, error, "XRANGE", source->stream, from, "+", "COUNT", count, NULL);
    if (reply == NULL) {
        return SOURCE_ERROR;
    }
    struct buffer raw = {0};
    for (uint32_t i = 0; i < redis_reply_count(reply); i++) {
        const struct redis_reply *entry = redis_reply_at(reply, i);
        struct stream_id id;
        CHECK(stream_id_parse(redis_reply_text(redis_reply_at(entry, 0)), &id));
        buffer_reset(&raw);
        put_raw(&raw, redis_reply_at(entry, 1));
        batch_add(batch, id, arena_copy(&batch->arena, buffer_span(&raw)));
    }
    buffer_fini(&raw);
    if (batch->count == 0) {
        error_set(error, ERROR_HISTORY, "the stream ends after %llu entries",
                  (unsigned long long)summary.ordinal);
        return SOURCE_ERROR;
    }
    return SOURCE_BATCH;
}

static bool fold_stream(struct stream_source *source, const char *data, struct error *error)
{
    struct journal_config config = {.data = data,
                                    .partition = 0,
                                    .snapshot_entries = JOURNAL_SNAPSHOT_ENTRIES,
                                    .snapshot_ms = JOURNAL_SNAPSHOT_MS};
    struct state *state = NULL;
    struct journal *journal = journal_open(&config, &state, error);
    if (journal == NULL) {
        return false;
    }
    struct loop loop = {
        .state = state,
        .source = {.name = "stream", .self = source, .read = read_stream},
        .sinks = {journal_sink(journal)},
        .sink_count = 1,
    };
    bool is_folded = loop_run(&loop, error) && journal_stop(journal, state, error);
    journal_close(journal);
    state_destroy(state);
    return is_folded;
}

int main(int count, char **arguments)
{
    struct stream_source source = {0};
    if (count != 5 || !span_to_number(span_of(arguments[3]), UINT64_MAX, &source.end)) {
        fprintf(stderr, "usage: fold_stream URL STREAM ORDINAL DATA\n");
        return 2;
    }
    struct error error = {0};
    source.stream = arguments[2];
    source.redis = redis_open(arguments[1], COMMAND_MS, &error);
    bool is_folded = source.redis != NULL && fold_stream(&source, arguments[4], &error);
    redis_close(source.redis);
    if (!is_folded) {
        fprintf(stderr, "fold_stream: %s\n", error.message);
    }
    return is_folded ? 0 : 3;
}
