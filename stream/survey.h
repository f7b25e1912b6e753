/* SPDX-License-Identifier: MIT
 * What is looked at before anything is done on a Redis: its version and settings, the types of our
 * keys, our rights, the number of partitions. */
#ifndef SALVOR_STREAM_SURVEY_H
#define SALVOR_STREAM_SURVEY_H

#include "base/error.h"
#include "stream/redis.h"

struct survey { /* all borrowed */
    const char *prefix, *queue_prefix;
    const char *control, *stream; /* keys of the partition */
    uint32_t partitions;
    bool applies; /* effects are to be carried out: the rights on the queue are needed */
};

/* False: REFUSED, with what is wrong and what is needed; or what the connection says. Changes
 * nothing. */
__attribute__((warn_unused_result)) bool
survey_redis(struct redis *redis, const struct survey *survey, struct error *error);

#endif
