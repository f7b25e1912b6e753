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

void reduce_judge_loss(const struct job *before, const struct context *context,
                       struct job_verdict *out)
{
    bool is_handed_off = before->text[JOB_TEXT_SERVICE_JOB].size > 0;
    CHECK(before->holder != NULL);
    if (is_handed_off && verdict_is_rolled_out(out, context, POLICY_SERVICE_CHECK_PERCENT)) {
        reduce_ask(before, out);
        return;
    }
    reduce_retry(before, context, out->after.cause, false, out);
    out->rulings[0].tried |= is_handed_off ? RULE_BIT(SERVICE_CHECK) : RULE_BIT(HANDED_OFF);
}

static void note_loss(struct job_core *after, const struct worker *worker, enum reason cause,
                      const struct context *context)
{
    after->cause = cause;
    after->fact[JOB_FACT_LOST] = context->id;
    after->fact[JOB_FACT_WORKER_HEARD] = worker->core.heard_id;
    after->is_death = after->is_at_work && cause != REASON_WORKER_STOPPED;
    after->deaths += after->is_death ? 1 : 0;
}

static void request_held(const struct job *before, const struct context *context,
                         enum reason reason, struct job_verdict *out)
{
    CHECK(before->core.phase == JOB_HELD);
    struct ruling *ruling = verdict_request(out, before, reason, before->core.wanted);
    ruling_tell_duplicate(ruling, &out->after, reason);
    ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(HANDED_OFF) |
                    FACT_BIT(WORKER_HEARD) | FACT_BIT(LOST) | FACT_BIT(ANSWERED);
    ruling_tell_counts(ruling, out, context);
}

void reduce_unheld(const struct job *before, const struct context *context, struct job_verdict *out)
{
    verdict_init(out, before);
    request_held(before, context, before->core.next_reason, out);
}

void reduce_loss(const struct job *before, const struct worker *worker, enum reason cause,
                 const struct context *context, struct job_verdict *out)
{
    verdict_init(out, before);
    struct job_core *after = &out->after;
    enum job_phase phase = before->core.phase;
    if (phase == JOB_CLAIMED || phase == JOB_STARTED) {
        after->rests_on_silence = cause == REASON_WORKER_SILENT;
        note_loss(after, worker, cause, context);
        reduce_judge_loss(before, context, out);
        return;
    }
    /* Being judged already, and what rests on silence alone was taken back when the worker was
     * heard: from here on more than silence speaks against the attempt. */
    after->rests_on_silence = false;
    if (phase == JOB_HELD) {
        bool was_silence = after->next_reason == REASON_WORKER_SILENT;
        after->cause = cause;
        after->fact[JOB_FACT_LOST] = context->id;
        request_held(before, context, was_silence ? cause : after->next_reason, out);
    } else if (before->core.is_held_by_operator && after->cause == REASON_NONE) {
        after->rests_on_silence = cause == REASON_WORKER_SILENT;
        note_loss(after, worker, cause, context); /* for the day it is resumed */
    }
}

/* What was counted against the attempt is taken back. */
void loss_clear(struct job_core *after)
{
    /* A failure is somebody's word, and then neither silence nor a missing start decides. */
    CHECK(after->counted != JOB_COUNT_FAILURE);
    after->losses -= after->counted == JOB_COUNT_LOSS ? 1 : 0;
    after->deaths -= after->is_death ? 1 : 0;
    after->counted = JOB_COUNT_NONE;
    after->is_death = after->rests_on_silence = false;
    after->cause = after->next_reason = REASON_NONE;
    after->cancel = JOB_CANCEL_NONE;
    after->asks = after->refusals = 0;
    after->interval_ms = 0;
}

/* Back to its holder. */
static void take_back(const struct job *before, const struct context *context, enum reason reason,
                      struct job_verdict *out)
{
    bool was_started = !stream_id_is_zero(before->core.fact[JOB_FACT_STARTED]);
    verdict_move(out, before, was_started ? JOB_STARTED : JOB_CLAIMED);
    struct ruling *ruling = verdict_rule(out, ACTION_WAIT, reason);
    ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(LOST);
    loss_clear(&out->after);
    if (out->after.phase == JOB_CLAIMED) {
        verdict_run_claim_limit(out, context);
    }
}

void reduce_heard_again(const struct job *before, const struct context *context,
                        struct job_verdict *out)
{
    verdict_init(out, before);
    if (!before->core.rests_on_silence) {
        return;
    }
    if (before->core.is_held_by_operator) {
        loss_clear(&out->after); /* An operator's word outlasts a heartbeat. */
    } else {
        take_back(before, context, REASON_WORKER_HEARD_AGAIN, out);
    }
}

void reduce_started_late(const struct job *before, const struct context *context,
                         struct job_verdict *out)
{
    CHECK(before->core.cause == REASON_CLAIM_TIMED_OUT);
    if (before->core.is_held_by_operator) {
        loss_clear(&out->after);
    } else {
        take_back(before, context, REASON_STARTED_LATE, out);
    }
}

void reduce_owed(const struct job *before, struct job_verdict *out)
{
    verdict_init(out, before);
    verdict_move(out, before, JOB_OWED);
    out->after.wanted = before->core.wanted;
}

/* What was proved or ordered stays so; NONE: nothing was. */
static enum effect_kind proved_effect(const struct job_core *core)
{
    switch (core->cause) {
    case REASON_LATE_COMPLETION:
    case REASON_SERVICE_COMPLETED:
        return EFFECT_COMPLETE;
    case REASON_NOT_RETRYABLE:
        return EFFECT_FAIL;
    case REASON_OPERATOR:
        return core->ordered;
    default:
        return EFFECT_NONE;
    }
}

void reduce_anew(const struct job *before, const struct context *context, struct job_verdict *out)
{
    enum effect_kind proved = proved_effect(&before->core);
    verdict_init(out, before);
    out->after.asks = out->after.refusals = 0;
    if (proved == EFFECT_CANCEL) {
        reduce_begin_cancel(before, context, ENDING_FAIL, REASON_OPERATOR, out);
    } else if (proved != EFFECT_NONE) {
        struct ruling *ruling = verdict_request(out, before, before->core.cause, proved);
        ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(LOST) | FACT_BIT(ANSWERED) | FACT_BIT(ENDED) |
                        FACT_BIT(CAUSE);
    } else if (before->core.cause == REASON_JOB_FAILED) {
        reduce_retry(before, context, REASON_JOB_FAILED, true, out);
    } else if (before->core.cause == REASON_DEADLINE_PASSED) {
        reduce_deadline(before, context, false, out);
    } else {
        reduce_judge_loss(before, context, out);
    }
}
