/* SPDX-License-Identifier: MIT
 * A journal's beginning: audit, snapshot, capture, and the fold of what the capture holds. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "replay/capture_source.h"
#include "replay/journal_parts.h"
#include "replay/owner.h"

#define REFOLD_BATCH 1000

/* Where the fold of the own capture begins. */
struct beginning {
    struct state *state;
    struct buffer snapshot; /* that encodes it; empty at ordinal 0 */
    struct sha256 head;     /* of the audit's chain there */
};

/* The own capture can be folded from its start: it has one, or the stream is read again. */
static bool journal_check_start(const struct journal *journal, uint64_t unreadable,
                                struct error *error)
{
    struct capture_range range;
    struct error ignored;
    bool is_behind = capture_range(journal->capture_path, &range, &ignored) && range.files > 0 &&
                     range.first_ordinal > 0;
    return !is_behind ||
           error_set(error, ERROR_REFUSED,
                     "snapshot at %" PRIu64 ": of another version; captures begin at %" PRIu64
                     ": start the Salvor that wrote it, or move DATA away to read the stream anew",
                     unreadable, range.first_ordinal);
}

/* From the newest snapshot that this program can read, else from the capture's start: the bytes
 * are what was written (the audit looks), so one that is no state is of another version. */
static bool journal_load_state(struct journal *journal, struct beginning *out, struct error *error)
{
    struct audit_position position = {.ordinal = journal->committed.ordinal + 1};
    uint64_t unreadable = 0;
    *error = (struct error){0};
    while (position.ordinal > 0 && audit_load_snapshot(journal->audit, position.ordinal - 1,
                                                       &position, &out->snapshot, error)) {
        out->state = state_decode(buffer_span(&out->snapshot));
        if (out->state != NULL) {
            CHECK(state_summary(out->state).ordinal == position.ordinal);
            out->head = position.audit_head;
            journal->anchor = position.entry_sha256;
            return true;
        }
        log_fact(LOG_WARNING, "snapshot_unreadable", "partition",
                 log_number(journal->config.partition), "ordinal", log_number(position.ordinal),
                 "action", "the capture is folded from an older one or its start", NULL);
        buffer_reset(&out->snapshot);
        unreadable = unreadable == 0 ? position.ordinal : unreadable;
    }
    if (error->code != ERROR_NONE ||
        (unreadable > 0 && !journal_check_start(journal, unreadable, error))) {
        return false;
    }
    out->state = state_create(journal->config.partition);
    out->head = audit_genesis(journal->config.partition);
    return true;
}

/* Cuts a torn tail, or begins a capture where there is none. */
static bool journal_open_capture(struct journal *journal, const struct beginning *beginning,
                                 struct error *error)
{
    uint64_t end = 0;
    struct stream_id position;
    *error = (struct error){0};
    journal->capture = capture_resume(journal->capture_path, &end, &position, error);
    if (journal->capture == NULL && error->code == ERROR_NONE) {
        end = journal->ordinal;
        journal->capture = journal_new_capture(
            journal, beginning->state, buffer_span(&beginning->snapshot), &beginning->head, error);
    }
    if (journal->capture == NULL) {
        return false;
    }
    if (end < journal->ordinal) {
        return error_set(error, ERROR_CORRUPT,
                         "%s ends at ordinal %" PRIu64 ", before the snapshot at %" PRIu64
                         ": move it away to begin anew from the snapshot",
                         journal->capture_path, end, journal->ordinal);
    }
    return true;
}

static bool journal_refold(struct journal *journal, struct state *state, struct error *error)
{
    struct capture_reader *reader = capture_open(journal->capture_path, error);
    if (reader == NULL) {
        return false;
    }
    bool is_done = false;
    if (!capture_seek(reader, journal->ordinal, error)) {
        goto close_reader;
    }
    if (capture_reader_header(reader)->partition != journal->config.partition) {
        error_set(error, ERROR_USAGE, "%s is of partition %" PRIu32, journal->capture_path,
                  capture_reader_header(reader)->partition);
        goto close_reader;
    }
    struct capture_source source = capture_source_init(reader, REFOLD_BATCH);
    struct loop loop = {
        .state = state,
        .source = capture_source_source(&source),
        .sinks =
            {{.name = "journal", .self = journal, .fold = journal_fold, .commit = journal_commit}},
        .sink_count = 1,
    };
    journal->is_refolding = true;
    is_done = loop_run(&loop, error) && journal_commit(journal, state, true, error);
    journal->is_refolding = false;
close_reader:
    capture_reader_close(reader);
    return is_done;
}

static bool journal_open_audit(struct journal *journal, struct error *error)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof(path), "%s/audit-%" PRIu32 ".db", journal->config.data,
                        journal->config.partition);
    snprintf(journal->capture_path, sizeof(journal->capture_path), "%s/capture-%" PRIu32,
             journal->config.data, journal->config.partition);
    if (size < 0 || (size_t)size + sizeof("capture-") >= sizeof(path)) {
        return error_set(error, ERROR_USAGE, "data: the path is too long");
    }
    if (!data_make(journal->config.data, error) || !data_make(journal->capture_path, error)) {
        return false;
    }
    journal->audit = audit_open(path, AUDIT_WRITE, journal->config.partition, error);
    if (journal->audit == NULL) {
        return false;
    }
    *error = (struct error){0};
    return audit_load_position(journal->audit, &journal->committed, error) ||
           error->code == ERROR_NONE;
}

/* Everything counts from the snapshot; the committed position may lie ahead of it. */
static bool journal_start(struct journal *journal, const struct state *state, struct error *error)
{
    struct state_summary summary = state_summary(state);
    uint64_t now_ms = clock_boot_ms();
    journal->ordinal = summary.ordinal;
    journal->snapshot_ordinal = journal->checkpoint_ordinal = summary.ordinal;
    journal->checkpoint_live_ms = summary.liveness_ms;
    journal->snapshot_boot_ms = journal->position_boot_ms = now_ms;
    journal->position_ordinal = journal->committed.ordinal;
    if (journal->ordinal < journal->committed.ordinal) {
        journal->compare = compare_open(journal->audit, journal->ordinal, error);
        return journal->compare != NULL;
    }
    return true;
}

struct journal *journal_open(const struct journal_config *config, struct state **state,
                             struct error *error)
{
    CHECK(config->snapshot_entries > 0 && config->snapshot_ms > 0);
    CHECK(config->snapshot_bytes <= CAPTURE_SNAPSHOT_MAX);
    struct journal *journal = mem_zero(sizeof(*journal));
    struct beginning beginning = {0};
    journal->config = *config;
    journal->is_pruning = config->audit_keep_ms > 0; /* perhaps an earlier life was cut short */
    if (journal->config.snapshot_bytes == 0) {
        journal->config.snapshot_bytes = CAPTURE_SNAPSHOT_MAX;
    }
    bool is_open = journal_open_audit(journal, error) &&
                   journal_load_state(journal, &beginning, error) &&
                   journal_start(journal, beginning.state, error) &&
                   journal_open_capture(journal, &beginning, error) &&
                   journal_refold(journal, beginning.state, error);
    buffer_fini(&beginning.snapshot);
    if (!is_open) {
        if (beginning.state != NULL) {
            state_destroy(beginning.state);
            beginning.state = NULL;
        }
        journal_close(journal);
        journal = NULL;
    }
    *state = beginning.state;
    return journal;
}
