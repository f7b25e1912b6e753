/* SPDX-License-Identifier: MIT
 * Writes what a fold gives into an audit database of its own: the tables that a running instance
 * keeps, for sqlite3 and for `salvor why`. */
#ifndef SALVOR_REPLAY_SCRIBE_H
#define SALVOR_REPLAY_SCRIBE_H

#include "replay/loop.h"
#include "store/audit.h"

struct scribe;

/* Makes the file; one that exists is ERROR_REFUSED. `path` is borrowed for the scribe's life. The
 * file is not synced at each commit: what it holds can be folded again. NULL on error. */
struct scribe *scribe_open(const char *path, uint32_t partition, struct error *error);
/* Takes part in stages 4 and 6. It may begin behind the state's first entry: policy and leader in
 * force are then written as of the first entry seen, and outcomes of effects that were asked for
 * before are counted, not written. */
struct sink scribe_sink(struct scribe *scribe);
/* The position, a snapshot (unless the state is too large for one) and its state hash; the file is
 * then as one that its instance closed. `state`: as the loop left it. Without an entry nothing but
 * the empty tables is there. */
__attribute__((warn_unused_result)) bool
scribe_finish(struct scribe *scribe, const struct state *state, struct error *error);
/* Outcomes of effects that were asked for before the first entry seen. */
uint64_t scribe_earlier_outcomes(const struct scribe *scribe);
/* Closes the file; removes it unless it was finished. Accepts NULL. */
void scribe_close(struct scribe *scribe);

#endif
