/* SPDX-License-Identifier: MIT
 * Decisions and changes of effects as rows. Their texts are made here once; the audit, the replay
 * and the comparison take them as they are. */
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "reducers/folding.h"

#define ROWS_AT_FIRST 16

void fold_output_fini(struct fold_output *output)
{
    arena_fini(&output->arena);
    mem_free(output->decisions);
    mem_free(output->changes);
    memset(output, 0, sizeof *output);
}

static struct span keep(struct folding *folding, struct buffer *buffer)
{
    struct span kept = arena_copy(&folding->output->arena, buffer_span(buffer));
    buffer_fini(buffer);
    return kept;
}

static struct span keep_span(struct folding *folding, struct span text)
{
    return text.size == 0 ? SPAN_NONE : arena_copy(&folding->output->arena, text);
}

static struct decision *add_decision(struct folding *folding)
{
    struct fold_output *output = folding->output;
    if (output->decision_count == output->decision_capacity) {
        output->decision_capacity =
            output->decision_capacity == 0 ? ROWS_AT_FIRST : output->decision_capacity * 2;
        output->decisions =
            mem_resize(output->decisions, output->decision_capacity * sizeof *output->decisions);
    }
    struct decision *decision = &output->decisions[output->decision_count++];
    memset(decision, 0, sizeof *decision);
    return decision;
}

static struct span decision_id(struct folding *folding)
{
    struct buffer id = {0};
    buffer_put_decimal(&id, folding->state->partition);
    buffer_put_byte(&id, '.');
    buffer_put_decimal(&id, folding->state->timeline);
    buffer_put_byte(&id, '.');
    stream_id_put(&id, folding->context.id);
    buffer_put_byte(&id, '.');
    buffer_put_decimal(&id, folding->output->decision_count);
    return keep(folding, &id);
}

static void put_key(struct buffer *json, const char *key, bool *is_first)
{
    if (!*is_first) {
        buffer_put_byte(json, ',');
    }
    *is_first = false;
    buffer_put_json_string(json, span_of(key));
    buffer_put_byte(json, ':');
}

static void put_facts(struct buffer *json, uint32_t facts, const struct stream_id *ids)
{
    bool is_first = true;
    buffer_put_byte(json, '{');
    for (enum job_fact fact = 0; fact < JOB_FACT_COUNT; fact++) {
        bool is_wanted = (facts & (UINT32_C(1) << fact)) != 0;
        if (is_wanted && !stream_id_is_zero(ids[fact])) {
            put_key(json, job_fact_text(fact), &is_first);
            buffer_put_byte(json, '"');
            stream_id_put(json, ids[fact]);
            buffer_put_byte(json, '"');
        }
    }
    buffer_put_byte(json, '}');
}

static void put_measures(struct buffer *json, const struct ruling *ruling)
{
    bool is_first = true;
    buffer_put_byte(json, '{');
    for (enum measure measure = 0; measure < MEASURE_COUNT; measure++) {
        if ((ruling->measures & (UINT32_C(1) << measure)) != 0) {
            put_key(json, measure_text(measure), &is_first);
            buffer_put_decimal(json, ruling->measure[measure]);
        }
    }
    buffer_put_byte(json, '}');
}

static void put_tried(struct buffer *json, uint32_t tried)
{
    bool is_first = true;
    buffer_put_byte(json, '[');
    for (enum rule rule = 0; rule < RULE_COUNT; rule++) {
        if ((tried & (UINT32_C(1) << rule)) != 0) {
            if (!is_first) {
                buffer_put_byte(json, ',');
            }
            is_first = false;
            buffer_put_json_string(json, span_of(rule_text(rule)));
        }
    }
    buffer_put_byte(json, ']');
}

