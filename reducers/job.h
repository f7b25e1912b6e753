/* SPDX-License-Identifier: MIT
 * A job as the state keeps it, and the life it leads.
 *
 * A worker that was only silent takes its job back from ASKING, WAITING, BACKING_OFF, HELD,
 * REQUESTED and OWED. A claim of a later attempt leads to CLAIMED from everywhere but COMPLETED,
 * CANCELLED and a completion under way. */
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
 *                 │                 ▼ never started        ▼
 *                 │              ASKING ◄──► WAITING                (only with a service job)
 *                 │                 │ ▲          │
 *                 │                 │ └─ CANCELLING ◄── deadline passed, on_running, an operator
 *                 │                 ▼           ▼
 *                 │     HELD ◄─ BACKING_OFF ──► REQUESTED ────────► COMPLETED FAILED TIMED_OUT
 *                 └── requeue applied ─────────────┘                (applied)
 *
 * HELD: too many workers fell silent at once. PARKED: refused twice, gone, `park` by the policy, held
 * by an operator. OWED: decided while effects are only observed.
 */
/* clang-format on */

/* When `next_due` is set in a phase. */
enum next_rule { NEXT_NEVER, NEXT_MAYBE, NEXT_ALWAYS };

/* X(NAME, "name", an effect is open, next_due, a deadline may run, it is over) */
#define JOB_PHASES(X)                                          \
    X(NONE, "none", false, NEVER, false, false)                \
    X(QUEUED, "queued", false, NEVER, false, false)            \
    X(CLAIMED, "claimed", false, MAYBE, true, false)           \
    X(STARTED, "started", false, NEVER, true, false)           \
    X(ASKING, "asking", true, MAYBE, true, false)              \
    X(WAITING, "waiting", false, ALWAYS, true, false)          \
    X(CANCELLING, "cancelling", true, ALWAYS, false, false)    \
    X(BACKING_OFF, "backing_off", false, ALWAYS, false, false) \
    X(HELD, "held", false, NEVER, false, false)                \
    X(REQUESTED, "requested", true, NEVER, false, false)       \
    X(PARKED, "parked", false, NEVER, false, false)            \
    X(OWED, "owed", false, NEVER, false, false)                \
    X(COMPLETED, "completed", false, NEVER, false, true)       \
    X(FAILED, "failed", false, NEVER, false, true)             \
    X(CANCELLED, "cancelled", false, NEVER, false, true)       \
    X(TIMED_OUT, "timed_out", false, NEVER, false, true)

#define X(name, text, has_open, has_next, has_deadline, is_final) JOB_##name,
enum job_phase { JOB_PHASES(X) JOB_PHASE_COUNT };
#undef X

struct job_phase_rule {
    const char *name; /* static */
    enum next_rule next;
    bool has_open, has_deadline, is_final;
};

const struct job_phase_rule *job_phase_rule(enum job_phase phase);

struct job_core;
/* True when `next_due` is as the phase wants it. */
bool job_next_is_sound(const struct job_core *core);

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

enum job_count { JOB_COUNT_NONE, JOB_COUNT_LOSS, JOB_COUNT_FAILURE, JOB_COUNT_COUNT };

/* What a cancel at the service is for, once it has come to its end. */
enum job_ending {
    ENDING_NONE,
    ENDING_TIME_OUT, /* the deadline passed: what `on_timeout` says */
    ENDING_RETRY,    /* `on_running=cancel`: the retry rules */
    ENDING_FAIL,     /* an operator's cancel: failed */
    ENDING_COUNT
};

/* How far a cancel at the service came. X(NAME, "name") */
#define JOB_CANCELS(X)                                                         \
    X(NONE, "none")                                                            \
    X(ASKED, "asked")         /* no word of it yet */                          \
    X(ACCEPTED, "accepted")   /* the service agreed; nothing shows it yet */   \
    X(CONFIRMED, "confirmed") /* asked again, the service no longer runs it */ \
    X(ALREADY_FINAL, "already_final")                                          \
    X(REFUSED, "refused")                                                      \
    X(UNSUPPORTED, "unsupported")                                              \
    X(UNKNOWN, "unknown") /* no answer in time: it may still be running */

#define X(name, text) JOB_CANCEL_##name,
enum job_cancel { JOB_CANCELS(X) JOB_CANCEL_COUNT };
#undef X

const char *job_cancel_text(enum job_cancel cancel);

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
    uint64_t deaths;                  /* workers that were gone while they ran it */
    uint64_t max_retries, timeout_ms; /* only where told */
    uint64_t submitted_at;
    uint64_t handed_off_ms;    /* deadline clock */
    uint64_t cancel_due;       /* liveness clock: the cancel's end; 0: none */
    uint64_t deadline_from_ms; /* deadline clock: when the attempt began */
    uint64_t deadline_due;     /* deadline clock; 0: none */
    uint64_t grace_due;        /* liveness clock; 0: none */
    uint64_t next_due;         /* liveness clock; 0: none */
    uint64_t interval_ms;      /* of the last `wait` for the service */
    uint32_t asks;             /* answers that proved nothing, since the loss */
    uint32_t refusals;         /* times the queue refused the same belief */
    enum reason cause;         /* why the attempt is being judged */
    enum reason next_reason;   /* of the requeue that BACKING_OFF waits for */
    enum effect_kind wanted;   /* where an effect is open, HELD or OWED: which */
    enum job_ending ending;    /* a cancel is under way, to this end */
    enum job_cancel cancel;    /* of the attempt */
    enum effect_kind ordered;  /* by an operator, and not carried out yet */
    enum job_count counted;    /* which of the counts this attempt is in */
    bool is_max_retries_told, is_timeout_told, is_idempotent;
    bool is_held_by_operator;              /* PARKED until it is resumed */
    bool is_at_work;                       /* the holder told more than the claim */
    bool is_death;                         /* and it is one of `deaths` */
    bool is_touched;                       /* an effect of ours on the queue was asked for */
    bool rests_on_silence;                 /* nothing but silence speaks against the attempt */
    struct stream_id fact[JOB_FACT_COUNT]; /* zero: not told */
};

struct job {
    struct table_node node;
    struct worker *holder; /* borrowed from the workers' table; NULL: nobody */
    struct effect *open;   /* borrowed from the effects' table; NULL: none */
    struct job_core core;
    struct span text[JOB_TEXT_COUNT]; /* owned by the state; empty: not told */
    struct link held;                 /* in holder->jobs */
    struct link finished;             /* in the state's list of finished jobs */
    struct link waiting;              /* in the state's list of HELD jobs */
    struct timer next, grace, deadline;
};

enum worker_phase { WORKER_NONE, WORKER_ACTIVE, WORKER_STOPPING, WORKER_SILENT, WORKER_GONE };

struct worker_core {
    enum worker_phase phase;
    bool is_incarnation_told;
    uint64_t incarnation;
    uint64_t heartbeat_ms; /* 0: not told */
    uint64_t heard_ms;     /* liveness clock */
    uint64_t fallen_ms;    /* liveness clock: when it fell silent */
    struct stream_id heard_id;
};

/* A heartbeat touches the first members alone. */
struct worker {
    struct table_node node;
    struct worker_core core;
    struct timer silence;
    struct list jobs;     /* held, in order of their claims */
    struct effect *open;  /* the release under way; borrowed; NULL: none */
    struct span services; /* owned by the state */
    /* Those that are watched are in none of these: */
    struct link gone;    /* in the state's list of workers that nobody misses */
    struct link fallen;  /* in the fleet's list of those that fell silent of late */
    struct link unfreed; /* in the state's list of those whose release is held */
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
