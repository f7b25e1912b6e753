/* SPDX-License-Identifier: MIT
 * The audit database: decisions in a hash chain, effects, policies, quarantined entries, the
 * position, snapshots and checkpoints. One writing connection; everything of one batch goes in one
 * transaction. The schema is schema.sql. */
#ifndef SALVOR_STORE_AUDIT_H
#define SALVOR_STORE_AUDIT_H

#include "base/error.h"
#include "base/sha256.h"
#include "reducers/decision.h"

struct audit;

/* Where the file stands: its one `position` row. */
struct audit_position {
    uint64_t timeline;
    struct stream_id stream_id; /* zero: nothing folded yet */
    uint64_t ordinal;
    uint64_t epoch;             /* highest folded */
    struct sha256 entry_sha256; /* of the raw bytes of the entry at stream_id */
    struct sha256 audit_head;   /* hash of the last decision, or the genesis */
};

enum audit_mode { AUDIT_WRITE = 1, AUDIT_PRUNE, AUDIT_READ };

/* For a reader or a prune that takes whatever partition the file holds. */
#define AUDIT_ANY_PARTITION UINT32_MAX

/* AUDIT_WRITE creates or migrates the file: WAL, synchronous=FULL, extended result codes. One
 * process folds into it; another one may prune beside it (audit_prune.h) with AUDIT_PRUNE,
 * which neither creates nor migrates. AUDIT_READ never changes
 * it, and works beside a writer. NULL on error: ERROR_REFUSED for a file that is no audit database,
 * is of a newer schema or holds another partition. A connection is used by one thread at a time. */
struct audit *audit_open(const char *path, enum audit_mode mode, uint32_t partition,
                         struct error *error);
/* Accepts NULL; rolls an open transaction back. Cursors must have been closed. */
void audit_close(struct audit *audit);

/* False with error.code NONE: nothing was ever committed. */
bool audit_load_position(struct audit *audit, struct audit_position *out, struct error *error);

/* --- one transaction a batch; every call but begin needs one open. A call that fails has rolled
 * the whole transaction back (a full disk is ERROR_DISK_FULL), head of the chain included. An I/O
 * error or a corruption at commit ends the process (the file tells what happened). --- */
/* Goes on from the chain as it stands, also where somebody else has appended to it. */
__attribute__((warn_unused_result)) bool audit_begin(struct audit *audit, struct error *error);
/* Appends the row and moves the chain's head. */
__attribute__((warn_unused_result)) bool
audit_append(struct audit *audit, const struct decision *decision, struct error *error);
/* A request inserts, a settlement updates; one without its request is ERROR_CORRUPT, unless the
 * request was pruned: then nothing is left to update. */
__attribute__((warn_unused_result)) bool
audit_change_effect(struct audit *audit, const struct effect_change *change, struct error *error);
__attribute__((warn_unused_result)) bool audit_put_policy(struct audit *audit, struct span hash,
                                                          struct stream_id stream_id,
                                                          struct span text, struct error *error);
__attribute__((warn_unused_result)) bool audit_put_leadership(struct audit *audit, uint64_t epoch,
                                                              uint64_t timeline, struct span owner,
                                                              struct stream_id stream_id,
                                                              struct error *error);
__attribute__((warn_unused_result)) bool audit_put_quarantine(struct audit *audit,
                                                              struct stream_id stream_id,
                                                              struct span reason, struct span raw,
                                                              struct error *error);
__attribute__((warn_unused_result)) bool audit_put_checkpoint(struct audit *audit, uint64_t ordinal,
                                                              struct stream_id stream_id,
                                                              const struct sha256 *state_hash,
                                                              struct error *error);
/* `state`: state_encode's bytes; stored in chunks with their SHA-256. Keeps the two newest. */
__attribute__((warn_unused_result)) bool audit_put_snapshot(struct audit *audit,
                                                            const struct audit_position *position,
                                                            struct span state, struct error *error);
