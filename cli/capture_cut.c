/* SPDX-License-Identifier: MIT
 * `salvor capture cut FILE|DIR`: a piece of a capture as a capture of its own, or as a scenario. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/capture_parts.h"
#include "cli/interrupt.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "replay/cut.h"
#include "replay/scenario_write.h"

#define TEMPORARY_SUFFIX ".XXXXXX"

enum { OUT, FROM, UNTIL, JOB, AS_SCENARIO, JSON };

static const struct option_rule rules[] = {
    [OUT] = {.name = "--out", .value = "DIR", .help = "write the cut here; holds no capture yet"},
    [FROM] = PLACE_FROM_RULE,
    [UNTIL] = PLACE_UNTIL_RULE,
    [JOB] = {.name = "--job",
             .value = "JOB",
             .help = "only what touches this job; proved to give the same decisions"},
    [AS_SCENARIO] = {.name = "--as-scenario",
                     .value = "FILE",
                     .help = "write the cut as a scenario too; --out may be left out then"},
    [JSON] = {.name = "--json", .help = "print one JSON object"},
};

static enum status cut_verb(const struct options *options);

const struct verb verb_capture_cut = {
    .name = "capture cut",
    .arguments = "FILE|DIR",
    .summary = "Cut a piece out of a capture: a range, or what touches one job.",
    .argument_min = 1,
    .argument_max = 1,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = cut_verb,
    .help_more = place_help,
};

/* What the command line asks for, and what came of it; texts are borrowed. */
struct cut_work {
    struct cut_config config;
    struct cut_report report;
    struct progress progress;
    uint32_t pass;
    const char *scenario_file; /* NULL: none */
    struct scenario_report scenario;
    struct buffer temporary; /* the cut's folder where only the scenario is wanted */
};

static bool step(void *payload, uint32_t pass, uint64_t entries)
{
    struct cut_work *work = payload;
    if (pass != work->pass) {
        progress_end(&work->progress);
        work->progress = progress_begin("cut", work->progress.total);
        work->pass = pass;
    }
    progress_step(&work->progress, entries);
    return !interrupt_is_asked();
}

static bool read_options(const struct options *options, struct cut_work *work)
{
    struct excerpt_range *range = &work->config.range;
    if (!options_place(&verb_capture_cut, options, FROM, &range->from) ||
        !options_until(&verb_capture_cut, options, UNTIL, &range->until)) {
        return false;
    }
    if (options->value[OUT] == NULL && options->value[AS_SCENARIO] == NULL) {
        fprintf(stderr, "salvor capture cut: needs --out DIR or --as-scenario FILE\n");
        return false;
    }
    if (options->value[JOB] != NULL && options->value[JOB][0] == '\0') {
        fprintf(stderr, "salvor capture cut: --job \"\": allowed: a job's id\n");
        return false;
    }
    return true;
}

/* The cut's folder: the one that was asked for, or one of our own beside the scenario. */
static bool choose_directory(const struct options *options, struct cut_work *work,
                             struct error *error)
{
    work->config.directory = options->value[OUT];
    if (work->config.directory != NULL) {
        return true;
    }
    buffer_put_text(&work->temporary, work->scenario_file);
    buffer_put(&work->temporary, TEMPORARY_SUFFIX, sizeof(TEMPORARY_SUFFIX));
    work->config.directory = mkdtemp(work->temporary.data);
    return work->config.directory != NULL ||
           error_set(error, ERROR_IO, "%s: no folder can be made beside it: %s",
                     work->scenario_file, strerror(errno));
}

/* "capture-0, ids 1-0 to 9-0, job j1": no paths of this machine. */
static void put_origin(const struct cut_work *work, struct buffer *out)
{
    const char *slash = strrchr(work->config.capture, '/');
    bool has_name = slash != NULL && slash[1] != '\0';
    buffer_put_text(out, "Cut from ");
    buffer_put_text(out, has_name ? slash + 1 : work->config.capture);
    buffer_put_text(out, ", ids ");
    stream_id_put(out, work->report.first);
    buffer_put_text(out, " to ");
    stream_id_put(out, work->report.last);
    if (work->config.job != NULL) {
        buffer_put_text(out, ", job ");
        buffer_put_text(out, work->config.job);
    }
    for (size_t i = 0; i < out->size; i++) { /* it stays one line */
        out->data[i] = (unsigned char)out->data[i] < ' ' ? ' ' : out->data[i];
    }
    buffer_put_byte(out, '\0');
}

