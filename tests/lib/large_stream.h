/* SPDX-License-Identifier: MIT
 * A stream of any length as a fleet of a thousand workers writes it, for measurements. Event `n` is
 * always the same. */
#ifndef SALVOR_TESTS_LIB_LARGE_STREAM_H
#define SALVOR_TESTS_LIB_LARGE_STREAM_H

#include "reducers/event.h"

#define LARGE_STREAM_WORKERS 1000

enum large_stream_kind {
    LARGE_STREAM_NONE,
    LARGE_STREAM_MIXED,     /* three heartbeats to two steps in the life of a job; none fails */
    LARGE_STREAM_OPEN_JOBS, /* each three events leave a job handed off */
    LARGE_STREAM_HEARTBEATS,
    LARGE_STREAM_LED, /* mixed, as a capture holds it: with the epoch, a policy and the ticks */
};

/* Zero-initialise but for `kind`. */
struct large_stream {
    enum large_stream_kind kind;
    uint64_t count; /* events given so far */
    uint64_t jobs;  /* jobs begun so far */
    struct large_stream_worker {
        uint64_t job;  /* the number of its job */
        uint32_t step; /* in the life of that job; 0: it has none */
    } workers[LARGE_STREAM_WORKERS];
    /* The texts of the event given last. */
    char worker[32], job[40], service_job[40], claim[20], result[80], policy[4096];
};

/* The next event; its texts are borrowed until the next call. */
void large_stream_next(struct large_stream *stream, struct event *out);

#endif
