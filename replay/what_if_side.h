/* SPDX-License-Identifier: MIT
 * One side of a what-if: a fold of its own whose effects are done as soon as they are decided. */
#ifndef SALVOR_REPLAY_WHAT_IF_SIDE_H
#define SALVOR_REPLAY_WHAT_IF_SIDE_H

#include "replay/what_if_compare.h"

struct side {
    enum what_if_side name;
    const struct answers *answers;   /* borrowed */
    struct what_if_compare *compare; /* borrowed; told of every decision */
    struct state *state;             /* owned */
    struct span policy;              /* borrowed: the text that the other side is folded under */
    /* Borrowed; of the other side: the captured one, which takes each entry first. */
    const struct side *captured;
    struct fold_output output;
    struct arena arena;     /* for one decision's evidence */
    struct table waiting;   /* by subject: the question or cancel that the capture's next answer,
                               or outcome, is for */
    struct table unsettled; /* effects that are done next, by their ids */
    uint64_t made_count;    /* entries that the capture does not hold */
    uint64_t ordinal;       /* of the captured entry that is folded, or the last one */
    bool took_policy;       /* the captured side; from the last entry */
};

/* `state` is taken over. What it holds open is carried out or waits for its answer. `at`: the id
 * behind which the capture begins. */
void side_begin(struct side *side, struct state *state, struct stream_id at);
/* One captured entry. `event` is NULL when it could not be decoded; `subject`: of whose
 * question or cancel it tells what came of it; NULL: of none. */
void side_take(struct side *side, const struct entry *entry, const struct event *event,
               const struct answers_subject *subject);
/* Tells the comparison which jobs still wait for an answer. */
void side_end(struct side *side);
void side_fini(struct side *side);

#endif
