/* SPDX-License-Identifier: MIT
 * Tells what `salvor check` found: a line a finding as it is found, or one JSON object at the end.
 */
#ifndef SALVOR_CLI_CHECK_REPORT_H
#define SALVOR_CLI_CHECK_REPORT_H

#include "base/bytes.h"
#include "stream/survey.h"

/* Zero-initialise but for `is_json`. */
struct check_report {
    bool is_json;
    char area[32]; /* of the last finding */
    struct buffer json;
    uint32_t counts[FINDING_LEVEL_COUNT];
};

struct finding_sink check_report_sink(struct check_report *report);
/* A finding whose `what` is the formatted text; without `means` it means nothing more. */
__attribute__((format(printf, 3, 4))) void check_report_tell(struct check_report *report,
                                                             const struct finding *finding,
                                                             const char *format, ...);
/* The last line, or the object; frees what the report holds. */
void check_report_end(struct check_report *report);

#endif
