/* SPDX-License-Identifier: MIT
 * A stream for tests that needs no Redis: rounds of workers that claim jobs and are lost, with an
 * epoch, a policy, ticks and bad entries; from SMALL_STREAM_QUIET on, heartbeats and ticks alone.
 * Entry `index` is always the same. */
#ifndef SALVOR_TESTS_LIB_SMALL_STREAM_H
#define SALVOR_TESTS_LIB_SMALL_STREAM_H

#include "replay/loop.h"

#define SMALL_STREAM_ROUND 8 /* entries a round, behind the two that begin the stream */
#define SMALL_STREAM_QUIET 1000
#define SMALL_STREAM_TICK  64 /* in the quiet part, the last of so many entries is a tick */

/* The entry with this index, from 0; its bytes are the arena's. */
struct entry small_stream_entry(uint64_t index, struct arena *arena);

/* Gives the entries behind the state's ordinal, up to `end` in all. */
struct small_stream {
    uint64_t end;
    uint32_t batch_size;
};

/* `stream` outlives the result. */
struct source small_stream_source(struct small_stream *stream);

#endif
