/* SPDX-License-Identifier: MIT */
#include "store/database.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"

#define BUSY_TIMEOUT_MS   2000
#define NAME_SIZE_MAX     120
#define COPY_PAGES        256 /* a step of a copy: 1 MiB */
#define EXIT_FAILED       3   /* what `salvor` exits with on an operating failure */
#define WAL_SUFFIX        "-wal"
#define URI_PREFIX        "file:"
#define URI_IMMUTABLE     "?immutable=1"
#define URI_BYTE_SIZE_MAX 3 /* "%41" */

struct database {
    sqlite3 *handle; /* owned */
    char *name;      /* owned; what messages call the file */
};

struct statement {
    sqlite3_stmt *handle;            /* owned */
    const struct database *database; /* borrowed; outlives the statement */
};

static enum error_code code_of(int result)
{
    switch (result & 0xff) {
    case SQLITE_FULL:
        return ERROR_DISK_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERROR_BUSY;
    case SQLITE_READONLY:
        return ERROR_REFUSED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
        return ERROR_CORRUPT;
    default:
        return ERROR_IO;
    }
}

static bool fail(const struct database *database, int result, struct error *error)
{
    CHECK(result != SQLITE_NOMEM);
    CHECK(result != SQLITE_MISUSE);
    return error_set(error, code_of(result), "%s: %s (SQLite result %d)", database->name,
                     sqlite3_errmsg(database->handle), result);
}

/* What SQLite calls unable to open or a disk error is told as what stands there. */
static void fail_open(const struct database *database, const char *path, int result,
                      struct error *error)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        error_set(error, ERROR_IO, "%s: %s", database->name,
                  errno == ENOENT ? "no such file" : strerror(errno));
    } else if (S_ISDIR(status.st_mode)) {
        error_set(error, ERROR_IO, "%s: is a directory", database->name);
    } else {
        fail(database, result, error);
    }
}

static bool file_exists(const char *path, const char *suffix)
{
    char *whole = sqlite3_mprintf("%s%s", path, suffix);
    CHECK(whole != NULL);
    bool exists = access(whole, F_OK) == 0;
    sqlite3_free(whole);
    return exists;
}

/* A WAL file without its WAL needs a directory to make one in, unless SQLite is told that nobody
 * changes it. That holds where even we may not create a file and no writer has left a WAL. */
