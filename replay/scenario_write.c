/* SPDX-License-Identifier: MIT */
#include "replay/scenario_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "reducers/narrow.h"
#include "replay/capture_source.h"
#include "replay/scenario_parts.h"

#define RUN_LONG_MS 600000 /* a longer quiet time is one tick, not thousands */
#define SHOWN_MAX   70     /* bytes of a row in a message */

/* Ticks in which nothing happened: whatever their steps were, nothing was due in them. */
static void put_quiet(struct scenario_writing *writing)
{
    uint64_t quiet_ms = writing->quiet_ms;
    writing->quiet_ms = 0;
    if (quiet_ms == 0) {
        return;
    }
    bool is_long = quiet_ms > RUN_LONG_MS;
    buffer_put_text(&writing->lines, is_long ? "tick elapsed_ms=" : "run ");
    buffer_put_decimal(&writing->lines, quiet_ms);
    buffer_put_text(&writing->lines, is_long ? " wall_ms=1000\n" : "\n");
    writing->entry_count += is_long ? 1 : (quiet_ms + SCENARIO_TICK_MS - 1) / SCENARIO_TICK_MS;
}

static bool is_forged(const struct fold_output *output)
{
    return output->problem != NULL && output->decisions[0].reason == REASON_FORGED;
}

/* A leader's tick without a gap, and how long it is. */
static bool is_plain_tick(const struct scenario_writing *writing, const struct scenario_line *line,
                          uint64_t *elapsed_ms)
{
    bool is_tick = line->problem == CODEC_NONE && line->event.type == EVENT_TICK &&
                   writing->output.problem == NULL;
    *elapsed_ms = is_tick ? event_number(&line->event, FIELD_ELAPSED_MS) : 0;
    return is_tick && event_number(&line->event, FIELD_GAP_MS) == 0;
}

/* The entry is folded; its line was begun before. */
static void write_entry(struct scenario_writing *writing, const struct entry *entry,
                        const struct scenario_line *line)
{
    uint64_t elapsed_ms;
    const struct fold_output *output = &writing->output;
    if (line->problem == CODEC_UNKNOWN_TYPE) {
        return; /* only counted */
    }
    bool is_tick = is_plain_tick(writing, line, &elapsed_ms);
    bool is_quiet = output->decision_count == 0 && output->change_count == 0;
    if (is_tick && is_quiet && writing->merges) {
        writing->quiet_ms += elapsed_ms;
        return;
    }
    /* A tick of the length that `run` takes ends a run that came to it in such steps. */
    bool ends_run = is_tick && elapsed_ms == SCENARIO_TICK_MS &&
                    writing->quiet_ms % SCENARIO_TICK_MS == 0 &&
                    writing->quiet_ms + elapsed_ms <= RUN_LONG_MS;
    if (ends_run) {
        writing->quiet_ms += elapsed_ms;
        put_quiet(writing);
    } else {
        put_quiet(writing);
        scenario_line_put(writing, entry, line, is_forged(output));
    }
    scenario_ids_add(writing, entry->id);
    struct buffer rows = {0};
    scenario_put_rows(&rows, output);
    scenario_ids_put(writing, &writing->rows, buffer_span(&rows));
    buffer_fini(&rows);
}

static bool is_too_large(const struct scenario_writing *writing)
{
    return writing->lines.size + writing->rows.size > SCENARIO_FILE_MAX ||
           writing->entry_count > SCENARIO_ENTRIES_MAX;
}

static bool begin(struct scenario_writing *writing, struct error *error)
{
    struct state_contents contents = state_contents(writing->state);
    if (contents.jobs + contents.workers + contents.effects > 0 || contents.is_held) {
        return error_set(error, ERROR_USAGE,
                         "no scenario begins here: the snapshot holds %" PRIu64 " jobs, %" PRIu64
                         " workers, %" PRIu64 " effects%s; begin earlier, where it holds nothing, "
                         "or at the stream's first entry",
                         contents.jobs, contents.workers, contents.effects,
                         contents.is_held ? " and a hold of the fleet" : "");
    }
    scenario_line_put_beginning(writing);
    return true;
}

