/* SPDX-License-Identifier: MIT
 * JSON as outside services send it: parsed within limits, read through pointers, written compactly.
 * A value is borrowed from its document. */
#ifndef SALVOR_BASE_JSON_H
#define SALVOR_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

#define JSON_DEPTH_MAX  64
#define JSON_VALUES_MAX 500000 /* of one document, a member counted twice: with its key */

struct json;

enum json_kind {
    JSON_KIND_NONE, /* no such value */
    JSON_KIND_NULL,
    JSON_KIND_BOOLEAN,
    JSON_KIND_INTEGER, /* fits int64_t */
    JSON_KIND_REAL,    /* every other number */
    JSON_KIND_TEXT,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
};

/* Any top-level value; the caller bounds the size. Refused: duplicate keys, NaN and Infinity, bytes
 * that are not UTF-8, nesting beyond JSON_DEPTH_MAX, anything behind the value; and, before time
 * and memory are spent on them, more than JSON_VALUES_MAX values. NULL on error (CORRUPT; REFUSED:
 * too many values); the caller owns the document and gives it back with json_destroy. */
struct json *json_parse(struct span text, struct error *error);
/* Accepts NULL. */
void json_destroy(struct json *document);

/* The value at an RFC 6901 pointer ("" is the whole value), NULL when there is none. In an array, a
 * token `[K=V]` picks the first element whose member K (or whose element with index K, where the
 * element is an array) equals V: texts are compared as they are, other scalars as JSON writes them.
 * `/messages/[0=execution_success]`, `/conditions/[type=Complete]/status`. */
const struct json *json_find(const struct json *value, struct span pointer);
/* Appends `text` to a pointer under construction: `~` and `/` are escaped. */
void json_put_pointer_text(struct buffer *pointer, struct span text);

/* NULL has the kind NONE. */
enum json_kind json_kind(const struct json *value);
/* The empty span unless it is a text; may hold any byte, 0 too. */
struct span json_text(const struct json *value);
/* False, `*out` alone, unless it is an integer. */
bool json_number(const struct json *value, int64_t *out);
/* True only for the JSON value `true`. */
bool json_truth(const struct json *value);
/* Elements of an array, members of an object, bytes of a text; 0 for all others. */
size_t json_count(const struct json *value);

/* Appends the value, compact, members in their order. */
void json_write(const struct json *value, struct buffer *out);

/* Writing an object by hand: each puts a comma unless the object has just been opened. */
void json_put_key(struct buffer *out, const char *key);
void json_put_text(struct buffer *out, const char *key, struct span text);
void json_put_number(struct buffer *out, const char *key, uint64_t number);
void json_put_truth(struct buffer *out, const char *key, bool truth);

#endif
