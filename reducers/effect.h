/* SPDX-License-Identifier: MIT
 * Effects: what a decision wants done outside, and what can come of it. The shell carries them out;
 * the outcome comes back as an event. */
#ifndef SALVOR_REDUCERS_EFFECT_H
#define SALVOR_REDUCERS_EFFECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* X(NAME, "name") */
#define EFFECT_KINDS(X)                                                                         \
    X(NONE, "none")                                                                             \
    X(ASK, "ask")           /* question to a service; its answer is a service.answered event */ \
    X(REQUEUE, "requeue")   /* back into the queue */                                           \
    X(COMPLETE, "complete") /* mark completed, take every copy back */                          \
    X(FAIL, "fail")         /* mark failed */                                                   \
    X(TIME_OUT, "time_out") /* mark timed out and free the worker */                            \
    X(RELEASE, "release")   /* free the worker */                                               \
    X(CANCEL, "cancel")     /* ask a service to stop the job; its outcome is an effect.settled */

#define X(name, text) EFFECT_##name,
enum effect_kind { EFFECT_KINDS(X) EFFECT_KIND_COUNT };
#undef X

#define EFFECT_OUTCOMES(X)                                                                      \
    X(NONE, "none")           /* still open */                                                  \
    X(APPLIED, "applied")     /* done, now or by an earlier dispatch of the same id */          \
    X(STALE, "stale")         /* refused: the queue holds something else; `found` tells what */ \
    X(GONE, "gone")           /* refused: the queue does not know the job or worker */          \
    X(PUBLISHED, "published") /* handed to the user's own consumer */                           \
    X(OBSERVED, "observed")   /* not carried out: effects are only observed */                  \
    X(FAILED, "failed")       /* could not be tried: wrong types in the queue */                \
    X(ANSWERED, "answered")   /* a question whose answer was folded */                          \
    X(ACCEPTED, "accepted")   /* cancel: the service will stop the job, or has */               \
    X(ALREADY_FINAL, "already_final") /* cancel: the job had ended there before */              \
    X(REFUSED, "refused")             /* cancel: the service will not */                        \
    X(UNSUPPORTED, "unsupported") /* cancel: nobody told how, or it would hit other jobs too */ \
    X(UNKNOWN, "unknown")         /* cancel: no answer in time; it may have worked */           \
    X(WITHDRAWN, "withdrawn")     /* its cause is gone */

#define X(name, text) OUTCOME_##name,
enum effect_outcome { EFFECT_OUTCOMES(X) EFFECT_OUTCOME_COUNT };
#undef X

/* Static texts; *_named gives the NONE member for an unknown word. */
const char *effect_kind_text(enum effect_kind kind);
const char *effect_outcome_text(enum effect_outcome outcome);
enum effect_outcome effect_outcome_named(struct span text);

/* X(NAME, "word"): what a service can say of a job. */
#define ANSWER_VERDICTS(X)                                              \
    X(NONE, "none")                                                     \
    X(PENDING, "pending")                                               \
    X(RUNNING, "running")                                               \
    X(COMPLETED, "completed")                                           \
    X(FAILED, "failed")                                                 \
    X(CANCELLED, "cancelled")                                           \
    X(NOT_FOUND, "not_found")                                           \
    X(INCONCLUSIVE, "inconclusive") /* an answer that proves nothing */ \
    X(UNREACHABLE, "unreachable")   /* no answer within the time */     \
    X(NO_PROFILE, "no_profile")     /* nobody told how to ask this service */

#define X(name, text) ANSWER_##name,
enum answer_verdict { ANSWER_VERDICTS(X) ANSWER_VERDICT_COUNT };
#undef X

/* X(NAME, "word"): what else it can say of its answer. */
#define ANSWER_FLAGS(X)                                                     \
    X(EXPIRED, "expired")         /* the service may only have forgotten */ \
    X(PARTIAL, "partial")         /* done, but not all of it */             \
    X(RESULT_LOST, "result_lost") /* done, but its result is gone */        \
    X(LAGGING, "lagging")         /* may not show the latest yet */

#define X(name, text) ANSWER_FLAG_##name,
enum answer_flag { ANSWER_FLAGS(X) ANSWER_FLAG_COUNT };
#undef X

const char *answer_verdict_text(enum answer_verdict verdict);
enum answer_verdict answer_verdict_named(struct span text);
const char *answer_flag_text(enum answer_flag flag);

/* One open effect with all that carrying it out needs. By value; the spans are borrowed from the
 * state until the next fold (the dispatcher copies what it keeps). */
struct effect_request {
    struct span id; /* partition.timeline.ms-seq.n.k */
    enum effect_kind kind;
    struct span job;    /* empty for the release of a worker without a job */
    struct span worker; /* whom we believe to hold it */
    uint64_t attempt;
    struct span claim;         /* empty: not told, not compared */
    uint64_t losses, failures; /* counted so far, this one included */
    struct span reason;        /* code */
    struct span error;         /* for fail and time_out: a sentence for the queue's `error` */
    struct span result;        /* for complete: the result's reference */
    /* For ask and cancel. */
    struct span service, service_job, tag;
    uint64_t submitted_at;
    struct span status_url, cancel_url, result_url;
    struct span base; /* where a worker said the service is: from its `services`; or empty */
    uint64_t wait_ms; /* in the connectors' own queue, before sending: `ask_wait_ms` */
    bool is_fresh;    /* what an earlier question learned does not count: a cancel came between */
};

/* What comes back from outside services, for the leader to append. */
enum report_kind {
    REPORT_NONE,
    REPORT_ANSWERED, /* of an ask: becomes service.answered */
    REPORT_SETTLED,  /* of a cancel: becomes effect.settled */
    REPORT_PROBED,   /* of a service: becomes service.probed */
};

/* One report. Texts are borrowed until the next one is taken. */
struct service_report {
    enum report_kind kind;
    /* ANSWERED and SETTLED. */
    struct span effect; /* the id of the question or cancel */
    uint64_t http;      /* last status code; 0: none */
    struct span word;   /* the service's own word, or what went wrong; may be empty */
    /* ANSWERED. */
    struct span job;
    uint64_t attempt;
    enum answer_verdict verdict;
    struct span flags;       /* words of ANSWER_FLAGS parted by blanks; may be empty */
    uint64_t latency_ms;     /* all requests of this question together */
    struct span body_sha256; /* hexadecimal, of the deciding body; empty without one */
    struct span result; /* at most 1,024 bytes: a text as it is, else JSON; larger: where it is */
    /* SETTLED. */
    enum effect_outcome outcome;
    /* PROBED. */
    struct span service, endpoint;
    struct span capabilities; /* words parted by blanks: status cancel result variant=NAME … */
    struct span breaker;      /* closed, open, half_open */
};

#endif
