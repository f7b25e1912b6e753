/* SPDX-License-Identifier: MIT */
#include "base/alloc.h"

#include <stdlib.h>

#include "base/check.h"

void *mem_zero(size_t size)
{
    void *block = calloc(1, size == 0 ? 1 : size);
    CHECK(block != NULL);
    return block;
}

void *mem_resize(void *block, size_t size)
{
    void *moved = realloc(block, size == 0 ? 1 : size);
    CHECK(moved != NULL);
    return moved;
}

void mem_free(void *block)
{
    free(block);
}
