/* SPDX-License-Identifier: MIT
 * A look at msgpack bytes before msgpack-c sees them: five bytes can make it allocate gigabytes,
 * and it reports nesting that is too deep with the code of a real shortage of memory. */
#ifndef SALVOR_REDUCERS_MSGPACK_CHECK_H
#define SALVOR_REDUCERS_MSGPACK_CHECK_H

#include <stdbool.h>

#include "base/bytes.h"

#define MSGPACK_DEPTH_MAX 4
#define MSGPACK_NODES_MAX 4096

/* True when `bytes` hold exactly one complete value, no deeper than MSGPACK_DEPTH_MAX, with at most
 * MSGPACK_NODES_MAX values in all, every length within the bytes that are there, and nothing behind
 * it. */
bool msgpack_check(struct span bytes);

#endif
