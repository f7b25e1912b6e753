/* SPDX-License-Identifier: MIT */
#include "tests/lib/history.h"

#include "base/check.h"

#define PAIRS_MAX 32

static void fold_raw(struct history *history, struct buffer *raw)
{
    struct entry entry = {.id = {++history->entry_count, 0}, .raw = buffer_span(raw)};
    fold_entry(history->state, &entry, &history->output);
    buffer_fini(raw);
}

void history_put_raw(struct buffer *raw, const char *line)
{
    struct span names[PAIRS_MAX], values[PAIRS_MAX];
    struct span rest = span_of(line);
    uint32_t count = 1;
    names[0] = SPAN("type");
    values[0] = span_cut(&rest, ' ');
    while (rest.size > 0) {
        CHECK(count < PAIRS_MAX);
        values[count] = span_cut(&rest, ' ');
        names[count] = span_cut(&values[count], '=');
        count++;
    }
    codec_put_raw(raw, names, values, count);
}

void history_fold(struct history *history, const char *line)
{
    struct buffer raw = {0};
    history_put_raw(&raw, line);
    fold_raw(history, &raw);
}

void history_policy(struct history *history, const char *text)
{
    const struct span names[] = {SPAN("type"), SPAN("text"), SPAN("origin"), SPAN("hash")};
    const struct span values[] = {SPAN("policy"), span_of(text), SPAN("operator"), SPAN("cafe")};
    struct buffer raw = {0};
    codec_put_raw(&raw, names, values, sizeof names / sizeof names[0]);
    fold_raw(history, &raw);
    CHECK(history->output.is_policy_new);
}

void history_begin(struct history *history, const char *policy_text)
{
    history_fold(history, "epoch owner=leader epoch=1 timeline=1 reducers=2 ordinal=0 wall_ms=1");
    history_policy(history, policy_text);
}

void history_fini(struct history *history)
{
    state_destroy(history->state);
    fold_output_fini(&history->output);
}
