/* SPDX-License-Identifier: MIT
 * Around jansson. A `struct json` is never defined: a pointer to one is jansson's own pointer. */
#include "base/json.h"

#include <string.h>

#include <jansson.h>

#include "base/check.h"

/* Room for one scalar other than a text, as JSON writes it. */
#define SCALAR_SIZE_MAX 64

static const json_t *library_value(const struct json *value)
{
    return (const json_t *)value;
}

static const struct json *own_value(const json_t *value)
{
    return (const struct json *)value;
}

static bool is_in(const char *set, char byte)
{
    return memchr(set, byte, strlen(set)) != NULL;
}

static bool is_large_integer(struct span literal)
{
    static const char largest[] = "9223372036854775807"; /* INT64_MAX */
    const size_t digits = sizeof(largest) - 1;
    for (size_t index = 0; index < literal.size; index++) {
        if (!is_in("0123456789", literal.data[index])) {
            return false;
        }
    }
    return literal.size > digits ||
           (literal.size == digits && memcmp(literal.data, largest, digits) > 0);
}

/* Looks at the text before jansson does: bounds nesting and values, each of which stands behind one
 * of these four marks, and turns integers that may not fit 64 bits (ComfyUI's seeds) into reals by
 * an exponent, since jansson refuses the whole text for one of them. `*changed` gets the text only
 * when it had to be changed. */
static bool prepare(struct span text, struct buffer *changed, struct error *error)
{
    size_t depth = 0, copied = 0, values = 0;
    bool is_in_string = false;
    for (size_t index = 0; index < text.size; index++) {
        char byte = text.data[index];
        bool is_mark = byte == '[' || byte == '{' || byte == ',' || byte == ':';
        if (is_mark && !is_in_string && ++values > JSON_VALUES_MAX) {
            return error_set(error, ERROR_REFUSED, "JSON of more than %d values", JSON_VALUES_MAX);
        }
        if (is_in_string) {
            index += byte == '\\';
            is_in_string = byte != '"';
        } else if (byte == '"') {
            is_in_string = true;
        } else if (byte == '[' || byte == '{') {
            if (++depth > JSON_DEPTH_MAX) {
                return error_set(error, ERROR_CORRUPT, "JSON nested deeper than %d levels",
                                 JSON_DEPTH_MAX);
            }
        } else if (byte == ']' || byte == '}') {
            depth -= depth > 0;
        } else if (byte >= '0' && byte <= '9') {
            size_t first = index;
            while (index + 1 < text.size && is_in("0123456789.eE+-", text.data[index + 1])) {
                index++;
            }
            if (is_large_integer((struct span){text.data + first, index + 1 - first})) {
                buffer_put(changed, text.data + copied, index + 1 - copied);
                buffer_put_text(changed, "e0");
                copied = index + 1;
            }
        }
    }
    if (copied > 0) {
        buffer_put(changed, text.data + copied, text.size - copied);
    }
    return true;
}

struct json *json_parse(struct span text, struct error *error)
{
    struct buffer changed = {0};
    json_t *document = NULL;
    if (prepare(text, &changed, error)) {
        struct span input = changed.size > 0 ? buffer_span(&changed) : text;
        json_error_t problem;
        document = json_loadb(input.size > 0 ? input.data : "", input.size,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem);
        if (document == NULL) {
            error_set(error, ERROR_CORRUPT, "JSON line %d: %s", problem.line, problem.text);
        }
    }
    buffer_fini(&changed);
    return (struct json *)document;
}

void json_destroy(struct json *document)
{
    json_decref((json_t *)document);
}

enum json_kind json_kind(const struct json *value)
{
    static const enum json_kind kinds[] = {
        [JSON_NULL] = JSON_KIND_NULL,     [JSON_TRUE] = JSON_KIND_BOOLEAN,
        [JSON_FALSE] = JSON_KIND_BOOLEAN, [JSON_INTEGER] = JSON_KIND_INTEGER,
        [JSON_REAL] = JSON_KIND_REAL,     [JSON_STRING] = JSON_KIND_TEXT,
        [JSON_ARRAY] = JSON_KIND_ARRAY,   [JSON_OBJECT] = JSON_KIND_OBJECT,
    };
    return value == NULL ? JSON_KIND_NONE : kinds[json_typeof(library_value(value))];
}

struct span json_text(const struct json *value)
{
    const json_t *text = library_value(value);
    return json_is_string(text) ? (struct span){json_string_value(text), json_string_length(text)}
                                : SPAN_NONE;
}

bool json_number(const struct json *value, int64_t *out)
{
    const json_t *number = library_value(value);
    if (!json_is_integer(number)) {
        return false;
    }
    *out = json_integer_value(number);
    return true;
}

bool json_truth(const struct json *value)
{
    return json_is_true(library_value(value));
}

size_t json_count(const struct json *value)
{
    switch (json_kind(value)) {
    case JSON_KIND_ARRAY:
        return json_array_size(library_value(value));
    case JSON_KIND_OBJECT:
        return json_object_size(library_value(value));
    case JSON_KIND_TEXT:
        return json_string_length(library_value(value));
    default:
        return 0;
    }
}

