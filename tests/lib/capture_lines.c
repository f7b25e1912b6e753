/* SPDX-License-Identifier: MIT */
#include "tests/lib/capture_lines.h"

#include "base/check.h"
#include "reducers/codec.h"

#define PAIRS_MAX 32

static void pack(struct buffer *raw)
{
    struct event event;
    struct span field;
    struct buffer packed = {0};
    struct entry flat = {.id = {1, 0}, .raw = buffer_span(raw)};
    CHECK(codec_decode(&flat, &event, &field) == CODEC_NONE);
    codec_put_packed(&packed, &event);
    const struct span name = SPAN("e"), value = buffer_span(&packed);
    buffer_reset(raw);
    codec_put_raw(raw, &name, &value, 1);
    buffer_fini(&packed);
}

/* "\n" in a value is a line feed. */
static struct span with_line_feeds(struct arena *arena, struct span value)
{
    struct buffer text = {0};
    for (size_t i = 0; i < value.size; i++) {
        bool is_feed = value.data[i] == '\\' && i + 1 < value.size && value.data[i + 1] == 'n';
        buffer_put_byte(&text, is_feed ? '\n' : (uint8_t)value.data[i]);
        i += is_feed;
    }
    struct span kept = arena_copy(arena, buffer_span(&text));
    buffer_fini(&text);
    return kept;
}

struct entry capture_line_entry(const char *line, uint64_t number, struct buffer *raw)
{
    struct span names[PAIRS_MAX], values[PAIRS_MAX];
    struct span rest = span_of(line);
    uint32_t count = 1;
    names[0] = SPAN("type");
    values[0] = span_cut(&rest, ' ');
    struct arena texts = {0}, *arena = &texts;
    bool is_packed = span_is(values[0], "packed");
    if (is_packed) {
        values[0] = span_cut(&rest, ' ');
    }
    while (rest.size > 0) {
        CHECK(count < PAIRS_MAX);
        values[count] = span_cut(&rest, ' ');
        names[count] = span_cut(&values[count], '=');
        values[count] = with_line_feeds(arena, values[count]);
        count++;
    }
    buffer_reset(raw);
    codec_put_raw(raw, names, values, count);
    arena_fini(arena);
    if (is_packed) {
        pack(raw);
    }
    return (struct entry){.id = {number, 0}, .raw = buffer_span(raw)};
}

void capture_lines_write(const char *folder, const struct capture_header *header,
                         const char *const *lines)
{
    struct error error;
    struct buffer raw = {0};
    struct capture_writer *writer = capture_create(folder, header, &error);
    CHECK(writer != NULL);
    for (uint64_t i = 0; lines[i] != NULL; i++) {
        struct entry entry = capture_line_entry(lines[i], header->ordinal + i + 1, &raw);
        capture_append(writer, &entry);
    }
    CHECK(capture_flush(writer, &error));
    capture_close(writer);
    buffer_fini(&raw);
}
