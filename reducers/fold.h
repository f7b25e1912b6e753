/* SPDX-License-Identifier: MIT
 * The fold: one event in, the state moved, rows out. Pure: the same entries give the same rows and
 * the same state everywhere. Only fold.c writes the tables. */
#ifndef SALVOR_REDUCERS_FOLD_H
#define SALVOR_REDUCERS_FOLD_H

#include "base/arena.h"
#include "reducers/codec.h"
#include "reducers/decision.h"
#include "reducers/event.h"

/* The versions of the rules that are compiled in. Each `epoch` event chooses the one in force from
 * there on; before the first it is the oldest. CONTRIBUTING tells how a decision is changed. */
#define REDUCERS_OLDEST  2
#define REDUCERS_VERSION 2

struct state;

/* What one entry gave. Reset at the start of each fold; the rows' texts live until then. */
struct fold_output {
    struct arena arena;
    struct decision *decisions; /* owned, in the order they were taken */
    uint32_t decision_count, decision_capacity;
    struct effect_change *changes; /* owned, in order: requests, settlements, withdrawals */
    uint32_t change_count, change_capacity;
    bool is_policy_new;  /* the policy in force changed: state_policy_text tells it */
    bool is_epoch_new;   /* an epoch began: every open effect is to be issued again */
    const char *problem; /* of a quarantined entry, else NULL; static */
    struct span field;   /* that has it; may be empty */
};

void fold_output_fini(struct fold_output *output);

/* Folds one entry. The ordinal of the state rises by one, whatever the entry holds: what cannot be
 * decoded becomes a `quarantine` row, an unknown type is counted. */
void fold_entry(struct state *state, const struct entry *entry, struct fold_output *output);

#endif
