/* SPDX-License-Identifier: MIT
 * Connectors with one service, asked by a test. What goes wrong fails the test. */
#ifndef SALVOR_TESTS_LIB_ASKER_H
#define SALVOR_TESTS_LIB_ASKER_H

#include "connectors/connectors.h"

#define QUESTION_MS 400
#define SLACK_MS    600 /* of a loaded machine, beyond the question's own time */
/* The service's id of the job that most tests ask for. */
#define SERVICE_JOB "0b0e1ad2-0000-4000-8000-000000000001"

/* A service that has one request, which names the job; and one that cancels, too. */
#define ASKER_PROFILE                                                             \
    "profile: one\nvolatile: false\nstatus:\n"                                    \
    "- {request: 'GET /jobs/{id}', pointer: /state, words: {done: completed, "    \
    "run: running, wait: pending, bad: failed}, rules: ['404 & /error exists => " \
    "not_found']}\n"
#define ASKER_PROFILE_WITH_CANCEL \
    ASKER_PROFILE "cancel:\n- {request: 'POST /stop/{id}', rules: ['200 => accepted']}\n"
/* Four requests at a time. */
#define ASKER_LIMITS(time)                                        \
    (struct connectors_config)                                    \
    {                                                             \
        .question_ms = (time), .body_max = 1 << 20, .per_host = 4 \
    }

struct asker {
    struct connectors *connectors; /* owned */
    int wake_fd;
    struct buffer probed; /* a line each: what was told of services */
};

/* Not started yet: profiles and services can be added. */
struct asker asker_create(const struct connectors_config *config);
void asker_begin(struct asker *asker);
/* Both at once, with one service. */
struct asker asker_start_with(const struct connectors_config *config,
                              const struct service_config *service);
/* The service "comfyui" at `base`, and QUESTION_MS for a question. */
struct asker asker_start(const char *base);
/* The service "comfyui" at `base`, with the profile "one" from this text and whatever else
 * `service` says. */
struct asker asker_start_profile(const char *yaml, const char *base, struct service_config service,
                                 struct connectors_config config);
void asker_stop(struct asker *asker);

/* A question about job-1, attempt 2, at the service "comfyui". The texts are borrowed. */
struct effect_request asker_request(const char *question, const char *service_job);
/* The next answer or outcome, waited for; borrowed until the next one. What is told of services is
 * kept aside. */
struct service_report asker_next(struct asker *asker);
/* What was told of services so far: "SERVICE ENDPOINT [CAPABILITIES] BREAKER\n" each. Borrowed
 * until the next call; no answer may wait. */
const char *asker_probed(struct asker *asker);
/* Asks and waits. */
struct service_report asker_ask(struct asker *asker, const char *service_job);
/* The same under an id of its own, as if after a cancel where `is_fresh`. */
struct service_report asker_ask_anew(struct asker *asker, const char *service_job, bool is_fresh);
/* Cancels and waits. */
struct service_report asker_cancel(struct asker *asker, const char *service_job);
/* Until that time of clock_boot_ms. */
void asker_wait_until(uint64_t when_ms);
void assert_answer(const struct service_report *answer, enum answer_verdict verdict,
                   const char *word);
void assert_outcome(const struct service_report *report, enum effect_outcome outcome,
                    const char *word);
/* `what` began at `started_ms` and took no longer than a question may. */
void assert_in_time(const char *what, uint64_t started_ms);

#endif
