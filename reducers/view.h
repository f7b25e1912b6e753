/* SPDX-License-Identifier: MIT
 * One job as the state holds it at this moment, to be shown: by value, and nothing can be changed
 * through it. */
#ifndef SALVOR_REDUCERS_VIEW_H
#define SALVOR_REDUCERS_VIEW_H

#include "reducers/job.h"
#include "reducers/state.h"

/* Texts are borrowed from the state until the next fold. */
struct job_view {
    struct job_core core;
    struct span text[JOB_TEXT_COUNT];
    struct span worker; /* who holds it; empty: nobody, and `holder` is all zero */
    struct worker_core holder;
    uint64_t holder_limit_ms;          /* silent past so much liveness clock; 0: never */
    struct span effect;                /* id of the open effect; empty: none */
    uint64_t max_retries;              /* that hold for the job: its own, else the policy's */
    uint64_t liveness_ms, deadline_ms; /* the clocks that the due times of `core` are on */
    bool is_fleet_held;
    enum reason fleet_held_for;
    uint64_t fleet_held_since_ms; /* liveness clock */
};

/* False, `*out` alone, when the state does not know the job, or has forgotten it. */
bool state_view_job(const struct state *state, struct span id, struct job_view *out);

#endif
