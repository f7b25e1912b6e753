/* SPDX-License-Identifier: MIT
 * Answers that serve further questions. */
#include "connectors/cache.h"

#include "base/alloc.h"

struct cache_entry {
    TAILQ_ENTRY(cache_entry) links;
    struct lookup_entry by_key;
    struct buffer key;
    struct answer answer;
    uint64_t until_ms;
};

void cache_init(struct cache *cache)
{
    *cache = (struct cache){0};
    TAILQ_INIT(&cache->entries);
}

static void entry_destroy(struct cache *cache, struct cache_entry *entry)
{
    lookup_remove(&cache->by_key, &entry->by_key);
    TAILQ_REMOVE(&cache->entries, entry, links);
    answer_fini(&entry->answer);
    buffer_fini(&entry->key);
    mem_free(entry);
}

void cache_fini(struct cache *cache)
{
    while (!TAILQ_EMPTY(&cache->entries)) {
        entry_destroy(cache, TAILQ_FIRST(&cache->entries));
    }
    lookup_fini(&cache->by_key);
}

void cache_put(struct cache *cache, struct span key, const struct answer *answer, uint64_t now_ms,
               uint64_t ttl_ms, bool does_end_expire)
{
    enum answer_verdict verdict = answer->report.verdict;
    bool does_expire = does_end_expire || !verdict_is_final(verdict);
    bool is_lagging = (answer->flags & (1u << ANSWER_FLAG_LAGGING)) != 0;
    cache_drop(cache, key);
    if (!verdict_is_decisive(verdict) || (does_expire && (ttl_ms == 0 || is_lagging))) {
        return;
    }
    if (cache->by_key.count == CACHE_ANSWERS_MAX) {
        entry_destroy(cache, TAILQ_FIRST(&cache->entries));
    }
    struct cache_entry *entry = mem_zero(sizeof(*entry));
    buffer_put_span(&entry->key, key);
    answer_copy(&entry->answer, answer);
    entry->until_ms = does_expire ? now_ms + ttl_ms : UINT64_MAX;
    lookup_put(&cache->by_key, &entry->by_key, buffer_span(&entry->key), entry);
    TAILQ_INSERT_TAIL(&cache->entries, entry, links);
}

const struct answer *cache_find(struct cache *cache, struct span key, uint64_t now_ms)
{
    struct cache_entry *entry = lookup_find(&cache->by_key, key);
    if (entry == NULL) {
        return NULL;
    }
    if (now_ms >= entry->until_ms) {
        entry_destroy(cache, entry);
        return NULL;
    }
    TAILQ_REMOVE(&cache->entries, entry, links);
    TAILQ_INSERT_TAIL(&cache->entries, entry, links);
    return &entry->answer;
}

void cache_drop(struct cache *cache, struct span key)
{
    struct cache_entry *entry = lookup_find(&cache->by_key, key);
    if (entry != NULL) {
        entry_destroy(cache, entry);
    }
}
