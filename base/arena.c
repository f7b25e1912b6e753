/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

#define ARENA_BLOCK_MIN ((size_t)4096)
#define ARENA_TAKE_MAX  ((size_t)1 << 32)

/* Each block is at least twice as large as the one before it, so the newest is the largest. */
struct arena_block {
    struct arena_block *older; /* owned */
    size_t capacity;
    max_align_t bytes[];
};

void *arena_take(struct arena *arena, size_t size)
{
    CHECK(size <= ARENA_TAKE_MAX);
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct arena_block *block = arena->newest;
    if (block == NULL || size > block->capacity - arena->used) {
        size_t capacity = block == NULL ? ARENA_BLOCK_MIN : block->capacity * 2;
        capacity = capacity < size ? size : capacity;
        block = mem_resize(NULL, sizeof(*block) + capacity);
        block->older = arena->newest;
        block->capacity = capacity;
        arena->newest = block;
        arena->used = 0;
    }
    void *taken = (char *)block->bytes + arena->used;
    arena->used += size;
    return taken;
}

struct span arena_copy(struct arena *arena, struct span span)
{
    char *copy = arena_take(arena, span.size + 1);
    if (span.size > 0) {
        memcpy(copy, span.data, span.size);
    }
    copy[span.size] = '\0';
    return (struct span){copy, span.size};
}

static void free_blocks(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *older = block->older;
        mem_free(block);
        block = older;
    }
}

void arena_reset(struct arena *arena)
{
    if (arena->newest != NULL) {
        free_blocks(arena->newest->older);
        arena->newest->older = NULL;
    }
    arena->used = 0;
}

void arena_fini(struct arena *arena)
{
    free_blocks(arena->newest);
    arena->newest = NULL;
    arena->used = 0;
}
