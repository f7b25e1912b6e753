/* SPDX-License-Identifier: MIT
 * What a leader appends: ticks, its file's policy, what outside services said. */
#ifndef SALVOR_STREAM_DUTY_H
#define SALVOR_STREAM_DUTY_H

#include "stream/lead.h"
#include "stream/live.h"

struct duty {
    const struct live_config *config; /* borrowed */
    struct lead *lead;                /* borrowed */
    uint64_t tick_from_ms;            /* what the next tick's elapsed time runs from */
    uint64_t tick_due_ms;
    bool is_report_held; /* taken from the asker, not appended yet */
    bool is_refused;     /* the last append was: said once */
    bool is_policy_sent;
    struct service_report report;
    /* The policy event stands there or before; zero while its outcome is not known. */
    struct stream_id policy_id;
    struct lead_witness witness; /* to be held against the fold; `added` 0: none */
};

/* The lead was just taken. */
void duty_begin(struct duty *duty);
/* Each: true when done or when Redis cannot take it now (then it is tried again), false when the
 * lead is over. */
__attribute__((warn_unused_result)) bool duty_tick(struct duty *duty, struct error *error);
/* Holds what the stream counted against a fold that stands at `position`: HISTORY when it folded
 * another number of entries. */
__attribute__((warn_unused_result)) bool duty_hold_witness(struct duty *duty,
                                                           struct stream_id position,
                                                           uint64_t ordinal, struct error *error);
__attribute__((warn_unused_result)) bool duty_send_policy(struct duty *duty, struct error *error);
/* Brings a policy of unknown outcome to its end. */
__attribute__((warn_unused_result)) bool duty_settle_policy(struct duty *duty, struct error *error);
/* Appends some of the reports that wait; `*has_more` says whether some are left. */
__attribute__((warn_unused_result)) bool duty_send_reports(struct duty *duty, bool *has_more,
                                                           struct error *error);

#endif
