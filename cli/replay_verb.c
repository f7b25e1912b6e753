/* SPDX-License-Identifier: MIT
 * `salvor replay FILE|DIR`: folds a capture again and says whether the audit agrees. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/interrupt.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "cli/replay_check.h"
#include "cli/replay_report.h"
#include "cli/verb.h"
#include "cli/what_if.h"
#include "replay/decision_line.h"
#include "store/capture.h"

enum {
    AUDIT,
    BATCH,
    CHECK,
    DATABASE,
    DECISIONS,
    DECODE_ONLY,
    FROM,
    JSON,
    LIMIT,
    POLICY,
    REWRITE,
    UNTIL
};

static const struct option_rule rules[] = {
    [AUDIT] = {.name = "--audit", .value = "DB", .help = "compare with this audit database"},
    [BATCH] = {.name = "--batch", .value = "N", .help = "entries read together (128)"},
    [CHECK] = {.name = "--check",
               .value = "DIR",
               .help = "replay each NAME.capture of DIR against its NAME.expected"},
    [DATABASE] = {.name = "--db",
                  .value = "OUT",
                  .help = "write a new database: an audit, or the tables of --policy"},
    [DECISIONS] = {.name = "--decisions", .help = "print each decision on a line"},
    [DECODE_ONLY] = {.name = "--decode-only", .help = "decode, fold nothing: a measure of speed"},
    [FROM] = {.name = "--from", .value = "PLACE", .help = "compare, write, print from here on"},
    [JSON] = {.name = "--json", .help = "print the summary as one JSON object"},
    [LIMIT] = {.name = "--limit", .value = "N", .help = "with --policy: jobs to show (50)"},
    [POLICY] = {.name = "--policy",
                .value = "FILE",
                .help = "what if: compare with what the policy of FILE would have decided"},
    [REWRITE] = {.name = "--rewrite", .help = "with --check: write the expected decisions anew"},
    [UNTIL] = {.name = "--until", .value = "PLACE", .help = "the last entry to fold"},
};

static enum status replay_verb(const struct options *options);

const struct verb verb_replay = {
    .name = "replay",
    .arguments = "FILE|DIR",
    .summary = "Fold a capture again, offline; compare with the audit if one is given.",
    .argument_min = 0, /* none with --check */
    .argument_max = 1,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = replay_verb,
    .help_more = place_help,
};

static void print_decision(void *payload, const struct decision *decision)
{
    struct buffer *line = payload;
    buffer_reset(line);
    decision_line_put(line, decision);
    fwrite(line->data, 1, line->size, stdout);
}

/* How far the replay is; it may begin behind the capture's first entry. */
struct stepping {
    struct progress progress;
    struct capture_range range; /* zero: not known */
    uint64_t begun_at;          /* ordinal */
    bool has_begun;
};

static bool step(void *payload, uint64_t ordinal)
{
    struct stepping *stepping = payload;
    const struct capture_range *range = &stepping->range;
    if (!stepping->has_begun) {
        uint64_t end = range->first_ordinal + range->entries;
        stepping->has_begun = true;
        stepping->begun_at = ordinal;
        stepping->progress = progress_begin("replay", end > ordinal ? end - ordinal : 0);
    }
    progress_step(&stepping->progress, ordinal - stepping->begun_at);
    return !interrupt_is_asked();
}

static bool refuse(const char *problem)
{
    fprintf(stderr, "salvor replay: %s\n", problem);
    return false;
}

/* Options that say nothing together. */
static bool options_agree(const struct options *options)
{
    static const uint8_t folding[] = {AUDIT, DATABASE, DECISIONS, FROM, UNTIL};
    if (options->value[REWRITE] != NULL && options->value[CHECK] == NULL) {
        return refuse("--rewrite belongs to --check");
    }
    if (options->value[LIMIT] != NULL) {
        return refuse("--limit belongs to --policy");
    }
    if (options->value[DECISIONS] != NULL && options->value[JSON] != NULL) {
        return refuse("--decisions prints lines for people: not with --json");
    }
    if (options->argument_count == 0) {
        return refuse("needs FILE|DIR");
    }
    for (size_t i = 0; options->value[DECODE_ONLY] != NULL && i < sizeof(folding); i++) {
        if (options->value[folding[i]] != NULL) {
            fprintf(stderr, "salvor replay: --decode-only decides nothing: not with %s\n",
                    rules[folding[i]].name);
            return false;
        }
    }
    return true;
}

static bool read_config(const struct options *options, struct replay_config *config)
{
    uint64_t batch_size = REPLAY_BATCH;
    if (!options_agree(options) ||
        !options_number(&verb_replay, options, BATCH, 1, REPLAY_BATCH_MAX, &batch_size) ||
        !options_place(&verb_replay, options, FROM, &config->from) ||
        !options_until(&verb_replay, options, UNTIL, &config->until)) {
        return false;
    }
    config->capture = options->arguments[0];
    config->audit = options->value[AUDIT];
    config->database = options->value[DATABASE];
    config->batch_size = (uint32_t)batch_size;
    config->is_decode_only = options->value[DECODE_ONLY] != NULL;
    config->each = options->value[DECISIONS] != NULL ? print_decision : NULL;
    return true;
}

/* --check takes no other option but its own. */
static enum status check(const struct options *options)
{
    for (uint32_t i = 0; i < verb_replay.option_count; i++) {
        bool is_of_check = i == CHECK || i == REWRITE || i == JSON;
        if (options->value[i] != NULL && !is_of_check) {
            fprintf(stderr, "salvor replay: --check goes alone or with --rewrite: not with %s\n",
                    rules[i].name);
            return STATUS_USAGE;
        }
    }
    if (options->argument_count > 0) {
        (void)refuse("--check names the folder itself: no further argument");
        return STATUS_USAGE;
    }
    return replay_check(options->value[CHECK], options->value[REWRITE] != NULL,
                        options->value[JSON] != NULL);
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
    if (call.capture == NULL) {
        (void)refuse("needs FILE|DIR");
        return STATUS_USAGE;
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
    struct buffer line = {0};
    struct stepping stepping = {.has_begun = false};
    struct replay_config config = {.payload = &line, .step = step, .step_payload = &stepping};
    if (options->value[CHECK] != NULL) {
        return check(options);
    }
    if (!read_config(options, &config)) {
        return STATUS_USAGE;
    }
    interrupt_catch();
    struct replay_report report = {0};
    struct error error = {0}, unknown;
    if (!capture_range(config.capture, &stepping.range, &unknown)) {
        stepping.range = (struct capture_range){0}; /* The replay will say what is wrong there. */
    }
    bool is_fine = replay_run(&config, &report, &error);
    progress_end(&stepping.progress);
    enum status status = report.is_interrupted ? STATUS_FAILED : STATUS_FINE;
    if (is_fine || error.code == ERROR_DIFFERENT) {
        (options->value[JSON] != NULL ? replay_report_print_json : replay_report_print)(&config,
                                                                                        &report);
    }
    if (!is_fine) {
        status = verb_fail(&verb_replay, &error);
    }
    replay_report_fini(&report);
    buffer_fini(&line);
    return status;
}
