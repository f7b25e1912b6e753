/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"

/* A write to a pipe of at most PIPE_BUF (4,096) bytes is never mixed with another's. */
#define LOG_LINE_MAX    4096
#define LOG_END_SIZE    sizeof(",\"cut\":\"true\"}\n")
#define LOG_NUMBERS     8
#define LOG_NUMBER_SIZE 24

static enum log_level least_level = LOG_INFO;
static enum log_format line_format = LOG_FORMAT_LOGFMT;

void log_configure(enum log_level least, enum log_format format)
{
    least_level = least;
    line_format = format;
}

static _Thread_local char number_texts[LOG_NUMBERS][LOG_NUMBER_SIZE];

/* What log_number made is a number in JSON too. */
static bool is_number(struct span value)
{
    uintptr_t first = (uintptr_t)number_texts, place = (uintptr_t)value.data;
    return place >= first && place < first + sizeof(number_texts);
}

static bool needs_quotes(struct span value)
{
    for (size_t index = 0; index < value.size; index++) {
        char byte = value.data[index];
        if (byte <= ' ' || byte > '~' || byte == '"' || byte == '=' || byte == '\\') {
            return true;
        }
    }
    return value.size == 0;
}

static void put_pair(struct buffer *line, const char *key, struct span value)
{
    if (line_format == LOG_FORMAT_JSON && is_number(value)) {
        json_put_key(line, key);
        buffer_put_span(line, value);
        return;
    }
    if (line_format == LOG_FORMAT_JSON) {
        json_put_text(line, key, value);
        return;
    }
    if (line->size > 0) {
        buffer_put_byte(line, ' ');
    }
    buffer_put_text(line, key);
    buffer_put_byte(line, '=');
    if (needs_quotes(value)) {
        buffer_put_json_string(line, value);
    } else {
        buffer_put_span(line, value);
    }
}

static void put_time(struct buffer *line)
{
    uint64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    CHECK(gmtime_r(&seconds, &utc) != NULL);
    char text[64];
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
             (unsigned)(now_ms % 1000));
    put_pair(line, "time", span_of(text));
}

static void write_line(struct span line)
{
    while (line.size > 0) {
        ssize_t written = write(STDERR_FILENO, line.data, line.size);
        if (written < 0 && errno != EINTR) {
            return; /* Nobody is left who could be told. */
        }
        if (written > 0) {
            line = (struct span){line.data + written, line.size - (size_t)written};
        }
    }
}

void log_fact(enum log_level level, const char *event, ...)
{
    static const char *const level_texts[] = {
        [LOG_DEBUG] = "debug",
        [LOG_INFO] = "info",
        [LOG_WARNING] = "warning",
        [LOG_ERROR] = "error",
    };
    CHECK(level >= LOG_DEBUG && level <= LOG_ERROR);
    if (level < least_level) {
        return;
    }
    bool is_json = line_format == LOG_FORMAT_JSON;
    struct buffer line = {0};
    buffer_put_text(&line, is_json ? "{" : "");
    put_time(&line);
    put_pair(&line, "level", span_of(level_texts[level]));
    put_pair(&line, "event", span_of(event));

    va_list pairs;
    va_start(pairs, event);
    for (const char *key = va_arg(pairs, const char *); key != NULL;
         key = va_arg(pairs, const char *)) {
        size_t size_before = line.size;
        put_pair(&line, key, span_of(va_arg(pairs, const char *)));
        if (line.size > LOG_LINE_MAX - LOG_END_SIZE) {
            line.size = size_before;
            put_pair(&line, "cut", SPAN("true"));
            break;
        }
    }
    va_end(pairs);

    buffer_put_text(&line, is_json ? "}\n" : "\n");
    write_line(buffer_span(&line));
    buffer_fini(&line);
}

const char *log_number(unsigned long long number)
{
    static _Thread_local unsigned next;
    char *text = number_texts[next++ % LOG_NUMBERS];
    snprintf(text, LOG_NUMBER_SIZE, "%llu", number);
    return text;
}
