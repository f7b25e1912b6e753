/* SPDX-License-Identifier: MIT
 * Whether standard output is given colours. */
#ifndef SALVOR_CLI_COLOR_H
#define SALVOR_CLI_COLOR_H

#include "base/palette.h"
#include "cli/verb.h"

#define COLOR_OPTION                                                               \
    {                                                                              \
        .name = "--color", .value = "WHEN",                                        \
        .help = "colours: always, never or auto (on a terminal, without NO_COLOR)" \
    }

/* Reads a COLOR_OPTION. Prints what is allowed and returns NULL when it is none of these. */
const struct palette *options_palette(const struct verb *verb, const struct options *options,
                                      uint32_t option);

#endif
