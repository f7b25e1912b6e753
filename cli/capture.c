/* SPDX-License-Identifier: MIT
 * `salvor capture`: what can be done with captures. */
#include "cli/capture_parts.h"

static const struct verb *const parts[] = {&verb_capture_inspect, &verb_capture_record,
                                           &verb_capture_cut, &verb_capture_anonymize};

const struct verb verb_capture = {
    .name = "capture",
    .arguments = "PART",
    .summary = "Make, look into, cut and anonymize captures.",
    .parts = parts,
    .part_count = sizeof(parts) / sizeof(parts[0]),
};
