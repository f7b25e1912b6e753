/* SPDX-License-Identifier: MIT */
#include "replay/diff.h"

#include "base/check.h"
#include "store/audit_prune.h"

#define STEP_ROWS 1024

/* One side of the walk. */
struct walk {
    struct audit *audit;
    struct audit_cursor *cursor;
    struct decision row; /* the next one; its texts live until the next advance */
    bool has_row;
    uint64_t number; /* its place among the decisions of its entry, as its id tells */
};

/* 2 of "0.1.1700000000000-0.2". */
static uint64_t number_of(struct span id)
{
    uint64_t number = 0;
    struct span last = id;
    while (id.size > 0) {
        last = span_cut(&id, '.');
    }
    return span_to_number(last, INT64_MAX, &number) ? number : 0;
}

static bool advance(struct walk *walk, struct error *error)
{
    enum audit_next next = audit_next(walk->cursor, &walk->row, NULL, error);
    walk->has_row = next == AUDIT_ROW;
    if (walk->has_row) {
        walk->number = number_of(walk->row.id);
    }
    return next != AUDIT_ERROR;
}

static struct span keep(struct diff_audits *out, struct span text)
{
    return text.size > 0 ? arena_copy(&out->arena, text) : SPAN_NONE;
}

static struct span column_text(struct diff_audits *out, const struct decision *decision,
                               enum decision_column column)
{
    struct buffer scratch = {0};
    struct column_value value = decision_column(decision, column, &scratch);
    struct number_text number = number_text(value.number);
    struct span kept = keep(out, value.is_number ? span_of(number.text) : value.text);
    buffer_fini(&scratch);
    return kept;
}

static bool column_differs(const struct decision *a, const struct decision *b,
                           enum decision_column column)
{
    struct buffer left_text = {0}, right_text = {0};
    struct column_value left = decision_column(a, column, &left_text);
    struct column_value right = decision_column(b, column, &right_text);
    bool differs = left.number != right.number || !span_equal(left.text, right.text);
    buffer_fini(&right_text);
    buffer_fini(&left_text);
    return differs;
}

/* Another action about another job, and not the same for another reason or by another policy. */
static bool is_decided_otherwise(const struct decision *a, const struct decision *b)
{
    return a->action != b->action || a->reason != b->reason || a->attempt != b->attempt ||
           !span_equal(a->job, b->job) || !span_equal(a->worker, b->worker) ||
           !span_equal(a->service, b->service) || !span_equal(a->mode, b->mode);
}

static bool is_changed(const struct decision *a, const struct decision *b)
{
    for (uint32_t i = 0; i < DECISION_COLUMN_COUNT; i++) {
        if (column_differs(a, b, (enum decision_column)i)) {
            return true;
        }
    }
    return false;
}

static void note(struct diff_audits *out, struct diff_first_decision *first,
                 const struct walk walks[DIFF_SIDES], enum diff_kind kind)
{
    const struct decision *a = &walks[DIFF_A].row, *b = &walks[DIFF_B].row;
    const struct decision *shown = kind == DIFF_ONLY_B ? b : a;
    *first = (struct diff_first_decision){
        .kind = kind,
        .id = keep(out, shown->id),
        .ordinal = shown->ordinal,
        .action = shown->action,
        .reason = shown->reason,
        .job = keep(out, shown->job),
    };
    for (uint32_t i = 0; kind == DIFF_CHANGED && i < DECISION_COLUMN_COUNT; i++) {
        enum decision_column column = (enum decision_column)i;
        if (column_differs(a, b, column)) {
            first->fields[first->field_count++] = (struct diff_field){
                .name = span_of(decision_column_name(column)),
                .value = {column_text(out, a, column), column_text(out, b, column)}};
        }
    }
}

/* Decisions are the same one by the entry that caused them and their place among its decisions. */
static enum diff_kind kind_of(const struct walk walks[DIFF_SIDES])
{
    const struct walk *a = &walks[DIFF_A], *b = &walks[DIFF_B];
    if (!a->has_row || !b->has_row) {
        return a->has_row ? DIFF_ONLY_A : DIFF_ONLY_B;
    }
    int order = stream_id_compare(a->row.stream_id, b->row.stream_id);
    if (order == 0 && a->number != b->number) {
        order = a->number < b->number ? -1 : 1;
    }
    if (order != 0) {
        return order < 0 ? DIFF_ONLY_A : DIFF_ONLY_B;
    }
    return is_changed(&a->row, &b->row) ? DIFF_CHANGED : DIFF_NONE;
}

