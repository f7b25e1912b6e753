/* SPDX-License-Identifier: MIT */
#include "replay/reasoning.h"

#include "base/check.h"
#include "replay/phrase.h"

static const char *const action_words[ACTION_COUNT] = {
    [ACTION_ASK] = "ASK the service",
    [ACTION_WAIT] = "WAIT",
    [ACTION_REQUEUE] = "REQUEUE",
    [ACTION_COMPLETE] = "COMPLETE",
    [ACTION_FAIL] = "FAIL",
    [ACTION_TIME_OUT] = "TIME OUT",
    [ACTION_CANCEL] = "CANCEL at the service",
    [ACTION_PARK] = "PARK",
    [ACTION_RELEASE] = "RELEASE the worker",
    [ACTION_HOLD] = "HOLD",
    [ACTION_RESUME] = "RESUME",
    [ACTION_IGNORE] = "IGNORE the event",
    [ACTION_QUARANTINE] = "QUARANTINE",
    [ACTION_PRUNE] = "PRUNE",
};

const char *reasoning_action(enum action action)
{
    CHECK(action < ACTION_COUNT && action_words[action] != NULL);
    return action_words[action];
}

const char *reasoning_reason(const struct told_decision *told)
{
    bool is_of_worker = told->row.reason == REASON_SERVICE_CANCELLED &&
                        evidence_is_ended_by_worker(&told->evidence);
    return is_of_worker ? "its worker told that it ended" : reason_text(told->row.reason);
}

/* --- what was compared --- */

/* Parts of a list, set apart. */
static void next_part(struct buffer *out, size_t begin, const char *between)
{
    if (out->size > begin) {
        buffer_put_text(out, between);
    }
}

static void put_count(struct buffer *out, uint64_t count, const char *one)
{
    buffer_put_decimal(out, count);
    buffer_put_byte(out, ' ');
    buffer_put_text(out, one);
    buffer_put_text(out, count == 1 ? "" : span_is(span_of(one), "loss") ? "es" : "s");
}

/* "1 of 3 retries used: ". */
static void put_retries(uint64_t used, uint64_t most, struct buffer *out)
{
    if (most == 0) {
        buffer_put_text(out, "no retry allowed: ");
        return;
    }
    if (used <= most) {
        buffer_put_decimal(out, used);
        buffer_put_text(out, " of ");
    }
    buffer_put_decimal(out, most);
    buffer_put_text(out, most == 1 ? " retry used" : " retries used");
    buffer_put_text(out, used <= most ? ": " : " up: ");
}

static void put_counts(const struct evidence *evidence, struct buffer *out)
{
    uint64_t losses = evidence->measure[MEASURE_LOSSES];
    uint64_t failures = evidence->measure[MEASURE_FAILURES];
    if (evidence_has(evidence, MEASURE_MAX_RETRIES)) {
        put_retries(losses + failures, evidence->measure[MEASURE_MAX_RETRIES], out);
    }
    put_count(out, losses, "loss");
    buffer_put_text(out, ", ");
    put_count(out, failures, "failure");
}

static void put_silence(const struct told_decision *told, struct buffer *out)
{
    phrase_put_printable(out, told->row.worker);
    buffer_put_text(out, " was silent for ");
    phrase_put_span(out, told->evidence.measure[MEASURE_SILENT_MS]);
    buffer_put_text(out, " by the ticks, its limit is ");
    phrase_put_span(out, told->evidence.measure[MEASURE_LIMIT_MS]);
}

static void put_fleet(const struct evidence *evidence, struct buffer *out)
{
    buffer_put_decimal(out, evidence->measure[MEASURE_SILENT_WORKERS]);
    buffer_put_text(out, " of ");
    buffer_put_decimal(out, evidence->measure[MEASURE_WORKERS]);
    buffer_put_text(out, " workers silent, mass_loss_percent is ");
    buffer_put_decimal(out, evidence->measure[MEASURE_PERCENT]);
}

static void put_asks(const struct evidence *evidence, struct buffer *out)
{
    put_count(out, evidence->measure[MEASURE_ASKS], "answer");
    buffer_put_text(out, " that proved nothing");
    if (evidence_has(evidence, MEASURE_ASK_LIMIT)) {
        buffer_put_text(out, ", ask_limit is ");
        buffer_put_decimal(out, evidence->measure[MEASURE_ASK_LIMIT]);
    }
}

static void put_time_out(const struct evidence *evidence, struct buffer *out)
{
    buffer_put_text(out, "its ");
    phrase_put_span(out, evidence->measure[MEASURE_TIMEOUT_MS]);
    buffer_put_text(out, " are over");
    if (evidence->measure[MEASURE_OVERDUE_MS] > 0) {
        buffer_put_text(out, ", by ");
        phrase_put_span(out, evidence->measure[MEASURE_OVERDUE_MS]);
    }
}

