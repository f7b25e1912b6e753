/* SPDX-License-Identifier: MIT
 * A stream in which everything happens: jobs, losses, questions, cancels, orders, rubbish; with
 * dice that fall alike each time. Every text of a producer holds the word "secret". */
#ifndef SALVOR_TESTS_LIB_BUSY_STREAM_H
#define SALVOR_TESTS_LIB_BUSY_STREAM_H

#include "replay/loop.h"
#include "tests/lib/history.h"

/* Zero-initialise with {0}. */
struct busy_stream {
    struct batch batch;     /* the entries so far */
    struct history history; /* stands behind them */
    uint64_t dice;
    uint64_t actions[ACTION_COUNT]; /* decisions so far */
};

/* Appends about `count` more entries, those of a policy that rolls out by halves first. */
void busy_stream_grow(struct busy_stream *stream, uint32_t count);
/* Appends `type key=value …`, flat or packed. */
void busy_stream_add(struct busy_stream *stream, const char *line);
void busy_stream_fini(struct busy_stream *stream);

#endif
