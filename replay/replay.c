/* SPDX-License-Identifier: MIT */
#include "replay/replay.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/clock.h"
#include "replay/capture_source.h"
#include "replay/loop.h"

/* Counts what passes, and shows it. */
struct tally {
    const struct replay_config *config;
    struct replay_report *report;
};

static bool tally_fold(void *self, const struct entry *entry, const struct state *state,
                       const struct fold_output *output, struct error *error)
{
    (void)entry, (void)state, (void)error;
    struct tally *tally = self;
    tally->report->entries++;
    tally->report->decisions += output->decision_count;
    if (tally->config->each != NULL) {
        for (uint32_t i = 0; i < output->decision_count; i++) {
            tally->config->each(tally->config->payload, &output->decisions[i]);
        }
    }
    return true;
}

static bool replay_open_audit(const struct replay_config *config, struct replay_report *report,
                              struct error *error)
{
    if (config->audit == NULL) {
        return true;
    }
    report->audit = audit_open(config->audit, AUDIT_READ, report->partition, error);
    if (report->audit == NULL) {
        return false;
    }
    report->compare = compare_open(report->audit, report->first_ordinal, error);
    return report->compare != NULL;
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

static bool replay_fold(const struct replay_config *config, struct replay_report *report,
                        struct capture_reader *reader, struct error *error)
{
    struct state *state = capture_state(capture_reader_header(reader), error);
    if (state == NULL) {
        return error_wrap(error, "%s", config->capture);
    }
    bool is_fine = false;
    struct tally tally = {.config = config, .report = report};
    struct capture_source source = capture_source_init(reader, config->batch_size);
    struct loop loop = {
        .state = state,
        .source = capture_source_source(&source),
        .sinks = {{.name = "replay", .self = &tally, .fold = tally_fold}},
        .sink_count = 1,
    };
    if (!replay_open_audit(config, report, error)) {
        goto destroy_state;
    }
    if (report->compare != NULL) {
        loop.sinks[loop.sink_count++] = compare_sink(report->compare);
    }
    uint64_t start_ns = clock_boot_ns();
    is_fine = loop_run(&loop, error);
    report->elapsed_ns = clock_boot_ns() - start_ns;
    report->is_torn = source.is_torn;
    replay_finish(report, state);
    if (report->compare != NULL) {
        is_fine = is_fine && compare_finish(report->compare, state, error);
        report->counts = compare_counts(report->compare);
    }
destroy_state:
    state_destroy(state);
    return is_fine;
}

static bool replay_decode(struct replay_report *report, struct capture_reader *reader,
                          struct error *error)
{
    struct event event;
    struct entry entry;
    struct span field;
    uint64_t start_ns = clock_boot_ns();
    enum capture_next next;
    while ((next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
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
    bool is_fine = config->is_decode_only ? replay_decode(report, reader, error)
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
