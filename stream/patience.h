/* SPDX-License-Identifier: MIT
 * Waiting for a Redis that is away or refuses for now: longer from time to time, never in step with
 * others, and ended at once by a stop. */
#ifndef SALVOR_STREAM_PATIENCE_H
#define SALVOR_STREAM_PATIENCE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define PATIENCE_LEAST_MS 100
#define PATIENCE_MOST_MS  5000

struct patience {
    int wake_fd;                       /* an eventfd; borrowed */
    const volatile sig_atomic_t *stop; /* borrowed */
    uint64_t delay_ms;                 /* of the next wait; 0 counts as PATIENCE_LEAST_MS */
};

bool patience_is_stopped(const struct patience *patience);
/* How long the next wait is to take, jitter included; doubles the one after it. */
uint64_t patience_next_ms(struct patience *patience);
/* Waits that long. False when a stop was asked. */
bool patience_wait(struct patience *patience);
/* What was waited for has come. */
void patience_reset(struct patience *patience);
/* Takes back what woke us. */
void patience_drain(const struct patience *patience);

#endif