static int open_immutable(struct database *database, const char *path)
{
    struct buffer uri = {0};
    buffer_put_text(&uri, URI_PREFIX);
    for (const char *byte = path; *byte != '\0'; byte++) {
        char escape[URI_BYTE_SIZE_MAX + 1];
        snprintf(escape, sizeof(escape), "%%%02X", (unsigned)(unsigned char)*byte);
        buffer_put_text(&uri, *byte == '/' ? "/" : escape);
    }
    buffer_put(&uri, URI_IMMUTABLE, sizeof(URI_IMMUTABLE));
    sqlite3_close(database->handle);
    int result =
        sqlite3_open_v2(uri.data, &database->handle,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    buffer_fini(&uri);
    return result;
}

/* Opening reads nothing: the first look at the file shows whether it can be read. */
static int look(struct database *database)
{
    return sqlite3_exec(database->handle, "PRAGMA schema_version", NULL, NULL, NULL);
}

struct database *database_open(const char *path, enum database_mode mode, struct error *error)
{
    struct database *database = mem_zero(sizeof(*database));
    const char *slash = strrchr(path, '/');
    bool is_told_whole = mode == DATABASE_READ && strlen(path) <= NAME_SIZE_MAX;
    const char *name = slash == NULL || is_told_whole ? path : slash + 1;
    database->name = memcpy(mem_zero(strlen(name) + 1), name, strlen(name));
    static const int flags_of[] = {
        [DATABASE_WRITE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
        [DATABASE_CHANGE] = SQLITE_OPEN_READWRITE,
        [DATABASE_READ] = SQLITE_OPEN_READONLY,
    };
    int result =
        sqlite3_open_v2(path, &database->handle, flags_of[mode] | SQLITE_OPEN_NOMUTEX, NULL);
    CHECK(database->handle != NULL);
    if (result == SQLITE_OK) {
        sqlite3_busy_timeout(database->handle, BUSY_TIMEOUT_MS);
        result = look(database);
    }
    bool lacks_wal = result == SQLITE_CANTOPEN || result == SQLITE_READONLY;
    if (lacks_wal && mode == DATABASE_READ && file_exists(path, "") &&
        !file_exists(path, WAL_SUFFIX)) {
        result = open_immutable(database, path);
        result = result == SQLITE_OK ? look(database) : result;
    }
    if (result != SQLITE_OK) {
        fail_open(database, path, result, error);
        database_close(database);
        return NULL;
    }
    sqlite3_extended_result_codes(database->handle, 1);
    return database;
}

void database_close(struct database *database)
{
    if (database == NULL) {
        return;
    }
    CHECK(sqlite3_close(database->handle) == SQLITE_OK);
    mem_free(database->name);
    mem_free(database);
}

const char *database_name(const struct database *database)
{
    return database->name;
}

bool database_run(struct database *database, const char *sql, struct error *error)
{
    int result = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
    return result == SQLITE_OK || fail(database, result, error);
}

bool database_number(struct database *database, const char *sql, uint64_t *out, struct error *error)
{
    struct statement *statement = statement_prepare(database, sql, error);
    if (statement == NULL) {
        return false;
    }
    enum statement_next next = statement_step(statement, error);
    *out = next == STATEMENT_ROW ? statement_number(statement, 0) : 0;
    statement_finish(statement);
    return next != STATEMENT_FAILED;
}

bool database_use_wal(struct database *database, struct error *error)
{
    struct statement *statement = statement_prepare(database, "PRAGMA journal_mode = WAL", error);
    if (statement == NULL) {
        return false;
    }
    enum statement_next next = statement_step(statement, error);
    bool is_wal = next == STATEMENT_ROW && span_is(statement_text(statement, 0), "wal");
    statement_finish(statement);
    return is_wal || (next == STATEMENT_ROW &&
                      error_set(error, ERROR_IO, "%s: write-ahead logging is not possible there",
                                database->name));
}

bool database_commit(struct database *database, struct error *error)
{
    int result = sqlite3_exec(database->handle, "COMMIT", NULL, NULL, NULL);
    if (result == SQLITE_OK) {
        return true;
    }
    fail(database, result, error);
    int primary = result & 0xff;
    if (primary == SQLITE_IOERR || primary == SQLITE_CORRUPT) {
        log_fact(LOG_ERROR, "commit_in_doubt", "error", error->message, "action",
                 "the process ends; the file tells what was kept", NULL);
        _exit(EXIT_FAILED);
    }
    return false;
}

void database_rollback(struct database *database)
{
    if (database_has_transaction(database)) {
        sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
        CHECK(!database_has_transaction(database));
    }
}

bool database_has_transaction(const struct database *database)
{
    return sqlite3_get_autocommit(database->handle) == 0;
}

uint64_t database_changes(const struct database *database)
{
    return (uint64_t)sqlite3_changes64(database->handle);
}

void database_fold_wal(struct database *database)
{
    int result =
        sqlite3_wal_checkpoint_v2(database->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (result != SQLITE_OK) {
        log_fact(LOG_WARNING, "wal_not_folded", "file", database->name, "error",
                 sqlite3_errmsg(database->handle), NULL);
    }
}

/* The copy is made in steps, so that it can be shown and ended. The open transaction keeps the
 * moment: without it every commit of the writer would begin the copy anew. */
static bool copy_pages(struct database *from, sqlite3 *to, database_copy_fn each, void *payload,
                       struct error *error)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from->handle, "main");
    if (backup == NULL) {
        return error_set(error, ERROR_IO, "the copy: %s", sqlite3_errmsg(to));
    }
    int result = SQLITE_OK;
    bool is_wanted = true;
    while (result == SQLITE_OK && is_wanted) {
        result = sqlite3_backup_step(backup, COPY_PAGES);
        uint64_t total = (uint64_t)sqlite3_backup_pagecount(backup);
        is_wanted = each == NULL ||
                    each(payload, total - (uint64_t)sqlite3_backup_remaining(backup), total);
    }
    int finished = sqlite3_backup_finish(backup);
    if (result == SQLITE_DONE) {
        return true;
    }
    if (!is_wanted && result == SQLITE_OK) {
        return error_set(error, ERROR_STOPPED, "asked to stop");
    }
    result = finished != SQLITE_OK ? finished : result;
    return error_set(error, code_of(result), "the copy: %s (SQLite result %d)",
                     sqlite3_errstr(result), result);
}

bool database_copy(struct database *database, const char *path, database_copy_fn each,
                   void *payload, struct error *error)
{
    sqlite3 *to = NULL;
    int result = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    CHECK(to != NULL);
    bool is_copied = false;
    if (result == SQLITE_OK) {
        result = sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL,
                              NULL);
    }
    if (result != SQLITE_OK) {
        error_set(error, code_of(result), "the copy: %s", sqlite3_errmsg(to));
        goto close_copy;
    }
    if (!database_run(database, "BEGIN; SELECT count(*) FROM sqlite_schema", error)) {
        database_rollback(database);
        goto close_copy;
    }
    is_copied = copy_pages(database, to, each, payload, error);
    database_rollback(database);
    if (is_copied) {
        result = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
        is_copied = result == SQLITE_OK ||
                    error_set(error, code_of(result), "the copy: %s", sqlite3_errmsg(to));
    }
close_copy:
    CHECK(sqlite3_close(to) == SQLITE_OK);
    return is_copied;
}

