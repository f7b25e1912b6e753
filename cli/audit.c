/* SPDX-License-Identifier: MIT
 * `salvor audit`: the upkeep of audit databases. */
#include "cli/audit_parts.h"

static const struct verb *const parts[] = {
    &verb_audit_verify,
    &verb_audit_prune,
    &verb_audit_backup,
    &verb_audit_export,
};

const struct verb verb_audit = {
    .name = "audit",
    .arguments = "PART",
    .summary = "Check, shorten, copy or export an audit database, also beside a running process.",
    .parts = parts,
    .part_count = sizeof(parts) / sizeof(parts[0]),
};
