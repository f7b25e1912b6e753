/* SPDX-License-Identifier: MIT
 * What the entity reducers give: how the job or worker looks afterwards and what was decided. Fixed
 * size, by value; texts are spans into the event. apply.c alone acts on them. */
#ifndef SALVOR_REDUCERS_VERDICT_H
#define SALVOR_REDUCERS_VERDICT_H

#include "reducers/decision.h"
#include "reducers/job.h"
#include "reducers/policy.h"

/* All that a reducer may know besides the entity and the event. */
struct context {
    const struct policy *policy; /* borrowed */
    uint64_t liveness_ms, deadline_ms;
    uint64_t reducers;    /* version of the rules in force */
    struct stream_id id;  /* of the event being folded */
    enum reason held_for; /* why what rests on silence alone waits; NONE: it does not */
};

/* Numbers that a decision rests on. X(NAME, "name") */
#define MEASURES(X)                     \
    X(SILENT_MS, "silent_ms")           \
    X(LIMIT_MS, "limit_ms")             \
    X(LOSSES, "losses")                 \
    X(FAILURES, "failures")             \
    X(MAX_RETRIES, "max_retries")       \
    X(BACKOFF_MS, "backoff_ms")         \
    X(ASKS, "asks")                     \
    X(ASK_LIMIT, "ask_limit")           \
    X(TIMEOUT_MS, "timeout_ms")         \
    X(OVERDUE_MS, "overdue_ms")         \
    X(GRACE_MS, "grace_ms")             \
    X(REFUSALS, "refusals")             \
    X(DEATHS, "deaths")                 \
    X(POISON_AFTER, "poison_after")     \
    X(RETENTION_MS, "retention_ms")     \
    X(SILENT_WORKERS, "silent_workers") \
    X(WORKERS, "workers")               \
    X(PERCENT, "percent")               \
    X(HELD_MS, "held_ms")               \
    X(HELD_JOBS, "held_jobs")           \
    X(POSSIBLE_DUPLICATE, "possible_duplicate")

#define X(name, text) MEASURE_##name,
enum measure { MEASURES(X) MEASURE_COUNT };
#undef X

/* Rules that were tried and did not match. X(NAME, "name") */
#define RULES(X)                                                  \
    X(HANDED_OFF, "job_was_handed_off")                           \
    X(SERVICE_CHECK, "service_check_is_rolled_out_to_the_job")    \
    X(POISON, "deaths_reach_poison_after")                        \
    X(NOT_RETRYABLE, "failure_is_final")                          \
    X(RETRIES_EXHAUSTED, "losses_and_failures_above_max_retries") \
    X(MAY_HAVE_FORGOTTEN, "service_may_have_forgotten")           \
    X(IDEMPOTENT, "job_is_idempotent")                            \
    X(ASK_LIMIT_REACHED, "ask_limit_reached")                     \
    X(WITHIN_GAP, "deadline_passed_inside_a_gap")                 \
    X(SAME_BELIEF_TWICE, "same_belief_refused_before")

#define X(name, text) RULE_##name,
enum rule { RULES(X) RULE_COUNT };
#undef X

const char *measure_text(enum measure measure);
const char *rule_text(enum rule rule);

/* One decision before it gets its id. */
struct ruling {
    enum action action;
    enum reason reason;
    enum effect_kind effect; /* NONE: nothing is to be done outside */
    uint32_t facts;          /* set of 1 << JOB_FACT_…; those that are not told are left out */
    uint32_t measures;       /* set of 1 << MEASURE_… */
    uint64_t measure[MEASURE_COUNT];
    uint32_t tried;        /* set of 1 << RULE_… */
    enum effect_kind held; /* what waits while the fleet is held */
    struct span word;      /* what the service, the queue or an operator said; from the event */
    struct span who;       /* the operator; from the event */
};

#define RULINGS_MAX 2

enum holder_change { HOLDER_KEEP, HOLDER_OF_EVENT, HOLDER_NOBODY };

struct job_verdict {
    struct job_core after;
    struct span job;     /* its id, borrowed */
    struct span service; /* as it is before the event; borrowed */
    enum holder_change holder;
    uint32_t keep; /* set of 1 << JOB_TEXT_…: replaced by text[] (an empty span drops it) */
    struct span text[JOB_TEXT_COUNT];
    struct ruling rulings[RULINGS_MAX];
    uint32_t ruling_count;
    enum effect_outcome closes; /* the outcome of the open effect; NONE: it stays as it is */
    struct span found;          /* beside the outcome; from the event */
};

#define FACT_BIT(name) (UINT32_C(1) << JOB_FACT_##name)
#define TEXT_BIT(name) (UINT32_C(1) << JOB_TEXT_##name)
#define RULE_BIT(name) (UINT32_C(1) << RULE_##name)

/* A verdict that changes nothing; `before` may be NULL: a new job. */
void verdict_init(struct job_verdict *verdict, const struct job *before);
/* Adds a decision and returns it for the evidence. */
struct ruling *verdict_rule(struct job_verdict *verdict, enum action action, enum reason reason);
/* Adds a decision that wants an effect: the job is REQUESTED (or ASKING), its timers stop. An
 * effect still open is withdrawn. The action is the one that the effect carries out. */
