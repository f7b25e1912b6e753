/* SPDX-License-Identifier: MIT
 * `salvor audit export DB`: a table as CSV (RFC 4180) or as JSON lines. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/audit_parts.h"
#include "cli/interrupt.h"
#include "cli/place.h"
#include "store/audit_table.h"

enum { FORMAT, FROM, JOB, TABLE, UNTIL };

static const struct option_rule rules[] = {
    [FORMAT] = {.name = "--format", .value = "FORMAT", .help = "csv (default) or jsonl"},
    [FROM] = {.name = "--from", .value = "PLACE", .help = "the first entry whose rows are told"},
    [JOB] = {.name = "--job", .value = "JOB", .help = "only what is about this job"},
    [TABLE] = {.name = "--table", .value = "TABLE", .help = "which one (decision)"},
    [UNTIL] = {.name = "--until", .value = "PLACE", .help = "the last entry whose rows are told"},
};

static enum status export_table(const struct options *options);

static void help_more(void)
{
    printf("\nTables:");
    for (const struct audit_table *table = audit_tables; table->name != NULL; table++) {
        printf(" %s", table->name);
    }
    putchar('\n');
    place_help();
}

const struct verb verb_audit_export = {
    .name = "audit export",
    .arguments = "DB",
    .summary = "Print the rows of a table as CSV or as JSON lines.",
    .argument_min = 1,
    .argument_max = 1,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = export_table,
    .help_more = help_more,
};

/* --- writing --- */

static void put_hex(struct buffer *out, struct span bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        buffer_put_byte(out, (uint8_t)digits[byte >> 4]);
        buffer_put_byte(out, (uint8_t)digits[byte & 15]);
    }
}

/* As in JSON, every byte but printable ASCII is \u00XX; lines stay lines. */
static void put_csv_text(struct buffer *out, struct span text)
{
    buffer_put_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        if (byte == '"') {
            buffer_put_text(out, "\"\"");
        } else if ((byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\t') {
            buffer_put_byte(out, byte);
        } else {
            buffer_put_text(out, "\\u00");
            put_hex(out, (struct span){text.data + i, 1});
        }
    }
    buffer_put_byte(out, '"');
}

static void put_csv_cell(struct buffer *out, const struct audit_cell *cell)
{
    switch (cell->kind) {
    case COLUMN_NULL:
        break;
    case COLUMN_NUMBER:
        buffer_put_decimal(out, cell->number);
        break;
    case COLUMN_BLOB:
        put_hex(out, cell->text);
        break;
    case COLUMN_TEXT:
        put_csv_text(out, cell->text);
        break;
    }
}

static void put_csv_head(struct buffer *out, const struct audit_row *row)
{
    for (uint32_t i = 0; i < row->count; i++) {
        buffer_put_text(out, i > 0 ? "," : "");
        buffer_put_text(out, row->cells[i].name);
    }
    buffer_put_text(out, "\r\n");
}

static void put_csv_row(struct buffer *out, const struct audit_row *row)
{
    for (uint32_t i = 0; i < row->count; i++) {
        buffer_put_text(out, i > 0 ? "," : "");
        put_csv_cell(out, &row->cells[i]);
    }
    buffer_put_text(out, "\r\n");
}

/* Evidence is JSON and goes in as it stands; were it not, after all, it is told as a text. */
static void put_json_text(struct buffer *out, const struct audit_cell *cell)
{
    struct error error = {0};
    struct json *json = NULL;
    if (strcmp(cell->name, "evidence") == 0 && span_is_line(cell->text)) {
        json = json_parse(cell->text, &error);
    }
    if (json != NULL) {
        buffer_put_span(out, cell->text);
        json_destroy(json);
    } else {
        buffer_put_json_string(out, cell->text);
    }
}

static void put_json_row(struct buffer *out, const struct audit_row *row)
{
    buffer_put_byte(out, '{');
    for (uint32_t i = 0; i < row->count; i++) {
        const struct audit_cell *cell = &row->cells[i];
        json_put_key(out, cell->name);
        switch (cell->kind) {
        case COLUMN_NULL:
            buffer_put_text(out, "null");
            break;
        case COLUMN_NUMBER:
            buffer_put_decimal(out, cell->number);
            break;
        case COLUMN_BLOB:
            buffer_put_byte(out, '"');
            put_hex(out, cell->text);
            buffer_put_byte(out, '"');
            break;
        case COLUMN_TEXT:
            put_json_text(out, cell);
            break;
        }
    }
    buffer_put_text(out, "}\n");
}

