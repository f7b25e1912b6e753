/* SPDX-License-Identifier: MIT
 * Reading captures: frame by frame with pread, so that a file may grow or be cut under the reader.
 */
#include "store/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "store/capture_files.h"
#include "store/capture_format.h"

#define ZERO_CHUNK_SIZE 65536
#define CHECKSUM_SIZE   4 /* zstd's, at a body's end */

struct capture_reader {
    struct capture_files files;   /* owned; at least one */
    size_t file_index;            /* of the open one */
    int fd;                       /* of that file; -1: none */
    uint64_t offset;              /* where its next frame begins */
    uint64_t frame_number;        /* of that frame; the header is 0 */
    uint64_t ordinal;             /* entries of the partition before the next one */
    struct capture_header header; /* its texts borrow from header_raw */
    struct buffer header_raw;
    ZSTD_DCtx *context;    /* owned */
    struct buffer body;    /* of the frame being loaded */
    struct buffer raw;     /* its content */
    struct reader entries; /* walks `raw` */
    uint32_t entries_left;
    uint64_t previous_ms; /* of the entry before, within the frame */
    struct error failure; /* once reading failed, every later call fails alike */
};

static const char *name_of(const struct capture_reader *reader)
{
    return capture_file_name(reader->files.paths[reader->file_index]);
}

static enum capture_next damaged(const struct capture_reader *reader, struct error *error,
                                 const char *what)
{
    error_set(error, ERROR_CORRUPT, "%s: frame %llu at byte %llu: %s", name_of(reader),
              (unsigned long long)reader->frame_number, (unsigned long long)reader->offset, what);
    return CAPTURE_ERROR;
}

