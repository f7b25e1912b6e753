/* SPDX-License-Identifier: MIT
 * Finding by a text: chains behind a power of two of buckets, never more entries than buckets. */
#include "connectors/lookup.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"

#define BUCKETS_LEAST 64

static struct lookup_entry **bucket_of(const struct lookup *lookup, uint64_t hash)
{
    return &lookup->buckets[hash & (lookup->bucket_count - 1)];
}

static void link_entry(struct lookup *lookup, struct lookup_entry *entry)
{
    struct lookup_entry **bucket = bucket_of(lookup, entry->hash);
    entry->next = *bucket;
    *bucket = entry;
}

static void grow(struct lookup *lookup)
{
    struct lookup old = *lookup;
    lookup->bucket_count = old.bucket_count == 0 ? BUCKETS_LEAST : old.bucket_count * 2;
    lookup->buckets = mem_zero(lookup->bucket_count * sizeof(*lookup->buckets));
    for (size_t i = 0; i < old.bucket_count; i++) {
        struct lookup_entry *following;
        for (struct lookup_entry *entry = old.buckets[i]; entry != NULL; entry = following) {
            following = entry->next;
            link_entry(lookup, entry);
        }
    }
    mem_free(old.buckets);
}

static struct lookup_entry *find_entry(const struct lookup *lookup, struct span key, uint64_t hash)
{
    struct lookup_entry *entry = lookup->count == 0 ? NULL : *bucket_of(lookup, hash);
    while (entry != NULL && (entry->hash != hash || !span_equal(entry->key, key))) {
        entry = entry->next;
    }
    return entry;
}

void lookup_put(struct lookup *lookup, struct lookup_entry *entry, struct span key, void *owner)
{
    *entry = (struct lookup_entry){.key = key, .hash = hash_key(key), .owner = owner};
    CHECK(find_entry(lookup, key, entry->hash) == NULL);
    if (lookup->count == lookup->bucket_count) {
        grow(lookup);
    }
    link_entry(lookup, entry);
    lookup->count++;
}

void *lookup_find(const struct lookup *lookup, struct span key)
{
    const struct lookup_entry *entry = find_entry(lookup, key, hash_key(key));
    return entry != NULL ? entry->owner : NULL;
}

void lookup_remove(struct lookup *lookup, struct lookup_entry *entry)
{
    struct lookup_entry **link = bucket_of(lookup, entry->hash);
    while (*link != entry) {
        CHECK(*link != NULL);
        link = &(*link)->next;
    }
    *link = entry->next;
    lookup->count--;
    *entry = (struct lookup_entry){0};
}

void lookup_fini(struct lookup *lookup)
{
    mem_free(lookup->buckets);
    *lookup = (struct lookup){0};
}
