/* SPDX-License-Identifier: MIT
 * How texts for people are set off: a style is the bytes before and behind what it marks. Whether a
 * terminal reads them is the caller's to know; the plain palette puts nothing. */
#ifndef SALVOR_BASE_PALETTE_H
#define SALVOR_BASE_PALETTE_H

#include "base/bytes.h"

enum style {
    STYLE_NONE,
    STYLE_TITLE, /* what a page or a part of it is about */
    STYLE_DIM,   /* for who looks closer */
    STYLE_GOOD,
    STYLE_BAD,
    STYLE_ACT,   /* something is done */
    STYLE_DOUBT, /* something waits, or is asked */
    STYLE_COUNT
};

struct palette {
    const char *on[STYLE_COUNT]; /* static */
    const char *off;             /* static */
};

extern const struct palette palette_plain;    /* empty texts */
extern const struct palette palette_coloured; /* ANSI escapes */

/* Appends the text between the style's bytes. */
void palette_put(const struct palette *palette, enum style style, struct span text,
                 struct buffer *out);

#endif
