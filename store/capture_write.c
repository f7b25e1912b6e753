/* SPDX-License-Identifier: MIT
 * Writing captures. The format is described in capture_format.c. */
#include "store/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "store/capture_files.h"
#include "store/capture_format.h"

#define COMPRESSION_LEVEL 1
#define NAME_SIZE_MAX     32 /* 20 digits, the suffix, the 0 */
#define VARINT_SIZE_MAX   10

_Static_assert(CAPTURE_ENTRY_MAX + 3 * VARINT_SIZE_MAX <= CAPTURE_FRAME_RAW_MAX,
               "any entry fits into a frame of its own");
_Static_assert(CAPTURE_SNAPSHOT_MAX + 2 * CAPTURE_ENTRY_MAX <= CAPTURE_HEADER_RAW_MAX,
               "a header fits into its frame");

struct capture_writer {
    int fd;
    char *path;           /* owned */
    uint64_t size;        /* of the file, up to the end of its last whole frame */
    uint64_t header_end;  /* where its first frame of entries begins */
    uint64_t ordinal;     /* entries of the partition before those in `raw` */
    struct buffer raw;    /* content of the frame that is being filled */
    uint32_t count;       /* its entries */
    uint64_t first_ms;    /* of its first entry's id */
    uint64_t previous_ms; /* of its last entry's; 0 before the first */
    struct buffer out;    /* finished frames that the file does not hold yet */
    ZSTD_CCtx *context;   /* owned */
};

static bool fail(const struct capture_writer *writer, const char *what, struct error *error)
{
    bool is_full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return error_set(error, is_full ? ERROR_DISK_FULL : ERROR_IO, "%s: %s: %s",
                     capture_file_name(writer->path), what, strerror(errno));
}

/* Takes ownership of the path. */
static struct capture_writer *make_writer(char *path)
{
    struct capture_writer *writer = mem_zero(sizeof(*writer));
    writer->fd = -1;
    writer->path = path;
    writer->context = ZSTD_createCCtx();
    CHECK(writer->context != NULL);
    CHECK(!ZSTD_isError(
        ZSTD_CCtx_setParameter(writer->context, ZSTD_c_compressionLevel, COMPRESSION_LEVEL)));
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(writer->context, ZSTD_c_checksumFlag, 1)));
    return writer;
}

/* Turns `raw` into a finished frame behind the others in `out`. */
static void finish_frame(struct capture_writer *writer)
{
    size_t bound = ZSTD_compressBound(writer->raw.size);
    char *head = buffer_reserve(&writer->out, CAPTURE_HEAD_SIZE + bound);
    char *body = head + CAPTURE_HEAD_SIZE;
    size_t size = ZSTD_compress2(writer->context, body, bound, writer->raw.data, writer->raw.size);
    CHECK(!ZSTD_isError(size));
    CHECK(size <= UINT32_MAX);
    struct capture_frame frame = {
        .body_size = (uint32_t)size,
        .raw_size = (uint32_t)writer->raw.size,
        .count = writer->count,
        .ordinal = writer->ordinal,
        .first_ms = writer->first_ms,
        .last_ms = writer->previous_ms,
    };
    capture_put_head(head, &frame, body);
    writer->out.size += CAPTURE_HEAD_SIZE + size;
    writer->ordinal += writer->count;
    writer->count = 0;
    writer->previous_ms = 0;
    buffer_reset(&writer->raw);
}

/* Writes `out` behind the last whole frame. On failure the file is cut back to that; what could not
 * be written stays in `out`, so that the next call tries all of it again. */
static bool write_out(struct capture_writer *writer, struct error *error)
{
    size_t done = 0;
    while (done < writer->out.size) {
        ssize_t written = pwrite(writer->fd, writer->out.data + done, writer->out.size - done,
                                 (off_t)(writer->size + done));
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            fail(writer, "cannot be written", error);
            if (ftruncate(writer->fd, (off_t)writer->size) != 0) {
                error_wrap(error, "not cut back either (%s)", strerror(errno));
            }
            return false;
        }
        done += (size_t)written;
    }
    writer->size += done;
    buffer_reset(&writer->out);
    return true;
}

/* A file of this name may be replaced when it is a capture without a whole entry. */
static bool check_replaceable(const char *path, struct error *error)
{
    if (access(path, F_OK) != 0) {
        return true;
    }
    struct capture_reader *reader = capture_open(path, error);
    if (reader == NULL) {
        return error_wrap(error, "not replaced");
    }
    struct entry entry;
    enum capture_next next = capture_next(reader, &entry, error);
    capture_reader_close(reader);
    if (next == CAPTURE_ERROR) {
        return error_wrap(error, "not replaced");
    }
    return next != CAPTURE_ENTRY ||
           error_set(error, ERROR_REFUSED, "%s: holds entries, not replaced",
                     capture_file_name(path));
}

/* The file comes into being whole: its header is written aside and synced before it gets its name.
 */
