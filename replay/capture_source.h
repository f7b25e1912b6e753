/* SPDX-License-Identifier: MIT
 * A source of the loop over a capture. */
#ifndef SALVOR_REPLAY_CAPTURE_SOURCE_H
#define SALVOR_REPLAY_CAPTURE_SOURCE_H

#include "replay/loop.h"
#include "replay/place.h"
#include "store/capture.h"

/* Result: the state that the header tells, from zero where it has no snapshot; the caller owns it.
 * NULL with ERROR_CORRUPT when that is no state that this program reads, or not the one that the
 * header tells of; with ERROR_REFUSED when its rules are unknown: see loop_knows_reducers. */
struct state *capture_state(const struct capture_header *header, struct error *error);

/* Moves to the last file that begins at or before the place, so that a fold from its state reaches
 * it; the first file for a place before the capture, and for none. */
__attribute__((warn_unused_result)) bool
capture_seek_place(struct capture_reader *reader, const struct place *place, struct error *error);

struct capture_source {
    struct capture_reader *reader; /* borrowed */
    uint32_t batch_size;           /* entries a read, at least 1 */
    uint64_t ordinal;              /* entries before the reader's next one */
    bool is_ended;
    bool is_torn; /* it ended in an incomplete frame */
};

/* Begins where `reader` stands. */
struct capture_source capture_source_init(struct capture_reader *reader, uint32_t batch_size);
/* Entries that the state has already folded are passed over; a capture that begins behind the
 * state's ordinal is ERROR_HISTORY. `source` outlives the result. */
struct source capture_source_source(struct capture_source *source);

#endif
