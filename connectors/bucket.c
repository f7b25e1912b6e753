/* SPDX-License-Identifier: MIT
 * A token bucket. */
#include "connectors/bucket.h"

#define TOKEN 1000 /* a rate of n a second fills n thousandths a millisecond */

struct bucket bucket_create(uint64_t rate_per_s, uint64_t now_ms)
{
    uint64_t rate = rate_per_s < BUCKET_RATE_MAX ? rate_per_s : BUCKET_RATE_MAX;
    return (struct bucket){.rate_per_s = rate, .filled_ms = now_ms, .milli = rate * TOKEN};
}

static void fill(struct bucket *bucket, uint64_t now_ms)
{
    uint64_t full = bucket->rate_per_s * TOKEN;
    uint64_t passed_ms = now_ms - bucket->filled_ms;
    /* A second fills it, so longer times are cut before they are multiplied. */
    uint64_t added = (passed_ms < 1000 ? passed_ms : 1000) * bucket->rate_per_s;
    bucket->milli = bucket->milli + added < full ? bucket->milli + added : full;
    bucket->filled_ms = now_ms;
}

bool bucket_take(struct bucket *bucket, uint64_t now_ms)
{
    if (bucket->rate_per_s == 0) {
        return true;
    }
    fill(bucket, now_ms);
    if (bucket->milli < TOKEN) {
        return false;
    }
    bucket->milli -= TOKEN;
    return true;
}

uint64_t bucket_wait_ms(const struct bucket *bucket)
{
    if (bucket->rate_per_s == 0 || bucket->milli >= TOKEN) {
        return 0;
    }
    return (TOKEN - bucket->milli + bucket->rate_per_s - 1) / bucket->rate_per_s;
}