static bool write_header(struct capture_writer *writer, const struct capture_header *header,
                         const char *directory, struct error *error)
{
    CHECK(header->snapshot.size <= CAPTURE_SNAPSHOT_MAX);
    CHECK(header->policy.size <= CAPTURE_ENTRY_MAX);
    char aside_name[NAME_SIZE_MAX + sizeof(UNFINISHED_SUFFIX)];
    snprintf(aside_name, sizeof(aside_name), "%s%s", capture_file_name(writer->path),
             UNFINISHED_SUFFIX);
    char *aside = capture_path_join(directory, aside_name);
    bool is_written = false;
    writer->fd = open(aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (writer->fd < 0) {
        fail(writer, "cannot be made", error);
        goto free_aside;
    }
    capture_put_prelude(&writer->out);
    capture_put_header(&writer->raw, header);
    writer->ordinal = header->ordinal;
    writer->first_ms = writer->previous_ms = header->position.ms;
    finish_frame(writer);
    if (!write_out(writer, error) || !capture_sync(writer, error)) {
        goto free_aside;
    }
    writer->header_end = writer->size;
    if (rename(aside, writer->path) != 0) {
        fail(writer, "cannot be named", error);
        goto free_aside;
    }
    is_written =
        capture_directory_sync(directory) || fail(writer, "its directory cannot be synced", error);

free_aside:
    if (!is_written) {
        unlink(aside);
    }
    mem_free(aside);
    return is_written;
}

struct capture_writer *capture_create(const char *directory, const struct capture_header *header,
                                      struct error *error)
{
    char name[NAME_SIZE_MAX];
    snprintf(name, sizeof(name), "%016llu" CAPTURE_SUFFIX, (unsigned long long)header->ordinal);
    struct capture_writer *writer = make_writer(capture_path_join(directory, name));
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        fail(writer, "its directory cannot be made", error);
        goto close_writer;
    }
    if (!check_replaceable(writer->path, error) ||
        !write_header(writer, header, directory, error)) {
        goto close_writer;
    }
    return writer;

close_writer:
    capture_close(writer);
    return NULL;
}

/* Reads the file to its end. Result: TORN or END with the place where it ends, or ERROR. */
static enum capture_next find_end(struct capture_writer *writer, struct stream_id *position,
                                  struct error *error)
{
    struct capture_reader *reader = capture_open(writer->path, error);
    if (reader == NULL) {
        return CAPTURE_ERROR;
    }
    *position = capture_reader_header(reader)->position;
    writer->header_end = capture_reader_offset(reader);
    struct entry entry;
    enum capture_next next;
    while ((next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
        *position = entry.id;
    }
    writer->size = capture_reader_offset(reader);
    writer->ordinal = capture_reader_ordinal(reader);
    capture_reader_close(reader);
    return next;
}

struct capture_writer *capture_resume(const char *directory, uint64_t *ordinal,
                                      struct stream_id *position, struct error *error)
{
    struct capture_writer *writer = NULL;
    struct capture_files files = {0};
    capture_files_remove_unfinished(directory);
    if (!capture_files_list(directory, &files, error)) {
        goto free_files;
    }
    if (files.count == 0) {
        error->code = ERROR_NONE;
        goto free_files;
    }
    char *path = capture_path_join(directory, capture_file_name(files.paths[files.count - 1]));
    writer = make_writer(path);
    enum capture_next end = find_end(writer, position, error);
    if (end == CAPTURE_ERROR) {
        goto close_writer;
    }
    writer->fd = open(path, O_RDWR | O_CLOEXEC);
    if (writer->fd < 0) {
        fail(writer, "cannot be opened", error);
        goto close_writer;
    }
    if (end == CAPTURE_TORN && (ftruncate(writer->fd, (off_t)writer->size) != 0)) {
        fail(writer, "its torn tail cannot be cut", error);
        goto close_writer;
    }
    *ordinal = writer->ordinal;
    goto free_files;

close_writer:
    capture_close(writer);
    writer = NULL;
free_files:
    capture_files_fini(&files);
    return writer;
}

void capture_append(struct capture_writer *writer, const struct entry *entry)
{
    CHECK(entry->raw.size <= CAPTURE_ENTRY_MAX);
    if (writer->count > 0 && writer->raw.size + entry->raw.size > CAPTURE_FRAME_SPLIT) {
        finish_frame(writer);
    }
    writer->first_ms = writer->count == 0 ? entry->id.ms : writer->first_ms;
    buffer_put_varint(&writer->raw, entry->id.ms - writer->previous_ms);
    buffer_put_varint(&writer->raw, entry->id.seq);
    buffer_put_sized(&writer->raw, entry->raw);
    writer->previous_ms = entry->id.ms;
    writer->count++;
}

bool capture_flush(struct capture_writer *writer, struct error *error)
{
    if (writer->count > 0) {
        finish_frame(writer);
    }
    return write_out(writer, error);
}

bool capture_sync(struct capture_writer *writer, struct error *error)
{
    return fdatasync(writer->fd) == 0 || fail(writer, "cannot be synced", error);
}

uint64_t capture_writer_size(const struct capture_writer *writer)
{
    return writer->size - writer->header_end;
}

void capture_close(struct capture_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    if (writer->fd >= 0) {
        close(writer->fd);
    }
    ZSTD_freeCCtx(writer->context);
    buffer_fini(&writer->raw);
    buffer_fini(&writer->out);
    mem_free(writer->path);
    mem_free(writer);
}
