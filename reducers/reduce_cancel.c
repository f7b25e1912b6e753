/* SPDX-License-Identifier: MIT
 * Stopping a job at its service, before it is timed out, retried or failed here. The service's word
 * that it will stop is one thing; that it has stopped is seen by asking again. All of it takes
 * CANCEL_MS at most: then what the cancel was for happens, and the evidence tells how far it came.
 */
#include "reducers/verdict.h"

#include "base/check.h"

#define CANCEL_MS 5000
#define AGAIN_MS  500 /* until the next, while the service still shows the job */

#define CANCEL_FACTS                                                                 \
    (FACT_BIT(CLAIMED) | FACT_BIT(STARTED) | FACT_BIT(HANDED_OFF) | FACT_BIT(LOST) | \
     FACT_BIT(SETTLED) | FACT_BIT(ANSWERED) | FACT_BIT(CAUSE))

bool cancel_is_possible(const struct job *before, const struct context *context,
                        const struct job_verdict *out)
{
    return before->text[JOB_TEXT_SERVICE_JOB].size > 0 && before->holder != NULL &&
           verdict_is_rolled_out(out, context, POLICY_SERVICE_CHECK_PERCENT);
}

struct ruling *reduce_begin_cancel(const struct job *before, const struct context *context,
                                   enum job_ending ending, enum reason reason,
                                   struct job_verdict *out)
{
    struct job_core *after = &out->after;
    struct ruling *ruling = verdict_request(out, before, reason, EFFECT_CANCEL);
    if (ending != ENDING_RETRY) {
        /* The deadline has had its say, or an operator's word stands above it. */
        after->deadline_due = after->grace_due = 0;
    }
    after->ending = ending;
    after->next_reason = reason;
    after->cancel = JOB_CANCEL_ASKED;
    after->cancel_due = after->next_due = context->liveness_ms + CANCEL_MS;
    ruling->facts |= CANCEL_FACTS;
    return ruling;
}

/* A retry after a cancel that nobody confirmed may be a second run. */
static struct ruling *retry(const struct job *before, const struct context *context,
                            enum reason reason, struct job_verdict *out)
{
    bool is_over = out->after.cancel == JOB_CANCEL_CONFIRMED;
    bool is_failure = reason == REASON_DEADLINE_PASSED;
    enum reason told = is_over && !is_failure ? REASON_SERVICE_CANCELLED : reason;
    reduce_retry(before, context, told, is_failure, out);
    return &out->rulings[0];
}

bool cancel_leads_to_retry(const struct job_verdict *verdict, const struct context *context)
{
    enum job_ending ending = verdict->after.ending;
    return ending == ENDING_RETRY ||
           (ending == ENDING_TIME_OUT &&
            verdict_value(verdict, context, POLICY_ON_TIMEOUT) == ON_TIMEOUT_RETRY);
}

struct ruling *reduce_end_cancel(const struct job *before, const struct context *context,
                                 enum job_cancel cancel, struct job_verdict *out)
{
    struct job_core *after = &out->after;
    enum job_ending ending = after->ending;
    enum reason reason = after->next_reason;
    bool is_retried = cancel_leads_to_retry(out, context);
    CHECK(ending != ENDING_NONE);
    after->ending = ENDING_NONE;
    after->cancel_due = 0;
    after->cancel = cancel;
    struct ruling *ruling =
        is_retried ? retry(before, context, reason, out)
                   : verdict_request(out, before, reason,
                                     ending == ENDING_FAIL ? EFFECT_FAIL : EFFECT_TIME_OUT);
    ruling->facts |= CANCEL_FACTS;
    return ruling;
}

static void ask_what_came_of_it(const struct job *before, struct job_verdict *out)
{
    struct job_core *after = &out->after;
    struct ruling *ruling = verdict_request(out, before, after->next_reason, EFFECT_ASK);
    after->next_due = after->cancel_due;
    ruling->facts |= CANCEL_FACTS;
}

