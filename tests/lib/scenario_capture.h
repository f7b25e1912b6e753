/* SPDX-License-Identifier: MIT
 * A scenario's events as a capture: see replay/scenario.h for the lines. */
#ifndef SALVOR_TESTS_LIB_SCENARIO_CAPTURE_H
#define SALVOR_TESTS_LIB_SCENARIO_CAPTURE_H

#include "base/bytes.h"

struct scenario_capture {
    uint64_t entries;     /* in the whole scenario */
    struct buffer policy; /* owned: the first text in force in the capture; empty: none was */
    bool has_changes;     /* another text came into force later */
};

/* Plays the lines of `text` above "----" and writes the entries behind the first `begin` into
 * `folder`, which is made anew, with a snapshot where `begin` is not 0. Fewer entries: no capture.
 * The caller gives `policy` back. */
struct scenario_capture scenario_capture_write(const char *folder, struct span text,
                                               uint64_t begin);

#endif
