/* SPDX-License-Identifier: MIT
 * The tables of a what-if. What a database of another kind holds beside them is left alone.
 *
 * what_if_total: one row a number that is counted, with its value on each side.
 * what_if_job: one row a job whose comparison ended before the capture did: with its first
 * different decision (`ended` = different), or with a question that the capture does not answer
 * (unknown). A side that decided nothing has NULL. */
#include "replay/what_if.h"
#include "store/database.h"

static const char schema[] =
    "DROP TABLE IF EXISTS what_if_total;"
    "DROP TABLE IF EXISTS what_if_job;"
    "CREATE TABLE what_if_total (name TEXT PRIMARY KEY, captured INTEGER NOT NULL,"
    " other INTEGER NOT NULL);"
    "CREATE TABLE what_if_job (job TEXT PRIMARY KEY, ended TEXT NOT NULL,"
    " captured_at_ms INTEGER, captured_attempt INTEGER, captured_action TEXT,"
    " captured_reason TEXT, captured_mode TEXT, captured_evidence TEXT,"
    " captured_proved INTEGER NOT NULL,"
    " other_at_ms INTEGER, other_attempt INTEGER, other_action TEXT,"
    " other_reason TEXT, other_mode TEXT, other_evidence TEXT,"
    " other_proved INTEGER NOT NULL,"
    " completed_at_ms INTEGER);";

#define COLUMNS_OF_SIDE 7

static bool record_totals(struct database *database, const struct what_if_report *report,
                          struct error *error)
{
    struct statement *statement =
        statement_prepare(database, "INSERT INTO what_if_total VALUES (?,?,?)", error);
    bool is_fine = statement != NULL;
    for (enum what_if_total total = 0; is_fine && total < WHAT_IF_TOTAL_COUNT; total++) {
        statement_bind_text(statement, 1, span_of(what_if_total_name(total)));
        statement_bind_number(statement, 2, report->total[total][WHAT_IF_CAPTURED]);
        statement_bind_number(statement, 3, report->total[total][WHAT_IF_OTHER]);
        is_fine = statement_run(statement, error);
    }
    statement_finish(statement);
    return is_fine;
}

static void bind_side(struct statement *statement, int first, const struct what_if_job *job,
                      enum what_if_side side)
{
    const struct what_if_decision *decision = &job->side[side];
    if (decision->is_there) {
        statement_bind_number(statement, first, decision->at_ms);
        statement_bind_number(statement, first + 1, decision->attempt);
        statement_bind_text(statement, first + 2, span_of(action_text(decision->action)));
        statement_bind_text(statement, first + 3, span_of(reason_code(decision->reason)));
        statement_bind_text(statement, first + 4,
                            decision->is_observed ? SPAN("observe") : SPAN("apply"));
        statement_bind_text(statement, first + 5, decision->evidence);
    } else {
        for (int i = 0; i < COLUMNS_OF_SIDE - 1; i++) {
            statement_bind_null(statement, first + i);
        }
    }
    statement_bind_number(statement, first + COLUMNS_OF_SIDE - 1, job->is_proved[side]);
}

static bool record_jobs(struct database *database, const struct what_if_report *report,
                        struct error *error)
{
    struct statement *statement = statement_prepare(
        database, "INSERT INTO what_if_job VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", error);
    bool is_fine = statement != NULL;
    for (uint32_t i = 0; is_fine && i < report->job_count; i++) {
        const struct what_if_job *job = &report->jobs[i];
        statement_bind_text(statement, 1, job->job);
        statement_bind_text(statement, 2, span_of(what_if_end_text(job->end)));
        bind_side(statement, 3, job, WHAT_IF_CAPTURED);
        bind_side(statement, 3 + COLUMNS_OF_SIDE, job, WHAT_IF_OTHER);
        if (job->completed_ms > 0) {
            statement_bind_number(statement, 3 + 2 * COLUMNS_OF_SIDE, job->completed_ms);
        } else {
            statement_bind_null(statement, 3 + 2 * COLUMNS_OF_SIDE);
        }
        is_fine = statement_run(statement, error);
    }
    statement_finish(statement);
    return is_fine;
}

bool what_if_record(const struct what_if_report *report, const char *path, struct error *error)
{
    struct database *database = database_open(path, DATABASE_WRITE, error);
    if (database == NULL) {
        return false;
    }
    bool is_fine = database_run(database, "BEGIN IMMEDIATE", error) &&
                   database_run(database, schema, error) &&
                   record_totals(database, report, error) && record_jobs(database, report, error) &&
                   database_commit(database, error);
    database_rollback(database);
    database_close(database);
    return is_fine;
}
