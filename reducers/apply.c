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
    if (outcome != OUTCOME_WITHDRAWN || effect->kind == EFFECT_ASK) {
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
    if (kind == EFFECT_ASK) {
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

/* Opens the effect that a decision wants; NULL where effects are only observed. Questions touch
 * nothing, so they are asked in either mode. */
static struct effect *open_effect(struct folding *folding, struct span decision,
                                  const struct ruling *ruling, const struct job *job,
                                  const struct worker *worker)
{
    struct state *state = folding->state;
    struct span id = rows_effect_id(folding, decision);
    bool is_observed =
        ruling->effect != EFFECT_ASK && state->policy.value[POLICY_EFFECTS] == EFFECTS_OBSERVE;
    rows_change(folding, id, decision, ruling->effect,
                target_of(folding, ruling->effect, job, worker),
                is_observed ? OUTCOME_OBSERVED : OUTCOME_NONE, SPAN_NONE);
    if (is_observed) {
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

static void drop_texts_of_attempt(struct job *job)
{
    for (enum job_text text = JOB_TEXT_OF_ATTEMPT; text < JOB_TEXT_COUNT; text++) {
        state_keep(&job->text[text], SPAN_NONE);
    }
}

/* Finished jobs are remembered by count, in the order they ended. */
static void file_job(struct folding *folding, struct job *job)
{
    struct state *state = folding->state;
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
        .trace = job->text[JOB_TEXT_TRACE],
    };
    if (ruling->action == ACTION_IGNORE) {
        /* What is ignored is what the event says, not what is known of the job. */
        subject.worker = event_text(folding->event, FIELD_WORKER);
        subject.attempt = event_number(folding->event, FIELD_ATTEMPT);
    }
    struct span id = rows_decide(folding, ruling, &subject);
    if (ruling->effect == EFFECT_NONE) {
        return;
    }
    CHECK(job->open == NULL);
    job->open = open_effect(folding, id, ruling, job, job->holder);
    if (job->open == NULL) {
        job->core.phase = JOB_OWED;
    } else if (ruling->effect != EFFECT_ASK) {
        job->core.is_touched = true;
    }
}

void apply_job(struct folding *folding, struct job *job, const struct job_verdict *verdict,
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
    for (enum job_text text = 0; text < JOB_TEXT_COUNT; text++) {
        if ((verdict->keep & (UINT32_C(1) << text)) != 0) {
            state_keep(&job->text[text], verdict->text[text]);
        }
    }
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
    CHECK((job->core.next_due != 0) == job_phase_rule(job->core.phase)->has_next);
    state_set_job_timers(state, job);
    file_job(folding, job);
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

static void release(struct folding *folding, struct worker *worker, enum reason cause)
{
    struct job *job = LIST_ELEMENT(worker->jobs.last, struct job, held);
    struct stream_id facts[JOB_FACT_COUNT] = {{0, 0}};
    facts[JOB_FACT_WORKER_HEARD] = worker->core.heard_id;
    facts[JOB_FACT_LOST] = folding->context.id;
    struct ruling ruling = {
        .action = ACTION_RELEASE,
        .reason = cause,
        .effect = job == NULL ? EFFECT_NONE : EFFECT_RELEASE,
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
        .attempt = job == NULL ? 0 : job->core.attempt,
        .facts = facts,
    };
    struct span id = rows_decide(folding, &ruling, &subject);
    if (ruling.effect != EFFECT_NONE) {
        withdraw_release(folding, worker);
        worker->open = open_effect(folding, id, &ruling, job, worker);
    }
}

void apply_loss(struct folding *folding, struct worker *worker, enum reason cause)
{
    bool was_silent = worker->core.phase == WORKER_SILENT;
    worker->core.phase = cause == REASON_WORKER_SILENT ? WORKER_SILENT : WORKER_GONE;
    state_set_worker_timer(folding->state, worker);
    if (!was_silent) {
        release(folding, worker, cause);
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
        reduce_heard_again(job, &verdict);
        apply_job(folding, job, &verdict, NULL);
    }
}

struct worker *apply_heard(struct folding *folding, struct span id)
{
    struct state *state = folding->state;
    struct worker *worker = table_find(&state->workers, id);
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
    worker->core = verdict.after;
    list_remove(&state->gone, &worker->gone);
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
        worker->core.phase = WORKER_ACTIVE;
    }
    worker->core.heard_ms = state->liveness_ms;
    worker->core.heard_id = folding->context.id;
    list_remove(&state->gone, &worker->gone);
    state_set_worker_timer(state, worker);
    if (was_silent) {
        take_back(folding, worker);
    }
}

void apply_limits(struct folding *folding)
{
    for (struct worker *worker = table_oldest(&folding->state->workers); worker != NULL;
         worker = table_next(worker)) {
        state_set_worker_timer(folding->state, worker);
    }
}
