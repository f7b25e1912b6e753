/* SPDX-License-Identifier: MIT
 * The rows of a transaction. */
#include "store/audit_rows.h"

#include "base/check.h"
#include "store/audit_prune.h"

#define PLACEHOLDER(name, text) "?, "

static const char *const statement_texts[AUDIT_STATEMENT_COUNT] = {
    [AUDIT_STATEMENT_DECISION] = "INSERT INTO decision (" AUDIT_DECISION_COLUMNS "hash) "
                                 "VALUES (" DECISION_COLUMNS(PLACEHOLDER) "?)",
    [AUDIT_STATEMENT_REQUEST] =
        "INSERT INTO effect (id, decision, kind, target, requested_at_ms, settled_at_ms, outcome,"
        " found) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [AUDIT_STATEMENT_SETTLE] =
        "UPDATE effect SET settled_at_ms = ?2, outcome = ?3, found = ?4 WHERE id = ?1",
    [AUDIT_STATEMENT_POLICY] =
        "INSERT INTO policy (hash, stream_id, at_ms, text) VALUES (?, ?, ?, ?)",
    [AUDIT_STATEMENT_LEADERSHIP] =
        "INSERT INTO leadership (epoch, timeline, owner, stream_id, at_ms) VALUES (?, ?, ?, ?, ?)",
    [AUDIT_STATEMENT_QUARANTINE] =
        "INSERT INTO quarantine (stream_id, at_ms, reason, raw) VALUES (?, ?, ?, ?)",
    [AUDIT_STATEMENT_CHECKPOINT] =
        "INSERT OR REPLACE INTO checkpoint (ordinal, stream_id, state_hash) VALUES (?, ?, ?)",
    [AUDIT_STATEMENT_POSITION] = "INSERT OR REPLACE INTO position (one, " AUDIT_POSITION_COLUMNS
                                 ") VALUES (1, ?, ?, ?, ?, ?, ?)",
    [AUDIT_STATEMENT_SNAPSHOT] = "INSERT OR REPLACE INTO snapshot (" AUDIT_POSITION_COLUMNS
                                 ", size, sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [AUDIT_STATEMENT_CHUNK] =
        "INSERT INTO snapshot_chunk (ordinal, number, bytes) VALUES (?, ?, ?)",
    /* Chunks of a snapshot that is being replaced, and of those that are forgotten below. */
    [AUDIT_STATEMENT_FORGET_CHUNKS] =
        "DELETE FROM snapshot_chunk WHERE ordinal = ?1 OR ordinal NOT IN"
        " (SELECT ordinal FROM snapshot ORDER BY ordinal DESC LIMIT ?2)",
    [AUDIT_STATEMENT_FORGET_SNAPSHOTS] =
        "DELETE FROM snapshot WHERE ordinal NOT IN"
        " (SELECT ordinal FROM snapshot ORDER BY ordinal DESC LIMIT ?1)",
    [AUDIT_STATEMENT_DATA_VERSION] = "PRAGMA data_version",
};

bool audit_prepare_statements(struct audit *audit, struct error *error)
{
    for (size_t index = 0; index < AUDIT_STATEMENT_COUNT; index++) {
        audit->statements[index] =
            statement_prepare(audit->database, statement_texts[index], error);
        if (audit->statements[index] == NULL) {
            return false;
        }
    }
    return true;
}

struct statement *audit_statement(struct audit *audit, enum audit_statement which)
{
    CHECK(audit->mode != AUDIT_READ);
    CHECK(database_has_transaction(audit->database));
    return audit->statements[which];
}

bool audit_run(struct audit *audit, struct statement *statement, struct error *error)
{
    if (!statement_run(statement, error)) {
        audit_rollback(audit);
        return false;
    }
    return true;
}

/* The id as text, borrowed until the next call. */
static struct span stream_id_text(struct audit *audit, struct stream_id id)
{
    buffer_reset(&audit->stream_id);
    stream_id_put(&audit->stream_id, id);
    return buffer_span(&audit->stream_id);
}

bool audit_append(struct audit *audit, const struct decision *decision, struct error *error)
{
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_DECISION);
    for (int index = 0; index < DECISION_COLUMN_COUNT; index++) {
        struct column_value value =
            decision_column(decision, (enum decision_column)index, &audit->scratch);
        if (value.is_number) {
            statement_bind_number(statement, index + 1, value.number);
        } else {
            statement_bind_text(statement, index + 1, value.text);
        }
    }
    struct sha256 head = audit_next_head(&audit->head, decision, &audit->canonical);
    struct sha256_text text = sha256_text(&head);
    statement_bind_text(statement, DECISION_COLUMN_COUNT + 1, span_of(text.text));
    if (!audit_run(audit, statement, error)) {
        return false;
    }
    audit->head = head;
    audit->is_position_due = true;
    return true;
}

