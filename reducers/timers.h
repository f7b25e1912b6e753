/* SPDX-License-Identifier: MIT
 * Timers of one clock: which is due first, ties broken by order of arrival. */
#ifndef SALVOR_REDUCERS_TIMERS_H
#define SALVOR_REDUCERS_TIMERS_H

#include <stdint.h>

enum timer_kind {
    TIMER_NONE,
    TIMER_WORKER_SILENT,
    TIMER_JOB_NEXT,     /* ask again, or requeue */
    TIMER_JOB_GRACE,    /* a deadline that passed inside a gap */
    TIMER_JOB_DEADLINE, /* on the deadline clock */
};

/* Lives in its entity; all zero is "not set". */
struct timer {
    uint64_t due;
    uint64_t arrival; /* of the entity */
    enum timer_kind kind;
    uint32_t place; /* in the heap, from 1; 0: not set */
    void *entity;   /* borrowed: whose timer it is */
};

struct timers {
    struct timer_place *heap; /* owned */
    uint32_t count, capacity;
};

void timers_fini(struct timers *timers);
/* Sets or moves the timer. */
void timers_set(struct timers *timers, struct timer *timer, uint64_t due);
/* Does nothing when it is not set. */
void timers_clear(struct timers *timers, struct timer *timer);
/* The first timer with due <= now, still set; NULL when there is none. */
struct timer *timers_first_due(const struct timers *timers, uint64_t now);

#endif
