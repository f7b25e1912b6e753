/* SPDX-License-Identifier: MIT
 * A capture written as a scenario, which gives the same rows: proved by playing it. */
#ifndef SALVOR_REPLAY_SCENARIO_WRITE_H
#define SALVOR_REPLAY_SCENARIO_WRITE_H

#include "replay/scenario.h"
#include "store/capture.h"

struct scenario_write_config {
    const char *capture; /* a file or a directory */
    const char *file;    /* to be made; must not be there yet */
    const char *origin;  /* one line that tells where it is from */
};

struct scenario_report {
    uint64_t entries; /* of the capture */
    uint64_t lines;   /* of the scenario, above the rows */
    uint64_t decisions;
};

/* The capture begins at the stream's first entry, or with a snapshot that holds no job, worker or
 * effect and no hold (USAGE: it tells what is there). Ids become those of lines, packed entries
 * flat ones, ticks in which nothing happens a `run`. False with no file left: DIFFERENT when the
 * scenario does not give the capture's rows. */
__attribute__((warn_unused_result)) bool scenario_write(const struct scenario_write_config *config,
                                                        struct scenario_report *report,
                                                        struct error *error);

#endif
