/* SPDX-License-Identifier: MIT
 * Connectors with one service, asked by a test. What goes wrong fails the test. */
#ifndef SALVOR_TESTS_LIB_ASKER_H
#define SALVOR_TESTS_LIB_ASKER_H

#include "connectors/connectors.h"

#define QUESTION_MS 400
#define SLACK_MS    600 /* of a loaded machine, beyond the question's own time */
/* The service's id of the job that most tests ask for. */
#define SERVICE_JOB "0b0e1ad2-0000-4000-8000-000000000001"

struct asker {
    struct connectors *connectors; /* owned */
    int wake_fd;
};

/* Not started yet: profiles and services can be added. */
struct asker asker_create(const struct connectors_config *config);
void asker_begin(struct asker *asker);
/* Both at once, with one service. */
struct asker asker_start_with(const struct connectors_config *config,
                              const struct service_config *service);
/* The service "comfyui" at `base`, and QUESTION_MS for a question. */
struct asker asker_start(const char *base);
void asker_stop(struct asker *asker);

/* A question about job-1, attempt 2, at the service "comfyui". The texts are borrowed. */
struct effect_request asker_request(const char *question, const char *service_job);
/* The next answer, waited for; borrowed until the next one. */
struct service_report asker_next(struct asker *asker);
/* Asks and waits. */
struct service_report asker_ask(struct asker *asker, const char *service_job);
void assert_answer(const struct service_report *answer, enum answer_verdict verdict,
                   const char *word);
/* `what` began at `started_ms` and took no longer than a question may. */
void assert_in_time(const char *what, uint64_t started_ms);

#endif
