/* SPDX-License-Identifier: MIT
 * operator.*: what a person decided. It is carried out by the same effects as a rule's decision, so
 * the queue refuses it in the same cases. */
#include "reducers/verdict.h"

#include "base/check.h"

void reduce_operator(const struct job *before, const struct event *event, struct job_verdict *out)
{
    static const enum effect_kind effects[EVENT_TYPE_COUNT] = {
        [EVENT_OPERATOR_REQUEUE] = EFFECT_REQUEUE,
        [EVENT_OPERATOR_COMPLETE] = EFFECT_COMPLETE,
        [EVENT_OPERATOR_FAIL] = EFFECT_FAIL,
    };
    enum effect_kind wanted = effects[event->type];
    CHECK(before != NULL);
    verdict_init(out, before);
    if (job_phase_rule(before->core.phase)->is_final) {
        verdict_ignore(out, REASON_JOB_FINISHED);
        return;
    }
    if (wanted == EFFECT_NONE) {
        verdict_ignore(out, REASON_UNSUPPORTED);
        return;
    }
    verdict_keep(out, JOB_TEXT_RESULT, event, FIELD_RESULT);
    out->after.cause = REASON_OPERATOR;
    out->after.rests_on_silence = false;
    struct ruling *ruling = verdict_request(out, before, REASON_OPERATOR, wanted);
    ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(LOST) | FACT_BIT(ANSWERED);
    ruling->word = event_text(event, FIELD_WHY);
}
