/* SPDX-License-Identifier: MIT
 * Snapshots: the state's bytes in chunks, since one value of SQLite is bounded and read whole. */
#include "store/audit_rows.h"

#include "base/check.h"

#define CHUNK_SIZE     ((size_t)1 << 20)
#define SNAPSHOTS_KEPT 2
#define STATE_SIZE_MAX ((size_t)1 << 30)

static bool put_chunks(struct audit *audit, uint64_t ordinal, struct span state,
                       struct error *error)
{
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_CHUNK);
    for (uint64_t number = 0; state.size > 0; number++) {
        size_t size = state.size < CHUNK_SIZE ? state.size : CHUNK_SIZE;
        statement_bind_number(statement, 1, ordinal);
        statement_bind_number(statement, 2, number);
        statement_bind_blob(statement, 3, (struct span){state.data, size});
        if (!audit_run(audit, statement, error)) {
            return false;
        }
        state = (struct span){state.data + size, state.size - size};
    }
    return true;
}

bool audit_put_snapshot(struct audit *audit, const struct audit_position *position,
                        struct span state, struct error *error)
{
    CHECK(state.size > 0);
    CHECK(state.size <= STATE_SIZE_MAX);
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_SNAPSHOT);
    struct audit_position_texts texts;
    audit_bind_position(audit, statement, position, &texts);
    struct sha256 digest = sha256_of(state);
    struct sha256_text text = sha256_text(&digest);
    statement_bind_number(statement, AUDIT_POSITION_COLUMN_COUNT + 1, state.size);
    statement_bind_text(statement, AUDIT_POSITION_COLUMN_COUNT + 2, span_of(text.text));
    if (!audit_run(audit, statement, error)) {
        return false;
    }
    struct statement *forget_chunks = audit_statement(audit, AUDIT_STATEMENT_FORGET_CHUNKS);
    statement_bind_number(forget_chunks, 1, position->ordinal);
    statement_bind_number(forget_chunks, 2, SNAPSHOTS_KEPT);
    struct statement *forget_snapshots = audit_statement(audit, AUDIT_STATEMENT_FORGET_SNAPSHOTS);
    statement_bind_number(forget_snapshots, 1, SNAPSHOTS_KEPT);
    return audit_run(audit, forget_chunks, error) && audit_run(audit, forget_snapshots, error) &&
           put_chunks(audit, position->ordinal, state, error);
}

/* One statement reads the row and its chunks, so that a writer beside us cannot come between. */
static const char load_text[] =
    "SELECT " AUDIT_POSITION_COLUMNS ", size, sha256, bytes"
    " FROM snapshot LEFT JOIN snapshot_chunk USING (ordinal)"
    " WHERE ordinal = (SELECT max(ordinal) FROM snapshot WHERE ordinal <= ?) ORDER BY number";

/* Appends the rows' chunks. The first row was stepped to; `*size` and `*digest` are of that row. */
static bool read_chunks(struct statement *statement, uint64_t size, struct buffer *state,
                        struct error *error)
{
    size_t start = state->size;
    enum statement_next next = STATEMENT_ROW;
    while (next == STATEMENT_ROW) {
        struct span chunk = statement_text(statement, AUDIT_POSITION_COLUMN_COUNT + 2);
        if (chunk.size > size - (state->size - start)) {
            return error_set(error, ERROR_CORRUPT, "more bytes than it had");
        }
        buffer_put_span(state, chunk);
        next = statement_step(statement, error);
    }
    if (next == STATEMENT_DONE && state->size - start != size) {
        return error_set(error, ERROR_CORRUPT, "fewer bytes than it had");
    }
    return next == STATEMENT_DONE;
}

static bool read_snapshot(struct statement *statement, struct audit_position *position,
                          struct buffer *state, struct error *error)
{
    struct sha256 stored;
    uint64_t size = statement_number(statement, AUDIT_POSITION_COLUMN_COUNT);
    if (!audit_read_position(statement, 0, position) || size > STATE_SIZE_MAX ||
        !audit_read_digest(statement_text(statement, AUDIT_POSITION_COLUMN_COUNT + 1), &stored)) {
        return error_set(error, ERROR_CORRUPT, "its row makes no sense");
    }
    size_t start = state->size;
    if (!read_chunks(statement, size, state, error)) {
        return false;
    }
    struct sha256 digest = sha256_of((struct span){state->data + start, state->size - start});
    return sha256_equal(&digest, &stored) ||
           error_set(error, ERROR_CORRUPT, "its bytes are not what was written");
}

bool audit_load_snapshot(struct audit *audit, uint64_t ordinal, struct audit_position *position,
                         struct buffer *state, struct error *error)
{
    error->code = ERROR_NONE;
    struct statement *statement = statement_prepare(audit->database, load_text, error);
    if (statement == NULL) {
        return false;
    }
    /* Numbers are signed in SQLite: "whatever there is" stays the largest. */
    statement_bind_number(statement, 1, ordinal > INT64_MAX ? INT64_MAX : ordinal);
    bool is_loaded = false;
    if (statement_step(statement, error) == STATEMENT_ROW) {
        size_t start = state->size;
        is_loaded = read_snapshot(statement, position, state, error);
        if (!is_loaded) {
            state->size = start;
            error_wrap(error, "snapshot at or before ordinal %llu", (unsigned long long)ordinal);
        }
    }
    statement_finish(statement);
    return is_loaded;
}

bool audit_older_snapshot(struct audit *audit, uint64_t *ordinal, struct error *error)
{
    struct statement *statement = statement_prepare(
        audit->database, "SELECT ordinal FROM snapshot ORDER BY ordinal DESC LIMIT 1 OFFSET 1",
        error);
    if (statement == NULL) {
        return false;
    }
    enum statement_next next = statement_step(statement, error);
    *ordinal = next == STATEMENT_ROW ? statement_number(statement, 0) : 0;
    statement_finish(statement);
    return next == STATEMENT_ROW || next == STATEMENT_DONE;
}
