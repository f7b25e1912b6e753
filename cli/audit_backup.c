/* SPDX-License-Identifier: MIT
 * `salvor audit backup DB OUT`: a copy of one moment, verified. */
#include "store/audit_backup.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "cli/audit_parts.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "replay/phrase.h"

enum { JSON };

static const struct option_rule rules[] = {
    [JSON] = {.name = "--json", .help = "print one JSON object"},
};

static enum status backup(const struct options *options);

const struct verb verb_audit_backup = {
    .name = "audit backup",
    .arguments = "DB OUT",
    .summary =
        "Copy an audit database as it is at one moment into a new file, and verify the copy.",
    .argument_min = 2,
    .argument_max = 2,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = backup,
};

static bool show(void *payload, uint64_t pages, uint64_t total)
{
    struct progress *progress = payload;
    progress->total = total;
    progress_step(progress, pages);
    return !interrupt_is_asked();
}

static void put_id(struct buffer *out, const struct audit_backup *copy)
{
    if (copy->has_position) {
        stream_id_put(out, copy->position.stream_id);
    }
}

static void print_text(const struct audit_backup *copy, const char *path)
{
    struct buffer line = {0};
    if (copy->has_position) {
        buffer_put_text(&line, " up to ");
        phrase_put_time(&line, copy->position.stream_id.ms);
        buffer_put_text(&line, ", ordinal ");
        buffer_put_decimal(&line, copy->position.ordinal);
        buffer_put_text(&line, ", entry ");
        put_id(&line, copy);
    }
    printf("%s: %" PRIu64 " decisions%.*s; the chain holds, %" PRIu64 " bytes\n", path, copy->rows,
           SPAN_FORMAT(buffer_span(&line)), copy->bytes);
    buffer_fini(&line);
}

static void print_json(const struct audit_backup *copy)
{
    struct buffer out = {0}, id = {0};
    put_id(&id, copy);
    buffer_put_byte(&out, '{');
    json_put_number(&out, "decisions", copy->rows);
    json_put_number(&out, "ordinal", copy->position.ordinal);
    json_put_text(&out, "position", buffer_span(&id));
    json_put_number(&out, "bytes", copy->bytes);
    buffer_put_text(&out, "}\n");
    fwrite(out.data, 1, out.size, stdout);
    buffer_fini(&out);
    buffer_fini(&id);
}

static enum status backup(const struct options *options)
{
    struct error error = {0};
    struct audit_backup copy;
    const char *path = options->arguments[1];
    struct audit *audit =
        audit_open(options->arguments[0], AUDIT_READ, AUDIT_ANY_PARTITION, &error);
    if (audit == NULL) {
        return verb_fail(&verb_audit_backup, &error);
    }
    interrupt_catch();
    struct progress progress = progress_begin("backup", 0);
    progress.unit = "pages";
    bool is_fine = audit_backup(audit, path, show, &progress, &copy, &error);
    progress_end(&progress);
    audit_close(audit);
    if (!is_fine) {
        return verb_fail(&verb_audit_backup, &error);
    }
    if (options->value[JSON] != NULL) {
        print_json(&copy);
    } else {
        print_text(&copy, path);
    }
    return STATUS_FINE;
}
