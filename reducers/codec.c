/* SPDX-License-Identifier: MIT
 * The codec. The first problem is reported, and these are looked for in this order, so that equal
 * bytes give the same problem everywhere:
 *   1 the entry's size · 2 its form and the number of its fields (packed: that of the map's keys)
 *   3 `type`: repeated, missing, ill-typed, unknown
 *   4 the other fields in the entry's order: repeated, then of the wrong type, size or range
 *   5 what is missing, in the order of EVENT_FIELDS
 * A field that the type does not name is skipped like one that nobody knows. */
#include "reducers/codec.h"

#include <string.h>

#include <msgpack.h>

#include "base/check.h"
#include "reducers/msgpack_check.h"

/* Room for 20 fields of a packed entry in a block that the allocator hands out fast; more fields
 * take a second one. */
#define ZONE_CHUNK_SIZE 960

enum item_kind {
    ITEM_KIND_NONE,  /* a value that no field may have */
    ITEM_KIND_PLAIN, /* flat: text that may stand for anything */
    ITEM_KIND_TEXT,
    ITEM_KIND_NUMBER,
    ITEM_KIND_BOOLEAN,
};

/* One field of an entry in either form. */
struct item {
    struct span name;
    enum item_kind kind;
    union event_value value;
};

const char *codec_problem_text(enum codec_problem problem)
{
#define X(name, code, text) [CODEC_##name] = (code),
    static const char *const codes[] = { CODEC_PROBLEMS(X) };
#undef X
    CHECK(problem < sizeof(codes) / sizeof(codes[0]));
    return codes[problem];
}

static bool is_named(struct span name, const char *literal, size_t size)
{
    return name.size == size && memcmp(name.data, literal, size) == 0;
}

/* Reads the number of fields that stand in `raw`, then leaves the reader at the first name. */
static enum codec_problem read_count(struct reader *reader, uint32_t *count)
{
    uint64_t number = reader_varint(reader);
    if (reader->is_bad) {
        return CODEC_MALFORMED;
    }
    if (number > ENTRY_FIELDS_MAX) {
        return CODEC_TOO_MANY_FIELDS;
    }
    *count = (uint32_t)number;
    return CODEC_NONE;
}

static enum codec_problem read_flat(struct span raw, struct item *items, uint32_t *count)
{
    struct reader reader = {.rest = raw};
    enum codec_problem problem = read_count(&reader, count);
    if (problem != CODEC_NONE) {
        return problem;
    }
    for (uint32_t i = 0; i < *count; i++) {
        items[i].name = reader_sized(&reader);
        items[i].kind = ITEM_KIND_PLAIN;
        items[i].value.text = reader_sized(&reader);
    }
    return reader.is_bad || reader.rest.size > 0 ? CODEC_MALFORMED : CODEC_NONE;
}

static void read_object(const msgpack_object *object, struct item *item)
{
    item->kind = ITEM_KIND_NONE;
    if (object->type == MSGPACK_OBJECT_STR) {
        item->kind = ITEM_KIND_TEXT;
        item->value.text = (struct span){object->via.str.ptr, object->via.str.size};
    } else if (object->type == MSGPACK_OBJECT_BIN) {
        item->kind = ITEM_KIND_TEXT;
        item->value.text = (struct span){object->via.bin.ptr, object->via.bin.size};
    } else if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        item->kind = ITEM_KIND_NUMBER;
        item->value.number = object->via.u64;
    } else if (object->type == MSGPACK_OBJECT_BOOLEAN) {
        item->kind = ITEM_KIND_BOOLEAN;
        item->value.number = object->via.boolean;
    }
}

static enum codec_problem read_map(const msgpack_object *map, struct item *items, uint32_t *count)
{
    if (map->type != MSGPACK_OBJECT_MAP) {
        return CODEC_MALFORMED;
    }
    if (map->via.map.size > ENTRY_FIELDS_MAX) {
        return CODEC_TOO_MANY_FIELDS;
    }
    *count = map->via.map.size;
    for (uint32_t i = 0; i < *count; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (pair->key.type != MSGPACK_OBJECT_STR) {
            return CODEC_MALFORMED;
        }
        items[i].name = (struct span){pair->key.via.str.ptr, pair->key.via.str.size};
        read_object(&pair->val, &items[i]);
    }
    return CODEC_NONE;
}