static struct span evidence(struct folding *folding, const struct ruling *ruling,
                            const struct subject *subject)
{
    struct buffer json = {0};
    bool is_first = true;
    buffer_put_byte(&json, '{');
    put_key(&json, "event", &is_first);
    buffer_put_json_string(&json, span_of(event_type_rule(folding->event->type)->name));
    put_key(&json, "facts", &is_first);
    put_facts(&json, ruling->facts, subject->facts);
    put_key(&json, "measures", &is_first);
    put_measures(&json, ruling);
    put_key(&json, "did_not_match", &is_first);
    put_tried(&json, ruling->tried);
    if (subject->cancel != JOB_CANCEL_NONE) {
        put_key(&json, "cancel", &is_first);
        buffer_put_json_string(&json, span_of(job_cancel_text(subject->cancel)));
    }
    if (ruling->held != EFFECT_NONE) {
        put_key(&json, "held", &is_first);
        buffer_put_json_string(&json, span_of(effect_kind_text(ruling->held)));
    }
    if (ruling->who.size > 0) {
        put_key(&json, "who", &is_first);
        buffer_put_json_string(&json, ruling->who);
    }
    if (ruling->word.size > 0) {
        put_key(&json, "said", &is_first);
        buffer_put_json_string(&json, ruling->word);
    }
    buffer_put_byte(&json, '}');
    return keep(folding, &json);
}

static struct decision *begin_decision(struct folding *folding, enum action action,
                                       enum reason reason, struct span service)
{
    const struct state *state = folding->state;
    struct decision *decision = add_decision(folding);
    decision->id = decision_id(folding);
    decision->timeline = state->timeline;
    decision->stream_id = folding->context.id;
    decision->ordinal = state->ordinal;
    decision->at_ms = folding->context.id.ms;
    decision->action = action;
    decision->reason = reason;
    decision->policy = keep_span(folding, state->policy_hash);
    decision->reducers = state->reducers;
    decision->mode = policy_value(&state->policy, service, POLICY_EFFECTS) == EFFECTS_APPLY
                         ? SPAN("apply")
                         : SPAN("observe");
    return decision;
}

struct span rows_decide(struct folding *folding, const struct ruling *ruling,
                        const struct subject *subject)
{
    CHECK(ruling->action != ACTION_NONE && ruling->reason != REASON_NONE);
    struct decision *decision =
        begin_decision(folding, ruling->action, ruling->reason, subject->service);
    struct span id = decision->id;
    decision->job = keep_span(folding, subject->job);
    decision->worker = keep_span(folding, subject->worker);
    decision->service = keep_span(folding, subject->service);
    decision->attempt = subject->attempt;
    decision->evidence = evidence(folding, ruling, subject);
    struct span trace = event_text(folding->event, FIELD_TRACE);
    decision->trace = keep_span(folding, trace.size > 0 ? trace : subject->trace);
    return id;
}

void rows_quarantine(struct folding *folding, enum reason reason, const char *problem,
                     struct span field)
{
    struct decision *decision = begin_decision(folding, ACTION_QUARANTINE, reason, SPAN_NONE);
    struct buffer json = {0};
    bool is_first = true;
    buffer_put_byte(&json, '{');
    put_key(&json, "problem", &is_first);
    buffer_put_json_string(&json, span_of(problem));
    put_key(&json, "field", &is_first);
    buffer_put_json_string(&json, field);
    buffer_put_byte(&json, '}');
    folding->output->problem = problem;
    folding->output->field = keep_span(folding, field);
    decision->evidence = keep(folding, &json);
    folding->state->counter[COUNTER_QUARANTINED]++;
}

void rows_change(struct folding *folding, struct span effect, struct span decision,
                 enum effect_kind kind, struct span target, enum effect_outcome outcome,
                 struct span found)
{
    struct fold_output *output = folding->output;
    if (output->change_count == output->change_capacity) {
        output->change_capacity =
            output->change_capacity == 0 ? ROWS_AT_FIRST : output->change_capacity * 2;
        output->changes =
            mem_resize(output->changes, output->change_capacity * sizeof *output->changes);
    }
    output->changes[output->change_count++] = (struct effect_change){
        .id = keep_span(folding, effect),
        .decision = keep_span(folding, decision),
        .kind = kind,
        .target = keep_span(folding, target),
        .outcome = outcome,
        .found = keep_span(folding, found),
        .at_ms = folding->context.id.ms,
    };
}

struct span rows_effect_id(struct folding *folding, struct span decision)
{
    struct buffer id = {0};
    buffer_put_span(&id, decision);
    buffer_put_text(&id, ".1");
    return keep(folding, &id);
}
