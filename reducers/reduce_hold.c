/* SPDX-License-Identifier: MIT
 * Who holds an attempt: job.claimed and job.started, and what a holder tells of its work. The token
 * is (attempt, worker, claim), compared for equality; a part that the event did not tell is not
 * compared. */
#include "reducers/verdict.h"

#include <stddef.h>

#include "base/check.h"

bool hold_is_closed(const struct job *job)
{
    return job->core.phase == JOB_COMPLETED || job->core.phase == JOB_CANCELLED ||
           (job->open != NULL && job->core.wanted == EFFECT_COMPLETE);
}

bool hold_is_newer(const struct job *before, const struct event *event)
{
    return before == NULL || event_number(event, FIELD_ATTEMPT) > before->core.attempt;
}

static bool claim_differs(const struct job *job, const struct event *event)
{
    struct span told = event_text(event, FIELD_CLAIM);
    struct span known = job->text[JOB_TEXT_CLAIM];
    return told.size > 0 && known.size > 0 && !span_equal(told, known);
}

bool hold_is_same(const struct job *job, const struct event *event)
{
    return job->holder != NULL && job->core.attempt == event_number(event, FIELD_ATTEMPT) &&
           (!event_has(event, FIELD_WORKER) ||
            span_equal(job->holder->node.key, event_text(event, FIELD_WORKER))) &&
           !claim_differs(job, event);
}

bool hold_is_late_start(const struct job *job, const struct event *event)
{
    if (job->core.cause != REASON_CLAIM_TIMED_OUT || !hold_is_same(job, event)) {
        return false;
    }
    const struct worker_core *holder = &job->holder->core;
    bool is_there = holder->phase == WORKER_ACTIVE || holder->phase == WORKER_STOPPING;
    return is_there && !(event_has(event, FIELD_INCARNATION) &&
                         event_number(event, FIELD_INCARNATION) < holder->incarnation);
}

static void take_terms(struct job_verdict *out, const struct event *event)
{
    struct job_core *after = &out->after;
    if (event_has(event, FIELD_MAX_RETRIES)) {
        after->is_max_retries_told = true;
        after->max_retries = event_number(event, FIELD_MAX_RETRIES);
    }
    if (event_has(event, FIELD_TIMEOUT_MS)) {
        after->is_timeout_told = true;
        after->timeout_ms = event_number(event, FIELD_TIMEOUT_MS);
    }
    if (event_has(event, FIELD_IDEMPOTENT)) {
        after->is_idempotent = event_number(event, FIELD_IDEMPOTENT) != 0;
    }
    /* Told are those of the attempts before; what this one has been counted for since stays. */
    if (event_has(event, FIELD_LOSSES)) {
        after->losses =
            event_number(event, FIELD_LOSSES) + (uint64_t)(after->counted == JOB_COUNT_LOSS);
    }
    if (event_has(event, FIELD_FAILURES)) {
        after->failures =
            event_number(event, FIELD_FAILURES) + (uint64_t)(after->counted == JOB_COUNT_FAILURE);
    }
    verdict_keep(out, JOB_TEXT_CLAIM, event, FIELD_CLAIM);
    verdict_keep(out, JOB_TEXT_SERVICE, event, FIELD_SERVICE);
    verdict_keep(out, JOB_TEXT_TRACE, event, FIELD_TRACE);
}

static void mark_at_work(struct job_core *after)
{
    after->is_at_work = true;
    if (after->phase == JOB_CLAIMED) {
        after->next_due = 0;
    }
}

/* What an operator holds stays parked, whatever its holder does meanwhile. */
static void mark_started(struct job_verdict *out, const struct event *event,
                         const struct context *context)
{
    mark_at_work(&out->after);
    if (!out->after.is_held_by_operator) {
        out->after.phase = JOB_STARTED;
    }
    out->after.fact[JOB_FACT_STARTED] = event->id;
    verdict_run_deadline(out, context);
}

static void hold_anew(const struct job *before, const struct event *event,
                      const struct context *context, struct job_verdict *out)
{
    uint64_t attempt = event_number(event, FIELD_ATTEMPT);
    if (before != NULL && before->open != NULL && before->core.wanted == EFFECT_REQUEUE &&
        attempt == before->core.attempt + 1) {
        out->closes = OUTCOME_APPLIED;
    }
    bool was_touched = out->after.is_touched;
    verdict_begin_attempt(out, before, out->after.is_held_by_operator ? JOB_PARKED : JOB_CLAIMED,
                          attempt);
    out->holder = HOLDER_OF_EVENT;
    take_terms(out, event);
    out->after.fact[JOB_FACT_CLAIMED] = event->id;
    verdict_run_deadline(out, context);
    if (out->after.phase == JOB_CLAIMED) {
        verdict_run_claim_limit(out, context);
    }
    if (event->type != EVENT_JOB_CLAIMED) {
        /* Without a claim the queue may still hold the copy that an effect of ours left there. */
        out->after.is_touched = was_touched;
        mark_started(out, event, context);
    }
}

