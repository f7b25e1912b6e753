/* SPDX-License-Identifier: MIT
 * The vocabulary's tables and look-ups. */
#include "reducers/event.h"

#include <string.h>

#include "base/check.h"

static const struct field_rule field_rules[EVENT_FIELD_COUNT] = {
#define X(id, text, field_kind, largest) \
    [FIELD_##id] = {.name = (text), .kind = FIELD_KIND_##field_kind, .max = (largest)},
    EVENT_FIELDS(X)
#undef X
};

static const struct type_rule type_rules[EVENT_TYPE_COUNT] = {
#define X(id, text, who, must, may) \
    [EVENT_##id] = {.name = (text), .reach = REACH_##who, .required = (must), .optional = (may)},
    EVENT_TYPES(X)
#undef X
};

int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms) {
        return a.ms < b.ms ? -1 : 1;
    }
    return (a.seq > b.seq) - (a.seq < b.seq);
}

bool stream_id_is_zero(struct stream_id id)
{
    return (id.ms | id.seq) == 0;
}

void stream_id_put(struct buffer *buffer, struct stream_id id)
{
    buffer_put_decimal(buffer, id.ms);
    buffer_put_byte(buffer, '-');
    buffer_put_decimal(buffer, id.seq);
}

bool stream_id_parse(struct span text, struct stream_id *out)
{
    struct span seq = text;
    struct span ms = span_cut(&seq, '-');
    struct stream_id id = {0};
    if (!span_to_number(ms, UINT64_MAX, &id.ms) || !span_to_number(seq, UINT64_MAX, &id.seq)) {
        return false;
    }
    *out = id;
    return true;
}

struct span entry_kept(struct span raw)
{
    return (struct span){raw.data, raw.size < ENTRY_KEPT_MAX ? raw.size : ENTRY_KEPT_MAX};
}

const struct field_rule *event_field_rule(enum event_field field)
{
    CHECK(field < EVENT_FIELD_COUNT);
    return &field_rules[field];
}

const struct type_rule *event_type_rule(enum event_type type)
{
    CHECK(type > EVENT_NONE);
    CHECK(type < EVENT_TYPE_COUNT);
    return &type_rules[type];
}

/* A million entries a second are looked up here. Each size has a case of its own, in which the
 * lists shrink at compile time to the few names of that size, each compared with a constant. */
#define NAME_SIZE_MAX 20
#define NAME_SIZES(CASE) \
    CASE(1)              \
    CASE(2)              \
    CASE(3)              \
    CASE(4)              \
    CASE(5)              \
    CASE(6)              \
    CASE(7)              \
    CASE(8)              \
    CASE(9)              \
    CASE(10)             \
    CASE(11)             \
    CASE(12)             \
    CASE(13)             \
    CASE(14)             \
    CASE(15)             \
    CASE(16)             \
    CASE(17)             \
    CASE(18)             \
    CASE(19)             \
    CASE(20)
#define MATCH(text, found)                                                            \
    if (SIZE == sizeof(text) - 1 && memcmp(name.data, text, sizeof(text) - 1) == 0) { \
        return found;                                                                 \
    }

#define X(id, text, ...) \
    _Static_assert(sizeof(text) - 1 <= NAME_SIZE_MAX, "NAME_SIZES lacks a size");
EVENT_TYPES(X)
EVENT_FIELDS(X)
#undef X

enum event_type event_type_named(struct span name)
{
#define X(id, text, ...) MATCH(text, EVENT_##id)
#define CASE(size)            \
    case size: {              \
        enum { SIZE = size }; \
        EVENT_TYPES(X)        \
        break;                \
    }
    switch (name.size) {
        NAME_SIZES(CASE)
    default:
        break;
    }
#undef CASE
#undef X
    return EVENT_NONE;
}

enum event_field event_field_named(struct span name)
{
#define X(id, text, ...) MATCH(text, FIELD_##id)
#define CASE(size)            \
    case size: {              \
        enum { SIZE = size }; \
        EVENT_FIELDS(X)       \
        break;                \
    }
    switch (name.size) {
        NAME_SIZES(CASE)
    default:
        break;
    }
#undef CASE
#undef X
    return EVENT_FIELD_COUNT;
}
