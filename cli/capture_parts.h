/* SPDX-License-Identifier: MIT
 * The parts of `salvor capture`, a file each. */
#ifndef SALVOR_CLI_CAPTURE_PARTS_H
#define SALVOR_CLI_CAPTURE_PARTS_H

#include "cli/verb.h"

extern const struct verb verb_capture_inspect, verb_capture_record, verb_capture_cut,
    verb_capture_anonymize;

#endif
