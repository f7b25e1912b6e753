/* SPDX-License-Identifier: MIT
 * The parts of `salvor audit`, a file each. */
#ifndef SALVOR_CLI_AUDIT_PARTS_H
#define SALVOR_CLI_AUDIT_PARTS_H

#include "cli/verb.h"

extern const struct verb verb_audit_verify, verb_audit_prune, verb_audit_backup, verb_audit_export;

#endif
