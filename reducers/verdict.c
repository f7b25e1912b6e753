/* SPDX-License-Identifier: MIT */
#include "reducers/verdict.h"

#include <stddef.h>
#include <string.h>

#include "base/check.h"

static const struct job_phase_rule phase_rules[JOB_PHASE_COUNT] = {
#define X(id, text, open, next_, deadline, final) \
    [JOB_##id] = {.name = (text),                 \
                  .has_open = (open),             \
                  .next = NEXT_##next_,           \
                  .has_deadline = (deadline),     \
                  .is_final = (final)},
    JOB_PHASES(X)
#undef X
};

const struct job_phase_rule *job_phase_rule(enum job_phase phase)
{
    CHECK(phase < JOB_PHASE_COUNT);
    return &phase_rules[phase];
}

bool job_next_is_sound(const struct job_core *core)
{
    enum next_rule rule = job_phase_rule(core->phase)->next;
    return rule == NEXT_MAYBE || (core->next_due != 0) == (rule == NEXT_ALWAYS);
}

static const char *const fact_texts[JOB_FACT_COUNT] = {
#define X(id, text) [JOB_FACT_##id] = (text),
    JOB_FACTS(X)
#undef X
};

const char *job_fact_text(enum job_fact fact)
{
    CHECK(fact < JOB_FACT_COUNT);
    return fact_texts[fact];
}

static const char *const cancel_texts[JOB_CANCEL_COUNT] = {
#define X(id, text) [JOB_CANCEL_##id] = (text),
    JOB_CANCELS(X)
#undef X
};

const char *job_cancel_text(enum job_cancel cancel)
{
    CHECK(cancel < JOB_CANCEL_COUNT);
    return cancel_texts[cancel];
}

static const char *const measure_texts[MEASURE_COUNT] = {
#define X(id, text) [MEASURE_##id] = (text),
    MEASURES(X)
#undef X
};

const char *measure_text(enum measure measure)
{
    CHECK(measure < MEASURE_COUNT);
    return measure_texts[measure];
}

static const char *const rule_texts[RULE_COUNT] = {
#define X(id, text) [RULE_##id] = (text),
    RULES(X)
#undef X
};

const char *rule_text(enum rule rule)
{
    CHECK(rule < RULE_COUNT);
    return rule_texts[rule];
}

void verdict_init(struct job_verdict *verdict, const struct job *before)
{
    if (before == NULL) {
        memset(&verdict->after, 0, sizeof verdict->after);
    } else {
        verdict->after = before->core;
    }
    verdict->job = before == NULL ? SPAN_NONE : before->node.key;
    verdict->service = before == NULL ? SPAN_NONE : before->text[JOB_TEXT_SERVICE];
    verdict->holder = HOLDER_KEEP;
    verdict->keep = 0;
    verdict->ruling_count = 0;
    verdict->closes = OUTCOME_NONE;
    verdict->found = SPAN_NONE;
}

struct ruling *verdict_rule(struct job_verdict *verdict, enum action action, enum reason reason)
{
    CHECK(verdict->ruling_count < RULINGS_MAX);
    struct ruling *ruling = &verdict->rulings[verdict->ruling_count++];
    memset(ruling, 0, sizeof *ruling);
    ruling->action = action;
    ruling->reason = reason;
    return ruling;
}

void verdict_move(struct job_verdict *verdict, const struct job *before, enum job_phase phase)
{
    const struct job_phase_rule *rule = job_phase_rule(phase);
    if (before != NULL && before->open != NULL && verdict->closes == OUTCOME_NONE) {
        verdict->closes = OUTCOME_WITHDRAWN;
    }
    struct job_core *after = &verdict->after;
    after->phase = phase;
    if (rule->next != NEXT_ALWAYS) {
        after->next_due = 0;
    }
    if (phase != JOB_CANCELLING && phase != JOB_ASKING && phase != JOB_WAITING) {
        after->ending = ENDING_NONE;
        after->cancel_due = 0;
    }
    if (phase != JOB_PARKED) {
        after->is_held_by_operator = false;
    }
    if (rule->is_final || phase == JOB_QUEUED) {
        after->deadline_due = 0;
        after->grace_due = 0;
        after->cause = REASON_NONE;
        after->ordered = EFFECT_NONE;
    }
    if (!rule->has_open) {
        after->wanted = EFFECT_NONE;
    }
}

struct ruling *verdict_request(struct job_verdict *verdict, const struct job *before,
                               enum reason reason, enum effect_kind effect)
{
    static const enum action actions[EFFECT_KIND_COUNT] = {
        [EFFECT_ASK] = ACTION_ASK,           [EFFECT_REQUEUE] = ACTION_REQUEUE,
        [EFFECT_COMPLETE] = ACTION_COMPLETE, [EFFECT_FAIL] = ACTION_FAIL,
        [EFFECT_TIME_OUT] = ACTION_TIME_OUT, [EFFECT_CANCEL] = ACTION_CANCEL,
    };
    CHECK(actions[effect] != ACTION_NONE);
    verdict_move(verdict, before,
                 effect == EFFECT_ASK      ? JOB_ASKING
                 : effect == EFFECT_CANCEL ? JOB_CANCELLING
                                           : JOB_REQUESTED);
    verdict->after.wanted = effect;
    struct ruling *ruling = verdict_rule(verdict, actions[effect], reason);
    ruling->effect = effect;
    return ruling;
}

