/* SPDX-License-Identifier: MIT
 * YAML as configuration uses it: a tree whose nodes know their lines, without anchors, aliases and
 * tags. */
#ifndef SALVOR_BASE_YAML_H
#define SALVOR_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"

#define YAML_SIZE_MAX    ((size_t)1 << 20)
#define YAML_DEPTH_MAX   32
#define YAML_ENTRIES_MAX 4096 /* in one mapping */

enum yaml_kind { YAML_KIND_NONE, YAML_KIND_SCALAR, YAML_KIND_SEQUENCE, YAML_KIND_MAPPING };

/* The arena owns nodes and texts; texts are followed by a 0 byte. Walk the children, in their order
 * in the file, with: for (child = node->first; child != NULL; child = child->next). */
struct yaml_node {
    enum yaml_kind kind;
    size_t line;      /* 1 is the first; a mapping's child has the line of its key */
    struct span key;  /* the name in the mapping that holds this node; empty elsewhere */
    struct span text; /* of a scalar */
    bool is_quoted;   /* a scalar in quotes or a block: "true" and "7" are words then */
    size_t count;     /* children */
    struct yaml_node *first, *next;
};

/* One document; an empty one is an empty mapping. NULL on error (USAGE), whose message begins with
 * "line N: ". Refused: duplicate keys, keys that are not scalars, anchors, aliases, tags, a second
 * document, and what is beyond the limits above. */
const struct yaml_node *yaml_parse(struct arena *arena, struct span text, struct error *error);

/* The child with this key; NULL when there is none or the node is NULL or no mapping. */
const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key);

#endif
