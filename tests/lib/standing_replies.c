/* SPDX-License-Identifier: MIT */
#include "tests/lib/standing_replies.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "reducers/state.h"

#define REPLIES_MAX 64

static void run_line(struct scenario *scenario, struct span line)
{
    struct error error = {0};
    if (!scenario_run_line(scenario, line, &error)) {
        fprintf(stderr, "%s\n", error.message);
        exit(2);
    }
}

struct standing_replies standing_replies_init(void)
{
    return (struct standing_replies){.queue = SPAN("applied")};
}

/* Plays `word SUBJECT reply`. */
static void reply(struct scenario *scenario, const char *word, struct span subject,
                  struct span told)
{
    struct buffer line = {0};
    buffer_put_text(&line, word);
    buffer_put_byte(&line, ' ');
    buffer_put_span(&line, subject);
    buffer_put_byte(&line, ' ');
    buffer_put_span(&line, told);
    run_line(scenario, arena_copy(&scenario->arena, buffer_span(&line)));
    buffer_fini(&line);
}

/* Replies to the first open effect that something is told about; false: to none. */
static bool reply_to_one(const struct standing_replies *replies, struct scenario *scenario)
{
    struct effect_request request;
    const struct effect *cursor = NULL;
    while (state_next_open_effect(scenario->state, &cursor, &request)) {
        bool is_ask = request.kind == EFFECT_ASK;
        bool is_release = request.kind == EFFECT_RELEASE;
        struct span told = is_ask                          ? replies->service
                           : request.kind == EFFECT_CANCEL ? replies->cancel
                           : is_release                    ? SPAN("applied")
                                                           : replies->queue;
        if (told.size > 0) {
            struct span subject = is_release ? request.worker : request.job;
            reply(scenario, is_ask ? "answer" : "settle", arena_copy(&scenario->arena, subject),
                  told);
            return true;
        }
    }
    return false;
}

void standing_replies_give(struct standing_replies *replies, struct scenario *scenario)
{
    if (replies->is_replying) {
        return; /* the loop below sees what this reply opened */
    }
    replies->is_replying = true;
    for (int count = 0; reply_to_one(replies, scenario); count++) {
        CHECK(count < REPLIES_MAX);
    }
    replies->is_replying = false;
}

void standing_replies_line(struct standing_replies *replies, struct scenario *scenario,
                           struct span line)
{
    struct span rest = line;
    struct span word = span_cut(&rest, ' ');
    if (span_is(word, "service")) {
        replies->service = rest;
    } else if (span_is(word, "cancel")) {
        replies->cancel = rest;
    } else if (span_is(word, "queue")) {
        replies->queue = rest;
    } else {
        run_line(scenario, line);
    }
}
