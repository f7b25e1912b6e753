/* SPDX-License-Identifier: MIT
 * The head of a story, and its lines. */
#include "replay/why_page.h"

#include "replay/phrase.h"
#include "replay/reasoning.h"
#include "replay/why.h"

/* --- the head --- */

static uint64_t attempts_of(const struct story *story)
{
    uint64_t attempts = story->has_view ? story->view.core.attempt : 0;
    for (uint32_t i = 0; i < story->decision_count; i++) {
        const struct decision *row = &story->decisions[i].row;
        if (row->attempt > attempts && row->action != ACTION_IGNORE) {
            attempts = row->attempt;
        }
    }
    return attempts;
}

static struct span service_of(const struct story *story)
{
    for (uint32_t i = story->decision_count; i > 0; i--) {
        if (story->decisions[i - 1].row.service.size > 0) {
            return story->decisions[i - 1].row.service;
        }
    }
    return story->has_view ? story->view.text[JOB_TEXT_SERVICE] : SPAN_NONE;
}

static uint64_t end_of(const struct story *story)
{
    uint64_t end_ms = story->items[story->item_count - 1].entry.id.ms;
    for (uint32_t i = 0; i < story->effect_count; i++) {
        uint64_t settled_ms = story->effects[i].row.settled_at_ms;
        end_ms = settled_ms > end_ms ? settled_ms : end_ms;
    }
    return end_ms;
}

/* What of the job's time was read. */
static void put_reach(const struct story *story, struct buffer *out)
{
    struct story_gap gap = story_unread(story);
    if (!story->has_capture) {
        buffer_put_text(out, "; decisions alone: --capture tells the events too");
    } else if (story->begun.ordinal > 0) {
        buffer_put_text(out, gap.ordinal == story->begun.ordinal
                                 ? "; of events and decisions only what came behind ordinal "
                                 : "; of events only what came behind ordinal ");
        buffer_put_decimal(out, story->begun.ordinal);
    }
    if (gap.ordinal > 0 && gap.ordinal != story->begun.ordinal) {
        buffer_put_text(out, "; of decisions only what came later: ");
        reasoning_put_unread(story, out);
    }
}

static void put_figures(const struct story *story, struct buffer *out)
{
    uint64_t attempts = attempts_of(story);
    if (attempts > 0 || story_unread(story).ordinal == 0) {
        buffer_put_decimal(out, attempts);
        buffer_put_text(out, attempts == 1 ? " attempt, " : " attempts, ");
    }
    buffer_put_decimal(out, story->decision_count);
    buffer_put_text(out, story->decision_count == 1 ? " decision" : " decisions");
    if (story->item_count > 0) {
        buffer_put_text(out, ", ");
        phrase_put_span(out, end_of(story) - story->items[0].entry.id.ms);
        buffer_put_text(out, " from first to last");
    }
    if (service_of(story).size > 0) {
        buffer_put_text(out, ", service ");
        phrase_put_printable(out, service_of(story));
    }
    put_reach(story, out);
}

/* Puts `text`, which it empties, as a paragraph behind `indent` blanks of a new line. */
static void put_paragraph(const struct palette *palette, enum style style, size_t indent,
                          struct buffer *text, struct buffer *out)
{
    struct paragraph how = {.palette = palette,
                            .style = style,
                            .column = indent,
                            .indent = indent,
                            .width = PAGE_WIDTH};
    phrase_put_line(out, indent);
    phrase_put_paragraph(out, &how, buffer_span(text));
    buffer_reset(text);
}

static void put_policy(const struct story *story, struct buffer *out)
{
    const struct told_decision *last =
        story->decision_count == 0 ? NULL : &story->decisions[story->decision_count - 1];
    buffer_put_text(out, "policy ");
    if (last != NULL) {
        reasoning_put_policy(last->policy, last->row.policy, service_of(story), out);
    } else if (story->in_force != NULL) {
        reasoning_put_policy(&story->in_force->values, story->in_force->hash, service_of(story),
                             out);
    }
}

void why_put_head(const struct story *story, const struct palette *palette, struct buffer *out)
{
    struct buffer text = {0};
    buffer_put_text(out, "job ");
    phrase_put_printable(&text, story->job);
    palette_put(palette, STYLE_TITLE, buffer_span(&text), out);
    buffer_reset(&text);
    reasoning_put_standing(story, &text);
    put_paragraph(palette, reasoning_standing_style(story), 2, &text, out);
    put_figures(story, &text);
    put_paragraph(palette, STYLE_NONE, 2, &text, out);
    put_policy(story, &text);
    put_paragraph(palette, STYLE_NONE, 2, &text, out);
    buffer_fini(&text);
    buffer_put_byte(out, '\n');
}

/* --- times --- */

/* "+12.250 s", right-aligned. */
static void put_since(struct page *page, uint64_t at_ms)
{
    struct buffer text = {0};
    if (page->last_ms != 0 && at_ms > page->last_ms) {
        uint64_t ms = at_ms - page->last_ms;
        buffer_put_byte(&text, '+');
        if (ms < 60000) {
            buffer_put_decimal(&text, ms / 1000);
            buffer_put_text(&text, ms % 1000 < 10 ? ".00" : ms % 1000 < 100 ? ".0" : ".");
            buffer_put_decimal(&text, ms % 1000);
            buffer_put_text(&text, " s");
        } else {
            phrase_put_span(&text, ms);
        }
    }
    for (size_t size = text.size; size < 11; size++) {
        buffer_put_byte(page->out, ' ');
    }
    palette_put(page->palette, STYLE_DIM, buffer_span(&text), page->out);
    buffer_put_text(page->out, "  ");
    buffer_fini(&text);
}

void page_put_day(struct page *page, uint64_t at_ms)
{
    struct buffer text = {0};
    if (at_ms / 86400000 + 1 == page->day) {
        return;
    }
    page->day = at_ms / 86400000 + 1;
    page->second = 0;
    phrase_put_day(&text, at_ms);
    buffer_put_text(&text, " (UTC)");
    buffer_put_byte(page->out, '\n');
    palette_put(page->palette, STYLE_TITLE, buffer_span(&text), page->out);
    buffer_fini(&text);
}

void page_put_when(struct page *page, uint64_t at_ms)
{
    struct buffer *out = page->out;
    struct buffer text = {0};
    page_put_day(page, at_ms);
    phrase_put_clock(&text, at_ms);
    struct span clock = buffer_span(&text);
    size_t shown = at_ms / 1000 + 1 != page->second ? 0 : at_ms != page->last_ms ? 8 : clock.size;
    phrase_put_line(out, shown);
    palette_put(page->palette, STYLE_NONE, (struct span){clock.data + shown, clock.size - shown},
                out);
    put_since(page, at_ms);
    page->second = at_ms / 1000 + 1;
    page->last_ms = at_ms;
    buffer_fini(&text);
}

void page_put_labelled(struct page *page, const char *label, enum style style, struct buffer *text)
{
    struct paragraph how = {.palette = page->palette,
                            .style = style,
                            .column = PAGE_INDENT,
                            .indent = PAGE_INDENT,
                            .width = PAGE_WIDTH};
    if (text->size == 0) {
        return;
    }
    phrase_put_line(page->out, PAGE_INDENT - 2 - span_of(label).size);
    palette_put(page->palette, STYLE_DIM, span_of(label), page->out);
    buffer_put_text(page->out, "  ");
    phrase_put_paragraph(page->out, &how, buffer_span(text));
    buffer_reset(text);
}

void page_next_part(struct buffer *out)
{
    buffer_put_text(out, out->size > 0 ? " " : "");
}
