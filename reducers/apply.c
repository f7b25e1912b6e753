/* SPDX-License-Identifier: MIT
 * The one door to the tables: what the reducers gave by value is written here and nowhere else. */
#include <stddef.h>

#include "base/check.h"
#include "reducers/folding.h"

/* A worker that is gone, holds nothing and has nothing under way is remembered by count. */
static void note_idle(struct folding *folding, struct worker *worker)
{
    bool is_missed = worker->core.phase == WORKER_ACTIVE || worker->core.phase == WORKER_STOPPING ||
                     worker->jobs.count > 0 || worker->open != NULL;
    if (!is_missed && !worker->gone.is_linked) {
        list_append(&folding->state->gone, &worker->gone);
    }
}

void apply_close(struct folding *folding, struct effect *effect, enum effect_outcome outcome,
                 struct span found)
{
    struct state *state = folding->state;
    CHECK(outcome != OUTCOME_NONE);
    CHECK(!effect->is_withdrawn);
    rows_change(folding, effect->node.key, SPAN_NONE, effect->kind, SPAN_NONE, outcome, found);
    struct worker *released =
        effect->kind == EFFECT_RELEASE ? table_find(&state->workers, effect->worker) : NULL;
    bool is_on_queue = effect->kind != EFFECT_ASK && effect->kind != EFFECT_CANCEL;
    if (outcome != OUTCOME_WITHDRAWN || !is_on_queue) {
        state_remove_effect(state, effect);
    } else {
        /* It may have been carried out before it was withdrawn; its outcome would tell. */
        state_detach_effect(state, effect);
        effect->is_withdrawn = true;
        list_append(&state->withdrawn, &effect->withdrawn);
    }
    if (released != NULL) {
        note_idle(folding, released);
    }
}

static struct span target_of(struct folding *folding, enum effect_kind kind, const struct job *job,
                             const struct worker *worker)
{
    struct buffer target = {0};
    if (kind == EFFECT_ASK || kind == EFFECT_CANCEL) {
        buffer_put_span(&target, job->text[JOB_TEXT_SERVICE]);
        buffer_put_byte(&target, '/');
        buffer_put_span(&target, job->text[JOB_TEXT_SERVICE_JOB]);
    } else if (kind == EFFECT_RELEASE) {
        buffer_put_text(&target, "worker:");
        buffer_put_span(&target, worker->node.key);
    } else {
        buffer_put_text(&target, "job:");
        buffer_put_span(&target, job->node.key);
    }
    struct span kept = arena_copy(&folding->output->arena, buffer_span(&target));
    buffer_fini(&target);
    return kept;
}

/* True for the requeues that a roll-out is about, and for the cancels that come before them: a
 * cancel without its requeue would only destroy. What a person orders is not a rule's to roll out.
 */
static bool leads_to_requeue(const struct policy *policy, enum effect_kind kind,
                             const struct job *job)
{
    bool is_own = kind == EFFECT_REQUEUE || kind == EFFECT_CANCEL;
    if (!is_own || job->core.cause == REASON_OPERATOR) {
        return false;
    }
    bool is_time_out =
        kind == EFFECT_CANCEL && job->core.cause == REASON_DEADLINE_PASSED &&
        policy_value(policy, job->text[JOB_TEXT_SERVICE], POLICY_ON_TIMEOUT) == ON_TIMEOUT_TIME_OUT;
    return !is_time_out;
}

bool apply_is_carried_out(const struct policy *policy, enum effect_kind kind, const struct job *job)
{
    struct span service = job == NULL ? SPAN_NONE : job->text[JOB_TEXT_SERVICE];
    uint64_t percent = policy_value(policy, service, POLICY_REQUEUE_PERCENT);
    bool is_rolled_out =
        !leads_to_requeue(policy, kind, job) || policy_is_rolled_out(percent, job->node.key);
    return kind == EFFECT_ASK ||
           (policy_value(policy, service, POLICY_EFFECTS) == EFFECTS_APPLY && is_rolled_out);
}