/* Reads up to `size` bytes; fewer only at the file's end. Negative on error. */
static ssize_t read_at(const struct capture_reader *reader, char *bytes, size_t size,
                       uint64_t offset, struct error *error)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(reader->fd, bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            error_set(error, ERROR_IO, "%s: cannot be read: %s", name_of(reader), strerror(errno));
            return -1;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Whether nothing but zero bytes follow from `at` on: TORN then, else damage. */
static enum capture_next judge_bad(const struct capture_reader *reader, uint64_t at,
                                   const char *what, struct error *error)
{
    static const char zeros[ZERO_CHUNK_SIZE];
    char chunk[ZERO_CHUNK_SIZE];
    ssize_t got;
    for (; (got = read_at(reader, chunk, sizeof(chunk), at, error)) > 0; at += (uint64_t)got) {
        if (memcmp(chunk, zeros, (size_t)got) != 0) {
            return damaged(reader, error, what);
        }
    }
    return got < 0 ? CAPTURE_ERROR : CAPTURE_TORN;
}

/* Reads and checks the frame at `offset` up to its stored body. ENTRY: a whole frame is there. */
static enum capture_next read_frame(struct capture_reader *reader, struct capture_frame *frame,
                                    struct error *error)
{
    char head[CAPTURE_HEAD_SIZE];
    ssize_t got = read_at(reader, head, sizeof(head), reader->offset, error);
    if (got < (ssize_t)sizeof(head)) {
        return got < 0 ? CAPTURE_ERROR : got == 0 ? CAPTURE_END : CAPTURE_TORN;
    }
    if (!capture_read_head(head, frame)) {
        return judge_bad(reader, reader->offset, "the frame's head is not what was written", error);
    }
    struct stat status;
    if (fstat(reader->fd, &status) != 0) {
        error_set(error, ERROR_IO, "%s: cannot be read: %s", name_of(reader), strerror(errno));
        return CAPTURE_ERROR;
    }
    uint64_t body_offset = reader->offset + CAPTURE_HEAD_SIZE;
    if ((uint64_t)status.st_size < body_offset + frame->body_size) {
        return CAPTURE_TORN;
    }
    buffer_reset(&reader->body);
    char *body = buffer_reserve(&reader->body, frame->body_size);
    got = read_at(reader, body, frame->body_size, body_offset, error);
    if (got < (ssize_t)frame->body_size) {
        return got < 0 ? CAPTURE_ERROR : CAPTURE_TORN;
    }
    reader->body.size = frame->body_size;
    if (!capture_body_is_whole(head, buffer_span(&reader->body))) {
        size_t checksum = frame->body_size < CHECKSUM_SIZE ? frame->body_size : CHECKSUM_SIZE;
        return judge_bad(reader, body_offset + frame->body_size - checksum,
                         "the frame's body is not what was written", error);
    }
    return CAPTURE_ENTRY;
}

/* The same, and decompresses it into `raw`. Moves behind it only when all of it is good. */
static enum capture_next load_frame(struct capture_reader *reader, struct capture_frame *frame,
                                    struct error *error)
{
    enum capture_next next = read_frame(reader, frame, error);
    if (next != CAPTURE_ENTRY) {
        return next;
    }
    bool is_header = reader->frame_number == 0;
    if (frame->raw_size > (is_header ? CAPTURE_HEADER_RAW_MAX : CAPTURE_FRAME_RAW_MAX)) {
        return damaged(reader, error, "the frame is larger than allowed");
    }
    if (is_header != (frame->count == 0)) {
        return damaged(reader, error, "the frame's count of entries cannot be");
    }
    if (!is_header && frame->ordinal != reader->ordinal) {
        return damaged(reader, error, "the frame does not follow the one before it");
    }
    buffer_reset(&reader->raw);
    char *raw = buffer_reserve(&reader->raw, frame->raw_size);
    size_t size = ZSTD_decompressDCtx(reader->context, raw, frame->raw_size, reader->body.data,
                                      reader->body.size);
    if (ZSTD_isError(size) || size != frame->raw_size) {
        return damaged(reader, error, "the frame's content cannot be decompressed");
    }
    reader->raw.size = size;
    return CAPTURE_ENTRY;
}

static void pass_frame(struct capture_reader *reader)
{
    reader->offset += CAPTURE_HEAD_SIZE + reader->body.size;
    reader->frame_number++;
}

/* Opens the file and reads its header, whose texts borrow from `raw`. */
static bool open_file(struct capture_reader *reader, size_t index, struct capture_header *header,
                      struct error *error)
{
    if (reader->fd >= 0) {
        close(reader->fd);
    }
    reader->file_index = index;
    reader->offset = CAPTURE_PRELUDE_SIZE;
    reader->frame_number = 0;
    reader->entries = (struct reader){0};
    reader->entries_left = 0;
    reader->fd = open(reader->files.paths[index], O_RDONLY | O_CLOEXEC);
    char prelude[CAPTURE_PRELUDE_SIZE] = {0};
    if (reader->fd < 0) {
        return error_set(error, ERROR_IO, "%s: cannot be opened: %s", reader->files.paths[index],
                         strerror(errno));
    }
    if (read_at(reader, prelude, sizeof(prelude), 0, error) < 0 ||
        !capture_check_prelude(prelude, name_of(reader), error)) {
        return false;
    }
    struct capture_frame frame;
    enum capture_next next = load_frame(reader, &frame, error);
    if (next == CAPTURE_END || next == CAPTURE_TORN) {
        next = damaged(reader, error, "the file ends inside its header");
    }
    if (next != CAPTURE_ENTRY) {
        return false;
    }
    if (!capture_read_header(buffer_span(&reader->raw), header) ||
        header->ordinal != frame.ordinal) {
        damaged(reader, error, "the header makes no sense");
        return false;
    }
    pass_frame(reader);
    return true;
}

/* Opens the file as the first one to be read: its header becomes the reader's. */
static bool start_at(struct capture_reader *reader, size_t index, struct error *error)
{
    struct capture_header header;
    if (!open_file(reader, index, &header, error)) {
        return false;
    }
    struct buffer kept = reader->raw;
    reader->raw = reader->header_raw;
    reader->header_raw = kept;
    reader->header = header;
    reader->ordinal = header.ordinal;
    return true;
}

struct capture_reader *capture_open(const char *path, struct error *error)
{
    struct capture_reader *reader = mem_zero(sizeof(*reader));
    reader->fd = -1;
    reader->context = ZSTD_createDCtx();
    CHECK(reader->context != NULL);
    struct stat status;
    if (stat(path, &status) != 0) {
        error_set(error, ERROR_IO, "%s: cannot be opened: %s", path, strerror(errno));
        goto close_reader;
    }
    if (!S_ISDIR(status.st_mode)) {
        capture_files_add(&reader->files, path);
    } else if (!capture_files_list(path, &reader->files, error)) {
        goto close_reader;
    }
    if (reader->files.count == 0) {
        error_set(error, ERROR_USAGE, "%s: no *%s file in it", path, CAPTURE_SUFFIX);
        goto close_reader;
    }
    if (!start_at(reader, 0, error)) {
        goto close_reader;
    }
    return reader;

close_reader:
    capture_reader_close(reader);
    return NULL;
}

const struct capture_header *capture_reader_header(const struct capture_reader *reader)
{
    return &reader->header;
}

bool capture_seek(struct capture_reader *reader, uint64_t ordinal, struct error *error)
{
    reader->failure = (struct error){0};
    for (size_t index = reader->files.count; index > 0; index--) {
        if (!start_at(reader, index - 1, error)) {
            reader->failure = *error;
            return false;
        }
        if (reader->ordinal <= ordinal) {
            return true;
        }
    }
    return error_set(error, ERROR_USAGE, "%s: the capture begins at ordinal %llu, behind %llu",
                     name_of(reader), (unsigned long long)reader->ordinal,
                     (unsigned long long)ordinal);
}

static enum capture_next open_next_file(struct capture_reader *reader, struct error *error)
{
    struct capture_header header;
    if (!open_file(reader, reader->file_index + 1, &header, error)) {
        return CAPTURE_ERROR;
    }
    if (header.ordinal != reader->ordinal || header.partition != reader->header.partition) {
        error_set(error, ERROR_CORRUPT,
                  "%s: begins at ordinal %llu of partition %u; the file before it ended at %llu of "
                  "partition %u",
                  name_of(reader), (unsigned long long)header.ordinal, header.partition,
                  (unsigned long long)reader->ordinal, reader->header.partition);
        return CAPTURE_ERROR;
    }
    return CAPTURE_ENTRY;
}

/* ENTRY: a frame was loaded, or the next file was opened. */
static enum capture_next go_on(struct capture_reader *reader, struct error *error)
{
    struct capture_frame frame;
    enum capture_next next = load_frame(reader, &frame, error);
    bool is_last_file = reader->file_index + 1 == reader->files.count;
    if (next == CAPTURE_END && !is_last_file) {
        return open_next_file(reader, error);
    }
    if (next == CAPTURE_TORN && !is_last_file) {
        return damaged(reader, error, "the frame is incomplete, but another file follows");
    }
    if (next == CAPTURE_ENTRY) {
        pass_frame(reader);
        reader->entries = (struct reader){.rest = buffer_span(&reader->raw)};
        reader->entries_left = frame.count;
        reader->previous_ms = 0;
    }
    return next;
}

static enum capture_next read_entry(struct capture_reader *reader, struct entry *out,
                                    struct error *error)
{
    struct reader *entries = &reader->entries;
    out->id.ms = reader->previous_ms + reader_varint(entries);
    out->id.seq = reader_varint(entries);
    out->raw = reader_sized(entries);
    if (entries->is_bad || (reader->entries_left == 1 && entries->rest.size != 0)) {
        error_set(error, ERROR_CORRUPT,
                  "%s: frame %llu, before byte %llu: its entries make no sense", name_of(reader),
                  (unsigned long long)reader->frame_number - 1, (unsigned long long)reader->offset);
        return CAPTURE_ERROR;
    }
    reader->previous_ms = out->id.ms;
    reader->entries_left--;
    reader->ordinal++;
    return CAPTURE_ENTRY;
}

enum capture_next capture_next(struct capture_reader *reader, struct entry *out,
                               struct error *error)
{
    if (reader->failure.code != ERROR_NONE) {
        *error = reader->failure;
        return CAPTURE_ERROR;
    }
    enum capture_next next = CAPTURE_ENTRY;
    while (next == CAPTURE_ENTRY && reader->entries_left == 0) {
        next = go_on(reader, error);
    }
    next = next == CAPTURE_ENTRY ? read_entry(reader, out, error) : next;
    if (next == CAPTURE_ERROR) {
        reader->failure = *error;
    }
    return next;
}

uint64_t capture_reader_offset(const struct capture_reader *reader)
{
    return reader->offset;
}

uint64_t capture_reader_ordinal(const struct capture_reader *reader)
{
    return reader->ordinal;
}

void capture_reader_close(struct capture_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    if (reader->fd >= 0) {
        close(reader->fd);
    }
    ZSTD_freeDCtx(reader->context);
    buffer_fini(&reader->body);
    buffer_fini(&reader->raw);
    buffer_fini(&reader->header_raw);
    capture_files_fini(&reader->files);
    mem_free(reader);
}
