/* SPDX-License-Identifier: MIT */
#include "replay/phrase.h"

#include <time.h>

static void put_formatted(struct buffer *out, const char *format, uint64_t at_ms)
{
    char text[64];
    struct tm parts;
    time_t seconds = (time_t)(at_ms / 1000);
    if (gmtime_r(&seconds, &parts) == NULL) { /* a year beyond int */
        buffer_put_text(out, "?");
        return;
    }
    buffer_put(out, text, strftime(text, sizeof(text), format, &parts));
}

/* A number of `digits` digits, zeros in front. */
static void put_padded(struct buffer *out, uint64_t number, uint64_t least)
{
    for (; least > 1 && number < least; least /= 10) {
        buffer_put_byte(out, '0');
    }
    buffer_put_decimal(out, number);
}

void phrase_put_day(struct buffer *out, uint64_t at_ms)
{
    put_formatted(out, "%Y-%m-%d", at_ms);
}

void phrase_put_clock(struct buffer *out, uint64_t at_ms)
{
    put_formatted(out, "%H:%M:%S.", at_ms);
    put_padded(out, at_ms % 1000, 100);
}

void phrase_put_time(struct buffer *out, uint64_t at_ms)
{
    phrase_put_day(out, at_ms);
    buffer_put_byte(out, 'T');
    phrase_put_clock(out, at_ms);
    buffer_put_byte(out, 'Z');
}

/* Seconds with their ms, without zeros behind. */
static void put_seconds(struct buffer *out, uint64_t ms)
{
    uint64_t part = ms % 1000, least = 100;
    buffer_put_decimal(out, ms / 1000);
    if (part > 0) {
        while (part % 10 == 0) {
            part /= 10;
            least /= 10;
        }
        buffer_put_byte(out, '.');
        put_padded(out, part, least);
    }
    buffer_put_text(out, " s");
}

void phrase_put_span(struct buffer *out, uint64_t ms)
{
    static const struct {
        uint64_t unit_ms, part_ms;
        const char *unit, *part;
    } scales[] = {
        {86400000, 3600000, " d", " h"},
        {3600000, 60000, " h", " min"},
        {60000, 1000, " min", " s"},
    };
    for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
        if (ms < 2 * scales[i].unit_ms) {
            continue;
        }
        uint64_t parts = ms % scales[i].unit_ms / scales[i].part_ms;
        buffer_put_decimal(out, ms / scales[i].unit_ms);
        buffer_put_text(out, scales[i].unit);
        if (parts > 0) {
            buffer_put_byte(out, ' ');
            buffer_put_decimal(out, parts);
            buffer_put_text(out, scales[i].part);
        }
        return;
    }
    if (ms < 1000) {
        buffer_put_decimal(out, ms);
        buffer_put_text(out, " ms");
    } else {
        put_seconds(out, ms);
    }
}

void phrase_put_printable(struct buffer *out, struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '\n') {
            buffer_put_text(out, ", ");
        } else {
            buffer_put_byte(out, byte >= ' ' && byte <= '~' ? (uint8_t)byte : (uint8_t)'?');
        }
    }
}

void phrase_put_excerpt(struct buffer *out, struct span text, size_t size_max)
{
    bool is_cut = text.size > size_max;
    text.size = is_cut ? size_max : text.size;
    phrase_put_printable(out, text);
    if (is_cut) {
        buffer_put_text(out, "…");
    }
}

void phrase_put_line(struct buffer *out, size_t indent)
{
    buffer_put_byte(out, '\n');
    for (size_t i = 0; i < indent; i++) {
        buffer_put_byte(out, ' ');
    }
}

/* Columns that the text takes: bytes that go on a character of UTF-8 take none. */
static size_t columns_of(struct span text)
{
    size_t columns = 0;
    for (size_t i = 0; i < text.size; i++) {
        columns += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    }
    return columns;
}

/* The part of `*text` that fits into `room` columns; at least its first word. */
static struct span cut_line(struct span *text, size_t room)
{
    struct span line = {text->data, 0}, rest = *text;
    while (rest.size > 0) {
        struct span word = span_cut(&rest, ' ');
        struct span longer = {line.data, (size_t)(word.data + word.size - line.data)};
        if (line.size > 0 && columns_of(longer) > room) {
            break;
        }
        line = longer;
        *text = rest;
    }
    return line;
}

void phrase_put_paragraph(struct buffer *out, const struct paragraph *how, struct span text)
{
    size_t column = how->column;
    while (text.size > 0) {
        struct span line = cut_line(&text, how->width > column ? how->width - column : 1);
        palette_put(how->palette, how->style, line, out);
        column = how->indent;
        if (text.size > 0) {
            phrase_put_line(out, how->indent);
        }
    }
}
