/* SPDX-License-Identifier: MIT
 * `salvor audit`: the upkeep of audit databases. */
#include "store/audit.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/verb.h"

static enum status verify(const struct options *options);

static const struct verb verb_verify = {
    .name = "audit verify",
    .arguments = "DB",
    .summary = "Check that no decision of an audit database was changed, added or removed.",
    .argument_min = 1,
    .argument_max = 1,
    .run = verify,
};

static const struct verb *const parts[] = {&verb_verify};

const struct verb verb_audit = {
    .name = "audit",
    .arguments = "PART",
    .summary = "Check an audit database.",
    .parts = parts,
    .part_count = sizeof(parts) / sizeof(parts[0]),
};

static enum status verify(const struct options *options)
{
    const char *path = options->arguments[0];
    struct error error = {0};
    struct audit *audit = audit_open(path, AUDIT_READ, AUDIT_ANY_PARTITION, &error);
    if (audit == NULL) {
        return verb_fail(&verb_verify, &error);
    }
    uint64_t rows = 0;
    enum status status = STATUS_FINE;
    if (audit_verify(audit, &rows, &error)) {
        printf("%s: %" PRIu64 " decisions, the chain holds\n", path, rows);
    } else {
        status = verb_fail(&verb_verify, &error);
    }
    audit_close(audit);
    return status;
}
