/* SPDX-License-Identifier: MIT
 * A story out of a capture: one pass, in which every entry is folded and the job's are kept. An
 * entry is the job's when it names it, well-formed or not, when something is decided about it, when
 * it settles one of its effects, and when it is a word of the worker that holds it. */
#include <string.h>

#include "replay/capture_source.h"
#include "replay/story.h"

#define BATCH_SIZE 1000

struct telling {
    struct story *story;
    story_step_fn step;
    void *payload;
    uint64_t entries;
    struct told_belief last; /* phase NONE: the job is not known yet */
};

/* True when the bytes hold the text, which may then be a field of the entry: most entries are
 * somebody else's and need not be decoded once more. */
static bool may_name(const struct entry *entry, struct span text)
{
    struct span rest = entry->raw;
    while (text.size > 0 && rest.size >= text.size) {
        const char *at = memchr(rest.data, text.data[0], rest.size - text.size + 1);
        if (at == NULL) {
            return false;
        }
        if (memcmp(at, text.data, text.size) == 0) {
            return true;
        }
        rest.size -= (size_t)(at + 1 - rest.data);
        rest.data = at + 1;
    }
    return false;
}

/* A word of a worker, or of anybody about it. */
static bool is_of_worker(const struct event *event, struct span worker)
{
    return event->type >= EVENT_WORKER_REGISTERED && event->type <= EVENT_WORKER_LOST &&
           worker.size > 0 && span_equal(event_text(event, FIELD_WORKER), worker);
}

/* What could not be decoded may have been meant for the job, and its sender wants to know. */
static bool is_meant(const struct entry *entry, struct span job)
{
    struct span names[ENTRY_FIELDS_MAX], values[ENTRY_FIELDS_MAX];
    uint32_t count;
    bool is_flat = codec_read_raw(entry->raw, names, values, &count);
    for (uint32_t i = 0; is_flat && i < count; i++) {
        if (span_is(names[i], "job") && span_equal(values[i], job)) {
            return true;
        }
    }
    return false;
}

static bool is_named(const struct telling *telling, const struct entry *entry)
{
    const struct story *story = telling->story;
    if (!may_name(entry, story->job) && !may_name(entry, telling->last.worker)) {
        return false;
    }
    struct event event;
    struct span field;
    if (codec_decode(entry, &event, &field) != CODEC_NONE) {
        return is_meant(entry, story->job);
    }
    return span_equal(event_text(&event, FIELD_JOB), story->job) ||
           is_of_worker(&event, telling->last.worker);
}

/* Only while the job itself was not met: an id that comes near may be what was meant. */
static void look_near(struct telling *telling, const struct entry *entry)
{
    struct event event;
    struct span field;
    struct story *story = telling->story;
    if (telling->last.phase == JOB_NONE && story->item_count == 0 && story->decision_count == 0 &&
        codec_decode(entry, &event, &field) == CODEC_NONE && event_has(&event, FIELD_JOB)) {
        story_add_near(story, event_text(&event, FIELD_JOB));
    }
}

/* --- decisions and effects that the fold gives --- */

static bool has_decision(const struct story *story, const struct fold_output *output)
{
    for (uint32_t i = 0; i < output->decision_count; i++) {
        if (span_equal(output->decisions[i].job, story->job)) {
            return true;
        }
    }
    return false;
}

static bool has_effect(struct story *story, const struct fold_output *output)
{
    for (uint32_t i = 0; i < output->change_count; i++) {
        if (story_find_effect(story, output->changes[i].id) != NULL) {
            return true;
        }
    }
    return false;
}

/* Its place; the count when it is not there. */
static uint32_t find_decision(const struct story *story, struct span id)
{
    for (uint32_t i = story->decision_count; i > 0; i--) {
        if (span_equal(story->decisions[i - 1].row.id, id)) {
            return i - 1;
        }
    }
    return story->decision_count;
}

