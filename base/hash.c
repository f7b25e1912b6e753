/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <string.h>

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

/* FNV-1a alone leaves the low bits of short keys poorly mixed, and those choose the partition. */
static uint64_t finish(uint64_t hash)
{
    hash ^= hash >> 33;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 33;
    hash *= UINT64_C(0xc4ceb9fe1a85ec53);
    hash ^= hash >> 33;
    return hash;
}

uint64_t hash_bytes(struct span span)
{
    uint64_t hash = FNV_OFFSET;
    for (size_t index = 0; index < span.size; index++) {
        hash = (hash ^ (uint8_t)span.data[index]) * FNV_PRIME;
    }
    return finish(hash);
}

uint64_t hash_number(uint64_t seed, uint64_t number)
{
    uint64_t hash = FNV_OFFSET ^ seed;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        hash = (hash ^ ((number >> shift) & 0xff)) * FNV_PRIME;
    }
    return finish(hash);
}

uint64_t hash_key(struct span key)
{
    uint64_t hash = FNV_OFFSET ^ key.size;
    uint64_t word = 0;
    for (; key.size > sizeof(word); key.data += sizeof(word), key.size -= sizeof(word)) {
        memcpy(&word, key.data, sizeof(word));
        hash = (hash ^ word) * FNV_PRIME;
        hash ^= hash >> 32;
    }
    word = 0;
    if (key.size > 0) {
        memcpy(&word, key.data, key.size);
    }
    return finish(hash ^ word);
}
