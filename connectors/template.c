/* SPDX-License-Identifier: MIT
 * Texts of a profile with variables in them. */
#include "connectors/template.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/json.h"
#include "connectors/secret.h"

enum encoding {
    ENCODING_NONE,
    ENCODING_PATH,
    ENCODING_JSON,
    ENCODING_NUMBER,
    ENCODING_POINTER,
    ENCODING_RAW,
    ENCODING_SEGMENTS, /* as it is, in a path: limited to what harms no path */
};

enum source {
    SOURCE_NONE,
    SOURCE_TEXT,
    SOURCE_ID,
    SOURCE_URL,
    SOURCE_UNIX,
    SOURCE_RFC3339,
    SOURCE_TOKEN,
    SOURCE_SECRET, /* named by the variable itself: "env:NAME" */
};

/* What a variable's name means in each place; ENCODING_NONE: not allowed there. A name that ends in
 * a colon goes on: {env:NAME}. */
static const struct variable_rule {
    const char *name; /* static */
    enum source source;
    enum encoding in[TEMPLATE_PLACE_COUNT];
    size_t offset;             /* of a text in struct template_variables */
    const char *missing, *bad; /* static: words for what went wrong */
} variable_rules[] = {
#define PLACES(url, header, body, pointer, text)                                    \
    {                                                                               \
        [TEMPLATE_URL] = ENCODING_##url, [TEMPLATE_HEADER] = ENCODING_##header,     \
        [TEMPLATE_BODY] = ENCODING_##body, [TEMPLATE_POINTER] = ENCODING_##pointer, \
        [TEMPLATE_TEXT] = ENCODING_##text                                           \
    }
#define ID(name, places)                                      \
    {                                                         \
        name, SOURCE_ID, places, VALUE(id), "no_id", "bad_id" \
    }
#define TAG(name, places)                                          \
    {                                                              \
        name, SOURCE_TEXT, places, VALUE(tag), "no_tag", "bad_tag" \
    }
#define URL(member)                                                                             \
    {                                                                                           \
#member, SOURCE_URL, PLACES(RAW, NONE, NONE, NONE, NONE), VALUE(member), "no_" #member, \
            "bad_url"                                                                           \
    }
#define TIME(name, source, places)                                     \
    {                                                                  \
        name, source, places, 0, "no_submitted_at", "bad_submitted_at" \
    }
#define SECRET(name, source, places)                     \
    {                                                    \
        name, source, places, 0, "no_token", "bad_token" \
    }
#define VALUE(member) offsetof(struct template_variables, member)
    ID("id", PLACES(PATH, NONE, NUMBER, POINTER, RAW)),
    ID("id:path", PLACES(PATH, NONE, NONE, NONE, NONE)),
    ID("id:raw", PLACES(SEGMENTS, NONE, NONE, NONE, NONE)),
    ID("id:json", PLACES(NONE, NONE, JSON, NONE, NONE)),
    TAG("tag", PLACES(PATH, NONE, NUMBER, POINTER, RAW)),
    TAG("tag:path", PLACES(PATH, NONE, NONE, NONE, NONE)),
    TAG("tag:json", PLACES(NONE, NONE, JSON, NONE, NONE)),
    TIME("submitted:unix", SOURCE_UNIX, PLACES(PATH, NONE, NUMBER, NONE, RAW)),
    TIME("submitted:rfc3339", SOURCE_RFC3339, PLACES(PATH, NONE, JSON, NONE, RAW)),
    URL(status_url),
    URL(cancel_url),
    URL(result_url),
    SECRET("token", SOURCE_TOKEN, PLACES(NONE, RAW, NONE, NONE, NONE)),
    SECRET("env:", SOURCE_SECRET, PLACES(PATH, RAW, NONE, NONE, NONE)),
    SECRET("file:", SOURCE_SECRET, PLACES(NONE, RAW, NONE, NONE, NONE)),
};
#define VARIABLES (sizeof(variable_rules) / sizeof(variable_rules[0]))

