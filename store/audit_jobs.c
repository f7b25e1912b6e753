/* SPDX-License-Identifier: MIT */
#include "store/audit_jobs.h"

#include "store/audit_rows.h"

static bool walk(struct audit *audit, const char *sql, struct span job, uint32_t count,
                 audit_job_fn each, void *payload, struct error *error)
{
    struct statement *row = statement_prepare(audit->database, sql, error);
    if (row == NULL) {
        return false;
    }
    statement_bind_text(row, 1, job);
    statement_bind_number(row, 2, count);
    enum statement_next next;
    while ((next = statement_step(row, error)) == STATEMENT_ROW) {
        each(payload, statement_text(row, 0));
    }
    statement_finish(row);
    return next != STATEMENT_FAILED;
}

bool audit_jobs_near(struct audit *audit, struct span job, uint32_t count, audit_job_fn each,
                     void *payload, struct error *error)
{
    /* `job <> ''` lets the index on jobs be used. */
    return walk(audit,
                "SELECT DISTINCT job FROM decision WHERE job <> '' AND job < ?"
                " ORDER BY job DESC LIMIT ?",
                job, count, each, payload, error) &&
           walk(audit,
                "SELECT DISTINCT job FROM decision WHERE job <> '' AND job > ?"
                " ORDER BY job LIMIT ?",
                job, count, each, payload, error);
}

bool audit_policy_text(struct audit *audit, struct span hash, struct buffer *text,
                       struct error *error)
{
    error->code = ERROR_NONE;
    struct statement *row = statement_prepare(
        audit->database, "SELECT text FROM policy WHERE hash = ? ORDER BY seq LIMIT 1", error);
    if (row == NULL) {
        return false;
    }
    statement_bind_text(row, 1, hash);
    bool is_found = statement_step(row, error) == STATEMENT_ROW;
    if (is_found) {
        buffer_put_span(text, statement_text(row, 0));
    }
    statement_finish(row);
    return is_found;
}

bool audit_partition(struct audit *audit, uint32_t *out, struct error *error)
{
    struct statement *row =
        statement_prepare(audit->database, "SELECT partition FROM origin", error);
    if (row == NULL) {
        return false;
    }
    bool is_found = statement_step(row, error) == STATEMENT_ROW;
    *out = is_found ? (uint32_t)statement_number(row, 0) : 0;
    statement_finish(row);
    return is_found || error->code == ERROR_NONE;
}
