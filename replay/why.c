/* SPDX-License-Identifier: MIT */
#include "replay/why.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "replay/why_parts.h"
#include "store/capture.h"

struct story {
    const struct why_config *config;
    const struct why_writer *writer;
    struct buffer *out;
    struct arena arena;
    struct told_decision *decisions; /* owned array */
    uint32_t decision_count, decision_capacity, told_count;
    bool is_cut;
    struct stream_id *ids; /* owned, sorted: entries that the decisions rest on */
    uint32_t id_count, id_capacity;
    bool has_begun;
};

/* --- gathering --- */

static void story_add_id(struct story *story, struct stream_id id)
{
    if (story->id_count == story->id_capacity) {
        story->id_capacity = story->id_capacity == 0 ? 64 : story->id_capacity * 2;
        story->ids = mem_resize(story->ids, story->id_capacity * sizeof(*story->ids));
    }
    story->ids[story->id_count++] = id;
}

/* Every stream id that stands in the evidence, wherever it stands. */
static void story_add_evidence(struct story *story, struct span evidence)
{
    size_t start = 0;
    for (size_t i = 0; i <= evidence.size; i++) {
        char byte = i < evidence.size ? evidence.data[i] : '"';
        if ((byte >= '0' && byte <= '9') || byte == '-') {
            continue;
        }
        struct stream_id id;
        if (i > start && stream_id_parse((struct span){evidence.data + start, i - start}, &id)) {
            story_add_id(story, id);
        }
        start = i + 1;
    }
}

static int id_order(const void *a, const void *b)
{
    return stream_id_compare(*(const struct stream_id *)a, *(const struct stream_id *)b);
}

static bool story_has_id(const struct story *story, struct stream_id id)
{
    return story->id_count > 0 &&
           bsearch(&id, story->ids, story->id_count, sizeof(id), id_order) != NULL;
}

static void story_keep(struct story *story, const struct decision *row)
{
    if (story->decision_count == story->decision_capacity) {
        story->decision_capacity =
            story->decision_capacity == 0 ? 16 : story->decision_capacity * 2;
        story->decisions =
            mem_resize(story->decisions, story->decision_capacity * sizeof(*story->decisions));
    }
    struct arena *arena = &story->arena;
    struct told_decision *told = &story->decisions[story->decision_count++];
    *told = (struct told_decision){.row = *row};
    told->row.id = arena_copy(arena, row->id);
    told->row.job = arena_copy(arena, row->job);
    told->row.worker = arena_copy(arena, row->worker);
    told->row.service = arena_copy(arena, row->service);
    told->row.policy = arena_copy(arena, row->policy);
    told->row.evidence = arena_copy(arena, row->evidence);
    told->row.trace = arena_copy(arena, row->trace);
    told->row.mode = arena_copy(arena, row->mode);
    story_add_id(story, row->stream_id);
    story_add_evidence(story, row->evidence);
}

static bool story_load_decisions(struct story *story, struct audit *audit, struct error *error)
{
    struct audit_cursor *cursor = audit_decisions_of(audit, story->config->job, error);
    if (cursor == NULL) {
        return false;
    }
    struct decision row;
    enum audit_next next;
    while ((next = audit_next(cursor, &row, NULL, error)) == AUDIT_ROW) {
        if (story->decision_count == WHY_DECISIONS_MAX) {
            story->is_cut = true;
            break;
        }
        story_keep(story, &row);
    }
    audit_cursor_close(cursor);
    return next != AUDIT_ERROR;
}

struct effect_sink {
    struct story *story;
    struct told_decision *decision;
    uint32_t capacity;
};

static bool keep_effect(void *payload, const struct audit_effect *effect)
{
    struct effect_sink *sink = payload;
    struct told_decision *decision = sink->decision;
    struct arena *arena = &sink->story->arena;
    if (decision->effect_count == sink->capacity) {
        sink->capacity = sink->capacity == 0 ? 4 : sink->capacity * 2;
        decision->effects =
            mem_resize(decision->effects, sink->capacity * sizeof(*decision->effects));
    }
    decision->effects[decision->effect_count++] = (struct audit_effect){
        .id = arena_copy(arena, effect->id),
        .decision = arena_copy(arena, effect->decision),
        .kind = arena_copy(arena, effect->kind),
        .target = arena_copy(arena, effect->target),
        .outcome = arena_copy(arena, effect->outcome),
        .found = arena_copy(arena, effect->found),
        .requested_at_ms = effect->requested_at_ms,
        .settled_at_ms = effect->settled_at_ms,
    };
    return true;
}

