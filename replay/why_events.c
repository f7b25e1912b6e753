/* SPDX-License-Identifier: MIT
 * The events of a story: a line each, with the fields that tell something new. */
#include "replay/phrase.h"
#include "replay/why_page.h"

#define TYPE_WIDTH 18 /* of an event's type */
#define TEXT_MAX   80 /* of a field of an event */

/* What nobody looks for in a line: whose it is stands in the head, who leads in the audit. */
#define FIELDS_LEFT_OUT                                                                          \
    (F(JOB) | F(OWNER) | F(EPOCH) | F(TRACE) | F(AT) | F(ID) | F(BODY_SHA256) | F(INCARNATION) | \
     F(CLAIM) | F(MACHINE) | F(PRIORITY) | F(WORKFLOW) | F(SUBMITTED_AT) | F(QUESTION) |         \
     F(EFFECT) | F(TEXT) | F(HASH) | F(WALL_MS) | F(HASH_ORDINAL) | F(STATE_HASH))
/* What is told again only when it is another. */
#define FIELDS_TOLD_ONCE                                                                    \
    (F(WORKER) | F(ATTEMPT) | F(SERVICE) | F(MAX_RETRIES) | F(TIMEOUT_MS) | F(IDEMPOTENT) | \
     F(LOSSES) | F(FAILURES) | F(SERVICES) | F(HEARTBEAT_MS))

/* A text with blanks stands in quotes. */
static void put_text_value(struct span value, struct buffer *out)
{
    bool is_solid = span_is_solid(value) && value.size > 0;
    buffer_put_text(out, is_solid ? "" : "\"");
    phrase_put_excerpt(out, value, TEXT_MAX);
    buffer_put_text(out, is_solid ? "" : "\"");
}

static void put_value(const struct event *event, enum event_field field, struct buffer *out)
{
    enum field_kind kind = event_field_rule(field)->kind;
    if (kind == FIELD_KIND_NUMBER) {
        buffer_put_decimal(out, event_number(event, field));
    } else if (kind == FIELD_KIND_BOOLEAN) {
        buffer_put_text(out, event_number(event, field) != 0 ? "true" : "false");
    } else {
        put_text_value(event_text(event, field), out);
    }
}

static void put_field(struct page *page, const struct event *event, enum event_field field,
                      struct buffer *out)
{
    struct buffer value = {0};
    struct buffer *told = &page->values[field];
    put_value(event, field, &value);
    bool is_once = (FIELDS_TOLD_ONCE & (UINT64_C(1) << field)) != 0;
    if (!is_once || !span_equal(buffer_span(&value), buffer_span(told))) {
        page_next_part(out);
        buffer_put_text(out, event_field_rule(field)->name);
        buffer_put_byte(out, '=');
        buffer_put_span(out, buffer_span(&value));
        buffer_reset(told);
        buffer_put_span(told, buffer_span(&value));
    }
    buffer_fini(&value);
}

static void put_fields(struct page *page, const struct event *event, struct buffer *out)
{
    for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
        bool is_left_out = (FIELDS_LEFT_OUT & (UINT64_C(1) << field)) != 0;
        if (event_has(event, field) && !is_left_out) {
            put_field(page, event, field, out);
        }
    }
}

/* "release worker:w1" of the effect that the event settles. */
static void put_settled(const struct story *story, const struct event *event, struct buffer *out)
{
    for (uint32_t i = 0; i < story->effect_count; i++) {
        if (span_equal(story->effects[i].row.id, event_text(event, FIELD_EFFECT))) {
            page_next_part(out);
            phrase_put_printable(out, story->effects[i].row.kind);
            buffer_put_byte(out, ' ');
            phrase_put_printable(out, story->effects[i].row.target);
        }
    }
}

static bool is_sign_of_life(const struct event *event)
{
    return event->type == EVENT_WORKER_HEARTBEAT || event->type == EVENT_JOB_PROGRESS;
}

/* How many of the items from `first` on are signs of life that follow each other; `*event` becomes
 * the last of them. */
static uint32_t run_of_signs(const struct story *story, uint32_t first, struct event *event)
{
    uint32_t count = 0;
    struct event next;
    struct span field;
    while (first + count < story->item_count) {
        const struct story_item *item = &story->items[first + count];
        if (item->kind != STORY_EVENT || codec_decode(&item->entry, &next, &field) != CODEC_NONE ||
            !is_sign_of_life(&next)) {
            break;
        }
        *event = next;
        count++;
    }
    return count;
}

/* The type, what stands behind it, and the stream id. */
static void put_line(struct page *page, const char *type, struct buffer *text, struct stream_id id)
{
    struct paragraph how = {.palette = page->palette,
                            .column = PAGE_INDENT + TYPE_WIDTH,
                            .indent = PAGE_INDENT + 2,
                            .width = PAGE_WIDTH};
    palette_put(page->palette, STYLE_TITLE, span_of(type), page->out);
    for (size_t size = span_of(type).size; size < TYPE_WIDTH; size++) {
        buffer_put_byte(page->out, ' ');
    }
    if (span_of(type).size >= TYPE_WIDTH) {
        buffer_put_byte(page->out, ' ');
    }
    phrase_put_paragraph(page->out, &how, buffer_span(text));
    bool is_empty = text->size == 0;
    buffer_reset(text);
    stream_id_put(text, id);
    buffer_put_text(page->out, is_empty ? "" : "  ");
    palette_put(page->palette, STYLE_DIM, buffer_span(text), page->out);
}

/* Many signs of life in a row are one line. */
static void put_signs(struct page *page, uint32_t count, const struct event *last)
{
    struct buffer text = {0};
    page_put_when(page, page->story->items[page->place].entry.id.ms);
    buffer_put_decimal(&text, count);
    buffer_put_text(&text, " until ");
    phrase_put_clock(&text, last->id.ms);
    put_fields(page, last, &text);
    put_line(page, "signs of life", &text, last->id);
    page->last_ms = last->id.ms;
    page->second = 0;
    buffer_fini(&text);
}

static void put_one_event(struct page *page, const struct entry *entry)
{
    struct event event;
    struct span field;
    struct buffer text = {0};
    enum codec_problem problem = codec_decode(entry, &event, &field);
    if (problem == CODEC_NONE && event.type == EVENT_TICK) {
        return; /* A tick is told by what it led to. */
    }
    page_put_when(page, entry->id.ms);
    if (problem != CODEC_NONE) {
        buffer_put_text(&text, codec_problem_text(problem));
        page_next_part(&text);
        phrase_put_excerpt(&text, field, TEXT_MAX);
    } else {
        if (event.type == EVENT_EFFECT_SETTLED) {
            put_settled(page->story, &event, &text);
        }
        put_fields(page, &event, &text);
    }
    put_line(page,
             problem == CODEC_UNKNOWN_TYPE ? "unknown type"
             : problem != CODEC_NONE       ? "quarantined"
                                           : event_type_rule(event.type)->name,
             &text, entry->id);
    buffer_fini(&text);
}

void page_put_event(struct page *page)
{
    struct event last;
    uint32_t signs = run_of_signs(page->story, page->place, &last);
    if (signs > 1) {
        put_signs(page, signs, &last);
        page->place += signs - 1;
    } else {
        put_one_event(page, &page->story->items[page->place].entry);
    }
}
