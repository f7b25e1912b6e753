/* SPDX-License-Identifier: MIT
 * A job as the state keeps it, and the life it leads.
 *
 * A worker that was only silent takes its job back from ASKING, WAITING, BACKING_OFF, REQUESTED and
 * OWED. A claim of a later attempt leads to CLAIMED from everywhere but COMPLETED, CANCELLED and a
 * completion under way. */
#ifndef SALVOR_REDUCERS_JOB_H
#define SALVOR_REDUCERS_JOB_H

#include "reducers/effect.h"
#include "reducers/event.h"
#include "reducers/reason.h"
#include "reducers/table.h"
#include "reducers/timers.h"

/* clang-format off */
/*
 * job.submitted       job.claimed         job.started
 * ────────────► QUEUED ────────► CLAIMED ────────────► STARTED ──► COMPLETED FAILED CANCELLED
 *                 ▲                 │ worker gone, failed, │        (told by the worker)
 *                 │                 ▼ deadline passed      ▼
 *                 │              ASKING ◄──► WAITING                (only with a service job)
 *                 │                 │           │
 *                 │                 ▼           ▼
 *                 │            BACKING_OFF ──► REQUESTED ─────────► COMPLETED FAILED TIMED_OUT
 *                 └── requeue applied ─────────────┘                (applied)
 *
 * PARKED: refused twice, gone, no rule. OWED: decided while effects are only observed.
 */
/* clang-format on */

/* X(NAME, "name", an effect is open, a next_due is set, a deadline may run, it is over) */
#define JOB_PHASES(X)                                        \
    X(NONE, "none", false, false, false, false)              \
    X(QUEUED, "queued", false, false, false, false)          \
    X(CLAIMED, "claimed", false, false, true, false)         \
    X(STARTED, "started", false, false, true, false)         \
    X(ASKING, "asking", true, false, true, false)            \
    X(WAITING, "waiting", false, true, true, false)          \
    X(BACKING_OFF, "backing_off", false, true, false, false) \
    X(REQUESTED, "requested", true, false, false, false)     \
    X(PARKED, "parked", false, false, false, false)          \
    X(OWED, "owed", false, false, false, false)              \
    X(COMPLETED, "completed", false, false, false, true)     \
    X(FAILED, "failed", false, false, false, true)           \
    X(CANCELLED, "cancelled", false, false, false, true)     \
    X(TIMED_OUT, "timed_out", false, false, false, true)

#define X(name, text, has_open, has_next, has_deadline, is_final) JOB_##name,
enum job_phase { JOB_PHASES(X) JOB_PHASE_COUNT };
#undef X

struct job_phase_rule {
    const char *name; /* static */
    bool has_open, has_next, has_deadline, is_final;
};

const struct job_phase_rule *job_phase_rule(enum job_phase phase);

/* Entries that a decision about a job can rest on. X(NAME, "name") */
#define JOB_FACTS(X)                     \
    X(SUBMITTED, "job.submitted")        \
    X(CLAIMED, "job.claimed")            \
    X(STARTED, "job.started")            \
    X(HANDED_OFF, "job.handed_off")      \
    X(WORKER_HEARD, "worker_heard_last") \
    X(LOST, "worker_lost_by")            \
    X(ANSWERED, "service.answered")      \
    X(ENDED, "job_ended_by")             \
    X(SETTLED, "effect.settled")         \
    X(CAUSE, "cause")

#define X(name, text) JOB_FACT_##name,
enum job_fact { JOB_FACTS(X) JOB_FACT_COUNT };
#undef X

const char *job_fact_text(enum job_fact fact);

/* Texts that a job keeps; each is the last one told for the attempt. */
enum job_text {
    JOB_TEXT_SERVICE,
    JOB_TEXT_TRACE,
    /* Gone with the attempt: */
    JOB_TEXT_CLAIM,
    JOB_TEXT_SERVICE_JOB,
    JOB_TEXT_TAG,
    JOB_TEXT_STATUS_URL,
    JOB_TEXT_CANCEL_URL,
    JOB_TEXT_RESULT_URL,
    JOB_TEXT_RESULT,
    JOB_TEXT_ERROR,
    JOB_TEXT_COUNT
};
#define JOB_TEXT_OF_ATTEMPT JOB_TEXT_CLAIM /* the first that is */

/* What reducers judge by and change: plain values, copied as one. */
struct job_core {
    enum job_phase phase;
    uint64_t attempt; /* 0: never claimed */
    uint64_t losses, failures;
    uint64_t max_retries, timeout_ms; /* only where told */
    uint64_t submitted_at;
    uint64_t deadline_due;   /* deadline clock; 0: none */
    uint64_t grace_due;      /* liveness clock; 0: none */
    uint64_t next_due;       /* liveness clock; 0: none */
    uint64_t interval_ms;    /* of the last `wait` for the service */
    uint32_t asks;           /* answers that proved nothing, since the loss */
    uint32_t refusals;       /* times the queue refused the same belief */
    enum reason cause;       /* why the attempt is being judged */
    enum reason next_reason; /* of the requeue that BACKING_OFF waits for */
    enum effect_kind wanted; /* REQUESTED and OWED: which effect */
    bool is_max_retries_told, is_timeout_told, is_idempotent;
    bool is_counted;                       /* this attempt's loss or failure is in the counts */
    bool is_touched;                       /* an effect of ours on the queue was asked for */
    bool rests_on_silence;                 /* nothing but silence speaks against the attempt */
    struct stream_id fact[JOB_FACT_COUNT]; /* zero: not told */
};

struct job {
    struct table_node node;
    struct job_core core;
    struct span text[JOB_TEXT_COUNT]; /* owned by the state; empty: not told */
    struct worker *holder;            /* borrowed from the workers' table; NULL: nobody */
    struct effect *open;              /* borrowed from the effects' table; NULL: none */
    struct link held;                 /* in holder->jobs */
    struct link finished;             /* in the state's list of finished jobs */
    struct timer next, grace, deadline;
};

enum worker_phase { WORKER_NONE, WORKER_ACTIVE, WORKER_STOPPING, WORKER_SILENT, WORKER_GONE };

struct worker_core {
    enum worker_phase phase;
    bool is_incarnation_told;
    uint64_t incarnation;
    uint64_t heartbeat_ms; /* 0: not told */
    uint64_t heard_ms;     /* liveness clock */
    struct stream_id heard_id;
};

struct worker {
    struct table_node node;
    struct worker_core core;
    struct span services; /* owned by the state */
    struct list jobs;     /* held, in order of their claims */
    struct effect *open;  /* the release under way; borrowed; NULL: none */
    struct link gone;     /* in the state's list of workers that nobody misses */
    struct timer silence;
};

/* An effect that was asked for and has no outcome yet, or was withdrawn and may still get one. */
struct effect {
    struct table_node node; /* key: the effect's id */
    enum effect_kind kind;
    uint64_t attempt;
    struct span job;    /* owned by the state; empty: a release without a job */
    struct span worker; /* owned by the state */
    enum reason reason;
    bool is_withdrawn;
    struct link withdrawn; /* in the state's list */
};

#endif
