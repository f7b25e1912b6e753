/* SPDX-License-Identifier: MIT */
#include "replay/cut.h"

#include "replay/capture_source.h"
#include "replay/cut_parts.h"

#define STEP_ENTRIES 1024

/* Opens the capture at the last file that begins at or before the range. */
static struct capture_reader *open_capture(const struct cut_config *config, struct error *error)
{
    struct capture_reader *reader = capture_open(config->capture, error);
    if (reader != NULL && !capture_seek_place(reader, &config->range.from, error)) {
        capture_reader_close(reader);
        return NULL;
    }
    return reader;
}

static bool visit(struct cutting *cutting, const struct cut_visitor *visitor,
                  const struct entry *entry, enum excerpt_side side, struct error *error)
{
    bool is_inside = side == EXCERPT_INSIDE;
    bool is_first = is_inside && cutting->report->of_entries == 0;
    if (is_inside && visitor->before != NULL && !visitor->before(cutting, entry, is_first, error)) {
        return false;
    }
    cutting->report->of_entries += is_inside ? 1 : 0;
    if (is_inside && !visitor->folds_range) {
        return true;
    }
    if (!loop_fold_entry(cutting->state, entry, &cutting->output, error)) {
        return false;
    }
    return !is_inside || visitor->after == NULL || visitor->after(cutting, entry, error);
}

static bool walk_entries(struct cutting *cutting, const struct cut_visitor *visitor,
                         struct capture_reader *reader, struct error *error)
{
    const struct cut_config *config = cutting->config;
    uint64_t ordinal = capture_reader_header(reader)->ordinal, read = 0;
    struct entry entry;
    enum capture_next next;
    while ((next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
        if (cutting->pass > 1 && ordinal >= cutting->end) {
            return true;
        }
        enum excerpt_side side = excerpt_side(&config->range, entry.id, ++ordinal);
        if (side == EXCERPT_BEHIND) {
            cutting->end = cutting->pass == 1 ? ordinal : cutting->end;
            return true;
        }
        if (!visit(cutting, visitor, &entry, side, error)) {
            return false;
        }
        if (++read % STEP_ENTRIES == 0 && config->step != NULL &&
            !config->step(config->payload, cutting->pass, read)) {
            return error_set(error, ERROR_STOPPED, "stopped; nothing was kept");
        }
    }
    if (cutting->pass == 1) {
        cutting->end = ordinal;
        cutting->report->is_torn = next == CAPTURE_TORN;
    }
    return next != CAPTURE_ERROR;
}

bool cut_walk(struct cutting *cutting, const struct cut_visitor *visitor, struct error *error)
{
    cutting->pass++;
    cutting->report->of_entries = 0;
    struct capture_reader *reader = open_capture(cutting->config, error);
    if (reader == NULL) {
        return false;
    }
    bool is_walked = false;
    cutting->state = capture_state(capture_reader_header(reader), error);
    if (cutting->state == NULL) {
        error_wrap(error, "%s", cutting->config->capture);
    } else {
        is_walked = walk_entries(cutting, visitor, reader, error);
    }
    state_destroy(cutting->state);
    cutting->state = NULL;
    capture_reader_close(reader);
    if (is_walked && cutting->report->of_entries == 0) {
        is_walked = error_set(error, ERROR_USAGE, "%s: no entry lies between --from and --until",
                              cutting->config->capture);
    }
    return is_walked;
}

/* --- a range --- */

static bool copy_entry(struct cutting *cutting, const struct entry *entry, bool is_first,
                       struct error *error)
{
    return (!is_first || excerpt_begin(&cutting->excerpt, cutting->state, error)) &&
           excerpt_add(&cutting->excerpt, entry, error);
}

static bool cut_range(struct cutting *cutting, struct error *error)
{
    static const struct cut_visitor visitor = {.before = copy_entry};
    return cut_walk(cutting, &visitor, error) && excerpt_end(&cutting->excerpt, error);
}

bool cut_run(const struct cut_config *config, struct cut_report *report, struct error *error)
{
    *report = (struct cut_report){0};
    if (!excerpt_check_directory(config->directory, error)) {
        return false;
    }
    struct cutting cutting = {
        .config = config, .report = report, .excerpt = {.directory = config->directory}};
    bool is_cut = config->job == NULL ? cut_range(&cutting, error) : cut_job(&cutting, error);
    if (is_cut) {
        report->entries = cutting.excerpt.entries;
        report->ordinal = cutting.excerpt.ordinal;
        report->first = cutting.excerpt.first;
        report->last = cutting.excerpt.last;
    } else if (cutting.excerpt.entries > 0 || cutting.excerpt.writer != NULL) {
        excerpt_drop(&cutting.excerpt);
    }
    fold_output_fini(&cutting.output);
    return is_cut;
}
