/* SPDX-License-Identifier: MIT
 * Entries as lines: the shorthands where they say the same, else field by field. */
#include <string.h>

#include "base/check.h"
#include "replay/scenario_parts.h"

#define FORGED_OWNER "nobody"

/* --- words --- */

static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte <= ' ' || byte > '~' || byte == '"' || byte == '\\') {
            return false;
        }
    }
    return text.size > 0;
}

static void put_escaped(struct buffer *lines, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    if (byte == '\n') {
        buffer_put_text(lines, "\\n");
    } else if (byte == '"' || byte == '\\') {
        buffer_put_byte(lines, '\\');
        buffer_put_byte(lines, byte);
    } else if (byte < ' ' || byte > '~') {
        buffer_put_text(lines, "\\x");
        buffer_put_byte(lines, (uint8_t)digits[byte >> 4]);
        buffer_put_byte(lines, (uint8_t)digits[byte & 15]);
    } else {
        buffer_put_byte(lines, byte);
    }
}

static void put_word(struct buffer *lines, struct span word)
{
    if (is_plain(word)) {
        buffer_put_span(lines, word);
        return;
    }
    buffer_put_byte(lines, '"');
    for (size_t i = 0; i < word.size; i++) {
        put_escaped(lines, (uint8_t)word.data[i]);
    }
    buffer_put_byte(lines, '"');
}

static void put_hex(struct buffer *lines, struct span bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        buffer_put_byte(lines, (uint8_t)digits[byte >> 4]);
        buffer_put_byte(lines, (uint8_t)digits[byte & 15]);
    }
}

/* " name=value" */
static void put_named(struct buffer *lines, const char *name, struct span value)
{
    buffer_put_byte(lines, ' ');
    buffer_put_text(lines, name);
    buffer_put_byte(lines, '=');
    put_word(lines, value);
}

static void put_field(struct scenario_writing *writing, const struct event *event,
                      enum event_field field)
{
    const struct field_rule *rule = event_field_rule(field);
    union event_value value = event->value[field];
    if (rule->kind == FIELD_KIND_NUMBER) {
        put_named(&writing->lines, rule->name, span_of(number_text(value.number).text));
    } else if (rule->kind == FIELD_KIND_BOOLEAN) {
        put_named(&writing->lines, rule->name, value.number != 0 ? SPAN("true") : SPAN("false"));
    } else if (field == FIELD_EFFECT || field == FIELD_QUESTION) {
        struct buffer mapped = {0};
        scenario_ids_put(writing, &mapped, value.text);
        put_named(&writing->lines, rule->name, buffer_span(&mapped));
        buffer_fini(&mapped);
    } else {
        put_named(&writing->lines, rule->name, value.text);
    }
}

/* Every field that is told, but those of the set `but`; the producer's clock decides nothing. */
static void put_fields(struct scenario_writing *writing, const struct event *event, uint64_t but)
{
    for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
        bool is_wanted = ((but | F(AT)) & (UINT64_C(1) << field)) == 0;
        if (event_has(event, field) && is_wanted) {
            put_field(writing, event, field);
        }
    }
}

/* --- policies --- */

/* True when the canonical text of the preset holds the line. */
static bool has_line(struct span text, struct span wanted)
{
    while (text.size > 0) {
        if (span_equal(span_cut(&text, '\n'), wanted)) {
            return true;
        }
    }
    return false;
}

/* Puts " key=value" for each line in which the canonical text differs from the preset's, and
 * returns how many there are. */
static uint32_t put_changes(struct buffer *out, struct span text, enum policy_preset preset)
{
    struct policy policy;
    struct buffer plain = {0};
    uint32_t count = 0;
    policy_preset(preset, &policy);
    policy_put_text(&plain, &policy);
    while (text.size > 0) {
        struct span line = span_cut(&text, '\n');
        if (!has_line(buffer_span(&plain), line)) {
            buffer_put_byte(out, ' ');
            buffer_put_span(out, line);
            count++;
        }
    }
    buffer_fini(&plain);
    return count;
}

