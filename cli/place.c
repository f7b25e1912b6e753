/* SPDX-License-Identifier: MIT */
#include "cli/place.h"

#include <stdio.h>
#include <time.h>

/* The parts of a time in their order, each behind what stands before it. */
static const struct time_part {
    char before;   /* 0: nothing */
    size_t digits; /* of the ms: up to so many */
    uint64_t least, most;
} time_parts[] = {
    {0, 4, 1970, 9999}, {'-', 2, 1, 12}, {'-', 2, 1, 31},  {'T', 2, 0, 23},
    {':', 2, 0, 59},    {':', 2, 0, 59}, {'.', 3, 0, 999},
};
enum { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, MS, PART_COUNT };

static bool take_number(struct span *text, const struct time_part *part, uint64_t *out)
{
    if (text->size < part->digits) {
        return false;
    }
    *out = 0;
    for (size_t i = 0; i < part->digits; i++) {
        char byte = text->data[i];
        if (byte < '0' || byte > '9') {
            return false;
        }
        *out = *out * 10 + (uint64_t)(byte - '0');
    }
    text->data += part->digits;
    text->size -= part->digits;
    return *out >= part->least && *out <= part->most;
}

/* `*width_ms`: of the day, minute, second or ms that the text names. */
static bool read_time(struct span text, uint64_t *ms, uint64_t *width_ms)
{
    uint64_t value[PART_COUNT] = {0};
    size_t count = 0;
    if (text.size > 0 && text.data[text.size - 1] == 'Z') {
        text.size--;
    }
    for (; count < PART_COUNT && text.size > 0; count++) {
        const struct time_part *part = &time_parts[count];
        if (part->before != 0) {
            if (text.data[0] != part->before && !(part->before == 'T' && text.data[0] == ' ')) {
                return false;
            }
            text.data++;
            text.size--;
        }
        if (!take_number(&text, part, &value[count])) {
            return false;
        }
    }
    if (text.size > 0 || count <= DAY || count == HOUR + 1) {
        return false;
    }
    struct tm parts = {.tm_year = (int)value[YEAR] - 1900,
                       .tm_mon = (int)value[MONTH] - 1,
                       .tm_mday = (int)value[DAY]};
    time_t midnight = timegm(&parts);
    if (parts.tm_mday != (int)value[DAY]) {
        return false; /* the 30th of February */
    }
    *ms = ((uint64_t)midnight + value[HOUR] * 3600 + value[MINUTE] * 60 + value[SECOND]) * 1000 +
          value[MS];
    *width_ms = count == DAY + 1      ? (uint64_t)24 * 3600 * 1000
                : count == MINUTE + 1 ? 60 * 1000
                : count == SECOND + 1 ? 1000
                                      : 1;
    return true;
}

static bool read_place(struct span text, struct place *out, uint64_t *width_ms)
{
    *width_ms = 1;
    *out = (struct place){0};
    struct span rest = {text.data + 1, text.size > 0 ? text.size - 1 : 0};
    if (text.size > 0 && text.data[0] == '@') {
        out->kind = PLACE_TIME;
        return span_to_number(rest, INT64_MAX, &out->time_ms);
    }
    if (text.size > 0 && text.data[0] == '#') {
        out->kind = PLACE_ORDINAL;
        return span_to_number(rest, INT64_MAX, &out->ordinal) && out->ordinal > 0;
    }
    if (stream_id_parse(text, &out->id)) {
        out->kind = PLACE_ID;
        return true;
    }
    out->kind = PLACE_TIME;
    return read_time(text, &out->time_ms, width_ms);
}

bool place_read(struct span text, struct place *out)
{
    uint64_t width_ms;
    return read_place(text, out, &width_ms);
}

bool options_until(const struct verb *verb, const struct options *options, uint32_t option,
                   struct place *out)
{
    uint64_t width_ms;
    if (!options_place(verb, options, option, out)) {
        return false;
    }
    if (out->kind == PLACE_TIME && read_place(span_of(options->value[option]), out, &width_ms)) {
        out->time_ms += width_ms - 1;
    }
    return true;
}

bool options_place(const struct verb *verb, const struct options *options, uint32_t option,
                   struct place *out)
{
    *out = (struct place){0};
    const char *text = options->value[option];
    if (text == NULL || place_read(span_of(text), out)) {
        return true;
    }
    fprintf(stderr, "salvor %s: %s \"%s\": allowed: " PLACE_FORMS(" ") "\n", verb->name,
            verb->options[option].name, text);
    return false;
}

void place_help(void)
{
    printf("\nPLACE: " PLACE_FORMS("\n") ".\n");
}
