/* SPDX-License-Identifier: MIT
 * What an instance remembers: the capture and the audit of one partition, as one sink of the loop.
 * Opening it brings the state back: newest snapshot, then the capture folded again, each
 * regenerated row held against the stored one. */
#ifndef SALVOR_REPLAY_JOURNAL_H
#define SALVOR_REPLAY_JOURNAL_H

#include "replay/loop.h"
#include "store/audit.h"

struct journal;

struct journal_config {
    const char *data; /* directory; made when absent; borrowed for the life of the journal */
    uint32_t partition;
    /* A snapshot is due, and a capture file begins with it, after so many entries, so much BOOTTIME
     * or so many bytes of entries in the file. */
    uint64_t snapshot_entries; /* JOURNAL_SNAPSHOT_ENTRIES */
    uint64_t snapshot_ms;      /* JOURNAL_SNAPSHOT_MS */
    uint64_t rotate_bytes;     /* 0: any number */
    uint64_t snapshot_bytes;   /* no snapshot of a larger state; 0: what a capture takes */
    /* Behind a snapshot the oldest capture files go that are too old, or while all files together
     * are too large or more than 50,000; unless both keys are 0. What is needed from the older of
     * the two kept snapshots on stays. */
    uint64_t keep_ms;       /* in the stream's time; 0: for ever */
    uint64_t keep_bytes;    /* 0: any number */
    uint64_t audit_keep_ms; /* rows of the audit that are older, in the stream's time, are pruned,
                               beginning at each snapshot; 0: kept for ever */
};

#define JOURNAL_SNAPSHOT_ENTRIES 1000000
#define JOURNAL_SNAPSHOT_MS      600000

/* Opens DATA/audit-P.db and DATA/capture-P/, loads the newest snapshot that this program can read
 * (none: begins where the capture begins, if that is the partition's start), folds the local
 * capture again and compares; what the capture holds beyond the committed position is committed.
 * `*state` is handed to the caller. When the capture ends before the committed position
 * (journal_position lies ahead of the state), its entries are to be read again from Redis before
 * anything else; the sink compares their rows too. NULL on error; a difference is ERROR_DIFFERENT
 * and names decision and column. */
struct journal *journal_open(const struct journal_config *config, struct state **state,
                             struct error *error);
/* The position last committed: the state must be brought up to its ordinal before new work; and its
 * entry's hash is the anchor that the stream must still have. */
struct audit_position journal_position(const struct journal *journal);
/* SHA-256 of the raw bytes of the last entry folded: the anchor at the state's position. */
struct sha256 journal_anchor(const struct journal *journal);
/* Rows up to the committed position are compared, later ones appended. */
struct sink journal_sink(struct journal *journal);
/* A clean stop: snapshot (unless the state is too large for one), position, synced capture, WAL
 * folded back. `state` as the loop left it; a state that has not reached the committed position is
 * left as it was found. */
__attribute__((warn_unused_result)) bool
journal_stop(struct journal *journal, const struct state *state, struct error *error);
/* Drops what was not committed. Accepts NULL. */
void journal_close(struct journal *journal);

#endif
