/* SPDX-License-Identifier: MIT
 * A token bucket: at most so many requests a second, with at most one second's worth at once. */
#ifndef SALVOR_CONNECTORS_BUCKET_H
#define SALVOR_CONNECTORS_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    uint64_t rate_per_s; /* 0: no limit */
    uint64_t filled_ms;  /* moment of the last filling */
    uint64_t milli;      /* thousandths of a token */
};

#define BUCKET_RATE_MAX UINT64_C(1000000)

/* Full. */
struct bucket bucket_create(uint64_t rate_per_s, uint64_t now_ms);
/* Takes one token; false when there is none. */
bool bucket_take(struct bucket *bucket, uint64_t now_ms);
/* Time from the last bucket_take until there is a token again; 0: there is one. */
uint64_t bucket_wait_ms(const struct bucket *bucket);

#endif
