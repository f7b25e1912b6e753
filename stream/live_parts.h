/* SPDX-License-Identifier: MIT
 * What the source (live.c) and the sink (live_sink.c) of live work share. */
#ifndef SALVOR_STREAM_LIVE_PARTS_H
#define SALVOR_STREAM_LIVE_PARTS_H

#include "stream/dispatch.h"
#include "stream/duty.h"
#include "stream/lead.h"
#include "stream/live.h"
#include "stream/patience.h"
#include "stream/reader.h"

/* GAP ──► TAKE_OVER ──► LEAD: each is left for good; what ends a lead ends the source. */
enum live_phase { LIVE_NONE, LIVE_GAP, LIVE_TAKE_OVER, LIVE_LEAD };

struct live {
    struct live_config config;
    enum live_phase phase;
    struct patience patience;
    struct lead *lead;             /* owned */
    struct stream_reader *reader;  /* owned */
    struct dispatcher *dispatcher; /* owned */
    struct duty duty;
    uint64_t committed_ordinal;
    struct sha256 anchor;      /* of the entry at the state's position, once a batch is folded */
    bool is_in_charge;         /* own epoch folded, own policy too where it is due: may act */
    bool is_caught_up;         /* the last read as leader left nothing behind */
    bool has_caught_up;        /* and told so, once */
    bool is_other_policy_told; /* that not the file's policy is in force */
    uint64_t renew_due_ms;     /* of the lease, before ticks renew it */
};

/* Is the fold that of the stream we lead? */
__attribute__((warn_unused_result)) bool live_check_lead(const struct live *live,
                                                         const struct state_summary *summary,
                                                         bool *is_own_epoch, struct error *error);
bool live_is_policy_due(const struct live *live, const struct state *state);
/* Before there are ticks, this keeps the lease. */
__attribute__((warn_unused_result)) bool live_renew_lease(struct live *live, struct error *error);

#endif
