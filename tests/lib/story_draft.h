/* SPDX-License-Identifier: MIT
 * A history told line by line, written down as a capture and as an audit: what tests of stories
 * tell from.
 *
 *   +MS type key=value …     an entry, MS after the one before; a value may stand in double quotes,
 *                            "\n" in it is a line feed. A leader's event gets owner and epoch.
 *   +MS epoch                epoch 1
 *   +MS policy key=value …   the preset safe with these changes; volatile=NAME
 *   +MS answer verdict=… …   answers the open question
 *   +MS settle KIND OUTCOME [found=…]  settles the open effect of this kind
 *   # …                      nothing */
#ifndef SALVOR_TESTS_LIB_STORY_DRAFT_H
#define SALVOR_TESTS_LIB_STORY_DRAFT_H

#include "reducers/fold.h"
#include "store/audit.h"
#include "store/capture.h"

#define STORY_DRAFT_BEGIN_MS UINT64_C(1795456549000) /* 2026-11-23 17:55:49 */

/* Zero-initialise with {0}. */
struct story_draft {
    struct state *state;
    struct fold_output output;
    struct capture_writer *capture;
    const char *folder; /* borrowed */
    struct audit *audit;
    struct arena arena;
    uint64_t ms, seq, policies;
};

/* Makes FOLDER/capture-0 and FOLDER/audit-0.db. */
void story_draft_begin(struct story_draft *draft, const char *folder);
void story_draft_line(struct story_draft *draft, struct span line);
/* The capture goes on in another file, which begins with a snapshot. */
void story_draft_rotate(struct story_draft *draft);
void story_draft_end(struct story_draft *draft);

#endif
