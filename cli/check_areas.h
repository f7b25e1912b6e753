/* SPDX-License-Identifier: MIT
 * What `salvor check` looks at beside the configuration: each area tells the report what it finds,
 * and changes nothing. */
#ifndef SALVOR_CLI_CHECK_AREAS_H
#define SALVOR_CLI_CHECK_AREAS_H

#include "cli/check_report.h"
#include "cli/config.h"
#include "connectors/connectors.h"

void check_redis(const struct config *config, struct check_report *report);
/* The data directory. */
void check_data(const char *data, struct check_report *report);
/* The connectors are not started. */
void check_services(const struct config *config, struct connectors *connectors,
                    struct check_report *report);

#endif
