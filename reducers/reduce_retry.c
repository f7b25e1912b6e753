/* SPDX-License-Identifier: MIT
 * The retry rules: losses (infrastructure) and failures (the job's own) are counted apart and
 * together held against max_retries; below, back off and requeue; above, fail. */
#include "reducers/verdict.h"

#include "base/check.h"
#include "base/hash.h"
#include "reducers/lot.h"

/* Doubles with each loss or failure up to its maximum; between half and the whole of it by a stable
 * hash of lot and attempt, so that jobs lost together do not come back together. */
static uint64_t backoff_ms(const struct job_verdict *verdict, const struct context *context)
{
    const struct job_core *after = &verdict->after;
    uint64_t base = verdict_value(verdict, context, POLICY_BACKOFF_MS);
    uint64_t most = verdict_value(verdict, context, POLICY_BACKOFF_MAX_MS);
    uint64_t delay = base < most ? base : most;
    for (uint64_t count = after->losses + after->failures; count > 1 && delay < most; count--) {
        delay = delay * 2 < most ? delay * 2 : most;
    }
    uint64_t half = delay / 2;
    return half + hash_number(job_lot(verdict->job), after->attempt) % (delay - half + 1);
}

static uint64_t max_retries_of(const struct job_verdict *verdict, const struct context *context)
{
    return verdict->after.is_max_retries_told ? verdict->after.max_retries
                                              : verdict_value(verdict, context, POLICY_MAX_RETRIES);
}

void ruling_tell_counts(struct ruling *ruling, const struct job_verdict *verdict,
                        const struct context *context)
{
    ruling_measure(ruling, MEASURE_LOSSES, verdict->after.losses);
    ruling_measure(ruling, MEASURE_FAILURES, verdict->after.failures);
    ruling_measure(ruling, MEASURE_MAX_RETRIES, max_retries_of(verdict, context));
    bool is_poison = ruling->reason == REASON_POISON ||
                     (ruling->held != EFFECT_NONE && verdict->after.next_reason == REASON_POISON);
    if (is_poison) {
        ruling_measure(ruling, MEASURE_DEATHS, verdict->after.deaths);
        ruling_measure(ruling, MEASURE_POISON_AFTER,
                       verdict_value(verdict, context, POLICY_POISON_AFTER));
    }
}

#define RETRY_FACTS                                                                          \
    (FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(HANDED_OFF) | FACT_BIT(WORKER_HEARD) | \
     FACT_BIT(LOST) | FACT_BIT(ANSWERED) | FACT_BIT(ENDED) | FACT_BIT(SETTLED))

static struct ruling *try_again(const struct job *before, const struct context *context,
                                enum reason reason, struct job_verdict *out)
{
    bool waits = verdict_value(out, context, POLICY_BACKOFF_MS) > 0;
    uint64_t delay = waits ? backoff_ms(out, context) : 0;
    if (delay == 0) {
        struct ruling *ruling =
            verdict_request_or_hold(out, before, context, reason, EFFECT_REQUEUE);
        ruling_tell_duplicate(ruling, &out->after, reason);
        return ruling;
    }
    verdict_move(out, before, JOB_BACKING_OFF);
    out->after.next_due = context->liveness_ms + delay;
    out->after.next_reason = reason;
    struct ruling *ruling = verdict_rule(out, ACTION_WAIT, reason);
    ruling_measure(ruling, MEASURE_BACKOFF_MS, delay);
    return ruling;
}

void reduce_retry(const struct job *before, const struct context *context, enum reason reason,
                  bool is_failure, struct job_verdict *out)
{
    struct job_core *after = &out->after;
    if (after->counted == JOB_COUNT_NONE) {
        after->counted = is_failure ? JOB_COUNT_FAILURE : JOB_COUNT_LOSS;
        after->losses += is_failure ? 0 : 1;
        after->failures += is_failure ? 1 : 0;
    }
    uint64_t max_retries = max_retries_of(out, context);
    uint64_t poison_after = verdict_value(out, context, POLICY_POISON_AFTER);
    bool is_death_judged = poison_after > 0 && after->is_death;
    enum reason end = is_death_judged && after->deaths >= poison_after ? REASON_POISON
                      : after->losses + after->failures > max_retries  ? REASON_RETRIES_EXHAUSTED
                                                                       : REASON_NONE;
    struct ruling *ruling;
    if (end != REASON_NONE) {
        ruling = verdict_request_or_hold(out, before, context, end, EFFECT_FAIL);
    } else {
        ruling = try_again(before, context, reason, out);
        ruling->tried |= RULE_BIT(RETRIES_EXHAUSTED) | (is_death_judged ? RULE_BIT(POISON) : 0);
    }
    ruling->facts |= RETRY_FACTS;
    ruling_tell_counts(ruling, out, context);
}

/* Claimed and never started: as a lost worker's job, but the worker stays. */
static void give_claim_up(const struct job *before, const struct context *context,
                          struct job_verdict *out)
{
    out->after.cause = REASON_CLAIM_TIMED_OUT;
    out->after.fact[JOB_FACT_CAUSE] = context->id;
    reduce_judge_loss(before, context, out);
    out->rulings[0].facts |= FACT_BIT(CAUSE);
    ruling_measure(&out->rulings[0], MEASURE_LIMIT_MS,
                   verdict_value(out, context, POLICY_CLAIM_TIMEOUT_MS));
}

void reduce_next(const struct job *before, const struct context *context, struct job_verdict *out)
{
    struct ruling *ruling;
    if (before->core.ending != ENDING_NONE) {
        reduce_cancel_next(before, context, out);
        return;
    }
    verdict_init(out, before);
    if (before->core.phase == JOB_CLAIMED) {
        give_claim_up(before, context, out);
        return;
    }
    if (before->core.phase == JOB_WAITING) {
        ruling = verdict_request(out, before, before->core.next_reason, EFFECT_ASK);
        ruling_measure(ruling, MEASURE_ASKS, before->core.asks);
    } else {
        CHECK(before->core.phase == JOB_BACKING_OFF);
        ruling =
            verdict_request_or_hold(out, before, context, before->core.next_reason, EFFECT_REQUEUE);
        ruling_measure(ruling, MEASURE_LOSSES, before->core.losses);
        ruling_measure(ruling, MEASURE_FAILURES, before->core.failures);
        ruling_tell_duplicate(ruling, &out->after, before->core.next_reason);
    }
    ruling->facts = RETRY_FACTS;
}
