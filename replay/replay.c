/* SPDX-License-Identifier: MIT */
#include "replay/replay.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/clock.h"
#include "replay/capture_source.h"
#include "replay/loop.h"
#include "replay/scribe.h"

/* One fold under way. */
struct replay {
    const struct replay_config *config;
    struct replay_report *report;
    struct source inner;          /* the capture */
    bool is_over;                 /* an entry behind `until` was met */
    bool has_begun;               /* `from` is reached */
    struct scribe *scribe;        /* NULL: none */
    struct sink compare, scribes; /* without functions where there is none */
    struct error difference;      /* the audit disagrees, and the scribe goes on */
};

/* --- the source: the capture up to `until` --- */

static void replay_cut(struct replay *replay, const struct state *state, struct batch *batch)
{
    const struct place *until = &replay->config->until;
    uint64_t ordinal = state_summary(state).ordinal;
    for (uint32_t i = 0; until->kind != PLACE_NONE && i < batch->count; i++) {
        if (place_compare(until, batch->entries[i].id, ordinal + 1 + i) > 0) {
            batch->count = i;
            replay->is_over = batch->is_caught_up = true;
        }
    }
}

static enum source_next replay_read(void *self, const struct state *state, struct batch *batch,
                                    struct error *error)
{
    struct replay *replay = self;
    const struct replay_config *config = replay->config;
    struct replay_report *report = replay->report;
    if (config->step != NULL && !config->step(config->step_payload, state_summary(state).ordinal)) {
        report->is_interrupted = true;
        return SOURCE_END;
    }
    if (replay->is_over) {
        return SOURCE_END;
    }
    enum source_next next = replay->inner.read(replay->inner.self, state, batch, error);
    replay_cut(replay, state, batch);
    return next == SOURCE_BATCH && batch->count == 0 ? SOURCE_END : next;
}

/* --- the sink: what is made of each entry from `from` on --- */

static bool replay_open_compare(struct replay *replay, struct error *error)
{
    struct replay_report *report = replay->report;
    if (report->audit == NULL) {
        return true;
    }
    report->compare = compare_open(report->audit, report->first_ordinal, error);
    if (report->compare != NULL) {
        replay->compare = compare_sink(report->compare);
    }
    return report->compare != NULL;
}

static bool replay_begin(struct replay *replay, const struct entry *entry,
                         const struct state *state, struct error *error)
{
    struct replay_report *report = replay->report;
    const struct place *from = &replay->config->from;
    uint64_t ordinal = state_summary(state).ordinal;
    if (from->kind != PLACE_NONE && place_compare(from, entry->id, ordinal) < 0) {
        report->passed++;
        return true;
    }
    replay->has_begun = true;
    report->first_ordinal = ordinal - 1;
    return replay_open_compare(replay, error);
}

static bool replay_compare(struct replay *replay, const struct entry *entry,
                           const struct state *state, const struct fold_output *output,
                           struct error *error)
{
    if (replay->compare.fold == NULL ||
        replay->compare.fold(replay->compare.self, entry, state, output, error)) {
        return true;
    }
    if (error->code != ERROR_DIFFERENT || replay->scribe == NULL) {
        return false;
    }
    /* The first difference is told; the database still shows all of what the fold gives. */
    replay->difference = *error;
    replay->compare.fold = NULL;
    return true;
}

static bool replay_each(void *self, const struct entry *entry, const struct state *state,
                        const struct fold_output *output, struct error *error)
{
    struct replay *replay = self;
    const struct replay_config *config = replay->config;
    if (!replay->has_begun && !replay_begin(replay, entry, state, error)) {
        return false;
    }
    if (!replay->has_begun) {
        return true;
    }
    replay->report->entries++;
    replay->report->decisions += output->decision_count;
    if (config->each != NULL) {
        for (uint32_t i = 0; i < output->decision_count; i++) {
            config->each(config->payload, &output->decisions[i]);
        }
    }
    return replay_compare(replay, entry, state, output, error) &&
           (replay->scribe == NULL ||
            replay->scribes.fold(replay->scribes.self, entry, state, output, error));
}

static bool replay_commit(void *self, const struct state *state, bool is_caught_up,
                          struct error *error)
{
    struct replay *replay = self;
    return replay->scribe == NULL ||
           replay->scribes.commit(replay->scribes.self, state, is_caught_up, error);
}

static void replay_finish(struct replay_report *report, const struct state *state)
{
    struct state_summary summary = state_summary(state);
    struct buffer bytes = {0};
    state_encode(state, &bytes);
    report->state_hash = sha256_of(buffer_span(&bytes));
    report->ordinal = summary.ordinal;
    report->position = summary.position;
    buffer_fini(&bytes);
}

/* What the fold is held against and written into. */
static bool replay_open_sinks(struct replay *replay, struct error *error)
{
    const struct replay_config *config = replay->config;
    struct replay_report *report = replay->report;
    if (config->audit != NULL) {
        report->audit = audit_open(config->audit, AUDIT_READ, report->partition, error);
        if (report->audit == NULL) {
            return false;
        }
    }
    if (config->database != NULL) {
        replay->scribe = scribe_open(config->database, report->partition, error);
        if (replay->scribe == NULL) {
            return false;
        }
        replay->scribes = scribe_sink(replay->scribe);
    }
    return true;
}

