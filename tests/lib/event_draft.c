/* SPDX-License-Identifier: MIT
 * Packed values are written by hand here, not by msgpack-c: a second opinion, and one that can be
 * wrong on purpose. */
#include "tests/lib/event_draft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

static void put_big_endian(struct buffer *buffer, uint64_t number, unsigned bytes)
{
    for (unsigned i = bytes; i > 0; i--) {
        buffer_put_byte(buffer, (uint8_t)(number >> (8 * (i - 1))));
    }
}

static void put_str(struct buffer *buffer, struct span text)
{
    buffer_put_byte(buffer, 0xdb);
    put_big_endian(buffer, text.size, 4);
    buffer_put_span(buffer, text);
}

void event_draft_start(struct event_draft *draft, bool is_packed)
{
    draft->is_packed = is_packed;
    draft->count = 0;
    buffer_reset(&draft->pairs);
}

void event_draft_start_type(struct event_draft *draft, bool is_packed, enum event_type type,
                            uint64_t fields, enum extreme extreme)
{
    event_draft_start(draft, is_packed);
    event_draft_put_text(draft, "type", span_of(event_type_rule(type)->name));
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        if ((fields >> i & 1) != 0) {
            event_draft_put_value(draft, i, event_draft_extreme(i, extreme));
        }
    }
}

void event_draft_start_without(struct event_draft *draft, bool is_packed, enum event_type type,
                               enum event_field field)
{
    event_draft_start_type(draft, is_packed, type,
                           event_draft_fields_of(type) & ~(UINT64_C(1) << field), EXTREME_LEAST);
}

void event_draft_fini(struct event_draft *draft)
{
    buffer_fini(&draft->pairs);
    buffer_fini(&draft->raw);
}

void event_draft_put_text(struct event_draft *draft, const char *name, struct span text)
{
    draft->count++;
    if (draft->is_packed) {
        put_str(&draft->pairs, span_of(name));
        put_str(&draft->pairs, text);
    } else {
        buffer_put_sized(&draft->pairs, span_of(name));
        buffer_put_sized(&draft->pairs, text);
    }
}

void event_draft_put_number(struct event_draft *draft, const char *name, uint64_t number)
{
    struct buffer value = {0};
    if (draft->is_packed) {
        buffer_put_byte(&value, 0xcf);
        put_big_endian(&value, number, 8);
        event_draft_put_packed(draft, name, buffer_span(&value));
    } else {
        buffer_put_decimal(&value, number);
        event_draft_put_text(draft, name, buffer_span(&value));
    }
    buffer_fini(&value);
}

void event_draft_put_boolean(struct event_draft *draft, const char *name, bool is_true)
{
    if (draft->is_packed) {
        event_draft_put_packed(draft, name, is_true ? SPAN("\xc3") : SPAN("\xc2"));
    } else {
        event_draft_put_text(draft, name, is_true ? SPAN("true") : SPAN("false"));
    }
}

void event_draft_put_value(struct event_draft *draft, enum event_field field,
                           union event_value value)
{
    const struct field_rule *rule = event_field_rule(field);
    if (event_draft_is_text(field)) {
        event_draft_put_text(draft, rule->name, value.text);
    } else if (rule->kind == FIELD_KIND_NUMBER) {
        event_draft_put_number(draft, rule->name, value.number);
    } else {
        event_draft_put_boolean(draft, rule->name, value.number != 0);
    }
}

void event_draft_put_packed(struct event_draft *draft, const char *name, struct span bytes)
{
    CHECK(draft->is_packed);
    draft->count++;
    put_str(&draft->pairs, span_of(name));
    buffer_put_span(&draft->pairs, bytes);
}

enum codec_problem event_draft_decode(struct event_draft *draft, struct event *out,
                                      struct span *field)
{
    if (draft->is_packed) {
        struct buffer map = {0};
        buffer_put_byte(&map, 0xdf);
        put_big_endian(&map, draft->count, 4);
        buffer_put_span(&map, buffer_span(&draft->pairs));
        event_draft_wrap_packed(&draft->raw, buffer_span(&map));
        buffer_fini(&map);
    } else {
        buffer_reset(&draft->raw);
        buffer_put_varint(&draft->raw, draft->count);
        buffer_put_span(&draft->raw, buffer_span(&draft->pairs));
    }
    return event_draft_decode_raw(buffer_span(&draft->raw), out, field);
}

enum codec_problem event_draft_decode_raw(struct span raw, struct event *out, struct span *field)
{
    struct entry entry = {.id = {17, 4}, .raw = raw};
    memset(out, 0xee, sizeof(*out));
    return codec_decode(&entry, out, field);
}

void event_draft_wrap_packed(struct buffer *raw, struct span bytes)
{
    const struct span name = SPAN("e");
    buffer_reset(raw);
    codec_put_raw(raw, &name, &bytes, 1);
}

void event_draft_assert_problem(struct event_draft *draft, enum codec_problem problem,
                                const char *about)
{
    struct event event;
    struct span field;
    assert_string_equal(codec_problem_text(event_draft_decode(draft, &event, &field)),
                        codec_problem_text(problem));
    assert_int_equal(field.size, strlen(about));
    assert_memory_equal(field.data, about, field.size);
}

void event_draft_assert_decodes(struct event_draft *draft, struct event *out)
{
    struct span field;
    assert_string_equal(codec_problem_text(event_draft_decode(draft, out, &field)), "none");
}

uint64_t event_draft_fields_of(enum event_type type)
{
    const struct type_rule *rule = event_type_rule(type);
    return rule->required | rule->optional | FIELDS_ON_ALL;
}

bool event_draft_is_text(enum event_field field)
{
    enum field_kind kind = event_field_rule(field)->kind;
    return kind == FIELD_KIND_ID || kind == FIELD_KIND_TEXT || kind == FIELD_KIND_URL;
}

struct span event_draft_filler(size_t size)
{
    static char bytes[POLICY_SIZE_MAX + 1];
    CHECK(size <= sizeof(bytes));
    memset(bytes, 'x', sizeof(bytes));
    return (struct span){bytes, size};
}

union event_value event_draft_extreme(enum event_field field, enum extreme extreme)
{
    const struct field_rule *rule = event_field_rule(field);
    union event_value value = {.text = SPAN_NONE};
    if (event_draft_is_text(field)) {
        size_t least = rule->kind == FIELD_KIND_TEXT ? 0 : 1;
        value.text = event_draft_filler(extreme == EXTREME_LARGEST ? rule->max : least);
    } else {
        value.number = extreme == EXTREME_LARGEST ? rule->max : 0;
    }
    return value;
}
