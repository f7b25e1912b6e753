/* SPDX-License-Identifier: MIT
 * What holds between any two events, kind by kind. The reducers rest on it, some by a CHECK;
 * whoever reads a state from bytes must see it first, since those may be anybody's. */
#include <stddef.h>

#include "reducers/tables.h"

/* So far no clock and no time gets: sums of two stay in range. */
#define TIME_MAX INT64_MAX

#define EFFECT_BIT(name) (UINT32_C(1) << EFFECT_##name)
#define ON_JOB \
    (EFFECT_BIT(REQUEUE) | EFFECT_BIT(COMPLETE) | EFFECT_BIT(FAIL) | EFFECT_BIT(TIME_OUT))

/* What stands around a job in a phase. */
static const struct phase_needs {
    uint32_t wanted; /* set of effects, one of which is wanted; 0: none is */
    bool has_holder, has_cause, has_next_reason;
} needs[JOB_PHASE_COUNT] = {
    [JOB_CLAIMED] = {.has_holder = true},
    [JOB_STARTED] = {.has_holder = true},
    [JOB_ASKING] = {.wanted = EFFECT_BIT(ASK), .has_holder = true, .has_cause = true},
    [JOB_WAITING] = {.has_holder = true, .has_cause = true, .has_next_reason = true},
    [JOB_CANCELLING] = {.wanted = EFFECT_BIT(CANCEL), .has_holder = true, .has_cause = true},
    [JOB_BACKING_OFF] = {.has_cause = true, .has_next_reason = true},
    [JOB_HELD] = {.wanted = EFFECT_BIT(REQUEUE) | EFFECT_BIT(FAIL),
                  .has_cause = true,
                  .has_next_reason = true},
    [JOB_REQUESTED] = {.wanted = ON_JOB, .has_cause = true},
    [JOB_OWED] = {.wanted = ON_JOB | EFFECT_BIT(CANCEL), .has_cause = true},
};

static bool is_phase_sound(const struct job *job)
{
    const struct job_core *core = &job->core;
    const struct phase_needs *need = &needs[core->phase];
    const struct job_phase_rule *rule = job_phase_rule(core->phase);
    bool is_free = rule->is_final || core->phase == JOB_QUEUED;
    uint32_t wanted = need->wanted == 0 ? EFFECT_BIT(NONE) : need->wanted;
    return core->phase != JOB_NONE && (wanted >> core->wanted & 1) != 0 &&
           (job->open != NULL) == rule->has_open && job_next_is_sound(core) &&
           (core->phase == JOB_HELD) == job->waiting.is_linked &&
           rule->is_final == job->finished.is_linked &&
           (job->holder != NULL || !need->has_holder) &&
           (core->cause != REASON_NONE || !need->has_cause) &&
           (core->next_reason != REASON_NONE || !need->has_next_reason) &&
           (core->phase == JOB_PARKED || !core->is_held_by_operator) &&
           !(is_free && (job->holder != NULL || core->cause != REASON_NONE));
}

/* A cancel on its way: to what end, until when. A question without one has no timer. */
static bool is_cancel_sound(const struct job_core *core)
{
    if (core->ending == ENDING_NONE) {
        return core->phase != JOB_CANCELLING && (core->phase != JOB_ASKING || core->next_due == 0);
    }
    bool is_under_way =
        core->phase == JOB_CANCELLING || core->phase == JOB_ASKING || core->phase == JOB_WAITING;
    return is_under_way && core->cancel_due != 0 && core->next_reason != REASON_NONE;
}

/* Judged anew, nobody's job needs a way of its own: what was proved, ordered or told. */
static bool is_cause_sound(const struct job_core *core)
{
    switch (core->cause) {
    case REASON_NONE:
    case REASON_LATE_COMPLETION:
    case REASON_SERVICE_COMPLETED:
    case REASON_NOT_RETRYABLE:
    case REASON_JOB_FAILED:
    case REASON_DEADLINE_PASSED:
        return true;
    case REASON_OPERATOR:
        return core->ordered != EFFECT_NONE && core->ordered != EFFECT_CANCEL;
    default:
        return false;
    }
}

static bool is_handed_off(const struct job *job)
{
    return job->text[JOB_TEXT_SERVICE_JOB].size > 0;
}

/* What is counted against an attempt can be taken back while only silence, or a claim that was
 * never started, speaks against it. */