static bool replay_run_loop(struct replay *replay, struct state *state, struct error *error)
{
    struct replay_report *report = replay->report;
    struct loop loop = {
        .state = state,
        .source = {.self = replay, .read = replay_read},
        .sinks = {{.name = "replay", .self = replay, .fold = replay_each, .commit = replay_commit}},
        .sink_count = 1,
    };
    uint64_t start_ns = clock_boot_ns();
    bool is_fine = loop_run(&loop, error);
    report->elapsed_ns = clock_boot_ns() - start_ns;
    if (is_fine && !replay->has_begun && replay->config->from.kind != PLACE_NONE &&
        !report->is_interrupted) {
        struct state_summary summary = state_summary(state);
        return error_set(error, ERROR_USAGE,
                         "ends with entry %" PRIu64 "-%" PRIu64 " at ordinal %" PRIu64
                         ", before the place to begin at",
                         summary.position.ms, summary.position.seq, summary.ordinal);
    }
    if (is_fine && report->entries == 0 && replay->config->until.kind != PLACE_NONE &&
        !report->is_interrupted) {
        return error_set(error, ERROR_USAGE, "%s: no entry lies between --from and --until",
                         replay->config->capture);
    }
    return is_fine;
}

/* The fold has ended well: what stands behind its end, and the database's last rows. */
static bool replay_close_sinks(struct replay *replay, const struct state *state,
                               struct error *error)
{
    struct replay_report *report = replay->report;
    bool is_equal = replay->difference.code == ERROR_NONE;
    report->first_ordinal =
        replay->has_begun ? report->first_ordinal : state_summary(state).ordinal;
    if (!replay->has_begun && !replay_open_compare(replay, error)) {
        return false;
    }
    if (is_equal && report->compare != NULL &&
        !compare_finish(report->compare, state, &replay->difference)) {
        is_equal = false;
    }
    if (replay->scribe != NULL) {
        report->earlier_outcomes = scribe_earlier_outcomes(replay->scribe);
        if (!scribe_finish(replay->scribe, state, error)) {
            return false;
        }
    }
    if (!is_equal) {
        *error = replay->difference;
    }
    return is_equal;
}

/* To the last snapshot at or before `from`. */
/* A later file's snapshot may be of another version than this program's: the capture's beginning is
 * as good, only further away. */
static struct state *replay_first_state(const struct replay_config *config,
                                        struct capture_reader *reader, struct error *error)
{
    uint64_t first = capture_reader_ordinal(reader);
    if (!capture_seek_place(reader, &config->from, error)) {
        return NULL;
    }
    struct state *state = capture_state(capture_reader_header(reader), error);
    bool has_earlier = capture_reader_header(reader)->ordinal > first;
    if (state == NULL && has_earlier && capture_seek(reader, first, error)) {
        state = capture_state(capture_reader_header(reader), error);
    }
    return state;
}

static bool replay_fold(const struct replay_config *config, struct replay_report *report,
                        struct capture_reader *reader, struct error *error)
{
    struct state *state = replay_first_state(config, reader, error);
    report->first_ordinal = capture_reader_header(reader)->ordinal;
    if (state == NULL) {
        return error_wrap(error, "%s", config->capture);
    }
    struct capture_source source = capture_source_init(reader, config->batch_size);
    struct replay replay = {
        .config = config, .report = report, .inner = capture_source_source(&source)};
    bool is_fine = replay_open_sinks(&replay, error) && replay_run_loop(&replay, state, error);
    report->is_torn = source.is_torn;
    replay_finish(report, state);
    is_fine = is_fine && replay_close_sinks(&replay, state, error);
    if (report->compare != NULL) {
        report->counts = compare_counts(report->compare);
    }
    scribe_close(replay.scribe);
    state_destroy(state);
    return is_fine;
}

static bool replay_decode(const struct replay_config *config, struct replay_report *report,
                          struct capture_reader *reader, struct error *error)
{
    struct event event;
    struct entry entry;
    struct span field;
    uint64_t start_ns = clock_boot_ns();
    enum capture_next next;
    while ((next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
        if (report->entries % config->batch_size == 0 && config->step != NULL &&
            !config->step(config->step_payload, report->first_ordinal + report->entries)) {
            report->is_interrupted = true;
            break;
        }
        report->undecodable += codec_decode(&entry, &event, &field) != CODEC_NONE;
        report->entries++;
        report->position = entry.id;
    }
    report->elapsed_ns = clock_boot_ns() - start_ns;
    report->ordinal = report->first_ordinal + report->entries;
    report->is_torn = next == CAPTURE_TORN;
    return next != CAPTURE_ERROR;
}

bool replay_run(const struct replay_config *config, struct replay_report *report,
                struct error *error)
{
    CHECK(config->batch_size > 0 && config->batch_size <= REPLAY_BATCH_MAX);
    struct capture_reader *reader = capture_open(config->capture, error);
    if (reader == NULL) {
        return false;
    }
    report->partition = capture_reader_header(reader)->partition;
    report->first_ordinal = capture_reader_header(reader)->ordinal;
    bool is_fine = config->is_decode_only ? replay_decode(config, report, reader, error)
                                          : replay_fold(config, report, reader, error);
    capture_reader_close(reader);
    return is_fine;
}

void replay_report_fini(struct replay_report *report)
{
    compare_close(report->compare);
    report->compare = NULL;
    audit_close(report->audit);
    report->audit = NULL;
}
