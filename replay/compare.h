/* SPDX-License-Identifier: MIT
 * Holds what a fold gives against what an audit holds: decisions column by column, effects,
 * state hashes. A sink of the loop; the first difference ends it. */
#ifndef SALVOR_REPLAY_COMPARE_H
#define SALVOR_REPLAY_COMPARE_H

#include "replay/loop.h"
#include "store/audit.h"

struct compare;

/* One column in which the two disagree; a row that one side lacks has the empty span there. */
struct difference_field {
    const char *column; /* static */
    struct span fold, audit;
};

/* The first difference. Texts live until compare_close. */
struct difference {
    const char *table; /* "decision", "effect" or "checkpoint" */
    struct span id;    /* of the decision or effect; of the entry for a checkpoint */
    uint64_t ordinal;
    struct difference_field fields[DECISION_COLUMN_COUNT];
    uint32_t field_count; /* at least 1 */
};

struct compare_counts {
    uint64_t decisions, effects, checkpoints; /* that were equal */
    uint64_t pruned;       /* decisions of the fold whose rows were pruned: not compared */
    uint64_t fold_beyond;  /* decisions of the fold behind the audit's position: not compared */
    uint64_t audit_beyond; /* decisions of the audit behind the fold's end: not compared */
};

/* Compares from the entry behind ordinal `after`, where the fold begins. `audit` outlives the
 * result. NULL on error. */
struct compare *compare_open(struct audit *audit, uint64_t after, struct error *error);
/* Its fold stage returns ERROR_DIFFERENT with decision, column and both values. */
struct sink compare_sink(struct compare *compare);
/* The fold has ended at `state`: rows of the audit up to there that no fold gave are a difference,
 * those behind it are counted. */
__attribute__((warn_unused_result)) bool
compare_finish(struct compare *compare, const struct state *state, struct error *error);
/* NULL while there is none. */
const struct difference *compare_difference(const struct compare *compare);
struct compare_counts compare_counts(const struct compare *compare);
/* Accepts NULL. */
void compare_close(struct compare *compare);

#endif