static void count(struct diff_audits *out, const struct walk walks[DIFF_SIDES], enum diff_kind kind)
{
    if (kind == DIFF_NONE) {
        out->equal++;
        return;
    }
    if (out->first.kind == DIFF_NONE) {
        note(out, &out->first, walks, kind);
    }
    bool is_otherwise =
        kind != DIFF_CHANGED || is_decided_otherwise(&walks[DIFF_A].row, &walks[DIFF_B].row);
    if (is_otherwise && out->otherwise.kind == DIFF_NONE) {
        note(out, &out->otherwise, walks, kind);
    }
    out->total.only[DIFF_A] += kind == DIFF_ONLY_A;
    out->total.only[DIFF_B] += kind == DIFF_ONLY_B;
    out->total.changed += kind == DIFF_CHANGED;
    out->otherwise_count += kind == DIFF_CHANGED && is_otherwise;
}

/* Behind the other's position: it could not have decided that yet. */
static bool is_beyond(const struct walk *walk, uint64_t last)
{
    return walk->has_row && walk->row.ordinal > last;
}

static bool compare_rows(const struct diff_config *config, struct walk walks[DIFF_SIDES],
                         struct diff_audits *out, struct error *error)
{
    uint64_t last_of_a = out->side[DIFF_A].ordinal, last_of_b = out->side[DIFF_B].ordinal;
    uint64_t last = last_of_a < last_of_b ? last_of_a : last_of_b;
    for (uint64_t done = 0; walks[DIFF_A].has_row || walks[DIFF_B].has_row; done++) {
        if (done % STEP_ROWS == 0 && config->step != NULL && !config->step(config->payload, done)) {
            out->is_interrupted = true;
            return true;
        }
        int behind = is_beyond(&walks[DIFF_A], last)   ? DIFF_A
                     : is_beyond(&walks[DIFF_B], last) ? DIFF_B
                                                       : DIFF_SIDES;
        if (behind < DIFF_SIDES) {
            out->side[behind].beyond++;
            if (!advance(&walks[behind], error)) {
                return false;
            }
            continue;
        }
        enum diff_kind kind = kind_of(walks);
        count(out, walks, kind);
        for (int side = 0; side < DIFF_SIDES; side++) {
            if (kind == (side == DIFF_A ? DIFF_ONLY_B : DIFF_ONLY_A)) {
                continue;
            }
            const struct decision *row = &walks[side].row;
            out->side[side].decisions++;
            out->side[side].tally[row->action][row->reason]++;
            if (!advance(&walks[side], error)) {
                return false;
            }
        }
    }
    return true;
}

static bool open_side(const char *path, struct walk *walk, struct diff_audit_side *side,
                      struct error *error)
{
    struct audit_position position = {0};
    walk->audit = audit_open(path, AUDIT_READ, AUDIT_ANY_PARTITION, error);
    if (walk->audit == NULL) {
        return false;
    }
    *error = (struct error){0};
    if (!audit_load_position(walk->audit, &position, error) && error->code != ERROR_NONE) {
        return false;
    }
    side->ordinal = position.ordinal;
    struct audit_pruned pruned = {0};
    if (audit_load_pruned(walk->audit, &pruned, error)) {
        side->pruned = pruned.ordinal;
    }
    return error->code == ERROR_NONE;
}

/* Behind what either has let go. */
static bool begin_side(struct walk *walk, uint64_t after, struct error *error)
{
    walk->cursor = audit_decisions(walk->audit, after, error);
    return walk->cursor != NULL && advance(walk, error);
}

bool diff_audits_run(const struct diff_config *config, struct diff_audits *out, struct error *error)
{
    struct walk walks[DIFF_SIDES] = {{0}};
    bool is_fine = true;
    for (int side = 0; is_fine && side < DIFF_SIDES; side++) {
        is_fine = open_side(config->path[side], &walks[side], &out->side[side], error);
    }
    uint64_t a = out->side[DIFF_A].pruned, b = out->side[DIFF_B].pruned;
    for (int side = 0; is_fine && side < DIFF_SIDES; side++) {
        is_fine = begin_side(&walks[side], a > b ? a : b, error);
    }
    is_fine = is_fine && compare_rows(config, walks, out, error);
    for (int side = 0; side < DIFF_SIDES; side++) {
        audit_cursor_close(walks[side].cursor);
        audit_close(walks[side].audit);
    }
    return is_fine;
}

bool diff_audits_are_equal(const struct diff_audits *diff)
{
    return diff->first.kind == DIFF_NONE;
}

bool diff_audits_overlap(const struct diff_audits *diff)
{
    const struct diff_audit_side *a = &diff->side[DIFF_A], *b = &diff->side[DIFF_B];
    bool is_cut = a->pruned + b->pruned > 0 || a->ordinal != b->ordinal;
    return a->decisions + b->decisions > 0 || !is_cut;
}

void diff_audits_fini(struct diff_audits *diff)
{
    arena_fini(&diff->arena);
}
