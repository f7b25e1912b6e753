/* SPDX-License-Identifier: MIT */
#include "replay/excerpt.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/check.h"
#include "reducers/fold.h"
#include "store/capture_files.h"

#define FLUSH_ENTRIES 10000

enum excerpt_side excerpt_side(const struct excerpt_range *range, struct stream_id id,
                               uint64_t ordinal)
{
    if (range->from.kind != PLACE_NONE && place_compare(&range->from, id, ordinal) < 0) {
        return EXCERPT_BEFORE;
    }
    if (range->until.kind != PLACE_NONE && place_compare(&range->until, id, ordinal) > 0) {
        return EXCERPT_BEHIND;
    }
    return EXCERPT_INSIDE;
}

bool excerpt_check_directory(const char *directory, struct error *error)
{
    struct capture_files files = {0};
    bool is_listed = capture_files_list(directory, &files, error);
    if (is_listed && files.count > 0) {
        is_listed =
            error_set(error, ERROR_USAGE,
                      "%s: holds captures already; allowed: a folder without any", directory);
    }
    capture_files_fini(&files);
    return is_listed;
}

bool excerpt_begin(struct excerpt *excerpt, const struct state *state, struct error *error)
{
    CHECK(excerpt->writer == NULL);
    struct state_summary summary = state_summary(state);
    struct buffer snapshot = {0};
    if (summary.ordinal > 0) {
        state_encode(state, &snapshot);
    }
    if (snapshot.size > CAPTURE_SNAPSHOT_MAX) {
        error_set(error, ERROR_REFUSED,
                  "the state at ordinal %" PRIu64 " takes %zu bytes; a capture's header takes up "
                  "to %zu: begin elsewhere",
                  summary.ordinal, snapshot.size, CAPTURE_SNAPSHOT_MAX);
    } else {
        struct capture_header header = {
            .partition = summary.partition,
            .timeline = summary.timeline,
            .ordinal = summary.ordinal,
            .position = summary.position,
            .reducers = REDUCERS_VERSION,
            .policy = summary.policy_text,
            .snapshot = buffer_span(&snapshot),
        };
        excerpt->ordinal = excerpt->entries == 0 ? summary.ordinal : excerpt->ordinal;
        excerpt->writer = capture_create(excerpt->directory, &header, error);
    }
    buffer_fini(&snapshot);
    return excerpt->writer != NULL;
}

bool excerpt_add(struct excerpt *excerpt, const struct entry *entry, struct error *error)
{
    capture_append(excerpt->writer, entry);
    excerpt->first = excerpt->entries == 0 ? entry->id : excerpt->first;
    excerpt->last = entry->id;
    excerpt->entries++;
    return excerpt->entries % FLUSH_ENTRIES != 0 || capture_flush(excerpt->writer, error);
}

bool excerpt_flush(struct excerpt *excerpt, struct error *error)
{
    return excerpt->writer == NULL || capture_flush(excerpt->writer, error);
}

bool excerpt_end(struct excerpt *excerpt, struct error *error)
{
    CHECK(excerpt->writer != NULL);
    bool is_written = capture_flush(excerpt->writer, error) && capture_sync(excerpt->writer, error);
    capture_close(excerpt->writer);
    excerpt->writer = NULL;
    return is_written;
}

bool excerpt_rotate(struct excerpt *excerpt, const struct state *state, uint64_t bytes,
                    struct error *error)
{
    return excerpt->writer == NULL || capture_writer_size(excerpt->writer) < bytes ||
           (excerpt_end(excerpt, error) && excerpt_begin(excerpt, state, error));
}

void excerpt_drop(struct excerpt *excerpt)
{
    struct capture_files files = {0};
    struct error error;
    capture_close(excerpt->writer);
    excerpt->writer = NULL;
    if (capture_files_list(excerpt->directory, &files, &error)) {
        for (size_t i = 0; i < files.count; i++) {
            unlink(files.paths[i]);
        }
        rmdir(excerpt->directory);
    }
    capture_files_fini(&files);
    *excerpt = (struct excerpt){.directory = excerpt->directory};
}
