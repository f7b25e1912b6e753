/* SPDX-License-Identifier: MIT
 * A binary heap. Its inner order depends on history, the order in which timers come out does not:
 * (due, arrival, kind) is total. */
#include "reducers/timers.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/check.h"

#define HEAP_AT_FIRST 64

/* What the order rests on stands in the heap itself: the timers lie far apart in memory. */
struct timer_place {
    uint64_t due, arrival;
    struct timer *timer; /* borrowed */
};

void timers_fini(struct timers *timers)
{
    mem_free(timers->heap);
    *timers = (struct timers){0};
}

static bool is_before(const struct timer_place *a, const struct timer_place *b)
{
    if (a->due != b->due) {
        return a->due < b->due;
    }
    if (a->arrival != b->arrival) {
        return a->arrival < b->arrival;
    }
    return a->timer->kind < b->timer->kind;
}

static void put(struct timers *timers, uint32_t place, struct timer_place what)
{
    timers->heap[place - 1] = what;
    what.timer->place = place;
}

/* Puts it where it belongs at this place or above. */
static void sift_up(struct timers *timers, uint32_t place, struct timer_place what)
{
    while (place > 1 && is_before(&what, &timers->heap[place / 2 - 1])) {
        put(timers, place, timers->heap[place / 2 - 1]);
        place /= 2;
    }
    put(timers, place, what);
}

/* The same, at this place or below. */
static void sift_down(struct timers *timers, uint32_t place, struct timer_place what)
{
    for (;;) {
        uint32_t child = place * 2;
        if (child > timers->count) {
            break;
        }
        if (child < timers->count && is_before(&timers->heap[child], &timers->heap[child - 1])) {
            child++;
        }
        if (!is_before(&timers->heap[child - 1], &what)) {
            break;
        }
        put(timers, place, timers->heap[child - 1]);
        place = child;
    }
    put(timers, place, what);
}

/* The place is free for it or holds it. */
static void sift(struct timers *timers, uint32_t place, struct timer *timer)
{
    struct timer_place what = {.due = timer->due, .arrival = timer->arrival, .timer = timer};
    if (place > 1 && is_before(&what, &timers->heap[place / 2 - 1])) {
        sift_up(timers, place, what);
    } else {
        sift_down(timers, place, what);
    }
}

void timers_set(struct timers *timers, struct timer *timer, uint64_t due)
{
    CHECK(timer->kind != TIMER_NONE);
    timer->due = due;
    if (timer->place == 0) {
        if (timers->count == timers->capacity) {
            timers->capacity = timers->capacity == 0 ? HEAP_AT_FIRST : timers->capacity * 2;
            timers->heap = mem_resize(timers->heap, timers->capacity * sizeof *timers->heap);
        }
        timer->place = ++timers->count;
    }
    sift(timers, timer->place, timer);
}

void timers_clear(struct timers *timers, struct timer *timer)
{
    if (timer->place == 0) {
        return;
    }
    CHECK(timers->heap[timer->place - 1].timer == timer);
    struct timer *last = timers->heap[timers->count - 1].timer;
    timers->count--;
    if (last != timer) {
        sift(timers, timer->place, last);
    }
    timer->place = 0;
}

struct timer *timers_first_due(const struct timers *timers, uint64_t now)
{
    if (timers->count == 0 || timers->heap[0].due > now) {
        return NULL;
    }
    return timers->heap[0].timer;
}