/* NULL when there is none of this name. */
static const struct variable_rule *variable_named(struct span name)
{
    for (size_t i = 0; i < VARIABLES; i++) {
        const struct variable_rule *rule = &variable_rules[i];
        size_t size = strlen(rule->name);
        bool is_found = rule->source == SOURCE_SECRET
                            ? name.size > size && memcmp(name.data, rule->name, size) == 0 &&
                                  secret_is_source(name)
                            : span_is(name, rule->name);
        if (is_found) {
            return rule;
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
    struct buffer allowed = {0};
    for (size_t i = 0; i < VARIABLES; i++) {
        const struct variable_rule *rule = &variable_rules[i];
        if (rule->in[place] != ENCODING_NONE) {
            buffer_put_text(&allowed, " {");
            buffer_put_text(&allowed, rule->name);
            bool is_open = rule->source == SOURCE_SECRET;
            buffer_put_text(&allowed, !is_open ? "}" : rule->name[0] == 'e' ? "NAME}" : "/PATH}");
        }
    }
    size_t size = name.size < 60 ? name.size : 60;
    error_set(error, ERROR_USAGE, "{%.*s} is no variable here; allowed:%.*s", (int)size, name.data,
              SPAN_FORMAT(buffer_span(&allowed)));
    buffer_fini(&allowed);
    return false;
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
        if (rule->source == SOURCE_URL && !is_first) {
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

bool template_names_job(struct span text)
{
    while (text.size > 0) {
        bool is_variable;
        struct span piece = piece_cut(&text, &is_variable);
        const struct variable_rule *rule = is_variable ? variable_named(piece) : NULL;
        if (rule != NULL && rule->source != SOURCE_TOKEN && rule->source != SOURCE_SECRET) {
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

/* An id must not go where it has no business: into a query, out of its folder. */
static bool is_id(struct span id, struct span characters)
{
    for (size_t i = 0; i < id.size; i++) {
        char c = id.data[i];
        bool is_alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alphanumeric &&
            (characters.size == 0 || memchr(characters.data, c, characters.size) == NULL)) {
            return false;
        }
    }
    return true;
}

static bool has_two_dots(struct span text)
{
    for (size_t i = 1; i < text.size; i++) {
        if (text.data[i] == '.' && text.data[i - 1] == '.') {
            return true;
        }
    }
    return false;
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
    case ENCODING_SEGMENTS:
        buffer_put_span(out, value);
        return !has_dot_segment(value) && !has_two_dots(value);
    case ENCODING_NONE:
        break;
    }
    CHECK(!"template_check let this variable pass");
    return false;
}

/* Seconds, since that is what services tell. */
static void put_time(struct buffer *out, enum source source, uint64_t at_ms)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm parts;
    char text[64];
    if (source == SOURCE_UNIX) {
        buffer_put_decimal(out, at_ms / 1000);
    } else if (gmtime_r(&seconds, &parts) != NULL) {
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
        buffer_put_text(out, text);
    }
}

/* The value of one variable, appended to `out`; nothing when nobody told it. False with a word when
 * it is none that may be used. */
static bool get_value(const struct variable_rule *rule, struct span name, enum encoding encoding,
                      const struct template_variables *variables, struct buffer *out,
                      const char **word)
{
    struct span text = SPAN_NONE;
    *word = rule->bad;
    switch (rule->source) {
    case SOURCE_TEXT:
    case SOURCE_ID:
    case SOURCE_URL:
        memcpy(&text, (const char *)variables + rule->offset, sizeof(text));
        buffer_put_span(out, text);
        break;
    case SOURCE_UNIX:
    case SOURCE_RFC3339:
        if (variables->submitted_at > 0) {
            put_time(out, rule->source, variables->submitted_at);
        }
        return true;
    case SOURCE_TOKEN:
        *word = rule->missing;
        return variables->token != NULL && secret_read(span_of(variables->token), out, word);
    case SOURCE_SECRET:
        return secret_read(name, out, word);
    case SOURCE_NONE:
        CHECK(!"a variable without a source");
    }
    bool is_limited = variables->id_characters.data != NULL || encoding == ENCODING_SEGMENTS;
    return rule->source == SOURCE_URL  ? span_is_solid(text)
           : rule->source == SOURCE_ID ? !is_limited || is_id(text, variables->id_characters)
                                       : true;
}

/* One word for what went wrong; NULL when nothing did. */
static const char *put_variable(struct span name, enum template_place place,
                                const struct template_variables *variables, struct buffer *out)
{
    const struct variable_rule *rule = variable_named(name);
    CHECK(rule != NULL);
    struct buffer value = {0};
    const char *word = NULL;
    if (get_value(rule, name, rule->in[place], variables, &value, &word)) {
        word = value.size == 0                                         ? rule->missing
               : !put_value(out, buffer_span(&value), rule->in[place]) ? rule->bad
                                                                       : NULL;
    }
    buffer_fini(&value);
    return word;
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
        const char *word = put_variable(piece, place, variables, out);
        if (word != NULL) {
            return error_set(error, ERROR_REFUSED, "%s", word);
        }
    }
    bool is_long = place == TEMPLATE_BODY || place == TEMPLATE_HEADER;
    size_t max = is_long ? TEMPLATE_BODY_MAX : TEMPLATE_URL_MAX;
    return out->size - start <= max || error_set(error, ERROR_REFUSED, "too_long");
}
