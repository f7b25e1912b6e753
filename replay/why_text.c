/* SPDX-License-Identifier: MIT
 * A story for people. */
#include <time.h>

#include "replay/why_parts.h"

#define DECISION_INDENT 4
#define DETAIL_INDENT   6
#define NESTING_MAX     16

void why_put_time(struct buffer *out, uint64_t at_ms)
{
    char text[64];
    struct tm parts;
    time_t seconds = (time_t)(at_ms / 1000);
    if (gmtime_r(&seconds, &parts) == NULL) { /* a year beyond int */
        buffer_put_text(out, "?");
        return;
    }
    uint64_t ms = at_ms % 1000;
    buffer_put(out, text, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &parts));
    buffer_put_text(out, ms < 10 ? "00" : ms < 100 ? "0" : "");
    buffer_put_decimal(out, ms);
    buffer_put_byte(out, 'Z');
}

/* Bytes of a producer reach a terminal: what is not printable ASCII is shown as "?". */
static void put_printable(struct buffer *out, struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '\n') {
            buffer_put_text(out, ", ");
        } else {
            buffer_put_byte(out, byte >= ' ' && byte <= '~' ? (uint8_t)byte : (uint8_t)'?');
        }
    }
}

static void put_line(struct buffer *out, uint32_t indent)
{
    buffer_put_byte(out, '\n');
    for (uint32_t i = 0; i < indent; i++) {
        buffer_put_byte(out, ' ');
    }
}

/* The end of the string that begins at `text.data[at]` with a quote. */
static size_t string_end(struct span text, size_t at)
{
    for (at++; at < text.size && text.data[at] != '"'; at++) {
        at += text.data[at] == '\\';
    }
    return at < text.size ? at + 1 : text.size;
}

/* A list of plain values stays on its line. */
static size_t plain_list_end(struct span text, size_t at)
{
    size_t end = at + 1;
    while (end < text.size && text.data[end] != ']') {
        if (text.data[end] == '{' || text.data[end] == '[') {
            return at;
        }
        end = text.data[end] == '"' ? string_end(text, end) : end + 1;
    }
    return end < text.size ? end + 1 : text.size;
}

/* True when the value at `at` goes on in lines of its own. */
static bool opens_block(struct span json, size_t at)
{
    if (at + 1 >= json.size || json.data[at + 1] == '}' || json.data[at + 1] == ']') {
        return false;
    }
    return json.data[at] == '{' || (json.data[at] == '[' && plain_list_end(json, at) == at);
}

struct outline {
    struct buffer *out;
    uint32_t indent, depth;
    bool is_list[NESTING_MAX]; /* by depth */
};

static void outline_item(struct outline *outline)
{
    uint32_t depth = outline->depth;
    put_line(outline->out, outline->indent + 2 * (depth > 0 ? depth - 1 : 0));
    if (depth > 0 && outline->is_list[depth - 1]) {
        buffer_put_text(outline->out, "-");
    }
}

/* Copies a string: a name loses its quotes. */
static size_t outline_string(struct outline *outline, struct span json, size_t at)
{
    size_t end = string_end(json, at);
    bool is_name = end < json.size && json.data[end] == ':';
    if (is_name && end - at >= 2) {
        put_printable(outline->out, (struct span){json.data + at + 1, end - at - 2});
    } else {
        put_printable(outline->out, (struct span){json.data + at, end - at});
    }
    return end;
}

void why_put_evidence(struct buffer *out, struct span json, uint32_t indent)
{
    struct outline outline = {.out = out, .indent = indent};
    size_t at = 0;
    while (at < json.size) {
        char byte = json.data[at];
        size_t list_end = byte == '[' ? plain_list_end(json, at) : at;
        if ((byte == '{' || byte == '[') && at + 1 < json.size &&
            (json.data[at + 1] == '}' || json.data[at + 1] == ']')) {
            buffer_put_text(out, "none");
            at += 2;
        } else if (list_end > at) {
            put_printable(out, (struct span){json.data + at, list_end - at});
            at = list_end;
        } else if (byte == '"') {
            at = outline_string(&outline, json, at);
        } else if ((byte == '{' || byte == '[') && outline.depth < NESTING_MAX) {
            outline.is_list[outline.depth++] = byte == '[';
            at++;
            if (at < json.size && json.data[at] != '}' && json.data[at] != ']') {
                outline_item(&outline);
            }
        } else if ((byte == '}' || byte == ']') && outline.depth > 0) {
            outline.depth--;
            at++;
        } else if (byte == ',') {
            outline_item(&outline);
            at++;
        } else {
            put_printable(out, (struct span){&byte, 1});
            at++;
            if (byte == ':' && !opens_block(json, at)) {
                buffer_put_byte(out, ' ');
            }
        }
    }
}

static void put_verdict(struct buffer *out, const struct decision *row)
{
    buffer_put_text(out, action_text(row->action));
    buffer_put_text(out, ": ");
    buffer_put_text(out, reason_text(row->reason));
    buffer_put_text(out, " (");
    buffer_put_text(out, reason_code(row->reason));
    buffer_put_byte(out, ')');
}

