/* SPDX-License-Identifier: MIT
 * A regression corpus: a folder with, for each case, a capture NAME.capture (a file or a folder)
 * and NAME.expected, the decisions that its replay must give, one a line as decision_line_put
 * writes them. Lines that begin with '#' stand before them: what the incident was and, where a
 * decision was changed on purpose, why. */
#ifndef SALVOR_REPLAY_CORPUS_H
#define SALVOR_REPLAY_CORPUS_H

#include "base/bytes.h"
#include "base/error.h"

#define CORPUS_CASES_MAX    10000
#define CORPUS_EXPECTED_MAX ((size_t)64 << 20) /* bytes of the decisions of one case */

enum corpus_verdict {
    CORPUS_NONE,
    CORPUS_OK,
    CORPUS_DIFFERENT, /* `difference` tells where */
    CORPUS_BROKEN,    /* it cannot be replayed: `difference` is why */
    CORPUS_WRITTEN,   /* its expected decisions were written anew: they differed */
};

struct corpus_case {
    struct span name; /* without suffix */
    enum corpus_verdict verdict;
    uint64_t entries, decisions;
    struct span difference; /* hunks, or a message; may be empty */
};

/* `one`'s texts live until it returns. */
typedef void (*corpus_case_fn)(void *payload, const struct corpus_case *one);

struct corpus_config {
    const char *directory;
    bool is_rewriting; /* NAME.expected is written where it differs or is missing */
    corpus_case_fn each;
    void *payload;
};

/* Every case in the order of its name; `*failed` counts those that are neither OK nor WRITTEN. A
 * folder without a case, and a case that lacks its capture or (unless rewriting) its expected
 * decisions, is ERROR_USAGE before anything is replayed. */
__attribute__((warn_unused_result)) bool corpus_run(const struct corpus_config *config,
                                                    uint64_t *failed, struct error *error);

#endif
