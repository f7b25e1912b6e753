/* SPDX-License-Identifier: MIT
 * The capture format, version 1. Integers of fixed size are little-endian; "varint" is LEB128, and
 * "sized" a varint of the size, then the bytes.
 *
 *   file      = prelude, frame 0 (the header), frames 1, 2, … (entries)
 *   prelude   = 16 bytes; it stays as it is in every later version:
 *      0   8  magic 89 'SALVOR' 0a
 *      8   4  version
 *     12   4  first bytes of the SHA-256 of bytes 0-11
 *   frame     = head, body
 *   head      = 64 bytes:
 *      0   4  'FRME'
 *      4   4  size of the body
 *      8   4  size of the body's content
 *     12   4  count of entries; 0 in frame 0 alone
 *     16   8  ordinal: entries of the partition before the frame's first one
 *     24   8  ms of its first entry's id; of frame 0: of the header's position
 *     32   8  ms of its last entry's id; of frame 0: the same again
 *     40  16  first bytes of the SHA-256 of the body as stored
 *     56   8  first bytes of the SHA-256 of bytes 0-55
 *   body      = one zstd frame with a checksum
 *   content of frame 0    = varints partition, timeline, ordinal, ms and seq of the position,
 *                           reducer version; then sized policy, snapshot, audit head
 *   content of the others = for each entry: varint ms of its id minus the ms of the entry before it
 *                           in the frame (before the first: 0), modulo 2^64; varint seq; sized raw
 *
 * The heads are the index: an ordinal or a time is found by hopping from head to head, and the file
 * that holds it by the heads of the files' frames 0, without decompressing anything.
 *
 * A file is named by its first ordinal and comes into being whole (written aside, synced, renamed),
 * so frame 0 is never torn. Frames are only ever appended.
 *
 * Torn or damaged? The last frame is torn, and may be cut, when the file ends inside its head, when
 * its head is whole and the file ends inside its body, when nothing but zero bytes follow the frame
 * before it, or when its body differs from what was written and nothing but zero bytes stand from
 * the body's last four on (room that a crash of the machine left unwritten; those four are zstd's
 * checksum, which is 0 once in 2^32). Everything else that differs from what was written is damage
 * and is never replayed: the head has a digest of its own, so that a damaged length cannot pass for
 * a torn tail, and the body's digest covers the bytes as stored, since a zstd frame has bits that
 * its own checksum does not see.
 *
 * To change the format: raise CAPTURE_VERSION, keep the reading of every older version, and add a
 * file of the old version to the tests. */
#include "store/capture_format.h"

#include <string.h>

#include "base/sha256.h"

#define MAGIC "\x89SALVOR\n"
#define MARK  "FRME"

enum prelude_offset { PRELUDE_VERSION = 8, PRELUDE_DIGEST = 12 };
enum head_offset {
    HEAD_BODY_SIZE = 4,
    HEAD_RAW_SIZE = 8,
    HEAD_COUNT = 12,
    HEAD_ORDINAL = 16,
    HEAD_FIRST_MS = 24,
    HEAD_LAST_MS = 32,
    HEAD_BODY_DIGEST = 40,
    HEAD_DIGEST = 56
};

_Static_assert(sizeof(MAGIC) - 1 == PRELUDE_VERSION, "the magic fills its place");
_Static_assert(sizeof(MARK) - 1 == HEAD_BODY_SIZE, "the mark fills its place");

static void put_number(char *bytes, unsigned size, uint64_t number)
{
    for (unsigned index = 0; index < size; index++) {
        bytes[index] = (char)(uint8_t)(number >> (8 * index));
    }
}

static uint64_t read_number(const char *bytes, unsigned size)
{
    uint64_t number = 0;
    for (unsigned index = 0; index < size; index++) {
        number |= (uint64_t)(uint8_t)bytes[index] << (8 * index);
    }
    return number;
}

static void put_digest(char *place, size_t digest_size, struct span of)
{
    struct sha256 digest = sha256_of(of);
    memcpy(place, digest.bytes, digest_size);
}

static bool is_digest(const char *place, size_t digest_size, struct span of)
{
    struct sha256 digest = sha256_of(of);
    return memcmp(place, digest.bytes, digest_size) == 0;
}

