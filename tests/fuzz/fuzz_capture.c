/* SPDX-License-Identifier: MIT
 * Hostile captures. The first byte chooses what the bytes behind the second are: a file as it is; a
 * file whose digests are made right first, so that no checksum stops what is wrong behind them; or
 * the content of frames that are put into a file with right heads (see build), so that the parsers
 * of headers and entries are reached. What is read must be told alike by reading, by skipping to
 * where the second byte says, and by the range. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/sha256.h"
#include "store/capture_format.h"

enum way { WAY_AS_IT_IS, WAY_REPAIRED, WAY_BUILT, WAY_COUNT };

#define FILE_MAX    ((size_t)1 << 20)
#define ENTRIES_MAX 256 /* that are compared */
#define VERSION_END 12  /* of a prelude: its digest follows */
#define BODY_DIGEST 40  /* in a head */
#define HEAD_DIGEST 56

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t read_u32(const char *bytes)
{
    uint32_t number = 0;
    for (int index = 3; index >= 0; index--) {
        number = number << 8 | (uint8_t)bytes[index];
    }
    return number;
}

static void put_digest(char *place, size_t size, struct span of)
{
    struct sha256 digest = sha256_of(of);
    memcpy(place, digest.bytes, size);
}

/* Every digest becomes that of what stands there; a body that would end behind the file keeps what
 * its head says, as in a torn file. */
static void repair(struct buffer *file)
{
    if (file->size >= CAPTURE_PRELUDE_SIZE) {
        put_digest(file->data + VERSION_END, CAPTURE_PRELUDE_SIZE - VERSION_END,
                   (struct span){file->data, VERSION_END});
    }
    size_t at = CAPTURE_PRELUDE_SIZE;
    while (at + CAPTURE_HEAD_SIZE <= file->size) {
        char *head = file->data + at;
        size_t body_size = read_u32(head + 4);
        size_t left = file->size - at - CAPTURE_HEAD_SIZE;
        if (body_size <= left) {
            put_digest(head + BODY_DIGEST, HEAD_DIGEST - BODY_DIGEST,
                       (struct span){head + CAPTURE_HEAD_SIZE, body_size});
        }
        put_digest(head + HEAD_DIGEST, CAPTURE_HEAD_SIZE - HEAD_DIGEST,
                   (struct span){head, HEAD_DIGEST});
        at += CAPTURE_HEAD_SIZE + (body_size < left ? body_size : left);
    }
}

/* --- frames built around their content --- */

enum lie { LIE_ORDINAL = 1, LIE_FIRST_MS = 2, LIE_LAST_MS = 4, LIE_RAW_SIZE = 8 };

/* A zstd frame of one raw block, without a checksum. */
static void put_body(struct buffer *body, struct span content)
{
    static const uint8_t start[] = {0x28, 0xb5, 0x2f, 0xfd, 0xa0}; /* then 4 bytes of its size */
    uint32_t block = (uint32_t)content.size << 3 | 1;
    buffer_put(body, start, sizeof(start));
    for (unsigned shift = 0; shift < 32; shift += 8) {
        buffer_put_byte(body, (uint8_t)(content.size >> shift));
    }
    for (unsigned shift = 0; shift < 24; shift += 8) {
        buffer_put_byte(body, (uint8_t)(block >> shift));
    }
    buffer_put_span(body, content);
}

/* What an honest head tells of such content. */
static void tell_times(struct capture_frame *frame, struct span content)
{
    struct reader reader = {.rest = content};
    uint64_t ms = 0;
    for (uint32_t index = 0; index < frame->count; index++) {
        ms += reader_varint(&reader);
        (void)reader_varint(&reader);
        (void)reader_sized(&reader);
        frame->first_ms = index == 0 ? ms : frame->first_ms;
    }
    frame->last_ms = ms;
}

static void put_frame(struct buffer *file, uint64_t *ordinal, uint8_t lies, uint8_t count,
                      struct span content)
{
    struct buffer body = {0};
    put_body(&body, content);
    struct capture_frame frame = {
        .body_size = (uint32_t)body.size,
        .raw_size = (uint32_t)content.size + ((lies & LIE_RAW_SIZE) != 0),
        .count = count,
    };
    struct capture_header header;
    if (count > 0) {
        tell_times(&frame, content);
    } else if (capture_read_header(content, &header)) {
        frame.first_ms = frame.last_ms = header.position.ms;
        *ordinal = header.ordinal;
    }
    frame.ordinal = *ordinal + ((lies & LIE_ORDINAL) != 0);
    frame.first_ms += (lies & LIE_FIRST_MS) != 0;
    frame.last_ms += (lies & LIE_LAST_MS) != 0;
    *ordinal += count;
    char head[CAPTURE_HEAD_SIZE];
    capture_put_head(head, &frame, body.data);
    buffer_put(file, head, sizeof(head));
    buffer_put_span(file, buffer_span(&body));
    buffer_fini(&body);
}

