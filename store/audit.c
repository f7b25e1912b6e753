/* SPDX-License-Identifier: MIT
 * Opening an audit database, its transactions and its position. */
#include "store/audit.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "store/audit_rows.h"
#include "store/audit_schema.h"

#define GENESIS_MARK "salvor audit"

/* Origin of a file: which partition it holds. Written with the schema, read ever after. */
static bool settle_origin(struct audit *audit, uint32_t partition, struct error *error)
{
    uint64_t is_known, stored;
    if (!database_number(audit->database, "SELECT count(*) FROM origin", &is_known, error) ||
        !database_number(audit->database, "SELECT partition FROM origin", &stored, error)) {
        return false;
    }
    if (is_known != 0) {
        if (stored > UINT32_MAX || (partition != AUDIT_ANY_PARTITION && stored != partition)) {
            return error_set(error, ERROR_REFUSED, "%s: holds partition %llu, not %u",
                             database_name(audit->database), (unsigned long long)stored, partition);
        }
        audit->partition = (uint32_t)stored;
        return true;
    }
    if (audit->mode != AUDIT_WRITE) {
        return error_set(error, ERROR_CORRUPT, "%s: has lost its origin row",
                         database_name(audit->database));
    }
    CHECK(partition != AUDIT_ANY_PARTITION);
    audit->partition = partition;
    struct statement *statement = statement_prepare(
        audit->database, "INSERT INTO origin (one, partition, genesis) VALUES (1, ?, ?)", error);
    if (statement == NULL) {
        return false;
    }
    struct sha256 genesis = audit_genesis(partition);
    struct sha256_text text = sha256_text(&genesis);
    statement_bind_number(statement, 1, partition);
    statement_bind_text(statement, 2, span_of(text.text));
    bool is_written = statement_run(statement, error);
    statement_finish(statement);
    return is_written;
}

struct audit *audit_open(const char *path, enum audit_mode mode, uint32_t partition,
                         struct error *error)
{
    static const enum database_mode modes[] = {
        [AUDIT_WRITE] = DATABASE_WRITE,
        [AUDIT_PRUNE] = DATABASE_CHANGE,
        [AUDIT_READ] = DATABASE_READ,
    };
    CHECK(mode >= AUDIT_WRITE && mode <= AUDIT_READ);
    struct audit *audit = mem_zero(sizeof(*audit));
    audit->mode = mode;
    audit->database = database_open(path, modes[mode], error);
    if (audit->database == NULL) {
        goto close_audit;
    }
    if (!audit_schema_prepare(audit->database, modes[mode], error) ||
        !settle_origin(audit, partition, error) ||
        (mode != AUDIT_READ && !audit_prepare_statements(audit, error))) {
        goto close_audit;
    }
    struct audit_position position;
    audit->head = audit_genesis(audit->partition);
    if (audit_load_position(audit, &position, error)) {
        audit->head = position.audit_head;
    } else if (error->code != ERROR_NONE) {
        goto close_audit;
    }
    audit->committed_head = audit->head;
    return audit;

close_audit:
    audit_close(audit);
    return NULL;
}

void audit_close(struct audit *audit)
{
    if (audit == NULL) {
        return;
    }
    for (size_t index = 0; index < AUDIT_STATEMENT_COUNT; index++) {
        statement_finish(audit->statements[index]);
    }
    database_close(audit->database);
    buffer_fini(&audit->stream_id);
    buffer_fini(&audit->scratch);
    buffer_fini(&audit->canonical);
    mem_free(audit);
}

bool audit_load_position(struct audit *audit, struct audit_position *out, struct error *error)
{
    error->code = ERROR_NONE;
    struct statement *statement = statement_prepare(
        audit->database, "SELECT " AUDIT_POSITION_COLUMNS " FROM position", error);
    if (statement == NULL) {
        return false;
    }
    bool is_found = statement_step(statement, error) == STATEMENT_ROW;
    if (is_found && !audit_read_position(statement, 0, out)) {
        is_found = error_set(error, ERROR_CORRUPT, "the position row makes no sense");
    }
    statement_finish(statement);
    return is_found;
}

/* Takes the chain's head anew where another connection has committed since the last transaction:
 * somebody may have pruned, and told of it in the chain. */
static bool follow_chain(struct audit *audit, struct error *error)
{
    struct statement *statement = audit_statement(audit, AUDIT_STATEMENT_DATA_VERSION);
    if (statement_step(statement, error) != STATEMENT_ROW) {
        return false;
    }
    uint64_t version = statement_number(statement, 0);
    if (!statement_run(statement, error)) {
        return false;
    }
    if (version == audit->data_version) {
        return true;
    }
    struct audit_position position;
    if (audit_load_position(audit, &position, error)) {
        audit->head = audit->committed_head = position.audit_head;
    } else if (error->code != ERROR_NONE) {
        return false;
    }
    audit->data_version = version;
    return true;
}

bool audit_begin(struct audit *audit, struct error *error)
{
    CHECK(audit->mode != AUDIT_READ);
    CHECK(!database_has_transaction(audit->database));
    if (!database_run(audit->database, "BEGIN IMMEDIATE", error)) {
        return false;
    }
    if (!follow_chain(audit, error)) {
        audit_rollback(audit);
        return false;
    }
    return true;
}

bool audit_commit(struct audit *audit, struct error *error)
{
    CHECK(database_has_transaction(audit->database));
    CHECK(!audit->is_position_due);
    if (!database_commit(audit->database, error)) {
        audit_rollback(audit);
        return false;
    }
    audit->committed_head = audit->head;
    return true;
}

void audit_rollback(struct audit *audit)
{
    database_rollback(audit->database);
    audit->head = audit->committed_head;
    audit->is_position_due = false;
}

bool audit_skip_sync(struct audit *audit, struct error *error)
{
    CHECK(audit->mode == AUDIT_WRITE);
    return database_run(audit->database, "PRAGMA synchronous = OFF", error);
}

void audit_checkpoint_wal(struct audit *audit)
{
    CHECK(!database_has_transaction(audit->database));
    database_fold_wal(audit->database);
}

struct sha256 audit_head(const struct audit *audit)
{
    return audit->head;
}

struct sha256 audit_genesis(uint32_t partition)
{
    struct buffer bytes = {0};
    buffer_put_text(&bytes, GENESIS_MARK);
    buffer_put_varint(&bytes, partition);
    buffer_put_varint(&bytes, 0);        /* timeline */
    buffer_put_varint(&bytes, 0);        /* ordinal */
    buffer_put_sized(&bytes, SPAN_NONE); /* hash of the snapshot that it goes on from */
    struct sha256 genesis = sha256_of(buffer_span(&bytes));
    buffer_fini(&bytes);
    return genesis;
}

struct sha256 audit_next_head(const struct sha256 *head, const struct decision *decision,
                              struct buffer *scratch)
{
    buffer_reset(scratch);
    decision_put_canonical(scratch, decision);
    return sha256_chain(head, buffer_span(scratch));
}
