/* SPDX-License-Identifier: MIT
 * Values of producers are written as JSON texts, on a terminal too: printable, and told exactly. */
#include "cli/diff_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"

static const char *const kinds[] = {[DIFF_NONE] = "none",
                                    [DIFF_ONLY_A] = "only in A",
                                    [DIFF_ONLY_B] = "only in B",
                                    [DIFF_CHANGED] = "different"};
static const char *const sides[] = {[DIFF_A] = "A", [DIFF_B] = "B"};
static const char *const keys[] = {[DIFF_A] = "a", [DIFF_B] = "b"};

static void flush(struct buffer *out)
{
    if (out->size > 0) {
        fwrite(out->data, 1, out->size, stdout);
    }
    buffer_fini(out);
}

/* --- text --- */

static void put_value(struct buffer *out, struct span value)
{
    if (value.data == NULL) {
        buffer_put_text(out, "(none)");
    } else {
        buffer_put_json_string(out, value);
    }
}

static void put_field(struct buffer *out, const struct diff_field *field)
{
    buffer_put_text(out, "  ");
    buffer_put_json_string(out, field->name);
    for (int side = 0; side < DIFF_SIDES; side++) {
        buffer_put_text(out, "\n    ");
        buffer_put_text(out, sides[side]);
        buffer_put_text(out, ": ");
        put_value(out, field->value[side]);
    }
    buffer_put_byte(out, '\n');
}

static void print_counts(const char *name, const struct diff_count *count)
{
    if (count->only[DIFF_A] + count->only[DIFF_B] + count->changed > 0) {
        printf("  %-20s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", name, count->only[DIFF_A],
               count->only[DIFF_B], count->changed);
    }
}

static void put_first_entry(struct buffer *out, const struct diff_first_entry *first)
{
    buffer_put_text(out, "first divergence: entry ");
    stream_id_put(out, first->id);
    buffer_put_byte(out, ' ');
    buffer_put_span(out, first->type);
    buffer_put_text(out, ", ");
    buffer_put_text(out, kinds[first->kind]);
    for (int side = 0; side < DIFF_SIDES; side++) {
        buffer_put_text(out, "; ");
        buffer_put_text(out, sides[side]);
        if (first->has_ended[side]) {
            buffer_put_text(out, " ends here");
        } else {
            buffer_put_text(out, " at ordinal ");
            buffer_put_decimal(out, first->ordinal[side]);
        }
    }
    buffer_put_byte(out, '\n');
    if (!first->has_ended[DIFF_A] && !first->has_ended[DIFF_B]) {
        put_field(out, &first->field);
    }
}

static void print_captures(const struct diff_config *config, const struct diff_captures *diff)
{
    for (int side = 0; side < DIFF_SIDES; side++) {
        const struct diff_capture_side *one = &diff->side[side];
        printf("%s  %s: %" PRIu64 " entries behind ordinal %" PRIu64 "%s\n", sides[side],
               config->path[side], one->entries, one->first_ordinal + one->passed,
               one->is_torn ? ", torn" : "");
        if (one->passed > 0) {
            printf("   not compared: %" PRIu64 " entries before the other's beginning\n",
                   one->passed);
        }
        if (one->beyond > 0) {
            printf("   not compared: %" PRIu64 " entries behind the other's end\n", one->beyond);
        }
    }
    struct buffer out = {0};
    if (diff->head_count > 0) {
        buffer_put_text(&out, "their headers differ in\n");
    }
    for (uint32_t i = 0; i < diff->head_count; i++) {
        put_field(&out, &diff->head[i]);
    }
    if (diff->first.kind != DIFF_NONE) {
        put_first_entry(&out, &diff->first);
    }
    flush(&out);
    if (!diff_captures_overlap(diff)) {
        printf("nothing could be compared: no ordinal is in both\n");
        return;
    }
    printf("%" PRIu64 " entries are equal\n", diff->equal);
    if (diff->first.kind != DIFF_NONE) {
        printf("  %-20s %12s %12s %12s\n", "", kinds[DIFF_ONLY_A], kinds[DIFF_ONLY_B],
               kinds[DIFF_CHANGED]);
        for (int type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
            print_counts(event_type_rule((enum event_type)type)->name, &diff->types[type]);
        }
        print_counts("(no known event)", &diff->types[EVENT_NONE]);
        print_counts("all", &diff->total);
    }
}

