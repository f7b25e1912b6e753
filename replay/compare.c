/* SPDX-License-Identifier: MIT */
#include "replay/compare.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "store/audit_prune.h"

/* What of a value fits a one-line message; the whole value is in the difference. */
#define EXCERPT_SIZE_MAX 48

struct compare {
    struct audit *audit; /* borrowed */
    struct audit_cursor *cursor;
    struct audit_position position;
    uint64_t pruned_ordinal; /* the audit's rows up to here are gone */
    uint64_t ordinal;        /* of the entry last folded */
    bool has_row; /* `row` is the audit's next one; its texts live until the next audit_next */
    struct decision row;
    uint64_t checkpoint;           /* ordinal of the audit's next state hash; UINT64_MAX: none */
    struct sha256 checkpoint_hash; /* that one */
    struct compare_counts counts;
    struct difference difference;
    struct arena arena; /* the difference's texts */
    struct buffer scratch, other;
};

/* Moves to the audit's next row. */
static bool compare_advance(struct compare *compare, struct error *error)
{
    enum audit_next next = audit_next(compare->cursor, &compare->row, NULL, error);
    compare->has_row = next == AUDIT_ROW;
    return next != AUDIT_ERROR;
}

/* Moves to the audit's first state hash at or behind ordinal `from`. */
static bool compare_next_checkpoint(struct compare *compare, uint64_t from, struct error *error)
{
    *error = (struct error){0};
    if (audit_next_checkpoint(compare->audit, from, &compare->checkpoint, &compare->checkpoint_hash,
                              error)) {
        return true;
    }
    compare->checkpoint = UINT64_MAX;
    return error->code == ERROR_NONE;
}

/* Rows may be pruned meanwhile: those that the cursor sees stay for it, so this is looked at behind
 * its first step. The last entry's rows may be gone in part. */
static bool compare_skip_pruned(struct compare *compare, struct error *error)
{
    struct audit_pruned pruned;
    if (!audit_load_pruned(compare->audit, &pruned, error)) {
        return error->code == ERROR_NONE;
    }
    compare->pruned_ordinal = pruned.ordinal;
    while (compare->has_row && compare->row.ordinal <= pruned.ordinal) {
        if (!compare_advance(compare, error)) {
            return false;
        }
    }
    return true;
}

struct compare *compare_open(struct audit *audit, uint64_t after, struct error *error)
{
    struct compare *compare = mem_zero(sizeof(*compare));
    compare->audit = audit;
    compare->ordinal = after;
    *error = (struct error){0};
    if (!audit_load_position(audit, &compare->position, error) && error->code != ERROR_NONE) {
        goto close_compare;
    }
    compare->cursor = audit_decisions(audit, after, error);
    if (compare->cursor == NULL || !compare_advance(compare, error) ||
        !compare_skip_pruned(compare, error) || !compare_next_checkpoint(compare, after, error)) {
        goto close_compare;
    }
    return compare;
close_compare:
    compare_close(compare);
    return NULL;
}

void compare_close(struct compare *compare)
{
    if (compare == NULL) {
        return;
    }
    if (compare->cursor != NULL) {
        audit_cursor_close(compare->cursor);
    }
    arena_fini(&compare->arena);
    buffer_fini(&compare->scratch);
    buffer_fini(&compare->other);
    mem_free(compare);
}

const struct difference *compare_difference(const struct compare *compare)
{
    return compare->difference.field_count > 0 ? &compare->difference : NULL;
}

struct compare_counts compare_counts(const struct compare *compare)
{
    return compare->counts;
}

static void compare_note(struct compare *compare, const char *table, struct span id,
                         uint64_t ordinal)
{
    compare->difference.table = table;
    compare->difference.id = arena_copy(&compare->arena, id);
    compare->difference.ordinal = ordinal;
}

static void compare_note_field(struct compare *compare, const char *column, struct span fold,
                               struct span audit)
{
    struct difference *difference = &compare->difference;
    CHECK(difference->field_count < DECISION_COLUMN_COUNT);
    difference->fields[difference->field_count++] = (struct difference_field){
        .column = column,
        .fold = arena_copy(&compare->arena, fold),
        .audit = arena_copy(&compare->arena, audit),
    };
}

/* The part of `value` from just before byte `from` on, as far as a message holds it. */
static struct span excerpt(struct span value, size_t from)
{
    if (from > 8) {
        from -= 8;
        size_t skipped = from < value.size ? from : value.size;
        value.data += skipped;
        value.size -= skipped;
    }
    value.size = value.size < EXCERPT_SIZE_MAX ? value.size : EXCERPT_SIZE_MAX;
    return value;
}

