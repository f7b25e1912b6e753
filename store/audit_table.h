/* SPDX-License-Identifier: MIT
 * The tables of an audit row by row, as they stand: what an export reads. One statement, so one
 * moment. */
#ifndef SALVOR_STORE_AUDIT_TABLE_H
#define SALVOR_STORE_AUDIT_TABLE_H

#include "store/audit.h"
#include "store/database.h"

#define AUDIT_TABLE_COLUMNS_MAX 32

struct audit_table {
    const char *name;
    bool has_ordinal;       /* its rows know that of their entry */
    const char *sql;        /* all rows, in the order in which they were written */
    const char *sql_of_job; /* those about one job; NULL: the table has none */
};

/* Ended by a line without a name. */
extern const struct audit_table audit_tables[];

struct audit_cell {
    const char *name;
    enum column_kind kind;
    uint64_t number;  /* of a COLUMN_NUMBER */
    struct span text; /* of a COLUMN_TEXT or a COLUMN_BLOB */
};

/* A row and the entry that it is about; texts live until the next one is read. */
struct audit_row {
    struct audit_cell cells[AUDIT_TABLE_COLUMNS_MAX];
    uint32_t count;
    bool has_entry; /* false: an effect whose decision was replaced */
    struct stream_id stream_id;
    uint64_t ordinal; /* 0 where the table has none */
};

struct audit_walk;

/* All rows, or those of one job (empty: of all), which is borrowed. NULL on error. */
struct audit_walk *audit_walk_open(struct audit *audit, const struct audit_table *table,
                                   struct span job, struct error *error);
/* The cells' names, and how many they are. */
void audit_walk_columns(struct audit_walk *walk, struct audit_row *out);
enum audit_next audit_walk_next(struct audit_walk *walk, struct audit_row *out,
                                struct error *error);
/* Accepts NULL. */
void audit_walk_close(struct audit_walk *walk);

#endif
