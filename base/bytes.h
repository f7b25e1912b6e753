/* SPDX-License-Identifier: MIT
 * Spans (borrowed bytes) and buffers (owned, growing, bounded), with the few text conversions that
 * pure code needs without stdio and without a locale. */
#ifndef SALVOR_BASE_BYTES_H
#define SALVOR_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes, not terminated; who lends them and until when is said where the span is handed
 * over. The empty span is {NULL, 0}. */
struct span {
    const char *data;
    size_t size;
};

#define SPAN(literal)     ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_NONE         ((struct span){NULL, 0})
#define SPAN_FORMAT(span) (int)(span).size, (span).data /* for "%.*s" */

/* `text` is borrowed; NULL gives the empty span. */
struct span span_of(const char *text);
bool span_equal(struct span a, struct span b);
bool span_is(struct span span, const char *text);
/* True when `part` stands anywhere in it; the empty part does. */
bool span_holds(struct span span, struct span part);
/* True when every byte is printable ASCII and none a blank, as in URLs and names. */
bool span_is_solid(struct span span);
/* True when it holds no control byte, as one line of text. */
bool span_is_line(struct span span);
/* Negative, 0 or positive in unsigned byte order, a prefix first. */
int span_compare(struct span a, struct span b);
/* Cuts `*rest` at the first `separator`: returns the part before it and moves `*rest` behind it.
 * Without a separator the whole rest is returned and `*rest` becomes empty with data NULL. */
struct span span_cut(struct span *rest, char separator);
/* Unsigned decimal without sign, blank or leading zero, at most `max`; else false, `*out` alone. */
bool span_to_number(struct span span, uint64_t max, uint64_t *out);

/* A number in decimal, 0-terminated. */
#define NUMBER_TEXT_SIZE 21 /* digits of UINT64_MAX, and the 0 */
struct number_text {
    char text[NUMBER_TEXT_SIZE];
};

struct number_text number_text(uint64_t number);

/* Owned bytes. Zero-initialise with {0}; `limit` 0 means BUFFER_LIMIT. Growing past the limit is a
 * bug (CHECK): callers bound their input first. */
#define BUFFER_LIMIT ((size_t)1 << 32)
struct buffer {
    char *data; /* owned; freed by buffer_fini */
    size_t size;
    size_t capacity;
    size_t limit;
};

void buffer_fini(struct buffer *buffer);
/* Keeps the memory. */
void buffer_reset(struct buffer *buffer);
void buffer_put(struct buffer *buffer, const void *data, size_t size);
void buffer_put_span(struct buffer *buffer, struct span span);
void buffer_put_text(struct buffer *buffer, const char *text);
void buffer_put_byte(struct buffer *buffer, uint8_t byte);
void buffer_put_decimal(struct buffer *buffer, uint64_t number);
/* LEB128, as the capture and the snapshot use it. */
void buffer_put_varint(struct buffer *buffer, uint64_t number);
/* A varint of the size, then the bytes. */
void buffer_put_sized(struct buffer *buffer, struct span span);
/* A JSON string with its quotes. Every byte outside printable ASCII is written as \u00XX, whatever
 * encoding the text has, so that the bytes can be told back exactly. */
void buffer_put_json_string(struct buffer *buffer, struct span span);
/* Reserves `size` more bytes and returns where they begin; the caller raises `size` itself. */
char *buffer_reserve(struct buffer *buffer, size_t size);
/* The content so far, borrowed until the next change. */
struct span buffer_span(const struct buffer *buffer);

/* Reads what buffer_put_* wrote. A read past the end or a bad varint sets `is_bad`, returns 0 or
 * the empty span, and so do all later reads. */
struct reader {
    struct span rest;
    bool is_bad;
};

uint64_t reader_varint(struct reader *reader);
uint8_t reader_byte(struct reader *reader);
/* Borrowed from the bytes under the reader. */
struct span reader_bytes(struct reader *reader, size_t size);
struct span reader_sized(struct reader *reader);

#endif
