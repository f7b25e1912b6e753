/* SPDX-License-Identifier: MIT
 * Finding by a text: a hash table of entries that live inside what is found. */
#ifndef SALVOR_CONNECTORS_LOOKUP_H
#define SALVOR_CONNECTORS_LOOKUP_H

#include "base/bytes.h"

struct lookup_entry {
    struct lookup_entry *next; /* of the same bucket; borrowed */
    struct span key;           /* borrowed from the owner, which keeps it while the entry is in */
    uint64_t hash;
    void *owner; /* what is found */
};

/* Zero-initialise with {0}. */
struct lookup {
    struct lookup_entry **buckets; /* owned; the entries are not */
    size_t bucket_count, count;
};

/* The key must not be there yet. */
void lookup_put(struct lookup *lookup, struct lookup_entry *entry, struct span key, void *owner);
/* The owner; NULL when there is none. */
void *lookup_find(const struct lookup *lookup, struct span key);
void lookup_remove(struct lookup *lookup, struct lookup_entry *entry);
void lookup_fini(struct lookup *lookup);

#endif
