/* SPDX-License-Identifier: MIT
 * A place in a stream as people name it: a time, an entry's id, an ordinal. */
#ifndef SALVOR_REPLAY_PLACE_H
#define SALVOR_REPLAY_PLACE_H

#include "reducers/event.h"

enum place_kind {
    PLACE_NONE,
    PLACE_TIME,    /* the first entry whose id's ms is not before time_ms */
    PLACE_ID,      /* the first entry whose id is not before `id` */
    PLACE_ORDINAL, /* the entry with this ordinal; the stream's first has 1 */
};

struct place {
    enum place_kind kind;
    uint64_t time_ms; /* Unix ms, of the stream's ids */
    struct stream_id id;
    uint64_t ordinal;
};

/* Negative, zero, positive: the entry with this id and ordinal lies before, at, or behind the
 * place. Of a time, all entries of its ms are at it. `place->kind` is not NONE. */
int place_compare(const struct place *place, struct stream_id id, uint64_t ordinal);

#endif
