/* SPDX-License-Identifier: MIT
 * How long captures are kept. */
#include "store/capture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/capture_parts.h"

static uint64_t file_size(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static bool remove_file(const char *directory, const char *path, struct error *error)
{
    if ((unlink(path) != 0 && errno != ENOENT) || !capture_directory_sync(directory)) {
        return error_set(error, ERROR_IO, "%s: cannot be removed: %s", capture_file_name(path),
                         strerror(errno));
    }
    return true;
}

/* Of the oldest of so many files, whose follower begins with this frame. */
static enum capture_excess excess_of(const struct capture_keep *keep,
                                     const struct capture_frame *follower, uint64_t bytes,
                                     uint64_t files)
{
    if (follower->first_ms < keep->before_ms) {
        return CAPTURE_TOO_OLD;
    }
    if (keep->bytes > 0 && bytes > keep->bytes) {
        return CAPTURE_TOO_LARGE;
    }
    return keep->files > 0 && files > keep->files ? CAPTURE_TOO_MANY : CAPTURE_WITHIN;
}

/* Where a file ends its follower begins, whose frame 0 tells ordinal and time of that. */
static bool remove_oldest(struct capture_reader *reader, const char *directory,
                          const struct capture_keep *keep, capture_removed_fn tell, void *payload,
                          struct error *error)
{
    const struct capture_files *files = &reader->files;
    uint64_t total = 0;
    for (size_t index = 0; index < files->count; index++) {
        total += file_size(files->paths[index]);
    }
    for (size_t index = 0; index + 1 < files->count; index++) {
        if (!capture_reader_look_at(reader, index + 1, error)) {
            return false;
        }
        enum capture_excess excess = excess_of(keep, &reader->frame, total, files->count - index);
        if (reader->frame.ordinal > keep->ordinal || excess == CAPTURE_WITHIN) {
            return true;
        }
        const char *path = files->paths[index];
        uint64_t size = file_size(path);
        if (!remove_file(directory, path, error)) {
            return false;
        }
        total -= size;
        tell(payload, capture_file_name(path), size, excess);
    }
    return true;
}

bool capture_remove_old(const char *directory, const struct capture_keep *keep,
                        capture_removed_fn tell, void *payload, struct error *error)
{
    struct capture_reader *reader = capture_reader_make(directory, error);
    if (reader == NULL) {
        return false;
    }
    bool is_done = remove_oldest(reader, directory, keep, tell, payload, error);
    capture_reader_close(reader);
    return is_done;
}
