/* SPDX-License-Identifier: MIT
 * Waiting, beside the local audit, for what was decided about one entry. */
#ifndef SALVOR_CLI_SEND_WAIT_H
#define SALVOR_CLI_SEND_WAIT_H

#include "base/error.h"
#include "reducers/event.h"
#include "store/audit.h"

/* `data`, `wait_ms`, `json_head`, `no_decision` and, before send_wait_end, `id` are the caller's to
 * set; all else zero. */
struct send_wait {
    const char *data;        /* borrowed */
    uint64_t wait_ms;        /* 0: nothing is waited for */
    struct span json_head;   /* borrowed: members that the JSON object begins with */
    const char *no_decision; /* borrowed: said where it was folded and nothing was decided */
    struct stream_id id;
    struct audit *audit;
    uint64_t ordinal; /* where the audit stood before */
    bool is_folded;   /* the audit's position has passed the entry */
    bool is_refused;  /* one of the decisions ignores the event or quarantines it */
    uint32_t decision_count;
    struct buffer text, json; /* the decisions, in both forms */
};

/* Opens DATA/audit-0.db, before anything is sent. */
__attribute__((warn_unused_result)) bool send_wait_begin(struct send_wait *wait,
                                                         struct error *error);
/* Returns when the audit's position has reached the entry; `*is_folded` is false when the time
 * passed before. */
__attribute__((warn_unused_result)) bool send_wait_end(struct send_wait *wait, bool *is_folded,
                                                       struct error *error);
void send_wait_print(const struct send_wait *wait, bool is_json);
void send_wait_fini(struct send_wait *wait);

#endif