static const struct format {
    const char *name;
    void (*put_head)(struct buffer *out, const struct audit_row *row); /* NULL: none */
    void (*put_row)(struct buffer *out, const struct audit_row *row);
} formats[] = {
    {"csv", put_csv_head, put_csv_row},
    {"jsonl", NULL, put_json_row},
};

/* --- what is asked for --- */

struct request {
    const struct audit_table *table;
    const struct format *format;
    struct place from, until;
    struct span job;
};

static bool read_table(const struct options *options, struct request *out)
{
    const char *name = options->value[TABLE] != NULL ? options->value[TABLE] : "decision";
    for (out->table = audit_tables; out->table->name != NULL; out->table++) {
        if (strcmp(out->table->name, name) == 0) {
            return true;
        }
    }
    fprintf(stderr, "salvor audit export: --table \"%s\": allowed:", name);
    for (const struct audit_table *table = audit_tables; table->name != NULL; table++) {
        fprintf(stderr, " %s", table->name);
    }
    fputc('\n', stderr);
    return false;
}

static bool read_format(const struct options *options, struct request *out)
{
    const char *name = options->value[FORMAT] != NULL ? options->value[FORMAT] : formats[0].name;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            out->format = &formats[i];
            return true;
        }
    }
    fprintf(stderr, "salvor audit export: --format \"%s\": allowed: csv, jsonl\n", name);
    return false;
}

static bool read_request(const struct options *options, struct request *out)
{
    *out = (struct request){.job = span_of(options->value[JOB])};
    if (!read_table(options, out) || !read_format(options, out) ||
        !options_place(&verb_audit_export, options, FROM, &out->from) ||
        !options_until(&verb_audit_export, options, UNTIL, &out->until)) {
        return false;
    }
    if (options->value[JOB] != NULL && (out->job.size == 0 || out->table->sql_of_job == NULL)) {
        fprintf(stderr, "salvor audit export: --job: allowed: a job, with --table decision or "
                        "effect\n");
        return false;
    }
    bool is_by_ordinal = out->from.kind == PLACE_ORDINAL || out->until.kind == PLACE_ORDINAL;
    if (is_by_ordinal && !out->table->has_ordinal) {
        fprintf(stderr,
                "salvor audit export: rows of the table %s know no ordinal; allowed: a "
                "time or a stream id\n",
                out->table->name);
        return false;
    }
    return true;
}

static bool row_is_wanted(const struct request *request, const struct audit_row *row)
{
    const struct place *from = &request->from, *until = &request->until;
    if (from->kind == PLACE_NONE && until->kind == PLACE_NONE) {
        return true;
    }
    return row->has_entry &&
           (from->kind == PLACE_NONE || place_compare(from, row->stream_id, row->ordinal) >= 0) &&
           (until->kind == PLACE_NONE || place_compare(until, row->stream_id, row->ordinal) <= 0);
}

static bool write_rows(const struct request *request, struct audit_walk *walk, struct error *error)
{
    struct audit_row row = {0};
    struct buffer line = {0};
    enum audit_next next = AUDIT_ROW;
    audit_walk_columns(walk, &row);
    if (request->format->put_head != NULL) {
        request->format->put_head(&line, &row);
        fwrite(line.data, 1, line.size, stdout);
    }
    /* A full disk ends it at once; what was printed so far is main's to complain about. */
    while (!ferror(stdout) && !interrupt_is_asked() &&
           (next = audit_walk_next(walk, &row, error)) == AUDIT_ROW) {
        if (row_is_wanted(request, &row)) {
            buffer_reset(&line);
            request->format->put_row(&line, &row);
            fwrite(line.data, 1, line.size, stdout);
        }
    }
    buffer_fini(&line);
    if (interrupt_is_asked() && next == AUDIT_ROW) {
        return error_set(error, ERROR_STOPPED, "asked to stop: the rows are not all");
    }
    return next != AUDIT_ERROR;
}

static enum status export_table(const struct options *options)
{
    struct request request;
    struct error error = {0};
    if (!read_request(options, &request)) {
        return STATUS_USAGE;
    }
    struct audit *audit =
        audit_open(options->arguments[0], AUDIT_READ, AUDIT_ANY_PARTITION, &error);
    if (audit == NULL) {
        return verb_fail(&verb_audit_export, &error);
    }
    interrupt_catch();
    struct audit_walk *walk = audit_walk_open(audit, request.table, request.job, &error);
    bool is_fine = walk != NULL && write_rows(&request, walk, &error);
    int cause = errno; /* of a failed output, which main tells */
    audit_walk_close(walk);
    audit_close(audit);
    errno = cause;
    return is_fine ? STATUS_FINE : verb_fail(&verb_audit_export, &error);
}
