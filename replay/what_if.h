/* SPDX-License-Identifier: MIT
 * What another policy would have decided: a capture folded under the captured policies and, in step
 * with it, under the other one.
 *
 * Both sides follow the same rules. What the capture says of policies, of settled effects and of
 * answers belongs to the decisions that were taken then: it is left out. A side's own effects on
 * the queue count as applied at once. A question gets the next answer, and a cancel the next
 * outcome of a cancel, that the capture holds for the same job, attempt and service job, at the
 * place where it stands; where there is none it is unknown, and so is all that would have followed.
 *
 * Each job is compared decision by decision, up to and including its first different one: what its
 * worker would have done behind that is not in the capture. Two decisions are different when their
 * action, reason or attempt is, or when one is carried out and the other only observed. A back-off,
 * a question and the wait for a service that still runs are no decisions of their own: what they
 * lead to is, and may come sooner or later. */
#ifndef SALVOR_REPLAY_WHAT_IF_H
#define SALVOR_REPLAY_WHAT_IF_H

#include "base/error.h"
#include "reducers/decision.h"
#include "reducers/policy.h"

/* By what policy. */
enum what_if_side { WHAT_IF_CAPTURED, WHAT_IF_OTHER, WHAT_IF_SIDE_COUNT };

/* What is counted on each side, up to and including the first different decision of each job; the
 * fleet's are all counted. X(NAME, "name", "what a reader sees") */
#define WHAT_IF_TOTALS(X)                                                                  \
    X(ASK, "ask", "questions to services")                                                 \
    X(WAIT, "wait", "waits")                                                               \
    X(HOLD, "hold", "jobs held")                                                           \
    X(CANCEL, "cancel", "cancels at services")                                             \
    X(REQUEUE, "requeue", "requeues")                                                      \
    X(POSSIBLE_DUPLICATE, "possible_duplicate", "  possibly a second run")                 \
    X(PROVED_DUPLICATE, "proved_duplicate", "  proved to repeat what was done")            \
    X(COMPLETE, "complete", "completions")                                                 \
    X(TIME_OUT, "time_out", "time-outs")                                                   \
    X(FAIL, "fail", "failures")                                                            \
    X(ENDED_COMPLETED, "ended_completed", "  time-outs and failures of what did complete") \
    X(PARK, "park", "parked")                                                              \
    X(RESUME, "resume", "jobs resumed")                                                    \
    X(OBSERVED, "observed", "only observed, of all these")                                 \
    X(UNKNOWN, "unknown", "questions and cancels that nobody sent")                        \
    X(FLEET_HOLD, "fleet_hold", "fleet: holds")                                            \
    X(FLEET_RESUME, "fleet_resume", "fleet: resumes")                                      \
    X(RELEASE, "release", "fleet: workers released")

#define X(name, text, label) WHAT_IF_##name,
enum what_if_total { WHAT_IF_TOTALS(X) WHAT_IF_TOTAL_COUNT };
#undef X

const char *what_if_total_name(enum what_if_total total);
const char *what_if_total_label(enum what_if_total total);

/* One side's decision about a job. Texts are the report's. */
struct what_if_decision {
    bool is_there; /* false: none by the end of the capture */
    enum action action;
    enum reason reason;
    uint64_t attempt;
    uint64_t at_ms;   /* of the stream */
    uint64_t ordinal; /* of the captured entry that led to it */
    struct span worker, service;
    struct span evidence;    /* JSON text */
    struct span service_job; /* of the attempt that it ends or requeues; empty: none */
    bool is_observed;        /* what it wants is not carried out */
    bool is_backoff;         /* a wait that only delays the retry behind it */
    bool is_possible_duplicate;
    bool is_unknown; /* a question or cancel of which the capture does not tell what came */
    /* Of an unknown question: what the same one was answered before; last_ms 0: it was not. */
    enum answer_verdict last_verdict;
    uint64_t last_ms;
};

