/* SPDX-License-Identifier: MIT
 * The retry rules: losses (infrastructure) and failures (the job's own) are counted apart and
 * together held against max_retries; below, back off and requeue; above, fail. */
#include "reducers/verdict.h"

#include "base/check.h"
#include "base/hash.h"

/* Doubles with each loss or failure up to its maximum; between half and the whole of it by a stable
 * hash of job and attempt, so that jobs lost together do not come back together. */
static uint64_t backoff_ms(const struct job *job, const struct job_core *after,
                           const struct policy *policy)
{
    uint64_t base = policy->value[POLICY_BACKOFF_MS];
    uint64_t most = policy->value[POLICY_BACKOFF_MAX_MS];
    uint64_t delay = base < most ? base : most;
    for (uint64_t count = after->losses + after->failures; count > 1 && delay < most; count--) {
        delay = delay * 2 < most ? delay * 2 : most;
    }
    uint64_t half = delay / 2;
    return half + hash_number(hash_bytes(job->node.key), after->attempt) % (delay - half + 1);
}

static void tell_counts(struct ruling *ruling, const struct job_core *after, uint64_t max_retries)
{
    ruling_measure(ruling, MEASURE_LOSSES, after->losses);
    ruling_measure(ruling, MEASURE_FAILURES, after->failures);
    ruling_measure(ruling, MEASURE_MAX_RETRIES, max_retries);
}

static void tell_duplicate(struct ruling *ruling, enum reason reason)
{
    if (reason == REASON_SERVICE_UNREACHABLE || reason == REASON_SERVICE_PENDING ||
        reason == REASON_SERVICE_RUNNING) {
        ruling_measure(ruling, MEASURE_POSSIBLE_DUPLICATE, 1);
    }
}

#define RETRY_FACTS                                                                          \
    (FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(HANDED_OFF) | FACT_BIT(WORKER_HEARD) | \
     FACT_BIT(LOST) | FACT_BIT(ANSWERED) | FACT_BIT(ENDED) | FACT_BIT(SETTLED))

void reduce_retry(const struct job *before, const struct context *context, enum reason reason,
                  bool is_failure, struct job_verdict *out)
{
    struct job_core *after = &out->after;
    if (!after->is_counted) {
        after->is_counted = true;
        after->losses += is_failure ? 0 : 1;
        after->failures += is_failure ? 1 : 0;
    }
    uint64_t max_retries = after->is_max_retries_told ? after->max_retries
                                                      : context->policy->value[POLICY_MAX_RETRIES];
    struct ruling *ruling;
    if (after->losses + after->failures > max_retries) {
        ruling = verdict_request(out, before, REASON_RETRIES_EXHAUSTED, EFFECT_FAIL);
    } else {
        uint64_t delay = context->policy->value[POLICY_BACKOFF_MS] == 0
                             ? 0
                             : backoff_ms(before, after, context->policy);
        if (delay == 0) {
            ruling = verdict_request(out, before, reason, EFFECT_REQUEUE);
            tell_duplicate(ruling, reason);
        } else {
            verdict_move(out, before, JOB_BACKING_OFF);
            ruling = verdict_rule(out, ACTION_WAIT, reason);
            ruling_measure(ruling, MEASURE_BACKOFF_MS, delay);
            after->next_due = context->liveness_ms + delay;
            after->next_reason = reason;
        }
        ruling->tried |= RULE_BIT(RETRIES_EXHAUSTED);
    }
    ruling->facts = RETRY_FACTS;
    tell_counts(ruling, after, max_retries);
}

void reduce_next(const struct job *before, struct job_verdict *out)
{
    verdict_init(out, before);
    struct ruling *ruling;
    if (before->core.phase == JOB_WAITING) {
        ruling = verdict_request(out, before, before->core.next_reason, EFFECT_ASK);
        ruling_measure(ruling, MEASURE_ASKS, before->core.asks);
    } else {
        CHECK(before->core.phase == JOB_BACKING_OFF);
        ruling = verdict_request(out, before, before->core.next_reason, EFFECT_REQUEUE);
        ruling_measure(ruling, MEASURE_LOSSES, before->core.losses);
        ruling_measure(ruling, MEASURE_FAILURES, before->core.failures);
        tell_duplicate(ruling, before->core.next_reason);
    }
    ruling->facts = RETRY_FACTS;
}