static void put_decision(struct buffer *out, const char *head,
                         const struct diff_first_decision *first)
{
    buffer_put_text(out, head);
    buffer_put_span(out, first->id);
    buffer_put_text(out, ", ordinal ");
    buffer_put_decimal(out, first->ordinal);
    buffer_put_text(out, ", ");
    buffer_put_text(out, action_text(first->action));
    buffer_put_byte(out, ' ');
    buffer_put_text(out, reason_code(first->reason));
    buffer_put_text(out, " job=");
    buffer_put_json_string(out, first->job);
    buffer_put_text(out, ", ");
    buffer_put_text(out, kinds[first->kind]);
    buffer_put_byte(out, '\n');
    for (uint32_t i = 0; i < first->field_count; i++) {
        put_field(out, &first->fields[i]);
    }
}

static void print_tallies(const struct diff_audits *diff)
{
    printf("  %-44s %10s %10s\n", "", sides[DIFF_A], sides[DIFF_B]);
    for (int action = 0; action < ACTION_COUNT; action++) {
        for (int reason = 0; reason < REASON_COUNT; reason++) {
            uint64_t a = diff->side[DIFF_A].tally[action][reason];
            uint64_t b = diff->side[DIFF_B].tally[action][reason];
            if (a + b > 0) {
                char name[64];
                snprintf(name, sizeof(name), "%s %s", action_text((enum action)action),
                         reason_code((enum reason)reason));
                printf("%s %-44s %10" PRIu64 " %10" PRIu64 "\n", a == b ? " " : "*", name, a, b);
            }
        }
    }
}

static void print_audits(const struct diff_config *config, const struct diff_audits *diff)
{
    for (int side = 0; side < DIFF_SIDES; side++) {
        printf("%s  %s: %" PRIu64 " decisions up to ordinal %" PRIu64 "\n", sides[side],
               config->path[side], diff->side[side].decisions, diff->side[side].ordinal);
        if (diff->side[side].pruned > 0) {
            printf("   pruned up to ordinal %" PRIu64 ": nothing is compared up to there\n",
                   diff->side[side].pruned);
        }
        if (diff->side[side].beyond > 0) {
            printf("   not compared: %" PRIu64 " decisions behind the other's position\n",
                   diff->side[side].beyond);
        }
    }
    struct buffer out = {0};
    if (diff->first.kind != DIFF_NONE) {
        put_decision(&out, "first divergence: decision ", &diff->first);
    }
    if (diff->otherwise.kind != DIFF_NONE && !span_equal(diff->otherwise.id, diff->first.id)) {
        put_decision(&out, "first decided otherwise: ", &diff->otherwise);
    }
    flush(&out);
    if (!diff_audits_overlap(diff)) {
        printf("nothing could be compared: no decision lies where both hold any\n");
        return;
    }
    printf("%" PRIu64 " decisions are equal\n", diff->equal);
    if (diff->first.kind != DIFF_NONE) {
        printf("only in A: %" PRIu64 ", only in B: %" PRIu64 ", in both but different: %" PRIu64
               " (decided otherwise: %" PRIu64 ")\n",
               diff->total.only[DIFF_A], diff->total.only[DIFF_B], diff->total.changed,
               diff->otherwise_count);
        print_tallies(diff);
    }
}

/* --- JSON --- */

