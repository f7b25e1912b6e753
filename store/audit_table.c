/* SPDX-License-Identifier: MIT */
#include "store/audit_table.h"

#include "base/alloc.h"
#include "base/check.h"
#include "store/audit_rows.h"

/* Each statement gives the table's columns and, behind them, the stream id and the ordinal of the
 * row's entry. */
#define ENTRY_COLUMNS 2

const struct audit_table audit_tables[] = {
    {.name = "decision",
     .has_ordinal = true,
     .sql = "SELECT *, stream_id, ordinal FROM decision ORDER BY seq",
     .sql_of_job = "SELECT *, stream_id, ordinal FROM decision"
                   " WHERE job = ? AND job <> '' ORDER BY seq"},
    {.name = "effect",
     .has_ordinal = true,
     .sql = "SELECT e.*, d.stream_id, d.ordinal FROM effect AS e LEFT JOIN decision AS d"
            " ON d.id = e.decision AND d.superseded_by IS NULL ORDER BY e.seq",
     .sql_of_job = "SELECT e.*, d.stream_id, d.ordinal FROM decision AS d"
                   " JOIN effect AS e ON e.decision = d.id"
                   " WHERE d.job = ? AND d.job <> '' AND d.superseded_by IS NULL ORDER BY e.seq"},
    {.name = "policy", .sql = "SELECT *, stream_id, 0 FROM policy ORDER BY seq"},
    {.name = "leadership", .sql = "SELECT *, stream_id, 0 FROM leadership ORDER BY epoch"},
    {.name = "quarantine", .sql = "SELECT *, stream_id, 0 FROM quarantine ORDER BY seq"},
    {.name = "checkpoint",
     .has_ordinal = true,
     .sql = "SELECT *, stream_id, ordinal FROM checkpoint ORDER BY ordinal"},
    {.name = NULL},
};

struct audit_walk {
    struct statement *statement; /* owned */
    uint32_t count;              /* of the table's own columns */
};

struct audit_walk *audit_walk_open(struct audit *audit, const struct audit_table *table,
                                   struct span job, struct error *error)
{
    CHECK(job.size == 0 || table->sql_of_job != NULL);
    struct statement *statement =
        statement_prepare(audit->database, job.size > 0 ? table->sql_of_job : table->sql, error);
    if (statement == NULL) {
        return NULL;
    }
    if (job.size > 0) {
        statement_bind_text(statement, 1, job);
    }
    int count = statement_column_count(statement) - ENTRY_COLUMNS;
    CHECK(count > 0 && count <= AUDIT_TABLE_COLUMNS_MAX);
    struct audit_walk *walk = mem_zero(sizeof(*walk));
    *walk = (struct audit_walk){.statement = statement, .count = (uint32_t)count};
    return walk;
}

void audit_walk_columns(struct audit_walk *walk, struct audit_row *out)
{
    out->count = walk->count;
    for (uint32_t i = 0; i < walk->count; i++) {
        out->cells[i].name = statement_column_name(walk->statement, (int)i);
    }
}

enum audit_next audit_walk_next(struct audit_walk *walk, struct audit_row *out, struct error *error)
{
    enum statement_next next = statement_step(walk->statement, error);
    if (next != STATEMENT_ROW) {
        return next == STATEMENT_DONE ? AUDIT_END : AUDIT_ERROR;
    }
    audit_walk_columns(walk, out);
    for (uint32_t i = 0; i < walk->count; i++) {
        struct audit_cell *cell = &out->cells[i];
        cell->kind = statement_column_kind(walk->statement, (int)i);
        cell->number = 0;
        cell->text = SPAN_NONE;
        if (cell->kind == COLUMN_NUMBER) {
            cell->number = statement_number(walk->statement, (int)i);
        } else {
            cell->text = statement_text(walk->statement, (int)i);
        }
    }
    int entry = (int)walk->count;
    out->has_entry = stream_id_parse(statement_text(walk->statement, entry), &out->stream_id);
    out->ordinal = statement_number(walk->statement, entry + 1);
    return AUDIT_ROW;
}

void audit_walk_close(struct audit_walk *walk)
{
    if (walk != NULL) {
        statement_finish(walk->statement);
        mem_free(walk);
    }
}
