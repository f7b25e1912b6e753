/* SPDX-License-Identifier: MIT */
#include "reducers/narrow.h"

#include <stddef.h>

#include "reducers/tables.h"

static bool worker_stays(const struct narrowing *narrowing, const struct worker *worker)
{
    bool stays = narrowing->keeps_worker(narrowing->payload, worker->node.key);
    for (const struct link *link = worker->jobs.first; link != NULL && !stays; link = link->next) {
        const struct job *job = LINK_ELEMENT(link, const struct job, held);
        stays = narrowing->keeps_job(narrowing->payload, job->node.key);
    }
    return stays;
}

static bool job_stays(const struct narrowing *narrowing, const struct job *job)
{
    return narrowing->keeps_job(narrowing->payload, job->node.key) ||
           (job->holder != NULL && worker_stays(narrowing, job->holder));
}

/* An effect goes with the job it is about, a release with its worker. */
static bool effect_stays(const struct state *state, const struct narrowing *narrowing,
                         const struct effect *effect)
{
    if (effect->kind == EFFECT_RELEASE) {
        const struct worker *worker = table_find(&state->workers, effect->worker);
        return worker == NULL ? narrowing->keeps_worker(narrowing->payload, effect->worker)
                              : worker_stays(narrowing, worker);
    }
    const struct job *job = table_find(&state->jobs, effect->job);
    return job == NULL ? narrowing->keeps_job(narrowing->payload, effect->job)
                       : job_stays(narrowing, job);
}

/* A producer's id is one worker's own: "worker\nid"; one without a worker may be anybody's. */
static bool producer_id_stays(const struct narrowing *narrowing, struct span key)
{
    struct span worker = span_cut(&key, '\n');
    return worker.size == 0 || narrowing->keeps_worker(narrowing->payload, worker);
}

void state_narrow(struct state *state, const struct narrowing *narrowing)
{
    for (struct effect *effect = table_oldest(&state->effects), *next; effect; effect = next) {
        next = table_next(effect);
        if (!effect_stays(state, narrowing, effect)) {
            state_remove_effect(state, effect);
        }
    }
    for (struct job *job = table_oldest(&state->jobs), *next; job; job = next) {
        next = table_next(job);
        if (!job_stays(narrowing, job)) {
            state_remove_job(state, job);
        }
    }
    for (struct worker *worker = table_oldest(&state->workers), *next; worker; worker = next) {
        next = table_next(worker);
        if (!worker_stays(narrowing, worker)) {
            state_set_worker_phase(state, worker, WORKER_GONE); /* not counted as watched */
            state_remove_worker(state, worker);
        }
    }
    for (struct table_node *id = table_oldest(&state->producer_ids), *next; id; id = next) {
        next = table_next(id);
        if (!producer_id_stays(narrowing, id->key)) {
            table_remove(&state->producer_ids, id);
        }
    }
}

bool state_effect_subject(const struct state *state, struct span id, struct span *job,
                          struct span *worker)
{
    const struct effect *effect = table_find(&state->effects, id);
    *job = effect == NULL ? SPAN_NONE : effect->job;
    *worker = effect == NULL ? SPAN_NONE : effect->worker;
    return effect != NULL;
}

struct span state_job_holder(const struct state *state, struct span job)
{
    const struct job *found = table_find(&state->jobs, job);
    return found == NULL || found->holder == NULL ? SPAN_NONE : found->holder->node.key;
}

struct state_contents state_contents(const struct state *state)
{
    return (struct state_contents){
        .jobs = state->jobs.arrivals.count,
        .workers = state->workers.arrivals.count,
        .effects = state->effects.arrivals.count,
        .is_held = state->fleet.is_held,
    };
}
