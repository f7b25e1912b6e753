/* SPDX-License-Identifier: MIT
 * What workers, producers and operators tell: of workers and of jobs. */
#include <stddef.h>

#include "reducers/folding.h"

struct job *fold_job(struct folding *folding)
{
    return event_has(folding->event, FIELD_JOB)
               ? table_find_hashed(&folding->state->jobs, event_text(folding->event, FIELD_JOB),
                                   folding->prepared->job_hash)
               : NULL;
}

/* The worker that sent the event, heard; NULL when the event names none. */
static struct worker *sender_of(struct folding *folding)
{
    return event_has(folding->event, FIELD_WORKER) ? apply_heard(folding) : NULL;
}

void fold_worker_heard(struct folding *folding)
{
    folding->state->counter[COUNTER_HEARTBEATS] += folding->event->type == EVENT_WORKER_HEARTBEAT;
    (void)sender_of(folding);
}

void fold_worker_gone(struct folding *folding)
{
    struct span id = event_text(folding->event, FIELD_WORKER);
    struct worker *worker = table_find(&folding->state->workers, id);
    if (worker == NULL) {
        apply_ignore(folding, REASON_UNKNOWN_WORKER, SPAN_NONE, id);
    } else if (worker->core.phase == WORKER_GONE) {
        apply_ignore(folding, REASON_DUPLICATE, SPAN_NONE, id);
    } else {
        apply_loss(folding, worker,
                   folding->event->type == EVENT_WORKER_STOPPED ? REASON_WORKER_STOPPED
                                                                : REASON_WORKER_LOST);
    }
}

void fold_submitted(struct folding *folding)
{
    struct job *job = fold_job(folding);
    struct job_verdict verdict;
    reduce_submitted(job, folding->event, &verdict);
    apply_job(folding, job, &verdict, NULL);
}

/* Result: the job. */
static struct job *hold(struct folding *folding, struct job *job, struct worker *worker)
{
    struct job_verdict verdict;
    reduce_hold(job, folding->event, &folding->context, &verdict);
    job = apply_job(folding, job, &verdict, worker);
    bool is_outdated = event_has(folding->event, FIELD_INCARNATION) &&
                       event_number(folding->event, FIELD_INCARNATION) < worker->core.incarnation;
    if (is_outdated &&
        stream_id_compare(job->core.fact[JOB_FACT_CLAIMED], folding->event->id) == 0) {
        /* Claimed by a process that is gone: nobody works on it. */
        reduce_loss(job, worker, REASON_WORKER_RESTARTED, &folding->context, &verdict);
        apply_job(folding, job, &verdict, NULL);
    }
    return job;
}

void fold_hold(struct folding *folding)
{
    struct worker *worker = sender_of(folding);
    (void)hold(folding, fold_job(folding), worker);
}

/* The job that the event tells of, or NULL; an attempt that is not known yet is held by whoever
 * tells of it. */
static struct job *job_held(struct folding *folding)
{
    struct worker *worker = sender_of(folding);
    struct job *job = fold_job(folding);
    bool is_closed = job != NULL && hold_is_closed(job);
    bool is_word_of_work =
        folding->event->type == EVENT_JOB_PROGRESS || folding->event->type == EVENT_JOB_HANDED_OFF;
    bool begins = hold_is_newer(job, folding->event) ||
                  (is_word_of_work && hold_is_late_start(job, folding->event));
    if (worker != NULL && !is_closed && begins) {
        job = hold(folding, job, worker);
    }
    return job;
}

void fold_progress(struct folding *folding)
{
    struct job *job = job_held(folding);
    struct job_verdict verdict;
    folding->state->counter[COUNTER_PROGRESS]++;
    if (reduce_progress(job, folding->event, &verdict)) {
        apply_job(folding, job, &verdict, NULL);
    }
}

void fold_handed_off(struct folding *folding)
{
    struct job *job = job_held(folding);
    struct job_verdict verdict;
    reduce_handed_off(job, folding->event, &folding->context, &verdict);
    apply_job(folding, job, &verdict, NULL);
}

void fold_ended(struct folding *folding)
{
    struct job *job = job_held(folding);
    struct job_verdict verdict;
    if (job == NULL) {
        apply_ignore(folding, REASON_UNKNOWN_JOB, event_text(folding->event, FIELD_JOB), SPAN_NONE);
        return;
    }
    if (folding->event->type == EVENT_JOB_COMPLETED) {
        reduce_completed(job, folding->event, &verdict);
    } else if (folding->event->type == EVENT_JOB_FAILED) {
        reduce_failed(job, folding->event, &folding->context, &verdict);
    } else {
        reduce_cancelled(job, folding->event, &folding->context, &verdict);
    }
    apply_job(folding, job, &verdict, NULL);
}

static void order(struct folding *folding, struct job *job)
{
    struct job_verdict verdict;
    reduce_operator(job, folding->event, &folding->context, &verdict);
    apply_job(folding, job, &verdict, NULL);
}

/* operator.hold and operator.resume without a job or a worker mean everybody's silence. */
static void order_fleet(struct folding *folding)
{
    struct state *state = folding->state;
    bool begins = folding->event->type == EVENT_OPERATOR_HOLD;
    struct ruling ruling = {
        .action = begins ? ACTION_HOLD : ACTION_RESUME,
        .reason = REASON_OPERATOR,
        .word = event_text(folding->event, FIELD_WHY),
        .who = event_text(folding->event, FIELD_WHO),
    };
    if (begins && state->fleet.is_held && state->fleet.held_for == REASON_OPERATOR) {
        apply_ignore(folding, REASON_DUPLICATE, SPAN_NONE, SPAN_NONE);
    } else if (!begins && !state->fleet.is_held) {
        apply_ignore(folding, REASON_NOT_HELD, SPAN_NONE, SPAN_NONE);
    } else {
        apply_fleet(folding, &ruling);
    }
}

static void order_jobs_of(struct folding *folding, struct span id)
{
    struct worker *worker = table_find(&folding->state->workers, id);
    struct link *link = worker == NULL ? NULL : worker->jobs.first;
    if (link == NULL) {
        apply_ignore(folding, worker == NULL ? REASON_UNKNOWN_WORKER : REASON_NO_TARGET, SPAN_NONE,
                     id);
    }
    while (link != NULL) {
        struct job *job = LINK_ELEMENT(link, struct job, held);
        link = link->next;
        order(folding, job);
    }
}

void fold_operator(struct folding *folding)
{
    const struct event *event = folding->event;
    struct job *job = fold_job(folding);
    bool is_of_fleet = event->type == EVENT_OPERATOR_HOLD || event->type == EVENT_OPERATOR_RESUME;
    if (job != NULL) {
        order(folding, job);
    } else if (event_has(event, FIELD_JOB)) {
        apply_ignore(folding, REASON_UNKNOWN_JOB, event_text(event, FIELD_JOB), SPAN_NONE);
    } else if (event_has(event, FIELD_WORKER)) {
        order_jobs_of(folding, event_text(event, FIELD_WORKER));
    } else if (is_of_fleet) {
        order_fleet(folding);
    } else {
        apply_ignore(folding, REASON_NO_TARGET, SPAN_NONE, SPAN_NONE);
    }
}
