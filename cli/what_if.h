/* SPDX-License-Identifier: MIT
 * `salvor replay FILE|DIR --policy FILE`: what another policy would have decided. */
#ifndef SALVOR_CLI_WHAT_IF_H
#define SALVOR_CLI_WHAT_IF_H

#include "cli/verb.h"
#include "replay/what_if.h"

#define WHAT_IF_LIMIT 50 /* jobs that are shown */

struct what_if_call {
    const struct verb *verb; /* for messages */
    const char *capture;     /* a file or a directory */
    const char *policy;      /* the file of the other policy */
    const char *database;    /* where the tables go; NULL: nowhere */
    uint64_t limit;          /* jobs that the text shows */
    bool is_json;
};

enum status what_if_call(const struct what_if_call *call);

/* --- the two ways of writing it down --- */

/* What is known besides the report. */
struct what_if_told {
    const struct what_if_call *call;
    uint64_t unnamed; /* set of 1 << POLICY_… that a policy's text does not name */
};

void what_if_put_text(struct buffer *out, const struct what_if_report *report,
                      const struct what_if_told *told);
void what_if_put_json(struct buffer *out, const struct what_if_report *report,
                      const struct what_if_told *told);

#endif