/* Opens the effect that a decision wants; NULL where effects are only observed. */
static struct effect *open_effect(struct folding *folding, struct span decision,
                                  const struct ruling *ruling, const struct job *job,
                                  const struct worker *worker)
{
    struct state *state = folding->state;
    struct span id = rows_effect_id(folding, decision);
    bool is_carried_out = apply_is_carried_out(&state->policy, ruling->effect, job);
    rows_change(folding, id, decision, ruling->effect,
                target_of(folding, ruling->effect, job, worker),
                is_carried_out ? OUTCOME_NONE : OUTCOME_OBSERVED, SPAN_NONE);
    if (!is_carried_out) {
        return NULL;
    }
    struct effect *effect = state_add_effect(state, id);
    effect->kind = ruling->effect;
    effect->reason = ruling->reason;
    state_keep(&effect->job, job->node.key);
    effect->attempt = job->core.attempt;
    if (worker != NULL) {
        state_keep(&effect->worker, worker->node.key);
    }
    return effect;
}

static void change_holder(struct folding *folding, struct job *job, struct worker *holder)
{
    struct worker *previous = job->holder;
    if (previous != NULL) {
        list_remove(&previous->jobs, &job->held);
    }
    job->holder = holder;
    if (holder != NULL) {
        list_append(&holder->jobs, &job->held);
        list_remove(&folding->state->gone, &holder->gone);
    }
    if (previous != NULL) {
        note_idle(folding, previous);
    }
}

/* What has ended needs no text of its attempt any more, nor the one that the end brought. */
static void keep_texts(struct job *job, const struct job_verdict *verdict)
{
    bool is_final = job_phase_rule(verdict->after.phase)->is_final;
    enum job_text end = is_final ? JOB_TEXT_OF_ATTEMPT : JOB_TEXT_COUNT;
    for (enum job_text text = 0; text < end; text++) {
        if ((verdict->keep & (UINT32_C(1) << text)) != 0) {
            state_keep(&job->text[text], verdict->text[text]);
        }
    }
}

static void drop_texts_of_attempt(struct job *job)
{
    for (enum job_text text = JOB_TEXT_OF_ATTEMPT; text < JOB_TEXT_COUNT; text++) {
        state_keep(&job->text[text], SPAN_NONE);
    }
}

/* Finished jobs are remembered by count, in the order they ended; held ones wait in the order in
 * which they were held. */
static void file_job(struct folding *folding, struct job *job)
{
    struct state *state = folding->state;
    if (job->core.phase != JOB_HELD) {
        list_remove(&state->waiting, &job->waiting);
    } else if (!job->waiting.is_linked) {
        list_append(&state->waiting, &job->waiting);
    }
    bool is_final = job_phase_rule(job->core.phase)->is_final;
    if (is_final && !job->finished.is_linked) {
        list_append(&state->finished, &job->finished);
    } else if (!is_final) {
        list_remove(&state->finished, &job->finished);
    }
    if (is_final) {
        drop_texts_of_attempt(job);
    }
}

static void decide(struct folding *folding, struct job *job, const struct ruling *ruling)
{
    struct subject subject = {
        .job = job->node.key,
        .worker =
            job->holder == NULL ? event_text(folding->event, FIELD_WORKER) : job->holder->node.key,
        .service = job->text[JOB_TEXT_SERVICE],
        .attempt = job->core.attempt,
        .facts = job->core.fact,
        .cancel = job->core.cancel,
        .trace = job->text[JOB_TEXT_TRACE],
    };
    if (ruling->action == ACTION_IGNORE) {
        /* What is ignored is what the event says, not what is known of the job. */
        subject.worker = event_text(folding->event, FIELD_WORKER);
        subject.attempt = event_number(folding->event, FIELD_ATTEMPT);
        subject.cancel = JOB_CANCEL_NONE;
    }
    struct span id = rows_decide(folding, ruling, &subject);
    if (ruling->effect == EFFECT_NONE) {
        return;
    }
    CHECK(job->open == NULL);
    job->open = open_effect(folding, id, ruling, job, job->holder);
    if (job->open == NULL) {
        job->core.phase = JOB_OWED;
        job->core.ending = ENDING_NONE;
        job->core.cancel = JOB_CANCEL_NONE;
        job->core.next_due = job->core.cancel_due = 0;
    } else if (ruling->effect != EFFECT_ASK && ruling->effect != EFFECT_CANCEL) {
        job->core.is_touched = true;
    }
}

