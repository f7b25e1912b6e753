/* SPDX-License-Identifier: MIT
 * The story of one job as its audit and, when given, its capture tell it: events, decisions with
 * reasons and evidence, effects with outcomes, in the order of the stream. */
#ifndef SALVOR_REPLAY_WHY_H
#define SALVOR_REPLAY_WHY_H

#include "base/bytes.h"
#include "base/error.h"

#define WHY_DECISIONS_MAX 10000 /* a longer story is cut, and says so */

struct why_config {
    struct span job;
    const char *audit;   /* database */
    const char *capture; /* file or directory; NULL: decisions alone */
    bool is_json;
};

/* Appends the story to `out`. `*is_known` is false when neither decision nor event names the job;
 * `out` is then untouched. */
__attribute__((warn_unused_result)) bool
why_tell(const struct why_config *config, struct buffer *out, bool *is_known, struct error *error);

#endif
