/* SPDX-License-Identifier: MIT
 * Rows go into an open transaction as the fold gives them; nothing of it exists before the commit,
 * which comes after the capture was written out. */
#include "replay/journal.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "replay/journal_parts.h"
#include "replay/record.h"

#define POSITION_MS        1000 /* a position without rows follows this often while behind */
#define CHECKPOINT_ENTRIES 65536
#define CHECKPOINT_MS      10000 /* liveness clock */

static bool journal_begin(struct journal *journal, struct error *error)
{
    if (!journal->has_transaction) {
        journal->has_transaction = audit_begin(journal->audit, error);
    }
    return journal->has_transaction;
}

/* --- 3 and 5: the capture --- */

static bool journal_append(void *self, const struct batch *batch, struct error *error)
{
    (void)error;
    struct journal *journal = self;
    for (uint32_t i = 0; i < batch->count; i++) {
        capture_append(journal->capture, &batch->entries[i]);
    }
    journal->has_captured |= batch->count > 0;
    return true;
}

static bool journal_write(void *self, struct error *error)
{
    struct journal *journal = self;
    if (journal->has_captured && !capture_flush(journal->capture, error)) {
        return false;
    }
    journal->has_captured = false;
    return true;
}

/* --- 4: rows --- */

static bool put_checkpoint(struct journal *journal, struct stream_id id,
                           const struct state_summary *summary, struct error *error)
{
    journal->checkpoint_ordinal = journal->ordinal;
    journal->checkpoint_live_ms = summary->liveness_ms;
    struct sha256 hash = sha256_of(buffer_span(&journal->scratch));
    return audit_put_checkpoint(journal->audit, journal->ordinal, id, &hash, error);
}

/* The state's hash at the first tick after so many entries and so much time: the same places on
 * every instance that began at the same snapshot. */
static bool journal_checkpoint(struct journal *journal, const struct entry *entry,
                               const struct state *state, struct error *error)
{
    if (journal->ordinal - journal->checkpoint_ordinal < CHECKPOINT_ENTRIES) {
        return true;
    }
    struct state_summary summary = state_summary(state);
    if (stream_id_compare(summary.last_tick, entry->id) != 0 ||
        summary.liveness_ms - journal->checkpoint_live_ms < CHECKPOINT_MS) {
        return true;
    }
    if (journal->ordinal <= journal->committed.ordinal) { /* compared by `compare` */
        journal->checkpoint_ordinal = journal->ordinal;
        journal->checkpoint_live_ms = summary.liveness_ms;
        return true;
    }
    buffer_reset(&journal->scratch);
    state_encode(state, &journal->scratch);
    return journal_begin(journal, error) && put_checkpoint(journal, entry->id, &summary, error);
}

/* The fold stands where the audit stood: from here on its rows are new. */
static bool journal_arrive(struct journal *journal, const struct entry *entry,
                           const struct state *state, struct error *error)
{
    struct sha256 hash = sha256_of(entry->raw);
    if (stream_id_compare(entry->id, journal->committed.stream_id) != 0 ||
        !sha256_equal(&hash, &journal->committed.entry_sha256)) {
        return error_set(error, ERROR_HISTORY,
                         "entry %" PRIu64 "-%" PRIu64 " at ordinal %" PRIu64
                         " is not the one that was committed there",
                         entry->id.ms, entry->id.seq, journal->ordinal);
    }
    if (!compare_finish(journal->compare, state, error)) {
        return false;
    }
    compare_close(journal->compare);
    journal->compare = NULL;
    return true;
}

bool journal_fold(void *self, const struct entry *entry, const struct state *state,
                  const struct fold_output *output, struct error *error)
{
    struct journal *journal = self;
    journal->ordinal++;
    journal->last = *entry;
    journal->has_last = true;
    if (journal->compare != NULL) {
        struct sink compare = compare_sink(journal->compare);
        if (!compare.fold(compare.self, entry, state, output, error) ||
            (journal->ordinal == journal->committed.ordinal &&
             !journal_arrive(journal, entry, state, error))) {
            return false;
        }
    } else if (record_is_due(output) &&
               !(journal_begin(journal, error) &&
                 record_entry(journal->audit, entry, state, output, error))) {
        return false;
    }
    return journal_checkpoint(journal, entry, state, error);
}

/* --- 6 and 7: the transaction --- */

static struct audit_position position_of(const struct journal *journal, const struct state *state)
{
    struct state_summary summary = state_summary(state);
    CHECK(summary.ordinal == journal->ordinal);
    return (struct audit_position){
        .timeline = summary.timeline,
        .stream_id = summary.position,
        .ordinal = summary.ordinal,
        .epoch = summary.epoch,
        .entry_sha256 = journal_anchor(journal),
        .audit_head = audit_head(journal->audit),
    };
}

/* Ends the transaction with the position. */
static bool journal_end(struct journal *journal, const struct state *state, struct error *error)
{
    struct audit_position position = position_of(journal, state);
    if (!audit_put_position(journal->audit, &position, error)) {
        return false;
    }
    if (!journal->is_refolding) {
        crash_point(CRASH_TRANSACTION);
    }
    if (!audit_commit(journal->audit, error)) {
        return false;
    }
    journal->has_transaction = false;
    journal->position_ordinal = journal->ordinal;
    journal->position_boot_ms = clock_boot_ms();
    return true;
}

