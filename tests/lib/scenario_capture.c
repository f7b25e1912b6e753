/* SPDX-License-Identifier: MIT */
#include "tests/lib/scenario_capture.h"

#include "base/check.h"
#include "reducers/state.h"
#include "replay/scenario.h"
#include "store/capture.h"
#include "tests/lib/tree.h"

struct writing {
    const char *folder;
    uint64_t begin;
    struct capture_writer *writer; /* owned; NULL: the capture has not begun */
    struct scenario_capture made;
};

static void note_policy(struct writing *writing, const struct state *state)
{
    struct span text = state_summary(state).policy_text;
    struct buffer *first = &writing->made.policy;
    if (text.size > 0 && first->size == 0) {
        buffer_put_span(first, text);
    }
    writing->made.has_changes |= !span_equal(buffer_span(first), text);
}

/* The capture begins behind what the scenario's state has folded. */
static void begin(struct writing *writing, const struct state *state)
{
    struct error error = {0};
    struct buffer snapshot = {0};
    struct state_summary summary = state_summary(state);
    if (summary.ordinal > 0) {
        state_encode(state, &snapshot);
    }
    struct capture_header header = {.timeline = summary.timeline,
                                    .ordinal = summary.ordinal,
                                    .position = summary.position,
                                    .reducers = REDUCERS_VERSION,
                                    .policy = summary.policy_text,
                                    .snapshot = buffer_span(&snapshot)};
    writing->writer = capture_create(writing->folder, &header, &error);
    CHECK(writing->writer != NULL);
    note_policy(writing, state);
    buffer_fini(&snapshot);
}

static void take_entry(struct scenario *scenario)
{
    struct writing *writing = scenario->user;
    writing->made.entries++;
    if (writing->writer != NULL) {
        capture_append(writing->writer, scenario->entry);
        note_policy(writing, scenario->state);
    } else if (writing->made.entries == writing->begin) {
        begin(writing, scenario->state);
    }
}

struct scenario_capture scenario_capture_write(const char *folder, struct span text, uint64_t first)
{
    struct writing writing = {.folder = folder, .begin = first};
    struct scenario scenario;
    struct error error = {0};
    tree_remove(folder);
    scenario_init(&scenario, "scenario", take_entry);
    scenario.user = &writing;
    if (first == 0) {
        begin(&writing, scenario.state);
    }
    CHECK(scenario_play(&scenario, text, NULL, NULL, &error));
    if (writing.writer != NULL) {
        CHECK(capture_flush(writing.writer, &error));
        capture_close(writing.writer);
    }
    scenario_fini(&scenario);
    return writing.made;
}
