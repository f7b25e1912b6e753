/* SPDX-License-Identifier: MIT
 * The difference of two texts, line by line, as reviewers read it. */
#ifndef SALVOR_REPLAY_LINE_DIFF_H
#define SALVOR_REPLAY_LINE_DIFF_H

#include "base/bytes.h"

#define LINE_DIFF_CONTEXT 3 /* equal lines shown around a difference */

/* Appends hunks in the unified form: "@@ -LINE,COUNT +LINE,COUNT @@", then lines that begin with a
 * blank, '-' (only in `before`) or '+' (only in `after`). Equal texts give nothing. Where two very
 * long texts differ nearly everywhere, the changed part is told as removed and added whole. */
void line_diff_put(struct buffer *out, struct span before, struct span after);

#endif
