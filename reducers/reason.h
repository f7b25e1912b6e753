/* SPDX-License-Identifier: MIT
 * Why: every decision has one of these codes. One table; the audit, `why` and the documentation
 * read it. */
#ifndef SALVOR_REDUCERS_REASON_H
#define SALVOR_REDUCERS_REASON_H

/* X(NAME, "code", "a sentence for people") */
#define REASONS(X)                                                                                \
    X(NONE, "none", "no reason")                                                                  \
    X(WORKER_SILENT, "worker_silent", "the worker was not heard within its limit")                \
    X(WORKER_STOPPED, "worker_stopped", "the worker said that it stopped")                        \
    X(WORKER_LOST, "worker_lost", "somebody declared the worker lost")                            \
    X(WORKER_RESTARTED, "worker_restarted", "the worker came back as a later incarnation")        \
    X(WORKER_HEARD_AGAIN, "worker_heard_again", "the worker was only silent: it holds its job")   \
    X(SERVICE_COMPLETED, "service_completed", "the service says the job is completed")            \
    X(SERVICE_FAILED, "service_failed", "the service says the job failed")                        \
    X(SERVICE_CANCELLED, "service_cancelled", "the service says the job was cancelled")           \
    X(SERVICE_PENDING, "service_pending", "the service has the job in its queue")                 \
    X(SERVICE_RUNNING, "service_running", "the service is running the job")                       \
    X(SERVICE_NOT_FOUND, "service_not_found", "the service knows no such job")                    \
    X(SERVICE_FORGOT, "service_forgot", "the service may have forgotten the job")                 \
    X(SERVICE_INCONCLUSIVE, "service_inconclusive", "the answer proves nothing")                  \
    X(SERVICE_UNREACHABLE, "service_unreachable", "the service could not be asked")               \
    X(NO_PROFILE, "no_profile", "no profile says how to ask this service")                        \
    X(JOB_FAILED, "job_failed", "the worker says the job failed")                                 \
    X(NOT_RETRYABLE, "not_retryable", "the failure was declared final")                           \
    X(POISON, "poison", "the job took too many workers with it")                                  \
    X(CLAIM_TIMED_OUT, "claim_timed_out", "the job was claimed and never started")                \
    X(STARTED_LATE, "started_late", "the job was started after all: its worker keeps it")         \
    X(MASS_LOSS, "mass_loss", "so many workers fell silent at once that our own view is doubted") \
    X(WORKERS_HEARD, "workers_heard", "enough of the silent workers were heard or told of again") \
    X(HOLD_EXPIRED, "hold_expired", "the hold lasted as long as it may")                          \
    X(RETRIES_EXHAUSTED, "retries_exhausted", "losses and failures used up the retries")          \
    X(DEADLINE_PASSED, "deadline_passed", "the job ran longer than it may")                       \
    X(LATE_COMPLETION, "late_completion", "the job had been completed after all")                 \
    X(STALE_TWICE, "stale_twice", "the queue refused the same belief twice")                      \
    X(JOB_GONE, "job_gone", "the queue has no such job")                                          \
    X(EFFECT_FAILED, "effect_failed", "the queue could not apply the effect")                     \
    X(ADOPTED, "adopted", "what the queue holds was adopted")                                     \
    X(POLICY_CHANGED, "policy_changed", "the policy in force asks for no hold")                   \
    X(OPERATOR, "operator", "an operator's command")                                              \
    X(OLDER_ATTEMPT, "older_attempt", "the event tells of an earlier attempt")                    \
    X(OTHER_HOLDER, "other_holder", "another worker or claim holds this attempt")                 \
    X(DUPLICATE, "duplicate", "this was told before")                                             \
    X(JOB_FINISHED, "job_finished", "the job has already ended")                                  \
    X(IN_RECOVERY, "in_recovery", "the attempt is already being recovered")                       \
    X(NOT_HELD, "not_held", "nothing is held that could be resumed")                              \
    X(NO_TARGET, "no_target", "the command names no job and no worker that holds one")            \
    X(NOT_OPEN, "not_open", "no such question or effect is open")                                 \
    X(UNKNOWN_JOB, "unknown_job", "the job is not known here")                                    \
    X(UNKNOWN_WORKER, "unknown_worker", "the worker is not known here")                           \
    X(BAD_FIELD, "bad_field", "a field is missing, ill-typed or out of range")                    \
    X(BAD_POLICY, "bad_policy", "the policy's text was refused")                                  \
    X(FORGED, "forged", "a leader's event that the leader did not append")                        \
    X(FORKED, "forked", "the history was rewritten")                                              \
    X(PRUNED, "pruned", "older rows of this file were removed")

#define X(name, code, text) REASON_##name,
enum reason { REASONS(X) REASON_COUNT };
#undef X

/* Static. */
const char *reason_code(enum reason reason);
const char *reason_text(enum reason reason);

#endif
