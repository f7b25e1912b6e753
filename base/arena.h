/* SPDX-License-Identifier: MIT
 * Memory by lifetime: everything taken from an arena lives until arena_reset. */
#ifndef SALVOR_BASE_ARENA_H
#define SALVOR_BASE_ARENA_H

#include <stddef.h>

#include "base/bytes.h"

struct arena_block;

/* Zero-initialise with {0}. */
struct arena {
    struct arena_block *newest; /* owned, a chain */
    size_t used;                /* bytes used of the newest block */
};

/* Result: `size` bytes aligned for any type, not cleared; the arena owns them. */
void *arena_take(struct arena *arena, size_t size);
/* Result: a copy that the arena owns, with a 0 byte behind it (not counted in the size). */
struct span arena_copy(struct arena *arena, struct span span);
/* Forgets everything taken; the largest block is kept for reuse. */
void arena_reset(struct arena *arena);
void arena_fini(struct arena *arena);

#endif