struct ruling *verdict_request(struct job_verdict *verdict, const struct job *before,
                               enum reason reason, enum effect_kind effect);
/* The same, but what rests on silence alone waits while the fleet is held. */
struct ruling *verdict_request_or_hold(struct job_verdict *verdict, const struct job *before,
                                       const struct context *context, enum reason reason,
                                       enum effect_kind effect);
/* The policy's value for the job: its service may have one of its own. */
uint64_t verdict_value(const struct job_verdict *verdict, const struct context *context,
                       enum policy_key key);
/* True when the roll-out that the key tells in percent has come to the job. */
bool verdict_is_rolled_out(const struct job_verdict *verdict, const struct context *context,
                           enum policy_key key);
/* Moves to `phase`: withdraws an open effect unless `closes` is set. A deadline rests in phases
 * that do not run it and is forgotten with the attempt. */
void verdict_move(struct job_verdict *verdict, const struct job *before, enum job_phase phase);
/* Moves to `phase` under another token: what the attempt before left behind speaks neither for nor
 * against this one. */
void verdict_begin_attempt(struct job_verdict *verdict, const struct job *before,
                           enum job_phase phase, uint64_t attempt);
/* Runs the deadline anew, from the event being folded. */
void verdict_run_deadline(struct job_verdict *verdict, const struct context *context);
/* The attempt's time is what it is for the service just told; it runs from where it ran. */
void verdict_adapt_deadline(struct job_verdict *verdict, const struct context *context);
/* Runs the limit of a claim that is not started, from the event being folded. */
void verdict_run_claim_limit(struct job_verdict *verdict, const struct context *context);
/* The event is ignored, with a reason. */
void verdict_ignore(struct job_verdict *verdict, enum reason reason);
/* Keeps an event's text when the event has it. */
void verdict_keep(struct job_verdict *verdict, enum job_text text, const struct event *event,
                  enum event_field field);
void ruling_measure(struct ruling *ruling, enum measure measure, uint64_t number);
/* Losses and failures against max_retries; deaths too where they decide (reduce_retry.c). */
void ruling_tell_counts(struct ruling *ruling, const struct job_verdict *verdict,
                        const struct context *context);
/* Tells of a requeue that it may be a second run: the attempt was handed off or overran its time,
 * and nobody was heard to say that it is over. */
void ruling_tell_duplicate(struct ruling *ruling, const struct job_core *after, enum reason reason);

/* --- entity reducers; one file each. `before` is never changed. --- */

/* job.submitted (reduce_submitted.c). */
void reduce_submitted(const struct job *before, const struct event *event, struct job_verdict *out);
/* job.claimed, job.started, and every other event by which a worker shows that it holds an attempt
 * (reduce_hold.c). */
void reduce_hold(const struct job *before, const struct event *event, const struct context *context,
                 struct job_verdict *out);
/* True when no claim brings the job back: it is over, or its completion is under way. */
bool hold_is_closed(const struct job *job);
/* True when the event tells of an attempt that this job does not know yet. */
bool hold_is_newer(const struct job *before, const struct event *event);
/* True when the event's worker and claim are those that hold the job's attempt. */
bool hold_is_same(const struct job *job, const struct event *event);
/* job.handed_off (reduce_hold.c). */
void reduce_handed_off(const struct job *before, const struct event *event,
                       const struct context *context, struct job_verdict *out);
/* job.progress: true with a verdict when it is the first word of work (reduce_hold.c). */
bool reduce_progress(const struct job *before, const struct event *event, struct job_verdict *out);
/* True when the event is of an attempt whose claim was given up, by its holder of this incarnation:
 * it is at work after all. */
bool hold_is_late_start(const struct job *job, const struct event *event);
/* True while the loss of the attempt is being judged: a hand-off told only now is asked about
 * (reduce_loss.c). */
bool loss_is_open(const struct job *before);
/* What was counted against the attempt is taken back (reduce_loss.c). */
void loss_clear(struct job_core *after);
/* What a loss comes to: the service is asked, else the retry rules (reduce_loss.c). */
void reduce_judge_loss(const struct job *before, const struct context *context,
                       struct job_verdict *out);
/* Asks the service about the lost attempt (reduce_loss.c). */
void reduce_ask(const struct job *before, struct job_verdict *out);
/* job.completed, job.failed, job.cancelled (reduce_end.c). */
void reduce_completed(const struct job *before, const struct event *event, struct job_verdict *out);
void reduce_failed(const struct job *before, const struct event *event,
                   const struct context *context, struct job_verdict *out);
void reduce_cancelled(const struct job *before, const struct event *event,
                      const struct context *context, struct job_verdict *out);

/* --- a cancel at the service, and what follows from it (reduce_cancel.c) --- */

/* True when the attempt is with a service that may be asked to stop it. */
bool cancel_is_possible(const struct job *before, const struct context *context,
                        const struct job_verdict *out);