static void put_backoff(const struct told_decision *told, struct buffer *out)
{
    bool is_retry = evidence_has(&told->evidence, MEASURE_LOSSES);
    bool is_cancel = told->evidence.cancel != JOB_CANCEL_NONE;
    buffer_put_text(out, is_retry    ? "back to the queue in "
                         : is_cancel ? "cancelled once more in "
                                     : "asked again in ");
    phrase_put_span(out, told->evidence.measure[MEASURE_BACKOFF_MS]);
}

/* What one measure says by itself: words, the number, words. */
static const struct lone_measure {
    enum measure measure;
    const char *before, *behind;
    bool is_time;
} lone_measures[] = {
    {MEASURE_GRACE_MS, "the grace of ", " after the gap is over", true},
    {MEASURE_REFUSALS, "refused ", " times for the same belief", false},
    {MEASURE_DEATHS, "workers lost while they ran it: ", "", false},
    {MEASURE_POISON_AFTER, "poison_after is ", "", false},
    {MEASURE_RETENTION_MS, "the service keeps its jobs for ", "", true},
    {MEASURE_HELD_MS, "held for ", "", true},
    {MEASURE_HELD_JOBS, "", " jobs wait to go on", false},
};

static void put_lone_measures(const struct evidence *evidence, size_t begin, struct buffer *out)
{
    for (size_t i = 0; i < sizeof(lone_measures) / sizeof(lone_measures[0]); i++) {
        const struct lone_measure *lone = &lone_measures[i];
        if (!evidence_has(evidence, lone->measure)) {
            continue;
        }
        next_part(out, begin, "; ");
        buffer_put_text(out, lone->before);
        if (lone->is_time) {
            phrase_put_span(out, evidence->measure[lone->measure]);
        } else {
            buffer_put_decimal(out, evidence->measure[lone->measure]);
        }
        buffer_put_text(out, lone->behind);
    }
}

static const char *const cancel_words[JOB_CANCEL_COUNT] = {
    [JOB_CANCEL_ASKED] = "the service is asked to cancel it",
    [JOB_CANCEL_ACCEPTED] = "the service agreed to cancel it; nothing shows yet that it stopped",
    [JOB_CANCEL_CONFIRMED] = "the cancel is confirmed: the service no longer runs it",
    [JOB_CANCEL_ALREADY_FINAL] = "it had ended at the service before the cancel",
    [JOB_CANCEL_REFUSED] = "the service refused the cancel",
    [JOB_CANCEL_UNSUPPORTED] = "the service cannot cancel it",
    [JOB_CANCEL_UNKNOWN] = "no answer to the cancel in time: it may still be running",
};

/* Whose words they are, the event tells. */
static void put_said(const struct evidence *evidence, struct buffer *out)
{
    bool is_queue = span_is(evidence->event, event_type_rule(EVENT_EFFECT_SETTLED)->name);
    bool is_service = span_is(evidence->event, event_type_rule(EVENT_SERVICE_ANSWERED)->name);
    phrase_put_printable(out, evidence->who);
    buffer_put_text(out, evidence->who.size > 0 ? " says \""
                         : is_queue             ? "the queue says \""
                         : is_service           ? "the service's word is \""
                                                : "told: \"");
    phrase_put_excerpt(out, evidence->said, 200);
    buffer_put_byte(out, '"');
}

static void put_words(const struct told_decision *told, size_t begin, struct buffer *out)
{
    const struct evidence *evidence = &told->evidence;
    if (evidence->cancel != JOB_CANCEL_NONE) {
        next_part(out, begin, "; ");
        buffer_put_text(out, evidence_is_ended_by_worker(evidence)
                                 ? "the cancel is over: its worker told that it ended"
                                 : cancel_words[evidence->cancel]);
    }
    if (evidence->held != EFFECT_NONE) {
        next_part(out, begin, "; ");
        buffer_put_text(out, effect_kind_text(evidence->held));
        buffer_put_text(out, " waits while the fleet is held");
    }
    if (evidence->said.size > 0) {
        next_part(out, begin, "; ");
        put_said(evidence, out);
    }
    if (evidence_has(evidence, MEASURE_POSSIBLE_DUPLICATE)) {
        next_part(out, begin, "; ");
        buffer_put_text(out, "it may run twice: nobody proved that the last run is over");
    }
}

