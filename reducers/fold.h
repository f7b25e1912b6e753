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

/* An entry on its way into the fold: decoded, and its ids hashed. Texts are borrowed from it. */
struct prepared {
    struct stream_id id;
    enum codec_problem problem;
    struct span field; /* that has the problem */
    struct event event;
    /* Of the ids that the fold looks up; 0: none. A heartbeat's job is not looked up. */
    uint64_t worker_hash, job_hash;
};

#define FOLD_AHEAD 8 /* so many entries are best prepared together */

/* Prepares entries that are folded next, in this order. What is prepared rests on the entries
 * alone; the state is only told what will be looked up, since waiting for its memory, entry by
 * entry, would take as long as folding. */
void fold_prepare(const struct state *state, const struct entry *entries, uint32_t count,
                  struct prepared *out);
/* Folds one. The ordinal of the state rises by one, whatever the entry holds: what cannot be
 * decoded becomes a `quarantine` row, an unknown type is counted. */
void fold_prepared(struct state *state, const struct prepared *prepared,
                   struct fold_output *output);
/* Both, for a single entry. */
void fold_entry(struct state *state, const struct entry *entry, struct fold_output *output);

#endif
