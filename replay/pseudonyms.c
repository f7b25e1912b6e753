/* SPDX-License-Identifier: MIT
 * A name is the field's, a dash, and 16 hexadecimal digits: the first eight bytes of the HMAC of
 * field and id, counted up until the name has the lot of the job and is nobody else's. */
#include "replay/pseudonyms.h"

#include <string.h>

#include "base/alloc.h"
#include "base/sha256.h"
#include "reducers/lot.h"
#include "reducers/table.h"

#define DIGITS 16

struct pseudonyms {
    struct buffer key; /* owned */
    struct table ids;  /* of struct renamed; key: the field as a byte, then the id */
    struct table names;
    struct buffer id, name; /* under construction */
};

struct renamed {
    struct table_node node;
    struct span name; /* borrowed from `names` */
};

struct pseudonyms *pseudonyms_open(struct span key)
{
    struct pseudonyms *pseudonyms = mem_zero(sizeof *pseudonyms);
    buffer_put_span(&pseudonyms->key, key);
    table_init(&pseudonyms->ids, sizeof(struct renamed));
    table_init(&pseudonyms->names, sizeof(struct table_node));
    return pseudonyms;
}

/* Where the counting begins. */
static uint64_t first_number(const struct pseudonyms *pseudonyms, enum event_field field,
                             struct span id)
{
    struct buffer text = {0};
    uint64_t number = 0;
    buffer_put_text(&text, event_field_rule(field)->name);
    buffer_put_byte(&text, 0);
    buffer_put_span(&text, id);
    struct sha256 digest = sha256_hmac(buffer_span(&pseudonyms->key), buffer_span(&text));
    for (size_t index = 0; index < sizeof number; index++) {
        number = number << 8 | digest.bytes[index];
    }
    buffer_fini(&text);
    return number;
}

static struct span put_name(struct buffer *name, enum event_field field, uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    buffer_reset(name);
    buffer_put_text(name, event_field_rule(field)->name);
    buffer_put_byte(name, '-');
    for (unsigned shift = 4 * DIGITS; shift > 0; shift -= 4) {
        buffer_put_byte(name, (uint8_t)digits[number >> (shift - 4) & 15]);
    }
    return buffer_span(name);
}

struct span pseudonyms_name(struct pseudonyms *pseudonyms, enum event_field field, struct span id)
{
    _Static_assert(EVENT_FIELD_COUNT <= UINT8_MAX, "a field is one byte of a key");
    buffer_reset(&pseudonyms->id);
    buffer_put_byte(&pseudonyms->id, (uint8_t)field);
    buffer_put_span(&pseudonyms->id, id);
    struct span key = buffer_span(&pseudonyms->id);
    struct renamed *renamed = table_find(&pseudonyms->ids, key);
    if (renamed == NULL) {
        uint64_t number = first_number(pseudonyms, field, id);
        struct span name = put_name(&pseudonyms->name, field, number);
        while ((field == FIELD_JOB && job_lot(name) != job_lot(id)) ||
               table_find(&pseudonyms->names, name) != NULL) {
            name = put_name(&pseudonyms->name, field, ++number);
        }
        uint64_t arrival = pseudonyms_count(pseudonyms);
        const struct table_node *node = table_add(&pseudonyms->names, name, arrival);
        renamed = table_add(&pseudonyms->ids, key, arrival);
        renamed->name = node->key;
    }
    return renamed->name;
}

bool pseudonym_is(enum event_field field, struct span text)
{
    struct span name = span_of(event_field_rule(field)->name);
    if (text.size != name.size + 1 + DIGITS || memcmp(text.data, name.data, name.size) != 0 ||
        text.data[name.size] != '-') {
        return false;
    }
    for (size_t index = name.size + 1; index < text.size; index++) {
        char digit = text.data[index];
        if (!(digit >= '0' && digit <= '9') && !(digit >= 'a' && digit <= 'f')) {
            return false;
        }
    }
    return true;
}

uint64_t pseudonyms_count(const struct pseudonyms *pseudonyms)
{
    return pseudonyms->ids.arrivals.count;
}

void pseudonyms_close(struct pseudonyms *pseudonyms)
{
    if (pseudonyms == NULL) {
        return;
    }
    table_fini(&pseudonyms->ids);
    table_fini(&pseudonyms->names);
    buffer_fini(&pseudonyms->key);
    buffer_fini(&pseudonyms->id);
    buffer_fini(&pseudonyms->name);
    mem_free(pseudonyms);
}
