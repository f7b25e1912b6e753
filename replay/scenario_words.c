/* SPDX-License-Identifier: MIT
 * The words of a scenario's line. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "replay/scenario_parts.h"

#define WORD_SHOWN_MAX 40

/* FILE:LINE: "word": what is wrong, what is allowed. */
bool scenario_fail(const struct scenario *scenario, struct error *error, struct span word,
                   const char *format, ...)
{
    char what[sizeof(error->message)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    struct buffer shown = {0};
    word.size = word.size > WORD_SHOWN_MAX ? WORD_SHOWN_MAX : word.size;
    buffer_put_json_string(&shown, word);
    error_set(error, ERROR_USAGE, "%s:%llu: %.*s: %s", scenario->path,
              (unsigned long long)scenario->line, SPAN_FORMAT(buffer_span(&shown)), what);
    buffer_fini(&shown);
    return false;
}

struct span scenario_keep_number(struct scenario *scenario, uint64_t number)
{
    return arena_copy(&scenario->arena, span_of(number_text(number).text));
}

bool scenario_add_pair(struct scenario *scenario, struct scenario_pairs *pairs, struct span name,
                       struct span value, struct error *error)
{
    if (pairs->count == SCENARIO_PAIRS_MAX) {
        return scenario_fail(scenario, error, name, "too many fields; allowed: up to %d",
                             SCENARIO_PAIRS_MAX);
    }
    pairs->names[pairs->count] = name;
    pairs->values[pairs->count++] = value;
    return true;
}

/* One of the few that a shorthand itself puts. */
void scenario_put_pair(struct scenario_pairs *pairs, const char *name, struct span value)
{
    CHECK(pairs->count < SCENARIO_PAIRS_MAX);
    pairs->names[pairs->count] = span_of(name);
    pairs->values[pairs->count++] = value;
}

static int hex_digit(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *place = digit == 0 ? NULL : strchr(digits, digit);
    return place == NULL ? -1 : (int)(place - digits);
}

/* Two hexadecimal digits at the head of `*text`; false, and `*text` alone, when they are not there.
 */
static bool take_hex(struct span *text, uint8_t *byte)
{
    int high = text->size < 2 ? -1 : hex_digit(text->data[0]);
    int low = text->size < 2 ? -1 : hex_digit(text->data[1]);
    if (high < 0 || low < 0) {
        return false;
    }
    *byte = (uint8_t)(high * 16 + low);
    *text = (struct span){text->data + 2, text->size - 2};
    return true;
}

/* Takes what stands behind a backslash. */
static bool take_escaped(struct span *rest, uint8_t *byte)
{
    if (rest->size == 0) {
        return false;
    }
    char escaped = rest->data[0];
    *rest = (struct span){rest->data + 1, rest->size - 1};
    *byte = escaped == 'n' ? '\n' : (uint8_t)escaped;
    return escaped == 'n' || escaped == '"' || escaped == '\\' ||
           (escaped == 'x' && take_hex(rest, byte));
}

void scenario_skip_blanks(struct span *rest)
{
    while (rest->size > 0 && rest->data[0] == ' ') {
        *rest = (struct span){rest->data + 1, rest->size - 1};
    }
}

/* A word up to a blank, or one in double quotes. */
bool scenario_take_word(struct scenario *scenario, struct span *rest, struct span *word,
                        struct error *error)
{
    struct span whole = *rest;
    struct buffer text = {0};
    bool is_quoted = rest->size > 0 && rest->data[0] == '"', is_closed = false, is_good = true;
    if (is_quoted) {
        *rest = (struct span){rest->data + 1, rest->size - 1};
    }
    while (is_good && !is_closed && rest->size > 0) {
        uint8_t byte = (uint8_t)rest->data[0];
        *rest = (struct span){rest->data + 1, rest->size - 1};
        is_closed = byte == (is_quoted ? '"' : ' ');
        if (byte == '\\') {
            is_good = take_escaped(rest, &byte);
        }
        if (is_good && !is_closed) {
            buffer_put_byte(&text, byte);
        }
    }
    *word = arena_copy(&scenario->arena, buffer_span(&text));
    buffer_fini(&text);
    if (!is_good) {
        return scenario_fail(scenario, error, whole,
                             "an unknown escape; allowed behind a backslash: n \" \\ xHH");
    }
    if (is_quoted && (!is_closed || (rest->size > 0 && rest->data[0] != ' '))) {
        return scenario_fail(scenario, error, whole, "the quote is not closed before a blank");
    }
    return true;
}

/* Adds each `name=value` of the rest of the line. */
bool scenario_add_rest(struct scenario *scenario, struct scenario_pairs *pairs, struct span rest,
                       struct error *error)
{
    for (scenario_skip_blanks(&rest); rest.size > 0; scenario_skip_blanks(&rest)) {
        struct span value;
        struct span name = span_cut(&rest, '=');
        if (rest.data == NULL) {
            return scenario_fail(scenario, error, name, "allowed here: name=value");
        }
        if (!scenario_take_word(scenario, &rest, &value, error) ||
            !scenario_add_pair(scenario, pairs, name, value, error)) {
            return false;
        }
    }
    return true;
}

void scenario_put_default(struct scenario_pairs *pairs, const char *name, struct span value)
{
    for (uint32_t i = 0; i < pairs->count; i++) {
        if (span_is(pairs->names[i], name)) {
            return;
        }
    }
    if (pairs->count < SCENARIO_PAIRS_MAX) { /* else the entry has too many fields anyway */
        scenario_put_pair(pairs, name, value);
    }
}

bool scenario_read_bytes(struct scenario *scenario, struct span digits, struct buffer *bytes,
                         struct error *error)
{
    uint8_t byte;
    while (take_hex(&digits, &byte)) {
        buffer_put_byte(bytes, byte);
    }
    return digits.size == 0 ||
           scenario_fail(scenario, error, digits, "allowed: pairs of hexadecimal digits 0-9 a-f");
}
