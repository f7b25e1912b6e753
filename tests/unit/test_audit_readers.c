/* SPDX-License-Identifier: MIT
 * The audit as others see it: readers beside the writer and after it, and the views of the schema.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "store/audit.h"
#include "tests/lib/audit_rows.h"
#include "tests/lib/folder.h"

#define FILE_NAME "audit-3.db"
#define NOBODY    65534

static struct audit *open_writer(const char *folder)
{
    return audit_open_checked(folder_path(folder, FILE_NAME), AUDIT_WRITE);
}

static struct audit *open_reader(const char *folder)
{
    return audit_open_checked(folder_path(folder, FILE_NAME), AUDIT_READ);
}

/* The first column of the first row as a number, through a connection of its own. */
static long long ask(const char *folder, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *row;
    assert_int_equal(
        sqlite3_open_v2(folder_path(folder, FILE_NAME), &handle, SQLITE_OPEN_READONLY, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    long long number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(handle);
    return number;
}

static void check_verified(struct audit *audit, uint64_t count)
{
    struct error error = {0};
    uint64_t rows;
    bool is_whole = audit_verify(audit, &rows, &error);
    assert_string_equal(error.message, "");
    assert_true(is_whole);
    assert_int_equal(rows, count);
}

static void test_audit_readers__a_reader_works_beside_the_writer(void **fixture)
{
    struct error error = {0};
    struct audit *writer = open_writer(*fixture);
    audit_write_numbered(writer, 0, 10);
    struct audit *reader = open_reader(*fixture);
    check_verified(reader, 10);
    struct audit_cursor *cursor = audit_decisions(reader, 0, &error);
    struct decision decision;
    assert_int_equal(audit_next(cursor, &decision, NULL, &error), AUDIT_ROW);
    /* The reader stands in the middle of a walk; the writer goes on, and folds what it can. */
    audit_write_numbered(writer, 10, 10);
    audit_checkpoint_wal(writer);
    for (unsigned row = 2; row < 10; row++) {
        assert_int_equal(audit_next(cursor, &decision, NULL, &error), AUDIT_ROW);
    }
    assert_int_equal(audit_next(cursor, &decision, NULL, &error), AUDIT_END);
    audit_cursor_close(cursor);
    check_verified(reader, 20);
    audit_close(writer);
    check_verified(reader, 20);
    audit_close(reader);
}

static void test_audit_readers__folding_empties_the_wal(void **fixture)
{
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, 100);
    struct stat status;
    assert_int_equal(stat(folder_path(*fixture, FILE_NAME "-wal"), &status), 0);
    assert_true(status.st_size > 0);
    audit_checkpoint_wal(audit);
    assert_int_equal(stat(folder_path(*fixture, FILE_NAME "-wal"), &status), 0);
    assert_int_equal(status.st_size, 0);
    audit_close(audit);
    assert_int_equal(access(folder_path(*fixture, FILE_NAME "-wal"), F_OK), -1);
    audit = open_reader(*fixture);
    check_verified(audit, 100);
    audit_close(audit);
}

/* Opens and verifies as somebody who may not write in the folder. Result: the exit code. */
static int verify_as_nobody(const char *path)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct error error = {0};
        uint64_t rows;
        bool is_unable = (geteuid() != 0 || (setgid(NOBODY) == 0 && setuid(NOBODY) == 0)) &&
                         open(path, O_WRONLY) < 0;
        struct audit *audit = audit_open(path, AUDIT_READ, AUDIT_ANY_PARTITION, &error);
        bool is_read = audit != NULL && audit_verify(audit, &rows, &error);
        audit_close(audit);
        _exit(!is_unable ? 2 : is_read && rows == 25 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_audit_readers__a_reader_needs_no_right_to_write(void **fixture)
{
    const char *path = folder_path(*fixture, FILE_NAME);
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, 25);
    audit_checkpoint_wal(audit);
    audit_close(audit);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(*fixture, 0555), 0);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    int code = verify_as_nobody(path);
    assert_int_equal(chmod(*fixture, 0755), 0);
    assert_int_equal(code, 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(access(folder_path(*fixture, FILE_NAME "-wal"), F_OK), -1);
}

/* A small story whose answers are known. */
static const struct {
    uint64_t at_ms;
    const char *id, *job;
    enum action action;
    enum reason reason;
} story[] = {
    {1000, "d1", "a", ACTION_ASK, REASON_WORKER_SILENT},
    {1000, "d2", "b", ACTION_WAIT, REASON_WORKER_SILENT},
    {1400, "d3", "a", ACTION_COMPLETE, REASON_SERVICE_COMPLETED},
    {3000, "d4", "b", ACTION_REQUEUE, REASON_WORKER_SILENT},
    {5000, "d5", "c", ACTION_TIME_OUT, REASON_DEADLINE_PASSED},
    {6000, "d6", "d", ACTION_ASK, REASON_WORKER_LOST},
    {6500, "d7", "d", ACTION_WAIT, REASON_WORKER_HEARD_AGAIN},
    {9000, "d8", "d", ACTION_ASK, REASON_WORKER_STOPPED},
    {9100, "d9", "d", ACTION_PARK, REASON_SERVICE_FORGOT},
};

static void write_story(const char *folder)
{
    struct error error = {0};
    struct audit *audit = open_writer(folder);
    assert_true(audit_begin(audit, &error));
    for (size_t index = 0; index < sizeof(story) / sizeof(story[0]); index++) {
        struct decision decision = {
            .id = span_of(story[index].id),
            .timeline = 1,
            .stream_id = {story[index].at_ms, 0},
            .ordinal = index + 1,
            .at_ms = story[index].at_ms,
            .job = span_of(story[index].job),
            .worker = SPAN("w"),
            .attempt = 1,
            .action = story[index].action,
            .reason = story[index].reason,
            .evidence = SPAN("{}"),
            .mode = SPAN("apply"),
        };
        assert_true(audit_append(audit, &decision, &error));
    }
    static const struct effect_change changes[] = {
        {.id = {"d3.0", 4},
         .decision = {"d3", 2},
         .kind = EFFECT_COMPLETE,
         .target = {"job:a", 5},
         .at_ms = 1400},
        {.id = {"d3.0", 4}, .outcome = OUTCOME_APPLIED, .at_ms = 1425},
        {.id = {"d4.0", 4},
         .decision = {"d4", 2},
         .kind = EFFECT_REQUEUE,
         .target = {"job:b", 5},
         .at_ms = 3000},
    };
    for (size_t index = 0; index < sizeof(changes) / sizeof(changes[0]); index++) {
        assert_true(audit_change_effect(audit, &changes[index], &error));
    }
    struct audit_position position = {.timeline = 1, .stream_id = {9500, 0}, .ordinal = 9};
    assert_true(audit_put_position(audit, &position, &error));
    assert_true(audit_commit(audit, &error));
    audit_close(audit);
}

static const char *const truths[] = {
    "SELECT group_concat(at || ' ' || action || ' ' || effects, '|') ="
    " '1970-01-01 00:00:01.000 ask |"
    "1970-01-01 00:00:01.400 complete complete job:a: applied after 25 ms'"
    " FROM job_story WHERE job = 'a'",
    "SELECT effects = 'requeue job:b: open' FROM job_story WHERE id = 'd4'",
    "SELECT group_concat(job || decided_ms || ',' || coalesce(settled_ms, 'open') || outcome,"
    " '|') = 'a400,425applied|b2000,open|d100,open' FROM recovery_latency",
    "SELECT group_concat(job || reason || outcome) = 'aservice_completedapplied'"
    " FROM duplicates_prevented",
    "SELECT group_concat(id || job || age_ms) = 'd4.0b6500' FROM open_effects",
    "SELECT count(*) = 4 AND sum(decisions) = 4 AND sum(applied) = 1 AND sum(open) = 1"
    " FROM recovery_by_reason",
};

static void test_audit_readers__the_views_tell_the_story(void **fixture)
{
    write_story(*fixture);
    for (size_t index = 0; index < sizeof(truths) / sizeof(truths[0]); index++) {
        if (ask(*fixture, truths[index]) != 1) {
            fail_msg("not true: %s", truths[index]);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_audit_readers__a_reader_works_beside_the_writer),
        TEST(test_audit_readers__folding_empties_the_wal),
        TEST(test_audit_readers__a_reader_needs_no_right_to_write),
        TEST(test_audit_readers__the_views_tell_the_story),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
