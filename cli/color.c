/* SPDX-License-Identifier: MIT */
#include "cli/color.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_wanted_by_itself(void)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) != 0 && (no_color == NULL || no_color[0] == '\0');
}

const struct palette *options_palette(const struct verb *verb, const struct options *options,
                                      uint32_t option)
{
    struct span word = span_of(options->value[option]);
    if (word.size == 0 || span_is(word, "auto")) {
        return is_wanted_by_itself() ? &palette_coloured : &palette_plain;
    }
    if (span_is(word, "always")) {
        return &palette_coloured;
    }
    if (span_is(word, "never")) {
        return &palette_plain;
    }
    fprintf(stderr, "salvor %s: %s \"%s\": allowed: always, never, auto\n", verb->name,
            verb->options[option].name, options->value[option]);
    return NULL;
}
