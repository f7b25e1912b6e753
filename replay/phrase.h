/* SPDX-License-Identifier: MIT
 * Texts for people: times, spans of time, what may hold any byte, and lines that are not too long.
 */
#ifndef SALVOR_REPLAY_PHRASE_H
#define SALVOR_REPLAY_PHRASE_H

#include "base/palette.h"

/* 2026-11-23T11:58:41.123Z */
void phrase_put_time(struct buffer *out, uint64_t at_ms);
/* "2026-11-23" and "11:58:41.123". */
void phrase_put_day(struct buffer *out, uint64_t at_ms);
void phrase_put_clock(struct buffer *out, uint64_t at_ms);
/* How long: "699 ms", "1.25 s", "60 s", "4 min 3 s", "2 h 5 min", "3 d 4 h". */
void phrase_put_span(struct buffer *out, uint64_t ms);
/* A producer's bytes: a line feed becomes ", ", what is not printable ASCII "?". */
void phrase_put_printable(struct buffer *out, struct span text);
/* The same, cut with "…" to so many bytes. */
void phrase_put_excerpt(struct buffer *out, struct span text, size_t size_max);

/* A paragraph whose every line is set off by `style`; the cursor stands at column `column`. Lines
 * are broken at blanks before column `width`; those behind the first begin at column `indent`. Ends
 * without a line feed. */
struct paragraph {
    const struct palette *palette;
    enum style style;
    size_t column, indent, width;
};
void phrase_put_paragraph(struct buffer *out, const struct paragraph *how, struct span text);
/* A line feed and so many blanks. */
void phrase_put_line(struct buffer *out, size_t indent);

#endif
