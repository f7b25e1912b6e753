/* SPDX-License-Identifier: MIT
 * `salvor audit verify DB`: checks the chain of the audit's decisions. */
#include "store/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/verb.h"

static enum status audit_verb(const struct options *options);

const struct verb verb_audit = {
    .name = "audit",
    .arguments = "verify DB",
    .summary = "Check that no decision of an audit database was changed, added or removed.",
    .argument_min = 2,
    .argument_max = 2,
    .run = audit_verb,
};

static enum status audit_verb(const struct options *options)
{
    if (strcmp(options->arguments[0], "verify") != 0) {
        fprintf(stderr, "salvor audit: unknown command \"%s\"; allowed: verify\n",
                options->arguments[0]);
        return STATUS_USAGE;
    }
    const char *path = options->arguments[1];
    struct error error = {0};
    struct audit *audit = audit_open(path, AUDIT_READ, AUDIT_ANY_PARTITION, &error);
    if (audit == NULL) {
        return verb_fail(&verb_audit, &error);
    }
    uint64_t rows = 0;
    enum status status = STATUS_FINE;
    if (audit_verify(audit, &rows, &error)) {
        printf("%s: %" PRIu64 " decisions, the chain holds\n", path, rows);
    } else {
        status = verb_fail(&verb_audit, &error);
    }
    audit_close(audit);
    return status;
}
