/* SPDX-License-Identifier: MIT
 * `salvor replay FILE|DIR`: folds a capture again and says whether the audit agrees. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "cli/verb.h"
#include "cli/what_if.h"
#include "replay/replay.h"

enum { AUDIT, BATCH, DATABASE, DECISIONS, DECODE_ONLY, JSON, LIMIT, POLICY };

static const struct option_rule rules[] = {
    [AUDIT] = {.name = "--audit", .value = "DB", .help = "compare with this audit database"},
    [BATCH] = {.name = "--batch", .value = "N", .help = "entries read together (1000)"},
    [DATABASE] = {.name = "--db", .value = "OUT", .help = "with --policy: its tables go into OUT"},
    [DECISIONS] = {.name = "--decisions", .help = "print each decision on a line"},
    [DECODE_ONLY] = {.name = "--decode-only", .help = "decode, fold nothing: a measure of speed"},
    [JSON] = {.name = "--json", .help = "print the summary as one JSON object"},
    [LIMIT] = {.name = "--limit", .value = "N", .help = "with --policy: jobs to show (50)"},
    [POLICY] = {.name = "--policy",
                .value = "FILE",
                .help = "what if: compare with what the policy of FILE would have decided"},
};

static enum status replay_verb(const struct options *options);

const struct verb verb_replay = {
    .name = "replay",
    .arguments = "FILE|DIR",
    .summary = "Fold a capture again, offline; compare with the audit if one is given.",
    .argument_min = 1,
    .argument_max = 1,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = replay_verb,
};

static void put_decision(struct buffer *line, const struct decision *decision)
{
    buffer_put_span(line, decision->id);
    buffer_put_text(line, " action=");
    buffer_put_text(line, action_text(decision->action));
    buffer_put_text(line, " reason=");
    buffer_put_text(line, reason_code(decision->reason));
    buffer_put_text(line, " job=");
    buffer_put_json_string(line, decision->job);
    buffer_put_text(line, " worker=");
    buffer_put_json_string(line, decision->worker);
    buffer_put_text(line, " attempt=");
    buffer_put_decimal(line, decision->attempt);
    buffer_put_text(line, " evidence=");
    buffer_put_span(line, decision->evidence);
    buffer_put_byte(line, '\n');
}

static void print_decision(void *payload, const struct decision *decision)
{
    struct buffer *line = payload;
    buffer_reset(line);
    put_decision(line, decision);
    fwrite(line->data, 1, line->size, stdout);
}

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
               " decisions of the audit lie behind the capture's end at ordinal %" PRIu64 "\n",
               counts->audit_beyond, report->ordinal);
    }
}

static void print_text(const struct replay_report *report, bool is_decode_only)
{
    struct buffer id = {0};
    stream_id_put(&id, report->position);
    printf("entries=%" PRIu64 " decisions=%" PRIu64 " ordinal=%" PRIu64 " position=%.*s\n",
           report->entries, report->decisions, report->ordinal, (int)id.size, id.data);
    buffer_fini(&id);
    if (is_decode_only) {
        printf("undecodable=%" PRIu64 "\n", report->undecodable);
    } else {
        printf("state_hash=%s\n", sha256_text(&report->state_hash).text);
    }
    printf("elapsed_ms=%" PRIu64 "\n", report->elapsed_ns / 1000000);
    if (report->is_torn) {
        printf("torn: the capture ends in an incomplete frame, which was left out\n");
    }
    if (report->compare != NULL) {
        print_compared(report);
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

static void print_json(const struct replay_report *report, bool is_decode_only)
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
    if (is_decode_only) {
        json_put_number(&out, "undecodable", report->undecodable);
    } else {
        json_put_text(&out, "state_hash", span_of(sha256_text(&report->state_hash).text));
    }
    json_put_number(&out, "elapsed_ns", report->elapsed_ns);
    json_put_truth(&out, "torn", report->is_torn);
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

/* What --policy asks; the other ways of replaying say nothing about it. */
static enum status ask_what_if(const struct options *options)
{
    struct what_if_call call = {.verb = &verb_replay,
                                .capture = options->arguments[0],
                                .policy = options->value[POLICY],
                                .database = options->value[DATABASE],
                                .limit = WHAT_IF_LIMIT,
                                .is_json = options->value[JSON] != NULL};
    for (uint32_t option = 0; option < verb_replay.option_count; option++) {
        bool is_taken = option == DATABASE || option == JSON || option == LIMIT || option == POLICY;
        if (options->value[option] != NULL && !is_taken) {
            fprintf(stderr, "salvor replay: not %s with --policy; allowed: --db, --json, --limit\n",
                    rules[option].name);
            return STATUS_USAGE;
        }
    }
    return options_number(&verb_replay, options, LIMIT, 0, UINT32_MAX, &call.limit)
               ? what_if_call(&call)
               : STATUS_USAGE;
}

static enum status replay_verb(const struct options *options)
{
    if (options->value[POLICY] != NULL) {
        return ask_what_if(options);
    }
    if (options->value[LIMIT] != NULL || options->value[DATABASE] != NULL) {
        fprintf(stderr, "salvor replay: --limit and --db need --policy\n");
        return STATUS_USAGE;
    }
    uint64_t batch_size = REPLAY_BATCH;
    if (!options_number(&verb_replay, options, BATCH, 1, REPLAY_BATCH_MAX, &batch_size)) {
        return STATUS_USAGE;
    }
    bool is_decode_only = options->value[DECODE_ONLY] != NULL;
    if (is_decode_only && (options->value[AUDIT] != NULL || options->value[DECISIONS] != NULL)) {
        fprintf(stderr, "salvor replay: --decode-only decides nothing: not with --audit, "
                        "not with --decisions\n");
        return STATUS_USAGE;
    }
    struct buffer line = {0};
    struct replay_config config = {
        .capture = options->arguments[0],
        .audit = options->value[AUDIT],
        .batch_size = (uint32_t)batch_size,
        .is_decode_only = is_decode_only,
        .each = options->value[DECISIONS] != NULL ? print_decision : NULL,
        .payload = &line,
    };
    struct replay_report report = {0};
    struct error error = {0};
    bool is_fine = replay_run(&config, &report, &error);
    enum status status = STATUS_FINE;
    if (is_fine || error.code == ERROR_DIFFERENT) {
        (options->value[JSON] != NULL ? print_json : print_text)(&report, is_decode_only);
    }
    if (!is_fine) {
        status = verb_fail(&verb_replay, &error);
    }
    replay_report_fini(&report);
    buffer_fini(&line);
    return status;
}
