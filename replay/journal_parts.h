/* SPDX-License-Identifier: MIT
 * What journal.c and journal_open.c share. */
#ifndef SALVOR_REPLAY_JOURNAL_PARTS_H
#define SALVOR_REPLAY_JOURNAL_PARTS_H

#include <limits.h>

#include "replay/compare.h"
#include "replay/journal.h"
#include "store/capture.h"

struct journal {
    struct journal_config config;
    char capture_path[PATH_MAX];
    struct audit *audit;
    struct capture_writer *capture;
    struct audit_position committed; /* as the audit held it when it was opened */
    struct compare *compare;         /* NULL once the fold has reached `committed` */
    uint64_t ordinal;                /* of the last entry folded */
    struct entry last; /* that entry, borrowed from the batch until the commit stage */
    bool has_last;
    struct buffer last_raw; /* its bytes, kept over the batch's end */
    struct sha256 anchor;   /* of the snapshot's entry: holds while last_raw is empty */
    bool is_refolding;      /* the entries come from our own capture */
    bool has_transaction;
    bool is_pruning;   /* the audit's chain tells of rows that are still to be removed */
    bool has_captured; /* something was appended and not written out */
    uint64_t position_ordinal, position_boot_ms;     /* of the last commit */
    uint64_t snapshot_ordinal, snapshot_boot_ms;     /* of the last snapshot */
    uint64_t snapshot_size;                          /* of the capture file's entries there */
    uint64_t checkpoint_ordinal, checkpoint_live_ms; /* of the last state hash taken */
    struct buffer scratch;
};

/* Stages of the sink that a fold of our own capture goes through too. */
bool journal_fold(void *self, const struct entry *entry, const struct state *state,
                  const struct fold_output *output, struct error *error);
bool journal_commit(void *self, const struct state *state, bool is_caught_up, struct error *error);
/* Removes the capture files that are to be kept no longer; `state` was just committed. What cannot
 * be removed is told and tried again behind the next snapshot. */
void journal_remove_old(struct journal *journal, const struct state *state);
/* Tells the audit's chain which rows leave that are to be kept no longer; `state` was just
 * committed.
 */
bool journal_begin_prune(struct journal *journal, const struct state *state, struct error *error);
/* Removes some of them, and only while nothing else waits: freed pages serve the rows to come. */
bool journal_step_prune(struct journal *journal, bool is_caught_up, struct error *error);
/* Begins a capture file at the state, which `snapshot` encodes (empty at ordinal 0); `head`: of the
 * audit's chain there. */
struct capture_writer *journal_new_capture(struct journal *journal, const struct state *state,
                                           struct span snapshot, const struct sha256 *head,
                                           struct error *error);

#endif
