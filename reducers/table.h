/* SPDX-License-Identifier: MIT
 * A hash table of entities by their id that is walked in order of arrival, never in order of
 * address or hash. Only the tables own memory. */
#ifndef SALVOR_REDUCERS_TABLE_H
#define SALVOR_REDUCERS_TABLE_H

#include <stddef.h>

#include "base/bytes.h"
#include "reducers/list.h"

/* The first member of every entity kept in a table. */
struct table_node {
    struct link link; /* order of arrival */
    uint64_t arrival; /* unique within the partition; breaks every tie */
    uint64_t hash;
    struct span key; /* the table's, as long as the entity lives */
};

struct table {
    struct table_slot *slots; /* owned */
    uint64_t slot_count;      /* a power of two */
    struct list arrivals;
    size_t entity_size;
};

void table_init(struct table *table, size_t entity_size);
/* Frees every entity; what they own must be freed before. */
void table_fini(struct table *table);
/* Result: the entity, or NULL. */
void *table_find(const struct table *table, struct span key);
/* The same, with the key's hash. */
void *table_find_hashed(const struct table *table, struct span key, uint64_t hash);
uint64_t table_hash(struct span key);
/* Ask the memory, a while before, for what table_find_hashed will touch: first for the slot, then,
 * when that is there, for the entity. */
void table_expect_slot(const struct table *table, uint64_t hash);
void table_expect_entity(const struct table *table, uint64_t hash);
/* Result: a new entity, all zero but its node; the key is copied and must not be there yet. */
void *table_add(struct table *table, struct span key, uint64_t arrival);
/* Frees the entity. */
void table_remove(struct table *table, void *entity);
/* Walks in order of arrival: the oldest, then the next; NULL at the end. */
void *table_oldest(const struct table *table);
void *table_next(const void *entity);

#endif
