/* SPDX-License-Identifier: MIT
 * An intrusive list: the links live in the elements, whoever holds the list owns no memory. */
#ifndef SALVOR_REDUCERS_LIST_H
#define SALVOR_REDUCERS_LIST_H

#include <stdbool.h>
#include <stdint.h>

struct link {
    struct link *previous, *next; /* borrowed neighbours */
    bool is_linked;
};

struct list {
    struct link *first, *last; /* borrowed elements */
    uint64_t count;
};

void list_append(struct list *list, struct link *link);
/* Does nothing when the element is not linked. */
void list_remove(struct list *list, struct link *link);

/* The element that holds this link. */
#define LINK_ELEMENT(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))
/* The same, NULL for NULL. */
#define LIST_ELEMENT(link, type, member) ((link) == NULL ? NULL : LINK_ELEMENT(link, type, member))

#endif
