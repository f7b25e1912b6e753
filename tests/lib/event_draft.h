/* SPDX-License-Identifier: MIT
 * Entries under construction, in either form and as wrong as a test wants them. */
#ifndef SALVOR_TESTS_LIB_EVENT_DRAFT_H
#define SALVOR_TESTS_LIB_EVENT_DRAFT_H

#include "reducers/codec.h"

/* Zero-initialise with {0}. */
struct event_draft {
    bool is_packed;
    uint32_t count;
    struct buffer pairs; /* owned: names and values so far */
    struct buffer raw;   /* owned: the entry as event_draft_decode built it last */
};

enum extreme { EXTREME_LEAST, EXTREME_LARGEST };

/* Drops what is there. */
void event_draft_start(struct event_draft *draft, bool is_packed);
/* Starts with `type` and the fields of the set `fields`, each with its extreme value. */
void event_draft_start_type(struct event_draft *draft, bool is_packed, enum event_type type,
                            uint64_t fields, enum extreme extreme);
/* The same with the least values of every field that the type may have, but `field`. */
void event_draft_start_without(struct event_draft *draft, bool is_packed, enum event_type type,
                               enum event_field field);
void event_draft_fini(struct event_draft *draft);

void event_draft_put_text(struct event_draft *draft, const char *name, struct span text);
void event_draft_put_number(struct event_draft *draft, const char *name, uint64_t number);
void event_draft_put_boolean(struct event_draft *draft, const char *name, bool is_true);
/* By the field's own kind. */
void event_draft_put_value(struct event_draft *draft, enum event_field field,
                           union event_value value);
/* In a packed draft alone: a value given as its msgpack bytes. */
void event_draft_put_packed(struct event_draft *draft, const char *name, struct span bytes);

/* Decodes the entry so far, with the id 17-4, into an event full of garbage. */
enum codec_problem event_draft_decode(struct event_draft *draft, struct event *out,
                                      struct span *field);
enum codec_problem event_draft_decode_raw(struct span raw, struct event *out, struct span *field);
/* cmocka's assertions: that the entry so far has this problem with this field, or none. */
void event_draft_assert_problem(struct event_draft *draft, enum codec_problem problem,
                                const char *about);
void event_draft_assert_decodes(struct event_draft *draft, struct event *out);
/* The raw form of an entry with the one field `e`, replacing what `raw` held. */
void event_draft_wrap_packed(struct buffer *raw, struct span bytes);

/* All that may stand on the type: a set of F(…). */
uint64_t event_draft_fields_of(enum event_type type);
bool event_draft_is_text(enum event_field field);
/* `size` bytes that every text field takes; static. */
struct span event_draft_filler(size_t size);
union event_value event_draft_extreme(enum event_field field, enum extreme extreme);

#endif