/* `position->audit_head` is filled in by the audit itself, here and in a snapshot: the head as it
 * stands, so every row of the batch comes before. A commit with a row behind it is a bug. */
__attribute__((warn_unused_result)) bool
audit_put_position(struct audit *audit, const struct audit_position *position, struct error *error);
__attribute__((warn_unused_result)) bool audit_commit(struct audit *audit, struct error *error);
/* Harmless without a transaction. */
void audit_rollback(struct audit *audit);
/* For a file that can be made again: its commits are not synced. */
__attribute__((warn_unused_result)) bool audit_skip_sync(struct audit *audit, struct error *error);
/* Folds the WAL back into the file, as a clean stop does. */
void audit_checkpoint_wal(struct audit *audit);

struct sha256 audit_head(const struct audit *audit);
/* The head that a chain begins with: partition, timeline and ordinal 0 without a snapshot. */
struct sha256 audit_genesis(uint32_t partition);
/* The next head: SHA-256 over the previous and the decision's canonical bytes. */
struct sha256 audit_next_head(const struct sha256 *head, const struct decision *decision,
                              struct buffer *scratch);

/* --- reading --- */
/* The newest snapshot whose ordinal is at most `ordinal`: its position and its bytes, appended to
 * `state`. False with error.code NONE when there is none. */
bool audit_load_snapshot(struct audit *audit, uint64_t ordinal, struct audit_position *position,
                         struct buffer *state, struct error *error);

/* The ordinal of the snapshot before the newest: what lies behind it may still be folded again. 0
 * when there are not two. */
__attribute__((warn_unused_result)) bool
audit_older_snapshot(struct audit *audit, uint64_t *ordinal, struct error *error);

/* A walk over decision rows in the order of the chain (not superseded, and none of those that a
 * fold does not give), with ordinal above `after`. */
struct audit_cursor;
struct audit_cursor *audit_decisions(struct audit *audit, uint64_t after, struct error *error);
/* The decisions of one job; `job` is borrowed until the cursor is closed. */
struct audit_cursor *audit_decisions_of(struct audit *audit, struct span job, struct error *error);
enum audit_next { AUDIT_ROW, AUDIT_END, AUDIT_ERROR };
/* `*out`'s texts live until the next call; `*hash` may be NULL. */
enum audit_next audit_next(struct audit_cursor *cursor, struct decision *out, struct sha256 *hash,
                           struct error *error);
void audit_cursor_close(struct audit_cursor *cursor);

/* One effect's row as it stands; texts live until the next call on this audit. False with
 * error.code NONE when there is none. */
struct audit_effect {
    struct span id, decision, kind, target;
    struct span outcome; /* empty while open */
    struct span found;
    uint64_t requested_at_ms, settled_at_ms; /* 0: open */
};
typedef bool (*audit_effect_fn)(void *payload, const struct audit_effect *effect);
/* Calls `each` for the effects of one decision, or of all for the empty span, in order; stops when
 * it returns false. */
bool audit_effects_of(struct audit *audit, struct span decision, audit_effect_fn each,
                      void *payload, struct error *error);
/* `*out`: an effect of this id was ever asked for. Also sees the open transaction. */
__attribute__((warn_unused_result)) bool audit_has_effect(struct audit *audit, struct span id,
                                                          bool *out, struct error *error);
/* The first state hash recorded at or behind `from`; false with error.code NONE when there is none.
 */
bool audit_next_checkpoint(struct audit *audit, uint64_t from, uint64_t *ordinal,
                           struct sha256 *out, struct error *error);

/* Checks the chain from its beginning, or from what was pruned, up to the position's audit_head,
 * that the chain tells of all that was pruned, that ids are unique, that every effect belongs to a
 * decision and that every policy's hash is that of its text; `*rows` counts. False with
 * ERROR_DIFFERENT names the first bad row. */
bool audit_verify(struct audit *audit, uint64_t *rows, struct error *error);

#endif
