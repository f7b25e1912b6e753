/* SPDX-License-Identifier: MIT */
#include "reducers/list.h"

#include <stddef.h>

#include "base/check.h"

void list_append(struct list *list, struct link *link)
{
    CHECK(!link->is_linked);
    link->is_linked = true;
    link->previous = list->last;
    link->next = NULL;
    if (list->last == NULL) {
        list->first = link;
    } else {
        list->last->next = link;
    }
    list->last = link;
    list->count++;
}

void list_remove(struct list *list, struct link *link)
{
    if (!link->is_linked) {
        return;
    }
    CHECK(list->count > 0);
    if (link->previous == NULL) {
        list->first = link->next;
    } else {
        link->previous->next = link->next;
    }
    if (link->next == NULL) {
        list->last = link->previous;
    } else {
        link->next->previous = link->previous;
    }
    link->is_linked = false;
    link->previous = link->next = NULL;
    list->count--;
}