struct statement *statement_prepare(struct database *database, const char *sql, struct error *error)
{
    sqlite3_stmt *handle = NULL;
    int result =
        sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);
    if (result != SQLITE_OK) {
        fail(database, result, error);
        return NULL;
    }
    struct statement *statement = mem_zero(sizeof(*statement));
    *statement = (struct statement){.handle = handle, .database = database};
    return statement;
}

void statement_finish(struct statement *statement)
{
    if (statement != NULL) {
        sqlite3_finalize(statement->handle);
        mem_free(statement);
    }
}

void statement_bind_number(struct statement *statement, int parameter, uint64_t number)
{
    CHECK(sqlite3_bind_int64(statement->handle, parameter, (sqlite3_int64)number) == SQLITE_OK);
}

void statement_bind_null(struct statement *statement, int parameter)
{
    CHECK(sqlite3_bind_null(statement->handle, parameter) == SQLITE_OK);
}

void statement_bind_text(struct statement *statement, int parameter, struct span text)
{
    const char *data = text.size == 0 ? "" : text.data;
    CHECK(sqlite3_bind_text64(statement->handle, parameter, data, text.size, SQLITE_STATIC,
                              SQLITE_UTF8) == SQLITE_OK);
}

void statement_bind_blob(struct statement *statement, int parameter, struct span blob)
{
    const char *data = blob.size == 0 ? "" : blob.data;
    CHECK(sqlite3_bind_blob64(statement->handle, parameter, data, blob.size, SQLITE_STATIC) ==
          SQLITE_OK);
}

enum statement_next statement_step(struct statement *statement, struct error *error)
{
    int result = sqlite3_step(statement->handle);
    if (result == SQLITE_ROW) {
        return STATEMENT_ROW;
    }
    if (result != SQLITE_DONE) {
        fail(statement->database, result, error);
    }
    sqlite3_reset(statement->handle);
    return result == SQLITE_DONE ? STATEMENT_DONE : STATEMENT_FAILED;
}

void statement_reset(struct statement *statement)
{
    sqlite3_reset(statement->handle);
}

bool statement_run(struct statement *statement, struct error *error)
{
    enum statement_next next = statement_step(statement, error);
    CHECK(next != STATEMENT_ROW);
    return next == STATEMENT_DONE;
}

int statement_column_count(struct statement *statement)
{
    return sqlite3_column_count(statement->handle);
}

const char *statement_column_name(struct statement *statement, int column)
{
    const char *name = sqlite3_column_name(statement->handle, column);
    CHECK(name != NULL);
    return name;
}

enum column_kind statement_column_kind(struct statement *statement, int column)
{
    switch (sqlite3_column_type(statement->handle, column)) {
    case SQLITE_NULL:
        return COLUMN_NULL;
    case SQLITE_INTEGER:
        return COLUMN_NUMBER;
    case SQLITE_BLOB:
        return COLUMN_BLOB;
    default:
        return COLUMN_TEXT;
    }
}

uint64_t statement_number(struct statement *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement->handle, column);
}

bool statement_is_number(struct statement *statement, int column)
{
    return sqlite3_column_type(statement->handle, column) == SQLITE_INTEGER;
}

struct span statement_text(struct statement *statement, int column)
{
    const char *data = sqlite3_column_blob(statement->handle, column);
    return (struct span){data, (size_t)sqlite3_column_bytes(statement->handle, column)};
}