/* True when each line of the text can stand on a `policy` line as it is. */
static bool is_text_plain(struct span text)
{
    while (text.size > 0) {
        struct span value = span_cut(&text, '\n');
        struct span name = span_cut(&value, '=');
        if (!is_plain(name) || !is_plain(value) || span_holds(value, SPAN("="))) {
            return false;
        }
    }
    return true;
}

/* The policy as changes of the preset that it is nearest to; what is no policy, as it is. */
static void put_policy_text(struct buffer *lines, struct span text)
{
    struct policy policy;
    struct span bad;
    struct buffer canonical = {0}, safe = {0}, seed = {0};
    bool is_policy = policy_parse_text(text, &policy, &bad);
    if (is_policy) {
        policy_put_text(&canonical, &policy);
    }
    if (!is_policy || !is_text_plain(buffer_span(&canonical))) {
        put_named(lines, "text", text);
    } else {
        uint32_t of_safe = put_changes(&safe, buffer_span(&canonical), PRESET_SAFE);
        uint32_t of_seed = put_changes(&seed, buffer_span(&canonical), PRESET_SEED);
        buffer_put_text(lines, of_seed < of_safe ? " preset=seed" : "");
        buffer_put_span(lines, buffer_span(of_seed < of_safe ? &seed : &safe));
    }
    buffer_fini(&seed);
    buffer_fini(&safe);
    buffer_fini(&canonical);
}

static void put_policy(struct scenario_writing *writing, const struct event *event)
{
    buffer_put_text(&writing->lines, "policy");
    put_policy_text(&writing->lines, event_text(event, FIELD_TEXT));
    uint64_t but = F(TEXT) | F(HASH) | FIELDS_LEADER;
    bool is_files = span_is(event_text(event, FIELD_ORIGIN), "file");
    put_fields(writing, event, is_files ? but | F(ORIGIN) : but);
}

/* --- the events --- */

void scenario_line_begin(const struct scenario_writing *writing, const struct entry *entry,
                         struct scenario_line *out)
{
    struct span field;
    struct effect_request named, found;
    out->subject = SPAN_NONE;
    out->problem = codec_decode(entry, &out->event, &field);
    bool is_answer = out->event.type == EVENT_SERVICE_ANSWERED;
    if (out->problem != CODEC_NONE || (!is_answer && out->event.type != EVENT_EFFECT_SETTLED)) {
        return;
    }
    struct span id = event_text(&out->event, is_answer ? FIELD_QUESTION : FIELD_EFFECT);
    if (!state_open_effect(writing->state, id, &named)) {
        return;
    }
    bool is_of_worker = named.kind == EFFECT_RELEASE;
    struct span subject = is_of_worker ? named.worker : named.job;
    bool is_meant = scenario_open_effect(writing->state, subject, is_answer, &found) &&
                    span_equal(found.id, id);
    if (is_answer) {
        is_meant = is_meant && span_equal(subject, event_text(&out->event, FIELD_JOB)) &&
                   named.attempt == event_number(&out->event, FIELD_ATTEMPT);
    }
    if (is_meant && subject.size <= sizeof(out->subject_text)) {
        memcpy(out->subject_text, subject.data, subject.size);
        out->subject = (struct span){out->subject_text, subject.size};
    }
}

static void put_undecodable(struct buffer *lines, const struct entry *entry)
{
    struct span names[ENTRY_FIELDS_MAX], values[ENTRY_FIELDS_MAX];
    uint32_t count = 0;
    bool is_packed =
        codec_read_raw(entry->raw, names, values, &count) && count == 1 && span_is(names[0], "e");
    buffer_put_text(lines, is_packed ? "wrong_bytes " : "wrong_entry ");
    put_hex(lines, is_packed ? values[0] : entry->raw);
}

/* A leader's event that the leader of its epoch did not append is nobody's here too. */
static void put_forged(struct scenario_writing *writing, const struct event *event)
{
    buffer_put_text(&writing->lines, event_type_rule(event->type)->name);
    put_fields(writing, event, FIELDS_LEADER);
    buffer_put_text(&writing->lines, " owner=" FORGED_OWNER " epoch=0");
}

