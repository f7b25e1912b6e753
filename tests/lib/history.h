/* SPDX-License-Identifier: MIT
 * A history folded line by line: what unit tests of the reducers build their states with. */
#ifndef SALVOR_TESTS_LIB_HISTORY_H
#define SALVOR_TESTS_LIB_HISTORY_H

#include "reducers/fold.h"
#include "reducers/state.h"

/* Zero-initialise with {0}, then set `state`. */
struct history {
    struct state *state; /* owned */
    struct fold_output output;
    uint64_t entry_count; /* the n-th entry has the id n-0 */
};

/* Appends the raw form of `type key=value …`, values without blanks. */
void history_put_raw(struct buffer *raw, const char *line);
/* Folds such a line; a leader's event needs its owner and epoch. */
void history_fold(struct history *history, const char *line);
/* An epoch of owner `leader`, number 1, and a policy of origin `operator` with this text. */
void history_begin(struct history *history, const char *policy_text);
/* A policy of origin `operator`. */
void history_policy(struct history *history, const char *text);
void history_fini(struct history *history);

#endif
