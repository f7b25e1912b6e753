/* SPDX-License-Identifier: MIT
 * What the leader appends: time, the policy, and what came back from outside. */
#include <stddef.h>

#include "base/check.h"
#include "reducers/folding.h"

/* --- time --- */

static void fire_deadlines(struct folding *folding, uint64_t gap_end)
{
    struct state *state = folding->state;
    struct timer *timer;
    while ((timer = timers_first_due(&state->deadlines, state->deadline_ms)) != NULL) {
        struct job *job = timer->entity;
        struct job_verdict verdict;
        reduce_deadline(job, &folding->context, timer->due <= gap_end, &verdict);
        CHECK(verdict.after.deadline_due == 0 ||
              !job_phase_rule(verdict.after.phase)->has_deadline);
        apply_job(folding, job, &verdict, NULL);
    }
}

/* Silence is an old one once its worker's limit has passed again: it fell in another window. */
static void forget_old_silence(struct state *state)
{
    struct link *link = state->fleet.is_held ? NULL : state->fallen.first;
    while (link != NULL) {
        struct worker *worker = LINK_ELEMENT(link, struct worker, fallen);
        link = link->next;
        uint64_t limit = worker_limit_ms(&worker->core, &state->policy);
        if (state->liveness_ms - worker->core.fallen_ms >= limit) {
            list_remove(&state->fallen, &worker->fallen);
        }
    }
}

static void judge_fleet(struct folding *folding, uint64_t fresh_count)
{
    struct state *state = folding->state;
    struct ruling ruling;
    forget_old_silence(state);
    state->fleet.fallen = state->fallen.count + fresh_count;
    if (reduce_fleet(&state->fleet, &folding->context, &ruling)) {
        apply_fleet(folding, &ruling);
    }
}

/* All that fell silent are seen before any of them is judged: together they may tell more of our
 * own eyes than of them. */
static void fire_silences(struct folding *folding)
{
    struct state *state = folding->state;
    struct list fresh = {0};
    struct timer *timer;
    while ((timer = timers_first_due(&state->silences, state->liveness_ms)) != NULL) {
        struct worker *worker = timer->entity;
        uint64_t limit = worker_limit_ms(&worker->core, &state->policy);
        if (worker->core.heard_ms + limit > timer->due) {
            /* Heard since it was set: it takes its place in the order by what is true now. */
            state_set_worker_timer(state, worker);
        } else {
            apply_fall(folding, worker);
            list_append(&fresh, &worker->fallen);
        }
    }
    judge_fleet(folding, fresh.count);
    while (fresh.count > 0) {
        struct worker *worker = LINK_ELEMENT(fresh.first, struct worker, fallen);
        list_remove(&fresh, &worker->fallen);
        list_append(&state->fallen, &worker->fallen);
        apply_loss(folding, worker, REASON_WORKER_SILENT);
    }
}

static void fire_liveness(struct folding *folding)
{
    struct state *state = folding->state;
    struct timer *timer;
    while ((timer = timers_first_due(&state->liveness, state->liveness_ms)) != NULL) {
        struct job_verdict verdict;
        struct job *job = timer->entity;
        if (timer->kind == TIMER_JOB_GRACE) {
            reduce_deadline(job, &folding->context, false, &verdict);
            verdict.after.grace_due = 0;
        } else {
            reduce_next(job, &folding->context, &verdict);
        }
        apply_job(folding, job, &verdict, NULL);
    }
}

static uint64_t paced(const struct state *state, uint64_t count)
{
    uint64_t pace = state->policy.value[POLICY_HOLD_PACE];
    bool is_all = pace == 0 || pace > count;
    return state->fleet.is_held ? 0 : is_all ? count : pace;
}

/* What was held goes on at a pace, so that the queue is not flooded by our own doubt. */
static void resume_held(struct folding *folding)
{
    struct state *state = folding->state;
    for (uint64_t count = paced(state, state->unfreed.count); count > 0; count--) {
        apply_unheld_release(folding, LINK_ELEMENT(state->unfreed.first, struct worker, unfreed));
    }
    for (uint64_t count = paced(state, state->waiting.count); count > 0; count--) {
        struct job *job = LINK_ELEMENT(state->waiting.first, struct job, waiting);
        struct job_verdict verdict;
        reduce_unheld(job, &folding->context, &verdict);
        apply_job(folding, job, &verdict, NULL);
    }
    folding_see_hold(folding);
}

