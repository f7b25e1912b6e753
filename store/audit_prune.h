/* SPDX-License-Identifier: MIT
 * Removing an audit's oldest rows, beside the process that folds into it: first the chain is told
 * how far the removal goes, then the rows leave in short transactions. A crash in between leaves a
 * whole file, and the next prune goes on. */
#ifndef SALVOR_STORE_AUDIT_PRUNE_H
#define SALVOR_STORE_AUDIT_PRUNE_H

#include "store/audit.h"

/* Rows that one step removes at the most: some ten ms in which the other process waits. */
#define AUDIT_PRUNE_STEP 1000

/* Up to where rows were removed. */
struct audit_pruned {
    uint64_t seq; /* of the last one */
    struct stream_id stream_id;
    uint64_t ordinal;
    struct sha256 hash; /* what the chain begins with */
};

/* False with error.code NONE: nothing was ever removed. */
bool audit_load_pruned(struct audit *audit, struct audit_pruned *out, struct error *error);
/* Whether a row with this id, a decision's or an effect's, would have been removed. */
bool audit_is_pruned(struct audit *audit, struct span id, bool *out, struct error *error);

/* The rows to remove: those of the entries before both. */
struct audit_prune_place {
    struct stream_id stream_id;
    uint64_t ordinal;
    struct span text; /* as it was asked for: kept in the chain */
};

enum audit_prune_limit {
    AUDIT_PRUNE_AS_ASKED = 1,
    AUDIT_PRUNE_SNAPSHOT,    /* a restart may need what follows the older snapshot */
    AUDIT_PRUNE_OPEN_EFFECT, /* an effect of the first row kept has no outcome yet */
};

struct audit_prune_plan {
    uint64_t rows;                /* that the steps will remove; 0: nothing to do */
    uint64_t through_seq;         /* of the last one */
    uint64_t through_before;      /* where the steps begin: the last row that is gone already */
    enum audit_prune_limit limit; /* what kept it from more */
    uint64_t kept_ordinal;        /* with a limit: rows from this ordinal on had to stay */
};

/* Appends a decision with action `prune` to the chain, unless it already tells as much. Everything
 * before the place goes, but what has to stay. Begins and ends a transaction of its own. */
__attribute__((warn_unused_result)) bool audit_prune_begin(struct audit *audit,
                                                           const struct audit_prune_place *place,
                                                           struct audit_prune_plan *plan,
                                                           struct error *error);

struct audit_prune_counts {
    uint64_t decisions, effects;
};

/* Removes the next AUDIT_PRUNE_STEP rows at the most, of those that the chain tells of, with what
 * stands beside them; one transaction. `*counts` grows by what went. `*is_done`: none is left. */
__attribute__((warn_unused_result)) bool audit_prune_step(struct audit *audit, bool *is_done,
                                                          struct audit_prune_counts *counts,
                                                          struct error *error);
/* Gives up to `pages` freed pages back to the file system, in a transaction of its own. `*is_done`:
 * none is left, or none can be given back. */
__attribute__((warn_unused_result)) bool audit_give_back(struct audit *audit, uint64_t pages,
                                                         bool *is_done, struct error *error);

#endif
