/* SPDX-License-Identifier: MIT
 * A stable hash: the same on every machine and in every version, since partitions, jitter and
 * roll-outs rest on it. Not for secrets. */
#ifndef SALVOR_BASE_HASH_H
#define SALVOR_BASE_HASH_H

#include <stdint.h>

#include "base/bytes.h"

/* FNV-1a, 64 bits, with MurmurHash3's finaliser (both public domain). */
uint64_t hash_bytes(struct span span);

/* Mixes a number into a hash: hash_number(hash_bytes(job), attempt). */
uint64_t hash_number(uint64_t seed, uint64_t number);

/* For look-ups in memory alone, eight bytes at a time: it differs between machines and may change,
 * so nothing that is kept or decided may rest on it. */
uint64_t hash_key(struct span key);

#endif
