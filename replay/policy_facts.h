/* SPDX-License-Identifier: MIT
 * What one policy takes over from another: facts of services, which are no choice of a policy. */
#ifndef SALVOR_REPLAY_POLICY_FACTS_H
#define SALVOR_REPLAY_POLICY_FACTS_H

#include "reducers/policy.h"

/* Told of a service whose facts were kept. */
typedef void (*policy_facts_fn)(void *payload, const struct policy_service *service);

/* The facts of services of which `policy` tells none become those of `known`: to forget that a
 * service forgets would let its jobs run twice. `tell` may be NULL. False: one service too many,
 * which was told too. */
bool policy_keep_facts(struct policy *policy, const struct policy *known, policy_facts_fn tell,
                       void *payload);

#endif
