/* SPDX-License-Identifier: MIT */
#include "replay/story.h"

#include <string.h>

#include "base/alloc.h"
#include "store/audit_jobs.h"
#include "store/audit_prune.h"

#define NEAR_MAX (sizeof(((struct story *)0)->near) / sizeof(struct span))

/* Makes room for one more element of the array `*items`. */
static void *grow(void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    return mem_resize(items, *capacity * size);
}

void story_fini(struct story *story)
{
    for (uint32_t i = 0; i < story->policy_count; i++) {
        mem_free(story->policies[i]);
    }
    mem_free(story->policies);
    mem_free(story->effects);
    mem_free(story->decisions);
    mem_free(story->items);
    arena_fini(&story->arena);
}

bool story_is_known(const struct story *story)
{
    return story->decision_count > 0 || story->item_count > 0 || story->has_view;
}

bool story_is_behind(const struct story *story, struct stream_id id, uint64_t ordinal)
{
    return story->until.kind != PLACE_NONE && place_compare(&story->until, id, ordinal) > 0;
}

/* --- policies --- */

static struct told_policy *find_policy(const struct story *story, struct span hash)
{
    for (uint32_t i = story->policy_count; i > 0; i--) {
        if (span_equal(story->policies[i - 1]->hash, hash)) {
            return story->policies[i - 1];
        }
    }
    return NULL;
}

const struct told_policy *story_add_policy(struct story *story, struct span hash, struct span text)
{
    struct told_policy *told = find_policy(story, hash);
    struct span bad;
    if (told != NULL) {
        return told;
    }
    told = mem_zero(sizeof(*told));
    told->hash = arena_copy(&story->arena, hash);
    if (hash.size == 0) {
        /* Before anybody said what may be done, nothing is. */
        policy_preset(PRESET_SAFE, &told->values);
        told->values.value[POLICY_EFFECTS] = EFFECTS_OBSERVE;
    } else if (!policy_parse_text(text, &told->values, &bad)) {
        mem_free(told);
        return NULL;
    }
    story->policies = grow(story->policies, story->policy_count, &story->policy_capacity,
                           sizeof(*story->policies));
    story->policies[story->policy_count++] = told;
    return told;
}

/* --- decisions and effects --- */

/* The release of a silent worker tells the times that its jobs' decisions rest on. */
static void carry_silence(const struct story *story, struct told_decision *told)
{
    const struct evidence *evidence = &told->evidence;
    const struct told_decision *before = told > story->decisions ? told - 1 : NULL;
    if (evidence_has(evidence, MEASURE_SILENT_MS) && evidence_has(evidence, MEASURE_LIMIT_MS)) {
        told->silent_ms = evidence->measure[MEASURE_SILENT_MS];
        told->silent_limit_ms = evidence->measure[MEASURE_LIMIT_MS];
    } else if (before != NULL && told->row.reason == REASON_WORKER_SILENT &&
               before->row.reason == REASON_WORKER_SILENT &&
               stream_id_compare(before->row.stream_id, told->row.stream_id) == 0 &&
               span_equal(before->row.worker, told->row.worker)) {
        told->silent_ms = before->silent_ms;
        told->silent_limit_ms = before->silent_limit_ms;
    }
}

struct told_decision *story_add_decision(struct story *story, const struct decision *row)
{
    if (story->decision_count == STORY_DECISIONS_MAX) {
        story->is_cut = true;
        return NULL;
    }
    story->decisions = grow(story->decisions, story->decision_count, &story->decision_capacity,
                            sizeof(*story->decisions));
    struct arena *arena = &story->arena;
    struct told_decision *told = &story->decisions[story->decision_count++];
    for (; told > story->decisions &&
           stream_id_compare((told - 1)->row.stream_id, row->stream_id) > 0;
         told--) {
        *told = *(told - 1);
    }
    *told = (struct told_decision){.row = *row};
    told->row.id = arena_copy(arena, row->id);
    told->row.job = arena_copy(arena, row->job);
    told->row.worker = arena_copy(arena, row->worker);
    told->row.service = arena_copy(arena, row->service);
    told->row.policy = arena_copy(arena, row->policy);
    told->row.evidence = arena_copy(arena, row->evidence);
    told->row.trace = arena_copy(arena, row->trace);
    told->row.mode = arena_copy(arena, row->mode);
    (void)evidence_read(told->row.evidence, arena, &told->evidence);
    carry_silence(story, told);
    const struct told_policy *policy = row->policy.size == 0
                                           ? story_add_policy(story, SPAN_NONE, SPAN_NONE)
                                           : find_policy(story, row->policy);
    told->policy = policy == NULL ? NULL : &policy->values;
    return told;
}