/* A gap is time in which nobody watched: it kills nobody, but deadlines run on. It comes first. */
static void pass_time(struct folding *folding, uint64_t elapsed_ms)
{
    struct state *state = folding->state;
    uint64_t gap_end = state->deadline_ms + event_number(folding->event, FIELD_GAP_MS);
    bool has_gap = gap_end > state->deadline_ms;
    state->liveness_ms += elapsed_ms;
    state->deadline_ms = gap_end + elapsed_ms;
    state->last_tick = folding->event->id;
    state->last_tick_wall_ms = event_number(folding->event, FIELD_WALL_MS);
    folding->context.liveness_ms = state->liveness_ms;
    folding->context.deadline_ms = state->deadline_ms;
    fire_deadlines(folding, has_gap ? gap_end : 0);
    fire_silences(folding);
    resume_held(folding);
    fire_liveness(folding);
}

void fold_tick(struct folding *folding)
{
    pass_time(folding, event_number(folding->event, FIELD_ELAPSED_MS));
}

void fold_epoch(struct folding *folding)
{
    struct state *state = folding->state;
    const struct event *event = folding->event;
    state->epoch = event_number(event, FIELD_EPOCH);
    state->timeline = event_number(event, FIELD_TIMELINE);
    state->reducers = folding->context.reducers = event_number(event, FIELD_REDUCERS);
    state_keep(&state->owner, event_text(event, FIELD_OWNER));
    folding->output->is_epoch_new = true;
    pass_time(folding, 0);
}

/* --- policy --- */

static void remember_owner(struct state *state, struct span owner, struct span hash)
{
    struct policy_owner *known = table_find(&state->policy_owners, owner);
    if (known == NULL) {
        known = table_add(&state->policy_owners, owner, state->next_arrival++);
    }
    state_keep(&known->hash, hash);
    if (state->policy_owners.arrivals.count > POLICY_OWNERS_MAX) {
        struct policy_owner *oldest = table_oldest(&state->policy_owners);
        state_keep(&oldest->hash, SPAN_NONE);
        table_remove(&state->policy_owners, oldest);
    }
}

/* What was asked for and is not to be carried out any more is withdrawn; its jobs are owed. */
static void stop_effects(struct folding *folding)
{
    struct state *state = folding->state;
    struct effect *next;
    for (struct effect *effect = table_oldest(&state->effects); effect != NULL; effect = next) {
        next = table_next(effect);
        struct job *job = table_find(&state->jobs, effect->job);
        if (effect->is_withdrawn || apply_is_carried_out(&state->policy, effect->kind, job)) {
            continue;
        }
        if (effect->kind == EFFECT_RELEASE) {
            apply_close(folding, effect, OUTCOME_WITHDRAWN, SPAN_NONE);
            continue;
        }
        CHECK(job != NULL && job->open == effect);
        struct job_verdict verdict;
        reduce_owed(job, &verdict);
        apply_job(folding, job, &verdict, NULL);
    }
}

/* What was owed and is to be carried out from here on is judged anew. */
static void judge_owed(struct folding *folding)
{
    struct state *state = folding->state;
    struct job *job = table_oldest(&state->jobs);
    while (job != NULL) {
        struct job *next = table_next(job);
        if (job->core.phase == JOB_OWED &&
            apply_is_carried_out(&state->policy, job->core.wanted, job)) {
            struct job_verdict verdict;
            reduce_anew(job, &folding->context, &verdict);
            apply_job(folding, job, &verdict, NULL);
        }
        job = next;
    }
}

void fold_policy(struct folding *folding)
{
    struct state *state = folding->state;
    const struct event *event = folding->event;
    struct policy policy;
    struct span bad;
    if (!policy_parse_text(event_text(event, FIELD_TEXT), &policy, &bad)) {
        rows_quarantine(folding, REASON_BAD_POLICY, "line", bad);
        return;
    }
    state->policy = policy;
    state_keep(&state->policy_text, event_text(event, FIELD_TEXT));
    state_keep(&state->policy_hash, event_text(event, FIELD_HASH));
    if (span_is(event_text(event, FIELD_ORIGIN), "file")) {
        state->has_file_policy = true;
        remember_owner(state, event_text(event, FIELD_OWNER), event_text(event, FIELD_HASH));
    }
    folding->output->is_policy_new = true;
    apply_limits(folding);
    stop_effects(folding);
    judge_owed(folding);
}