struct ruling *verdict_request_or_hold(struct job_verdict *verdict, const struct job *before,
                                       const struct context *context, enum reason reason,
                                       enum effect_kind effect)
{
    if (context->held_for == REASON_NONE || !verdict->after.rests_on_silence) {
        return verdict_request(verdict, before, reason, effect);
    }
    verdict_move(verdict, before, JOB_HELD);
    verdict->after.wanted = effect;
    verdict->after.next_reason = reason;
    struct ruling *ruling = verdict_rule(verdict, ACTION_HOLD, context->held_for);
    ruling->held = effect;
    return ruling;
}

uint64_t verdict_value(const struct job_verdict *verdict, const struct context *context,
                       enum policy_key key)
{
    bool is_told = (verdict->keep & TEXT_BIT(SERVICE)) != 0;
    struct span service = is_told ? verdict->text[JOB_TEXT_SERVICE] : verdict->service;
    return policy_value(context->policy, service, key);
}

bool verdict_is_rolled_out(const struct job_verdict *verdict, const struct context *context,
                           enum policy_key key)
{
    return policy_is_rolled_out(verdict_value(verdict, context, key), verdict->job);
}

void verdict_begin_attempt(struct job_verdict *verdict, const struct job *before,
                           enum job_phase phase, uint64_t attempt)
{
    verdict_move(verdict, before, phase);
    struct job_core *after = &verdict->after;
    after->attempt = attempt;
    after->submitted_at = after->handed_off_ms = after->cancel_due = after->deadline_from_ms = 0;
    after->deadline_due = after->grace_due = after->next_due = after->interval_ms = 0;
    after->asks = after->refusals = 0;
    after->cause = after->next_reason = REASON_NONE;
    after->ending = ENDING_NONE;
    after->cancel = JOB_CANCEL_NONE;
    after->ordered = EFFECT_NONE;
    after->counted = JOB_COUNT_NONE;
    after->is_death = after->is_touched = after->rests_on_silence = after->is_at_work = false;
    for (enum job_fact fact = JOB_FACT_CLAIMED; fact < JOB_FACT_COUNT; fact++) {
        after->fact[fact] = (struct stream_id){0, 0};
    }
    for (enum job_text text = JOB_TEXT_OF_ATTEMPT; text < JOB_TEXT_COUNT; text++) {
        verdict->keep |= UINT32_C(1) << text;
        verdict->text[text] = SPAN_NONE;
    }
}

void verdict_run_deadline(struct job_verdict *verdict, const struct context *context)
{
    verdict->after.deadline_from_ms = context->deadline_ms;
    verdict_adapt_deadline(verdict, context);
}

void verdict_adapt_deadline(struct job_verdict *verdict, const struct context *context)
{
    struct job_core *after = &verdict->after;
    uint64_t timeout_ms = after->is_timeout_told
                              ? after->timeout_ms
                              : verdict_value(verdict, context, POLICY_JOB_TIMEOUT_MS);
    bool is_enforced =
        timeout_ms > 0 && verdict_is_rolled_out(verdict, context, POLICY_TIMEOUTS_PERCENT);
    after->grace_due = 0;
    after->deadline_due = is_enforced ? after->deadline_from_ms + timeout_ms : 0;
}

void verdict_run_claim_limit(struct job_verdict *verdict, const struct context *context)
{
    uint64_t limit_ms = verdict_value(verdict, context, POLICY_CLAIM_TIMEOUT_MS);
    bool is_limited = limit_ms > 0 && !verdict->after.is_at_work;
    CHECK(verdict->after.phase == JOB_CLAIMED);
    verdict->after.next_due = is_limited ? context->liveness_ms + limit_ms : 0;
}

void verdict_ignore(struct job_verdict *verdict, enum reason reason)
{
    verdict_rule(verdict, ACTION_IGNORE, reason);
}

void verdict_keep(struct job_verdict *verdict, enum job_text text, const struct event *event,
                  enum event_field field)
{
    if (event_has(event, field)) {
        verdict->keep |= UINT32_C(1) << text;
        verdict->text[text] = event_text(event, field);
    }
}

void ruling_tell_duplicate(struct ruling *ruling, const struct job_core *after, enum reason reason)
{
    static const bool is_over[REASON_COUNT] = {
        [REASON_SERVICE_FAILED] = true,
        [REASON_SERVICE_CANCELLED] = true,
        [REASON_SERVICE_NOT_FOUND] = true,
        [REASON_JOB_FAILED] = true,
    };
    bool may_run =
        !stream_id_is_zero(after->fact[JOB_FACT_HANDED_OFF]) || reason == REASON_DEADLINE_PASSED;
    if (ruling->action == ACTION_REQUEUE && may_run && !is_over[reason] &&
        after->cancel != JOB_CANCEL_CONFIRMED) {
        ruling_measure(ruling, MEASURE_POSSIBLE_DUPLICATE, 1);
    }
}

void ruling_measure(struct ruling *ruling, enum measure measure, uint64_t number)
{
    ruling->measures |= UINT32_C(1) << measure;
    ruling->measure[measure] = number;
}
