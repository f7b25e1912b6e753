/* SPDX-License-Identifier: MIT
 * What a fold gave, as rows of an audit: decisions, effects, policies, leaders, quarantined
 * entries.
 */
#ifndef SALVOR_REPLAY_RECORD_H
#define SALVOR_REPLAY_RECORD_H

#include "reducers/fold.h"
#include "reducers/state.h"
#include "store/audit.h"

/* False for the many entries that leave no row. */
bool record_is_due(const struct fold_output *output);
/* Puts the rows of `entry` into the audit's open transaction; `state` stands behind it. The
 * position is the caller's to put. */
__attribute__((warn_unused_result)) bool
record_entry(struct audit *audit, const struct entry *entry, const struct state *state,
             const struct fold_output *output, struct error *error);

#endif
