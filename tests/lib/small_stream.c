/* SPDX-License-Identifier: MIT */
#include "tests/lib/small_stream.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/sha256.h"
#include "reducers/policy.h"

#define FIELDS_MAX 12
#define FIRST_MS   1700000000000

struct fields {
    struct span names[FIELDS_MAX], values[FIELDS_MAX];
    uint32_t count;
    struct arena *arena;
};

static void add(struct fields *fields, const char *name, struct span value)
{
    CHECK(fields->count < FIELDS_MAX);
    fields->names[fields->count] = span_of(name);
    fields->values[fields->count++] = arena_copy(fields->arena, value);
}

static void add_number(struct fields *fields, const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    add(fields, name, span_of(text));
}

/* "w7", "j7": of round 7. */
static void add_named(struct fields *fields, const char *name, char letter, uint64_t round)
{
    char text[24];
    snprintf(text, sizeof(text), "%c%" PRIu64, letter, round);
    add(fields, name, span_of(text));
}

static void add_leader(struct fields *fields)
{
    add(fields, "owner", SPAN("owner-a"));
    add_number(fields, "epoch", 1);
}

static void put_epoch(struct fields *fields)
{
    add(fields, "type", SPAN("epoch"));
    add_leader(fields);
    add_number(fields, "timeline", 1);
    add_number(fields, "reducers", REDUCERS_VERSION);
    add_number(fields, "ordinal", 0);
    add_number(fields, "wall_ms", FIRST_MS);
}

static void put_policy(struct fields *fields)
{
    struct policy policy;
    struct buffer text = {0};
    policy_preset(PRESET_SAFE, &policy);
    policy_put_text(&text, &policy);
    struct sha256 hash = sha256_of(buffer_span(&text));
    struct sha256_text hash_text = sha256_text(&hash);
    add(fields, "type", SPAN("policy"));
    add(fields, "text", buffer_span(&text));
    add(fields, "origin", SPAN("operator"));
    add(fields, "hash", span_of(hash_text.text));
    buffer_fini(&text);
}

static void put_job(struct fields *fields, const char *type, uint64_t round)
{
    add(fields, "type", span_of(type));
    add_named(fields, "job", 'j', round);
    add_named(fields, "worker", 'w', round);
    add_number(fields, "attempt", 1);
}

static void put_tick(struct fields *fields, uint64_t second)
{
    add(fields, "type", SPAN("tick"));
    add_leader(fields);
    add_number(fields, "elapsed_ms", 1000);
    add_number(fields, "wall_ms", FIRST_MS + second * 1000);
}

static void put_quiet(struct fields *fields, uint64_t place)
{
    if (place % SMALL_STREAM_TICK == SMALL_STREAM_TICK - 1) {
        put_tick(fields, place);
        return;
    }
    add(fields, "type", SPAN("worker.heartbeat"));
    add(fields, "worker", SPAN("quiet"));
}

static void put_round(struct fields *fields, uint64_t round, uint64_t step)
{
    static const char *const of_worker[] = {
        [0] = "worker.registered", [3] = "worker.heartbeat", [5] = "worker.lost"};
    switch (step) {
    case 1:
        put_job(fields, "job.claimed", round);
        break;
    case 2:
        put_job(fields, "job.started", round);
        break;
    case 4: /* no such number */
        put_job(fields, "job.progress", round);
        add(fields, "progress", SPAN("half"));
        break;
    case 6:
        put_tick(fields, round);
        break;
    case 7: /* told before */
        put_job(fields, "job.claimed", round);
        break;
    default:
        add(fields, "type", span_of(of_worker[step]));
        add_named(fields, "worker", 'w', round);
        break;
    }
}

struct entry small_stream_entry(uint64_t index, struct arena *arena)
{
    struct fields fields = {.arena = arena};
    if (index == 0) {
        put_epoch(&fields);
    } else if (index == 1) {
        put_policy(&fields);
    } else if (index >= SMALL_STREAM_QUIET) {
        put_quiet(&fields, index - SMALL_STREAM_QUIET);
    } else {
        put_round(&fields, (index - 2) / SMALL_STREAM_ROUND, (index - 2) % SMALL_STREAM_ROUND);
    }
    struct buffer raw = {0};
    codec_put_raw(&raw, fields.names, fields.values, fields.count);
    struct entry entry = {
        .id = {.ms = FIRST_MS + index, .seq = index % 3},
        .raw = arena_copy(arena, buffer_span(&raw)),
    };
    buffer_fini(&raw);
    return entry;
}

static enum source_next stream_read(void *self, const struct state *state, struct batch *batch,
                                    struct error *error)
{
    (void)error;
    const struct small_stream *stream = self;
    uint64_t index = state_summary(state).ordinal;
    if (index >= stream->end) {
        return SOURCE_END;
    }
    for (; index < stream->end && batch->count < stream->batch_size; index++) {
        struct entry entry = small_stream_entry(index, &batch->arena);
        batch_add(batch, entry.id, entry.raw);
    }
    batch->is_caught_up = batch->count < stream->batch_size;
    return SOURCE_BATCH;
}

struct source small_stream_source(struct small_stream *stream)
{
    return (struct source){.name = "small stream", .self = stream, .read = stream_read};
}
