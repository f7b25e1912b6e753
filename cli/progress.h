/* SPDX-License-Identifier: MIT
 * How far long work has come: one line on a terminal's standard error, with rate and time left;
 * nothing where that is no terminal. */
#ifndef SALVOR_CLI_PROGRESS_H
#define SALVOR_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* By value; begin with progress_begin. */
struct progress {
    const char *what; /* static: "replay" */
    const char *unit; /* static: "entries", unless the caller sets another */
    uint64_t total;   /* 0: unknown */
    uint64_t begun_ms, shown_ms;
    bool is_on, is_shown;
};

struct progress progress_begin(const char *what, uint64_t total);
/* Cheap enough for every batch: shown ten times a second at most. */
void progress_step(struct progress *progress, uint64_t done);
/* Wipes the line. */
void progress_end(struct progress *progress);

#endif
