/* SPDX-License-Identifier: MIT
 * A decision as one line of text: what `salvor replay --decisions` prints and what a regression
 * corpus keeps. */
#ifndef SALVOR_REPLAY_DECISION_LINE_H
#define SALVOR_REPLAY_DECISION_LINE_H

#include "reducers/decision.h"

/* Appends the line with its line feed. Producers' bytes are printable there. */
void decision_line_put(struct buffer *out, const struct decision *decision);

#endif