/* X(NAME, "name"): how the comparison of a job ended, where it did before the capture's end. */
#define WHAT_IF_ENDS(X)       \
    X(NONE, "none")           \
    X(DIFFERENT, "different") \
    X(UNKNOWN, "unknown") /* by the same decisions, to a question that nobody answered */

#define X(name, text) WHAT_IF_END_##name,
enum what_if_end { WHAT_IF_ENDS(X) WHAT_IF_END_COUNT };
#undef X

const char *what_if_end_text(enum what_if_end end);

/* Where the comparison of a job ended. Texts are the report's. */
struct what_if_job {
    struct span job;
    enum what_if_end end;
    struct what_if_decision side[WHAT_IF_SIDE_COUNT];
    /* Where a side decided nothing: it was backing off then, for this reason; NONE: it was not. */
    enum reason backs_off[WHAT_IF_SIDE_COUNT];
    bool is_proved[WHAT_IF_SIDE_COUNT]; /* the decision requeues or ends what had been completed */
    /* The attempt was completed by the capture's word; 0: it does not say so. */
    uint64_t completed_ms;
    bool is_completed_by_service; /* its service said so; else its worker */
};

/* The same decision at another time; of requeues, completions, failures, time-outs and parks. */
struct what_if_delay {
    uint64_t count;
    uint64_t won_ms, lost_ms; /* sums: the other policy was earlier, later */
    uint64_t won_max_ms, lost_max_ms;
};

/* What came of the effects in reality: a remark beside the comparison, which applies all. */
struct what_if_reality {
    uint64_t outcomes[EFFECT_OUTCOME_COUNT]; /* of effects on the queue and of cancels */
};

/* Zero-initialise with {0}; ended by what_if_report_fini. */
struct what_if_report {
    uint32_t partition;
    uint64_t first_ordinal; /* entries before the capture's first */
    uint64_t entries;
    uint64_t begin_ms, end_ms;               /* of the first and the last entry */
    bool is_torn;                            /* the capture ends in an incomplete frame */
    uint64_t policies;                       /* captured, that of the snapshot included */
    struct buffer captured_text, other_text; /* policies; the captured one that was in force last */
    struct buffer kept; /* services whose facts are the captured ones, parted by blanks */
    uint64_t total[WHAT_IF_TOTAL_COUNT][WHAT_IF_SIDE_COUNT];
    uint64_t jobs_compared, jobs_different, jobs_unknown;
    struct what_if_delay delay;
    struct what_if_reality reality;
    struct what_if_job *jobs; /* owned; different and unknown ones, by time */
    uint32_t job_count;
    uint64_t elapsed_ns;
    struct what_if *inside; /* owned; what the texts are borrowed from */
};

/* Called now and then; false stops the work with ERROR_STOPPED. `total` is 0 while the answers are
 * looked for, since nobody knows it yet. */
typedef bool (*what_if_step_fn)(void *payload, uint64_t done, uint64_t total);

struct what_if_config {
    const char *capture;         /* a file or a directory */
    const struct policy *policy; /* the other one */
    bool has_queue_failures;     /* it tells queue.failures; else that is as captured */
    what_if_step_fn step;        /* may be NULL */
    void *payload;
};

/* Reads the capture twice: for the answers it holds, then in step under both policies. The facts of
 * services of which `policy` tells none are as captured. Memory grows with the questions and
 * answers of the capture and with the jobs about which something was decided, not with its entries.
 */
__attribute__((warn_unused_result)) bool what_if_run(const struct what_if_config *config,
                                                     struct what_if_report *report,
                                                     struct error *error);
void what_if_report_fini(struct what_if_report *report);

/* Puts the report into a database: the tables what_if_total and what_if_job, made anew. */
__attribute__((warn_unused_result)) bool what_if_record(const struct what_if_report *report,
                                                        const char *path, struct error *error);

#endif
