/* SPDX-License-Identifier: MIT
 * Answers that serve further questions about the same job: what it ended as for as long as there is
 * room, that it waits or runs for a while. Nothing else is kept: that a job is unknown, or that
 * nobody answered, must be found out anew. */
#ifndef SALVOR_CONNECTORS_CACHE_H
#define SALVOR_CONNECTORS_CACHE_H

#include <sys/queue.h>

#include "connectors/answer.h"
#include "connectors/lookup.h"

#define CACHE_ANSWERS_MAX 16384

struct cache_entry;
TAILQ_HEAD(cache_entries, cache_entry);

struct cache {
    struct lookup by_key;
    struct cache_entries entries; /* owned; least lately used first */
};

void cache_init(struct cache *cache);
void cache_fini(struct cache *cache);
/* Keeps a copy, in the place of an earlier answer. `ttl_ms`: how long an answer that is not final
 * lasts, and a final one too where `does_end_expire`; 0: it is not kept. */
void cache_put(struct cache *cache, struct span key, const struct answer *answer, uint64_t now_ms,
               uint64_t ttl_ms, bool does_end_expire);
/* The answer, borrowed until the next call; NULL when there is none. */
const struct answer *cache_find(struct cache *cache, struct span key, uint64_t now_ms);
void cache_drop(struct cache *cache, struct span key);

#endif
