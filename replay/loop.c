/* SPDX-License-Identifier: MIT */
#include "replay/loop.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/crash.h"

#define BATCH_COUNT_MAX 1000000

void batch_add(struct batch *batch, struct stream_id id, struct span raw)
{
    CHECK(batch->count < BATCH_COUNT_MAX);
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity == 0 ? 64 : batch->capacity * 2;
        batch->entries = mem_resize(batch->entries, batch->capacity * sizeof(*batch->entries));
    }
    batch->entries[batch->count++] = (struct entry){.id = id, .raw = raw};
}

void batch_reset(struct batch *batch)
{
    arena_reset(&batch->arena);
    batch->count = 0;
    batch->is_caught_up = false;
}

void batch_fini(struct batch *batch)
{
    arena_fini(&batch->arena);
    mem_free(batch->entries);
    *batch = (struct batch){0};
}

bool loop_knows_reducers(const struct state *state, struct error *error)
{
    struct state_summary summary = state_summary(state);
    bool is_later = summary.reducers > REDUCERS_VERSION;
    return (summary.reducers >= REDUCERS_OLDEST && !is_later) ||
           error_set(error, ERROR_REFUSED,
                     "epoch %" PRIu64 " was opened by reducers %" PRIu64
                     "; this program knows %d to %d: use %s salvor",
                     summary.epoch, summary.reducers, REDUCERS_OLDEST, REDUCERS_VERSION,
                     is_later ? "a newer" : "an older");
}

/* What one run keeps beside the loop's description. */
struct run {
    struct loop *loop;
    struct batch batch;
    struct fold_output output;
    const struct sink *folders[LOOP_SINKS_MAX]; /* the sinks that look at every entry */
    uint32_t folder_count;
};

static void run_pass(const struct run *run, enum crash_point point)
{
    if (run->loop->has_crash_points && run->batch.count > 0) {
        crash_point(point);
    }
}

static bool run_append(struct run *run, struct error *error)
{
    for (uint32_t i = 0; i < run->loop->sink_count; i++) {
        const struct sink *sink = &run->loop->sinks[i];
        if (sink->append != NULL && !sink->append(sink->self, &run->batch, error)) {
            return error_wrap(error, "%s", sink->name);
        }
    }
    return true;
}

/* Behind the entry: the rules of an epoch that it opened must be known. */
static bool knows_epoch(const struct state *state, const struct entry *entry,
                        const struct fold_output *output, struct error *error)
{
    return !output->is_epoch_new || loop_knows_reducers(state, error) ||
           error_wrap(error, "entry %" PRIu64 "-%" PRIu64, entry->id.ms, entry->id.seq);
}

bool loop_fold_entry(struct state *state, const struct entry *entry, struct fold_output *output,
                     struct error *error)
{
    fold_entry(state, entry, output);
    return knows_epoch(state, entry, output, error);
}

static bool fold_one(struct run *run, const struct entry *entry, const struct prepared *prepared,
                     struct error *error)
{
    struct state *state = run->loop->state;
    fold_prepared(state, prepared, &run->output);
    if (!knows_epoch(state, entry, &run->output, error)) {
        return false;
    }
    for (uint32_t i = 0; i < run->folder_count; i++) {
        const struct sink *sink = run->folders[i];
        if (!sink->fold(sink->self, entry, state, &run->output, error)) {
            return error_wrap(error, "%s", sink->name);
        }
    }
    return true;
}

static bool run_fold(struct run *run, struct error *error)
{
    struct prepared prepared[FOLD_AHEAD];
    for (uint32_t done = 0; done < run->batch.count; done += FOLD_AHEAD) {
        const struct entry *entries = &run->batch.entries[done];
        uint32_t left = run->batch.count - done;
        uint32_t count = left < FOLD_AHEAD ? left : FOLD_AHEAD;
        fold_prepare(run->loop->state, entries, count, prepared);
        for (uint32_t i = 0; i < count; i++) {
            if (!fold_one(run, &entries[i], &prepared[i], error)) {
                return false;
            }
        }
    }
    return true;
}

static bool run_write(struct run *run, struct error *error)
{
    for (uint32_t i = 0; i < run->loop->sink_count; i++) {
        const struct sink *sink = &run->loop->sinks[i];
        if (sink->write != NULL && !sink->write(sink->self, error)) {
            return error_wrap(error, "%s", sink->name);
        }
    }
    return true;
}

static bool run_commit(struct run *run, struct error *error)
{
    for (uint32_t i = 0; i < run->loop->sink_count; i++) {
        const struct sink *sink = &run->loop->sinks[i];
        if (sink->commit != NULL &&
            !sink->commit(sink->self, run->loop->state, run->batch.is_caught_up, error)) {
            return error_wrap(error, "%s", sink->name);
        }
    }
    return true;
}

static bool run_dispatch(struct run *run, struct error *error)
{
    for (uint32_t i = 0; i < run->loop->sink_count; i++) {
        const struct sink *sink = &run->loop->sinks[i];
        if (sink->dispatch != NULL && !sink->dispatch(sink->self, run->loop->state, error)) {
            return error_wrap(error, "%s", sink->name);
        }
    }
    return true;
}

/* The stages behind the read, in the order of the contract. Point 6 lies inside the sink that holds
 * the transaction, between its last row and its commit. */
static const struct stage {
    bool (*run)(struct run *run, struct error *error);
    enum crash_point point;
} stages[] = {
    {.run = run_append, .point = CRASH_CAPTURE_APPENDED},
    {.run = run_fold, .point = CRASH_REDUCED},
    {.run = run_write, .point = CRASH_CAPTURE_WRITTEN},
    {.run = run_commit, .point = CRASH_COMMITTED},
    {.run = run_dispatch, .point = CRASH_DISPATCHED},
};

static bool run_stages(struct run *run, struct error *error)
{
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        if (!stages[i].run(run, error)) {
            return false;
        }
        run_pass(run, stages[i].point);
    }
    return true;
}

bool loop_run(struct loop *loop, struct error *error)
{
    CHECK(loop->state != NULL);
    CHECK(loop->source.read != NULL);
    CHECK(loop->sink_count <= LOOP_SINKS_MAX);
    if (!loop_knows_reducers(loop->state, error)) {
        return false;
    }
    struct run run = {.loop = loop};
    for (uint32_t i = 0; i < loop->sink_count; i++) {
        if (loop->sinks[i].fold != NULL) {
            run.folders[run.folder_count++] = &loop->sinks[i];
        }
    }
    bool is_ended = false;
    bool is_fine = true;
    while (is_fine && !is_ended) {
        batch_reset(&run.batch);
        switch (loop->source.read(loop->source.self, loop->state, &run.batch, error)) {
        case SOURCE_BATCH:
            run_pass(&run, CRASH_READ);
            run_pass(&run, CRASH_DECODED);
            is_fine = run_stages(&run, error);
            break;
        case SOURCE_END:
            is_ended = true;
            break;
        case SOURCE_ERROR:
            is_fine = loop->source.name != NULL && error_wrap(error, "%s", loop->source.name);
            break;
        }
    }
    fold_output_fini(&run.output);
    batch_fini(&run.batch);
    return is_fine;
}