void story_add_effect(struct story *story, uint32_t decision, const struct audit_effect *effect)
{
    story->effects =
        grow(story->effects, story->effect_count, &story->effect_capacity, sizeof(*story->effects));
    struct told_decision *of = &story->decisions[decision];
    of->effect_first = of->effect_count == 0 ? story->effect_count : of->effect_first;
    of->effect_count++;
    struct arena *arena = &story->arena;
    story->effects[story->effect_count++] = (struct told_effect){
        .row =
            {
                .id = arena_copy(arena, effect->id),
                .decision = of->row.id,
                .kind = arena_copy(arena, effect->kind),
                .target = arena_copy(arena, effect->target),
                .outcome = arena_copy(arena, effect->outcome),
                .found = arena_copy(arena, effect->found),
                .requested_at_ms = effect->requested_at_ms,
                .settled_at_ms = effect->settled_at_ms,
            },
    };
}

struct told_effect *story_find_effect(struct story *story, struct span id)
{
    for (uint32_t i = story->effect_count; i > 0; i--) {
        if (span_equal(story->effects[i - 1].row.id, id)) {
            return &story->effects[i - 1];
        }
    }
    return NULL;
}

const struct told_effect *story_effects(const struct story *story,
                                        const struct told_decision *decision)
{
    return decision->effect_count == 0 ? NULL : &story->effects[decision->effect_first];
}

/* --- items --- */

struct story_item *story_add_item(struct story *story, enum story_kind kind, struct stream_id id)
{
    story->items =
        grow(story->items, story->item_count, &story->item_capacity, sizeof(*story->items));
    struct story_item *item = &story->items[story->item_count++];
    *item = (struct story_item){.kind = kind, .entry = {.id = id}};
    return item;
}

void story_add_decisions_until(struct story *story, struct stream_id id)
{
    for (; story->told_count < story->decision_count; story->told_count++) {
        struct stream_id of = story->decisions[story->told_count].row.stream_id;
        if (stream_id_compare(of, id) > 0) {
            return;
        }
        story_add_item(story, STORY_DECISION, of)->decision = story->told_count;
    }
}

/* --- how far it reaches --- */

bool story_is_short(const struct story *story)
{
    return story->until.kind != PLACE_NONE &&
           place_compare(&story->until, story->position, story->ordinal) < 0 && !story->is_over;
}

uint64_t story_end_ms(const struct story *story)
{
    if (!story_is_short(story) && story->until.kind == PLACE_TIME) {
        return story->until.time_ms;
    }
    return !story_is_short(story) && story->until.kind == PLACE_ID ? story->until.id.ms
                                                                   : story->position.ms;
}

struct story_gap story_unread(const struct story *story)
{
    struct stream_id submitted = story->view.core.fact[JOB_FACT_SUBMITTED];
    bool is_folded = story->has_capture && story->begun.ordinal < story->pruned.ordinal;
    struct story_gap gap = !story->has_audit || is_folded ? story->begun : story->pruned;
    bool is_whole = story->has_view && stream_id_compare(submitted, gap.id) > 0;
    return is_whole ? (struct story_gap){0} : gap;
}

/* What was not settled yet at the story's end is open there. */
static void reopen_effects(struct story *story)
{
    uint64_t end_ms = story_end_ms(story);
    for (uint32_t i = 0; i < story->effect_count; i++) {
        struct audit_effect *effect = &story->effects[i].row;
        if (effect->settled_at_ms > end_ms) {
            effect->settled_at_ms = 0;
            effect->outcome = effect->found = SPAN_NONE;
        }
    }
}

void story_finish(struct story *story)
{
    story_add_decisions_until(story, (struct stream_id){UINT64_MAX, UINT64_MAX});
    if (story->until.kind != PLACE_NONE) {
        reopen_effects(story);
    }
}

/* --- ids that come near --- */

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

