/* SPDX-License-Identifier: MIT
 * What the outside service says of a job whose worker is gone. */
#include "reducers/verdict.h"

#include "base/check.h"

#define ANSWER_FACTS                                                                      \
    (FACT_BIT(CLAIMED) | FACT_BIT(HANDED_OFF) | FACT_BIT(WORKER_HEARD) | FACT_BIT(LOST) | \
     FACT_BIT(ANSWERED))

static bool has_flag(const struct event *event, enum answer_flag flag)
{
    struct span flags = event_text(event, FIELD_FLAGS);
    while (flags.size > 0) {
        if (span_is(span_cut(&flags, ' '), answer_flag_text(flag))) {
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
    uint64_t least = verdict_value(out, context, POLICY_ASK_BACKOFF_MS);
    uint64_t most = verdict_value(out, context, POLICY_BACKOFF_MAX_MS);
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
    out->after.asks = 0; /* The service does answer. */
    /* While our own eyes are doubted, nothing is stopped that may well be somebody's running job.
     */
    bool is_doubted = context->held_for != REASON_NONE && before->core.rests_on_silence;
    switch (verdict_value(out, context, POLICY_ON_RUNNING)) {
    case ON_RUNNING_REQUEUE:
        return retry(before, context, reason, false, out);
    case ON_RUNNING_CANCEL:
        return is_doubted ? wait_and_ask(before, context, reason, out)
                          : reduce_begin_cancel(before, context, ENDING_RETRY, reason, out);
    default:
        return wait_and_ask(before, context, reason, out);
    }
}

/* True when "not found" may only mean that the service has forgotten the job. */
static bool may_have_forgotten(const struct job *before, const struct event *event,
                               const struct context *context, uint64_t retention_ms)
{
    struct policy_facts facts = policy_facts(context->policy, before->text[JOB_TEXT_SERVICE]);
    /* It may have ended right after it was handed off, so its age is counted from there. */
    bool is_past =
        retention_ms > 0 && context->deadline_ms - before->core.handed_off_ms > retention_ms;
    return has_flag(event, ANSWER_FLAG_EXPIRED) || facts.is_volatile || is_past;
}

static struct ruling *judge_not_found(const struct job *before, const struct event *event,
                                      const struct context *context, struct job_verdict *out)
{
    uint64_t retention_ms =
        policy_facts(context->policy, before->text[JOB_TEXT_SERVICE]).retention_ms;
    bool has_forgotten = may_have_forgotten(before, event, context, retention_ms);
    enum reason reason = has_forgotten ? REASON_SERVICE_FORGOT : REASON_SERVICE_NOT_FOUND;
    enum policy_key key = has_forgotten ? POLICY_ON_FORGOTTEN : POLICY_ON_NOT_FOUND;
    bool is_parked = verdict_value(out, context, key) == REQUEUE_OR_PARK_PARK &&
                     !(has_forgotten && before->core.is_idempotent);
    out->after.rests_on_silence = false;
    struct ruling *ruling =
        is_parked ? park(before, reason, out) : retry(before, context, reason, false, out);
    if (!has_forgotten) {
        ruling->tried |= RULE_BIT(MAY_HAVE_FORGOTTEN);
    } else if (is_parked) {
        ruling->tried |= RULE_BIT(IDEMPOTENT);
    }
    if (retention_ms > 0) {
        ruling_measure(ruling, MEASURE_RETENTION_MS, retention_ms);
    }
    return ruling;
}

/* Where nobody knows how to ask, asking again is no use. */
static struct ruling *judge_unproved(const struct job *before, const struct context *context,
                                     enum reason reason, struct job_verdict *out)
{
    uint64_t limit = verdict_value(out, context, POLICY_ASK_LIMIT);
    out->after.asks++;
    struct ruling *ruling;
    if (out->after.asks < limit && reason != REASON_NO_PROFILE) {
        ruling = wait_and_ask(before, context, reason, out);
        ruling->tried |= RULE_BIT(ASK_LIMIT_REACHED);
    } else if (verdict_value(out, context, POLICY_ON_UNREACHABLE) == REQUEUE_OR_PARK_PARK) {
        ruling = park(before, reason, out);
    } else {
        ruling = retry(before, context, reason, false, out);
    }
    ruling_measure(ruling, MEASURE_ASKS, out->after.asks);
    ruling_measure(ruling, MEASURE_ASK_LIMIT, limit);
    return ruling;
}

static struct ruling *judge(const struct job *before, const struct event *event,
                            const struct context *context, enum answer_verdict answer,
                            struct job_verdict *out)
{
    switch (answer) {
    case ANSWER_FAILED:
        out->after.rests_on_silence = false;
        return retry(before, context, REASON_SERVICE_FAILED, true, out);
    case ANSWER_CANCELLED:
        out->after.rests_on_silence = false;
        return retry(before, context, REASON_SERVICE_CANCELLED, false, out);
    case ANSWER_PENDING:
        return judge_running(before, context, REASON_SERVICE_PENDING, out);
    case ANSWER_RUNNING:
        return judge_running(before, context, REASON_SERVICE_RUNNING, out);
    case ANSWER_NOT_FOUND:
        return judge_not_found(before, event, context, out);
    case ANSWER_UNREACHABLE:
        return judge_unproved(before, context, REASON_SERVICE_UNREACHABLE, out);
    case ANSWER_NO_PROFILE:
        return judge_unproved(before, context, REASON_NO_PROFILE, out);
    default: /* inconclusive, and any word that a later version may know */
        return judge_unproved(before, context, REASON_SERVICE_INCONCLUSIVE, out);
    }
}

void reduce_answer(const struct job *before, const struct event *event,
                   const struct context *context, struct job_verdict *out)
{
    enum answer_verdict answer = answer_verdict_named(event_text(event, FIELD_VERDICT));
    CHECK(before->core.phase == JOB_ASKING);
    verdict_init(out, before);
    out->closes = OUTCOME_ANSWERED;
    out->found = event_text(event, FIELD_VERDICT);
    out->after.fact[JOB_FACT_ANSWERED] = event->id;
    struct ruling *ruling = NULL;
    if (answer == ANSWER_COMPLETED) {
        ruling = judge_completed(before, event, out);
    } else if (before->core.ending != ENDING_NONE) {
        ruling = reduce_cancel_answer(before, event, context, out);
    }
    if (ruling == NULL) {
        ruling = judge(before, event, context, answer, out);
    }
    ruling->facts |= ANSWER_FACTS;
    ruling->word = event_text(event, FIELD_WORD);
}
