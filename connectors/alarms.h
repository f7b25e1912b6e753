/* SPDX-License-Identifier: MIT
 * Moments at which something is to be done: a heap of alarms that live inside what they are for. */
#ifndef SALVOR_CONNECTORS_ALARMS_H
#define SALVOR_CONNECTORS_ALARMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void alarm_fn(void *context, void *owner);

/* Zero-initialise, then fill in `ring` and `owner`. */
struct alarm {
    alarm_fn *ring;
    void *owner;
    uint64_t due_ms;
    size_t place; /* in the heap, from 1; 0: not set */
};

/* Zero-initialise with {0}. */
struct alarms {
    struct alarm **heap; /* owned; the alarms are not; earliest first, from place 1 on */
    size_t count, capacity;
};

/* Sets or moves it. */
void alarms_set(struct alarms *alarms, struct alarm *alarm, uint64_t due_ms);
/* Nothing when it is not set. */
void alarms_clear(struct alarms *alarms, struct alarm *alarm);
/* Takes each alarm that is due out and rings it; true when there was one. At most as many ring
 * as were set before the call, whatever they set. */
bool alarms_ring(struct alarms *alarms, uint64_t now_ms, void *context);
/* Time until the next one, at most `max_ms`. */
uint64_t alarms_wait_ms(const struct alarms *alarms, uint64_t now_ms, uint64_t max_ms);
void alarms_fini(struct alarms *alarms);

#endif