/* The objects' texts point into `bytes`, so that they outlive the zone. */
static enum codec_problem read_packed(struct span bytes, struct item *items, uint32_t *count)
{
    if (!msgpack_check(bytes)) {
        return CODEC_MALFORMED;
    }
    msgpack_zone zone;
    msgpack_object object;
    CHECK(msgpack_zone_init(&zone, ZONE_CHUNK_SIZE));
    /* What the check let pass can only fail for want of memory. */
    CHECK(msgpack_unpack(bytes.data, bytes.size, NULL, &zone, &object) == MSGPACK_UNPACK_SUCCESS);
    enum codec_problem problem = read_map(&object, items, count);
    msgpack_zone_destroy(&zone);
    return problem;
}

static enum codec_problem take_text(struct span text, const struct field_rule *rule)
{
    if (text.size > rule->max) {
        return CODEC_OVERSIZED;
    }
    if (rule->kind == FIELD_KIND_TEXT) {
        return CODEC_NONE;
    }
    char least = rule->kind == FIELD_KIND_URL ? '!' : ' ';
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < least || text.data[i] > '~') {
            return CODEC_ILL_TYPED;
        }
    }
    return text.size == 0 ? CODEC_ILL_TYPED : CODEC_NONE;
}

static enum codec_problem take_digits(struct span text, uint64_t max, uint64_t *out)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return CODEC_ILL_TYPED;
        }
    }
    if (text.size == 0 || (text.data[0] == '0' && text.size > 1)) {
        return CODEC_ILL_TYPED;
    }
    return span_to_number(text, max, out) ? CODEC_NONE : CODEC_OUT_OF_RANGE;
}

static enum codec_problem take_plain(const struct item *item, const struct field_rule *rule,
                                     union event_value *out)
{
    struct span text = item->value.text;
    if (rule->kind == FIELD_KIND_NUMBER) {
        return take_digits(text, rule->max, &out->number);
    }
    if (rule->kind == FIELD_KIND_BOOLEAN) {
        out->number = span_is(text, "true");
        return out->number == 1 || span_is(text, "false") ? CODEC_NONE : CODEC_ILL_TYPED;
    }
    out->text = text;
    return take_text(text, rule);
}

static enum codec_problem take_value(const struct item *item, const struct field_rule *rule,
                                     union event_value *out)
{
    static const enum item_kind wanted[] = {
        [FIELD_KIND_ID] = ITEM_KIND_TEXT,         [FIELD_KIND_TEXT] = ITEM_KIND_TEXT,
        [FIELD_KIND_URL] = ITEM_KIND_TEXT,        [FIELD_KIND_NUMBER] = ITEM_KIND_NUMBER,
        [FIELD_KIND_BOOLEAN] = ITEM_KIND_BOOLEAN,
    };
    if (item->kind == ITEM_KIND_PLAIN) {
        return take_plain(item, rule, out);
    }
    if (item->kind != wanted[rule->kind]) {
        return CODEC_ILL_TYPED;
    }
    *out = item->value;
    if (item->kind == ITEM_KIND_TEXT) {
        return take_text(item->value.text, rule);
    }
    return item->value.number > rule->max ? CODEC_OUT_OF_RANGE : CODEC_NONE;
}

static enum codec_problem decode_type(const struct item *items, uint32_t count,
                                      enum event_type *out, struct span *field)
{
    static const struct field_rule rule = {
        .name = "type", .kind = FIELD_KIND_ID, .max = ID_SIZE_MAX};
    const struct item *found = NULL;
    *field = SPAN("type");
    for (uint32_t i = 0; i < count; i++) {
        if (is_named(items[i].name, "type", 4)) {
            if (found != NULL) {
                return CODEC_REPEATED;
            }
            found = &items[i];
        }
    }
    if (found == NULL) {
        return CODEC_MISSING;
    }
    union event_value value;
    enum codec_problem problem = take_value(found, &rule, &value);
    if (problem != CODEC_NONE) {
        return problem;
    }
    *field = value.text;
    *out = event_type_named(value.text);
    return *out == EVENT_NONE ? CODEC_UNKNOWN_TYPE : CODEC_NONE;
}

