/* SPDX-License-Identifier: MIT
 * A state reduced to some jobs and workers, and the look into a state that choosing them takes. */
#ifndef SALVOR_REDUCERS_NARROW_H
#define SALVOR_REDUCERS_NARROW_H

#include "reducers/state.h"

/* Who is to stay. Each is asked by id, perhaps several times, and always answers alike. */
struct narrowing {
    bool (*keeps_job)(void *payload, struct span id);
    bool (*keeps_worker)(void *payload, struct span id);
    void *payload; /* borrowed */
};

/* Forgets all others: jobs, workers, their effects and timers, and the producers' ids of other
 * workers. A job stays with its holder and a worker with its jobs: a worker stays when it is named
 * or holds a job that is; a job stays when it is named or its holder stays. Clocks, policy, epoch,
 * ordinal and the fleet's hold stay as they are. */
void state_narrow(struct state *state, const struct narrowing *narrowing);

/* Whom the effect is about, withdrawn ones too; false: the state does not know it. The texts live
 * until the next fold. */
bool state_effect_subject(const struct state *state, struct span id, struct span *job,
                          struct span *worker);
/* The worker that holds the job; empty: nobody, or no such job. */
struct span state_job_holder(const struct state *state, struct span job);

/* How much a state holds; nothing where all is zero. */
struct state_contents {
    uint64_t jobs, workers, effects;
    bool is_held; /* the fleet */
};

struct state_contents state_contents(const struct state *state);

#endif
