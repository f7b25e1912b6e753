/* SPDX-License-Identifier: MIT
 * `salvor send policy FILE`: the policy that a file tells, and what it changes. */
#ifndef SALVOR_CLI_SEND_POLICY_H
#define SALVOR_CLI_SEND_POLICY_H

#include "cli/config.h"
#include "cli/policy_text.h"
#include "stream/redis.h"

/* Zero-initialise with {0}; ended by send_policy_fini. */
struct send_policy {
    struct policy_text policy;
    uint64_t unnamed;   /* set of 1 << POLICY_… that a canonical text does not name */
    struct buffer text; /* what it changes, line by line */
    struct buffer json; /* the same, as the member `policy` of an object */
};

/* FILE is a configuration (.yaml, .yml) or a policy's canonical text. The facts of services come
 * from it or, where it has no services, from `own`. False: everything that is wrong is a line of
 * `problems`. */
__attribute__((warn_unused_result)) bool send_policy_read(struct send_policy *sending,
                                                          const char *path, struct config *own,
                                                          struct buffer *problems);
/* Holds it against the policy in force. False on an error of Redis. */
__attribute__((warn_unused_result)) bool send_policy_compare(struct send_policy *sending,
                                                             const struct config *own,
                                                             struct redis *redis,
                                                             struct error *error);
void send_policy_fini(struct send_policy *sending);

#endif