static enum codec_problem decode_items(const struct item *items, uint32_t count, struct event *out,
                                       struct span *field)
{
    enum codec_problem problem = decode_type(items, count, &out->type, field);
    if (problem != CODEC_NONE) {
        return problem;
    }
    const struct type_rule *type = event_type_rule(out->type);
    uint64_t known = type->required | type->optional | FIELDS_ON_ALL;
    out->present = 0;
    for (uint32_t i = 0; i < count; i++) {
        unsigned index = event_field_named(items[i].name);
        uint64_t bit = index < EVENT_FIELD_COUNT ? UINT64_C(1) << index : 0;
        if ((known & bit) == 0) {
            continue;
        }
        *field = items[i].name;
        if ((out->present & bit) != 0) {
            return CODEC_REPEATED;
        }
        problem = take_value(&items[i], event_field_rule(index), &out->value[index]);
        if (problem != CODEC_NONE) {
            return problem;
        }
        out->present |= bit;
    }
    uint64_t missing = type->required & ~out->present;
    for (unsigned index = 0; missing != 0; index++, missing >>= 1) {
        if ((missing & 1) != 0) {
            *field = span_of(event_field_rule(index)->name);
            return CODEC_MISSING;
        }
    }
    return CODEC_NONE;
}

enum codec_problem codec_decode(const struct entry *entry, struct event *out, struct span *field)
{
    struct item items[ENTRY_FIELDS_MAX];
    uint32_t count = 0;
    *field = SPAN_NONE;
    if (entry->raw.size > ENTRY_RAW_MAX) {
        return CODEC_OVERSIZED;
    }
    enum codec_problem problem = read_flat(entry->raw, items, &count);
    if (problem == CODEC_NONE && count == 1 && is_named(items[0].name, "e", 1)) {
        *field = items[0].name;
        problem = read_packed(items[0].value.text, items, &count);
    }
    if (problem != CODEC_NONE) {
        return problem;
    }
    out->id = entry->id;
    return decode_items(items, count, out, field);
}

void codec_put_raw(struct buffer *buffer, const struct span *names, const struct span *values,
                   uint32_t count)
{
    buffer_put_varint(buffer, count);
    for (uint32_t i = 0; i < count; i++) {
        buffer_put_sized(buffer, names[i]);
        buffer_put_sized(buffer, values[i]);
    }
}

bool codec_read_raw(struct span raw, struct span *names, struct span *values, uint32_t *count)
{
    struct item items[ENTRY_FIELDS_MAX];
    if (read_flat(raw, items, count) != CODEC_NONE) {
        return false;
    }
    for (uint32_t i = 0; i < *count; i++) {
        names[i] = items[i].name;
        values[i] = items[i].value.text;
    }
    return true;
}

static int pack_bytes(void *buffer, const char *data, size_t size)
{
    buffer_put(buffer, data, size);
    return 0;
}

static void pack_text(msgpack_packer *packer, struct span text)
{
    msgpack_pack_str(packer, text.size);
    msgpack_pack_str_body(packer, text.data, text.size);
}

void codec_put_packed(struct buffer *buffer, const struct event *event)
{
    size_t count = 1;
    for (uint64_t present = event->present; present != 0; present &= present - 1) {
        count++;
    }
    msgpack_packer packer;
    msgpack_packer_init(&packer, buffer, pack_bytes);
    msgpack_pack_map(&packer, count);
    pack_text(&packer, SPAN("type"));
    pack_text(&packer, span_of(event_type_rule(event->type)->name));
    for (unsigned field = 0; field < EVENT_FIELD_COUNT; field++) {
        if (!event_has(event, field)) {
            continue;
        }
        const struct field_rule *rule = event_field_rule(field);
        pack_text(&packer, span_of(rule->name));
        if (rule->kind == FIELD_KIND_NUMBER) {
            msgpack_pack_uint64(&packer, event->value[field].number);
        } else if (rule->kind == FIELD_KIND_BOOLEAN) {
            event->value[field].number != 0 ? msgpack_pack_true(&packer)
                                            : msgpack_pack_false(&packer);
        } else {
            pack_text(&packer, event->value[field].text);
        }
    }
}