struct job *apply_job(struct folding *folding, struct job *job, const struct job_verdict *verdict,
                      struct worker *worker)
{
    struct state *state = folding->state;
    if (job == NULL) {
        CHECK(verdict->after.phase != JOB_NONE);
        job = state_add_job(state, event_text(folding->event, FIELD_JOB));
    } else if (job->open != NULL && verdict->closes != OUTCOME_NONE) {
        apply_close(folding, job->open, verdict->closes, verdict->found);
    }
    job->core = verdict->after;
    keep_texts(job, verdict);
    if (verdict->holder == HOLDER_OF_EVENT) {
        CHECK(worker != NULL);
        change_holder(folding, job, worker);
    }
    for (uint32_t i = 0; i < verdict->ruling_count; i++) {
        decide(folding, job, &verdict->rulings[i]);
    }
    if (verdict->holder == HOLDER_NOBODY || job->core.phase == JOB_QUEUED ||
        job_phase_rule(job->core.phase)->is_final) {
        change_holder(folding, job, NULL);
    }
    CHECK((job->open != NULL) == job_phase_rule(job->core.phase)->has_open);
    CHECK(job_next_is_sound(&job->core));
    state_set_job_timers(state, job);
    file_job(folding, job);
    return job;
}

void apply_ignore(struct folding *folding, enum reason reason, struct span job, struct span worker)
{
    struct ruling ruling = {.action = ACTION_IGNORE, .reason = reason};
    struct subject subject = {
        .job = job,
        .worker = worker,
        .attempt = event_number(folding->event, FIELD_ATTEMPT),
    };
    rows_decide(folding, &ruling, &subject);
}

/* Judges the jobs that a worker holds, in the order of their claims. */
static void lose_jobs(struct folding *folding, struct worker *worker, enum reason cause)
{
    struct link *link = worker->jobs.first;
    while (link != NULL) {
        struct job *job = LINK_ELEMENT(link, struct job, held);
        link = link->next;
        struct job_verdict verdict;
        reduce_loss(job, worker, cause, &folding->context, &verdict);
        apply_job(folding, job, &verdict, NULL);
    }
}

static void withdraw_release(struct folding *folding, struct worker *worker)
{
    if (worker->open != NULL) {
        apply_close(folding, worker->open, OUTCOME_WITHDRAWN, SPAN_NONE);
    }
}

/* Frees the worker in the queue. What rests on its silence alone waits while the fleet is held, if
 * it is not just that wait which ends. */
static void release(struct folding *folding, struct worker *worker, enum reason cause,
                    bool is_resumed)
{
    struct job *job = LIST_ELEMENT(worker->jobs.last, struct job, held);
    struct stream_id facts[JOB_FACT_COUNT] = {{0, 0}};
    facts[JOB_FACT_WORKER_HEARD] = worker->core.heard_id;
    facts[JOB_FACT_LOST] = folding->context.id;
    bool is_held = job != NULL && cause == REASON_WORKER_SILENT && !is_resumed &&
                   folding->context.held_for != REASON_NONE;
    struct ruling ruling = {
        .action = ACTION_RELEASE,
        .reason = cause,
        .effect = job == NULL || is_held ? EFFECT_NONE : EFFECT_RELEASE,
        .held = is_held ? EFFECT_RELEASE : EFFECT_NONE,
        .facts = FACT_BIT(WORKER_HEARD) | FACT_BIT(LOST),
        .word = event_text(folding->event, FIELD_REASON),
    };
    if (cause == REASON_WORKER_SILENT) {
        ruling_measure(&ruling, MEASURE_SILENT_MS,
                       folding->context.liveness_ms - worker->core.heard_ms);
        ruling_measure(&ruling, MEASURE_LIMIT_MS,
                       worker_limit_ms(&worker->core, folding->context.policy));
    }
    struct subject subject = {
        .job = job == NULL ? SPAN_NONE : job->node.key,
        .worker = worker->node.key,
        .service = job == NULL ? SPAN_NONE : job->text[JOB_TEXT_SERVICE],
        .attempt = job == NULL ? 0 : job->core.attempt,
        .facts = facts,
    };
    struct span id = rows_decide(folding, &ruling, &subject);
    if (ruling.effect != EFFECT_NONE) {
        withdraw_release(folding, worker);
        worker->open = open_effect(folding, id, &ruling, job, worker);
    }
    if (is_held) {
        list_append(&folding->state->unfreed, &worker->unfreed);
    }
}

void apply_unheld_release(struct folding *folding, struct worker *worker)
{
    list_remove(&folding->state->unfreed, &worker->unfreed);
    release(folding, worker, REASON_WORKER_SILENT, true);
}

void apply_fall(struct folding *folding, struct worker *worker)
{
    struct state *state = folding->state;
    worker->core.fallen_ms = state->liveness_ms;
    state_set_worker_phase(state, worker, WORKER_SILENT);
    state_set_worker_timer(state, worker);
}