/* Upper and lower case are alike. */
static size_t common_size(struct span a, struct span b)
{
    size_t size = 0;
    while (size < a.size && size < b.size && lower(a.data[size]) == lower(b.data[size])) {
        size++;
    }
    return size;
}

/* Those that begin most alike come first; of the others the first that came stay. */
void story_add_near(struct story *story, struct span job)
{
    size_t common = common_size(job, story->job);
    if (common == 0) {
        return;
    }
    uint32_t place = story->near_count;
    for (uint32_t i = 0; i < story->near_count; i++) {
        if (span_equal(story->near[i], job)) {
            return;
        }
    }
    while (place > 0 && common_size(story->near[place - 1], story->job) < common) {
        place--;
    }
    if (place == NEAR_MAX) {
        return;
    }
    uint32_t kept = story->near_count < NEAR_MAX ? story->near_count++ : (uint32_t)NEAR_MAX - 1;
    memmove(&story->near[place + 1], &story->near[place], (kept - place) * sizeof(struct span));
    story->near[place] = arena_copy(&story->arena, job);
}

static void see_near(void *payload, struct span job)
{
    story_add_near(payload, job);
}

/* --- from an audit --- */

static bool take_policy(struct story *story, struct audit *audit, struct told_decision *told,
                        struct error *error)
{
    struct buffer text = {0};
    bool is_found =
        told->policy == NULL && audit_policy_text(audit, told->row.policy, &text, error);
    if (is_found) {
        const struct told_policy *policy =
            story_add_policy(story, told->row.policy, buffer_span(&text));
        told->policy = policy == NULL ? NULL : &policy->values;
    }
    buffer_fini(&text);
    return is_found || told->policy != NULL || error->code == ERROR_NONE;
}

struct effect_sink {
    struct story *story;
    uint32_t decision;
};

static bool keep_effect(void *payload, const struct audit_effect *effect)
{
    struct effect_sink *sink = payload;
    story_add_effect(sink->story, sink->decision, effect);
    return true;
}

static bool take_decisions(struct story *story, struct audit *audit, struct error *error)
{
    struct audit_cursor *cursor = audit_decisions_of(audit, story->job, error);
    if (cursor == NULL) {
        return false;
    }
    struct decision row;
    enum audit_next next;
    while ((next = audit_next(cursor, &row, NULL, error)) == AUDIT_ROW) {
        if (!story_is_behind(story, row.stream_id, row.ordinal) &&
            story_add_decision(story, &row) == NULL) {
            break;
        }
    }
    audit_cursor_close(cursor);
    return next != AUDIT_ERROR;
}

/* From where to where the audit tells. */
static bool take_reach(struct story *story, struct audit *audit, struct error *error)
{
    struct audit_position position;
    struct audit_pruned pruned;
    if (audit_load_pruned(audit, &pruned, error)) {
        story->pruned = (struct story_gap){pruned.ordinal, pruned.stream_id};
    } else if (error->code != ERROR_NONE) {
        return false;
    }
    if (audit_load_position(audit, &position, error)) {
        story->position = position.stream_id;
        story->ordinal = position.ordinal;
    }
    return error->code == ERROR_NONE;
}

static bool take_all(struct story *story, struct audit *audit, struct error *error)
{
    if (!audit_partition(audit, &story->partition, error) || !take_reach(story, audit, error) ||
        !take_decisions(story, audit, error)) {
        return false;
    }
    for (uint32_t i = 0; i < story->decision_count; i++) {
        struct effect_sink sink = {.story = story, .decision = i};
        if (!take_policy(story, audit, &story->decisions[i], error) ||
            !audit_effects_of(audit, story->decisions[i].row.id, keep_effect, &sink, error)) {
            return false;
        }
    }
    return story->decision_count > 0 ||
           audit_jobs_near(audit, story->job, NEAR_MAX, see_near, story, error);
}

bool story_take_audit(struct story *story, const char *path, struct error *error)
{
    *error = (struct error){0};
    struct audit *audit = audit_open(path, AUDIT_READ, AUDIT_ANY_PARTITION, error);
    if (audit == NULL) {
        return false;
    }
    story->has_audit = true;
    bool is_fine = take_all(story, audit, error);
    audit_close(audit);
    return is_fine;
}
