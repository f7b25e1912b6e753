/* SPDX-License-Identifier: MIT
 * Hostile bytes for the codec. The input's first byte chooses how the rest is taken: as the value
 * of `e`, as an entry's raw form, or by the msgpack check alone. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <msgpack.h>

#include "base/check.h"
#include "reducers/codec.h"
#include "reducers/msgpack_check.h"

enum way { WAY_PACKED, WAY_RAW, WAY_CHECK, WAY_COUNT };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_within(struct span part, struct span whole)
{
    return part.size == 0 || (part.data >= whole.data && part.size <= whole.size &&
                              part.data + part.size <= whole.data + whole.size);
}

static bool is_text(unsigned field)
{
    enum field_kind kind = event_field_rule(field)->kind;
    return kind != FIELD_KIND_NUMBER && kind != FIELD_KIND_BOOLEAN;
}

static void check_same(const struct event *a, const struct event *b)
{
    CHECK(a->type == b->type);
    CHECK(a->present == b->present);
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        CHECK(event_has(a, i) || event_text(a, i).data == NULL);
        if (event_has(a, i) && is_text(i)) {
            CHECK(span_equal(event_text(a, i), event_text(b, i)));
        } else {
            CHECK(event_number(a, i) == event_number(b, i));
        }
    }
}

static void check_decoded(const struct event *event, struct span raw)
{
    const struct type_rule *rule = event_type_rule(event->type);
    CHECK((rule->required & ~event->present) == 0);
    CHECK((event->present & ~(rule->required | rule->optional | FIELDS_ON_ALL)) == 0);
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        uint64_t max = event_field_rule(i)->max;
        if (!is_text(i)) {
            CHECK(event_number(event, i) <= max);
        } else {
            CHECK(event_text(event, i).size <= max);
            CHECK(lies_within(event_text(event, i), raw));
        }
    }
}

/* What was decoded is packed and decoded again. */
static void check_round_trip(const struct event *event)
{
    struct buffer packed = {0};
    struct buffer raw = {0};
    const struct span name = SPAN("e");
    codec_put_packed(&packed, event);
    CHECK(msgpack_check(buffer_span(&packed)));
    struct span value = buffer_span(&packed);
    codec_put_raw(&raw, &name, &value, 1);
    struct entry entry = {.id = event->id, .raw = buffer_span(&raw)};
    struct event again;
    struct span field;
    CHECK(codec_decode(&entry, &again, &field) == CODEC_NONE);
    check_same(event, &again);
    buffer_fini(&packed);
    buffer_fini(&raw);
}

static void check_entry(struct span raw)
{
    struct entry entry = {.id = {1, 2}, .raw = raw};
    struct event event, again;
    struct span field, field_again;
    memset(&event, 0, sizeof(event));
    memset(&again, 0xff, sizeof(again));
    enum codec_problem problem = codec_decode(&entry, &event, &field);
    CHECK(codec_decode(&entry, &again, &field_again) == problem);
    CHECK(span_equal(field, field_again));
    if (problem == CODEC_NONE) {
        check_decoded(&event, raw);
        check_same(&event, &again);
        check_round_trip(&event);
    } else if (problem != CODEC_MISSING && !span_is(field, "type")) {
        CHECK(lies_within(field, raw));
    }
}

static void check_raw(struct span raw)
{
    struct span names[ENTRY_FIELDS_MAX], values[ENTRY_FIELDS_MAX];
    uint32_t count = 0;
    if (codec_read_raw(raw, names, values, &count)) {
        struct buffer written = {0};
        codec_put_raw(&written, names, values, count);
        struct span names_again[ENTRY_FIELDS_MAX], values_again[ENTRY_FIELDS_MAX];
        uint32_t count_again = 0;
        CHECK(codec_read_raw(buffer_span(&written), names_again, values_again, &count_again));
        CHECK(count == count_again);
        for (uint32_t i = 0; i < count; i++) {
            CHECK(lies_within(names[i], raw));
            CHECK(lies_within(values[i], raw));
            CHECK(span_equal(names[i], names_again[i]));
            CHECK(span_equal(values[i], values_again[i]));
        }
        buffer_fini(&written);
    }
}

/* What passes the check must hold no surprise for msgpack-c. */
static void check_msgpack(struct span bytes)
{
    if (!msgpack_check(bytes)) {
        return;
    }
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    CHECK(msgpack_unpack_next(&unpacked, bytes.data, bytes.size, &used) == MSGPACK_UNPACK_SUCCESS);
    CHECK(used == bytes.size);
    msgpack_unpacked_destroy(&unpacked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct span rest = {(const char *)data + 1, size - 1};
    struct buffer raw = {0};
    const struct span name = SPAN("e");
    switch ((enum way)(data[0] % WAY_COUNT)) {
    case WAY_PACKED:
        codec_put_raw(&raw, &name, &rest, 1);
        check_entry(buffer_span(&raw));
        break;
    case WAY_RAW:
        check_raw(rest);
        check_entry(rest);
        break;
    default:
        check_msgpack(rest);
        break;
    }
    buffer_fini(&raw);
    return 0;
}
