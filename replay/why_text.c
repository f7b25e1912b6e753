/* SPDX-License-Identifier: MIT
 * A story for people: a head, then a line or a short paragraph for each thing that happened. */
#include "replay/otherwise.h"
#include "replay/phrase.h"
#include "replay/reasoning.h"
#include "replay/why.h"
#include "replay/why_page.h"

static enum style style_of(enum action action)
{
    static const enum style styles[ACTION_COUNT] = {
        [ACTION_ASK] = STYLE_DOUBT,      [ACTION_WAIT] = STYLE_DOUBT,  [ACTION_HOLD] = STYLE_DOUBT,
        [ACTION_REQUEUE] = STYLE_ACT,    [ACTION_CANCEL] = STYLE_ACT,  [ACTION_RELEASE] = STYLE_ACT,
        [ACTION_COMPLETE] = STYLE_GOOD,  [ACTION_RESUME] = STYLE_GOOD, [ACTION_FAIL] = STYLE_BAD,
        [ACTION_TIME_OUT] = STYLE_BAD,   [ACTION_PARK] = STYLE_BAD,    [ACTION_IGNORE] = STYLE_DIM,
        [ACTION_QUARANTINE] = STYLE_BAD, [ACTION_NONE] = STYLE_NONE,
    };
    return styles[action];
}

static void put_verdict(struct page *page, const struct told_decision *told)
{
    const struct decision *row = &told->row;
    struct buffer text = {0};
    struct span action = span_of(reasoning_action(row->action));
    struct paragraph how = {.palette = page->palette,
                            .column = PAGE_INDENT + action.size,
                            .indent = PAGE_INDENT,
                            .width = PAGE_WIDTH};
    palette_put(page->palette, style_of(row->action), action, page->out);
    buffer_put_text(&text, ": ");
    buffer_put_text(&text, reasoning_reason(told));
    buffer_put_text(&text, " (");
    buffer_put_text(&text, reason_code(row->reason));
    buffer_put_byte(&text, ')');
    phrase_put_paragraph(page->out, &how, buffer_span(&text));
    buffer_fini(&text);
}

static bool is_told(const struct page *page, struct span sentence)
{
    struct span rest = buffer_span(&page->sentences);
    while (rest.size > 0) {
        if (span_equal(span_cut(&rest, '\n'), sentence)) {
            return true;
        }
    }
    return false;
}

/* A sentence that was told before is not told again. */
static void put_otherwise(struct page *page, const struct told_decision *told)
{
    struct buffer text = {0};
    uint32_t shown = 0, count = 0;
    for (; otherwise_put(page->story, told, count, &text); count++) {
        if (is_told(page, buffer_span(&text))) {
            buffer_reset(&text);
            continue;
        }
        buffer_put_span(&page->sentences, buffer_span(&text));
        buffer_put_byte(&page->sentences, '\n');
        page_put_labelled(page, shown++ == 0 ? "otherwise" : "", STYLE_NONE, &text);
    }
    if (shown == 0 && count > 0) {
        buffer_put_text(&text, "as above");
        page_put_labelled(page, "otherwise", STYLE_DIM, &text);
    }
    buffer_fini(&text);
}

/* The ids that have not been told yet; the entry's own, unless a line has just told it. */
static void put_facts(struct page *page, const struct told_decision *told)
{
    struct buffer text = {0};
    bool is_shown = page->story->has_capture && !span_is(told->evidence.event, "tick");
    reasoning_put_facts(told, page->facts, &text);
    if (!is_shown) {
        buffer_put_text(&text, text.size > 0 ? "; at " : "at ");
        phrase_put_printable(&text, told->evidence.event);
        page_next_part(&text);
        stream_id_put(&text, told->row.stream_id);
    }
    page_put_labelled(page, "rests on", STYLE_DIM, &text);
    buffer_fini(&text);
}

static void put_decision(struct page *page, const struct told_decision *told)
{
    const struct told_effect *effects = story_effects(page->story, told);
    struct buffer text = {0};
    page_put_when(page, told->row.stream_id.ms);
    put_verdict(page, told);
    reasoning_put_measures(told, &text);
    page_put_labelled(page, "because", STYLE_NONE, &text);
    reasoning_put_tried(told, &text);
    page_put_labelled(page, "not so", STYLE_NONE, &text);
    for (uint32_t i = 0; i < told->effect_count; i++) {
        reasoning_put_effect(&effects[i].row, &text);
        page_put_labelled(page, "effect", STYLE_NONE, &text);
    }
    put_otherwise(page, told);
    put_facts(page, told);
    if (!span_equal(told->row.policy, page->policy)) {
        reasoning_put_policy(told->policy, told->row.policy, told->row.service, &text);
        page_put_labelled(page, "policy", STYLE_NONE, &text);
        page->policy = told->row.policy;
    }
    buffer_fini(&text);
}

/* What is believed from here on, as far as it is another than before. */
static void put_belief(struct page *page, const struct told_belief *belief)
{
    const struct told_belief *before = &page->belief;
    struct buffer text = {0};
    reasoning_put_phase(belief->phase, belief->wanted, &text);
    if (belief->worker.size > 0 && !span_equal(belief->worker, before->worker)) {
        buffer_put_text(&text, ", ");
        phrase_put_printable(&text, belief->worker);
    }
    if (belief->attempt != before->attempt) {
        buffer_put_text(&text, ", attempt ");
        buffer_put_decimal(&text, belief->attempt);
    }
    if (belief->losses != before->losses || belief->failures != before->failures) {
        buffer_put_text(&text, ", losses ");
        buffer_put_decimal(&text, belief->losses);
        buffer_put_text(&text, ", failures ");
        buffer_put_decimal(&text, belief->failures);
    }
    page->belief = *belief;
    page_put_labelled(page, "now", STYLE_NONE, &text);
    buffer_fini(&text);
}

static void put_item(struct page *page)
{
    const struct story_item *item = &page->story->items[page->place];
    if (item->kind == STORY_EVENT) {
        page_put_event(page);
    } else if (item->kind == STORY_DECISION) {
        put_decision(page, &page->story->decisions[item->decision]);
    } else {
        page_put_day(page, item->entry.id.ms); /* what a capture begins with has no line before */
        put_belief(page, &item->belief);
    }
    page->place++;
}

void why_put_text(const struct story *story, const struct palette *palette, struct buffer *out)
{
    struct page page = {.story = story, .palette = palette, .out = out};
    if (story->decision_count > 0) {
        /* That of the head. */
        page.policy = story->decisions[story->decision_count - 1].row.policy;
    }
    why_put_head(story, palette, out);
    while (page.place < story->item_count) {
        put_item(&page);
    }
    buffer_put_byte(out, '\n');
    if (story->is_cut) {
        buffer_put_text(out, "\nMore follows; the story is cut here.\n");
    }
    for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
        buffer_fini(&page.values[field]);
    }
    buffer_fini(&page.sentences);
}
