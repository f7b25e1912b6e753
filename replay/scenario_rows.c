/* SPDX-License-Identifier: MIT
 * What stands below a scenario's line, and its file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replay/scenario.h"

static void put_decision(struct buffer *rows, const struct decision *decision)
{
    const struct {
        const char *name;
        struct span value;
    } texts[] = {{" job=", decision->job},
                 {" worker=", decision->worker},
                 {" service=", decision->service},
                 {" trace=", decision->trace}};
    buffer_put_span(rows, decision->id);
    buffer_put_byte(rows, ' ');
    buffer_put_text(rows, action_text(decision->action));
    buffer_put_byte(rows, ' ');
    buffer_put_text(rows, reason_code(decision->reason));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].value.size > 0) {
            buffer_put_text(rows, texts[i].name);
            buffer_put_span(rows, texts[i].value);
        }
    }
    if (decision->attempt > 0) {
        buffer_put_text(rows, " attempt=");
        buffer_put_decimal(rows, decision->attempt);
    }
    buffer_put_text(rows, span_is(decision->mode, "observe") ? " observe\n    " : "\n    ");
    buffer_put_span(rows, decision->evidence);
    buffer_put_byte(rows, '\n');
}

static void put_change(struct buffer *rows, const struct effect_change *change)
{
    bool is_request = change->decision.size > 0;
    buffer_put_text(rows, is_request ? "  effect " : "  settled ");
    buffer_put_span(rows, change->id);
    buffer_put_byte(rows, ' ');
    buffer_put_text(rows, effect_kind_text(change->kind));
    if (is_request) {
        buffer_put_byte(rows, ' ');
        buffer_put_span(rows, change->target);
    }
    if (change->outcome != OUTCOME_NONE) {
        buffer_put_byte(rows, ' ');
        buffer_put_text(rows, effect_outcome_text(change->outcome));
    }
    buffer_put_byte(rows, '\n');
}

void scenario_put_rows(struct buffer *rows, const struct fold_output *output)
{
    for (uint32_t i = 0; i < output->decision_count; i++) {
        put_decision(rows, &output->decisions[i]);
    }
    for (uint32_t i = 0; i < output->change_count; i++) {
        put_change(rows, &output->changes[i]);
    }
}

bool scenario_read_file(const char *path, struct buffer *out, struct error *error)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return error_set(error, ERROR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    char chunk[4096];
    size_t size, total = 0;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0 && total <= SCENARIO_FILE_MAX) {
        buffer_put(out, chunk, size);
        total += size;
    }
    bool is_read = ferror(file) == 0;
    fclose(file);
    if (!is_read) {
        return error_set(error, ERROR_IO, "%s: cannot be read: %s", path, strerror(errno));
    }
    return total <= SCENARIO_FILE_MAX ||
           error_set(error, ERROR_USAGE, "%s: larger than a scenario may be (%zu bytes)", path,
                     SCENARIO_FILE_MAX);
}
