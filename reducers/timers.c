/* SPDX-License-Identifier: MIT
 * A binary heap. Its inner order depends on history, the order in which timers come out does not:
 * (due, arrival, kind) is total. */
#include "reducers/timers.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/check.h"

#define HEAP_AT_FIRST 64

void timers_fini(struct timers *timers)
{
    mem_free(timers->heap);
    *timers = (struct timers){0};
}

static bool is_before(const struct timer *a, const struct timer *b)
{
    if (a->due != b->due) {
        return a->due < b->due;
    }
    if (a->arrival != b->arrival) {
        return a->arrival < b->arrival;
    }
    return a->kind < b->kind;
}

static void put(struct timers *timers, uint32_t place, struct timer *timer)
{
    timers->heap[place - 1] = timer;
    timer->place = place;
}

static void sift_up(struct timers *timers, struct timer *timer)
{
    uint32_t place = timer->place;
    while (place > 1 && is_before(timer, timers->heap[place / 2 - 1])) {
        put(timers, place, timers->heap[place / 2 - 1]);
        place /= 2;
    }
    put(timers, place, timer);
}

static void sift_down(struct timers *timers, struct timer *timer)
{
    uint32_t place = timer->place;
    for (;;) {
        uint32_t child = place * 2;
        if (child > timers->count) {
            break;
        }
        if (child < timers->count && is_before(timers->heap[child], timers->heap[child - 1])) {
            child++;
        }
        if (!is_before(timers->heap[child - 1], timer)) {
            break;
        }
        put(timers, place, timers->heap[child - 1]);
        place = child;
    }
    put(timers, place, timer);
}

void timers_set(struct timers *timers, struct timer *timer, uint64_t due)
{
    CHECK(timer->kind != TIMER_NONE);
    timer->due = due;
    if (timer->place == 0) {
        if (timers->count == timers->capacity) {
            timers->capacity = timers->capacity == 0 ? HEAP_AT_FIRST : timers->capacity * 2;
            timers->heap = mem_resize(timers->heap, timers->capacity * sizeof(struct timer *));
        }
        timers->count++;
        put(timers, timers->count, timer);
    }
    sift_up(timers, timer);
    sift_down(timers, timer);
}

void timers_clear(struct timers *timers, struct timer *timer)
{
    if (timer->place == 0) {
        return;
    }
    CHECK(timers->heap[timer->place - 1] == timer);
    struct timer *last = timers->heap[timers->count - 1];
    timers->count--;
    if (last != timer) {
        put(timers, timer->place, last);
        sift_up(timers, last);
        sift_down(timers, last);
    }
    timer->place = 0;
}

struct timer *timers_first_due(const struct timers *timers, uint64_t now)
{
    if (timers->count == 0 || timers->heap[0]->due > now) {
        return NULL;
    }
    return timers->heap[0];
}