static void put_json_field(struct buffer *out, const struct diff_field *field)
{
    buffer_put_byte(out, '{');
    json_put_text(out, "name", field->name);
    for (int side = 0; side < DIFF_SIDES; side++) {
        if (field->value[side].data == NULL) {
            json_put_key(out, keys[side]);
            buffer_put_text(out, "null");
        } else {
            json_put_text(out, keys[side], field->value[side]);
        }
    }
    buffer_put_byte(out, '}');
}

static void put_json_fields(struct buffer *out, const char *key, const struct diff_field *fields,
                            uint32_t count)
{
    json_put_key(out, key);
    buffer_put_byte(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        buffer_put_text(out, i > 0 ? "," : "");
        put_json_field(out, &fields[i]);
    }
    buffer_put_byte(out, ']');
}

static void put_json_count(struct buffer *out, const struct diff_count *count)
{
    json_put_number(out, "only_a", count->only[DIFF_A]);
    json_put_number(out, "only_b", count->only[DIFF_B]);
    json_put_number(out, "different", count->changed);
}

static void put_json_id(struct buffer *out, const char *key, struct stream_id id)
{
    struct buffer text = {0};
    stream_id_put(&text, id);
    json_put_text(out, key, buffer_span(&text));
    buffer_fini(&text);
}

static void put_json_first_entry(struct buffer *out, const struct diff_first_entry *first)
{
    json_put_key(out, "first");
    if (first->kind == DIFF_NONE) {
        buffer_put_text(out, "null");
        return;
    }
    buffer_put_byte(out, '{');
    json_put_text(out, "kind", span_of(kinds[first->kind]));
    put_json_id(out, "id", first->id);
    json_put_text(out, "type", first->type);
    for (int side = 0; side < DIFF_SIDES; side++) {
        json_put_key(out, side == DIFF_A ? "ordinal_a" : "ordinal_b");
        if (first->has_ended[side]) {
            buffer_put_text(out, "null");
        } else {
            buffer_put_decimal(out, first->ordinal[side]);
        }
    }
    json_put_key(out, "field");
    put_json_field(out, &first->field);
    buffer_put_byte(out, '}');
}

static void put_json_types(struct buffer *out, const struct diff_captures *diff)
{
    bool is_first = true;
    json_put_key(out, "types");
    buffer_put_byte(out, '{');
    for (int type = 0; type < EVENT_TYPE_COUNT; type++) {
        const struct diff_count *count = &diff->types[type];
        if (count->only[DIFF_A] + count->only[DIFF_B] + count->changed == 0) {
            continue;
        }
        buffer_put_text(out, is_first ? "\"" : ",\"");
        is_first = false;
        buffer_put_text(out,
                        type == EVENT_NONE ? "none" : event_type_rule((enum event_type)type)->name);
        buffer_put_text(out, "\":{");
        put_json_count(out, count);
        buffer_put_byte(out, '}');
    }
    buffer_put_byte(out, '}');
}

/* null: nothing could be compared. */
static void put_json_same(struct buffer *out, bool is_same, bool has_compared)
{
    if (is_same && !has_compared) {
        json_put_key(out, "same");
        buffer_put_text(out, "null");
    } else {
        json_put_truth(out, "same", is_same);
    }
}

static void print_json_captures(const struct diff_config *config, const struct diff_captures *diff)
{
    struct buffer out = {0};
    buffer_put_byte(&out, '{');
    json_put_text(&out, "of", SPAN("captures"));
    put_json_same(&out, diff_captures_are_equal(diff), diff_captures_overlap(diff));
    json_put_truth(&out, "interrupted", diff->is_interrupted);
    for (int side = 0; side < DIFF_SIDES; side++) {
        const struct diff_capture_side *one = &diff->side[side];
        json_put_key(&out, keys[side]);
        buffer_put_byte(&out, '{');
        json_put_text(&out, "path", span_of(config->path[side]));
        json_put_number(&out, "first_ordinal", one->first_ordinal);
        json_put_number(&out, "not_compared", one->passed);
        json_put_number(&out, "not_compared_behind", one->beyond);
        json_put_number(&out, "entries", one->entries);
        json_put_truth(&out, "torn", one->is_torn);
        buffer_put_byte(&out, '}');
    }
    put_json_fields(&out, "header", diff->head, diff->head_count);
    put_json_first_entry(&out, &diff->first);
    json_put_number(&out, "equal", diff->equal);
    put_json_count(&out, &diff->total);
    put_json_types(&out, diff);
    buffer_put_text(&out, "}\n");
    flush(&out);
}

