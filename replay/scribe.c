/* SPDX-License-Identifier: MIT
 * Many batches go in one transaction; its end is always a position that holds. */
#include "replay/scribe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "replay/record.h"
#include "store/capture.h"

#define COMMIT_ROWS 10000 /* decisions and changes of effects in one transaction */

struct scribe {
    const char *path; /* borrowed */
    struct audit *audit;
    bool has_begun; /* an entry was seen */
    bool is_later;  /* the first one was not the stream's first */
    bool has_transaction, is_finished;
    uint64_t rows; /* in the open transaction */
    uint64_t earlier_outcomes;
    struct entry last; /* borrowed from the batch until its commit stage */
    bool has_last;
    struct buffer last_raw; /* its bytes, kept over the batch's end */
    struct effect_change *changes;
    uint32_t change_capacity;
};

static const char *const file_suffixes[] = {"", "-wal", "-shm"};

/* Only files that scribe_open made. */
static void remove_files(const char *path)
{
    struct buffer name = {0};
    for (size_t i = 0; i < sizeof(file_suffixes) / sizeof(file_suffixes[0]); i++) {
        buffer_reset(&name);
        buffer_put_text(&name, path);
        buffer_put_text(&name, file_suffixes[i]);
        buffer_put_byte(&name, '\0');
        unlink(name.data);
    }
    buffer_fini(&name);
}

static bool claim_file(const char *path, struct error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        return error_set(error, ERROR_REFUSED, "%s: is there already; name a new file", path);
    }
    if (fd < 0) {
        return error_set(error, ERROR_IO, "%s: %s", path, strerror(errno));
    }
    close(fd);
    return true;
}

struct scribe *scribe_open(const char *path, uint32_t partition, struct error *error)
{
    if (!claim_file(path, error)) {
        return NULL;
    }
    struct scribe *scribe = mem_zero(sizeof(*scribe));
    scribe->path = path;
    scribe->audit = audit_open(path, AUDIT_WRITE, partition, error);
    if (scribe->audit == NULL || !audit_skip_sync(scribe->audit, error)) {
        scribe_close(scribe);
        return NULL;
    }
    return scribe;
}

/* --- 4: rows --- */

static bool scribe_begin(struct scribe *scribe, struct error *error)
{
    if (!scribe->has_transaction) {
        scribe->has_transaction = audit_begin(scribe->audit, error);
        scribe->rows = 0;
    }
    return scribe->has_transaction;
}

/* What was in force before the first entry; what that entry itself changes comes as its own row. */
static bool put_in_force(struct scribe *scribe, const struct entry *entry,
                         const struct state *state, const struct fold_output *output,
                         struct error *error)
{
    struct state_summary summary = state_summary(state);
    scribe->has_begun = true;
    scribe->is_later = summary.ordinal > 1;
    bool has_leader = summary.epoch > 0 && !output->is_epoch_new;
    bool has_policy = summary.policy_hash.size > 0 && !output->is_policy_new;
    if (!has_leader && !has_policy) {
        return true;
    }
    return scribe_begin(scribe, error) &&
           (!has_leader || audit_put_leadership(scribe->audit, summary.epoch, summary.timeline,
                                                summary.owner, entry->id, error)) &&
           (!has_policy || audit_put_policy(scribe->audit, summary.policy_hash, entry->id,
                                            summary.policy_text, error));
}

/* An effect asked for by this very entry, whose row is yet to be written. */
static bool is_just_requested(const struct effect_change *changes, uint32_t count, struct span id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (changes[i].decision.size > 0 && span_equal(changes[i].id, id)) {
            return true;
        }
    }
    return false;
}

