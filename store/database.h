/* SPDX-License-Identifier: MIT
 * The one door to SQLite: a connection, its statements, and SQLite's results as errors of ours. */
#ifndef SALVOR_STORE_DATABASE_H
#define SALVOR_STORE_DATABASE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct database;
struct statement;

enum database_mode { DATABASE_WRITE = 1, DATABASE_CHANGE, DATABASE_READ };

/* Opens the file; DATABASE_WRITE creates it, DATABASE_CHANGE writes to one that is there. Nothing
 * is written yet. DATABASE_READ also opens a file that was cleanly closed in a directory where
 * nothing may be created. NULL on error. */
struct database *database_open(const char *path, enum database_mode mode, struct error *error);
/* Every statement must have been finished. Accepts NULL. */
void database_close(struct database *database);
/* What messages call the file. */
const char *database_name(const struct database *database);
/* Runs SQL that gives no rows; several statements are allowed. */
bool database_run(struct database *database, const char *sql, struct error *error);
/* The first column of the first row, 0 when there is none. */
bool database_number(struct database *database, const char *sql, uint64_t *out,
                     struct error *error);
/* Turns the file to write-ahead logging, for good. */
bool database_use_wal(struct database *database, struct error *error);
/* Commits. An I/O error or a corruption ends the process with exit code 3: a failed commit may have
 * been kept all the same, and only the file, read again, tells. */
bool database_commit(struct database *database, struct error *error);
/* Harmless without a transaction. */
void database_rollback(struct database *database);
bool database_has_transaction(const struct database *database);
/* Rows that the last statement changed. */
uint64_t database_changes(const struct database *database);
/* Folds the WAL back into the file and empties it; readers may keep it from that. */
void database_fold_wal(struct database *database);
/* Called now and then while a copy is made; false ends it. */
typedef bool (*database_copy_fn)(void *payload, uint64_t pages, uint64_t total);
/* Copies the file as it is at this moment into the existing empty file at `path`, which then needs
 * no WAL; a writer goes on meanwhile. Not synced. `each` may be NULL; when it returns false the
 * error is STOPPED. */
bool database_copy(struct database *database, const char *path, database_copy_fn each,
                   void *payload, struct error *error);

/* NULL on error. The caller owns the result and finishes it before the database is closed. */
struct statement *statement_prepare(struct database *database, const char *sql,
                                    struct error *error);
/* Accepts NULL. */
void statement_finish(struct statement *statement);

/* Parameters count from 1. Texts and blobs are borrowed until the statement has run. A number
 * above INT64_MAX is kept as the negative number of the same 64 bits. */
void statement_bind_number(struct statement *statement, int parameter, uint64_t number);
void statement_bind_null(struct statement *statement, int parameter);
void statement_bind_text(struct statement *statement, int parameter, struct span text);
void statement_bind_blob(struct statement *statement, int parameter, struct span blob);

enum statement_next { STATEMENT_ROW = 1, STATEMENT_DONE, STATEMENT_FAILED };
/* DONE and FAILED reset the statement; its parameters stay. */
enum statement_next statement_step(struct statement *statement, struct error *error);
/* Ends a walk before its last row; its parameters stay. */
void statement_reset(struct statement *statement);
/* For statements without rows: one step to DONE. */
__attribute__((warn_unused_result)) bool statement_run(struct statement *statement,
                                                       struct error *error);

int statement_column_count(struct statement *statement);
/* Borrowed until the statement is finished. */
const char *statement_column_name(struct statement *statement, int column);
enum column_kind { COLUMN_NULL = 1, COLUMN_NUMBER, COLUMN_TEXT, COLUMN_BLOB };
enum column_kind statement_column_kind(struct statement *statement, int column);
/* Columns count from 0 and are borrowed until the next step. NULL reads as 0 or the empty span. */
uint64_t statement_number(struct statement *statement, int column);
bool statement_is_number(struct statement *statement, int column);
struct span statement_text(struct statement *statement, int column);

#endif
