/* SPDX-License-Identifier: MIT
 * Texts of a profile with variables in them. */
#include <string.h>

#include "base/check.h"
#include "base/json.h"
#include "connectors/template.h"

enum encoding {
    ENCODING_NONE,
    ENCODING_PATH,
    ENCODING_JSON,
    ENCODING_NUMBER,
    ENCODING_POINTER,
    ENCODING_RAW,
};

/* What a variable's name means in each place; ENCODING_NONE: not allowed there. */
static const struct variable_rule {
    const char *name; /* static */
    enum encoding in[TEMPLATE_PLACE_COUNT];
    size_t offset;             /* of the value in struct template_variables */
    const char *missing, *bad; /* static: words for what went wrong */
    bool is_url;
} variable_rules[] = {
#define PLACES(url, body, pointer, text)                                           \
    {                                                                              \
        [TEMPLATE_URL] = ENCODING_##url, [TEMPLATE_BODY] = ENCODING_##body,        \
        [TEMPLATE_POINTER] = ENCODING_##pointer, [TEMPLATE_TEXT] = ENCODING_##text \
    }
#define VALUE(member) offsetof(struct template_variables, member)
    {"id", PLACES(PATH, NUMBER, POINTER, RAW), VALUE(id), "no_id", "bad_id", false},
    {"id:path", PLACES(PATH, NONE, NONE, NONE), VALUE(id), "no_id", "bad_id", false},
    {"id:json", PLACES(NONE, JSON, NONE, NONE), VALUE(id), "no_id", "bad_id", false},
    {"tag", PLACES(PATH, NUMBER, POINTER, RAW), VALUE(tag), "no_tag", "bad_tag", false},
    {"tag:path", PLACES(PATH, NONE, NONE, NONE), VALUE(tag), "no_tag", "bad_tag", false},
    {"tag:json", PLACES(NONE, JSON, NONE, NONE), VALUE(tag), "no_tag", "bad_tag", false},
    {"status_url", PLACES(RAW, NONE, NONE, NONE), VALUE(status_url), "no_status_url", "bad_url",
     true},
    {"result_url", PLACES(RAW, NONE, NONE, NONE), VALUE(result_url), "no_result_url", "bad_url",
     true},
};
#define VARIABLES (sizeof(variable_rules) / sizeof(variable_rules[0]))

static const struct variable_rule *variable_named(struct span name)
{
    for (size_t i = 0; i < VARIABLES; i++) {
        if (span_is(name, variable_rules[i].name)) {
            return &variable_rules[i];
        }
    }
    return NULL;
}

/* A brace opens a variable only where a lower-case word follows: JSON's own braces stay. */
static bool opens_variable(struct span text)
{
    return text.size > 1 && text.data[0] == '{' && text.data[1] >= 'a' && text.data[1] <= 'z';
}

/* Cuts the next piece off `*rest`: a variable (its name without braces) or the text before one. */
static struct span piece_cut(struct span *rest, bool *is_variable)
{
    size_t size = 0;
    *is_variable = false;
    if (opens_variable(*rest)) {
        const char *end = memchr(rest->data, '}', rest->size);
        if (end != NULL) {
            struct span name = {rest->data + 1, (size_t)(end - rest->data) - 1};
            *is_variable = true;
            *rest = (struct span){end + 1, rest->size - name.size - 2};
            return name;
        }
        size = 1;
    }
    while (size < rest->size &&
           !opens_variable((struct span){rest->data + size, rest->size - size})) {
        size++;
    }
    struct span piece = {rest->data, size};
    *rest = (struct span){rest->data + size, rest->size - size};
    return piece;
}

static bool refuse_variable(struct span name, enum template_place place, struct error *error)
{
    char allowed[160] = "";
    for (size_t i = 0; i < VARIABLES; i++) {
        if (variable_rules[i].in[place] != ENCODING_NONE) {
            size_t used = strlen(allowed);
            struct span rule = span_of(variable_rules[i].name);
            CHECK(used + rule.size + 4 < sizeof(allowed));
            memcpy(allowed + used, " {", 2);
            memcpy(allowed + used + 2, rule.data, rule.size);
            memcpy(allowed + used + 2 + rule.size, "}", 2);
        }
    }
    return error_set(error, ERROR_USAGE, "{%.*s} is no variable here; allowed:%s",
                     SPAN_FORMAT(name), allowed);
}