/* A prune may have ended between two decisions of one entry: the second, the audit has told. */
static void take_decisions(struct story *story, const struct fold_output *output)
{
    for (uint32_t i = 0; i < output->decision_count; i++) {
        if (span_equal(output->decisions[i].job, story->job) &&
            find_decision(story, output->decisions[i].id) == story->decision_count) {
            (void)story_add_decision(story, &output->decisions[i]);
        }
    }
}

static void open_effect(struct story *story, const struct effect_change *change)
{
    bool is_settled = change->outcome != OUTCOME_NONE;
    struct audit_effect effect = {
        .id = change->id,
        .kind = span_of(effect_kind_text(change->kind)),
        .target = change->target,
        .outcome = is_settled ? span_of(effect_outcome_text(change->outcome)) : SPAN_NONE,
        .found = change->found,
        .requested_at_ms = change->at_ms,
        .settled_at_ms = is_settled ? change->at_ms : 0,
    };
    uint32_t place = find_decision(story, change->decision);
    if (place < story->decision_count) {
        story_add_effect(story, place, &effect);
    }
}

/* What settles an effect tells it once more where the audit has told it. */
static void take_effects(struct story *story, const struct fold_output *output, bool is_folded)
{
    for (uint32_t i = 0; i < output->change_count; i++) {
        const struct effect_change *change = &output->changes[i];
        struct told_effect *known = story_find_effect(story, change->id);
        if (change->decision.size > 0 && known == NULL && is_folded) {
            open_effect(story, change);
        } else if (change->decision.size == 0 && known != NULL) {
            known->row.outcome = span_of(effect_outcome_text(change->outcome));
            known->row.found = arena_copy(&story->arena, change->found);
            known->row.settled_at_ms = change->at_ms;
        }
    }
}

/* --- one entry --- */

static void keep_event(struct story *story, const struct entry *entry)
{
    if (story->event_count == STORY_EVENTS_MAX) {
        story->is_cut = true;
        return;
    }
    story->event_count++;
    story_add_item(story, STORY_EVENT, entry->id)->entry.raw =
        arena_copy(&story->arena, entry->raw);
}

static void keep_belief(struct telling *telling, struct stream_id id, const struct state *state)
{
    struct job_view view;
    struct told_belief *last = &telling->last;
    if (!state_view_job(state, telling->story->job, &view)) {
        *last = (struct told_belief){0};
        return;
    }
    const struct job_core *core = &view.core;
    if (core->phase == last->phase && core->wanted == last->wanted &&
        core->attempt == last->attempt && core->losses == last->losses &&
        core->failures == last->failures && span_equal(view.worker, last->worker)) {
        return;
    }
    *last = (struct told_belief){
        .phase = core->phase,
        .wanted = core->wanted,
        .worker = arena_copy(&telling->story->arena, view.worker),
        .attempt = core->attempt,
        .losses = core->losses,
        .failures = core->failures,
    };
    story_add_item(telling->story, STORY_BELIEF, id)->belief = *last;
}

static bool see_entry(void *self, const struct entry *entry, const struct state *state,
                      const struct fold_output *output, struct error *error)
{
    struct telling *telling = self;
    struct story *story = telling->story;
    struct state_summary summary = state_summary(state);
    (void)error;
    bool is_ours =
        has_decision(story, output) || has_effect(story, output) || is_named(telling, entry);
    /* What was removed from the audit, the fold tells. */
    bool is_folded = !story->has_audit || stream_id_compare(entry->id, story->pruned.id) <= 0;
    if (output->is_policy_new) {
        (void)story_add_policy(story, summary.policy_hash, summary.policy_text);
    }
    if (is_ours) {
        keep_event(story, entry);
    } else {
        look_near(telling, entry);
    }
    if (is_folded) {
        take_decisions(story, output);
    }
    take_effects(story, output, is_folded);
    story_add_decisions_until(story, entry->id);
    keep_belief(telling, entry->id, state);
    return true;
}

/* --- the end --- */

