/* SPDX-License-Identifier: MIT
 * The table of sentences about what would have had to be different. */
#ifndef SALVOR_REPLAY_OTHERWISE_RULES_H
#define SALVOR_REPLAY_OTHERWISE_RULES_H

#include "replay/story.h"

typedef bool (*condition_fn)(const struct story *story, const struct told_decision *told);

/* In braces: a measure or a word of the decision; behind "=": a key of the policy. Action NONE:
 * whatever was decided; reason NONE: for whatever reason. `value` 0: whatever the key's value is.
 */
struct sentence {
    enum action action;
    enum reason reason;
    const char *text;
    condition_fn when, and;
    enum policy_key key;
    uint64_t value;
};

extern const struct sentence otherwise_sentences[];
extern const uint32_t otherwise_sentence_count;

/* Losses and failures together. */
uint64_t otherwise_counted(const struct told_decision *told);

#endif
