/* SPDX-License-Identifier: MIT
 * Reading captures: frame by frame with pread, so that a file may grow or be cut under the reader.
 */
#include "store/capture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "store/capture_parts.h"

#define PARTITION_PREFIX "capture-"
#define ZERO_CHUNK_SIZE  65536
#define CHECKSUM_SIZE    4 /* zstd's, at a body's end */

static const char *name_of(const struct capture_reader *reader)
{
    return capture_file_told(reader->files.paths[reader->file_index]);
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

/* A head with right digests, of a frame that cannot stand here. */
static const char *find_senseless(const struct capture_reader *reader,
                                  const struct capture_frame *frame)
{
    bool is_header = reader->frame_number == 0;
    if (frame->raw_size > (is_header ? CAPTURE_HEADER_RAW_MAX : CAPTURE_FRAME_RAW_MAX)) {
        return "the frame is larger than allowed";
    }
    if (is_header != (frame->count == 0)) {
        return "the frame's count of entries cannot be";
    }
    return is_header || frame->ordinal == reader->ordinal
               ? NULL
               : "the frame does not follow the one before it";
}

enum capture_next capture_reader_look(struct capture_reader *reader, struct error *error)
{
    ssize_t got = read_at(reader, reader->head, CAPTURE_HEAD_SIZE, reader->offset, error);
    if (got < CAPTURE_HEAD_SIZE) {
        return got < 0 ? CAPTURE_ERROR : got == 0 ? CAPTURE_END : CAPTURE_TORN;
    }
    struct capture_frame frame;
    if (!capture_read_head(reader->head, &frame)) {
        return judge_bad(reader, reader->offset, "the frame's head is not what was written", error);
    }
    struct stat status;
    if (fstat(reader->fd, &status) != 0) {
        error_set(error, ERROR_IO, "%s: cannot be read: %s", name_of(reader), strerror(errno));
        return CAPTURE_ERROR;
    }
    if ((uint64_t)status.st_size < reader->offset + CAPTURE_HEAD_SIZE + frame.body_size) {
        return CAPTURE_TORN;
    }
    const char *problem = find_senseless(reader, &frame);
    if (problem != NULL) {
        return damaged(reader, error, problem);
    }
    reader->frame = frame;
    return CAPTURE_ENTRY;
}

void capture_reader_pass(struct capture_reader *reader)
{
    reader->offset += CAPTURE_HEAD_SIZE + reader->frame.body_size;
    reader->frame_number++;
}

/* Reads and checks the body of the frame looked at. */
static enum capture_next read_body(struct capture_reader *reader, struct error *error)
{
    uint32_t size = reader->frame.body_size;
    uint64_t offset = reader->offset + CAPTURE_HEAD_SIZE;
    buffer_reset(&reader->body);
    ssize_t got = read_at(reader, buffer_reserve(&reader->body, size), size, offset, error);
    if (got < (ssize_t)size) {
        return got < 0 ? CAPTURE_ERROR : CAPTURE_TORN;
    }
    reader->body.size = size;
    if (!capture_body_is_whole(reader->head, buffer_span(&reader->body))) {
        return judge_bad(reader, offset + size - (size < CHECKSUM_SIZE ? size : CHECKSUM_SIZE),
                         "the frame's body is not what was written", error);
    }
    return CAPTURE_ENTRY;
}

/* Decompresses the frame at the reader's place into `raw`. Moves behind it only when all of it is
 * good. */
static enum capture_next load_frame(struct capture_reader *reader, struct error *error)
{
    enum capture_next next = capture_reader_look(reader, error);
    next = next == CAPTURE_ENTRY ? read_body(reader, error) : next;
    if (next != CAPTURE_ENTRY) {
        return next;
    }
    CHECK(reader->context != NULL);
    /* Room is made for what both the head and zstd's own header promise. */
    uint32_t raw_size = reader->frame.raw_size;
    const struct buffer *body = &reader->body;
    buffer_reset(&reader->raw);
    if (ZSTD_getFrameContentSize(body->data, body->size) == raw_size) {
        char *raw = buffer_reserve(&reader->raw, raw_size);
        reader->raw.size =
            ZSTD_decompressDCtx(reader->context, raw, raw_size, body->data, body->size);
        if (reader->raw.size == raw_size) {
            return CAPTURE_ENTRY;
        }
    }
    buffer_reset(&reader->raw);
    return damaged(reader, error, "the frame's content cannot be decompressed");
}

bool capture_reader_enter(struct capture_reader *reader, size_t index, struct error *error)
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
    reader->is_gone = reader->fd < 0 && errno == ENOENT;
    char prelude[CAPTURE_PRELUDE_SIZE] = {0};
    if (reader->fd < 0) {
        return error_set(error, ERROR_IO, "%s: cannot be opened: %s", reader->files.paths[index],
                         strerror(errno));
    }
    return read_at(reader, prelude, sizeof(prelude), 0, error) >= 0 &&
           capture_check_prelude(prelude, name_of(reader), error);
}

