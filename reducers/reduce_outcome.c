/* SPDX-License-Identifier: MIT
 * What came of an effect on the queue. Only here does *requested* become *done*; a refusal tells
 * what the queue holds, which is adopted and judged again. */
#include "reducers/verdict.h"

#include "base/check.h"

/* One `key=value` line of what the queue's script found; empty when it is not told. */
static struct span found_value(struct span found, const char *key)
{
    while (found.size > 0) {
        struct span line = span_cut(&found, '\n');
        if (span_is(span_cut(&line, '='), key)) {
            return line;
        }
    }
    return SPAN_NONE;
}

struct span outcome_found_worker(struct span found)
{
    struct span worker = found_value(found, "worker");
    return worker.size <= ID_SIZE_MAX ? worker : SPAN_NONE;
}

static const enum job_phase phase_when_done[EFFECT_KIND_COUNT] = {
    [EFFECT_REQUEUE] = JOB_QUEUED,
    [EFFECT_COMPLETE] = JOB_COMPLETED,
    [EFFECT_FAIL] = JOB_FAILED,
    [EFFECT_TIME_OUT] = JOB_TIMED_OUT,
};

static void move_to_done(const struct job *before, enum effect_kind kind, struct job_verdict *out)
{
    CHECK(phase_when_done[kind] != JOB_NONE);
    verdict_move(out, before, phase_when_done[kind]);
    out->holder = HOLDER_NOBODY;
    out->after.is_touched = true;
}

/* The words by which the queue says that a job is over. */
static enum job_phase final_phase_of(struct span status)
{
    static const struct {
        const char *status;
        enum job_phase phase;
    } finals[] = {
        {"completed", JOB_COMPLETED},
        {"failed", JOB_FAILED},
        {"cancelled", JOB_CANCELLED},
        {"timeout", JOB_TIMED_OUT},
    };
    for (size_t i = 0; i < sizeof finals / sizeof finals[0]; i++) {
        if (span_is(status, finals[i].status)) {
            return finals[i].phase;
        }
    }
    return JOB_NONE;
}

/* The attempt that the queue counts; ours when it tells none. */
static uint64_t found_attempt(const struct job *before, struct span found)
{
    uint64_t attempt = before->core.attempt;
    (void)span_to_number(found_value(found, "attempt"), COUNT_MAX, &attempt);
    return attempt;
}

static bool is_same_belief(const struct job *before, struct span found)
{
    struct span worker = found_value(found, "worker");
    struct span claim = found_value(found, "claim");
    struct span known = before->text[JOB_TEXT_CLAIM];
    bool is_other_claim = claim.size > 0 && known.size > 0 && !span_equal(claim, known);
    return !is_other_claim && before->holder != NULL &&
           span_equal(worker, before->holder->node.key) &&
           found_attempt(before, found) == before->core.attempt;
}

static void park(const struct job *before, enum reason reason, const struct event *event,
                 struct job_verdict *out)
{
    verdict_move(out, before, JOB_PARKED);
    struct ruling *ruling = verdict_rule(out, ACTION_PARK, reason);
    ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(LOST) | FACT_BIT(SETTLED);
    ruling->word = event_text(event, FIELD_FOUND);
}

/* Somebody else holds the job by the queue's word: from here on that is our belief too. */
static void adopt_holder(const struct job *before, struct span found, const struct event *event,
                         const struct context *context, struct job_verdict *out)
{
    struct job_core *after = &out->after;
    bool is_started = span_is(found_value(found, "status"), "in_progress");
    verdict_begin_attempt(out, before, is_started ? JOB_STARTED : JOB_CLAIMED,
                          found_attempt(before, found));
    out->text[JOB_TEXT_CLAIM] = found_value(found, "claim");
    after->fact[JOB_FACT_CLAIMED] = after->fact[JOB_FACT_SETTLED] = event->id;
    verdict_run_deadline(out, context);
    if (!is_started) {
        verdict_run_claim_limit(out, context);
    }
    after->is_at_work = is_started;
    out->holder = HOLDER_OF_EVENT;
}

static void judge_stale(const struct job *before, const struct event *event,
                        const struct context *context, struct job_verdict *out)
{
    struct span found = event_text(event, FIELD_FOUND);
    struct span status = found_value(found, "status");
    enum job_phase final = final_phase_of(status);
    enum effect_kind wanted = before->core.wanted;
    if (final != JOB_NONE) {
        verdict_move(out, before, final);
        out->holder = HOLDER_NOBODY;
    } else if (wanted == EFFECT_COMPLETE) {
        /* Nothing but an end can stand against a completion, and a completion is not given up. */
        park(before, REASON_EFFECT_FAILED, event, out);
        return;
    } else if (span_is(status, "pending")) {
        uint64_t attempt = found_attempt(before, found);
        verdict_move(out, before, JOB_QUEUED);
        out->after.attempt = attempt > 0 ? attempt - 1 : 0; /* It waits for its next claim. */
        out->holder = HOLDER_NOBODY;
    } else if (is_same_belief(before, found) && ++out->after.refusals >= 2) {
        park(before, REASON_STALE_TWICE, event, out);
        ruling_measure(&out->rulings[0], MEASURE_REFUSALS, out->after.refusals);
        return;
    } else if (is_same_belief(before, found)) {
        verdict_request(out, before, REASON_ADOPTED, wanted);
    } else if (outcome_found_worker(found).size > 0) {
        adopt_holder(before, found, event, context, out);
    } else {
        park(before, REASON_EFFECT_FAILED, event, out);
        return;
    }
    struct ruling *ruling =
        out->ruling_count == 0 ? verdict_rule(out, ACTION_WAIT, REASON_ADOPTED) : &out->rulings[0];
    ruling->facts = FACT_BIT(CLAIMED) | FACT_BIT(LOST) | FACT_BIT(SETTLED);
    ruling->tried |= RULE_BIT(SAME_BELIEF_TWICE);
    ruling->word = found;
}

void reduce_outcome(const struct job *before, const struct event *event,
                    const struct context *context, struct job_verdict *out)
{
    CHECK(before->open != NULL && before->core.phase == JOB_REQUESTED);
    verdict_init(out, before);
    enum effect_outcome outcome = effect_outcome_named(event_text(event, FIELD_OUTCOME));
    out->closes = outcome;
    out->found = event_text(event, FIELD_FOUND);
    out->after.fact[JOB_FACT_SETTLED] = event->id;
    switch (outcome) {
    case OUTCOME_APPLIED:
        move_to_done(before, before->core.wanted, out);
        break;
    case OUTCOME_STALE:
        judge_stale(before, event, context, out);
        break;
    case OUTCOME_GONE:
        park(before, REASON_JOB_GONE, event, out);
        break;
    case OUTCOME_OBSERVED: {
        enum effect_kind wanted = before->core.wanted;
        verdict_move(out, before, JOB_OWED);
        out->after.wanted = wanted;
        break;
    }
    default:
        park(before, REASON_EFFECT_FAILED, event, out);
        break;
    }
}

void reduce_done_after_all(const struct job *before, enum effect_kind kind, struct job_verdict *out)
{
    verdict_init(out, before);
    if (hold_is_closed(before) || before->core.wanted == EFFECT_COMPLETE) {
        return; /* A completion takes the queue's copy back in any case. */
    }
    if (before->core.is_held_by_operator && kind == EFFECT_REQUEUE) {
        /* It waits in the queue, and for the operator. */
        out->holder = HOLDER_NOBODY;
        out->after.cause = REASON_NONE;
        out->after.is_touched = true;
        return;
    }
    move_to_done(before, kind, out);
}
