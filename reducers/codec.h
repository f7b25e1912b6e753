/* SPDX-License-Identifier: MIT
 * From an entry's bytes to an event. Two forms: flat (one field a fact, text) and packed (one field
 * `e`: a msgpack map with the same names, `type` included). */
#ifndef SALVOR_REDUCERS_CODEC_H
#define SALVOR_REDUCERS_CODEC_H

#include "reducers/event.h"

/* Why an entry cannot be decoded. X(NAME, "code", "what is wrong with the field") */
#define CODEC_PROBLEMS(X)                                                 \
    X(NONE, "none", "nothing")                                            \
    X(OVERSIZED, "oversized", "longer than allowed")                      \
    X(TOO_MANY_FIELDS, "too_many_fields", "more than 64 fields")          \
    X(MISSING, "missing", "a required field is missing")                  \
    X(ILL_TYPED, "ill_typed", "not of the field's type")                  \
    X(OUT_OF_RANGE, "out_of_range", "a number above the field's maximum") \
    X(REPEATED, "repeated", "the field stands twice")                     \
    X(MALFORMED, "malformed", "not the two forms an entry may have")      \
    X(UNKNOWN_TYPE, "unknown_type", "no such event type; counted, not quarantined")

#define X(name, code, text) CODEC_##name,
enum codec_problem { CODEC_PROBLEMS(X) };
#undef X

/* "missing", "ill_typed", … static. */
const char *codec_problem_text(enum codec_problem problem);

/* Decodes `entry`. Result: CODEC_NONE and `*out` (its texts borrow from entry->raw), or the first
 * problem with, in `*field`, the name of the field it is about (borrowed from the entry or static;
 * empty when it is about the whole). Deterministic in the entry's bytes; allocates only inside
 * msgpack-c and frees it before it returns. */
enum codec_problem codec_decode(const struct entry *entry, struct event *out, struct span *field);

/* Puts the canonical raw form of a list of `count` field names and values. */
void codec_put_raw(struct buffer *buffer, const struct span *names, const struct span *values,
                   uint32_t count);

/* Walks the raw form: names[i], values[i] up to ENTRY_FIELDS_MAX. False when it is not such a form
 * or has more fields. */
bool codec_read_raw(struct span raw, struct span *names, struct span *values, uint32_t *count);

/* Packs `event` as the value of the field `e` (msgpack map, `type` first, then fields in the order
 * of EVENT_FIELDS). For our own appends, tests and tools. */
void codec_put_packed(struct buffer *buffer, const struct event *event);

#endif