static bool is_count_sound(const struct job *job)
{
    const struct job_core *core = &job->core;
    bool is_unjudged = core->phase == JOB_CLAIMED || core->phase == JOB_STARTED ||
                       (job->holder != NULL && core->cause == REASON_NONE);
    bool is_unstarted = core->cause == REASON_CLAIM_TIMED_OUT;
    bool may_be_failure = !is_unjudged && !is_unstarted && !core->rests_on_silence;
    return (core->counted != JOB_COUNT_FAILURE || may_be_failure) &&
           (core->counted == JOB_COUNT_NONE || !is_unjudged) &&
           !(is_unstarted && is_handed_off(job));
}

/* Who handed a job off is at work, and whoever is at work has started the claim. */
static bool is_work_sound(const struct job *job)
{
    const struct job_core *core = &job->core;
    bool has_claim_limit = core->phase == JOB_CLAIMED && core->next_due != 0;
    return core->is_at_work ? !has_claim_limit : !is_handed_off(job);
}

static bool is_job_sound(const struct state *state, const struct job *job)
{
    const struct job_core *core = &job->core;
    const struct effect *open = job->open;
    uint32_t orders = EFFECT_BIT(NONE) | EFFECT_BIT(REQUEUE) | EFFECT_BIT(COMPLETE) |
                      EFFECT_BIT(FAIL) | EFFECT_BIT(CANCEL);
    return is_phase_sound(job) && is_cancel_sound(core) &&
           (job->holder != NULL || is_cause_sound(core)) && is_count_sound(job) &&
           is_work_sound(job) && (orders >> core->ordered & 1) != 0 &&
           core->handed_off_ms <= state->deadline_ms &&
           core->deadline_from_ms <= state->deadline_ms &&
           (open == NULL || open->kind == core->wanted) &&
           (open == NULL || !needs[core->phase].has_holder ||
            span_equal(open->worker, job->holder->node.key));
}

static bool is_worker_sound(const struct state *state, const struct worker *worker)
{
    const struct worker_core *core = &worker->core;
    bool is_watched = core->phase == WORKER_ACTIVE || core->phase == WORKER_STOPPING;
    bool is_fallen = worker->fallen.is_linked || worker->unfreed.is_linked;
    bool is_missed = is_watched || worker->jobs.count > 0 || worker->open != NULL;
    return core->phase != WORKER_NONE && core->heard_ms <= state->liveness_ms &&
           core->fallen_ms <= state->liveness_ms && (core->phase == WORKER_SILENT || !is_fallen) &&
           !(is_missed && worker->gone.is_linked);
}

/* The id begins with those of partition, timeline and entry: no later entry gives the same. */
static bool is_effect_sound(const struct state *state, const struct effect *effect)
{
    struct stream_id cause;
    struct span id = effect->node.key;
    (void)span_cut(&id, '.');
    (void)span_cut(&id, '.');
    bool is_past = stream_id_parse(span_cut(&id, '.'), &cause) &&
                   stream_id_compare(cause, state->position) <= 0;
    bool is_on_queue = effect->kind != EFFECT_ASK && effect->kind != EFFECT_CANCEL;
    return is_past && effect->kind != EFFECT_NONE && (is_on_queue || !effect->is_withdrawn) &&
           effect->is_withdrawn == effect->withdrawn.is_linked;
}

static bool is_ordered(const struct table *table, uint64_t next_arrival)
{
    uint64_t least = 0;
    for (const struct table_node *node = table_oldest(table); node; node = table_next(node)) {
        if (node->arrival < least || node->arrival >= next_arrival) {
            return false;
        }
        least = node->arrival + 1;
    }
    return true;
}

static bool is_whole_sound(const struct state *state)
{
    const struct fleet *fleet = &state->fleet;
    uint64_t next = state->next_arrival;
    return state->liveness_ms <= TIME_MAX && state->deadline_ms <= TIME_MAX &&
           fleet->held_since_ms <= state->liveness_ms &&
           (!fleet->is_held || fleet->held_for != REASON_NONE) && is_ordered(&state->jobs, next) &&
           is_ordered(&state->workers, next) && is_ordered(&state->effects, next) &&
           is_ordered(&state->producer_ids, next) && is_ordered(&state->policy_owners, next);
}

bool state_is_sound(const struct state *state)
{
    bool is_sound = is_whole_sound(state);
    for (const struct job *job = table_oldest(&state->jobs); job; job = table_next(job)) {
        is_sound = is_sound && is_job_sound(state, job);
    }
    for (const struct worker *worker = table_oldest(&state->workers); worker;
         worker = table_next(worker)) {
        is_sound = is_sound && is_worker_sound(state, worker);
    }
    for (const struct effect *effect = table_oldest(&state->effects); effect;
         effect = table_next(effect)) {
        is_sound = is_sound && is_effect_sound(state, effect);
    }
    return is_sound;
}
