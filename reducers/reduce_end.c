/* SPDX-License-Identifier: MIT
 * How a job ended by its worker's word: job.completed, job.failed, job.cancelled. */
#include "reducers/verdict.h"

#include "base/check.h"

/* The first completion wins, whoever tells it. Where the queue may already hold another copy of the
 * job, that copy is taken back by an effect. */
void reduce_completed(const struct job *before, const struct event *event, struct job_verdict *out)
{
    CHECK(before != NULL);
    verdict_init(out, before);
    bool is_plain = !before->core.is_touched && hold_is_same(before, event);
    if (hold_is_closed(before) || (before->core.wanted == EFFECT_COMPLETE && !is_plain)) {
        bool is_final = job_phase_rule(before->core.phase)->is_final;
        verdict_ignore(out, is_final ? REASON_JOB_FINISHED : REASON_IN_RECOVERY);
        return;
    }
    out->after.fact[JOB_FACT_ENDED] = event->id;
    verdict_keep(out, JOB_TEXT_RESULT, event, FIELD_RESULT);
    if (is_plain) {
        verdict_move(out, before, JOB_COMPLETED);
        return;
    }
    out->after.cause = REASON_LATE_COMPLETION;
    out->after.rests_on_silence = false;
    struct ruling *ruling = verdict_request(out, before, REASON_LATE_COMPLETION, EFFECT_COMPLETE);
    ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(LOST) | FACT_BIT(SETTLED) | FACT_BIT(ENDED);
}

/* What job.failed and job.cancelled have in common: true when the event does not concern the
 * attempt that is held. */
static bool is_beside(const struct job *before, const struct event *event, struct job_verdict *out)
{
    if (job_phase_rule(before->core.phase)->is_final) {
        verdict_ignore(out, REASON_JOB_FINISHED);
    } else if (event_number(event, FIELD_ATTEMPT) < before->core.attempt) {
        verdict_ignore(out, REASON_OLDER_ATTEMPT);
    } else if (before->holder != NULL && !hold_is_same(before, event)) {
        verdict_ignore(out, REASON_OTHER_HOLDER);
    } else if (before->core.wanted == EFFECT_COMPLETE) {
        verdict_ignore(out, REASON_IN_RECOVERY); /* The first completion wins. */
    } else {
        return false;
    }
    return true;
}

/* The job is held by an operator: what its failure leads to waits with it. */
static void wait_for_resume(bool is_final, struct job_verdict *out)
{
    enum reason cause = is_final ? REASON_NOT_RETRYABLE : REASON_JOB_FAILED;
    out->after.cause = cause;
    struct ruling *ruling = verdict_rule(out, ACTION_HOLD, cause);
    ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(ENDED);
}

void reduce_failed(const struct job *before, const struct event *event,
                   const struct context *context, struct job_verdict *out)
{
    CHECK(before != NULL);
    verdict_init(out, before);
    if (is_beside(before, event, out)) {
        return;
    }
    enum job_phase phase = before->core.phase;
    bool is_final = event_has(event, FIELD_RETRYABLE) && event_number(event, FIELD_RETRYABLE) == 0;
    bool is_retried = (phase == JOB_BACKING_OFF || phase == JOB_HELD) && !is_final;
    if (is_retried || phase == JOB_REQUESTED || phase == JOB_QUEUED) {
        verdict_ignore(out, phase == JOB_QUEUED ? REASON_DUPLICATE : REASON_IN_RECOVERY);
        return;
    }
    out->after.fact[JOB_FACT_ENDED] = event->id;
    out->after.rests_on_silence = false;
    verdict_keep(out, JOB_TEXT_ERROR, event, FIELD_ERROR);
    bool may_retry = cancel_leads_to_retry(out, context);
    if (before->core.ending != ENDING_NONE && !(may_retry && is_final)) {
        /* It stopped: what the cancel was for can happen. */
        reduce_end_cancel(before, context, JOB_CANCEL_CONFIRMED, out)->facts |= FACT_BIT(ENDED);
        return;
    }
    if (verdict_value(out, context, POLICY_QUEUE_FAILURES) == QUEUE_FAILURES_QUEUE) {
        verdict_move(out, before, is_final ? JOB_FAILED : JOB_QUEUED);
        out->holder = HOLDER_NOBODY;
        return;
    }
    if (before->core.is_held_by_operator) {
        wait_for_resume(is_final, out);
        return;
    }
    if (is_final) {
        out->after.cause = REASON_NOT_RETRYABLE;
        if (out->after.counted == JOB_COUNT_NONE) {
            out->after.counted = JOB_COUNT_FAILURE;
            out->after.failures++;
        }
        struct ruling *ruling = verdict_request(out, before, REASON_NOT_RETRYABLE, EFFECT_FAIL);
        ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(ENDED);
        return;
    }
    out->after.cause = REASON_JOB_FAILED;
    reduce_retry(before, context, REASON_JOB_FAILED, true, out);
    out->rulings[0].tried |= RULE_BIT(NOT_RETRYABLE);
}

void reduce_cancelled(const struct job *before, const struct event *event,
                      const struct context *context, struct job_verdict *out)
{
    CHECK(before != NULL);
    verdict_init(out, before);
    if (is_beside(before, event, out)) {
        return;
    }
    out->after.fact[JOB_FACT_ENDED] = event->id;
    verdict_keep(out, JOB_TEXT_ERROR, event, FIELD_ERROR);
    if (before->core.ending != ENDING_NONE) {
        /* The echo of our own cancel: what that was for can happen. */
        reduce_end_cancel(before, context, JOB_CANCEL_CONFIRMED, out)->facts |= FACT_BIT(ENDED);
        return;
    }
    verdict_move(out, before, JOB_CANCELLED);
}
