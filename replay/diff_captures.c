/* SPDX-License-Identifier: MIT */
#include "replay/diff.h"

#include "base/check.h"
#include "base/sha256.h"
#include "reducers/codec.h"
#include "store/capture.h"

#define STEP_ENTRIES 4096

/* One side of the walk. */
struct walk {
    struct capture_reader *reader;
    struct entry entry; /* the next one, borrowed from the reader */
    bool has_entry;
    uint64_t ordinal; /* of `entry` */
};

static bool advance(struct walk *walk, struct diff_capture_side *side, struct error *error)
{
    enum capture_next next = capture_next(walk->reader, &walk->entry, error);
    walk->has_entry = next == CAPTURE_ENTRY;
    walk->ordinal = capture_reader_ordinal(walk->reader);
    side->is_torn = next == CAPTURE_TORN;
    return next != CAPTURE_ERROR;
}

/* --- headers --- */

static void add_head(struct diff_captures *out, const char *name, struct span a, struct span b)
{
    if (!span_equal(a, b)) {
        CHECK(out->head_count < DIFF_HEAD_MAX);
        out->head[out->head_count++] =
            (struct diff_field){.name = span_of(name),
                                .value = {a.size > 0 ? arena_copy(&out->arena, a) : SPAN_NONE,
                                          b.size > 0 ? arena_copy(&out->arena, b) : SPAN_NONE}};
    }
}

static void add_head_number(struct diff_captures *out, const char *name, uint64_t a, uint64_t b)
{
    struct number_text left = number_text(a), right = number_text(b);
    add_head(out, name, span_of(left.text), span_of(right.text));
}

/* The first lines that differ. */
static void add_head_policy(struct diff_captures *out, struct span a, struct span b)
{
    struct span left = SPAN_NONE, right = SPAN_NONE;
    while ((a.size > 0 || b.size > 0) && span_equal(left, right)) {
        left = a.size > 0 ? span_cut(&a, '\n') : SPAN_NONE;
        right = b.size > 0 ? span_cut(&b, '\n') : SPAN_NONE;
    }
    add_head(out, "policy", left, right);
}

static void compare_heads(struct diff_captures *out, const struct capture_header *a,
                          const struct capture_header *b)
{
    add_head_number(out, "partition", a->partition, b->partition);
    if (a->ordinal != b->ordinal) {
        return;
    }
    add_head_number(out, "timeline", a->timeline, b->timeline);
    add_head_number(out, "reducers", a->reducers, b->reducers);
    add_head_policy(out, a->policy, b->policy);
    if (!span_equal(a->snapshot, b->snapshot)) {
        struct sha256 left = sha256_of(a->snapshot), right = sha256_of(b->snapshot);
        add_head(out, "snapshot", span_of(sha256_text(&left).text),
                 span_of(sha256_text(&right).text));
    }
}

/* --- entries --- */

/* The type's name, or why the entry is none that is known. */
static enum event_type type_of(const struct entry *entry, struct span *name)
{
    struct event event;
    struct span field;
    enum codec_problem problem = codec_decode(entry, &event, &field);
    if (problem != CODEC_NONE) {
        *name = span_of(codec_problem_text(problem));
        return EVENT_NONE;
    }
    *name = span_of(event_type_rule(event.type)->name);
    return event.type;
}

static void put_id(struct diff_captures *out, const struct walk *walk, struct span *value)
{
    if (walk->has_entry) {
        struct buffer text = {0};
        stream_id_put(&text, walk->entry.id);
        *value = arena_copy(&out->arena, buffer_span(&text));
        buffer_fini(&text);
    }
}

static void note_first(struct diff_captures *out, const struct walk walks[DIFF_SIDES],
                       enum diff_kind kind, struct span type)
{
    struct diff_first_entry *first = &out->first;
    first->kind = kind;
    first->id = walks[kind == DIFF_ONLY_B ? DIFF_B : DIFF_A].entry.id;
    first->type = type; /* static */
    for (int side = 0; side < DIFF_SIDES; side++) {
        first->ordinal[side] = walks[side].has_entry ? walks[side].ordinal : 0;
        first->has_ended[side] = !walks[side].has_entry;
    }
    if (kind == DIFF_CHANGED) {
        diff_entry_field(&walks[DIFF_A].entry, &walks[DIFF_B].entry, &out->arena, &first->field);
    } else {
        first->field.name = SPAN("id");
        put_id(out, &walks[DIFF_A], &first->field.value[DIFF_A]);
        put_id(out, &walks[DIFF_B], &first->field.value[DIFF_B]);
    }
}

static enum diff_kind kind_of(const struct walk walks[DIFF_SIDES])
{
    if (!walks[DIFF_A].has_entry || !walks[DIFF_B].has_entry) {
        return walks[DIFF_A].has_entry ? DIFF_ONLY_A : DIFF_ONLY_B;
    }
    const struct entry *a = &walks[DIFF_A].entry, *b = &walks[DIFF_B].entry;
    int order = stream_id_compare(a->id, b->id);
    if (order != 0) {
        return order < 0 ? DIFF_ONLY_A : DIFF_ONLY_B;
    }
    return span_equal(a->raw, b->raw) ? DIFF_NONE : DIFF_CHANGED;
}

