/* SPDX-License-Identifier: MIT
 * What is looked at before anything is done on a Redis: its version and settings, the types of our
 * keys, our rights, the number of partitions, who leads. Live work asks whether it may begin,
 * `salvor check` tells all; both walk one list. */
#ifndef SALVOR_STREAM_SURVEY_H
#define SALVOR_STREAM_SURVEY_H

#include <stdint.h>

#include "base/error.h"
#include "stream/redis.h"

enum finding_level {
    FINDING_NONE,
    FINDING_OK,
    FINDING_WARNING, /* a promise is weaker than it could be */
    FINDING_PROBLEM,
    FINDING_LEVEL_COUNT,
};

/* One thing that was looked at. Texts are lent for the call. */
struct finding {
    const char *area, *subject; /* "redis", "appendfsync" */
    enum finding_level level;
    const char *what;        /* was found */
    const char *means;       /* for the promises, and what to do; empty: nothing to say */
    enum error_code forbids; /* live work cannot begin, for this; ERROR_NONE: it can */
};

struct finding_sink {
    void *self; /* borrowed */
    void (*take)(void *self, const struct finding *finding);
};

struct survey { /* all borrowed */
    const char *prefix, *queue_prefix;
    uint32_t partition, partitions;
    bool applies; /* effects are to be carried out: the rights on the queue are needed */
    struct finding_sink sink;
};

/* Tells every finding. False when live work cannot begin: the first finding that forbids it
 * (REFUSED, DENIED), or what broke the survey off (UNREACHABLE, BUSY), which is a finding too.
 * Changes nothing. */
__attribute__((warn_unused_result)) bool
survey_redis(struct redis *redis, const struct survey *survey, struct error *error);

#endif
