/* SPDX-License-Identifier: MIT */
#include "base/palette.h"

#include "base/check.h"

const struct palette palette_plain = {
    .on = {"", "", "", "", "", "", ""},
    .off = "",
};

const struct palette palette_coloured = {
    .on =
        {
            [STYLE_NONE] = "",
            [STYLE_TITLE] = "\033[1m",
            [STYLE_DIM] = "\033[2m",
            [STYLE_GOOD] = "\033[1;32m",
            [STYLE_BAD] = "\033[1;31m",
            [STYLE_ACT] = "\033[1;36m",
            [STYLE_DOUBT] = "\033[1;33m",
        },
    .off = "\033[0m",
};

void palette_put(const struct palette *palette, enum style style, struct span text,
                 struct buffer *out)
{
    CHECK(style < STYLE_COUNT);
    const char *on = palette->on[style];
    buffer_put_text(out, on);
    buffer_put_span(out, text);
    if (on[0] != '\0') {
        buffer_put_text(out, palette->off);
    }
}
