/* SPDX-License-Identifier: MIT */
#include "reducers/verdict.h"

#include <stddef.h>
#include <string.h>

#include "base/check.h"

static const struct job_phase_rule phase_rules[JOB_PHASE_COUNT] = {
#define X(id, text, open, next, deadline, final) \
    [JOB_##id] = {.name = (text),                \
                  .has_open = (open),            \
                  .has_next = (next),            \
                  .has_deadline = (deadline),    \
                  .is_final = (final)},
    JOB_PHASES(X)
#undef X
};

const struct job_phase_rule *job_phase_rule(enum job_phase phase)
{
    CHECK(phase < JOB_PHASE_COUNT);
    return &phase_rules[phase];
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
    if (!rule->has_next) {
        after->next_due = 0;
    }
    if (rule->is_final || phase == JOB_QUEUED) {
        after->deadline_due = 0;
        after->grace_due = 0;
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
        [EFFECT_TIME_OUT] = ACTION_TIME_OUT,
    };
    CHECK(actions[effect] != ACTION_NONE);
    verdict_move(verdict, before, effect == EFFECT_ASK ? JOB_ASKING : JOB_REQUESTED);
    verdict->after.wanted = effect;
    struct ruling *ruling = verdict_rule(verdict, actions[effect], reason);
    ruling->effect = effect;
    return ruling;
}

void verdict_begin_attempt(struct job_verdict *verdict, const struct job *before,
                           enum job_phase phase, uint64_t attempt)
{
    verdict_move(verdict, before, phase);
    struct job_core *after = &verdict->after;
    after->attempt = attempt;
    after->submitted_at = 0;
    after->deadline_due = after->grace_due = after->next_due = after->interval_ms = 0;
    after->asks = after->refusals = 0;
    after->cause = after->next_reason = REASON_NONE;
    after->is_counted = after->is_touched = after->rests_on_silence = false;
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
    struct job_core *after = &verdict->after;
    uint64_t timeout_ms =
        after->is_timeout_told ? after->timeout_ms : context->policy->value[POLICY_JOB_TIMEOUT_MS];
    after->grace_due = 0;
    after->deadline_due = timeout_ms == 0 ? 0 : context->deadline_ms + timeout_ms;
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

void ruling_measure(struct ruling *ruling, enum measure measure, uint64_t number)
{
    ruling->measures |= UINT32_C(1) << measure;
    ruling->measure[measure] = number;
}
