/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

#define BUFFER_CAPACITY_MIN 64
#define DECIMAL_SIZE_MAX    (NUMBER_TEXT_SIZE - 1)
#define VARINT_SIZE_MAX     10 /* groups of seven bits in 64 */

struct span span_of(const char *text)
{
    return text == NULL ? SPAN_NONE : (struct span){text, strlen(text)};
}

bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool span_is(struct span span, const char *text)
{
    return span_equal(span, span_of(text));
}

bool span_holds(struct span span, struct span part)
{
    for (; span.size > part.size; span.data++, span.size--) {
        if (span_equal((struct span){span.data, part.size}, part)) {
            return true;
        }
    }
    return span_equal(span, part);
}

bool span_is_solid(struct span span)
{
    for (size_t i = 0; i < span.size; i++) {
        if (span.data[i] <= ' ' || span.data[i] > '~') {
            return false;
        }
    }
    return true;
}

bool span_is_line(struct span span)
{
    for (size_t i = 0; i < span.size; i++) {
        if ((unsigned char)span.data[i] < ' ' || span.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

int span_compare(struct span a, struct span b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

struct span span_cut(struct span *rest, char separator)
{
    struct span part = *rest;
    const char *found = part.size == 0 ? NULL : memchr(part.data, separator, part.size);
    if (found == NULL) {
        *rest = SPAN_NONE;
        return part;
    }
    part.size = (size_t)(found - part.data);
    *rest = (struct span){found + 1, rest->size - part.size - 1};
    return part;
}

bool span_to_number(struct span span, uint64_t max, uint64_t *out)
{
    if (span.size == 0 || span.size > DECIMAL_SIZE_MAX || (span.size > 1 && span.data[0] == '0')) {
        return false;
    }
    uint64_t number = 0;
    for (size_t index = 0; index < span.size; index++) {
        if (span.data[index] < '0' || span.data[index] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(span.data[index] - '0');
        if (number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    if (number > max) {
        return false;
    }
    *out = number;
    return true;
}

/* Puts the digits before `end`; returns the first. */
static char *put_digits(char *end, uint64_t number)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return end;
}

struct number_text number_text(uint64_t number)
{
    char digits[DECIMAL_SIZE_MAX];
    char *end = digits + sizeof(digits);
    const char *first = put_digits(end, number);
    struct number_text out = {{0}};
    memcpy(out.text, first, (size_t)(end - first));
    return out;
}

void buffer_fini(struct buffer *buffer)
{
    mem_free(buffer->data);
    buffer->data = NULL;
    buffer->size = 0;
    buffer->capacity = 0;
}

void buffer_reset(struct buffer *buffer)
{
    buffer->size = 0;
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    size_t limit = buffer->limit == 0 ? BUFFER_LIMIT : buffer->limit;
    CHECK(buffer->size <= limit);
    CHECK(size <= limit - buffer->size);
    size_t needed = buffer->size + size;
    if (needed > buffer->capacity || buffer->data == NULL) {
        size_t capacity = buffer->capacity * 2;
        capacity = capacity < BUFFER_CAPACITY_MIN ? BUFFER_CAPACITY_MIN : capacity;
        capacity = capacity < needed ? needed : capacity;
        buffer->data = mem_resize(buffer->data, capacity);
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

void buffer_put(struct buffer *buffer, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(buffer_reserve(buffer, size), data, size);
        buffer->size += size;
    }
}

void buffer_put_span(struct buffer *buffer, struct span span)
{
    buffer_put(buffer, span.data, span.size);
}

void buffer_put_text(struct buffer *buffer, const char *text)
{
    buffer_put_span(buffer, span_of(text));
}

void buffer_put_byte(struct buffer *buffer, uint8_t byte)
{
    buffer_put(buffer, &byte, 1);
}

void buffer_put_decimal(struct buffer *buffer, uint64_t number)
{
    char digits[DECIMAL_SIZE_MAX];
    char *end = digits + sizeof(digits);
    const char *first = put_digits(end, number);
    buffer_put(buffer, first, (size_t)(end - first));
}

void buffer_put_varint(struct buffer *buffer, uint64_t number)
{
    uint8_t groups[VARINT_SIZE_MAX];
    size_t count = 0;
    for (; number >= 0x80; number >>= 7) {
        groups[count++] = (uint8_t)(number | 0x80);
    }
    groups[count++] = (uint8_t)number;
    buffer_put(buffer, groups, count);
}

void buffer_put_sized(struct buffer *buffer, struct span span)
{
    buffer_put_varint(buffer, span.size);
    buffer_put_span(buffer, span);
}

void buffer_put_json_string(struct buffer *buffer, struct span span)
{
    static const char digits[] = "0123456789abcdef";
    buffer_put_byte(buffer, '"');
    for (size_t index = 0; index < span.size; index++) {
        uint8_t byte = (uint8_t)span.data[index];
        if (byte == '"' || byte == '\\') {
            buffer_put_byte(buffer, '\\');
            buffer_put_byte(buffer, byte);
        } else if (byte >= 0x20 && byte < 0x7f) {
            buffer_put_byte(buffer, byte);
        } else {
            char escape[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
            buffer_put(buffer, escape, sizeof(escape));
        }
    }
    buffer_put_byte(buffer, '"');
}

struct span buffer_span(const struct buffer *buffer)
{
    return (struct span){buffer->data, buffer->size};
}

struct span reader_bytes(struct reader *reader, size_t size)
{
    if (reader->is_bad || size > reader->rest.size) {
        reader->is_bad = true;
        return SPAN_NONE;
    }
    if (size == 0) {
        return SPAN_NONE;
    }
    struct span bytes = {reader->rest.data, size};
    reader->rest = (struct span){bytes.data + size, reader->rest.size - size};
    return bytes;
}

uint8_t reader_byte(struct reader *reader)
{
    struct span byte = reader_bytes(reader, 1);
    return byte.size == 0 ? 0 : (uint8_t)byte.data[0];
}

/* One number has one encoding: a group of zeros at the end, and bits beyond the 64th, are bad. */
uint64_t reader_varint(struct reader *reader)
{
    uint64_t number = 0;
    for (unsigned group = 0; group < VARINT_SIZE_MAX; group++) {
        uint8_t byte = reader_byte(reader);
        if (reader->is_bad || (group > 0 && byte == 0) ||
            (group == VARINT_SIZE_MAX - 1 && byte > 1)) {
            break;
        }
        number |= (uint64_t)(byte & 0x7f) << (7 * group);
        if (byte < 0x80) {
            return number;
        }
    }
    reader->is_bad = true;
    return 0;
}

struct span reader_sized(struct reader *reader)
{
    uint64_t size = reader_varint(reader);
    return reader_bytes(reader, size > SIZE_MAX ? SIZE_MAX : (size_t)size);
}
