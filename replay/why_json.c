/* SPDX-License-Identifier: MIT
 * A story for programs: one JSON object, {"job": …, "story": [ … ], "is_cut": …}. */
#include "base/json.h"
#include "replay/why_parts.h"

static void json_begin(struct buffer *out, struct span job, const struct told_decision *last)
{
    (void)last; /* a program finds it at the end */
    buffer_put_byte(out, '{');
    json_put_text(out, "job", job);
    json_put_key(out, "story");
    buffer_put_byte(out, '[');
}

static void put_item(struct buffer *out, const char *kind, struct stream_id id)
{
    struct buffer scratch = {0};
    stream_id_put(&scratch, id);
    if (out->data[out->size - 1] != '[') {
        buffer_put_byte(out, ',');
    }
    buffer_put_byte(out, '{');
    json_put_text(out, "kind", span_of(kind));
    json_put_text(out, "stream_id", buffer_span(&scratch));
    json_put_number(out, "at_ms", id.ms);
    buffer_reset(&scratch);
    why_put_time(&scratch, id.ms);
    json_put_text(out, "at", buffer_span(&scratch));
    buffer_fini(&scratch);
}

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

static void json_event(struct buffer *out, const struct entry *entry, const struct event *event,
                       enum codec_problem problem, struct span field)
{
    put_item(out, "event", entry->id);
    if (event == NULL) {
        json_put_text(out, "problem", span_of(codec_problem_text(problem)));
        json_put_text(out, "field", field);
    } else {
        json_put_text(out, "type", span_of(event_type_rule(event->type)->name));
        json_put_key(out, "fields");
        buffer_put_byte(out, '{');
        for (uint32_t i = 0; i < EVENT_FIELD_COUNT; i++) {
            if (event_has(event, (enum event_field)i)) {
                put_field(out, event, (enum event_field)i);
            }
        }
        buffer_put_byte(out, '}');
    }
    buffer_put_byte(out, '}');
}

static void put_effect(struct buffer *out, const struct audit_effect *effect)
{
    if (out->data[out->size - 1] != '[') {
        buffer_put_byte(out, ',');
    }
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

static void json_decision(struct buffer *out, const struct told_decision *decision)
{
    const struct decision *row = &decision->row;
    put_item(out, "decision", row->stream_id);
    json_put_text(out, "id", row->id);
    json_put_text(out, "action", span_of(action_text(row->action)));
    json_put_text(out, "reason", span_of(reason_code(row->reason)));
    json_put_text(out, "sentence", span_of(reason_text(row->reason)));
    json_put_number(out, "attempt", row->attempt);
    json_put_text(out, "worker", row->worker);
    json_put_text(out, "service", row->service);
    json_put_text(out, "policy", row->policy);
    json_put_text(out, "mode", row->mode);
    json_put_text(out, "trace", row->trace);
    json_put_key(out, "evidence"); /* JSON itself */
    buffer_put_span(out, row->evidence.size > 0 ? row->evidence : SPAN("{}"));
    json_put_key(out, "effects");
    buffer_put_byte(out, '[');
    for (uint32_t i = 0; i < decision->effect_count; i++) {
        put_effect(out, &decision->effects[i]);
    }
    buffer_put_text(out, "]}");
}

static void json_end(struct buffer *out, bool is_cut)
{
    buffer_put_byte(out, ']');
    json_put_truth(out, "is_cut", is_cut);
    buffer_put_text(out, "}\n");
}

const struct why_writer why_json_writer = {
    .begin = json_begin,
    .event = json_event,
    .decision = json_decision,
    .end = json_end,
};
