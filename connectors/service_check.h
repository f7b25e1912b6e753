/* SPDX-License-Identifier: MIT
 * How a service looks from here: its health, and what it says of a job that cannot exist. */
#ifndef SALVOR_CONNECTORS_SERVICE_CHECK_H
#define SALVOR_CONNECTORS_SERVICE_CHECK_H

#include "connectors/question.h"

/* What a check found, and the questions that hold its texts. Zero-initialise with {0}. */
struct service_checked {
    struct service_check check;
    struct question *health, *stranger; /* owned; NULL: not asked */
};

/* Blocks for at most twice question_ms. `out` is emptied first. */
void service_check_run(const struct connectors_config *config, struct service *service,
                       struct service_checked *out);
void service_checked_fini(struct service_checked *checked);

#endif
