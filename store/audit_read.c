/* SPDX-License-Identifier: MIT
 * Reading rows back. */
#include "base/alloc.h"
#include "base/check.h"
#include "store/audit_rows.h"

struct audit_cursor {
    struct statement *statement; /* owned */
};

enum { COLUMN_HASH = DECISION_COLUMN_COUNT, COLUMN_SEQ };

#define SELECT_DECISIONS                                       \
    "SELECT " AUDIT_DECISION_COLUMNS "hash, seq FROM decision" \
    " WHERE superseded_by IS NULL AND action <> 'prune' AND "

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool audit_read_digest(struct span text, struct sha256 *out)
{
    if (text.size != SHA256_TEXT_SIZE) {
        return false;
    }
    for (size_t index = 0; index < SHA256_SIZE; index++) {
        int high = hex_value(text.data[2 * index]), low = hex_value(text.data[2 * index + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out->bytes[index] = (unsigned char)(16 * high + low);
    }
    return true;
}

bool audit_read_position(struct statement *statement, int column, struct audit_position *out)
{
    *out = (struct audit_position){
        .timeline = statement_number(statement, column),
        .ordinal = statement_number(statement, column + 2),
        .epoch = statement_number(statement, column + 3),
    };
    return stream_id_parse(statement_text(statement, column + 1), &out->stream_id) &&
           audit_read_digest(statement_text(statement, column + 4), &out->entry_sha256) &&
           audit_read_digest(statement_text(statement, column + 5), &out->audit_head);
}

static struct audit_cursor *open_cursor(struct audit *audit, const char *sql, struct error *error)
{
    struct statement *statement = statement_prepare(audit->database, sql, error);
    if (statement == NULL) {
        return NULL;
    }
    struct audit_cursor *cursor = mem_zero(sizeof(*cursor));
    cursor->statement = statement;
    return cursor;
}

struct audit_cursor *audit_decisions(struct audit *audit, uint64_t after, struct error *error)
{
    /* Of one chain, ordinals never fall: this is the order of seq, read from the index. */
    struct audit_cursor *cursor =
        open_cursor(audit, SELECT_DECISIONS "ordinal > ? ORDER BY ordinal, seq", error);
    if (cursor != NULL) {
        statement_bind_number(cursor->statement, 1, after);
    }
    return cursor;
}

struct audit_cursor *audit_decisions_of(struct audit *audit, struct span job, struct error *error)
{
    struct audit_cursor *cursor =
        open_cursor(audit, SELECT_DECISIONS "job = ? AND job <> '' ORDER BY seq", error);
    if (cursor != NULL) {
        statement_bind_text(cursor->statement, 1, job);
    }
    return cursor;
}

static enum action action_named(struct span text)
{
    for (int action = ACTION_NONE + 1; action < ACTION_COUNT; action++) {
        if (span_is(text, action_text((enum action)action))) {
            return (enum action)action;
        }
    }
    return ACTION_NONE;
}

static enum reason reason_named(struct span text)
{
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        if (span_is(text, reason_code((enum reason)reason))) {
            return (enum reason)reason;
        }
    }
    return REASON_NONE;
}

static bool read_decision(struct statement *row, struct decision *out, struct sha256 *hash)
{
    *out = (struct decision){
        .id = statement_text(row, DECISION_COLUMN_ID),
        .timeline = statement_number(row, DECISION_COLUMN_TIMELINE),
        .ordinal = statement_number(row, DECISION_COLUMN_ORDINAL),
        .at_ms = statement_number(row, DECISION_COLUMN_AT_MS),
        .job = statement_text(row, DECISION_COLUMN_JOB),
        .worker = statement_text(row, DECISION_COLUMN_WORKER),
        .service = statement_text(row, DECISION_COLUMN_SERVICE),
        .attempt = statement_number(row, DECISION_COLUMN_ATTEMPT),
        .action = action_named(statement_text(row, DECISION_COLUMN_ACTION)),
        .reason = reason_named(statement_text(row, DECISION_COLUMN_REASON)),
        .policy = statement_text(row, DECISION_COLUMN_POLICY),
        .reducers = statement_number(row, DECISION_COLUMN_REDUCERS),
        .evidence = statement_text(row, DECISION_COLUMN_EVIDENCE),
        .trace = statement_text(row, DECISION_COLUMN_TRACE),
        .mode = statement_text(row, DECISION_COLUMN_MODE),
    };
    return out->action != ACTION_NONE && out->reason != REASON_NONE &&
           stream_id_parse(statement_text(row, DECISION_COLUMN_STREAM_ID), &out->stream_id) &&
           (hash == NULL || audit_read_digest(statement_text(row, COLUMN_HASH), hash));
}

enum audit_next audit_next(struct audit_cursor *cursor, struct decision *out, struct sha256 *hash,
                           struct error *error)
{
    enum statement_next next = statement_step(cursor->statement, error);
    if (next != STATEMENT_ROW) {
        return next == STATEMENT_DONE ? AUDIT_END : AUDIT_ERROR;
    }
    if (!read_decision(cursor->statement, out, hash)) {
        error_set(error, ERROR_CORRUPT,
                  "decision %.*s (seq %llu): its action, reason, stream id or hash makes no sense",
                  SPAN_FORMAT(out->id),
                  (unsigned long long)statement_number(cursor->statement, COLUMN_SEQ));
        return AUDIT_ERROR;
    }
    return AUDIT_ROW;
}

void audit_cursor_close(struct audit_cursor *cursor)
{
    if (cursor != NULL) {
        statement_finish(cursor->statement);
        mem_free(cursor);
    }
}

bool audit_effects_of(struct audit *audit, struct span decision, audit_effect_fn each,
                      void *payload, struct error *error)
{
    static const char all[] = "SELECT id, decision, kind, target, outcome, found, requested_at_ms,"
                              " settled_at_ms FROM effect ORDER BY seq";
    static const char of_one[] = "SELECT id, decision, kind, target, outcome, found,"
                                 " requested_at_ms, settled_at_ms FROM effect WHERE decision = ?"
                                 " ORDER BY seq";
    struct statement *row =
        statement_prepare(audit->database, decision.size == 0 ? all : of_one, error);
    if (row == NULL) {
        return false;
    }
    if (decision.size > 0) {
        statement_bind_text(row, 1, decision);
    }
    enum statement_next next;
    while ((next = statement_step(row, error)) == STATEMENT_ROW) {
        struct audit_effect effect = {
            .id = statement_text(row, 0),
            .decision = statement_text(row, 1),
            .kind = statement_text(row, 2),
            .target = statement_text(row, 3),
            .outcome = statement_text(row, 4),
            .found = statement_text(row, 5),
            .requested_at_ms = statement_number(row, 6),
            .settled_at_ms = statement_number(row, 7),
        };
        if (!each(payload, &effect)) {
            break;
        }
    }
    statement_finish(row);
    return next != STATEMENT_FAILED;
}

bool audit_has_effect(struct audit *audit, struct span id, bool *out, struct error *error)
{
    struct statement *row =
        statement_prepare(audit->database, "SELECT 1 FROM effect WHERE id = ?", error);
    if (row == NULL) {
        return false;
    }
    statement_bind_text(row, 1, id);
    enum statement_next next = statement_step(row, error);
    statement_finish(row);
    *out = next == STATEMENT_ROW;
    return next != STATEMENT_FAILED;
}

bool audit_next_checkpoint(struct audit *audit, uint64_t from, uint64_t *ordinal,
                           struct sha256 *out, struct error *error)
{
    error->code = ERROR_NONE;
    struct statement *row =
        statement_prepare(audit->database,
                          "SELECT state_hash, ordinal FROM checkpoint WHERE ordinal >= ?"
                          " ORDER BY ordinal LIMIT 1",
                          error);
    if (row == NULL) {
        return false;
    }
    statement_bind_number(row, 1, from);
    bool is_found = statement_step(row, error) == STATEMENT_ROW;
    if (is_found) {
        *ordinal = statement_number(row, 1);
    }
    if (is_found && !audit_read_digest(statement_text(row, 0), out)) {
        is_found = error_set(error, ERROR_CORRUPT, "checkpoint at ordinal %llu makes no sense",
                             (unsigned long long)*ordinal);
    }
    statement_finish(row);
    return is_found;
}
