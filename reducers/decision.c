/* SPDX-License-Identifier: MIT
 * A decision's columns: the one place that says how each member is kept. */
#include "reducers/decision.h"

#include <string.h>

#include "base/check.h"

enum column_kind {
    COLUMN_KIND_NONE,
    COLUMN_KIND_TEXT,
    COLUMN_KIND_NUMBER,
    COLUMN_KIND_STREAM_ID,
    COLUMN_KIND_ACTION,
    COLUMN_KIND_REASON,
};

struct column_rule {
    enum column_kind kind;
    size_t offset; /* of the member in struct decision */
};

#define RULE(column_kind, member)                                                      \
    {                                                                                  \
        .kind = COLUMN_KIND_##column_kind, .offset = offsetof(struct decision, member) \
    }
static const struct column_rule column_rules[DECISION_COLUMN_COUNT] = {
    [DECISION_COLUMN_ID] = RULE(TEXT, id),
    [DECISION_COLUMN_TIMELINE] = RULE(NUMBER, timeline),
    [DECISION_COLUMN_STREAM_ID] = RULE(STREAM_ID, stream_id),
    [DECISION_COLUMN_ORDINAL] = RULE(NUMBER, ordinal),
    [DECISION_COLUMN_AT_MS] = RULE(NUMBER, at_ms),
    [DECISION_COLUMN_JOB] = RULE(TEXT, job),
    [DECISION_COLUMN_WORKER] = RULE(TEXT, worker),
    [DECISION_COLUMN_SERVICE] = RULE(TEXT, service),
    [DECISION_COLUMN_ATTEMPT] = RULE(NUMBER, attempt),
    [DECISION_COLUMN_ACTION] = RULE(ACTION, action),
    [DECISION_COLUMN_REASON] = RULE(REASON, reason),
    [DECISION_COLUMN_POLICY] = RULE(TEXT, policy),
    [DECISION_COLUMN_REDUCERS] = RULE(NUMBER, reducers),
    [DECISION_COLUMN_EVIDENCE] = RULE(TEXT, evidence),
    [DECISION_COLUMN_TRACE] = RULE(TEXT, trace),
    [DECISION_COLUMN_MODE] = RULE(TEXT, mode),
};
#undef RULE

#define X(name, text) text,
static const char *const column_names[DECISION_COLUMN_COUNT] = {DECISION_COLUMNS(X)};
#undef X

const char *decision_column_name(enum decision_column column)
{
    CHECK(column < DECISION_COLUMN_COUNT);
    return column_names[column];
}

struct column_value decision_column(const struct decision *decision, enum decision_column column,
                                    struct buffer *scratch)
{
    CHECK(column < DECISION_COLUMN_COUNT);
    const struct column_rule *rule = &column_rules[column];
    CHECK(rule->kind != COLUMN_KIND_NONE);
    const char *member = (const char *)decision + rule->offset;
    struct column_value value = {.is_number = rule->kind == COLUMN_KIND_NUMBER};
    if (rule->kind == COLUMN_KIND_NUMBER) {
        memcpy(&value.number, member, sizeof(value.number));
    } else if (rule->kind == COLUMN_KIND_TEXT) {
        memcpy(&value.text, member, sizeof(value.text));
    } else if (rule->kind == COLUMN_KIND_ACTION) {
        value.text = span_of(action_text(decision->action));
    } else if (rule->kind == COLUMN_KIND_REASON) {
        value.text = span_of(reason_code(decision->reason));
    } else {
        buffer_reset(scratch);
        stream_id_put(scratch, decision->stream_id);
        value.text = buffer_span(scratch);
    }
    return value;
}

void decision_put_canonical(struct buffer *buffer, const struct decision *decision)
{
    struct buffer scratch = {0};
    for (unsigned i = 0; i < DECISION_COLUMN_COUNT; i++) {
        struct column_value value = decision_column(decision, (enum decision_column)i, &scratch);
        if (value.is_number) {
            buffer_put_byte(buffer, 'n');
            buffer_put_varint(buffer, value.number);
        } else {
            buffer_put_byte(buffer, 't');
            buffer_put_sized(buffer, value.text);
        }
    }
    buffer_fini(&scratch);
}
