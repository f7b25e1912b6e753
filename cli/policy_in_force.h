/* SPDX-License-Identifier: MIT
 * The policy in force, as far as it can be told from here: the newest policy event of the stream,
 * looked for from its end back to where the local audit stands, else to a limit. */
#ifndef SALVOR_CLI_POLICY_IN_FORCE_H
#define SALVOR_CLI_POLICY_IN_FORCE_H

#include "cli/config.h"
#include "cli/policy_text.h"
#include "stream/redis.h"

#define POLICY_LOOK_MAX 100000 /* entries of the stream */

/* Zero-initialise with {0}. */
struct policy_in_force {
    bool is_known;
    struct policy_text text;    /* when known */
    struct stream_id stream_id; /* of its event */
    char why_not[160];          /* when not known */
};

/* False on an error of Redis alone. What is told is ended with policy_in_force_fini. */
__attribute__((warn_unused_result)) bool policy_in_force_read(const struct config *config,
                                                              struct redis *redis,
                                                              struct policy_in_force *out,
                                                              struct error *error);
void policy_in_force_fini(struct policy_in_force *in_force);

#endif
