/* SPDX-License-Identifier: MIT
 * A policy as an event carries it: its canonical text and that text's hash. */
#ifndef SALVOR_CLI_POLICY_TEXT_H
#define SALVOR_CLI_POLICY_TEXT_H

#include "base/error.h"
#include "base/sha256.h"
#include "reducers/policy.h"

struct policy_text {
    struct buffer text;
    struct sha256_text hash;
};

/* Result: the caller gives it back with policy_text_fini. */
struct policy_text policy_text_make(const struct policy *policy);
/* From a canonical text, as a policy event or the audit's `policy` table holds it; brought into its
 * one form. False with ERROR_USAGE names the line and what is allowed there. */
__attribute__((warn_unused_result)) bool policy_text_read(struct span text, struct policy_text *out,
                                                          struct error *error);
void policy_text_fini(struct policy_text *text);

#endif
