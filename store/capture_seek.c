/* SPDX-License-Identifier: MIT
 * Finding a place in a capture by the heads of its frames: the file by halving, the frame in it by
 * hopping. */
#include "store/capture.h"

#include <sys/stat.h>

#include "base/check.h"
#include "store/capture_parts.h"

/* Where to: the entry behind an ordinal, or the first one whose id's ms is not before `ms`. */
struct place {
    bool is_ms;
    uint64_t number;
};

/* Whether every entry that comes before the header with this head lies before the place. */
static bool is_reached_from(const struct place *place, const struct capture_frame *header)
{
    return place->is_ms ? header->last_ms < place->number : header->ordinal <= place->number;
}

static bool is_before(const struct capture_frame *frame, const struct place *place)
{
    return place->is_ms ? frame->last_ms < place->number
                        : frame->ordinal + frame->count <= place->number;
}

bool capture_reader_look_at(struct capture_reader *reader, size_t index, struct error *error)
{
    if (!capture_reader_enter(reader, index, error)) {
        return false;
    }
    enum capture_next next = capture_reader_look(reader, error);
    return next == CAPTURE_ENTRY ||
           (next != CAPTURE_ERROR &&
            error_set(error, ERROR_CORRUPT,
                      "%s: frame 0 at byte %d: the file ends inside its header",
                      capture_file_told(reader->files.paths[index]), CAPTURE_PRELUDE_SIZE));
}

/* Enters the last file that the place is reached from; the first when it is reached from none. */
static bool start_before(struct capture_reader *reader, const struct place *place,
                         struct error *error)
{
    size_t low = 0, high = reader->files.count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (!capture_reader_look_at(reader, middle, error)) {
            return false;
        }
        bool is_reached = is_reached_from(place, &reader->frame);
        low = is_reached ? middle : low;
        high = is_reached ? high : middle;
    }
    return capture_reader_start(reader, low, error);
}

/* Files that are removed meanwhile are the oldest. */
static bool seek(struct capture_reader *reader, const struct place *place, struct error *error)
{
    reader->failure = (struct error){0};
    while (!start_before(reader, place, error)) {
        if (!reader->is_gone || capture_reader_is_last(reader)) {
            reader->failure = *error;
            return false;
        }
        capture_files_drop(&reader->files, reader->file_index + 1);
    }
    return true;
}

bool capture_seek(struct capture_reader *reader, uint64_t ordinal, struct error *error)
{
    return seek(reader, &(struct place){.number = ordinal}, error) &&
           (reader->ordinal <= ordinal ||
            error_set(error, ERROR_USAGE, "%s: the capture begins at ordinal %llu, behind %llu",
                      capture_file_told(reader->files.paths[reader->file_index]),
                      (unsigned long long)reader->ordinal, (unsigned long long)ordinal));
}

bool capture_seek_ms(struct capture_reader *reader, uint64_t ms, struct error *error)
{
    return seek(reader, &(struct place){.is_ms = true, .number = ms}, error);
}

/* Hops while frames lie before the place. What ends the hopping, the next read tells. */
static bool skip(struct capture_reader *reader, const struct place *place, struct error *error)
{
    if (reader->failure.code != ERROR_NONE) {
        *error = reader->failure;
        return false;
    }
    if (reader->entries_left > 0) {
        if (!is_before(&reader->frame, place)) {
            return true;
        }
        reader->ordinal += reader->entries_left;
        reader->entries_left = 0;
        reader->has_position = false;
    }
    enum capture_next next = CAPTURE_ENTRY;
    while (next == CAPTURE_ENTRY) {
        next = capture_reader_look(reader, error);
        if (next == CAPTURE_END && !capture_reader_is_last(reader)) {
            next = capture_reader_enter_next(reader, error);
        } else if (next == CAPTURE_ENTRY) {
            if (!is_before(&reader->frame, place)) {
                return true;
            }
            capture_reader_pass(reader);
            reader->ordinal += reader->frame.count;
            reader->has_position = false;
        }
    }
    if (next == CAPTURE_ERROR) {
        reader->failure = *error;
    }
    return next != CAPTURE_ERROR;
}

bool capture_skip(struct capture_reader *reader, uint64_t ordinal, struct error *error)
{
    return skip(reader, &(struct place){.number = ordinal}, error);
}

bool capture_skip_ms(struct capture_reader *reader, uint64_t ms, struct error *error)
{
    return skip(reader, &(struct place){.is_ms = true, .number = ms}, error);
}

/* --- what a capture covers --- */

/* Files that were removed since they were listed are left out. */
static void add_sizes(const struct capture_reader *reader, struct capture_range *out)
{
    for (size_t index = 0; index < reader->files.count; index++) {
        struct stat status;
        if (stat(reader->files.paths[index], &status) == 0) {
            out->files++;
            out->bytes += (uint64_t)status.st_size;
        }
    }
}

/* Goes behind the header of the file, unread. */
static bool enter_entries(struct capture_reader *reader, size_t index, struct error *error)
{
    if (!capture_reader_look_at(reader, index, error)) {
        return false;
    }
    reader->ordinal = reader->frame.ordinal;
    capture_reader_pass(reader);
    return true;
}

static bool enter_first(struct capture_reader *reader, struct error *error)
{
    bool is_entered = enter_entries(reader, 0, error);
    while (!is_entered && reader->is_gone && reader->files.count > 1) {
        capture_files_drop(&reader->files, 1);
        is_entered = enter_entries(reader, 0, error);
    }
    return is_entered;
}

/* A file without entries may stand before others, as its neighbours may. */
static bool find_first_ms(struct capture_reader *reader, struct capture_range *out,
                          struct error *error)
{
    enum capture_next next = capture_reader_look(reader, error);
    for (size_t index = 1; next == CAPTURE_END && index < reader->files.count; index++) {
        if (!enter_entries(reader, index, error)) {
            return false;
        }
        next = capture_reader_look(reader, error);
    }
    out->first_ms = next == CAPTURE_ENTRY ? reader->frame.first_ms : 0;
    return next != CAPTURE_ERROR;
}

/* From behind the header of the last file to its end. */
static bool hop_to_end(struct capture_reader *reader, struct capture_range *out,
                       struct error *error)
{
    enum capture_next next;
    while ((next = capture_reader_look(reader, error)) == CAPTURE_ENTRY) {
        capture_reader_pass(reader);
        reader->ordinal += reader->frame.count;
    }
    out->is_torn = next == CAPTURE_TORN;
    out->entries = reader->ordinal - out->first_ordinal;
    out->last_ms = out->entries > 0 ? reader->frame.last_ms : 0;
    return next != CAPTURE_ERROR;
}

static bool read_range(struct capture_reader *reader, struct capture_range *out,
                       struct error *error)
{
    if (!enter_first(reader, error)) {
        return false;
    }
    out->first_ordinal = reader->ordinal;
    if (!find_first_ms(reader, out, error) ||
        !enter_entries(reader, reader->files.count - 1, error) || !hop_to_end(reader, out, error)) {
        return false;
    }
    return true;
}

bool capture_range(const char *path, struct capture_range *out, struct error *error)
{
    *out = (struct capture_range){0};
    struct capture_reader *reader = capture_reader_make(path, error);
    if (reader == NULL) {
        return false;
    }
    add_sizes(reader, out);
    bool is_read = read_range(reader, out, error);
    capture_reader_close(reader);
    return is_read;
}