/* The message of the first differing field. */
static bool compare_fail(const struct compare *compare, struct error *error)
{
    const struct difference *difference = &compare->difference;
    const struct difference_field *field = &difference->fields[0];
    size_t same = 0;
    while (same < field->fold.size && same < field->audit.size &&
           field->fold.data[same] == field->audit.data[same]) {
        same++;
    }
    if (field->fold.size <= EXCERPT_SIZE_MAX && field->audit.size <= EXCERPT_SIZE_MAX) {
        same = 0;
    }
    struct span fold = excerpt(field->fold, same);
    struct span audit = excerpt(field->audit, same);
    return error_set(error, ERROR_DIFFERENT,
                     "%s %.*s, column %s: the fold gives \"%.*s\", the audit holds \"%.*s\"",
                     difference->table, SPAN_FORMAT(difference->id), field->column,
                     SPAN_FORMAT(fold), SPAN_FORMAT(audit));
}

static bool compare_fail_row(struct compare *compare, const char *table, struct span id,
                             uint64_t ordinal, struct span fold, struct span audit,
                             struct error *error)
{
    compare_note(compare, table, id, ordinal);
    compare_note_field(compare, "id", fold, audit);
    return compare_fail(compare, error);
}

static bool column_equal(const struct column_value *a, const struct column_value *b)
{
    return a->is_number == b->is_number && a->number == b->number && span_equal(a->text, b->text);
}

static struct span column_text(const struct column_value *value, struct buffer *scratch)
{
    if (!value->is_number) {
        return value->text;
    }
    buffer_reset(scratch);
    buffer_put_decimal(scratch, value->number);
    return buffer_span(scratch);
}

static bool compare_columns(struct compare *compare, const struct decision *fold,
                            struct error *error)
{
    bool is_equal = true;
    for (uint32_t i = 0; i < DECISION_COLUMN_COUNT; i++) {
        enum decision_column column = (enum decision_column)i;
        struct column_value ours = decision_column(fold, column, &compare->scratch);
        struct column_value theirs = decision_column(&compare->row, column, &compare->other);
        if (column_equal(&ours, &theirs)) {
            continue;
        }
        if (is_equal) {
            compare_note(compare, "decision", fold->id, fold->ordinal);
        }
        is_equal = false;
        compare_note_field(compare, decision_column_name(column),
                           column_text(&ours, &compare->scratch),
                           column_text(&theirs, &compare->other));
    }
    return is_equal || compare_fail(compare, error);
}

static bool compare_decision(struct compare *compare, const struct decision *fold,
                             struct error *error)
{
    if (compare->ordinal > compare->position.ordinal) {
        compare->counts.fold_beyond++;
        return true;
    }
    if (compare->ordinal <= compare->pruned_ordinal) {
        compare->counts.pruned++;
        return true;
    }
    bool is_there = compare->has_row && compare->row.ordinal <= fold->ordinal;
    if (!is_there) {
        return compare_fail_row(compare, "decision", fold->id, fold->ordinal, fold->id, SPAN_NONE,
                                error);
    }
    if (!compare_columns(compare, fold, error)) {
        return false;
    }
    compare->counts.decisions++;
    return compare_advance(compare, error);
}

/* --- effects --- */

struct effect_search {
    struct compare *compare;
    const struct effect_change *change;
    bool is_found;
};

static void effect_check(struct effect_search *search, const char *column, struct span fold,
                         struct span audit)
{
    struct compare *compare = search->compare;
    if (span_equal(fold, audit)) {
        return;
    }
    if (compare->difference.field_count == 0) {
        compare_note(compare, "effect", search->change->id, compare->ordinal);
    }
    compare_note_field(compare, column, fold, audit);
}

/* True for outcomes that a later event may still replace. */
static bool outcome_is_final(enum effect_outcome outcome)
{
    return outcome != OUTCOME_NONE && outcome != OUTCOME_WITHDRAWN &&
           outcome != OUTCOME_PUBLISHED && outcome != OUTCOME_OBSERVED;
}

