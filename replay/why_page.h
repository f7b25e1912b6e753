/* SPDX-License-Identifier: MIT
 * A story under the pen: where its text has come to, and the lines that all of it is made of. */
#ifndef SALVOR_REPLAY_WHY_PAGE_H
#define SALVOR_REPLAY_WHY_PAGE_H

#include "base/palette.h"
#include "replay/story.h"

#define PAGE_WIDTH  100
#define PAGE_INDENT 25 /* of what stands behind the times */

struct page {
    const struct story *story;
    const struct palette *palette;
    struct buffer *out;
    uint64_t day, second; /* of the last line, counted from 1; 0: it is to be shown */
    uint64_t last_ms;
    uint32_t place;                          /* of the item being told */
    struct stream_id facts[JOB_FACT_COUNT];  /* last told */
    struct buffer values[EVENT_FIELD_COUNT]; /* last told of a field that is told once */
    struct buffer sentences;                 /* told, each ended by a line feed */
    struct told_belief belief;               /* told last */
    struct span policy;                      /* hash of the one told last */
};

/* The day, unless it is that of the last line. */
void page_put_day(struct page *page, uint64_t at_ms);
/* The times of a new line. The day stands above the first line of it, the second in the first line
 * of that, the rest of a time in every line whose time is another. */
void page_put_when(struct page *page, uint64_t at_ms);
/* A label in the margin, and the text, which it empties; nothing without a text. */
void page_put_labelled(struct page *page, const char *label, enum style style, struct buffer *text);
/* Puts a blank unless `text` is empty. */
void page_next_part(struct buffer *text);
/* The event at page->place; it may take those behind it along. */
void page_put_event(struct page *page);

#endif
