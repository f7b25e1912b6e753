/* SPDX-License-Identifier: MIT
 * One entry against another: flat fields by name, packed ones as they decode. */
#include <stddef.h>

#include "reducers/codec.h"
#include "replay/diff.h"

#define PACKED_FIELD "e"

/* The fields of an entry as they stand in its bytes. */
struct raw_fields {
    struct span names[ENTRY_FIELDS_MAX], values[ENTRY_FIELDS_MAX];
    uint32_t count;
};

static void set_field(struct diff_field *out, struct arena *arena, struct span name, struct span a,
                      struct span b)
{
    const struct span values[DIFF_SIDES] = {a, b};
    out->name = arena_copy(arena, name);
    for (int side = 0; side < DIFF_SIDES; side++) {
        out->value[side] = values[side].data == NULL ? SPAN_NONE : arena_copy(arena, values[side]);
    }
}

/* data NULL: there is none. An empty value has data. */
static struct span value_named(const struct raw_fields *fields, struct span name)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        if (span_equal(fields->names[i], name)) {
            return fields->values[i].data == NULL ? SPAN("") : fields->values[i];
        }
    }
    return SPAN_NONE;
}

static bool is_packed(const struct raw_fields *fields)
{
    return fields->count == 1 && span_is(fields->names[0], PACKED_FIELD);
}

/* Those of `in` that the other has otherwise or not at all, in their order. */
static bool find_flat(const struct raw_fields *in, const struct raw_fields *other, bool is_a,
                      struct arena *arena, struct diff_field *out)
{
    for (uint32_t i = 0; i < in->count; i++) {
        struct span ours = value_named(in, in->names[i]);
        struct span theirs = value_named(other, in->names[i]);
        if (theirs.data == NULL || !span_equal(ours, theirs)) {
            set_field(out, arena, in->names[i], is_a ? ours : theirs, is_a ? theirs : ours);
            return true;
        }
    }
    return false;
}

/* The field's value as text; data NULL: absent. */
static struct span event_value(const struct event *event, enum event_field field,
                               struct arena *arena)
{
    if (!event_has(event, field)) {
        return SPAN_NONE;
    }
    struct buffer text = {0};
    switch (event_field_rule(field)->kind) {
    case FIELD_KIND_NUMBER:
        buffer_put_decimal(&text, event_number(event, field));
        break;
    case FIELD_KIND_BOOLEAN:
        buffer_put_text(&text, event_number(event, field) != 0 ? "true" : "false");
        break;
    default:
        buffer_put_span(&text, event_text(event, field));
        break;
    }
    struct span kept = text.size > 0 ? arena_copy(arena, buffer_span(&text)) : SPAN("");
    buffer_fini(&text);
    return kept;
}

static bool find_decoded(const struct entry *a, const struct entry *b, struct arena *arena,
                         struct diff_field *out)
{
    struct event left, right;
    struct span field;
    if (codec_decode(a, &left, &field) != CODEC_NONE ||
        codec_decode(b, &right, &field) != CODEC_NONE) {
        return false;
    }
    if (left.type != right.type) {
        set_field(out, arena, SPAN("type"), span_of(event_type_rule(left.type)->name),
                  span_of(event_type_rule(right.type)->name));
        return true;
    }
    for (enum event_field i = 0; i < EVENT_FIELD_COUNT; i++) {
        struct span ours = event_value(&left, i, arena), theirs = event_value(&right, i, arena);
        if ((ours.data == NULL) != (theirs.data == NULL) || !span_equal(ours, theirs)) {
            set_field(out, arena, span_of(event_field_rule(i)->name), ours, theirs);
            return true;
        }
    }
    return false;
}

/* Nothing that is known differs: the bytes themselves from the first other one on. */
static void tell_bytes(const struct entry *a, const struct entry *b, struct arena *arena,
                       struct diff_field *out)
{
    size_t least = a->raw.size < b->raw.size ? a->raw.size : b->raw.size, at = 0;
    while (at < least && a->raw.data[at] == b->raw.data[at]) {
        at++;
    }
    struct buffer name = {0};
    buffer_put_text(&name, "bytes from ");
    buffer_put_decimal(&name, at);
    buffer_put_text(&name, " on");
    const struct span rests[DIFF_SIDES] = {{a->raw.data + at, a->raw.size - at},
                                           {b->raw.data + at, b->raw.size - at}};
    set_field(out, arena, buffer_span(&name), rests[DIFF_A].size > 0 ? rests[DIFF_A] : SPAN_NONE,
              rests[DIFF_B].size > 0 ? rests[DIFF_B] : SPAN_NONE);
    buffer_fini(&name);
}

void diff_entry_field(const struct entry *a, const struct entry *b, struct arena *arena,
                      struct diff_field *out)
{
    struct raw_fields left, right;
    *out = (struct diff_field){0};
    bool is_raw = codec_read_raw(a->raw, left.names, left.values, &left.count) &&
                  codec_read_raw(b->raw, right.names, right.values, &right.count);
    bool is_flat = is_raw && !is_packed(&left) && !is_packed(&right);
    bool is_found = is_flat ? find_flat(&left, &right, true, arena, out) ||
                                  find_flat(&right, &left, false, arena, out)
                            : find_decoded(a, b, arena, out);
    if (!is_found && is_raw && is_packed(&left) != is_packed(&right)) {
        set_field(out, arena, SPAN("form"), is_packed(&left) ? SPAN("packed") : SPAN("flat"),
                  is_packed(&right) ? SPAN("packed") : SPAN("flat"));
        is_found = true;
    }
    if (!is_found) {
        tell_bytes(a, b, arena, out);
    }
}
