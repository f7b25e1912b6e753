/* SPDX-License-Identifier: MIT
 * A job ran longer than it may. A deadline that passed inside a gap waits for its grace first: the
 * completion may be right behind. */
#include "reducers/verdict.h"

#include "base/check.h"

#define DEADLINE_FACTS                                                               \
    (FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(HANDED_OFF) | FACT_BIT(LOST) | \
     FACT_BIT(ANSWERED) | FACT_BIT(CAUSE))

void reduce_deadline(const struct job *before, const struct context *context, bool is_within_gap,
                     struct job_verdict *out)
{
    verdict_init(out, before);
    struct job_core *after = &out->after;
    if (!verdict_is_rolled_out(out, context, POLICY_TIMEOUTS_PERCENT)) {
        after->deadline_due = after->grace_due = 0; /* It was when the deadline began to run. */
        return;
    }
    uint64_t grace_ms = verdict_value(out, context, POLICY_GRACE_MS);
    if (is_within_gap && grace_ms > 0) {
        after->deadline_due = 0;
        after->grace_due = context->liveness_ms + grace_ms;
        return;
    }
    after->cause = REASON_DEADLINE_PASSED;
    after->rests_on_silence = false;
    after->fact[JOB_FACT_CAUSE] = context->id;
    struct ruling *ruling;
    if (cancel_is_possible(before, context, out)) {
        ruling = reduce_begin_cancel(before, context, ENDING_TIME_OUT, REASON_DEADLINE_PASSED, out);
    } else if (verdict_value(out, context, POLICY_ON_TIMEOUT) == ON_TIMEOUT_RETRY) {
        reduce_retry(before, context, REASON_DEADLINE_PASSED, true, out);
        ruling = &out->rulings[0];
    } else {
        ruling = verdict_request(out, before, REASON_DEADLINE_PASSED, EFFECT_TIME_OUT);
    }
    ruling->facts |= DEADLINE_FACTS;
    ruling_measure(ruling, MEASURE_TIMEOUT_MS,
                   after->is_timeout_told ? after->timeout_ms
                                          : verdict_value(out, context, POLICY_JOB_TIMEOUT_MS));
    if (before->core.grace_due != 0) {
        ruling_measure(ruling, MEASURE_GRACE_MS, grace_ms);
    } else if (before->core.deadline_due != 0) {
        ruling->tried |= is_within_gap ? 0 : RULE_BIT(WITHIN_GAP);
        ruling_measure(ruling, MEASURE_OVERDUE_MS,
                       context->deadline_ms - before->core.deadline_due);
    }
}