void apply_loss(struct folding *folding, struct worker *worker, enum reason cause)
{
    bool is_freed = worker->core.phase == WORKER_SILENT && !worker->unfreed.is_linked;
    if (cause != REASON_WORKER_SILENT) {
        state_set_worker_phase(folding->state, worker, WORKER_GONE);
        state_set_worker_timer(folding->state, worker);
    }
    if (cause == REASON_WORKER_SILENT || !is_freed) {
        release(folding, worker, cause, false);
    }
    lose_jobs(folding, worker, cause);
    note_idle(folding, worker);
}

static void take_back(struct folding *folding, struct worker *worker)
{
    withdraw_release(folding, worker);
    struct link *link = worker->jobs.first;
    while (link != NULL) {
        struct job *job = LINK_ELEMENT(link, struct job, held);
        link = link->next;
        struct job_verdict verdict;
        reduce_heard_again(job, &folding->context, &verdict);
        apply_job(folding, job, &verdict, NULL);
    }
}

struct worker *apply_heard(struct folding *folding)
{
    struct state *state = folding->state;
    struct span id = event_text(folding->event, FIELD_WORKER);
    struct worker *worker = table_find_hashed(&state->workers, id, folding->prepared->worker_hash);
    struct worker_verdict verdict;
    reduce_worker_heard(worker == NULL ? NULL : &worker->core, folding->event, &folding->context,
                        &verdict);
    if (worker == NULL) {
        worker = state_add_worker(state, id);
    }
    bool was_silent = worker->core.phase == WORKER_SILENT;
    if (verdict.change == WORKER_CHANGE_OUTDATED) {
        return worker;
    }
    state_set_worker_phase(state, worker, verdict.after.phase);
    worker->core = verdict.after;
    if (folding->event->type == EVENT_WORKER_REGISTERED) {
        state_keep(&worker->services, event_text(folding->event, FIELD_SERVICES));
        state_set_worker_timer(state, worker);
    } else if (worker->silence.place == 0) {
        /* A timer that runs is left alone: when it is due it looks at the last sign itself. */
        state_set_worker_timer(state, worker);
    }
    if (verdict.change == WORKER_CHANGE_HEARD_AGAIN) {
        take_back(folding, worker);
    } else if (verdict.change == WORKER_CHANGE_RESTARTED) {
        if (was_silent) {
            withdraw_release(folding, worker); /* It rested on the silence alone. */
        }
        lose_jobs(folding, worker, REASON_WORKER_RESTARTED);
    }
    return worker;
}

struct worker *apply_worker(struct folding *folding, struct span id)
{
    struct worker *worker = table_find(&folding->state->workers, id);
    return worker == NULL ? state_add_worker(folding->state, id) : worker;
}

void apply_presence(struct folding *folding, struct worker *worker)
{
    struct state *state = folding->state;
    bool was_silent = worker->core.phase == WORKER_SILENT;
    if (worker->core.phase != WORKER_STOPPING) {
        state_set_worker_phase(state, worker, WORKER_ACTIVE);
    }
    worker->core.heard_ms = state->liveness_ms;
    worker->core.heard_id = folding->context.id;
    state_set_worker_timer(state, worker);
    if (was_silent) {
        take_back(folding, worker);
    }
}

void apply_fleet(struct folding *folding, const struct ruling *ruling)
{
    struct state *state = folding->state;
    bool begins = ruling->action == ACTION_HOLD;
    struct ruling told = *ruling;
    if (!begins) {
        ruling_measure(&told, MEASURE_HELD_JOBS, state->waiting.count);
    }
    rows_decide(folding, &told, &(struct subject){0});
    state->fleet.is_held = begins;
    state->fleet.held_since_ms = begins ? state->liveness_ms : 0;
    if (begins) {
        state->fleet.held_for = ruling->reason;
    } else {
        if (ruling->reason != REASON_WORKERS_HEARD) {
            /* Told once, the same silence does not hold everything again. */
            while (state->fallen.count > 0) {
                list_remove(&state->fallen, state->fallen.first);
            }
        }
    }
    folding_see_hold(folding);
}

void apply_limits(struct folding *folding)
{
    for (struct worker *worker = table_oldest(&folding->state->workers); worker != NULL;
         worker = table_next(worker)) {
        state_set_worker_timer(folding->state, worker);
    }
}