void reduce_cancel_outcome(const struct job *before, const struct event *event,
                           const struct context *context, struct job_verdict *out)
{
    static const enum job_cancel cancels[EFFECT_OUTCOME_COUNT] = {
        [OUTCOME_ACCEPTED] = JOB_CANCEL_ACCEPTED,
        [OUTCOME_ALREADY_FINAL] = JOB_CANCEL_ALREADY_FINAL,
        [OUTCOME_REFUSED] = JOB_CANCEL_REFUSED,
        [OUTCOME_UNSUPPORTED] = JOB_CANCEL_UNSUPPORTED,
    };
    CHECK(before->core.phase == JOB_CANCELLING);
    verdict_init(out, before);
    out->closes = effect_outcome_named(event_text(event, FIELD_OUTCOME));
    out->found = event_text(event, FIELD_FOUND);
    out->after.fact[JOB_FACT_SETTLED] = event->id;
    enum job_cancel told = cancels[out->closes];
    bool was_accepted = before->core.cancel == JOB_CANCEL_ACCEPTED;
    if (told == JOB_CANCEL_NONE) {
        /* It was not reached: a question would not reach it either. */
        reduce_end_cancel(before, context, was_accepted ? JOB_CANCEL_ACCEPTED : JOB_CANCEL_UNKNOWN,
                          out);
        return;
    }
    out->after.cancel = was_accepted ? JOB_CANCEL_ACCEPTED : told;
    if (told == JOB_CANCEL_ACCEPTED || told == JOB_CANCEL_ALREADY_FINAL) {
        out->after.rests_on_silence = false; /* It is not left to the worker any more. */
    }
    ask_what_came_of_it(before, out);
}

/* Not yet, by the service's word: it is cancelled once more in a while, as long as there is time. A
 * job may have moved from the service's queue to its work while the cancel looked for it there. */
static struct ruling *wait_or_end(const struct job *before, const struct context *context,
                                  struct job_verdict *out)
{
    struct job_core *after = &out->after;
    uint64_t next_ms = context->liveness_ms + AGAIN_MS;
    if (after->cancel != JOB_CANCEL_ACCEPTED || next_ms >= after->cancel_due) {
        return reduce_end_cancel(before, context, after->cancel, out);
    }
    verdict_move(out, before, JOB_WAITING);
    after->next_due = next_ms;
    struct ruling *ruling = verdict_rule(out, ACTION_WAIT, after->next_reason);
    ruling_measure(ruling, MEASURE_BACKOFF_MS, AGAIN_MS);
    ruling->facts = CANCEL_FACTS;
    return ruling;
}

struct ruling *reduce_cancel_answer(const struct job *before, const struct event *event,
                                    const struct context *context, struct job_verdict *out)
{
    bool had_ended = before->core.cancel == JOB_CANCEL_ALREADY_FINAL;
    switch (answer_verdict_named(event_text(event, FIELD_VERDICT))) {
    case ANSWER_FAILED:
    case ANSWER_CANCELLED:
    case ANSWER_NOT_FOUND:
        out->after.rests_on_silence = false;
        if (had_ended && before->core.ending == ENDING_RETRY) {
            out->after.ending = ENDING_NONE;
            return NULL;
        }
        return reduce_end_cancel(before, context,
                                 had_ended ? JOB_CANCEL_ALREADY_FINAL : JOB_CANCEL_CONFIRMED, out);
    case ANSWER_PENDING:
    case ANSWER_RUNNING:
        return wait_or_end(before, context, out);
    default:
        return reduce_end_cancel(before, context, out->after.cancel, out);
    }
}

void reduce_cancel_again(const struct job *before, struct job_verdict *out)
{
    struct ruling *ruling = verdict_request(out, before, before->core.next_reason, EFFECT_CANCEL);
    out->after.next_due = before->core.cancel_due;
    ruling->facts |= CANCEL_FACTS;
}

void reduce_cancel_next(const struct job *before, const struct context *context,
                        struct job_verdict *out)
{
    CHECK(before->core.ending != ENDING_NONE);
    verdict_init(out, before);
    bool has_time = context->liveness_ms < before->core.cancel_due;
    if (before->core.phase == JOB_WAITING && has_time) {
        reduce_cancel_again(before, out);
        return;
    }
    /* A cancel that was not answered in time may have worked all the same. */
    enum job_cancel cancel = before->core.cancel;
    if (before->core.phase == JOB_CANCELLING) {
        out->closes = OUTCOME_UNKNOWN;
        cancel = cancel == JOB_CANCEL_ASKED ? JOB_CANCEL_UNKNOWN : cancel;
    }
    reduce_end_cancel(before, context, cancel, out);
}