static bool story_load_effects(struct story *story, struct audit *audit, struct error *error)
{
    *error = (struct error){0};
    for (uint32_t i = 0; i < story->decision_count; i++) {
        struct effect_sink sink = {.story = story, .decision = &story->decisions[i]};
        if (!audit_effects_of(audit, sink.decision->row.id, keep_effect, &sink, error) &&
            error->code != ERROR_NONE) {
            return false;
        }
    }
    return true;
}

static bool story_load(struct story *story, struct error *error)
{
    struct audit *audit = audit_open(story->config->audit, AUDIT_READ, AUDIT_ANY_PARTITION, error);
    if (audit == NULL) {
        return false;
    }
    bool is_fine =
        story_load_decisions(story, audit, error) && story_load_effects(story, audit, error);
    audit_close(audit);
    if (story->id_count > 0) {
        qsort(story->ids, story->id_count, sizeof(*story->ids), id_order);
    }
    return is_fine;
}

/* --- telling --- */

static void story_begin(struct story *story)
{
    if (!story->has_begun) {
        story->has_begun = true;
        const struct told_decision *last =
            story->decision_count == 0 ? NULL : &story->decisions[story->decision_count - 1];
        story->writer->begin(story->out, story->config->job, last);
    }
}

/* Tells the decisions whose entry is not behind `id`. */
static void story_tell_decisions(struct story *story, struct stream_id id)
{
    while (story->told_count < story->decision_count) {
        const struct told_decision *decision = &story->decisions[story->told_count];
        if (stream_id_compare(decision->row.stream_id, id) > 0) {
            return;
        }
        story_begin(story);
        story->writer->decision(story->out, decision);
        story->told_count++;
    }
}

/* True when the event names one of the job's effects: "<decision id>.<k>". */
static bool story_owns_effect(const struct story *story, struct span effect)
{
    for (uint32_t i = 0; i < story->decision_count; i++) {
        for (uint32_t j = 0; j < story->decisions[i].effect_count; j++) {
            if (span_equal(story->decisions[i].effects[j].id, effect)) {
                return true;
            }
        }
    }
    return false;
}

static void story_see(struct story *story, const struct entry *entry)
{
    struct event event;
    struct span field;
    enum codec_problem problem = codec_decode(entry, &event, &field);
    bool is_ours = story_has_id(story, entry->id);
    if (problem == CODEC_NONE && !is_ours) {
        is_ours = span_equal(event_text(&event, FIELD_JOB), story->config->job) ||
                  (event_has(&event, FIELD_EFFECT) &&
                   story_owns_effect(story, event_text(&event, FIELD_EFFECT)));
    }
    if (is_ours) {
        story_begin(story);
        story->writer->event(story->out, entry, problem == CODEC_NONE ? &event : NULL, problem,
                             field);
    }
    story_tell_decisions(story, entry->id);
}

static bool story_walk(struct story *story, struct error *error)
{
    struct capture_reader *reader = capture_open(story->config->capture, error);
    if (reader == NULL) {
        return false;
    }
    struct entry entry;
    enum capture_next next;
    while ((next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
        story_see(story, &entry);
    }
    capture_reader_close(reader);
    return next != CAPTURE_ERROR;
}

static void story_fini(struct story *story)
{
    for (uint32_t i = 0; i < story->decision_count; i++) {
        mem_free(story->decisions[i].effects);
    }
    mem_free(story->decisions);
    mem_free(story->ids);
    arena_fini(&story->arena);
}

bool why_tell(const struct why_config *config, struct buffer *out, bool *is_known,
              struct error *error)
{
    struct story story = {
        .config = config,
        .writer = config->is_json ? &why_json_writer : &why_text_writer,
        .out = out,
    };
    bool is_fine =
        story_load(&story, error) && (config->capture == NULL || story_walk(&story, error));
    if (is_fine) {
        story_tell_decisions(&story, (struct stream_id){UINT64_MAX, UINT64_MAX});
        if (story.has_begun) {
            story.writer->end(out, story.is_cut);
        }
    }
    *is_known = story.has_begun;
    story_fini(&story);
    return is_fine;
}