static bool write_entries(struct scenario_writing *writing, struct capture_reader *reader,
                          struct scenario_report *report, struct error *error)
{
    struct entry entry;
    enum capture_next next;
    while ((next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
        struct scenario_line line;
        scenario_line_begin(writing, &entry, &line);
        if (!loop_fold_entry(writing->state, &entry, &writing->output, error)) {
            return false;
        }
        write_entry(writing, &entry, &line);
        report->entries++;
        report->decisions += writing->output.decision_count;
        if (is_too_large(writing)) {
            return error_set(error, ERROR_USAGE,
                             "too much for a scenario of up to %zu bytes and %d entries: cut less",
                             SCENARIO_FILE_MAX, SCENARIO_ENTRIES_MAX);
        }
    }
    put_quiet(writing);
    return next != CAPTURE_ERROR;
}

static bool write_lines(struct scenario_writing *writing, const char *capture,
                        struct scenario_report *report, struct error *error)
{
    struct capture_reader *reader = capture_open(capture, error);
    if (reader == NULL) {
        return false;
    }
    *report = (struct scenario_report){0};
    writing->state = capture_state(capture_reader_header(reader), error);
    bool is_written = writing->state != NULL && begin(writing, error) &&
                      write_entries(writing, reader, report, error);
    state_destroy(writing->state);
    writing->state = NULL;
    capture_reader_close(reader);
    return is_written;
}

/* --- the proof --- */

static void keep_rows(struct scenario *scenario)
{
    scenario_put_rows(scenario->user, &scenario->output);
}

static bool compare_rows(struct span wanted, struct span given, struct error *error)
{
    if (span_equal(wanted, given)) {
        return true;
    }
    struct span want, give;
    do {
        want = span_cut(&wanted, '\n');
        give = span_cut(&given, '\n');
    } while (span_equal(want, give));
    want.size = want.size > SHOWN_MAX ? SHOWN_MAX : want.size;
    give.size = give.size > SHOWN_MAX ? SHOWN_MAX : give.size;
    return error_set(error, ERROR_DIFFERENT,
                     "as a scenario it decides otherwise: \"%.*s\", in the capture \"%.*s\"",
                     SPAN_FORMAT(give), SPAN_FORMAT(want));
}

static bool prove(const struct scenario_writing *writing, const char *file, struct error *error)
{
    struct buffer rows = {0};
    struct scenario scenario;
    scenario_init(&scenario, file, keep_rows);
    scenario.user = &rows;
    bool is_proved = scenario_play(&scenario, buffer_span(&writing->lines), NULL, NULL, error);
    if (!is_proved) {
        error->code = ERROR_DIFFERENT;
    } else {
        is_proved = compare_rows(buffer_span(&writing->rows), buffer_span(&rows), error);
    }
    scenario_fini(&scenario);
    buffer_fini(&rows);
    return is_proved;
}

/* --- the file --- */

static bool store(const struct scenario_writing *writing,
                  const struct scenario_write_config *config, struct error *error)
{
    FILE *file = fopen(config->file, "wbx");
    if (file == NULL) {
        return error_set(error, errno == EEXIST ? ERROR_USAGE : ERROR_IO, "%s: cannot be made: %s",
                         config->file, strerror(errno));
    }
    fprintf(file, "# %s\n%.*s----\n%.*s", config->origin, SPAN_FORMAT(buffer_span(&writing->lines)),
            SPAN_FORMAT(buffer_span(&writing->rows)));
    bool is_written = ferror(file) == 0;
    is_written = fclose(file) == 0 && is_written;
    if (!is_written) {
        error_set(error, ERROR_IO, "%s: cannot be written: %s", config->file, strerror(errno));
        remove(config->file);
    }
    return is_written;
}

static uint64_t count_lines(struct span text)
{
    uint64_t count = 0;
    while (text.size > 0) {
        (void)span_cut(&text, '\n');
        count++;
    }
    return count;
}

bool scenario_write(const struct scenario_write_config *config, struct scenario_report *report,
                    struct error *error)
{
    bool is_written = false;
    /* Should merged ticks not say the same, all of them do. */
    for (int merges = 1; merges >= 0 && !is_written; merges--) {
        struct scenario_writing writing = {.merges = merges != 0};
        scenario_ids_init(&writing);
        is_written = write_lines(&writing, config->capture, report, error) &&
                     prove(&writing, config->file, error) && store(&writing, config, error);
        report->lines = count_lines(buffer_span(&writing.lines));
        scenario_ids_fini(&writing);
        fold_output_fini(&writing.output);
        buffer_fini(&writing.lines);
        buffer_fini(&writing.rows);
        if (!is_written && error->code != ERROR_DIFFERENT) {
            break;
        }
    }
    return is_written;
}
