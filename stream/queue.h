/* SPDX-License-Identifier: MIT
 * Queue effects on the layout `emprops`: requeue, complete, fail, time_out, release. One script
 * does each of them: it is fenced, repeatable under the effect's id, and appends its own outcome.
 */
#ifndef SALVOR_STREAM_QUEUE_H
#define SALVOR_STREAM_QUEUE_H

#include "base/error.h"
#include "reducers/effect.h"
#include "stream/redis.h"

struct queue_place {              /* all borrowed */
    const char *control, *stream; /* keys of the partition */
    const char *queue_prefix;     /* before every key of the queue */
    const char *owner;
    uint64_t epoch;
};

/* Carries `request` out (any kind but ask and cancel). Result: APPLIED (now or before), STALE, GONE
 * or FAILED, each appended to the stream as effect.settled; NONE on error. After UNREACHABLE the
 * same request is to be sent again. */
enum effect_outcome queue_apply(struct redis *redis, const struct queue_place *place,
                                const struct effect_request *request, struct error *error);

#endif
