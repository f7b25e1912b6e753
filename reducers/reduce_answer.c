/* SPDX-License-Identifier: MIT
 * What the outside service says of a job whose worker is gone. */
#include "reducers/verdict.h"

#include "base/check.h"

#define ANSWER_FACTS                                                                      \
    (FACT_BIT(CLAIMED) | FACT_BIT(HANDED_OFF) | FACT_BIT(WORKER_HEARD) | FACT_BIT(LOST) | \
     FACT_BIT(ANSWERED))

static bool has_flag(const struct event *event, const char *flag)
{
    struct span flags = event_text(event, FIELD_FLAGS);
    while (flags.size > 0) {
        if (span_is(span_cut(&flags, ' '), flag)) {
            return true;
        }
    }
    return false;
}

/* Asks again later: each time twice as long after the last, up to backoff_max_ms. */
static struct ruling *wait_and_ask(const struct job *before, const struct context *context,
                                   enum reason reason, struct job_verdict *out)
{
    struct job_core *after = &out->after;
    uint64_t least = context->policy->value[POLICY_ASK_BACKOFF_MS];
    uint64_t most = context->policy->value[POLICY_BACKOFF_MAX_MS];
    uint64_t interval = after->interval_ms == 0 ? least : after->interval_ms * 2;
    if (interval > most) {
        interval = most > least ? most : least;
    }
    if (interval == 0) {
        interval = 1; /* The clock moves by ticks: "at once" is the next of them. */
    }
    verdict_move(out, before, JOB_WAITING);
    after->interval_ms = interval;
    after->next_due = context->liveness_ms + interval;
    after->next_reason = reason;
    struct ruling *ruling = verdict_rule(out, ACTION_WAIT, reason);
    ruling_measure(ruling, MEASURE_BACKOFF_MS, interval);
    return ruling;
}

static struct ruling *park(const struct job *before, enum reason reason, struct job_verdict *out)
{
    verdict_move(out, before, JOB_PARKED);
    return verdict_rule(out, ACTION_PARK, reason);
}

static struct ruling *retry(const struct job *before, const struct context *context,
                            enum reason reason, bool is_failure, struct job_verdict *out)
{
    reduce_retry(before, context, reason, is_failure, out);
    return &out->rulings[0];
}

static struct ruling *judge_completed(const struct job *before, const struct event *event,
                                      struct job_verdict *out)
{
    out->after.rests_on_silence = false;
    out->after.cause = REASON_SERVICE_COMPLETED;
    verdict_keep(out, JOB_TEXT_RESULT, event, FIELD_RESULT);
    return verdict_request(out, before, REASON_SERVICE_COMPLETED, EFFECT_COMPLETE);
}

static struct ruling *judge_running(const struct job *before, const struct context *context,
                                    enum reason reason, struct job_verdict *out)
{
    if (context->policy->value[POLICY_ON_RUNNING] == ON_RUNNING_REQUEUE) {
        return retry(before, context, reason, false, out);
    }
    return wait_and_ask(before, context, reason, out);
}

static struct ruling *judge_not_found(const struct job *before, const struct event *event,
                                      const struct context *context, struct job_verdict *out)
{
    const struct policy *policy = context->policy;
    out->after.rests_on_silence = false;
    bool may_have_forgotten = has_flag(event, "expired") ||
                              policy_facts(policy, before->text[JOB_TEXT_SERVICE]).is_volatile;
    if (may_have_forgotten && policy->value[POLICY_ON_FORGOTTEN] == REQUEUE_OR_PARK_PARK &&
        !before->core.is_idempotent) {
        struct ruling *ruling = park(before, REASON_SERVICE_FORGOT, out);
        ruling->tried |= RULE_BIT(IDEMPOTENT);
        return ruling;
    }
    if (may_have_forgotten) {
        return retry(before, context, REASON_SERVICE_FORGOT, false, out);
    }
    struct ruling *ruling = policy->value[POLICY_ON_NOT_FOUND] == REQUEUE_OR_PARK_PARK
                                ? park(before, REASON_SERVICE_NOT_FOUND, out)
                                : retry(before, context, REASON_SERVICE_NOT_FOUND, false, out);
    ruling->tried |= RULE_BIT(MAY_HAVE_FORGOTTEN);
    return ruling;
}

static struct ruling *judge_unproved(const struct job *before, const struct context *context,
                                     enum reason reason, struct job_verdict *out)
{
    const struct policy *policy = context->policy;
    uint64_t limit = policy->value[POLICY_ASK_LIMIT];
    out->after.asks++;
    struct ruling *ruling;
    if (out->after.asks < limit) {
        ruling = wait_and_ask(before, context, reason, out);
        ruling->tried |= RULE_BIT(ASK_LIMIT_REACHED);
    } else if (policy->value[POLICY_ON_UNREACHABLE] == REQUEUE_OR_PARK_PARK) {
        ruling = park(before, reason, out);
    } else {
        ruling = retry(before, context, REASON_SERVICE_UNREACHABLE, false, out);
    }
    ruling_measure(ruling, MEASURE_ASKS, out->after.asks);
    ruling_measure(ruling, MEASURE_ASK_LIMIT, limit);
    return ruling;
}

void reduce_answer(const struct job *before, const struct event *event,
                   const struct context *context, struct job_verdict *out)
{
    CHECK(before->core.phase == JOB_ASKING);
    verdict_init(out, before);
    out->closes = OUTCOME_ANSWERED;
    out->found = event_text(event, FIELD_VERDICT);
    out->after.fact[JOB_FACT_ANSWERED] = event->id;
    struct ruling *ruling = NULL;
    switch (answer_verdict_named(event_text(event, FIELD_VERDICT))) {
    case ANSWER_COMPLETED:
        ruling = judge_completed(before, event, out);
        break;
    case ANSWER_FAILED:
        out->after.rests_on_silence = false;
        ruling = retry(before, context, REASON_SERVICE_FAILED, true, out);
        break;
    case ANSWER_CANCELLED:
        out->after.rests_on_silence = false;
        ruling = retry(before, context, REASON_SERVICE_CANCELLED, false, out);
        break;
    case ANSWER_PENDING:
        ruling = judge_running(before, context, REASON_SERVICE_PENDING, out);
        break;
    case ANSWER_RUNNING:
        ruling = judge_running(before, context, REASON_SERVICE_RUNNING, out);
        break;
    case ANSWER_NOT_FOUND:
        ruling = judge_not_found(before, event, context, out);
        break;
    case ANSWER_UNREACHABLE:
        ruling = judge_unproved(before, context, REASON_SERVICE_UNREACHABLE, out);
        break;
    case ANSWER_NO_PROFILE:
        ruling = judge_unproved(before, context, REASON_NO_PROFILE, out);
        break;
    default: /* inconclusive, and any word that a later version may know */
        ruling = judge_unproved(before, context, REASON_SERVICE_INCONCLUSIVE, out);
        break;
    }
    ruling->facts |= ANSWER_FACTS;
    ruling->word = event_text(event, FIELD_WORD);
}
