/* SPDX-License-Identifier: MIT
 * The life of one simulated worker, in a process of its own: register, heartbeat, claim, hand off,
 * look after the job, complete or fail it. */
#ifndef SALVOR_TESTS_LIB_FLEET_WORKER_H
#define SALVOR_TESTS_LIB_FLEET_WORKER_H

#include <stdbool.h>
#include <stdint.h>

struct worker_config {
    const char *redis, *prefix;
    const char *service; /* "http://127.0.0.1:PORT"; NULL: jobs run in the worker alone */
    const char *id;
    uint64_t heartbeat_ms;
    bool leaves_failures; /* to Salvor (its queue.failures = salvor) */
    int signals;          /* a signalfd: readable when the worker shall stop */
};

/* Runs until it is told to stop; the result is the process's exit status. Members of a job's
 * payload that say how it goes:
 *   duration_ms   how long it runs (0)
 *   fail          true or a message: it fails
 *   service       false: it runs in the worker, nothing is handed off (true)
 *   retryable     false: its failure is final (true)
 *   die           "after_claim", "after_start" or "after_hand_off": there the worker kills itself
 *                 with SIGKILL, in the first attempt
 *   lose          true: the service forgets the job before the worker dies */
int worker_run(const struct worker_config *config);

#endif