/* `*out` is `output` without the outcomes whose requests this file does not hold. */
static bool leave_out_earlier(struct scribe *scribe, const struct fold_output *output,
                              struct fold_output *out, struct error *error)
{
    *out = *output;
    if (!scribe->is_later || output->change_count == 0) {
        return true;
    }
    if (scribe->change_capacity < output->change_count) {
        scribe->change_capacity = output->change_count;
        scribe->changes =
            mem_resize(scribe->changes, scribe->change_capacity * sizeof(*scribe->changes));
    }
    out->changes = scribe->changes;
    out->change_count = 0;
    for (uint32_t i = 0; i < output->change_count; i++) {
        const struct effect_change *change = &output->changes[i];
        bool is_known = change->decision.size > 0;
        if (!is_known && !audit_has_effect(scribe->audit, change->id, &is_known, error)) {
            return false;
        }
        if (is_known || is_just_requested(scribe->changes, out->change_count, change->id)) {
            scribe->changes[out->change_count++] = *change;
        } else {
            scribe->earlier_outcomes++;
        }
    }
    return true;
}

static bool scribe_fold(void *self, const struct entry *entry, const struct state *state,
                        const struct fold_output *output, struct error *error)
{
    struct scribe *scribe = self;
    scribe->last = *entry;
    scribe->has_last = true;
    if (!scribe->has_begun && !put_in_force(scribe, entry, state, output, error)) {
        return false;
    }
    if (!record_is_due(output)) {
        return true;
    }
    struct fold_output held;
    scribe->rows += output->decision_count + output->change_count;
    return scribe_begin(scribe, error) && leave_out_earlier(scribe, output, &held, error) &&
           record_entry(scribe->audit, entry, state, &held, error);
}

/* --- 6: the transaction --- */

static struct audit_position position_of(const struct scribe *scribe, const struct state *state)
{
    struct state_summary summary = state_summary(state);
    return (struct audit_position){
        .timeline = summary.timeline,
        .stream_id = summary.position,
        .ordinal = summary.ordinal,
        .epoch = summary.epoch,
        .entry_sha256 = sha256_of(buffer_span(&scribe->last_raw)),
    };
}

static bool scribe_end(struct scribe *scribe, const struct state *state, struct error *error)
{
    struct audit_position position = position_of(scribe, state);
    scribe->has_transaction = false;
    return audit_put_position(scribe->audit, &position, error) &&
           audit_commit(scribe->audit, error);
}

static bool scribe_commit(void *self, const struct state *state, bool is_caught_up,
                          struct error *error)
{
    struct scribe *scribe = self;
    (void)is_caught_up;
    if (scribe->has_last) {
        buffer_reset(&scribe->last_raw);
        buffer_put_span(&scribe->last_raw, scribe->last.raw);
        scribe->has_last = false;
    }
    return !scribe->has_transaction || scribe->rows < COMMIT_ROWS ||
           scribe_end(scribe, state, error);
}

struct sink scribe_sink(struct scribe *scribe)
{
    return (struct sink){
        .name = "audit", .self = scribe, .fold = scribe_fold, .commit = scribe_commit};
}

static bool put_state(struct scribe *scribe, const struct state *state, struct error *error)
{
    struct audit_position position = position_of(scribe, state);
    struct buffer bytes = {0};
    state_encode(state, &bytes);
    struct sha256 hash = sha256_of(buffer_span(&bytes));
    bool is_put =
        audit_put_checkpoint(scribe->audit, position.ordinal, position.stream_id, &hash, error) &&
        (bytes.size > CAPTURE_SNAPSHOT_MAX ||
         audit_put_snapshot(scribe->audit, &position, buffer_span(&bytes), error));
    buffer_fini(&bytes);
    return is_put;
}

bool scribe_finish(struct scribe *scribe, const struct state *state, struct error *error)
{
    CHECK(!scribe->has_last && !scribe->is_finished);
    if (scribe->has_begun && !(scribe_begin(scribe, error) && put_state(scribe, state, error) &&
                               scribe_end(scribe, state, error))) {
        return false;
    }
    audit_checkpoint_wal(scribe->audit);
    scribe->is_finished = true;
    return true;
}

uint64_t scribe_earlier_outcomes(const struct scribe *scribe)
{
    return scribe->earlier_outcomes;
}

void scribe_close(struct scribe *scribe)
{
    if (scribe == NULL) {
        return;
    }
    audit_close(scribe->audit);
    if (!scribe->is_finished) {
        remove_files(scribe->path);
    }
    buffer_fini(&scribe->last_raw);
    mem_free(scribe->changes);
    mem_free(scribe);
}
