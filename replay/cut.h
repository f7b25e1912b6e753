/* SPDX-License-Identifier: MIT
 * Cuts a piece out of a capture: a range, or what touches one job. Of one job the cut is proved: it
 * is folded again and gives the same decisions about the job as the whole. */
#ifndef SALVOR_REPLAY_CUT_H
#define SALVOR_REPLAY_CUT_H

#include "replay/excerpt.h"

#define CUT_PASSES_MAX    200    /* over the capture, to find all that touches a job */
#define CUT_DECISIONS_MAX 100000 /* about the job */

/* Called now and then with the number of the pass (from 1) and the entries read in it; false stops
 * the cut (ERROR_STOPPED). */
typedef bool (*cut_step_fn)(void *payload, uint32_t pass, uint64_t entries);

struct cut_config {
    const char *capture;   /* a file or a directory */
    const char *directory; /* of the result; holds no capture yet */
    struct excerpt_range range;
    const char *job; /* NULL: all of the range */
    cut_step_fn step;
    void *payload; /* for `step` */
};

struct cut_report {
    uint64_t entries;    /* of the cut */
    uint64_t of_entries; /* of the range */
    uint64_t ordinal;    /* entries before its first */
    struct stream_id first, last;
    uint64_t jobs, workers; /* that touch the job, itself included */
    uint64_t decisions;     /* about the job, the same in the cut and in the whole */
    bool is_torn;           /* the capture ends in an incomplete frame, which was left out */
};

/* False with nothing left in `directory`: USAGE (nothing lies in the range, no such job), DIFFERENT
 * (the cut of a job does not give the whole's decisions: the message tells the first difference),
 * STOPPED, and what reading and writing captures gives. */
__attribute__((warn_unused_result)) bool cut_run(const struct cut_config *config,
                                                 struct cut_report *report, struct error *error);

#endif
