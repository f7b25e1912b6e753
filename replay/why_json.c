/* SPDX-License-Identifier: MIT
 * A story for programs: one JSON object. docs/audit.md tells its members. */
#include "base/json.h"
#include "replay/otherwise.h"
#include "replay/phrase.h"
#include "replay/reasoning.h"
#include "replay/why.h"

/* Puts a comma unless an object or a list has just been opened. */
static void next_element(struct buffer *out)
{
    char last = out->data[out->size - 1];
    if (last != '[' && last != '{') {
        buffer_put_byte(out, ',');
    }
}

static void put_id(struct buffer *out, const char *key, struct stream_id id)
{
    struct buffer text = {0};
    stream_id_put(&text, id);
    json_put_text(out, key, buffer_span(&text));
    buffer_fini(&text);
}

static void put_time(struct buffer *out, struct stream_id id)
{
    struct buffer text = {0};
    put_id(out, "stream_id", id);
    json_put_number(out, "at_ms", id.ms);
    phrase_put_time(&text, id.ms);
    json_put_text(out, "at", buffer_span(&text));
    buffer_fini(&text);
}

/* --- events --- */

static void put_field(struct buffer *out, const struct event *event, enum event_field field)
{
    const struct field_rule *rule = event_field_rule(field);
    if (rule->kind == FIELD_KIND_NUMBER) {
        json_put_number(out, rule->name, event_number(event, field));
    } else if (rule->kind == FIELD_KIND_BOOLEAN) {
        json_put_truth(out, rule->name, event_number(event, field) != 0);
    } else {
        json_put_text(out, rule->name, event_text(event, field));
    }
}

static void put_event(const struct entry *entry, struct buffer *out)
{
    struct event event;
    struct span field;
    enum codec_problem problem = codec_decode(entry, &event, &field);
    if (problem != CODEC_NONE) {
        json_put_text(out, "problem", span_of(codec_problem_text(problem)));
        json_put_text(out, "field", field);
        return;
    }
    json_put_text(out, "type", span_of(event_type_rule(event.type)->name));
    json_put_key(out, "fields");
    buffer_put_byte(out, '{');
    for (enum event_field i = 0; i < EVENT_FIELD_COUNT; i++) {
        if (event_has(&event, i)) {
            put_field(out, &event, i);
        }
    }
    buffer_put_byte(out, '}');
}

/* --- decisions --- */

void why_put_effects_json(const struct told_effect *effects, uint32_t count, bool is_open_only,
                          struct buffer *out)
{
    buffer_put_byte(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        const struct audit_effect *effect = &effects[i].row;
        if (is_open_only && effect->outcome.size > 0) {
            continue;
        }
        next_element(out);
        buffer_put_byte(out, '{');
        json_put_text(out, "id", effect->id);
        json_put_text(out, "kind", effect->kind);
        json_put_text(out, "target", effect->target);
        json_put_number(out, "requested_at_ms", effect->requested_at_ms);
        json_put_number(out, "settled_at_ms", effect->settled_at_ms);
        json_put_text(out, "outcome", effect->outcome);
        json_put_text(out, "found", effect->found);
        buffer_put_byte(out, '}');
    }
    buffer_put_byte(out, ']');
}

static void put_otherwise(const struct story *story, const struct told_decision *told,
                          struct buffer *out)
{
    struct buffer text = {0};
    json_put_key(out, "otherwise");
    buffer_put_byte(out, '[');
    for (uint32_t i = 0; otherwise_put(story, told, i, &text); i++) {
        next_element(out);
        buffer_put_json_string(out, buffer_span(&text));
        buffer_reset(&text);
    }
    buffer_put_byte(out, ']');
    buffer_fini(&text);
}

void why_put_decision_json(const struct story *story, const struct told_decision *told,
                           struct buffer *out)
{
    const struct decision *row = &told->row;
    struct buffer text = {0};
    json_put_text(out, "id", row->id);
    json_put_number(out, "ordinal", row->ordinal);
    json_put_text(out, "action", span_of(action_text(row->action)));
    json_put_text(out, "reason", span_of(reason_code(row->reason)));
    json_put_text(out, "sentence", span_of(reasoning_reason(told)));
    reasoning_put_measures(told, &text);
    json_put_text(out, "measures", buffer_span(&text));
    buffer_reset(&text);
    reasoning_put_tried(told, &text);
    json_put_text(out, "not_so", buffer_span(&text));
    put_otherwise(story, told, out);
    json_put_number(out, "attempt", row->attempt);
    json_put_text(out, "worker", row->worker);
    json_put_text(out, "service", row->service);
    json_put_text(out, "policy", row->policy);
    json_put_text(out, "mode", row->mode);
    json_put_text(out, "trace", row->trace);
    json_put_key(out, "evidence"); /* JSON itself */
    buffer_put_span(out, row->evidence.size > 0 ? row->evidence : SPAN("{}"));
    json_put_key(out, "effects");
    why_put_effects_json(story_effects(story, told), told->effect_count, false, out);
    buffer_fini(&text);
}

/* --- beliefs --- */

void why_put_phase_json(enum job_phase phase, enum effect_kind wanted, struct buffer *out)
{
    struct buffer text = {0};
    reasoning_put_phase(phase, wanted, &text);
    json_put_text(out, "words", buffer_span(&text));
    buffer_fini(&text);
}

static void put_belief(const struct told_belief *belief, struct buffer *out)
{
    json_put_text(out, "phase", span_of(job_phase_rule(belief->phase)->name));
    why_put_phase_json(belief->phase, belief->wanted, out);
    json_put_text(out, "wanted", span_of(effect_kind_text(belief->wanted)));
    json_put_text(out, "worker", belief->worker);
    json_put_number(out, "attempt", belief->attempt);
    json_put_number(out, "losses", belief->losses);
    json_put_number(out, "failures", belief->failures);
}

static void put_item(const struct story *story, const struct story_item *item, struct buffer *out)
{
    static const char *const kinds[] = {
        [STORY_EVENT] = "event",
        [STORY_DECISION] = "decision",
        [STORY_BELIEF] = "belief",
    };
    next_element(out);
    buffer_put_byte(out, '{');
    json_put_text(out, "kind", span_of(kinds[item->kind]));
    put_time(out, item->entry.id);
    if (item->kind == STORY_EVENT) {
        put_event(&item->entry, out);
    } else if (item->kind == STORY_DECISION) {
        why_put_decision_json(story, &story->decisions[item->decision], out);
    } else {
        put_belief(&item->belief, out);
    }
    buffer_put_byte(out, '}');
}

void why_put_unread_json(const struct story *story, struct buffer *out)
{
    struct buffer text = {0};
    reasoning_put_unread(story, &text);
    json_put_text(out, "unread", buffer_span(&text));
    buffer_fini(&text);
}

void why_put_json(const struct story *story, struct buffer *out)
{
    struct buffer text = {0};
    buffer_put_byte(out, '{');
    json_put_text(out, "job", story->job);
    json_put_number(out, "partition", story->partition);
    reasoning_put_standing(story, &text);
    json_put_text(out, "standing", buffer_span(&text));
    why_put_unread_json(story, out);
    buffer_fini(&text);
    json_put_key(out, "story");
    buffer_put_byte(out, '[');
    for (uint32_t i = 0; i < story->item_count; i++) {
        put_item(story, &story->items[i], out);
    }
    buffer_put_byte(out, ']');
    json_put_truth(out, "is_cut", story->is_cut);
    json_put_key(out, "state");
    why_put_view_json(story, out);
    buffer_put_text(out, "}\n");
}
