/* SPDX-License-Identifier: MIT
 * operator.*: what a person decided. It is carried out by the same effects as a rule's decision, so
 * the queue refuses it in the same cases. */
#include "reducers/verdict.h"

#include "base/check.h"

#define OPERATOR_FACTS                                                               \
    (FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(HANDED_OFF) | FACT_BIT(LOST) | \
     FACT_BIT(ANSWERED) | FACT_BIT(CAUSE))

static const enum effect_kind ordered_effects[EVENT_TYPE_COUNT] = {
    [EVENT_OPERATOR_REQUEUE] = EFFECT_REQUEUE,
    [EVENT_OPERATOR_COMPLETE] = EFFECT_COMPLETE,
    [EVENT_OPERATOR_FAIL] = EFFECT_FAIL,
    [EVENT_OPERATOR_CANCEL] = EFFECT_FAIL, /* once it is stopped at its service */
};

static struct ruling *order(const struct job *before, const struct event *event,
                            const struct context *context, struct job_verdict *out)
{
    verdict_keep(out, JOB_TEXT_RESULT, event, FIELD_RESULT);
    bool is_cancel =
        event->type == EVENT_OPERATOR_CANCEL && cancel_is_possible(before, context, out);
    enum effect_kind ordered = ordered_effects[event->type];
    out->after.cause = REASON_OPERATOR;
    out->after.rests_on_silence = false;
    out->after.ordered = is_cancel ? EFFECT_CANCEL : ordered;
    struct ruling *ruling =
        is_cancel ? reduce_begin_cancel(before, context, ENDING_FAIL, REASON_OPERATOR, out)
                  : verdict_request(out, before, REASON_OPERATOR, ordered);
    if (before->holder != NULL) {
        ruling_tell_duplicate(ruling, &out->after, REASON_OPERATOR);
    }
    return ruling;
}

/* Parked until it is resumed. */
static struct ruling *hold(const struct job *before, struct job_verdict *out)
{
    verdict_move(out, before, JOB_PARKED);
    out->after.is_held_by_operator = true;
    return verdict_rule(out, ACTION_HOLD, REASON_OPERATOR);
}

/* A job about which nothing had been decided goes on as it was; every other one is judged anew. */
static struct ruling *resume(const struct job *before, const struct context *context,
                             struct job_verdict *out)
{
    if (before->core.phase == JOB_HELD) {
        reduce_unheld(before, context, out);
        return &out->rulings[0];
    }
    if (before->core.cause != REASON_NONE) {
        reduce_anew(before, context, out);
        return &out->rulings[0];
    }
    bool is_started = !stream_id_is_zero(before->core.fact[JOB_FACT_STARTED]);
    verdict_move(out, before,
                 before->holder == NULL ? JOB_QUEUED
                 : is_started           ? JOB_STARTED
                                        : JOB_CLAIMED);
    if (out->after.phase == JOB_CLAIMED) {
        verdict_run_claim_limit(out, context);
    }
    return verdict_rule(out, ACTION_RESUME, REASON_OPERATOR);
}

void reduce_operator(const struct job *before, const struct event *event,
                     const struct context *context, struct job_verdict *out)
{
    CHECK(before != NULL);
    verdict_init(out, before);
    enum job_phase phase = before->core.phase;
    struct ruling *ruling;
    if (job_phase_rule(phase)->is_final) {
        verdict_ignore(out, REASON_JOB_FINISHED);
        return;
    }
    if (event->type == EVENT_OPERATOR_HOLD && !before->core.is_held_by_operator) {
        ruling = hold(before, out);
    } else if (event->type == EVENT_OPERATOR_HOLD) {
        verdict_ignore(out, REASON_DUPLICATE);
        return;
    } else if (event->type != EVENT_OPERATOR_RESUME) {
        ruling = order(before, event, context, out);
    } else if (phase == JOB_PARKED || phase == JOB_HELD) {
        ruling = resume(before, context, out);
    } else {
        verdict_ignore(out, REASON_NOT_HELD);
        return;
    }
    out->after.fact[JOB_FACT_CAUSE] = event->id;
    ruling->facts |= OPERATOR_FACTS;
    ruling->word = event_text(event, FIELD_WHY);
    ruling->who = event_text(event, FIELD_WHO);
}