void capture_put_prelude(struct buffer *buffer)
{
    char bytes[CAPTURE_PRELUDE_SIZE];
    memcpy(bytes, MAGIC, PRELUDE_VERSION);
    put_number(bytes + PRELUDE_VERSION, 4, CAPTURE_VERSION);
    put_digest(bytes + PRELUDE_DIGEST, sizeof(bytes) - PRELUDE_DIGEST,
               (struct span){bytes, PRELUDE_DIGEST});
    buffer_put(buffer, bytes, sizeof(bytes));
}

bool capture_check_prelude(const char *bytes, const char *name, struct error *error)
{
    if (!is_digest(bytes + PRELUDE_DIGEST, CAPTURE_PRELUDE_SIZE - PRELUDE_DIGEST,
                   (struct span){bytes, PRELUDE_DIGEST}) ||
        memcmp(bytes, MAGIC, PRELUDE_VERSION) != 0) {
        return error_set(error, ERROR_CORRUPT,
                         "%s: frame 0 at byte 0: no capture file, or its first bytes are damaged",
                         name);
    }
    uint64_t version = read_number(bytes + PRELUDE_VERSION, 4);
    if (version != CAPTURE_VERSION) {
        return error_set(error, ERROR_REFUSED,
                         "%s: capture format %llu; this program reads format %d: use a newer one",
                         name, (unsigned long long)version, CAPTURE_VERSION);
    }
    return true;
}

void capture_put_head(char *head, const struct capture_frame *frame, const char *body)
{
    memcpy(head, MARK, HEAD_BODY_SIZE);
    put_number(head + HEAD_BODY_SIZE, 4, frame->body_size);
    put_number(head + HEAD_RAW_SIZE, 4, frame->raw_size);
    put_number(head + HEAD_COUNT, 4, frame->count);
    put_number(head + HEAD_ORDINAL, 8, frame->ordinal);
    put_number(head + HEAD_FIRST_MS, 8, frame->first_ms);
    put_number(head + HEAD_LAST_MS, 8, frame->last_ms);
    put_digest(head + HEAD_BODY_DIGEST, HEAD_DIGEST - HEAD_BODY_DIGEST,
               (struct span){body, frame->body_size});
    put_digest(head + HEAD_DIGEST, CAPTURE_HEAD_SIZE - HEAD_DIGEST,
               (struct span){head, HEAD_DIGEST});
}

bool capture_read_head(const char *head, struct capture_frame *out)
{
    *out = (struct capture_frame){
        .body_size = (uint32_t)read_number(head + HEAD_BODY_SIZE, 4),
        .raw_size = (uint32_t)read_number(head + HEAD_RAW_SIZE, 4),
        .count = (uint32_t)read_number(head + HEAD_COUNT, 4),
        .ordinal = read_number(head + HEAD_ORDINAL, 8),
        .first_ms = read_number(head + HEAD_FIRST_MS, 8),
        .last_ms = read_number(head + HEAD_LAST_MS, 8),
    };
    return memcmp(head, MARK, HEAD_BODY_SIZE) == 0 &&
           is_digest(head + HEAD_DIGEST, CAPTURE_HEAD_SIZE - HEAD_DIGEST,
                     (struct span){head, HEAD_DIGEST});
}

bool capture_body_is_whole(const char *head, struct span body)
{
    return is_digest(head + HEAD_BODY_DIGEST, HEAD_DIGEST - HEAD_BODY_DIGEST, body);
}

void capture_put_header(struct buffer *buffer, const struct capture_header *header)
{
    buffer_put_varint(buffer, header->partition);
    buffer_put_varint(buffer, header->timeline);
    buffer_put_varint(buffer, header->ordinal);
    buffer_put_varint(buffer, header->position.ms);
    buffer_put_varint(buffer, header->position.seq);
    buffer_put_varint(buffer, header->reducers);
    buffer_put_sized(buffer, header->policy);
    buffer_put_sized(buffer, header->snapshot);
    buffer_put_sized(buffer, header->audit_head);
}

bool capture_read_header(struct span raw, struct capture_header *out)
{
    struct reader reader = {.rest = raw};
    uint64_t partition = reader_varint(&reader);
    *out = (struct capture_header){.partition = (uint32_t)partition};
    out->timeline = reader_varint(&reader);
    out->ordinal = reader_varint(&reader);
    out->position.ms = reader_varint(&reader);
    out->position.seq = reader_varint(&reader);
    out->reducers = reader_varint(&reader);
    out->policy = reader_sized(&reader);
    out->snapshot = reader_sized(&reader);
    out->audit_head = reader_sized(&reader);
    return !reader.is_bad && reader.rest.size == 0 && partition <= UINT32_MAX;
}
