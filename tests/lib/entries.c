/* SPDX-License-Identifier: MIT */
#include "tests/lib/entries.h"

#include "base/check.h"
#include "base/hash.h"

#define SIZE_SMALL 120
#define SIZE_LARGE 60000

struct entry entry_numbered(uint64_t number, struct buffer *raw)
{
    uint64_t dice = hash_number(7, number);
    size_t size = dice % 500 == 0 ? SIZE_LARGE : dice % 50 == 0 ? 0 : dice % SIZE_SMALL;
    buffer_reset(raw);
    char *bytes = buffer_reserve(raw, size);
    for (size_t index = 0; index < size; index++) {
        bytes[index] = (char)(index % 3 == 0 ? hash_number(dice, index) : index);
    }
    raw->size = size;
    return (struct entry){.id = {.ms = 1763899200000 + number / 3, .seq = number % 3 + 1},
                          .raw = buffer_span(raw)};
}

struct stream_id entries_before(uint64_t first)
{
    struct buffer raw = {0};
    struct stream_id id = first == 0 ? (struct stream_id){0} : entry_numbered(first - 1, &raw).id;
    buffer_fini(&raw);
    return id;
}

void entries_append(struct capture_writer *writer, uint64_t first, uint64_t count)
{
    struct buffer raw = {0};
    for (uint64_t number = first; number < first + count; number++) {
        struct entry entry = entry_numbered(number, &raw);
        capture_append(writer, &entry);
    }
    buffer_fini(&raw);
}

enum capture_next entries_read(struct capture_reader *reader, uint64_t first, uint64_t *read,
                               struct error *error)
{
    struct buffer raw = {0};
    struct entry entry;
    enum capture_next next;
    *read = 0;
    while ((next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
        struct entry expected = entry_numbered(first + *read, &raw);
        CHECK(stream_id_compare(entry.id, expected.id) == 0);
        CHECK(span_equal(entry.raw, expected.raw));
        ++*read;
    }
    buffer_fini(&raw);
    return next;
}