bool template_check(struct span text, enum template_place place, struct error *error)
{
    struct span rest = text;
    while (rest.size > 0) {
        bool is_variable;
        bool is_first = rest.data == text.data;
        struct span piece = piece_cut(&rest, &is_variable);
        if (!is_variable) {
            continue;
        }
        const struct variable_rule *rule = variable_named(piece);
        if (rule == NULL || rule->in[place] == ENCODING_NONE) {
            return refuse_variable(piece, place, error);
        }
        if (rule->is_url && !is_first) {
            return error_set(error, ERROR_USAGE, "{%s} can only stand at the very start",
                             rule->name);
        }
    }
    return true;
}

bool template_uses(struct span text, const char *variable)
{
    while (text.size > 0) {
        bool is_variable;
        struct span piece = piece_cut(&text, &is_variable);
        if (is_variable && span_is(piece, variable)) {
            return true;
        }
    }
    return false;
}

/* Servers and proxies may decode %2F before they resolve dots, so an id with a dot segment is not
 * encoded but refused. */
static bool has_dot_segment(struct span value)
{
    while (value.data != NULL) {
        size_t size = 0;
        while (size < value.size && value.data[size] != '/' && value.data[size] != '\\') {
            size++;
        }
        struct span segment = {value.data, size};
        if (span_is(segment, ".") || span_is(segment, "..")) {
            return true;
        }
        value = size < value.size ? (struct span){value.data + size + 1, value.size - size - 1}
                                  : SPAN_NONE;
    }
    return false;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void put_path(struct buffer *out, struct span value)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (is_unreserved(value.data[i])) {
            buffer_put_byte(out, c);
        } else {
            buffer_put_byte(out, '%');
            buffer_put_byte(out, (uint8_t)digits[c >> 4]);
            buffer_put_byte(out, (uint8_t)digits[c & 15]);
        }
    }
}

static void put_json(struct buffer *out, struct span value)
{
    struct buffer quoted = {0};
    buffer_put_json_string(&quoted, value);
    buffer_put(out, quoted.data + 1, quoted.size - 2);
    buffer_fini(&quoted);
}

static bool is_plain(struct span value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] <= ' ' || value.data[i] > '~') {
            return false;
        }
    }
    return true;
}

/* False when the value can not stand there. */
static bool put_value(struct buffer *out, struct span value, enum encoding encoding)
{
    uint64_t number;
    switch (encoding) {
    case ENCODING_PATH:
        put_path(out, value);
        return !has_dot_segment(value);
    case ENCODING_JSON:
        put_json(out, value);
        return true;
    case ENCODING_NUMBER:
        buffer_put_span(out, value);
        return span_to_number(value, UINT64_MAX, &number);
    case ENCODING_POINTER:
        json_put_pointer_text(out, value);
        return true;
    case ENCODING_RAW:
        buffer_put_span(out, value);
        return true;
    case ENCODING_NONE:
        break;
    }
    CHECK(!"template_check let this variable pass");
    return false;
}

bool template_render(struct span text, enum template_place place,
                     const struct template_variables *variables, struct buffer *out,
                     struct error *error)
{
    size_t start = out->size;
    while (text.size > 0) {
        bool is_variable;
        struct span piece = piece_cut(&text, &is_variable);
        if (!is_variable) {
            buffer_put_span(out, piece);
            continue;
        }
        const struct variable_rule *rule = variable_named(piece);
        CHECK(rule != NULL);
        struct span value;
        memcpy(&value, (const char *)variables + rule->offset, sizeof(value));
        if (value.size == 0) {
            return error_set(error, ERROR_REFUSED, "%s", rule->missing);
        }
        bool is_good = (!rule->is_url || is_plain(value)) && put_value(out, value, rule->in[place]);
        if (!is_good) {
            return error_set(error, ERROR_REFUSED, "%s", rule->bad);
        }
    }
    size_t max = place == TEMPLATE_BODY ? TEMPLATE_BODY_MAX : TEMPLATE_URL_MAX;
    return out->size - start <= max || error_set(error, ERROR_REFUSED, "too_long");
}