static void keep_view(struct story *story, const struct state *state)
{
    struct job_view *view = &story->view;
    struct state_summary summary = state_summary(state);
    story->position = summary.position;
    story->ordinal = summary.ordinal;
    story->has_view = state_view_job(state, story->job, view);
    story->in_force = story_add_policy(story, summary.policy_hash, summary.policy_text);
    if (!story->has_view) {
        return;
    }
    struct arena *arena = &story->arena;
    for (enum job_text text = 0; text < JOB_TEXT_COUNT; text++) {
        view->text[text] = arena_copy(arena, view->text[text]);
    }
    view->worker = arena_copy(arena, view->worker);
    view->effect = arena_copy(arena, view->effect);
}

/* The source ends where the story does. */
struct bounded {
    struct source inner;
    struct telling *telling;
};

static enum source_next read_bounded(void *self, const struct state *state, struct batch *batch,
                                     struct error *error)
{
    struct bounded *bounded = self;
    struct telling *telling = bounded->telling;
    if (telling->story->is_over) {
        return SOURCE_END;
    }
    enum source_next next = bounded->inner.read(bounded->inner.self, state, batch, error);
    if (telling->step != NULL && !telling->step(telling->payload, telling->entries)) {
        error_set(error, ERROR_STOPPED, "asked to stop");
        return SOURCE_ERROR;
    }
    telling->entries += batch->count;
    uint64_t ordinal = state_summary(state).ordinal;
    for (uint32_t i = 0; next == SOURCE_BATCH && i < batch->count; i++) {
        if (story_is_behind(telling->story, batch->entries[i].id, ordinal + i + 1)) {
            batch->count = i;
            telling->story->is_over = true;
        }
    }
    return next;
}

/* The whole story, to whatever moment of it, is told from the capture's beginning. Where that can
 * not be read, a later file may be near enough to a moment. */
static struct state *first_state(const struct story *story, struct capture_reader *reader,
                                 struct error *error)
{
    struct state *state = capture_state(capture_reader_header(reader), error);
    uint64_t first = capture_reader_header(reader)->ordinal;
    if (state == NULL && capture_seek_place(reader, &story->until, error) &&
        capture_reader_header(reader)->ordinal > first) {
        state = capture_state(capture_reader_header(reader), error);
    }
    return state;
}

static bool fold_story(struct story *story, struct capture_reader *reader, struct telling *telling,
                       struct error *error)
{
    struct state *state = first_state(story, reader, error);
    const struct capture_header *header = capture_reader_header(reader);
    if (state == NULL) {
        return false;
    }
    story->partition = header->partition;
    story->begun = (struct story_gap){header->ordinal, header->position};
    if (header->ordinal > 0 && story_is_behind(story, header->position, header->ordinal)) {
        state_destroy(state);
        return error_set(error, ERROR_USAGE, "the capture begins behind that moment");
    }
    struct capture_source capture = capture_source_init(reader, BATCH_SIZE);
    struct bounded bounded = {.inner = capture_source_source(&capture), .telling = telling};
    struct loop loop = {
        .state = state,
        .source = {.self = &bounded, .read = read_bounded},
        .sinks = {{.name = "story", .self = telling, .fold = see_entry}},
        .sink_count = 1,
    };
    /* What the capture begins with has no event: it is believed from there on. */
    struct state_summary summary = state_summary(state);
    (void)story_add_policy(story, summary.policy_hash, summary.policy_text);
    story_add_decisions_until(story, summary.position);
    keep_belief(telling, summary.position, state);
    bool is_fine = loop_run(&loop, error);
    keep_view(story, state);
    state_destroy(state);
    return is_fine;
}

bool story_take_capture(struct story *story, const char *path, story_step_fn step, void *payload,
                        struct error *error)
{
    struct capture_reader *reader = capture_open(path, error);
    if (reader == NULL) {
        return false;
    }
    story->has_capture = true;
    struct telling telling = {.story = story, .step = step, .payload = payload};
    bool is_fine = fold_story(story, reader, &telling, error) || error_wrap(error, "%s", path);
    capture_reader_close(reader);
    return is_fine;
}