static void put_epoch(struct scenario_writing *writing, const struct event *event)
{
    buffer_put_text(&writing->lines, "epoch");
    uint64_t but = FIELDS_LEADER | F(ORDINAL) | F(WALL_MS);
    bool is_our_version = event_number(event, FIELD_REDUCERS) == REDUCERS_VERSION;
    bool is_first_timeline = event_number(event, FIELD_TIMELINE) == 1;
    bool has_gap = event_number(event, FIELD_GAP_MS) > 0;
    put_fields(writing, event,
               but | (is_our_version ? F(REDUCERS) : 0) | (is_first_timeline ? F(TIMELINE) : 0) |
                   (has_gap ? 0 : F(GAP_MS)));
}

static void put_settled(struct scenario_writing *writing, const struct scenario_line *line)
{
    buffer_put_text(&writing->lines, "settle ");
    put_word(&writing->lines, line->subject);
    buffer_put_byte(&writing->lines, ' ');
    put_word(&writing->lines, event_text(&line->event, FIELD_OUTCOME));
    put_fields(writing, &line->event, FIELDS_LEADER | F(EFFECT) | F(OUTCOME));
}

static void put_answered(struct scenario_writing *writing, const struct scenario_line *line)
{
    buffer_put_text(&writing->lines, "answer ");
    put_word(&writing->lines, line->subject);
    put_fields(writing, &line->event, FIELDS_LEADER | F(QUESTION) | F(JOB) | F(ATTEMPT));
}

static void put_event(struct scenario_writing *writing, const struct scenario_line *line)
{
    const struct event *event = &line->event;
    const struct type_rule *rule = event_type_rule(event->type);
    if (event->type == EVENT_POLICY) {
        put_policy(writing, event);
    } else if (event->type == EVENT_EPOCH) {
        put_epoch(writing, event);
    } else if (event->type == EVENT_EFFECT_SETTLED && line->subject.size > 0) {
        put_settled(writing, line);
    } else if (event->type == EVENT_SERVICE_ANSWERED && line->subject.size > 0) {
        put_answered(writing, line);
    } else {
        uint64_t of_tick = event->type == EVENT_TICK ? F(HASH_ORDINAL) | F(STATE_HASH) : 0;
        buffer_put_text(&writing->lines, rule->name);
        put_fields(writing, event, rule->reach == REACH_LEADER ? FIELDS_LEADER | of_tick : 0);
    }
}

void scenario_line_put(struct scenario_writing *writing, const struct entry *entry,
                       const struct scenario_line *line, bool is_forged)
{
    if (line->problem != CODEC_NONE) {
        put_undecodable(&writing->lines, entry);
    } else if (is_forged && line->event.type != EVENT_EPOCH) {
        put_forged(writing, &line->event);
    } else if (is_forged) {
        /* The shorthand would begin an epoch; this one begins none anywhere. */
        const struct span names[] = {SPAN("type"),    SPAN("epoch"),    SPAN("owner"),
                                     SPAN("ordinal"), SPAN("timeline"), SPAN("reducers"),
                                     SPAN("wall_ms")};
        const struct span values[] = {SPAN("epoch"), SPAN("0"), SPAN(FORGED_OWNER), SPAN("0"),
                                      SPAN("0"),     SPAN("0"), SPAN("0")};
        struct buffer raw = {0};
        codec_put_raw(&raw, names, values, sizeof names / sizeof names[0]);
        buffer_put_text(&writing->lines, "wrong_entry ");
        put_hex(&writing->lines, buffer_span(&raw));
        buffer_fini(&raw);
    } else {
        put_event(writing, line);
    }
    buffer_put_byte(&writing->lines, '\n');
    writing->entry_count++;
}

void scenario_line_put_beginning(struct scenario_writing *writing)
{
    struct state_summary summary = state_summary(writing->state);
    if (summary.epoch > 0) {
        buffer_put_text(&writing->lines, "epoch");
        if (summary.timeline != 1) {
            put_named(&writing->lines, "timeline", span_of(number_text(summary.timeline).text));
        }
        buffer_put_byte(&writing->lines, '\n');
        writing->entry_count++;
    }
    if (summary.policy_hash.size > 0) {
        buffer_put_text(&writing->lines, "policy");
        put_policy_text(&writing->lines, summary.policy_text);
        buffer_put_byte(&writing->lines, '\n');
        writing->entry_count++;
    }
}
