/* SPDX-License-Identifier: MIT
 * What `salvor replay` says at its end. */
#ifndef SALVOR_CLI_REPLAY_REPORT_H
#define SALVOR_CLI_REPLAY_REPORT_H

#include "replay/replay.h"

void replay_report_print(const struct replay_config *config, const struct replay_report *report);
/* One JSON object. */
void replay_report_print_json(const struct replay_config *config,
                              const struct replay_report *report);

#endif