static bool request_effect(struct audit *audit, const struct effect_change *change,
                           struct error *error)
{
    CHECK(change->kind != EFFECT_NONE);
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_REQUEST);
    bool is_open = change->outcome == OUTCOME_NONE;
    statement_bind_text(statement, 1, change->id);
    statement_bind_text(statement, 2, change->decision);
    statement_bind_text(statement, 3, span_of(effect_kind_text(change->kind)));
    statement_bind_text(statement, 4, change->target);
    statement_bind_number(statement, 5, change->at_ms);
    if (is_open) {
        statement_bind_null(statement, 6);
    } else {
        statement_bind_number(statement, 6, change->at_ms);
    }
    statement_bind_text(statement, 7,
                        is_open ? SPAN_NONE : span_of(effect_outcome_text(change->outcome)));
    statement_bind_text(statement, 8, change->found);
    return audit_run(audit, statement, error);
}

/* An outcome that was withdrawn may still come, long after its row went. */
static bool check_pruned(struct audit *audit, struct span id, struct error *error)
{
    bool is_pruned = false;
    bool is_known = audit_is_pruned(audit, id, &is_pruned, error);
    if (is_known && is_pruned) {
        return true;
    }
    audit_rollback(audit);
    return is_known &&
           error_set(error, ERROR_CORRUPT, "effect %.*s is settled, but was never requested",
                     SPAN_FORMAT(id));
}

bool audit_change_effect(struct audit *audit, const struct effect_change *change,
                         struct error *error)
{
    if (change->decision.size > 0) {
        return request_effect(audit, change, error);
    }
    CHECK(change->outcome != OUTCOME_NONE);
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_SETTLE);
    statement_bind_text(statement, 1, change->id);
    statement_bind_number(statement, 2, change->at_ms);
    statement_bind_text(statement, 3, span_of(effect_outcome_text(change->outcome)));
    statement_bind_text(statement, 4, change->found);
    if (!audit_run(audit, statement, error)) {
        return false;
    }
    return database_changes(audit->database) == 1 || check_pruned(audit, change->id, error);
}

bool audit_put_policy(struct audit *audit, struct span hash, struct stream_id stream_id,
                      struct span text, struct error *error)
{
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_POLICY);
    statement_bind_text(statement, 1, hash);
    statement_bind_text(statement, 2, stream_id_text(audit, stream_id));
    statement_bind_number(statement, 3, stream_id.ms);
    statement_bind_text(statement, 4, text);
    return audit_run(audit, statement, error);
}

bool audit_put_leadership(struct audit *audit, uint64_t epoch, uint64_t timeline, struct span owner,
                          struct stream_id stream_id, struct error *error)
{
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_LEADERSHIP);
    statement_bind_number(statement, 1, epoch);
    statement_bind_number(statement, 2, timeline);
    statement_bind_text(statement, 3, owner);
    statement_bind_text(statement, 4, stream_id_text(audit, stream_id));
    statement_bind_number(statement, 5, stream_id.ms);
    return audit_run(audit, statement, error);
}

bool audit_put_quarantine(struct audit *audit, struct stream_id stream_id, struct span reason,
                          struct span raw, struct error *error)
{
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_QUARANTINE);
    statement_bind_text(statement, 1, stream_id_text(audit, stream_id));
    statement_bind_number(statement, 2, stream_id.ms);
    statement_bind_text(statement, 3, reason);
    statement_bind_blob(statement, 4, raw);
    return audit_run(audit, statement, error);
}

bool audit_put_checkpoint(struct audit *audit, uint64_t ordinal, struct stream_id stream_id,
                          const struct sha256 *state_hash, struct error *error)
{
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_CHECKPOINT);
    struct sha256_text text = sha256_text(state_hash);
    statement_bind_number(statement, 1, ordinal);
    statement_bind_text(statement, 2, stream_id_text(audit, stream_id));
    statement_bind_text(statement, 3, span_of(text.text));
    return audit_run(audit, statement, error);
}

void audit_bind_position(struct audit *audit, struct statement *statement,
                         const struct audit_position *position, struct audit_position_texts *texts)
{
    texts->entry = sha256_text(&position->entry_sha256);
    texts->head = sha256_text(&audit->head);
    statement_bind_number(statement, 1, position->timeline);
    statement_bind_text(statement, 2, stream_id_text(audit, position->stream_id));
    statement_bind_number(statement, 3, position->ordinal);
    statement_bind_number(statement, 4, position->epoch);
    statement_bind_text(statement, 5, span_of(texts->entry.text));
    statement_bind_text(statement, 6, span_of(texts->head.text));
}

bool audit_put_position(struct audit *audit, const struct audit_position *position,
                        struct error *error)
{
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_POSITION);
    struct audit_position_texts texts;
    audit_bind_position(audit, statement, position, &texts);
    if (!audit_run(audit, statement, error)) {
        return false;
    }
    audit->is_position_due = false;
    return true;
}