static bool effect_visit(void *payload, const struct audit_effect *effect)
{
    struct effect_search *search = payload;
    const struct effect_change *change = search->change;
    if (!span_equal(effect->id, change->id)) {
        return true;
    }
    search->is_found = true;
    if (change->decision.size > 0) {
        effect_check(search, "kind", span_of(effect_kind_text(change->kind)), effect->kind);
        effect_check(search, "target", change->target, effect->target);
    }
    if (outcome_is_final(change->outcome)) {
        effect_check(search, "outcome", span_of(effect_outcome_text(change->outcome)),
                     effect->outcome);
    }
    return false;
}

/* The decision's part of an effect id: all but the last ".k". */
static struct span effect_decision(struct span id)
{
    while (id.size > 0 && id.data[id.size - 1] != '.') {
        id.size--;
    }
    id.size -= id.size > 0;
    return id;
}

static bool compare_effect(struct compare *compare, const struct effect_change *change,
                           struct error *error)
{
    if (compare->ordinal > compare->position.ordinal) {
        return true;
    }
    struct effect_search search = {.compare = compare, .change = change};
    *error = (struct error){0};
    if (!audit_effects_of(compare->audit, effect_decision(change->id), effect_visit, &search,
                          error) &&
        error->code != ERROR_NONE) {
        return false;
    }
    bool is_pruned = false;
    if (!search.is_found && !audit_is_pruned(compare->audit, change->id, &is_pruned, error)) {
        return false;
    }
    if (is_pruned) {
        return true;
    }
    if (!search.is_found) {
        return compare_fail_row(compare, "effect", change->id, compare->ordinal, change->id,
                                SPAN_NONE, error);
    }
    if (compare->difference.field_count > 0) {
        return compare_fail(compare, error);
    }
    compare->counts.effects += change->decision.size > 0;
    return true;
}

/* --- state hashes --- */

/* Holds the state against the audit's hash of it, where there is one. */
static bool compare_checkpoint(struct compare *compare, const struct state *state,
                               struct error *error)
{
    if (compare->checkpoint < compare->ordinal &&
        !compare_next_checkpoint(compare, compare->ordinal, error)) {
        return false;
    }
    if (compare->checkpoint != compare->ordinal) {
        return true;
    }
    buffer_reset(&compare->scratch);
    state_encode(state, &compare->scratch);
    struct sha256 ours = sha256_of(buffer_span(&compare->scratch));
    if (!sha256_equal(&ours, &compare->checkpoint_hash)) {
        struct sha256_text fold = sha256_text(&ours);
        struct sha256_text audit = sha256_text(&compare->checkpoint_hash);
        buffer_reset(&compare->other);
        buffer_put_text(&compare->other, "at ordinal ");
        buffer_put_decimal(&compare->other, compare->ordinal);
        compare_note(compare, "checkpoint", buffer_span(&compare->other), compare->ordinal);
        compare_note_field(compare, "state_hash", span_of(fold.text), span_of(audit.text));
        return compare_fail(compare, error);
    }
    compare->counts.checkpoints++;
    return compare_next_checkpoint(compare, compare->ordinal + 1, error);
}

/* Rows of the audit up to the fold's ordinal that the fold did not give. */
static bool compare_leftover(struct compare *compare, struct error *error)
{
    /* Rows behind the position were committed after it was read: the audit is being written. */
    if (!compare->has_row || compare->row.ordinal > compare->ordinal ||
        compare->row.ordinal > compare->position.ordinal) {
        return true;
    }
    return compare_fail_row(compare, "decision", compare->row.id, compare->row.ordinal, SPAN_NONE,
                            compare->row.id, error);
}

static bool compare_fold(void *self, const struct entry *entry, const struct state *state,
                         const struct fold_output *output, struct error *error)
{
    struct compare *compare = self;
    (void)entry;
    compare->ordinal++;
    for (uint32_t i = 0; i < output->decision_count; i++) {
        if (!compare_decision(compare, &output->decisions[i], error)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < output->change_count; i++) {
        if (!compare_effect(compare, &output->changes[i], error)) {
            return false;
        }
    }
    return compare_leftover(compare, error) && compare_checkpoint(compare, state, error);
}

struct sink compare_sink(struct compare *compare)
{
    return (struct sink){.name = "compare", .self = compare, .fold = compare_fold};
}

bool compare_finish(struct compare *compare, const struct state *state, struct error *error)
{
    CHECK(state_summary(state).ordinal == compare->ordinal);
    if (!compare_leftover(compare, error)) {
        return false;
    }
    while (compare->has_row) {
        compare->counts.audit_beyond++;
        if (!compare_advance(compare, error)) {
            return false;
        }
    }
    return compare_checkpoint(compare, state, error);
}
