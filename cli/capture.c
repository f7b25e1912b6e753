/* SPDX-License-Identifier: MIT
 * `salvor capture`: what can be done with captures. */
#include "cli/capture_parts.h"

static const struct verb *const parts[] = {&verb_capture_inspect, &verb_capture_anonymize};

const struct verb verb_capture = {
    .name = "capture",
    .arguments = "PART",
    .summary = "Look into captures, and anonymize them.",
    .parts = parts,
    .part_count = sizeof(parts) / sizeof(parts[0]),
};