static void put_json_decision(struct buffer *out, const char *key,
                              const struct diff_first_decision *first)
{
    json_put_key(out, key);
    if (first->kind == DIFF_NONE) {
        buffer_put_text(out, "null");
        return;
    }
    buffer_put_byte(out, '{');
    json_put_text(out, "kind", span_of(kinds[first->kind]));
    json_put_text(out, "id", first->id);
    json_put_number(out, "ordinal", first->ordinal);
    json_put_text(out, "action", span_of(action_text(first->action)));
    json_put_text(out, "reason", span_of(reason_code(first->reason)));
    json_put_text(out, "job", first->job);
    put_json_fields(out, "columns", first->fields, first->field_count);
    buffer_put_byte(out, '}');
}

static void put_json_tallies(struct buffer *out, const struct diff_audits *diff)
{
    bool is_first = true;
    json_put_key(out, "decisions");
    buffer_put_byte(out, '[');
    for (int action = 0; action < ACTION_COUNT; action++) {
        for (int reason = 0; reason < REASON_COUNT; reason++) {
            uint64_t a = diff->side[DIFF_A].tally[action][reason];
            uint64_t b = diff->side[DIFF_B].tally[action][reason];
            if (a + b > 0) {
                buffer_put_text(out, is_first ? "{" : ",{");
                is_first = false;
                json_put_text(out, "action", span_of(action_text((enum action)action)));
                json_put_text(out, "reason", span_of(reason_code((enum reason)reason)));
                json_put_number(out, "a", a);
                json_put_number(out, "b", b);
                buffer_put_byte(out, '}');
            }
        }
    }
    buffer_put_byte(out, ']');
}

static void print_json_audits(const struct diff_config *config, const struct diff_audits *diff)
{
    struct buffer out = {0};
    buffer_put_byte(&out, '{');
    json_put_text(&out, "of", SPAN("audits"));
    put_json_same(&out, diff_audits_are_equal(diff), diff_audits_overlap(diff));
    json_put_truth(&out, "interrupted", diff->is_interrupted);
    for (int side = 0; side < DIFF_SIDES; side++) {
        json_put_key(&out, keys[side]);
        buffer_put_byte(&out, '{');
        json_put_text(&out, "path", span_of(config->path[side]));
        json_put_number(&out, "decisions", diff->side[side].decisions);
        json_put_number(&out, "ordinal", diff->side[side].ordinal);
        json_put_number(&out, "pruned", diff->side[side].pruned);
        json_put_number(&out, "not_compared_behind", diff->side[side].beyond);
        buffer_put_byte(&out, '}');
    }
    put_json_decision(&out, "first", &diff->first);
    put_json_decision(&out, "first_otherwise", &diff->otherwise);
    json_put_number(&out, "equal", diff->equal);
    put_json_count(&out, &diff->total);
    json_put_number(&out, "otherwise", diff->otherwise_count);
    put_json_tallies(&out, diff);
    buffer_put_text(&out, "}\n");
    flush(&out);
}

void diff_report_captures(const struct diff_config *config, const struct diff_captures *diff,
                          bool is_json)
{
    (is_json ? print_json_captures : print_captures)(config, diff);
    if (diff->is_interrupted && !is_json) {
        printf("interrupted: what follows was not compared\n");
    }
}

void diff_report_audits(const struct diff_config *config, const struct diff_audits *diff,
                        bool is_json)
{
    (is_json ? print_json_audits : print_audits)(config, diff);
    if (diff->is_interrupted && !is_json) {
        printf("interrupted: what follows was not compared\n");
    }
}
