/* SPDX-License-Identifier: MIT
 * A policy as an event carries it: its canonical text and that text's hash; reading such a text
 * from a file, and what changes from one to another. */
#ifndef SALVOR_CLI_POLICY_TEXT_H
#define SALVOR_CLI_POLICY_TEXT_H

#include "base/sha256.h"
#include "reducers/policy.h"

struct policy_text {
    struct buffer text;
    struct sha256_text hash;
};

/* Result: the caller gives it back with policy_text_fini. */
struct policy_text policy_text_make(const struct policy *policy);
/* From a text as a policy event or the audit's `policy` table holds it; lines without a word and
 * lines that begin with '#' may stand between. `*unnamed` is the set of 1 << POLICY_… that it does
 * not name: they have their values of `safe`. False: every bad line is a line of `problems`, with
 * `where`, its number, its key and what is allowed there. */
__attribute__((warn_unused_result)) bool policy_text_read(struct span text, const char *where,
                                                          struct policy *out, uint64_t *unnamed,
                                                          struct buffer *problems);
void policy_text_fini(struct policy_text *text);

/* Told of a key with its two values; what is not told in a text has no bytes. */
typedef void (*policy_difference_fn)(void *self, struct span key, struct span before,
                                     struct span after);
/* Compares two canonical texts, in their order; returns the number of differences. */
uint32_t policy_text_compare(struct span before, struct span after, policy_difference_fn tell,
                             void *self);

/* Appends one line: the preset that the text is nearest to, and the first few settings that part it
 * from that. An empty text is what holds before a stream's first policy. */
void policy_text_put_brief(struct buffer *out, struct span text);

/* What a key takes: "a whole number from 0 to 1000", "wait, requeue, cancel". */
void policy_text_put_allowed(struct buffer *out, enum policy_key key);

#endif
