/* SPDX-License-Identifier: MIT
 * One entry after the other: decode it, see that it is what it claims to be, hand it to the
 * reducers of its type. */
#include "reducers/fold.h"

#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "reducers/folding.h"

#define EPOCH_STEP_MAX 1000000

typedef void (*fold_fn)(struct folding *folding);

/* Types that this version records and counts without judging. */
static void fold_unhandled(struct folding *folding)
{
    folding->state->counter[COUNTER_UNHANDLED]++;
}

static const fold_fn folds[EVENT_TYPE_COUNT] = {
    [EVENT_WORKER_REGISTERED] = fold_worker_heard,
    [EVENT_WORKER_HEARTBEAT] = fold_worker_heard,
    [EVENT_WORKER_STOPPING] = fold_worker_heard,
    [EVENT_WORKER_STOPPED] = fold_worker_gone,
    [EVENT_WORKER_LOST] = fold_worker_gone,
    [EVENT_JOB_SUBMITTED] = fold_submitted,
    [EVENT_JOB_CLAIMED] = fold_hold,
    [EVENT_JOB_STARTED] = fold_hold,
    [EVENT_JOB_HANDED_OFF] = fold_handed_off,
    [EVENT_JOB_PROGRESS] = fold_progress,
    [EVENT_JOB_COMPLETED] = fold_ended,
    [EVENT_JOB_FAILED] = fold_ended,
    [EVENT_JOB_CANCELLED] = fold_ended,
    [EVENT_TICK] = fold_tick,
    [EVENT_EPOCH] = fold_epoch,
    [EVENT_STREAM_LOST] = fold_unhandled,
    [EVENT_POLICY] = fold_policy,
    [EVENT_SERVICE_ANSWERED] = fold_answered,
    [EVENT_SERVICE_PROBED] = fold_unhandled,
    [EVENT_EFFECT_SETTLED] = fold_settled,
    [EVENT_OPERATOR_REQUEUE] = fold_operator,
    [EVENT_OPERATOR_COMPLETE] = fold_operator,
    [EVENT_OPERATOR_FAIL] = fold_operator,
    [EVENT_OPERATOR_CANCEL] = fold_operator,
    [EVENT_OPERATOR_HOLD] = fold_operator,
    [EVENT_OPERATOR_RESUME] = fold_operator,
    [EVENT_JOB_OBSERVED] = fold_unhandled,
    [EVENT_WORKER_OBSERVED] = fold_unhandled,
};

/* --- who says it --- */

static bool is_leaders_word(const struct state *state, const struct event *event)
{
    return event_has(event, FIELD_OWNER) && event_number(event, FIELD_EPOCH) == state->epoch &&
           span_equal(event_text(event, FIELD_OWNER), state->owner);
}

/* Epochs rise, and not by leaps: a far one would leave none for the leaders to come. */
static bool is_next_epoch(const struct state *state, const struct event *event)
{
    uint64_t epoch = event_number(event, FIELD_EPOCH);
    uint64_t timeline = event_number(event, FIELD_TIMELINE);
    return epoch > state->epoch && epoch - state->epoch <= EPOCH_STEP_MAX &&
           timeline >= state->timeline && timeline - state->timeline <= EPOCH_STEP_MAX;
}

/* An event that only the leader appends, and that the leader of this epoch did not append. */
static bool is_forged(const struct state *state, const struct event *event)
{
    switch (event_type_rule(event->type)->reach) {
    case REACH_LEADER:
        return event->type == EVENT_EPOCH ? !is_next_epoch(state, event)
                                          : !is_leaders_word(state, event);
    case REACH_LEADER_OR_OPERATOR:
        return span_is(event_text(event, FIELD_ORIGIN), "file") && !is_leaders_word(state, event);
    default:
        return false;
    }
}

static bool has_bad_origin(const struct event *event)
{
    struct span origin = event_text(event, FIELD_ORIGIN);
    return event->type == EVENT_POLICY && !span_is(origin, "file") && !span_is(origin, "operator");
}

/* Attempts count from 1: what a worker holds has been claimed. */
static bool has_bad_attempt(const struct event *event)
{
    return event_has(event, FIELD_WORKER) && event_has(event, FIELD_ATTEMPT) &&
           event_number(event, FIELD_ATTEMPT) == 0;
}

/* True when the producer sent this before: its own `id` tells, which is one worker's own.
 * Heartbeats and progress are counted, however often they come. */
