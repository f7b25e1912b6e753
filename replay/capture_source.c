/* SPDX-License-Identifier: MIT */
#include "replay/capture_source.h"

#include <inttypes.h>

#include "base/check.h"

bool capture_seek_place(struct capture_reader *reader, const struct place *place,
                        struct error *error)
{
    switch (place->kind) {
    case PLACE_TIME:
        return capture_seek_ms(reader, place->time_ms, error);
    case PLACE_ID:
        return capture_seek_ms(reader, place->id.ms, error);
    case PLACE_ORDINAL:
        return place->ordinal <= capture_reader_header(reader)->ordinal ||
               capture_seek(reader, place->ordinal - 1, error);
    default:
        return true;
    }
}

struct capture_source capture_source_init(struct capture_reader *reader, uint32_t batch_size)
{
    CHECK(batch_size > 0);
    return (struct capture_source){
        .reader = reader,
        .batch_size = batch_size,
        .ordinal = capture_reader_ordinal(reader),
    };
}

/* NULL, or the first thing that the header and its snapshot tell differently. */
static const char *find_contradiction(const struct capture_header *header,
                                      const struct state *state)
{
    struct state_summary summary = state_summary(state);
    return summary.ordinal != header->ordinal                           ? "ordinal"
           : summary.partition != header->partition                     ? "partition"
           : summary.timeline != header->timeline                       ? "timeline"
           : stream_id_compare(summary.position, header->position) != 0 ? "position"
           : !span_equal(summary.policy_text, header->policy)           ? "policy"
                                                                        : NULL;
}

struct state *capture_state(const struct capture_header *header, struct error *error)
{
    if (header->snapshot.size == 0) {
        if (header->ordinal > 0) {
            error_set(error, ERROR_CORRUPT, "begins at ordinal %" PRIu64 " without a snapshot",
                      header->ordinal);
            return NULL;
        }
        return state_create(header->partition);
    }
    struct state *state = state_decode(header->snapshot);
    if (state == NULL) {
        error_set(error, ERROR_CORRUPT,
                  "its snapshot at ordinal %" PRIu64 " is not readable by this program",
                  header->ordinal);
        return NULL;
    }
    const char *contradiction = find_contradiction(header, state);
    if (contradiction != NULL) {
        error_set(error, ERROR_CORRUPT,
                  "its snapshot is not the state at ordinal %" PRIu64 ": another %s",
                  header->ordinal, contradiction);
    }
    if (contradiction != NULL || !loop_knows_reducers(state, error)) {
        state_destroy(state);
        return NULL;
    }
    return state;
}

static enum source_next source_read(void *self, const struct state *state, struct batch *batch,
                                    struct error *error)
{
    struct capture_source *source = self;
    uint64_t folded = state_summary(state).ordinal;
    if (source->ordinal > folded) {
        error_set(error, ERROR_HISTORY,
                  "begins behind ordinal %" PRIu64 ", the state stands at %" PRIu64,
                  source->ordinal, folded);
        return SOURCE_ERROR;
    }
    /* What one frame holds is not copied. */
    bool is_lent =
        source->ordinal == folded && capture_frame_left(source->reader) >= source->batch_size;
    while (!source->is_ended && batch->count < source->batch_size) {
        struct entry entry;
        enum capture_next next = capture_next(source->reader, &entry, error);
        if (next == CAPTURE_ERROR) {
            return SOURCE_ERROR;
        }
        if (next != CAPTURE_ENTRY) {
            source->is_ended = true;
            source->is_torn = next == CAPTURE_TORN;
            break;
        }
        source->ordinal++;
        if (source->ordinal > folded) {
            batch_add(batch, entry.id, is_lent ? entry.raw : arena_copy(&batch->arena, entry.raw));
        }
    }
    batch->is_caught_up = source->is_ended;
    return batch->count > 0 ? SOURCE_BATCH : SOURCE_END;
}

struct source capture_source_source(struct capture_source *source)
{
    return (struct source){.name = "capture", .self = source, .read = source_read};
}
