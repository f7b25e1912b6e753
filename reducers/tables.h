/* SPDX-License-Identifier: MIT
 * The inside of the state: every table, list and clock. apply.c alone writes entities,
 * fold_leader.c the clocks and the policy, snapshot.c writes all of it down and reads it back;
 * nothing outside this folder includes this. */
#ifndef SALVOR_REDUCERS_TABLES_H
#define SALVOR_REDUCERS_TABLES_H

#include "reducers/job.h"
#include "reducers/policy.h"
#include "reducers/state.h"
#include "reducers/verdict.h"

#define POLICY_OWNERS_MAX     64    /* instances whose last file policy is remembered */
#define WITHDRAWN_EFFECTS_MAX 10000 /* that may still turn out to have been done */
#define GONE_WORKERS_MAX      10000 /* remembered without a job */
#define PRODUCER_ID_MAX       (2 * ID_SIZE_MAX + 1)
#define COUNTERS(X)                   \
    X(EVENTS, "events")               \
    X(HEARTBEATS, "heartbeats")       \
    X(PROGRESS, "progress")           \
    X(UNKNOWN_TYPES, "unknown_types") \
    X(QUARANTINED, "quarantined")     \
    X(NOT_OPEN, "not_open")           \
    X(UNHANDLED, "unhandled")

#define X(name, text) COUNTER_##name,
enum counter { COUNTERS(X) COUNTER_COUNT };
#undef X

/* The last policy that an instance appended from its file. */
struct policy_owner {
    struct table_node node; /* key: the owner */
    struct span hash;       /* owned by the state */
};

struct state {
    uint32_t partition;
    uint64_t timeline, epoch, ordinal;
    uint64_t reducers; /* version of the rules in force: of the last epoch event */
    struct span owner; /* owned */
    struct stream_id position;
    uint64_t liveness_ms, deadline_ms;
    struct stream_id last_tick;
    uint64_t last_tick_wall_ms;

    struct policy policy;
    struct span policy_text, policy_hash; /* owned; empty before the first policy event */
    bool has_file_policy;                 /* anybody ever appended one */
    struct table policy_owners;

    uint64_t next_arrival;
    struct table jobs, workers, effects, producer_ids;
    struct list finished;              /* jobs that are over, in the order they ended */
    struct list gone;                  /* workers that are gone and hold no job */
    struct list withdrawn;             /* effects */
    struct list fallen;                /* workers that fell silent of late, in that order */
    struct list waiting;               /* HELD jobs, in the order they were held */
    struct list unfreed;               /* silent workers whose release is held, in that order */
    struct fleet fleet;                /* `watched` and `fallen` are counted, not written down */
    struct timers silences;            /* of workers; liveness clock; derived, as the next two */
    struct timers liveness, deadlines; /* derived from the entities: not written down */
    uint64_t counter[COUNTER_COUNT];
};

/* Replaces an owned text. */
void state_keep(struct span *kept, struct span text);
/* New entities, wired to the state; ids must not be there yet. */
struct job *state_add_job(struct state *state, struct span id);
struct worker *state_add_worker(struct state *state, struct span id);
struct effect *state_add_effect(struct state *state, struct span id);
void state_remove_job(struct state *state, struct job *job);
void state_remove_worker(struct state *state, struct worker *worker);
/* Its job and worker do not wait for it any more. */
void state_detach_effect(struct state *state, struct effect *effect);
void state_remove_effect(struct state *state, struct effect *effect);
/* Forgets what is remembered by count, the oldest first. */
void state_forget(struct state *state);
/* Changes a worker's phase; the fleet's count and the lists of those not watched follow. */
void state_set_worker_phase(struct state *state, struct worker *worker, enum worker_phase phase);
/* Sets the timers that the job's phase and due times ask for. */
void state_set_job_timers(struct state *state, struct job *job);
void state_set_worker_timer(struct state *state, struct worker *worker);
/* True when all holds that the reducers rest on (sound.c). */
bool state_is_sound(const struct state *state);
/* Fills the request of an open effect. */
void state_effect_request(const struct state *state, const struct effect *effect,
                          struct effect_request *out);

#endif