static bool write_scenario(struct cut_work *work, struct error *error)
{
    struct buffer origin = {0};
    put_origin(work, &origin);
    struct scenario_write_config config = {
        .capture = work->config.directory,
        .file = work->scenario_file,
        .origin = origin.data,
    };
    bool is_written = scenario_write(&config, &work->scenario, error);
    buffer_fini(&origin);
    return is_written;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void print_text(const struct cut_work *work)
{
    const struct cut_report *report = &work->report;
    struct buffer ids = {0};
    stream_id_put(&ids, report->first);
    buffer_put_text(&ids, " to ");
    stream_id_put(&ids, report->last);
    if (work->temporary.size == 0) {
        printf("%s: ", work->config.directory);
    }
    printf("%" PRIu64 " of %" PRIu64 " entries, behind ordinal %" PRIu64 ", ids %.*s\n",
           report->entries, report->of_entries, report->ordinal, SPAN_FORMAT(buffer_span(&ids)));
    buffer_fini(&ids);
    if (work->config.job != NULL) {
        printf("with it: %" PRIu64 " job%s, %" PRIu64 " worker%s\n", report->jobs - 1,
               plural(report->jobs - 1), report->workers, plural(report->workers));
        printf("the cut gives the same %" PRIu64 " decision%s about %s\n", report->decisions,
               plural(report->decisions), work->config.job);
    }
    if (report->is_torn) {
        printf("torn: the capture ends in an incomplete frame, which was left out\n");
    }
    if (work->scenario_file != NULL) {
        printf("%s: %" PRIu64 " lines give the same %" PRIu64 " decisions\n", work->scenario_file,
               work->scenario.lines, work->scenario.decisions);
    }
}

static void put_json_id(struct buffer *out, const char *key, struct stream_id id)
{
    struct buffer text = {0};
    stream_id_put(&text, id);
    json_put_text(out, key, buffer_span(&text));
    buffer_fini(&text);
}

static void print_json(const struct cut_work *work)
{
    const struct cut_report *report = &work->report;
    struct buffer out = {0};
    buffer_put_byte(&out, '{');
    if (work->temporary.size == 0) {
        json_put_text(&out, "directory", span_of(work->config.directory));
    }
    json_put_number(&out, "entries", report->entries);
    json_put_number(&out, "of_entries", report->of_entries);
    json_put_number(&out, "ordinal", report->ordinal);
    put_json_id(&out, "first", report->first);
    put_json_id(&out, "last", report->last);
    json_put_truth(&out, "torn", report->is_torn);
    if (work->config.job != NULL) {
        json_put_text(&out, "job", span_of(work->config.job));
        json_put_number(&out, "jobs", report->jobs);
        json_put_number(&out, "workers", report->workers);
        json_put_number(&out, "decisions", report->decisions);
    }
    if (work->scenario_file != NULL) {
        json_put_text(&out, "scenario", span_of(work->scenario_file));
        json_put_number(&out, "scenario_lines", work->scenario.lines);
        json_put_number(&out, "scenario_decisions", work->scenario.decisions);
    }
    buffer_put_text(&out, "}\n");
    fwrite(out.data, 1, out.size, stdout);
    buffer_fini(&out);
}

static uint64_t entries_of(const char *capture)
{
    struct capture_range range;
    struct error error;
    return capture_range(capture, &range, &error) ? range.entries : 0;
}

static enum status fail(const struct cut_work *work, const struct error *error)
{
    enum status status = verb_fail(&verb_capture_cut, error);
    if (error->code == ERROR_DIFFERENT && work->report.entries == 0) {
        fprintf(stderr,
                "What touches %s does not decide alone; nothing was kept. Cut all of a "
                "range instead: --from and --until, without --job.\n",
                work->config.job);
    }
    return status;
}

static enum status cut_verb(const struct options *options)
{
    struct cut_work work = {
        .config = {.capture = options->arguments[0], .job = options->value[JOB], .step = step},
        .scenario_file = options->value[AS_SCENARIO],
    };
    work.config.payload = &work;
    if (!read_options(options, &work)) {
        return STATUS_USAGE;
    }
    struct error error = {0};
    interrupt_catch();
    work.progress = progress_begin("cut", entries_of(work.config.capture));
    bool is_fine =
        choose_directory(options, &work, &error) && cut_run(&work.config, &work.report, &error);
    progress_end(&work.progress);
    is_fine = is_fine && (work.scenario_file == NULL || write_scenario(&work, &error));
    enum status status = STATUS_FINE;
    if (is_fine) {
        (options->value[JSON] != NULL ? print_json : print_text)(&work);
    } else {
        status = fail(&work, &error);
    }
    if (work.temporary.size > 0 && work.config.directory != NULL) {
        excerpt_drop(&(struct excerpt){.directory = work.config.directory});
    }
    buffer_fini(&work.temporary);
    return status;
}
