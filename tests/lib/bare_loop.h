/* SPDX-License-Identifier: MIT
 * The least that a program can do with a stream: read every entry as a consumer of a group and
 * decode it. What the bench holds the whole program against. */
#ifndef SALVOR_TESTS_LIB_BARE_LOOP_H
#define SALVOR_TESTS_LIB_BARE_LOOP_H

#include <stdint.h>

#include "base/error.h"

#define BARE_LOOP_COUNT 1000 /* entries a request */

/* Drains the `entries` entries of the stream `key` on the server at this unix socket, two requests
 * under way, with XACK or with NOACK. `*took_ns`: from the first request to the last reply. */
__attribute__((warn_unused_result)) bool bare_loop_drain(const char *socket, const char *key,
                                                         uint64_t entries, bool is_acked,
                                                         uint64_t *took_ns, struct error *error);

#endif