/* --- what came back from outside --- */

void fold_answered(struct folding *folding)
{
    struct state *state = folding->state;
    struct effect *question =
        table_find(&state->effects, event_text(folding->event, FIELD_QUESTION));
    struct job *job = fold_job(folding);
    bool is_open = question != NULL && question->kind == EFFECT_ASK && job != NULL &&
                   job->open == question &&
                   question->attempt == event_number(folding->event, FIELD_ATTEMPT);
    if (!is_open) {
        state->counter[COUNTER_NOT_OPEN]++;
        return;
    }
    struct job_verdict verdict;
    reduce_answer(job, folding->event, &folding->context, &verdict);
    apply_job(folding, job, &verdict, NULL);
}

/* Its cause was gone, yet it had been carried out: the row and the job say so. */
static void fold_done_after_all(struct folding *folding, struct effect *effect)
{
    struct state *state = folding->state;
    struct job *job = table_find(&state->jobs, effect->job);
    enum effect_kind kind = effect->kind;
    bool is_of_attempt = job != NULL && job->core.attempt == effect->attempt;
    rows_change(folding, effect->node.key, SPAN_NONE, kind, SPAN_NONE, OUTCOME_APPLIED, SPAN_NONE);
    state_remove_effect(state, effect);
    if (is_of_attempt && kind != EFFECT_RELEASE) {
        struct job_verdict verdict;
        reduce_done_after_all(job, kind, &verdict);
        apply_job(folding, job, &verdict, NULL);
    }
}

/* What an event may say came of an effect; the other outcomes are given by the fold itself. */
static bool is_told_outcome(enum effect_outcome outcome, bool is_cancel)
{
    switch (outcome) {
    case OUTCOME_APPLIED:
    case OUTCOME_STALE:
    case OUTCOME_GONE:
    case OUTCOME_PUBLISHED:
    case OUTCOME_OBSERVED:
    case OUTCOME_FAILED:
        return !is_cancel;
    case OUTCOME_ACCEPTED:
    case OUTCOME_ALREADY_FINAL:
    case OUTCOME_REFUSED:
    case OUTCOME_UNSUPPORTED:
    case OUTCOME_UNKNOWN:
        return is_cancel;
    default:
        return false;
    }
}

void fold_settled(struct folding *folding)
{
    struct state *state = folding->state;
    const struct event *event = folding->event;
    enum effect_outcome outcome = effect_outcome_named(event_text(event, FIELD_OUTCOME));
    struct effect *effect = table_find(&state->effects, event_text(event, FIELD_EFFECT));
    bool is_cancel =
        effect == NULL ? is_told_outcome(outcome, true) : effect->kind == EFFECT_CANCEL;
    if (!is_told_outcome(outcome, is_cancel)) {
        rows_quarantine(folding, REASON_BAD_FIELD, "unknown_word", SPAN("outcome"));
    } else if (effect == NULL || effect->kind == EFFECT_ASK) {
        state->counter[COUNTER_NOT_OPEN]++;
    } else if (effect->is_withdrawn && outcome == OUTCOME_APPLIED) {
        fold_done_after_all(folding, effect);
    } else if (effect->is_withdrawn) {
        state->counter[COUNTER_NOT_OPEN]++;
        state_remove_effect(state, effect);
    } else if (effect->kind == EFFECT_RELEASE) {
        apply_close(folding, effect, outcome, event_text(event, FIELD_FOUND));
    } else {
        struct job *job = table_find(&state->jobs, effect->job);
        struct job_verdict verdict;
        CHECK(job != NULL && job->open == effect);
        if (effect->kind == EFFECT_CANCEL) {
            reduce_cancel_outcome(job, event, &folding->context, &verdict);
        } else {
            reduce_outcome(job, event, &folding->context, &verdict);
        }
        struct worker *holder = NULL;
        if (verdict.holder == HOLDER_OF_EVENT) {
            holder = apply_worker(folding, outcome_found_worker(event_text(event, FIELD_FOUND)));
        }
        apply_job(folding, job, &verdict, holder);
        if (holder != NULL) {
            apply_presence(folding, holder);
        }
    }
}