/* Opens the file and reads its header, whose texts borrow from `raw`. */
static bool open_file(struct capture_reader *reader, size_t index, struct capture_header *header,
                      struct error *error)
{
    if (!capture_reader_enter(reader, index, error)) {
        return false;
    }
    enum capture_next next = load_frame(reader, error);
    if (next == CAPTURE_END || next == CAPTURE_TORN) {
        next = damaged(reader, error, "the file ends inside its header");
    }
    if (next != CAPTURE_ENTRY) {
        return false;
    }
    if (!capture_read_header(buffer_span(&reader->raw), header) ||
        header->ordinal != reader->frame.ordinal || header->position.ms != reader->frame.first_ms ||
        header->position.ms != reader->frame.last_ms) {
        damaged(reader, error, "the header makes no sense");
        return false;
    }
    capture_reader_pass(reader);
    return true;
}

bool capture_reader_start(struct capture_reader *reader, size_t index, struct error *error)
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
    reader->passed = header.position;
    reader->timeline = header.timeline;
    reader->has_position = true;
    return true;
}

/* Names the capture of a partition that is in a data directory. */
static void refuse_empty(const char *path, struct error *error)
{
    error_set(error, ERROR_USAGE, "%s: no *%s file in it", path, CAPTURE_SUFFIX);
    DIR *listing = opendir(path);
    for (struct dirent *item; listing != NULL && (item = readdir(listing)) != NULL;) {
        if (strncmp(item->d_name, PARTITION_PREFIX, sizeof(PARTITION_PREFIX) - 1) == 0) {
            error_set(error, ERROR_USAGE, "%s: a data directory; its capture is %s/%s",
                      capture_file_told(path), capture_file_told(path), item->d_name);
            break;
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
}

struct capture_reader *capture_reader_make(const char *path, struct error *error)
{
    struct capture_reader *reader = mem_zero(sizeof(*reader));
    reader->fd = -1;
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
        refuse_empty(path, error);
        goto close_reader;
    }
    return reader;

close_reader:
    capture_reader_close(reader);
    return NULL;
}

struct capture_reader *capture_open(const char *path, struct error *error)
{
    struct capture_reader *reader = capture_reader_make(path, error);
    if (reader == NULL) {
        return NULL;
    }
    reader->context = ZSTD_createDCtx();
    CHECK(reader->context != NULL);
    bool is_started = capture_reader_start(reader, 0, error);
    while (!is_started && reader->is_gone && reader->files.count > 1) {
        capture_files_drop(&reader->files, 1);
        is_started = capture_reader_start(reader, 0, error);
    }
    if (!is_started) {
        capture_reader_close(reader);
        return NULL;
    }
    return reader;
}

const struct capture_header *capture_reader_header(const struct capture_reader *reader)
{
    return &reader->header;
}

bool capture_reader_is_last(const struct capture_reader *reader)
{
    return reader->file_index + 1 == reader->files.count;
}

enum capture_next capture_reader_enter_next(struct capture_reader *reader, struct error *error)
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
    bool is_other = reader->has_position && stream_id_compare(header.position, reader->passed);
    if (is_other || header.timeline < reader->timeline) {
        error_set(error, ERROR_CORRUPT,
                  "%s: begins behind entry %llu-%llu of timeline %llu; the file before it ended at "
                  "%llu-%llu of timeline %llu: they are of two captures",
                  name_of(reader), (unsigned long long)header.position.ms,
                  (unsigned long long)header.position.seq, (unsigned long long)header.timeline,
                  (unsigned long long)reader->passed.ms, (unsigned long long)reader->passed.seq,
                  (unsigned long long)reader->timeline);
        return CAPTURE_ERROR;
    }
    reader->timeline = header.timeline;
    reader->passed = header.position;
    reader->has_position = true;
    return CAPTURE_ENTRY;
}

/* ENTRY: a frame was loaded, or the next file was opened. */
static enum capture_next go_on(struct capture_reader *reader, struct error *error)
{
    enum capture_next next = load_frame(reader, error);
    bool is_last = capture_reader_is_last(reader);
    if (next == CAPTURE_END && !is_last) {
        return capture_reader_enter_next(reader, error);
    }
    if (next == CAPTURE_TORN && !is_last) {
        return damaged(reader, error, "the frame is incomplete, but another file follows");
    }
    if (next == CAPTURE_ENTRY) {
        capture_reader_pass(reader);
        reader->entries = (struct reader){.rest = buffer_span(&reader->raw)};
        reader->entries_left = reader->frame.count;
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
    bool is_first = reader->entries_left == reader->frame.count;
    bool is_last = reader->entries_left == 1;
    if (entries->is_bad || (is_last && entries->rest.size != 0) ||
        (is_first && out->id.ms != reader->frame.first_ms) ||
        (is_last && out->id.ms != reader->frame.last_ms) ||
        stream_id_compare(out->id, reader->passed) <= 0) {
        error_set(error, ERROR_CORRUPT,
                  "%s: frame %llu, before byte %llu: its entries make no sense", name_of(reader),
                  (unsigned long long)reader->frame_number - 1, (unsigned long long)reader->offset);
        return CAPTURE_ERROR;
    }
    reader->previous_ms = out->id.ms;
    reader->passed = out->id;
    reader->has_position = true;
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

struct capture_stand capture_reader_stand(const struct capture_reader *reader)
{
    return (struct capture_stand){
        .path = reader->files.paths[reader->file_index],
        .number = reader->frame_number - 1,
        .offset = reader->offset - CAPTURE_HEAD_SIZE - reader->frame.body_size,
        .frame = reader->frame,
    };
}

uint32_t capture_frame_left(const struct capture_reader *reader)
{
    return reader->entries_left;
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
