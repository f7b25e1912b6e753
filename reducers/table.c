/* SPDX-License-Identifier: MIT
 * Open addressing: an entity stands in the slot that its hash names or, where that is taken, in the
 * next free one. The hash stands beside the pointer, so that only the entity looked for is touched:
 * most of what a table holds has not been touched for long, and memory is what a look-up waits for.
 */
#include "reducers/table.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"

#define CACHE_LINE_SIZE 64
#define SLOTS_AT_FIRST  64
#define KEY_ALIGNMENT   16 /* of an entity behind its key */

struct table_slot {
    uint64_t hash;
    struct table_node *node; /* owned; NULL: the slot is free */
};

void table_init(struct table *table, size_t entity_size)
{
    CHECK(entity_size >= sizeof(struct table_node));
    *table = (struct table){
        .slots = mem_zero(SLOTS_AT_FIRST * sizeof *table->slots),
        .slot_count = SLOTS_AT_FIRST,
        .entity_size = entity_size,
    };
}

/* An entity is one block with its key, which stands before it: both are touched together. */
static struct table_node *make_node(const struct table *table, struct span key)
{
    size_t room = (key.size + KEY_ALIGNMENT - 1) / KEY_ALIGNMENT * KEY_ALIGNMENT;
    char *block = mem_zero(room + table->entity_size);
    memcpy(block, key.data, key.size);
    struct table_node *node = (struct table_node *)(void *)(block + room);
    node->key = (struct span){block, key.size};
    return node;
}

static void free_node(struct table_node *node)
{
    mem_free((void *)node->key.data);
}

void table_fini(struct table *table)
{
    struct table_node *node = table_oldest(table);
    while (node != NULL) {
        struct table_node *next = table_next(node);
        free_node(node);
        node = next;
    }
    mem_free(table->slots);
    memset(table, 0, sizeof *table);
}

static uint64_t slot_behind(const struct table *table, uint64_t slot)
{
    return (slot + 1) & (table->slot_count - 1);
}

/* The slot of this key, or the free one where it belongs. */
static uint64_t slot_of(const struct table *table, struct span key, uint64_t hash)
{
    uint64_t slot = hash & (table->slot_count - 1);
    const struct table_slot *slots = table->slots;
    while (slots[slot].node != NULL &&
           !(slots[slot].hash == hash && span_equal(slots[slot].node->key, key))) {
        slot = slot_behind(table, slot);
    }
    return slot;
}

void *table_find(const struct table *table, struct span key)
{
    return table_find_hashed(table, key, hash_key(key));
}

void *table_find_hashed(const struct table *table, struct span key, uint64_t hash)
{
    return table->slots[slot_of(table, key, hash)].node;
}

uint64_t table_hash(struct span key)
{
    return hash_key(key);
}

void table_expect_slot(const struct table *table, uint64_t hash)
{
    __builtin_prefetch(&table->slots[hash & (table->slot_count - 1)]);
}

void table_expect_entity(const struct table *table, uint64_t hash)
{
    const struct table_slot *slot = &table->slots[hash & (table->slot_count - 1)];
    if (slot->node != NULL && slot->hash == hash) {
        const char *begin = (const char *)slot->node;
        for (size_t i = 0; i < table->entity_size; i += CACHE_LINE_SIZE) {
            __builtin_prefetch(begin + i);
        }
    }
}

static void grow(struct table *table)
{
    mem_free(table->slots);
    table->slot_count *= 2;
    table->slots = mem_zero(table->slot_count * sizeof *table->slots);
    for (struct table_node *node = table_oldest(table); node != NULL; node = table_next(node)) {
        uint64_t slot = slot_of(table, node->key, node->hash);
        table->slots[slot] = (struct table_slot){.hash = node->hash, .node = node};
    }
}

void *table_add(struct table *table, struct span key, uint64_t arrival)
{
    CHECK(key.size > 0);
    if (table->arrivals.count * 2 >= table->slot_count) {
        grow(table);
    }
    uint64_t hash = hash_key(key);
    struct table_slot *slot = &table->slots[slot_of(table, key, hash)];
    CHECK(slot->node == NULL);
    struct table_node *node = make_node(table, key);
    node->hash = hash;
    node->arrival = arrival;
    *slot = (struct table_slot){.hash = hash, .node = node};
    list_append(&table->arrivals, &node->link);
    return node;
}

/* Frees the slot. What stands behind it without a free slot between moves up, unless it would then
 * stand before the slot that its hash names. */
static void free_slot(struct table *table, uint64_t slot)
{
    struct table_slot *slots = table->slots;
    uint64_t mask = table->slot_count - 1;
    uint64_t next = slot;
    while (slots[next = slot_behind(table, next)].node != NULL) {
        uint64_t from_home = (next - slots[next].hash) & mask;
        if (from_home >= ((next - slot) & mask)) {
            slots[slot] = slots[next];
            slot = next;
        }
    }
    slots[slot].node = NULL;
}

void table_remove(struct table *table, void *entity)
{
    struct table_node *node = entity;
    uint64_t slot = node->hash & (table->slot_count - 1);
    while (table->slots[slot].node != node) {
        CHECK(table->slots[slot].node != NULL);
        slot = slot_behind(table, slot);
    }
    free_slot(table, slot);
    list_remove(&table->arrivals, &node->link);
    free_node(node);
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