/* True when a retry follows the cancel that is under way. */
bool cancel_leads_to_retry(const struct job_verdict *verdict, const struct context *context);
struct ruling *reduce_begin_cancel(const struct job *before, const struct context *context,
                                   enum job_ending ending, enum reason reason,
                                   struct job_verdict *out);
/* effect.settled of the cancel. */
void reduce_cancel_outcome(const struct job *before, const struct event *event,
                           const struct context *context, struct job_verdict *out);
/* service.answered to the question that follows it; `*out` holds what every answer does. NULL: the
 * job had ended before the cancel came, so the answer is judged like any other. */
struct ruling *reduce_cancel_answer(const struct job *before, const struct event *event,
                                    const struct context *context, struct job_verdict *out);
/* TIMER_JOB_NEXT while a cancel is under way. */
void reduce_cancel_next(const struct job *before, const struct context *context,
                        struct job_verdict *out);
/* Another service job than the one that was cancelled: it is cancelled in the time that is left. */
void reduce_cancel_again(const struct job *before, struct job_verdict *out);
/* The cancel has come to its end: what it was for. */
struct ruling *reduce_end_cancel(const struct job *before, const struct context *context,
                                 enum job_cancel cancel, struct job_verdict *out);

/* The worker that holds the job is gone (reduce_loss.c). */
void reduce_loss(const struct job *before, const struct worker *worker, enum reason cause,
                 const struct context *context, struct job_verdict *out);
/* The worker was only silent (reduce_loss.c). */
void reduce_heard_again(const struct job *before, const struct context *context,
                        struct job_verdict *out);
/* The job whose claim was given up was started after all; `*out` holds what the event begins with
 * (reduce_loss.c). */
void reduce_started_late(const struct job *before, const struct context *context,
                         struct job_verdict *out);
/* Nothing holds the job any more: what it waits for is requested (reduce_loss.c). */
void reduce_unheld(const struct job *before, const struct context *context,
                   struct job_verdict *out);
/* The owed or parked job is judged once more, since effects apply or an operator lets it go on
 * (reduce_loss.c). */
void reduce_anew(const struct job *before, const struct context *context, struct job_verdict *out);
/* Effects are only observed from now on (reduce_loss.c). */
void reduce_owed(const struct job *before, struct job_verdict *out);
/* Losses and failures against max_retries: back off, requeue or fail (reduce_retry.c). */
void reduce_retry(const struct job *before, const struct context *context, enum reason reason,
                  bool is_failure, struct job_verdict *out);
/* TIMER_JOB_NEXT: ask again, requeue, or give a claim up that was never started (reduce_retry.c).
 */
void reduce_next(const struct job *before, const struct context *context, struct job_verdict *out);
/* service.answered, its question open (reduce_answer.c). */
void reduce_answer(const struct job *before, const struct event *event,
                   const struct context *context, struct job_verdict *out);
/* effect.settled, its effect open (reduce_outcome.c). */
void reduce_outcome(const struct job *before, const struct event *event,
                    const struct context *context, struct job_verdict *out);
/* effect.settled `applied` for an effect that had been withdrawn: it was done all the same
 * (reduce_outcome.c). */
void reduce_done_after_all(const struct job *before, enum effect_kind kind,
                           struct job_verdict *out);
/* What a `stale` outcome found: the worker it names; empty when it names none. */
struct span outcome_found_worker(struct span found);
/* TIMER_JOB_DEADLINE and TIMER_JOB_GRACE (reduce_deadline.c). `is_within_gap`: the deadline passed
 * while nobody watched. */
void reduce_deadline(const struct job *before, const struct context *context, bool is_within_gap,
                     struct job_verdict *out);
/* operator.* about a job (reduce_operator.c). */
void reduce_operator(const struct job *before, const struct event *event,
                     const struct context *context, struct job_verdict *out);

/* The fleet as a whole: how many fell silent of late, and whether that is doubted. */
struct fleet {
    uint64_t watched; /* workers that are neither silent nor gone */
    uint64_t fallen;  /* workers that fell silent within one silence limit, or since the hold */
    bool is_held;
    enum reason held_for;   /* of the last hold, which what still waits keeps */
    uint64_t held_since_ms; /* liveness clock */
};

/* What becomes of the hold, with each tick and epoch (reduce_fleet.c): true with a
 * decision in `*ruling` when it begins or ends. */
bool reduce_fleet(const struct fleet *before, const struct context *context, struct ruling *ruling);

enum worker_change {
    WORKER_CHANGE_NONE,
    WORKER_CHANGE_HEARD,
    WORKER_CHANGE_HEARD_AGAIN, /* it was silent past its limit */
    WORKER_CHANGE_RESTARTED,   /* a later incarnation: what it held is orphaned */
    WORKER_CHANGE_OUTDATED,    /* an earlier incarnation: no sign of life */
};

struct worker_verdict {
    struct worker_core after;
    enum worker_change change;
};

/* Every event that a worker sends (reduce_worker.c). */
void reduce_worker_heard(const struct worker_core *before, const struct event *event,
                         const struct context *context, struct worker_verdict *out);
/* Past this much liveness clock without a sign the worker is silent. */
uint64_t worker_limit_ms(const struct worker_core *core, const struct policy *policy);

#endif