void reduce_hold(const struct job *before, const struct event *event, const struct context *context,
                 struct job_verdict *out)
{
    verdict_init(out, before);
    out->job = event_text(event, FIELD_JOB);
    bool is_claim = event->type == EVENT_JOB_CLAIMED;
    bool is_final = before != NULL && job_phase_rule(before->core.phase)->is_final;
    if (before != NULL && hold_is_closed(before)) {
        /* A copy that the queue handed out before the completion reached it is taken back. */
        verdict_ignore(out, is_final ? REASON_JOB_FINISHED : REASON_IN_RECOVERY);
    } else if (hold_is_newer(before, event)) {
        hold_anew(before, event, context, out);
    } else if (event_number(event, FIELD_ATTEMPT) < before->core.attempt) {
        verdict_ignore(out, REASON_OLDER_ATTEMPT);
    } else if (before->holder == NULL && !(is_claim && claim_differs(before, event))) {
        /* The attempt was given back or has ended: a late word of it does not revive it. */
        verdict_ignore(out, is_final ? REASON_JOB_FINISHED : REASON_OLDER_ATTEMPT);
    } else if (!hold_is_same(before, event)) {
        /* The queue handed the same attempt out again: its last claim counts. */
        if (is_claim) {
            hold_anew(before, event, context, out);
        } else {
            verdict_ignore(out, REASON_OTHER_HOLDER);
        }
    } else if (!is_claim && before->core.phase == JOB_CLAIMED) {
        take_terms(out, event);
        mark_started(out, event, context);
    } else if (!is_claim && hold_is_late_start(before, event)) {
        reduce_started_late(before, context, out);
        take_terms(out, event);
        mark_started(out, event, context);
    } else if (!is_claim && before->core.is_held_by_operator) {
        take_terms(out, event);
        mark_started(out, event, context);
    } else if (before->core.phase == JOB_CLAIMED || before->core.phase == JOB_STARTED) {
        verdict_ignore(out, REASON_DUPLICATE);
    } else {
        verdict_ignore(out, REASON_IN_RECOVERY);
    }
}

void reduce_handed_off(const struct job *before, const struct event *event,
                       const struct context *context, struct job_verdict *out)
{
    CHECK(before != NULL);
    verdict_init(out, before);
    if (job_phase_rule(before->core.phase)->is_final) {
        verdict_ignore(out, REASON_JOB_FINISHED);
        return;
    }
    if (event_number(event, FIELD_ATTEMPT) < before->core.attempt) {
        verdict_ignore(out, REASON_OLDER_ATTEMPT);
        return;
    }
    if (!hold_is_same(before, event)) {
        verdict_ignore(out, REASON_OTHER_HOLDER);
        return;
    }
    if (span_equal(before->text[JOB_TEXT_SERVICE_JOB], event_text(event, FIELD_SERVICE_JOB))) {
        verdict_ignore(out, REASON_DUPLICATE);
        return;
    }
    out->after.fact[JOB_FACT_HANDED_OFF] = event->id;
    out->after.submitted_at = event_number(event, FIELD_SUBMITTED_AT);
    out->after.handed_off_ms = context->deadline_ms;
    static const struct {
        enum job_text text;
        enum event_field field;
    } told[] = {
        {JOB_TEXT_SERVICE, FIELD_SERVICE},
        {JOB_TEXT_SERVICE_JOB, FIELD_SERVICE_JOB},
        {JOB_TEXT_TAG, FIELD_TAG},
        {JOB_TEXT_STATUS_URL, FIELD_STATUS_URL},
        {JOB_TEXT_CANCEL_URL, FIELD_CANCEL_URL},
        {JOB_TEXT_RESULT_URL, FIELD_RESULT_URL},
    };
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        out->keep |= UINT32_C(1) << told[i].text;
        out->text[told[i].text] = event_text(event, told[i].field);
    }
    mark_at_work(&out->after);
    bool is_held = before->core.phase == JOB_CLAIMED || before->core.phase == JOB_STARTED;
    if (is_held && before->core.grace_due == 0) {
        verdict_adapt_deadline(out, context); /* The service may have a time of its own. */
    }
    if (before->core.ending != ENDING_NONE) {
        reduce_cancel_again(before, out);
    } else if (loss_is_open(before) &&
               verdict_is_rolled_out(out, context, POLICY_SERVICE_CHECK_PERCENT)) {
        reduce_ask(before, out);
    }
}

bool reduce_progress(const struct job *before, const struct event *event, struct job_verdict *out)
{
    if (before->core.is_at_work || !hold_is_same(before, event)) {
        return false;
    }
    verdict_init(out, before);
    mark_at_work(&out->after);
    return true;
}
