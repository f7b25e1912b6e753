/* SPDX-License-Identifier: MIT
 * What the simulated ComfyUI (tests/fleet/comfy_service.c) holds in memory: its jobs, and how its
 * two interfaces show them. Jobs move when they are looked at, by whoever holds the lock there. */
#ifndef SALVOR_TESTS_LIB_COMFY_JOBS_H
#define SALVOR_TESTS_LIB_COMFY_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

enum comfy_state {
    COMFY_NONE,
    COMFY_PENDING,
    COMFY_RUNNING,
    COMFY_SUCCEEDED,
    COMFY_FAILED,
    COMFY_INTERRUPTED,
};

struct comfy_job {
    char id[129];
    enum comfy_state state;
    uint64_t number;
    uint64_t ends_ms;      /* while running */
    struct json_t *prompt; /* owned */
};

/* Ends what has run its time and starts what finds one of `slots` free places; 0: any number. */
void comfy_jobs_advance(size_t slots);
void comfy_jobs_forget_all(void);
/* Whatever runs, when `id` is NULL. */
void comfy_jobs_interrupt(const char *id);
/* NULL when there is none of that id; accepts NULL. */
struct comfy_job *comfy_job_find(const char *id);
/* A pending job; without an id it is given one. NULL when the queue is full. */
struct comfy_job *comfy_job_add(const char *id, struct json_t *prompt);
void comfy_job_forget(struct comfy_job *job);
bool comfy_job_is_queued(const struct comfy_job *job);
/* It ends as its prompt says. */
void comfy_job_end(struct comfy_job *job);

/* The caller owns each of these. */
struct json_t *comfy_queue_of(enum comfy_state state); /* of the legacy interface, as the next */
struct json_t *comfy_history_of(const struct comfy_job *job);
struct json_t *comfy_detail_of(const struct comfy_job *job); /* of /api/jobs */

#endif
