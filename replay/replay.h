/* SPDX-License-Identifier: MIT
 * Folds a capture again, offline: the same loop over a capture, whole or from one place to another,
 * optionally held against an audit or written into a new one. */
#ifndef SALVOR_REPLAY_REPLAY_H
#define SALVOR_REPLAY_REPLAY_H

#include "base/sha256.h"
#include "replay/compare.h"
#include "replay/place.h"

#define REPLAY_BATCH     128 /* as many as stay near the processor until they are folded */
#define REPLAY_BATCH_MAX 100000

/* Called for each decision, in order; its texts live until it returns. */
typedef void (*replay_decision_fn)(void *payload, const struct decision *decision);

/* Called before each batch with the ordinal reached. False: the replay ends there, cleanly. */
typedef bool (*replay_step_fn)(void *payload, uint64_t ordinal);

struct replay_config {
    const char *capture;     /* a file or a directory */
    const char *audit;       /* database to compare with; NULL: none */
    const char *database;    /* a new audit database with what the fold gives; NULL: none */
    struct place from;       /* compared, written, counted and shown from here on; NONE: all */
    struct place until;      /* the last entry; NONE: the capture's end */
    uint32_t batch_size;     /* REPLAY_BATCH */
    bool is_decode_only;     /* neither folds nor compares: what the bench holds a fold against */
    replay_decision_fn each; /* may be NULL */
    void *payload;
    replay_step_fn step; /* may be NULL */
    void *step_payload;
};

/* Zero-initialise with {0}; replay_report_fini gives back the difference. */
struct replay_report {
    uint32_t partition;
    uint64_t first_ordinal; /* entries of the stream before the first one counted */
    uint64_t entries;
    uint64_t passed;    /* entries folded before `from` */
    uint64_t decisions; /* 0 when only decoding */
    uint64_t ordinal;
    struct stream_id position;
    struct sha256 state_hash; /* zero when only decoding */
    bool is_torn;             /* the capture ends in an incomplete frame */
    bool is_interrupted;      /* `step` ended it at `ordinal` */
    uint64_t
        earlier_outcomes; /* of effects asked for before the database's first entry: left out */
    uint64_t undecodable; /* when only decoding: entries that are no event */
    uint64_t elapsed_ns;  /* reading and folding alone */
    struct compare_counts counts;
    struct audit *audit;     /* owned; NULL without an audit */
    struct compare *compare; /* owned; holds the difference, if any */
};

/* Begins with the last snapshot at or before `from`, else from zero. False with ERROR_DIFFERENT
 * when the audit disagrees: compare_difference(report->compare) tells all; a database is written to
 * its end all the same. After any other failure there is no database. ERROR_USAGE: the capture ends
 * before `from`. */
__attribute__((warn_unused_result)) bool
replay_run(const struct replay_config *config, struct replay_report *report, struct error *error);
void replay_report_fini(struct replay_report *report);

#endif
