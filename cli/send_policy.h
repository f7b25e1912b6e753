/* SPDX-License-Identifier: MIT
 * `salvor send policy FILE`: the policy that a file tells, and what it changes. */
#ifndef SALVOR_CLI_SEND_POLICY_H
#define SALVOR_CLI_SEND_POLICY_H

#include "cli/config.h"
#include "cli/policy_text.h"
#include "stream/redis.h"

/* Zero-initialise with {0}; ended by send_policy_fini. */
struct send_policy {
    struct policy told;        /* as FILE tells it, with the facts of services that are kept */
    struct policy_text policy; /* the same, once it was compared */
    uint64_t unnamed;          /* set of 1 << POLICY_… that a policy's text does not name */
    bool keeps_facts;          /* of services of which FILE tells none */
    bool is_unchanged;         /* it is in force already */
    struct buffer kept;        /* those facts, parted by blanks */
    struct buffer text;        /* where it goes to and what it changes, line by line */
    struct buffer json;        /* the same, as members of an object */
};

/* True when FILE is a configuration that says by itself where to: it names redis.url or
 * salvor.prefix. */
bool send_policy_names_target(const char *path);
/* FILE is a configuration (.yaml, .yml) or a policy's text. The facts of services come from it. A
 * configuration without services and a text leave those of which they tell none as they are known:
 * from `own`, else from the policy in force. False: everything that is wrong is a line of
 * `problems`. */
__attribute__((warn_unused_result)) bool send_policy_read(struct send_policy *sending,
                                                          const char *path, struct config *own,
                                                          struct buffer *problems);
/* Holds it against the policy in force. False on an error of Redis, or when it is too large. */
__attribute__((warn_unused_result)) bool send_policy_compare(struct send_policy *sending,
                                                             const struct config *own,
                                                             struct redis *redis,
                                                             struct error *error);
void send_policy_fini(struct send_policy *sending);

#endif