static void count(struct diff_captures *out, const struct walk walks[DIFF_SIDES],
                  enum diff_kind kind)
{
    if (kind == DIFF_NONE) {
        out->equal++;
        return;
    }
    struct span name;
    enum event_type type = type_of(&walks[kind == DIFF_ONLY_B ? DIFF_B : DIFF_A].entry, &name);
    if (out->first.kind == DIFF_NONE) {
        note_first(out, walks, kind, name);
    }
    struct diff_count *const counts[] = {&out->total, &out->types[type]};
    for (int i = 0; i < 2; i++) {
        counts[i]->changed += kind == DIFF_CHANGED;
        counts[i]->only[DIFF_A] += kind == DIFF_ONLY_A;
        counts[i]->only[DIFF_B] += kind == DIFF_ONLY_B;
    }
}

/* Passes over what lies before the later beginning. */
static bool begin_together(struct walk walks[DIFF_SIDES], struct diff_captures *out,
                           struct error *error)
{
    uint64_t a = out->side[DIFF_A].first_ordinal, b = out->side[DIFF_B].first_ordinal;
    uint64_t start = a > b ? a : b;
    for (int side = 0; side < DIFF_SIDES; side++) {
        uint64_t first = out->side[side].first_ordinal;
        if ((first < start && !capture_skip(walks[side].reader, start, error)) ||
            !advance(&walks[side], &out->side[side], error)) {
            return false;
        }
        while (walks[side].has_entry && walks[side].ordinal <= start) {
            if (!advance(&walks[side], &out->side[side], error)) {
                return false;
            }
        }
        uint64_t before = walks[side].ordinal - (walks[side].has_entry ? 1 : 0);
        out->side[side].passed = before - first;
    }
    return true;
}

/* One has ended, and what the other still holds lies behind its last ordinal. */
static bool is_beyond(const struct walk *ended, const struct walk *other)
{
    return !ended->has_entry && other->has_entry && other->ordinal > ended->ordinal;
}

static bool count_beyond(const struct diff_config *config, struct walk *walk,
                         struct diff_captures *out, struct diff_capture_side *side,
                         struct error *error)
{
    for (; walk->has_entry; side->beyond++) {
        if (side->beyond % STEP_ENTRIES == 0 && config->step != NULL &&
            !config->step(config->payload, side->entries + side->beyond)) {
            out->is_interrupted = true;
            return true;
        }
        if (!advance(walk, side, error)) {
            return false;
        }
    }
    return true;
}

static bool compare_entries(const struct diff_config *config, struct walk walks[DIFF_SIDES],
                            struct diff_captures *out, struct error *error)
{
    for (uint64_t done = 0; walks[DIFF_A].has_entry || walks[DIFF_B].has_entry; done++) {
        if (done % STEP_ENTRIES == 0 && config->step != NULL &&
            !config->step(config->payload, done)) {
            out->is_interrupted = true;
            return true;
        }
        for (int side = 0; side < DIFF_SIDES; side++) {
            if (is_beyond(&walks[DIFF_SIDES - 1 - side], &walks[side])) {
                return count_beyond(config, &walks[side], out, &out->side[side], error);
            }
        }
        enum diff_kind kind = kind_of(walks);
        count(out, walks, kind);
        for (int side = 0; side < DIFF_SIDES; side++) {
            if (kind == (side == DIFF_A ? DIFF_ONLY_B : DIFF_ONLY_A)) {
                continue;
            }
            out->side[side].entries++;
            if (!advance(&walks[side], &out->side[side], error)) {
                return false;
            }
        }
    }
    return true;
}

bool diff_captures_run(const struct diff_config *config, struct diff_captures *out,
                       struct error *error)
{
    struct walk walks[DIFF_SIDES] = {{0}};
    bool is_fine = true;
    for (int side = 0; is_fine && side < DIFF_SIDES; side++) {
        walks[side].reader = capture_open(config->path[side], error);
        is_fine = walks[side].reader != NULL;
        if (is_fine) {
            out->side[side].first_ordinal = capture_reader_header(walks[side].reader)->ordinal;
        }
    }
    if (is_fine) {
        compare_heads(out, capture_reader_header(walks[DIFF_A].reader),
                      capture_reader_header(walks[DIFF_B].reader));
        is_fine = begin_together(walks, out, error) && compare_entries(config, walks, out, error);
    }
    for (int side = 0; side < DIFF_SIDES; side++) {
        if (walks[side].reader != NULL) {
            capture_reader_close(walks[side].reader);
        }
    }
    return is_fine;
}

bool diff_captures_are_equal(const struct diff_captures *diff)
{
    return diff->first.kind == DIFF_NONE && diff->head_count == 0;
}

bool diff_captures_overlap(const struct diff_captures *diff)
{
    uint64_t compared = 0, left_out = 0;
    for (int side = 0; side < DIFF_SIDES; side++) {
        compared += diff->side[side].entries;
        left_out += diff->side[side].passed + diff->side[side].beyond;
    }
    return compared > 0 || left_out == 0;
}

void diff_captures_fini(struct diff_captures *diff)
{
    arena_fini(&diff->arena);
}
