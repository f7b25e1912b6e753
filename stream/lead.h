/* SPDX-License-Identifier: MIT
 * The lead of one partition: taking it, appending under its fence, giving it back. One connection,
 * strictly in order. */
#ifndef SALVOR_STREAM_LEAD_H
#define SALVOR_STREAM_LEAD_H

#include "base/error.h"
#include "base/sha256.h"
#include "replay/loop.h"

struct lead;

struct lead_config { /* all borrowed */
    const char *url, *prefix;
    const char *owner;
    uint32_t partition, partitions;
    uint64_t lease_ms;
    uint64_t reducers; /* version, for the epoch event */
};

#define LEAD_GAP_MAX_MS 600000

/* Where the caller's fold stands. */
struct lead_standing {
    struct stream_id position;
    uint64_t ordinal;
    const struct sha256 *anchor; /* of the entry at `position`; unused when the position is zero */
    uint64_t epoch, timeline;    /* highest folded */
};

/* Result: no connection yet, no lead. The caller owns it. */
struct lead *lead_create(const struct lead_config *config);
/* Accepts NULL. */
void lead_destroy(struct lead *lead);

/* "prefix:{p}:events", "prefix:{p}:ctl": borrowed. */
const char *lead_stream(const struct lead *lead);
const char *lead_control(const struct lead *lead);
/* The group of this epoch and connection, "prefix.<epoch>.<c>"; borrowed until the next change. */
const char *lead_group(const struct lead *lead);
/* 0 before the take-over. */
uint64_t lead_epoch(const struct lead *lead);
/* The id of the own epoch event. */
struct stream_id lead_epoch_id(const struct lead *lead);

/* Reads up to `count` entries behind the position into the batch, outside of any group: what was
 * folded and committed before but is not remembered any more. HISTORY when the entry at the
 * position holds other bytes, or when nothing stands behind it. */
__attribute__((warn_unused_result)) bool lead_read_again(struct lead *lead,
                                                         const struct lead_standing *standing,
                                                         uint32_t count, struct batch *batch,
                                                         struct error *error);

/* Takes the lead, and writes the number of partitions down where nobody has yet. On failure nothing
 * was changed, but with UNREACHABLE, after which it is simply taken again. BUSY: another owner's
 * lease runs, or Redis refuses writes for now. HISTORY: the stream is not the one that was folded,
 * or lacks entries that were never read. REFUSED: also another number of partitions. */
__attribute__((warn_unused_result)) bool
lead_take_over(struct lead *lead, const struct lead_standing *standing, struct error *error);

/* After a lost reply or connection: the same checks, then the next connection's group at the folded
 * position instead of the last one. FENCED: somebody else leads. */
__attribute__((warn_unused_result)) bool
lead_replace_group(struct lead *lead, const struct lead_standing *standing, struct error *error);

/* What the stream counted just before an append: the fold that stands at `last` must have folded
 * `added` entries. `id`: of the appended entry; zero when it had been appended before. */
struct lead_witness {
    struct stream_id id, last;
    uint64_t added;
};

enum lead_result {
    LEAD_APPENDED = 1,
    LEAD_KEPT,    /* outcome unknown: kept, and sent again unchanged before any other append */
    LEAD_NOT_NOW, /* not taken: Redis is away or refuses writes for now */
    LEAD_FAILED,  /* FENCED, HISTORY or REFUSED */
};

/* Brings an append that was kept to its end: APPENDED when none is left. The others settle first by
 * themselves; who measures time for an append calls this before it measures. `*witness` is that of
 * the kept one, or zero throughout; without an id it had arrived before, at or before `last`. */
enum lead_result lead_settle(struct lead *lead, struct lead_witness *witness, struct error *error);
/* Appends an entry; owner and epoch are put behind its `count` fields. `*witness` is filled with
 * LEAD_APPENDED; `*error` with anything else. */
enum lead_result lead_append(struct lead *lead, const struct span *names, const struct span *values,
                             uint32_t count, struct lead_witness *witness, struct error *error);
/* Appends a tick, which renews the lease. */
enum lead_result lead_tick(struct lead *lead, uint64_t elapsed_ms, uint64_t gap_ms,
                           struct lead_witness *witness, struct error *error);

/* Renews the lease without a tick, while a backlog is folded; or ends it. FENCED when it is not
 * ours any more, HISTORY when it is nobody's. */
__attribute__((warn_unused_result)) bool lead_renew(struct lead *lead, struct error *error);
__attribute__((warn_unused_result)) bool lead_give_back(struct lead *lead, struct error *error);

#endif