void reasoning_put_measures(const struct told_decision *told, struct buffer *out)
{
    const struct evidence *evidence = &told->evidence;
    size_t begin = out->size;
    if (evidence_has(evidence, MEASURE_SILENT_MS)) {
        put_silence(told, out);
    } else if (evidence_has(evidence, MEASURE_LIMIT_MS)) {
        buffer_put_text(out, "not started within ");
        phrase_put_span(out, evidence->measure[MEASURE_LIMIT_MS]);
    }
    if (evidence_has(evidence, MEASURE_TIMEOUT_MS)) {
        put_time_out(evidence, out);
    }
    if (evidence_has(evidence, MEASURE_ASKS) && evidence->measure[MEASURE_ASKS] > 0) {
        next_part(out, begin, "; ");
        put_asks(evidence, out);
    }
    if (evidence_has(evidence, MEASURE_LOSSES)) {
        next_part(out, begin, "; ");
        put_counts(evidence, out);
    }
    if (evidence_has(evidence, MEASURE_SILENT_WORKERS)) {
        next_part(out, begin, "; ");
        put_fleet(evidence, out);
    }
    put_lone_measures(evidence, begin, out);
    put_words(told, begin, out);
    if (evidence_has(evidence, MEASURE_BACKOFF_MS)) {
        next_part(out, begin, "; ");
        put_backoff(told, out);
    }
}

/* --- what did not match --- */

static const char *const rule_words[RULE_COUNT] = {
    [RULE_HANDED_OFF] = "it was handed off to a service",
    [RULE_SERVICE_CHECK] = "service_check_percent includes it",
    [RULE_POISON] = "it took poison_after workers with it",
    [RULE_NOT_RETRYABLE] = "the failure was declared final",
    [RULE_RETRIES_EXHAUSTED] = "its retries are used up",
    [RULE_MAY_HAVE_FORGOTTEN] = "the service may have forgotten it",
    [RULE_IDEMPOTENT] = "the job is idempotent",
    [RULE_ASK_LIMIT_REACHED] = "ask_limit is reached",
    [RULE_WITHIN_GAP] = "the deadline passed while nobody watched",
    [RULE_SAME_BELIEF_TWICE] = "the queue refused the same belief before",
};

void reasoning_put_tried(const struct told_decision *told, struct buffer *out)
{
    size_t begin = out->size;
    for (enum rule rule = 0; rule < RULE_COUNT; rule++) {
        if ((told->evidence.tried & (UINT32_C(1) << rule)) != 0) {
            next_part(out, begin, "; ");
            buffer_put_text(out, rule_words[rule]);
        }
    }
}

/* --- what it rests on --- */

static const char *const fact_words[JOB_FACT_COUNT] = {
    [JOB_FACT_SUBMITTED] = "submitted",
    [JOB_FACT_CLAIMED] = "claimed",
    [JOB_FACT_STARTED] = "started",
    [JOB_FACT_HANDED_OFF] = "handed off",
    [JOB_FACT_WORKER_HEARD] = "worker heard last",
    [JOB_FACT_LOST] = "worker lost by",
    [JOB_FACT_ANSWERED] = "answered",
    [JOB_FACT_ENDED] = "ended by",
    [JOB_FACT_SETTLED] = "effect settled",
    [JOB_FACT_CAUSE] = "caused by",
};

void reasoning_put_facts(const struct told_decision *told, struct stream_id *shown,
                         struct buffer *out)
{
    size_t begin = out->size;
    for (enum job_fact fact = 0; fact < JOB_FACT_COUNT; fact++) {
        struct stream_id id = told->evidence.fact[fact];
        if (stream_id_is_zero(id)) {
            continue;
        }
        next_part(out, begin, ", ");
        buffer_put_text(out, fact_words[fact]);
        if (stream_id_compare(shown[fact], id) != 0) {
            shown[fact] = id;
            buffer_put_byte(out, ' ');
            stream_id_put(out, id);
        }
    }
}

/* --- effects --- */

void reasoning_put_effect(const struct audit_effect *effect, struct buffer *out)
{
    phrase_put_printable(out, effect->kind);
    buffer_put_byte(out, ' ');
    phrase_put_printable(out, effect->target);
    if (effect->outcome.size == 0 || span_is(effect->outcome, effect_outcome_text(OUTCOME_NONE))) {
        buffer_put_text(out, " -> still open");
        return;
    }
    buffer_put_text(out, " -> ");
    phrase_put_printable(out, effect->outcome);
    if (effect->found.size > 0) {
        buffer_put_text(out, " \"");
        phrase_put_excerpt(out, effect->found, 200);
        buffer_put_byte(out, '"');
    }
    if (effect->settled_at_ms > effect->requested_at_ms) {
        buffer_put_text(out, " after ");
        phrase_put_span(out, effect->settled_at_ms - effect->requested_at_ms);
    }
}
