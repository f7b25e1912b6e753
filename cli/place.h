/* SPDX-License-Identifier: MIT
 * Reading a place in a stream from the command line. */
#ifndef SALVOR_CLI_PLACE_H
#define SALVOR_CLI_PLACE_H

#include "cli/verb.h"
#include "replay/place.h"

/* What a PLACE may be, as help (with a line's end for `gap`) and errors (a blank) say it. */
#define PLACE_FORMS(gap)                                                                     \
    "a time (2026-11-23T11:58:41.123, UTC; or the day alone), Unix ms (@1700000000000)," gap \
    "a stream id (1700000000000-0) or an ordinal (#17)"

/* Rows of a verb that takes a range. */
#define PLACE_FROM_RULE                                               \
    {                                                                 \
        .name = "--from", .value = "PLACE",                           \
        .help = "begin at this time, id or ordinal (the first entry)" \
    }
#define PLACE_UNTIL_RULE                                               \
    {                                                                  \
        .name = "--until", .value = "PLACE",                           \
        .help = "end behind this time, id or ordinal (the last entry)" \
    }

/* "2026-11-23T11:58:41.123Z" (UTC; from the day alone to the ms), "@1700000000000" (Unix ms),
 * "1700000000000-0" (a stream id) or "#17" (an ordinal). */
bool place_read(struct span text, struct place *out);
/* Reads a place of an option; absent: `*out` is PLACE_NONE. Prints what is allowed and returns
 * false when it is none. */
bool options_place(const struct verb *verb, const struct options *options, uint32_t option,
                   struct place *out);
/* The same for an end: a day, a minute or a second belongs to it to its last ms. */
bool options_until(const struct verb *verb, const struct options *options, uint32_t option,
                   struct place *out);
/* Tells them at the end of a verb's help. */
void place_help(void);

#endif
