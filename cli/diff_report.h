/* SPDX-License-Identifier: MIT
 * What `salvor diff` says at its end. */
#ifndef SALVOR_CLI_DIFF_REPORT_H
#define SALVOR_CLI_DIFF_REPORT_H

#include "replay/diff.h"

void diff_report_captures(const struct diff_config *config, const struct diff_captures *diff,
                          bool is_json);
void diff_report_audits(const struct diff_config *config, const struct diff_audits *diff,
                        bool is_json);

#endif
