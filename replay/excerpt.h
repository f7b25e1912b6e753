/* SPDX-License-Identifier: MIT
 * A part of a stream written as a capture of its own: each header holds the state where it begins.
 */
#ifndef SALVOR_REPLAY_EXCERPT_H
#define SALVOR_REPLAY_EXCERPT_H

#include "reducers/state.h"
#include "replay/place.h"
#include "store/capture.h"

/* Both may be PLACE_NONE: from the first entry, to the last. */
struct excerpt_range {
    struct place from, until; /* the entries at `until` belong to it */
};

enum excerpt_side { EXCERPT_BEFORE = 1, EXCERPT_INSIDE, EXCERPT_BEHIND };

/* Where the entry with this id and ordinal (the stream's first has 1) lies. */
enum excerpt_side excerpt_side(const struct excerpt_range *range, struct stream_id id,
                               uint64_t ordinal);

/* Zero-initialise with {0}, then set `directory`. */
struct excerpt {
    const char *directory;         /* borrowed */
    struct capture_writer *writer; /* owned; NULL before excerpt_begin */
    uint64_t ordinal;              /* entries before its first */
    uint64_t entries;
    struct stream_id first, last;
};

/* True when the directory holds no capture yet; it need not exist. */
__attribute__((warn_unused_result)) bool excerpt_check_directory(const char *directory,
                                                                 struct error *error);
/* Makes the file; its first entry is the next one behind `state`. */
__attribute__((warn_unused_result)) bool
excerpt_begin(struct excerpt *excerpt, const struct state *state, struct error *error);
/* Goes on in another file once so many bytes are in this one; `state` stands behind its last entry.
 */
__attribute__((warn_unused_result)) bool excerpt_rotate(struct excerpt *excerpt,
                                                        const struct state *state, uint64_t bytes,
                                                        struct error *error);
/* Buffers the entry; written out now and then. */
__attribute__((warn_unused_result)) bool
excerpt_add(struct excerpt *excerpt, const struct entry *entry, struct error *error);
/* Writes out what is buffered. */
__attribute__((warn_unused_result)) bool excerpt_flush(struct excerpt *excerpt,
                                                       struct error *error);
/* The same, and syncs it; closes the file. */
__attribute__((warn_unused_result)) bool excerpt_end(struct excerpt *excerpt, struct error *error);
/* Closes the file and removes it, and its directory where nothing else is in it. */
void excerpt_drop(struct excerpt *excerpt);

#endif