static void text_begin(struct buffer *out, struct span job, const struct told_decision *last)
{
    buffer_put_text(out, "job ");
    put_printable(out, job);
    if (last != NULL) {
        buffer_put_text(out, "\nlast decided at ");
        why_put_time(out, last->row.at_ms);
        buffer_put_byte(out, ' ');
        put_verdict(out, &last->row);
    }
    buffer_put_byte(out, '\n');
}

static void put_when(struct buffer *out, struct stream_id id)
{
    buffer_put_byte(out, '\n');
    why_put_time(out, id.ms);
    buffer_put_text(out, "  ");
    stream_id_put(out, id);
    buffer_put_text(out, "  ");
}

static void put_fields(struct buffer *out, const struct event *event)
{
    for (uint32_t i = 0; i < EVENT_FIELD_COUNT; i++) {
        enum event_field field = (enum event_field)i;
        if (!event_has(event, field)) {
            continue;
        }
        const struct field_rule *rule = event_field_rule(field);
        put_line(out, DECISION_INDENT);
        buffer_put_text(out, rule->name);
        buffer_put_text(out, ": ");
        if (rule->kind == FIELD_KIND_NUMBER) {
            buffer_put_decimal(out, event_number(event, field));
        } else if (rule->kind == FIELD_KIND_BOOLEAN) {
            buffer_put_text(out, event_number(event, field) != 0 ? "true" : "false");
        } else {
            put_printable(out, event_text(event, field));
        }
    }
}

static void text_event(struct buffer *out, const struct entry *entry, const struct event *event,
                       enum codec_problem problem, struct span field)
{
    put_when(out, entry->id);
    if (event != NULL) {
        buffer_put_text(out, event_type_rule(event->type)->name);
        put_fields(out, event);
    } else {
        buffer_put_text(out, "not an event: ");
        buffer_put_text(out, codec_problem_text(problem));
        buffer_put_byte(out, ' ');
        put_printable(out, field);
    }
    buffer_put_byte(out, '\n');
}

static void put_detail(struct buffer *out, const char *name, struct span text)
{
    if (text.size > 0) {
        put_line(out, DETAIL_INDENT);
        buffer_put_text(out, name);
        buffer_put_text(out, ": ");
        put_printable(out, text);
    }
}

static void put_effect(struct buffer *out, const struct audit_effect *effect)
{
    put_line(out, DETAIL_INDENT);
    buffer_put_text(out, "effect ");
    put_printable(out, effect->id);
    buffer_put_text(out, ": ");
    put_printable(out, effect->kind);
    buffer_put_byte(out, ' ');
    put_printable(out, effect->target);
    buffer_put_text(out, " -> ");
    if (effect->outcome.size == 0 || span_is(effect->outcome, "none")) {
        buffer_put_text(out, "still open");
        return;
    }
    put_printable(out, effect->outcome);
    if (effect->settled_at_ms > 0) {
        buffer_put_text(out, " at ");
        why_put_time(out, effect->settled_at_ms);
        buffer_put_text(out, ", ");
        buffer_put_decimal(out, effect->settled_at_ms - effect->requested_at_ms);
        buffer_put_text(out, " ms later");
    }
    if (effect->found.size > 0) {
        buffer_put_text(out, ", found ");
        put_printable(out, effect->found);
    }
}

/* Enough of a policy's hash for a person; the audit has it whole. */
static struct span policy_excerpt(struct span hash)
{
    hash.size = hash.size < 12 ? hash.size : 12;
    return hash;
}

static void text_decision(struct buffer *out, const struct told_decision *decision)
{
    const struct decision *row = &decision->row;
    put_when(out, row->stream_id);
    buffer_put_text(out, "DECIDED ");
    put_verdict(out, row);
    put_detail(out, "decision", row->id);
    put_line(out, DETAIL_INDENT);
    buffer_put_text(out, "attempt: ");
    buffer_put_decimal(out, row->attempt);
    put_detail(out, "worker", row->worker);
    put_detail(out, "service", row->service);
    put_detail(out, "trace", row->trace);
    put_detail(out, "policy", policy_excerpt(row->policy));
    put_detail(out, "mode", row->mode);
    if (row->evidence.size > 2) {
        put_line(out, DETAIL_INDENT);
        buffer_put_text(out, "evidence:");
        why_put_evidence(out, row->evidence, DETAIL_INDENT + 2);
    }
    for (uint32_t i = 0; i < decision->effect_count; i++) {
        put_effect(out, &decision->effects[i]);
    }
    buffer_put_byte(out, '\n');
}

static void text_end(struct buffer *out, bool is_cut)
{
    if (is_cut) {
        buffer_put_text(out, "\nMore decisions follow; the story is cut here.\n");
    }
}

const struct why_writer why_text_writer = {
    .begin = text_begin,
    .event = text_event,
    .decision = text_decision,
    .end = text_end,
};