static bool is_sent_twice(struct folding *folding)
{
    struct state *state = folding->state;
    struct span worker = event_text(folding->event, FIELD_WORKER);
    struct span id = event_text(folding->event, FIELD_ID);
    enum event_type type = folding->event->type;
    bool is_told_once = event_type_rule(type)->reach == REACH_ANYONE &&
                        type != EVENT_WORKER_HEARTBEAT && type != EVENT_JOB_PROGRESS;
    if (!is_told_once || id.size == 0) {
        return false;
    }
    char bytes[PRODUCER_ID_MAX];
    struct span key = {bytes, worker.size + 1 + id.size};
    if (worker.size > 0) {
        memcpy(bytes, worker.data, worker.size);
    }
    bytes[worker.size] = '\n';
    memcpy(bytes + worker.size + 1, id.data, id.size);
    if (table_find(&state->producer_ids, key) != NULL) {
        return true;
    }
    table_add(&state->producer_ids, key, state->next_arrival++);
    return false;
}

static void fold_event(struct folding *folding)
{
    const struct event *event = folding->event;
    if (is_forged(folding->state, event)) {
        rows_quarantine(folding, REASON_FORGED, "not_the_leader", SPAN("owner"));
    } else if (has_bad_origin(event)) {
        rows_quarantine(folding, REASON_BAD_FIELD, "unknown_word", SPAN("origin"));
    } else if (has_bad_attempt(event)) {
        rows_quarantine(folding, REASON_BAD_FIELD, "out_of_range", SPAN("attempt"));
    } else if (is_sent_twice(folding)) {
        apply_ignore(folding, REASON_DUPLICATE, event_text(event, FIELD_JOB),
                     event_text(event, FIELD_WORKER));
    } else {
        CHECK(folds[event->type] != NULL);
        folds[event->type](folding);
    }
}

void folding_see_hold(struct folding *folding)
{
    const struct state *state = folding->state;
    /* Behind the end of a hold, what still waits keeps its place before what comes. */
    bool is_held = state->fleet.is_held || state->waiting.count > 0 || state->unfreed.count > 0;
    folding->context.held_for = is_held ? state->fleet.held_for : REASON_NONE;
}

static void reset_output(struct fold_output *output)
{
    arena_reset(&output->arena);
    output->decision_count = output->change_count = 0;
    output->is_policy_new = output->is_epoch_new = false;
    output->problem = NULL;
    output->field = SPAN_NONE;
}

static void prepare(const struct state *state, const struct entry *entry, struct prepared *out)
{
    struct event *event = &out->event;
    out->id = entry->id;
    out->field = SPAN_NONE;
    out->worker_hash = out->job_hash = 0;
    out->problem = codec_decode(entry, event, &out->field);
    if (out->problem != CODEC_NONE) {
        return;
    }
    if (event_has(event, FIELD_WORKER)) {
        out->worker_hash = table_hash(event->value[FIELD_WORKER].text);
        table_expect_slot(&state->workers, out->worker_hash);
    }
    if (event_has(event, FIELD_JOB) && event->type != EVENT_WORKER_HEARTBEAT) {
        out->job_hash = table_hash(event->value[FIELD_JOB].text);
        table_expect_slot(&state->jobs, out->job_hash);
    }
}

void fold_prepare(const struct state *state, const struct entry *entries, uint32_t count,
                  struct prepared *out)
{
    for (uint32_t i = 0; i < count; i++) {
        prepare(state, &entries[i], &out[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        table_expect_entity(&state->workers, out[i].worker_hash);
        table_expect_entity(&state->jobs, out[i].job_hash);
    }
}

void fold_prepared(struct state *state, const struct prepared *prepared, struct fold_output *output)
{
    struct folding folding = {
        .state = state,
        .output = output,
        .prepared = prepared,
        .context = {.policy = &state->policy,
                    .liveness_ms = state->liveness_ms,
                    .reducers = state->reducers,
                    .deadline_ms = state->deadline_ms,
                    .id = prepared->id},
    };
    reset_output(output);
    folding_see_hold(&folding);
    state->ordinal++;
    state->position = prepared->id;
    if (prepared->problem == CODEC_UNKNOWN_TYPE) {
        state->counter[COUNTER_UNKNOWN_TYPES]++;
    } else if (prepared->problem != CODEC_NONE) {
        rows_quarantine(&folding, REASON_BAD_FIELD, codec_problem_text(prepared->problem),
                        prepared->field);
    } else {
        state->counter[COUNTER_EVENTS]++;
        folding.event = &prepared->event;
        fold_event(&folding);
        state_forget(state);
    }
}

void fold_entry(struct state *state, const struct entry *entry, struct fold_output *output)
{
    struct prepared prepared;
    fold_prepare(state, entry, 1, &prepared);
    fold_prepared(state, &prepared, output);
}
