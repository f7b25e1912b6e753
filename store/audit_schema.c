/* SPDX-License-Identifier: MIT */
#include "store/audit_schema.h"

#include <stdio.h>

#include "base/check.h"
#include "schema_sql.h"

/* migrations[n] leads from version n to n + 1. A new version is a new line; lines never change,
 * since files of every earlier version exist. */
static const char *const migrations[] = {
    schema_sql,
};

#define SCHEMA_VERSION  (sizeof(migrations) / sizeof(migrations[0]))
#define PRAGMA_SIZE_MAX 64

/* Reads are checked against damage; the WAL is cut back to a bounded size once it is folded. mmap
 * would let a stray write of this process reach the file. */
static const char common_settings[] = "PRAGMA mmap_size = 0;"
                                      "PRAGMA cell_size_check = ON;"
                                      "PRAGMA trusted_schema = OFF;"
                                      "PRAGMA temp_store = MEMORY;"
                                      "PRAGMA cache_size = -16384;";
/* A new file can give pages back while it is worked with; of any other this changes nothing. */
static const char creation_settings[] = "PRAGMA auto_vacuum = INCREMENTAL;";
static const char writer_settings[] = "PRAGMA synchronous = FULL;"
                                      "PRAGMA journal_size_limit = 67108864;";

static bool migrate(struct database *database, uint64_t version, struct error *error)
{
    if (!database_run(database, "BEGIN IMMEDIATE", error)) {
        return false;
    }
    for (uint64_t from = version; from < SCHEMA_VERSION; from++) {
        char pragma[PRAGMA_SIZE_MAX];
        snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", (int)from + 1);
        if (!database_run(database, migrations[from], error) ||
            !database_run(database, pragma, error)) {
            database_rollback(database);
            return error_wrap(error, "migration from schema version %d", (int)from);
        }
    }
    if (!database_commit(database, error)) {
        database_rollback(database);
        return false;
    }
    return true;
}

/* Refuses what this program must not touch. */
static bool check_version(struct database *database, bool may_change, uint64_t *version,
                          struct error *error)
{
    uint64_t application_id, object_count;
    if (!database_number(database, "PRAGMA application_id", &application_id, error) ||
        !database_number(database, "PRAGMA user_version", version, error) ||
        !database_number(database, "SELECT count(*) FROM sqlite_schema", &object_count, error)) {
        return false;
    }
    bool is_empty = object_count == 0 && application_id == 0 && *version == 0;
    if ((!is_empty || !may_change) && application_id != AUDIT_APPLICATION_ID) {
        return error_set(error, ERROR_REFUSED, "%s: not an audit database of Salvor",
                         database_name(database));
    }
    if (*version > SCHEMA_VERSION) {
        return error_set(error, ERROR_REFUSED,
                         "%s: schema version %llu; this program knows up to %llu: use a newer one",
                         database_name(database), (unsigned long long)*version,
                         (unsigned long long)SCHEMA_VERSION);
    }
    return true;
}

bool audit_schema_prepare(struct database *database, enum database_mode mode, struct error *error)
{
    uint64_t version;
    if (!database_run(database, common_settings, error) ||
        !check_version(database, mode == DATABASE_WRITE, &version, error)) {
        return false;
    }
    if (mode != DATABASE_WRITE) {
        if (version == SCHEMA_VERSION) {
            return mode == DATABASE_READ || database_run(database, writer_settings, error);
        }
        return error_set(
            error, ERROR_REFUSED,
            "%s: schema version %llu is older than %llu: the writing process migrates it",
            database_name(database), (unsigned long long)version,
            (unsigned long long)SCHEMA_VERSION);
    }
    return (version > 0 || database_run(database, creation_settings, error)) &&
           database_run(database, writer_settings, error) && database_use_wal(database, error) &&
           (version == SCHEMA_VERSION || migrate(database, version, error));
}