static int put_chunk(const char *data, size_t size, void *out)
{
    buffer_put(out, data, size);
    return 0;
}

void json_write(const struct json *value, struct buffer *out)
{
    CHECK(value != NULL);
    int result =
        json_dump_callback(library_value(value), put_chunk, out, JSON_COMPACT | JSON_ENCODE_ANY);
    CHECK(result == 0);
}

/* A name as jansson takes it. False when no member can have it. */
static bool put_key(struct buffer *out, struct span name)
{
    buffer_put_span(out, name);
    buffer_put_byte(out, 0);
    return name.size == 0 || memchr(name.data, 0, name.size) == NULL;
}

/* The member `name` of an object; NULL when the value is none or has none. */
static const json_t *find_member(const json_t *value, struct span name)
{
    struct buffer key = {0};
    const json_t *member = put_key(&key, name) ? json_object_get(value, key.data) : NULL;
    buffer_fini(&key);
    return member;
}

static const json_t *find_element(const json_t *array, struct span token)
{
    uint64_t index;
    return span_to_number(token, SIZE_MAX, &index) ? json_array_get(array, (size_t)index) : NULL;
}

static bool is_scalar_equal(const json_t *value, struct span wanted)
{
    if (json_is_string(value)) {
        return span_equal(json_text(own_value(value)), wanted);
    }
    if (value == NULL || json_is_array(value) || json_is_object(value)) {
        return false;
    }
    char text[SCALAR_SIZE_MAX];
    size_t size = json_dumpb(value, text, sizeof(text), JSON_COMPACT | JSON_ENCODE_ANY);
    return size <= sizeof(text) && span_equal((struct span){text, size}, wanted);
}

/* `selector` is "K=V". */
static const json_t *select_element(const json_t *array, struct span selector)
{
    struct span wanted = selector;
    struct span name = span_cut(&wanted, '=');
    struct buffer key = {0};
    uint64_t position = 0;
    const json_t *found = NULL;
    bool is_position = span_to_number(name, SIZE_MAX, &position);
    bool is_key = wanted.data != NULL && put_key(&key, name);
    for (size_t index = 0; is_key && found == NULL && index < json_array_size(array); index++) {
        const json_t *element = json_array_get(array, index);
        const json_t *member = !json_is_array(element) ? json_object_get(element, key.data)
                               : is_position           ? json_array_get(element, (size_t)position)
                                                       : NULL;
        found = is_scalar_equal(member, wanted) ? element : NULL;
    }
    buffer_fini(&key);
    return found;
}

static const json_t *find_step(const json_t *value, struct span token)
{
    if (!json_is_array(value)) {
        return find_member(value, token);
    }
    bool is_selector = token.size >= 2 && token.data[0] == '[' && token.data[token.size - 1] == ']';
    return is_selector ? select_element(value, (struct span){token.data + 1, token.size - 2})
                       : find_element(value, token);
}

/* False on an escape that RFC 6901 does not know. */
static bool unescape_token(struct span token, struct buffer *out)
{
    for (size_t index = 0; index < token.size; index++) {
        char byte = token.data[index];
        if (byte == '~') {
            index++;
            if (index == token.size || !is_in("01", token.data[index])) {
                return false;
            }
            byte = token.data[index] == '0' ? '~' : '/';
        }
        buffer_put_byte(out, (uint8_t)byte);
    }
    return true;
}

const struct json *json_find(const struct json *value, struct span pointer)
{
    const json_t *found = library_value(value);
    struct span rest = pointer;
    if (span_cut(&rest, '/').size > 0) {
        return NULL; /* A pointer is empty or begins with a slash. */
    }
    struct buffer token = {0};
    while (found != NULL && rest.data != NULL) {
        buffer_reset(&token);
        bool is_good = unescape_token(span_cut(&rest, '/'), &token);
        found = is_good ? find_step(found, buffer_span(&token)) : NULL;
    }
    buffer_fini(&token);
    return own_value(found);
}

void json_put_pointer_text(struct buffer *pointer, struct span text)
{
    for (size_t index = 0; index < text.size; index++) {
        char byte = text.data[index];
        if (byte == '~' || byte == '/') {
            buffer_put_byte(pointer, '~');
            byte = byte == '~' ? '0' : '1';
        }
        buffer_put_byte(pointer, (uint8_t)byte);
    }
}

void json_put_key(struct buffer *out, const char *key)
{
    if (out->size > 0 && !is_in("{[", out->data[out->size - 1])) {
        buffer_put_byte(out, ',');
    }
    buffer_put_json_string(out, span_of(key));
    buffer_put_byte(out, ':');
}

void json_put_text(struct buffer *out, const char *key, struct span text)
{
    json_put_key(out, key);
    buffer_put_json_string(out, text);
}

void json_put_number(struct buffer *out, const char *key, uint64_t number)
{
    json_put_key(out, key);
    buffer_put_decimal(out, number);
}

void json_put_truth(struct buffer *out, const char *key, bool truth)
{
    json_put_key(out, key);
    buffer_put_text(out, truth ? "true" : "false");
}
