/* SPDX-License-Identifier: MIT
 * Allocation that cannot fail: out of memory ends the process (the stream and the log are durable,
 * a half-handled shortage is not). What a producer can make large is bounded before it is asked
 * for. */
#ifndef SALVOR_BASE_ALLOC_H
#define SALVOR_BASE_ALLOC_H

#include <stddef.h>

/* Result: `size` bytes, all zero; the caller owns them and gives them back with mem_free. */
void *mem_zero(size_t size);

/* Result: the block, moved and resized; `block` may be NULL. New bytes are not cleared. */
void *mem_resize(void *block, size_t size);

/* Accepts NULL. */
void mem_free(void *block);

#endif
