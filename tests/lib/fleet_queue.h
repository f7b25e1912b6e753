/* SPDX-License-Identifier: MIT
 * The simulated workers' side of the queue (the founding system's keys) and of the event stream. */
#ifndef SALVOR_TESTS_LIB_FLEET_QUEUE_H
#define SALVOR_TESTS_LIB_FLEET_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/json.h"

#define QUEUE_ID_MAX 128

struct queue;

struct queue_job {
    char id[QUEUE_ID_MAX + 1];
    char claim[64];
    uint64_t attempt, max_retries;
    struct json *payload; /* owned */
};

/* Connects to "unix:///path" or "redis://host:port". Lost connections are mended inside, waiting
 * for as long as it takes, or until `stop_fd` (-1: none) is readable: then the process ends with 3.
 * It ends with 2 and a message when the URL is wrong. `prefix` is that of Salvor's stream
 * ("salvor"), borrowed. */
struct queue *queue_open(const char *url, const char *prefix, int stop_fd);
void queue_close(struct queue *queue);

/* Puts a job into the queue and tells it; the job's settings are members of its payload:
 * service_name, priority, max_retries, timeout_ms, idempotent. */
void queue_submit(struct queue *queue, const char *id, const char *payload);

/* Makes the worker known to the queue and tells it. */
void queue_register(struct queue *queue, const char *worker, const char *service_url,
                    uint64_t heartbeat_ms, uint64_t incarnation);
/* `job` may be NULL. False: the job is not this worker's any more. */
bool queue_heartbeat(struct queue *queue, const char *worker, uint64_t incarnation,
                     const struct queue_job *job);
/* Claims the best job, as the founding system does. False when none waits. */
bool queue_claim(struct queue *queue, const char *worker, uint64_t incarnation,
                 struct queue_job *out);
void queue_job_fini(struct queue_job *job);

/* The next steps of the job, each told by an event. All are fenced: false when the job is not this
 * worker's any more, and then nothing was changed. `fields` are names and values of the event,
 * closed by NULL; may be NULL. */
bool queue_started(struct queue *queue, const char *worker, const struct queue_job *job);
bool queue_tell(struct queue *queue, const char *worker, const struct queue_job *job,
                const char *type, const char *const *fields);
bool queue_completed(struct queue *queue, const char *worker, const struct queue_job *job,
                     const char *result);
/* The founding system's way: the queue retries a retryable failure itself while attempts are below
 * max_retries, else the job is failed. Left to Salvor, the job stays as it is. The worker becomes
 * idle. */
bool queue_failed(struct queue *queue, const char *worker, const struct queue_job *job,
                  const char *error, bool is_retryable, bool is_left_to_salvor);
/* The worker lets go of a job that is not its own any more. */
void queue_let_go(struct queue *queue, const char *worker, const struct queue_job *job);
/* The worker goes by plan. */
void queue_unregister(struct queue *queue, const char *worker);

#endif
