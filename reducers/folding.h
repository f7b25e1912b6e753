/* SPDX-License-Identifier: MIT
 * One event on its way through the fold: what fold*.c, apply.c and rows.c share. */
#ifndef SALVOR_REDUCERS_FOLDING_H
#define SALVOR_REDUCERS_FOLDING_H

#include "reducers/fold.h"
#include "reducers/tables.h"
#include "reducers/verdict.h"

struct folding {
    struct state *state;             /* borrowed, moved */
    struct fold_output *output;      /* borrowed, filled */
    const struct prepared *prepared; /* borrowed */
    const struct event *event;       /* borrowed; NULL: the entry could not be decoded */
    struct context context;
};

/* Whom a row is about; texts are borrowed until the row is made. */
struct subject {
    struct span job, worker, service;
    uint64_t attempt;
    const struct stream_id *facts; /* JOB_FACT_COUNT of them, or NULL */
    enum job_cancel cancel;        /* how far the cancel of the attempt came */
    struct span trace;
};

/* Tells the reducers whether what rests on silence alone waits. */
void folding_see_hold(struct folding *folding);

/* --- rows.c: what was decided becomes rows --- */

/* Adds a decision; its id is borrowed from the output. */
struct span rows_decide(struct folding *folding, const struct ruling *ruling,
                        const struct subject *subject);
/* Adds a `quarantine` decision about the entry. */
void rows_quarantine(struct folding *folding, enum reason reason, const char *problem,
                     struct span field);
/* Adds a change of an effect; texts are copied. */
void rows_change(struct folding *folding, struct span effect, struct span decision,
                 enum effect_kind kind, struct span target, enum effect_outcome outcome,
                 struct span found);
/* The effect id of a decision: its id and ".1". */
struct span rows_effect_id(struct folding *folding, struct span decision);

/* --- apply.c: the one door to the tables --- */

/* Acts on a verdict about `job`; NULL makes a new job with the event's id. `worker`: who
 * HOLDER_OF_EVENT means. Result: the job. */
struct job *apply_job(struct folding *folding, struct job *job, const struct job_verdict *verdict,
                      struct worker *worker);
/* The worker that sent the event is heard: registered when new; what rests on its silence is taken
 * back, a restart orphans what it held. */
struct worker *apply_heard(struct folding *folding);
/* The worker of this id, added when it is not known: it is heard next. */
struct worker *apply_worker(struct folding *folding, struct span id);
/* The worker counts as heard without a word of its own, since the queue says it holds a job. */
void apply_presence(struct folding *folding, struct worker *worker);
/* True when the policy has effects of this kind on the job carried out (or on the worker that holds
 * it; NULL: the job is forgotten); questions touch nothing, so they are asked in any case. */
bool apply_is_carried_out(const struct policy *policy, enum effect_kind kind,
                          const struct job *job);
/* The worker is silent past its limit; apply_loss judges what that means for its jobs. The caller
 * lists it among the fallen. */
void apply_fall(struct folding *folding, struct worker *worker);
/* The release that was held while the fleet was. */
void apply_unheld_release(struct folding *folding, struct worker *worker);
/* The hold of the fleet begins or ends. */
void apply_fleet(struct folding *folding, const struct ruling *ruling);
/* The worker is gone: it is released and each job it held is judged. */
void apply_loss(struct folding *folding, struct worker *worker, enum reason cause);
/* An effect gets its outcome and is forgotten, or is withdrawn and kept for a late `applied`. */
void apply_close(struct folding *folding, struct effect *effect, enum effect_outcome outcome,
                 struct span found);
/* An `ignore` row. `job` and `worker` may be empty. */
void apply_ignore(struct folding *folding, enum reason reason, struct span job, struct span worker);
/* Every worker's limit may have changed. */
void apply_limits(struct folding *folding);

/* --- fold_fleet.c and fold_leader.c: the events by type, as fold.c's table names them --- */

/* The job that the event names; NULL when it is not known. */
struct job *fold_job(struct folding *folding);
void fold_worker_heard(struct folding *folding);
void fold_worker_gone(struct folding *folding);
void fold_submitted(struct folding *folding);
void fold_hold(struct folding *folding);
void fold_progress(struct folding *folding);
void fold_handed_off(struct folding *folding);
void fold_ended(struct folding *folding);
void fold_operator(struct folding *folding);
void fold_tick(struct folding *folding);
void fold_epoch(struct folding *folding);
void fold_policy(struct folding *folding);
void fold_answered(struct folding *folding);
void fold_settled(struct folding *folding);

#endif
