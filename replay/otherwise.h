/* SPDX-License-Identifier: MIT
 * What would have had to be different for another outcome: sentences from a table by action and
 * reason, with the numbers of the decision and the policy that it was taken by. */
#ifndef SALVOR_REPLAY_OTHERWISE_H
#define SALVOR_REPLAY_OTHERWISE_H

#include "replay/story.h"

#define OTHERWISE_MAX 2 /* sentences a decision */

/* Appends the sentence number `index`, from 0; false when there is none. */
bool otherwise_put(const struct story *story, const struct told_decision *told, uint32_t index,
                   struct buffer *out);

#endif
