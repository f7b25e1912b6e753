/* SPDX-License-Identifier: MIT
 * The holder of an attempt is gone, or was only silent. Who was handed off to an outside service is
 * asked about before anything else happens. */
#include "reducers/verdict.h"

#include "base/check.h"

void reduce_ask(const struct job *before, struct job_verdict *out)
{
    struct ruling *ruling = verdict_request(out, before, out->after.cause, EFFECT_ASK);
    ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(HANDED_OFF) |
                    FACT_BIT(WORKER_HEARD) | FACT_BIT(LOST);
}

bool loss_is_open(const struct job *before)
{
    enum reason cause = before->core.cause;
    bool is_loss = cause != REASON_JOB_FAILED && cause != REASON_DEADLINE_PASSED;
    enum job_phase phase = before->core.phase;
    return phase == JOB_ASKING || (phase == JOB_BACKING_OFF && is_loss);
}

static void judge_loss(const struct job *before, const struct context *context,
                       struct job_verdict *out)
{
    if (before->text[JOB_TEXT_SERVICE_JOB].size > 0) {
        reduce_ask(before, out);
        return;
    }
    reduce_retry(before, context, out->after.cause, false, out);
    out->rulings[0].tried |= RULE_BIT(HANDED_OFF);
}

void reduce_loss(const struct job *before, const struct worker *worker, enum reason cause,
                 const struct context *context, struct job_verdict *out)
{
    verdict_init(out, before);
    struct job_core *after = &out->after;
    enum job_phase phase = before->core.phase;
    if (phase != JOB_CLAIMED && phase != JOB_STARTED) {
        /* Being judged already, and what rests on silence alone was taken back when the worker was
         * heard: from here on more than silence speaks against the attempt. */
        after->rests_on_silence = false;
        return;
    }
    after->rests_on_silence = cause == REASON_WORKER_SILENT;
    after->cause = cause;
    after->fact[JOB_FACT_LOST] = context->id;
    after->fact[JOB_FACT_WORKER_HEARD] = worker->core.heard_id;
    judge_loss(before, context, out);
}

void reduce_heard_again(const struct job *before, struct job_verdict *out)
{
    verdict_init(out, before);
    if (!before->core.rests_on_silence) {
        return;
    }
    struct job_core *after = &out->after;
    bool was_started = !stream_id_is_zero(after->fact[JOB_FACT_STARTED]);
    verdict_move(out, before, was_started ? JOB_STARTED : JOB_CLAIMED);
    struct ruling *ruling = verdict_rule(out, ACTION_WAIT, REASON_WORKER_HEARD_AGAIN);
    ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(LOST);
    if (after->is_counted) {
        CHECK(after->losses > 0);
        after->losses--;
        after->is_counted = false;
    }
    after->rests_on_silence = false;
    after->cause = after->next_reason = REASON_NONE;
    after->asks = 0;
    after->interval_ms = 0;
}

void reduce_owed(const struct job *before, struct job_verdict *out)
{
    verdict_init(out, before);
    verdict_move(out, before, JOB_OWED);
    out->after.wanted = before->core.wanted;
}

void reduce_anew(const struct job *before, const struct context *context, struct job_verdict *out)
{
    CHECK(before->core.phase == JOB_OWED);
    verdict_init(out, before);
    struct ruling *ruling;
    switch (before->core.cause) {
    case REASON_LATE_COMPLETION:
    case REASON_SERVICE_COMPLETED:
    case REASON_NOT_RETRYABLE:
    case REASON_OPERATOR:
        /* What was proved or ordered stays so. */
        ruling = verdict_request(out, before, before->core.cause, before->core.wanted);
        ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(LOST) | FACT_BIT(ANSWERED) | FACT_BIT(ENDED);
        break;
    case REASON_JOB_FAILED:
        reduce_retry(before, context, REASON_JOB_FAILED, true, out);
        break;
    case REASON_DEADLINE_PASSED:
        reduce_deadline(before, context, false, out);
        break;
    default:
        judge_loss(before, context, out);
        break;
    }
}
