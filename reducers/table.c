/* SPDX-License-Identifier: MIT */
#include "reducers/table.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"

#define BUCKETS_AT_FIRST 64

void table_init(struct table *table, size_t entity_size)
{
    CHECK(entity_size >= sizeof(struct table_node));
    memset(table, 0, sizeof *table);
    table->entity_size = entity_size;
}

void table_fini(struct table *table)
{
    struct table_node *node = table_oldest(table);
    while (node != NULL) {
        struct table_node *next = table_next(node);
        mem_free(node);
        node = next;
    }
    mem_free(table->buckets);
    memset(table, 0, sizeof *table);
}

static struct table_node **bucket_of(const struct table *table, uint64_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

static struct table_node *find(const struct table *table, struct span key, uint64_t hash)
{
    if (table->bucket_count == 0) {
        return NULL;
    }
    struct table_node *node = *bucket_of(table, hash);
    while (node != NULL && !(node->hash == hash && span_equal(node->key, key))) {
        node = node->chain;
    }
    return node;
}

void *table_find(const struct table *table, struct span key)
{
    return find(table, key, hash_key(key));
}

static void grow(struct table *table)
{
    mem_free(table->buckets);
    table->bucket_count = table->bucket_count == 0 ? BUCKETS_AT_FIRST : table->bucket_count * 2;
    table->buckets = mem_zero(table->bucket_count * sizeof(struct table_node *));
    for (struct table_node *node = table_oldest(table); node != NULL; node = table_next(node)) {
        struct table_node **bucket = bucket_of(table, node->hash);
        node->chain = *bucket;
        *bucket = node;
    }
}

void *table_add(struct table *table, struct span key, uint64_t arrival)
{
    CHECK(key.size > 0);
    uint64_t hash = hash_key(key);
    CHECK(find(table, key, hash) == NULL);
    if (table->arrivals.count == table->bucket_count) {
        grow(table);
    }
    struct table_node *node = mem_zero(table->entity_size + key.size);
    char *copy = (char *)node + table->entity_size;
    memcpy(copy, key.data, key.size);
    node->key = (struct span){copy, key.size};
    node->hash = hash;
    node->arrival = arrival;
    struct table_node **bucket = bucket_of(table, node->hash);
    node->chain = *bucket;
    *bucket = node;
    list_append(&table->arrivals, &node->link);
    return node;
}

void table_remove(struct table *table, void *entity)
{
    struct table_node *node = entity;
    struct table_node **place = bucket_of(table, node->hash);
    while (*place != node) {
        CHECK(*place != NULL);
        place = &(*place)->chain;
    }
    *place = node->chain;
    list_remove(&table->arrivals, &node->link);
    mem_free(node);
}

void *table_oldest(const struct table *table)
{
    return LIST_ELEMENT(table->arrivals.first, struct table_node, link);
}

void *table_next(const void *entity)
{
    const struct table_node *node = entity;
    return LIST_ELEMENT(node->link.next, struct table_node, link);
}
