/* SPDX-License-Identifier: MIT
 * `salvor audit verify DB`: does the chain hold? */
#include <inttypes.h>
#include <stdio.h>

#include "cli/audit_parts.h"
#include "replay/phrase.h"
#include "store/audit_prune.h"

static enum status verify(const struct options *options);

const struct verb verb_audit_verify = {
    .name = "audit verify",
    .arguments = "DB",
    .summary = "Check that no decision of an audit database was changed, added or removed.",
    .argument_min = 1,
    .argument_max = 1,
    .run = verify,
};

/* What was taken away by the rules is told too. */
static bool print_pruned(struct audit *audit, const char *path, struct error *error)
{
    struct audit_pruned pruned;
    if (!audit_load_pruned(audit, &pruned, error)) {
        return error->code == ERROR_NONE;
    }
    struct buffer at = {0};
    phrase_put_time(&at, pruned.stream_id.ms);
    printf("%s: %" PRIu64 " decisions up to %.*s (ordinal %" PRIu64
           ") were pruned; the chain goes on from there\n",
           path, pruned.seq, SPAN_FORMAT(buffer_span(&at)), pruned.ordinal);
    buffer_fini(&at);
    return true;
}

static enum status verify(const struct options *options)
{
    const char *path = options->arguments[0];
    struct error error = {0};
    struct audit *audit = audit_open(path, AUDIT_READ, AUDIT_ANY_PARTITION, &error);
    if (audit == NULL) {
        return verb_fail(&verb_audit_verify, &error);
    }
    uint64_t rows = 0;
    bool is_whole = audit_verify(audit, &rows, &error);
    if (is_whole) {
        printf("%s: %" PRIu64 " decisions, the chain holds\n", path, rows);
        is_whole = print_pruned(audit, path, &error);
    }
    enum status status = is_whole ? STATUS_FINE : verb_fail(&verb_audit_verify, &error);
    audit_close(audit);
    return status;
}
