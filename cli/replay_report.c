/* SPDX-License-Identifier: MIT */
#include "cli/replay_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"

/* The first difference, column by column. */
static void print_difference(const struct difference *difference)
{
    printf("difference in %s %.*s, ordinal %" PRIu64 "\n", difference->table,
           SPAN_FORMAT(difference->id), difference->ordinal);
    for (uint32_t i = 0; i < difference->field_count; i++) {
        const struct difference_field *field = &difference->fields[i];
        printf("  %s\n    fold:  %.*s\n    audit: %.*s\n", field->column, SPAN_FORMAT(field->fold),
               SPAN_FORMAT(field->audit));
    }
}

static void print_compared(const struct replay_report *report)
{
    const struct compare_counts *counts = &report->counts;
    const struct difference *difference = compare_difference(report->compare);
    if (difference != NULL) {
        print_difference(difference);
        return;
    }
    printf("the audit agrees: decisions=%" PRIu64 " effects=%" PRIu64 " state_hashes=%" PRIu64 "\n",
           counts->decisions, counts->effects, counts->checkpoints);
    if (counts->pruned > 0) {
        printf("not compared: %" PRIu64 " decisions of the fold were pruned from the audit\n",
               counts->pruned);
    }
    if (counts->fold_beyond > 0) {
        printf("not compared: %" PRIu64
               " decisions of the fold lie behind the audit's position (not committed there yet)\n",
               counts->fold_beyond);
    }
    if (counts->audit_beyond > 0) {
        printf("not compared: %" PRIu64
               " decisions of the audit lie behind the fold's end at ordinal %" PRIu64 "\n",
               counts->audit_beyond, report->ordinal);
    }
}

static void print_written(const struct replay_config *config, const struct replay_report *report)
{
    printf("written: %s, up to ordinal %" PRIu64 "\n", config->database, report->ordinal);
    if (report->earlier_outcomes > 0) {
        printf("not written: %" PRIu64 " outcomes of effects that were asked for before ordinal "
               "%" PRIu64 "\n",
               report->earlier_outcomes, report->first_ordinal + 1);
    }
}

void replay_report_print(const struct replay_config *config, const struct replay_report *report)
{
    struct buffer id = {0};
    stream_id_put(&id, report->position);
    printf("entries=%" PRIu64 " decisions=%" PRIu64 " ordinal=%" PRIu64 " position=%.*s\n",
           report->entries, report->decisions, report->ordinal, (int)id.size, id.data);
    buffer_fini(&id);
    if (config->is_decode_only) {
        printf("undecodable=%" PRIu64 "\n", report->undecodable);
    } else {
        printf("state_hash=%s\n", sha256_text(&report->state_hash).text);
    }
    printf("elapsed_ms=%" PRIu64 "\n", report->elapsed_ns / 1000000);
    if (report->passed > 0) {
        printf("from ordinal %" PRIu64 " on; %" PRIu64 " entries before it were only folded\n",
               report->first_ordinal + 1, report->passed);
    }
    if (report->is_torn) {
        printf("torn: the capture ends in an incomplete frame, which was left out\n");
    }
    if (report->compare != NULL) {
        print_compared(report);
    }
    if (config->database != NULL) {
        print_written(config, report);
    }
    if (report->is_interrupted) {
        printf("interrupted at ordinal %" PRIu64 "\n", report->ordinal);
    }
}

static void put_json_difference(struct buffer *out, const struct difference *difference)
{
    json_put_key(out, "difference");
    if (difference == NULL) {
        buffer_put_text(out, "null");
        return;
    }
    buffer_put_byte(out, '{');
    json_put_text(out, "table", span_of(difference->table));
    json_put_text(out, "id", difference->id);
    json_put_number(out, "ordinal", difference->ordinal);
    json_put_key(out, "columns");
    buffer_put_byte(out, '[');
    for (uint32_t i = 0; i < difference->field_count; i++) {
        buffer_put_text(out, i > 0 ? ",{" : "{");
        json_put_text(out, "column", span_of(difference->fields[i].column));
        json_put_text(out, "fold", difference->fields[i].fold);
        json_put_text(out, "audit", difference->fields[i].audit);
        buffer_put_byte(out, '}');
    }
    buffer_put_text(out, "]}");
}

void replay_report_print_json(const struct replay_config *config,
                              const struct replay_report *report)
{
    struct buffer out = {0};
    struct buffer id = {0};
    stream_id_put(&id, report->position);
    buffer_put_byte(&out, '{');
    json_put_number(&out, "partition", report->partition);
    json_put_number(&out, "entries", report->entries);
    json_put_number(&out, "decisions", report->decisions);
    json_put_number(&out, "ordinal", report->ordinal);
    json_put_text(&out, "position", buffer_span(&id));
    if (config->is_decode_only) {
        json_put_number(&out, "undecodable", report->undecodable);
    } else {
        json_put_text(&out, "state_hash", span_of(sha256_text(&report->state_hash).text));
    }
    json_put_number(&out, "elapsed_ns", report->elapsed_ns);
    json_put_truth(&out, "torn", report->is_torn);
    json_put_truth(&out, "interrupted", report->is_interrupted);
    json_put_number(&out, "first_ordinal", report->first_ordinal);
    json_put_number(&out, "passed", report->passed);
    if (config->database != NULL) {
        json_put_text(&out, "database", span_of(config->database));
        json_put_number(&out, "earlier_outcomes", report->earlier_outcomes);
    }
    if (report->compare != NULL) {
        json_put_number(&out, "equal", report->counts.decisions);
        json_put_number(&out, "equal_effects", report->counts.effects);
        json_put_number(&out, "equal_state_hashes", report->counts.checkpoints);
        json_put_number(&out, "pruned", report->counts.pruned);
        json_put_number(&out, "fold_beyond", report->counts.fold_beyond);
        json_put_number(&out, "audit_beyond", report->counts.audit_beyond);
        put_json_difference(&out, compare_difference(report->compare));
    }
    buffer_put_text(&out, "}\n");
    fwrite(out.data, 1, out.size, stdout);
    buffer_fini(&out);
    buffer_fini(&id);
}
