/* SPDX-License-Identifier: MIT
 * What a policy takes over from the captured one: facts, which are no choice of a policy. */
#ifndef SALVOR_REPLAY_WHAT_IF_POLICY_H
#define SALVOR_REPLAY_WHAT_IF_POLICY_H

#include "reducers/policy.h"

/* The facts of services of which `policy` tells none become those of `known`; `kept` (or NULL) gets
 * their names, parted by blanks. False: one service too many. */
bool what_if_keep_facts(struct policy *policy, const struct policy *known, struct buffer *kept);

#endif