struct capture_writer *journal_new_capture(struct journal *journal, const struct state *state,
                                           struct span snapshot, const struct sha256 *head,
                                           struct error *error)
{
    struct state_summary summary = state_summary(state);
    struct sha256_text head_text = sha256_text(head);
    struct capture_header header = {
        .partition = journal->config.partition,
        .timeline = summary.timeline,
        .ordinal = summary.ordinal,
        .position = summary.position,
        .reducers = REDUCERS_VERSION,
        .policy = summary.policy_text,
        .snapshot = snapshot,
        .audit_head = span_of(head_text.text),
    };
    return capture_create(journal->capture_path, &header, error);
}

/* The next one is due so many entries, so much time or so many bytes from here. */
static void count_from_here(struct journal *journal)
{
    journal->snapshot_ordinal = journal->ordinal;
    journal->snapshot_boot_ms = clock_boot_ms();
    journal->snapshot_size = capture_writer_size(journal->capture);
}

/* Without a snapshot a restart folds from an older one: slower, and nothing is lost. */
static void tell_too_large(const struct journal *journal, size_t size)
{
    log_fact(LOG_ERROR, "snapshot_too_large", "partition", log_number(journal->config.partition),
             "ordinal", log_number(journal->ordinal), "bytes", log_number(size), "allowed",
             log_number(journal->config.snapshot_bytes), NULL);
}

/* The capture is durable up to the snapshot before the snapshot is, and the next file begins with
 * it. A crash in between leaves an empty file behind a whole one, which a restart goes on with. */
static bool journal_snapshot(struct journal *journal, const struct state *state,
                             struct error *error)
{
    if (!capture_sync(journal->capture, error) || !journal_begin(journal, error)) {
        return false;
    }
    struct audit_position position = position_of(journal, state);
    struct state_summary summary = state_summary(state);
    buffer_reset(&journal->scratch);
    state_encode(state, &journal->scratch);
    struct span bytes = buffer_span(&journal->scratch);
    if (bytes.size > journal->config.snapshot_bytes) {
        tell_too_large(journal, bytes.size);
        count_from_here(journal);
        return journal_end(journal, state, error);
    }
    if (journal->checkpoint_ordinal != journal->ordinal &&
        !put_checkpoint(journal, summary.position, &summary, error)) {
        return false;
    }
    if (!audit_put_snapshot(journal->audit, &position, bytes, error)) {
        return false;
    }
    struct capture_writer *capture =
        journal_new_capture(journal, state, bytes, &position.audit_head, error);
    if (capture == NULL) {
        return false;
    }
    crash_point(CRASH_SNAPSHOT);
    capture_close(journal->capture);
    journal->capture = capture;
    count_from_here(journal);
    if (!journal_end(journal, state, error)) {
        return false;
    }
    journal_remove_old(journal, state);
    return journal_begin_prune(journal, state, error);
}

static bool snapshot_is_due(const struct journal *journal)
{
    const struct journal_config *config = &journal->config;
    uint64_t entries = journal->ordinal - journal->snapshot_ordinal;
    if (journal->is_refolding || entries == 0) {
        return false;
    }
    uint64_t size = capture_writer_size(journal->capture) - journal->snapshot_size;
    return entries >= config->snapshot_entries ||
           (config->rotate_bytes > 0 && size >= config->rotate_bytes) ||
           clock_boot_ms() - journal->snapshot_boot_ms >= config->snapshot_ms;
}

static void journal_keep_last(struct journal *journal)
{
    if (journal->has_last) {
        buffer_reset(&journal->last_raw);
        buffer_put_span(&journal->last_raw, journal->last.raw);
        journal->has_last = false;
    }
}

bool journal_commit(void *self, const struct state *state, bool is_caught_up, struct error *error)
{
    struct journal *journal = self;
    journal_keep_last(journal);
    if (journal->compare != NULL) {
        return true;
    }
    if (snapshot_is_due(journal)) {
        return journal_snapshot(journal, state, error);
    }
    bool is_behind = journal->ordinal > journal->position_ordinal;
    bool is_time = is_caught_up || clock_boot_ms() - journal->position_boot_ms >= POSITION_MS;
    if (!journal->has_transaction && !(is_behind && is_time)) {
        return journal_step_prune(journal, is_caught_up, error);
    }
    return journal_begin(journal, error) && journal_end(journal, state, error) &&
           journal_step_prune(journal, is_caught_up, error);
}

struct sink journal_sink(struct journal *journal)
{
    return (struct sink){
        .name = "journal",
        .self = journal,
        .append = journal_append,
        .fold = journal_fold,
        .write = journal_write,
        .commit = journal_commit,
    };
}

struct audit_position journal_position(const struct journal *journal)
{
    return journal->committed;
}

struct sha256 journal_anchor(const struct journal *journal)
{
    return journal->last_raw.size > 0 ? sha256_of(buffer_span(&journal->last_raw))
                                      : journal->anchor;
}

bool journal_stop(struct journal *journal, const struct state *state, struct error *error)
{
    if (journal->compare != NULL) {
        return true;
    }
    if (journal->ordinal > journal->snapshot_ordinal) {
        if (!journal_snapshot(journal, state, error)) {
            return false;
        }
    }
    if (!capture_sync(journal->capture, error)) {
        return false;
    }
    audit_checkpoint_wal(journal->audit);
    return true;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL) {
        return;
    }
    compare_close(journal->compare);
    capture_close(journal->capture);
    audit_close(journal->audit);
    buffer_fini(&journal->last_raw);
    buffer_fini(&journal->scratch);
    mem_free(journal);
}
