/* SPDX-License-Identifier: MIT
 * What comes back from outside in a scenario, told beforehand and given whenever something asks:
 *
 *   service verdict=…        from here on every question is answered so, at once
 *   cancel OUTCOME           … and every cancel settled so
 *   queue OUTCOME [found=…]  … and every effect on the queue; `applied` where nothing is told */
#ifndef SALVOR_TESTS_LIB_STANDING_REPLIES_H
#define SALVOR_TESTS_LIB_STANDING_REPLIES_H

#include "replay/scenario.h"

struct standing_replies {
    struct span service, cancel, queue; /* borrowed from the lines; empty: none */
    bool is_replying;
};

struct standing_replies standing_replies_init(void);
/* Plays a line, which may tell a reply; the text lives as long as the scenario. One that cannot be
 * played ends the program, here and below. */
void standing_replies_line(struct standing_replies *replies, struct scenario *scenario,
                           struct span line);
/* To be called with the rows of each entry: replies to all that is open, until nothing is. */
void standing_replies_give(struct standing_replies *replies, struct scenario *scenario);

#endif
