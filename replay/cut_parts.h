/* SPDX-License-Identifier: MIT
 * What cut.c, cut_job.c and cut_prove.c share. */
#ifndef SALVOR_REPLAY_CUT_PARTS_H
#define SALVOR_REPLAY_CUT_PARTS_H

#include "base/arena.h"
#include "reducers/fold.h"
#include "reducers/table.h"
#include "replay/cut.h"

struct cutting;

/* What a walk over the capture does with each entry of the range; either may be NULL. */
struct cut_visitor {
    /* The state is as it stands before the entry; `is_first` of the range. */
    bool (*before)(struct cutting *cutting, const struct entry *entry, bool is_first,
                   struct error *error);
    /* The entry is folded: `state` and `output`. */
    bool (*after)(struct cutting *cutting, const struct entry *entry, struct error *error);
    bool folds_range; /* else the fold ends where the range begins */
};

struct cutting {
    const struct cut_config *config;
    struct cut_report *report;
    struct state *state;       /* owned, during a walk */
    struct fold_output output; /* of the entry folded last */
    struct excerpt excerpt;
    uint32_t pass;
    uint64_t end; /* ordinal at which the first pass ended: the capture may grow meanwhile */
    /* Of one job: */
    struct table jobs, workers; /* ids of all that belong to the cut */
    bool is_wide;               /* every job of a worker that belongs to it belongs to it */
    bool has_grown;             /* in this pass */
    struct buffer touched; /* the job that the entry being folded tells of, if it belongs to it */
    bool is_job_seen;
    struct arena arena;         /* owns the decisions' texts */
    struct decision *decisions; /* owned: about the job, of the whole range */
    uint32_t decision_count, decision_capacity;
};

/* Reads the capture from where the range wants it to its end and folds what the visitor needs. */
__attribute__((warn_unused_result)) bool
cut_walk(struct cutting *cutting, const struct cut_visitor *visitor, struct error *error);

/* --- cut_job.c --- */
bool cut_job(struct cutting *cutting, struct error *error);

/* --- cut_prove.c --- */
/* Keeps a copy of the output's decisions about the job. */
bool cut_keep_decisions(struct cutting *cutting, struct error *error);
void cut_forget_decisions(struct cutting *cutting);
/* Folds the cut and holds its decisions about the job against those that were kept: DIFFERENT with
 * the first difference. */
bool cut_prove(struct cutting *cutting, struct error *error);

#endif