/* Of each frame the input holds: its lies, its count of entries, two bytes of its content's size,
 * its content. */
static void build(struct buffer *file, struct span input)
{
    uint64_t ordinal = 0;
    capture_put_prelude(file);
    while (input.size >= 4 && file->size < FILE_MAX) {
        const uint8_t *bytes = (const uint8_t *)input.data;
        size_t size = (size_t)bytes[2] | (size_t)bytes[3] << 8;
        size_t left = input.size - 4;
        size = size < left ? size : left;
        put_frame(file, &ordinal, bytes[0], bytes[1], (struct span){input.data + 4, size});
        input = (struct span){input.data + 4 + size, left - size};
    }
}

/* --- what is held against each other --- */

struct passage {
    enum capture_next end;
    uint64_t first_ordinal, count;
    struct stream_id ids[ENTRIES_MAX];
    uint64_t hashes[ENTRIES_MAX];
    uint64_t first_ms, last_ms;
};

static void read_through(struct capture_reader *reader, struct passage *out)
{
    struct error error = {0};
    struct entry entry;
    out->first_ordinal = capture_reader_ordinal(reader);
    CHECK(out->first_ordinal == capture_reader_header(reader)->ordinal);
    while ((out->end = capture_next(reader, &entry, &error)) == CAPTURE_ENTRY) {
        if (out->count < ENTRIES_MAX) {
            out->ids[out->count] = entry.id;
            out->hashes[out->count] = hash_bytes(entry.raw);
        }
        out->first_ms = out->count == 0 ? entry.id.ms : out->first_ms;
        out->last_ms = entry.id.ms;
        out->count++;
    }
    CHECK(capture_reader_ordinal(reader) == out->first_ordinal + out->count);
    CHECK((out->end == CAPTURE_ERROR) == (error.code != ERROR_NONE));
    CHECK(capture_next(reader, &entry, &error) == out->end);
}

/* The heads tell what the entries tell; of a damaged body they know nothing. */
static void check_range(const char *path, const struct passage *passage)
{
    struct capture_range range;
    struct error error = {0};
    bool is_told = capture_range(path, &range, &error);
    CHECK(is_told || passage->end == CAPTURE_ERROR);
    CHECK(!is_told || range.first_ordinal == passage->first_ordinal);
    CHECK(!is_told || range.entries >= passage->count);
    if (passage->end == CAPTURE_END) {
        CHECK(!range.is_torn);
        CHECK(range.entries == passage->count);
        CHECK(range.first_ms == passage->first_ms);
        CHECK(range.last_ms == passage->last_ms);
    }
}

/* What stands behind a skip is what stood there when all was read. */
static void check_skip(struct capture_reader *reader, const struct passage *passage, uint64_t to)
{
    struct error error = {0};
    struct entry entry;
    CHECK(capture_seek(reader, passage->first_ordinal, &error));
    if (!capture_skip(reader, passage->first_ordinal + to, &error)) {
        CHECK(passage->end == CAPTURE_ERROR);
        CHECK(capture_next(reader, &entry, &error) == CAPTURE_ERROR);
        return;
    }
    uint64_t index = capture_reader_ordinal(reader) - passage->first_ordinal;
    CHECK(index <= to);
    for (; index < passage->count && index < ENTRIES_MAX; index++) {
        CHECK(capture_next(reader, &entry, &error) == CAPTURE_ENTRY);
        CHECK(stream_id_compare(entry.id, passage->ids[index]) == 0);
        CHECK(hash_bytes(entry.raw) == passage->hashes[index]);
    }
}

static void check_file(const char *path, uint8_t to)
{
    static struct passage passage;
    struct error error = {0};
    struct capture_reader *reader = capture_open(path, &error);
    if (reader == NULL) {
        CHECK(error.code != ERROR_NONE);
        return;
    }
    passage.count = 0;
    passage.first_ms = passage.last_ms = 0;
    read_through(reader, &passage);
    check_range(path, &passage);
    check_skip(reader, &passage, to);
    capture_reader_close(reader);
}

/* A file in memory that has no name any more, and the path that leads to it all the same. */
static int open_file(char *path, size_t size)
{
    char name[] = "/dev/shm/fuzz_capture-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    CHECK(unlink(name) == 0);
    snprintf(path, size, "/proc/self/fd/%d", fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static struct buffer file;
    static char path[40];
    if (fd < 0) {
        fd = open_file(path, sizeof(path));
    }
    if (size < 2) {
        return 0;
    }
    enum way way = data[0] % WAY_COUNT;
    struct span input = {(const char *)data + 2, size - 2};
    buffer_reset(&file);
    if (way == WAY_BUILT) {
        build(&file, input);
    } else {
        buffer_put_span(&file, input);
    }
    if (way == WAY_REPAIRED) {
        repair(&file);
    }
    CHECK(pwrite(fd, file.data, file.size, 0) == (ssize_t)file.size);
    CHECK(ftruncate(fd, (off_t)file.size) == 0);
    check_file(path, data[1]);
    return 0;
}
