/* SPDX-License-Identifier: MIT
 * The disk under the audit fills up or fails, and files that are not ours to write. Each test first
 * proves that its fault took place. */
#include <fcntl.h>
#include <linux/sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "store/audit_rows.h"
#include "tests/lib/audit_rows.h"
#include "tests/lib/folder.h"

#define FILE_NAME  "audit-3.db"
#define ROWS_FIRST 50
#define ROWS_MANY  1000000 /* more than any disk of these tests holds */

static struct audit *open_writer(const char *folder)
{
    return audit_open_checked(folder_path(folder, FILE_NAME), AUDIT_WRITE);
}

/* What was committed before the fault is there and whole, and the file takes new rows. */
static void check_survived(const char *folder, uint64_t count)
{
    struct error error = {0};
    uint64_t rows;
    struct audit *audit = open_writer(folder);
    assert_true(audit_verify(audit, &rows, &error));
    assert_int_equal(rows, count);
    audit_write_numbered(audit, count, 10);
    assert_true(audit_verify(audit, &rows, &error));
    assert_int_equal(rows, count + 10);
    audit_close(audit);
}

/* Appends until it fails. Result: how many rows went in before. */
static uint64_t append_until_failure(struct audit *audit, uint64_t first, struct error *error)
{
    for (uint64_t number = first; number < first + ROWS_MANY; number++) {
        struct numbered_decision row;
        decision_numbered(number, &row);
        if (!audit_append(audit, &row.decision, error)) {
            return number - first;
        }
    }
    fail_msg("no fault in %d rows", ROWS_MANY);
    return 0;
}

static void check_full(struct audit *audit)
{
    struct error error = {0};
    struct sha256 before = audit_head(audit);
    assert_true(audit_begin(audit, &error));
    assert_true(append_until_failure(audit, ROWS_FIRST, &error) > 0);
    assert_int_equal(error.code, ERROR_DISK_FULL);
    assert_non_null(strstr(error.message, "SQLite result 13"));
    assert_false(database_has_transaction(audit->database));
    struct sha256 after = audit_head(audit);
    assert_true(sha256_equal(&before, &after));
}

/* SQLite's own limit of pages: full at an insert. */
static void test_audit_faults__a_full_disk_is_reported_and_rolled_back(void **fixture)
{
    struct error error = {0};
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, ROWS_FIRST);
    assert_true(database_run(audit->database, "PRAGMA max_page_count = 60", &error));
    check_full(audit);
    check_full(audit);

    struct audit_position position = position_numbered(ROWS_FIRST);
    static char state[1 << 20];
    assert_true(audit_begin(audit, &error));
    assert_false(audit_put_snapshot(audit, &position, (struct span){state, sizeof(state)}, &error));
    assert_int_equal(error.code, ERROR_DISK_FULL);

    /* With room again the same connection goes on. */
    assert_true(database_run(audit->database, "PRAGMA max_page_count = 100000", &error));
    audit_write_numbered(audit, ROWS_FIRST, 10);
    audit_close(audit);
    check_survived(*fixture, ROWS_FIRST + 10);
}

static const char *program; /* argv[0] */

/* Runs one of the acts below in a program of its own, with stderr kept. Result: its exit code. */
static int run_apart(const char *act, const char *folder, struct buffer *output)
{
    const char *log = folder_path(folder, "stderr");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(fd, STDERR_FILENO);
        execl(program, program, act, folder, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    file_load(log, output);
    buffer_put_byte(output, '\0');
    return WEXITSTATUS(status);
}

/* The commit's own write fails: the kernel lets the WAL grow by one page and a half. */
static int commit_beyond_limit(const char *folder)
{
    struct error error = {0};
    struct audit *audit = open_writer(folder);
    audit_write_numbered(audit, 0, ROWS_FIRST);
    struct stat wal;
    if (stat(folder_path(folder, FILE_NAME "-wal"), &wal) != 0) {
        return 90;
    }
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = (rlim_t)wal.st_size + 6000, .rlim_max = RLIM_INFINITY};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || !audit_begin(audit, &error)) {
        return 91;
    }
    struct audit_position position = position_numbered(ROWS_FIRST + 20);
    for (uint64_t number = ROWS_FIRST; number < ROWS_FIRST + 20; number++) {
        struct numbered_decision row;
        decision_numbered(number, &row);
        if (!audit_append(audit, &row.decision, &error)) {
            return 92;
        }
    }
    if (!audit_put_position(audit, &position, &error)) {
        return 93;
    }
    bool is_committed = audit_commit(audit, &error);
    return is_committed ? 94 : 95;
}

static void test_audit_faults__an_io_error_at_commit_ends_the_process(void **fixture)
{
    struct buffer output = {0};
    assert_int_equal(run_apart("commit_beyond_limit", *fixture, &output), 3);
    assert_non_null(strstr(output.data, "event=commit_in_doubt"));
    assert_non_null(strstr(output.data, "SQLite result 778")); /* SQLITE_IOERR_WRITE */
    buffer_fini(&output);
    check_survived(*fixture, ROWS_FIRST);
}

#define EXIT_SKIP 77

/* On a file system of 300 KiB that only this process sees, batch after batch until a commit does
 * not fit. */
static int commit_on_a_full_disk(const char *folder)
{
    if (syscall(SYS_unshare, CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=300k") != 0) {
        return EXIT_SKIP;
    }
    struct error error = {0};
    uint64_t rows, number = ROWS_FIRST;
    struct audit *audit = open_writer(folder);
    audit_write_numbered(audit, 0, ROWS_FIRST);
    bool is_committed = true;
    while (is_committed && number < ROWS_MANY) {
        struct audit_position position = position_numbered(number);
        struct numbered_decision row;
        decision_numbered(number, &row);
        if (!audit_begin(audit, &error) || !audit_append(audit, &row.decision, &error) ||
            !audit_put_position(audit, &position, &error)) {
            return 90;
        }
        is_committed = audit_commit(audit, &error);
        number += is_committed ? 1 : 0;
    }
    if (is_committed || error.code != ERROR_DISK_FULL) {
        return 91;
    }
    audit_close(audit);
    audit = open_writer(folder);
    return audit_verify(audit, &rows, &error) && rows == number ? 0 : 92;
}

static void test_audit_faults__a_disk_that_fills_at_commit_keeps_what_was_committed(void **fixture)
{
    struct buffer output = {0};
    int code = run_apart("commit_on_a_full_disk", *fixture, &output);
    buffer_fini(&output);
    if (code == EXIT_SKIP) {
        skip(); /* Only root may mount. */
    }
    assert_int_equal(code, 0);
}

/* A process that dies in the middle of a transaction, its WAL left behind. */
static int die_in_transaction(const char *folder)
{
    struct error error = {0};
    struct audit *audit = open_writer(folder);
    audit_write_numbered(audit, 0, ROWS_FIRST);
    struct audit_position position = position_numbered(ROWS_FIRST);
    static char state[20 << 20]; /* more than the page cache: pages reach the WAL before a commit */
    bool is_written =
        audit_begin(audit, &error) &&
        audit_put_snapshot(audit, &position, (struct span){state, sizeof(state)}, &error);
    struct stat wal;
    bool is_spilled =
        stat(folder_path(folder, FILE_NAME "-wal"), &wal) == 0 && wal.st_size > (off_t)1 << 20;
    return is_written && is_spilled ? 42 : 90;
}

static void test_audit_faults__what_was_not_committed_is_gone_after_a_crash(void **fixture)
{
    struct buffer output = {0}, state = {0};
    assert_int_equal(run_apart("die_in_transaction", *fixture, &output), 42);
    buffer_fini(&output);
    struct error error = {0};
    struct audit_position position;
    struct audit *audit = open_writer(*fixture);
    assert_false(audit_load_snapshot(audit, UINT64_MAX, &position, &state, &error));
    assert_int_equal(error.code, ERROR_NONE);
    audit_close(audit);
    check_survived(*fixture, ROWS_FIRST);
}

static void execute(const char *folder, const char *name, const char *sql)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(folder_path(folder, name), &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static void check_refused(const char *folder, const char *name, enum error_code code,
                          const char *message)
{
    struct buffer before = {0}, after = {0};
    file_load(folder_path(folder, name), &before);
    for (enum audit_mode mode = AUDIT_WRITE; mode <= AUDIT_READ; mode++) {
        struct error error = {0};
        assert_null(audit_open(folder_path(folder, name), mode, 3, &error));
        assert_int_equal(error.code, code);
        assert_non_null(strstr(error.message, message));
    }
    file_load(folder_path(folder, name), &after);
    assert_true(span_equal(buffer_span(&before), buffer_span(&after)));
    buffer_fini(&before);
    buffer_fini(&after);
}

static void test_audit_faults__files_of_others_are_refused_and_left_alone(void **fixture)
{
    execute(*fixture, "other.db", "CREATE TABLE other (x); INSERT INTO other VALUES (1)");
    check_refused(*fixture, "other.db", ERROR_REFUSED, "not an audit database");
    execute(*fixture, "marked.db", "PRAGMA application_id = 77");
    check_refused(*fixture, "marked.db", ERROR_REFUSED, "not an audit database");
    file_store(folder_path(*fixture, "text.db"),
               SPAN("This is some text, long enough to be taken for the head of a database, which "
                    "has one hundred bytes.\n"));
    check_refused(*fixture, "text.db", ERROR_CORRUPT, "not a database");
}

static void test_audit_faults__a_newer_schema_is_refused(void **fixture)
{
    audit_close(open_writer(*fixture));
    execute(*fixture, FILE_NAME, "PRAGMA user_version = 2");
    check_refused(*fixture, FILE_NAME, ERROR_REFUSED,
                  FILE_NAME ": schema version 2; this program knows up to 1: use a newer one");
}

static void test_audit_faults__another_partition_is_refused(void **fixture)
{
    audit_close(open_writer(*fixture));
    struct error error = {0};
    assert_null(audit_open(folder_path(*fixture, FILE_NAME), AUDIT_WRITE, 4, &error));
    assert_int_equal(error.code, ERROR_REFUSED);
    assert_string_equal(error.message, FILE_NAME ": holds partition 3, not 4");
}

static void test_audit_faults__a_reader_and_a_prune_make_no_file(void **fixture)
{
    const char *path = folder_path(*fixture, FILE_NAME);
    for (enum audit_mode mode = AUDIT_PRUNE; mode <= AUDIT_READ; mode++) {
        struct error error = {0};
        assert_null(audit_open(path, mode, 3, &error));
        assert_int_equal(error.code, ERROR_IO);
        assert_int_equal(access(path, F_OK), -1);
    }
    file_store(path, SPAN_NONE);
    for (enum audit_mode mode = AUDIT_PRUNE; mode <= AUDIT_READ; mode++) {
        struct stat status;
        struct error error = {0};
        assert_null(audit_open(path, mode, 3, &error));
        assert_int_equal(error.code, ERROR_REFUSED);
        assert_non_null(strstr(error.message, "not an audit database of Salvor"));
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_size, 0);
    }
}

/* A crash between the schema and its commit leaves an empty file: the next start makes it whole. */
static void test_audit_faults__a_half_made_file_is_made_whole(void **fixture)
{
    execute(*fixture, FILE_NAME, "PRAGMA journal_mode = WAL");
    struct audit *audit = open_writer(*fixture);
    audit_write_numbered(audit, 0, 3);
    audit_close(audit);
    check_survived(*fixture, 3);
}

/* The second writer of a machine waits its time and is told, and the first is not disturbed. */
static void test_audit_faults__a_second_writer_is_kept_out(void **fixture)
{
    struct error error = {0};
    struct audit *first = open_writer(*fixture), *second = open_writer(*fixture);
    audit_write_numbered(first, 0, 3);
    assert_true(audit_begin(first, &error));
    assert_false(audit_begin(second, &error));
    assert_int_equal(error.code, ERROR_BUSY);
    audit_rollback(first);
    audit_close(second);
    audit_close(first);
    check_survived(*fixture, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

static const struct act {
    const char *name;
    int (*run)(const char *folder);
} acts[] = {
    {"commit_beyond_limit", commit_beyond_limit},
    {"commit_on_a_full_disk", commit_on_a_full_disk},
    {"die_in_transaction", die_in_transaction},
};

int main(int argc, char **argv)
{
    program = argv[0];
    for (size_t index = 0; argc == 3 && index < sizeof(acts) / sizeof(acts[0]); index++) {
        if (strcmp(argv[1], acts[index].name) == 0) {
            _exit(acts[index].run(argv[2]));
        }
    }
    const struct CMUnitTest tests[] = {
        TEST(test_audit_faults__a_full_disk_is_reported_and_rolled_back),
        TEST(test_audit_faults__an_io_error_at_commit_ends_the_process),
        TEST(test_audit_faults__a_disk_that_fills_at_commit_keeps_what_was_committed),
        TEST(test_audit_faults__what_was_not_committed_is_gone_after_a_crash),
        TEST(test_audit_faults__files_of_others_are_refused_and_left_alone),
        TEST(test_audit_faults__a_newer_schema_is_refused),
        TEST(test_audit_faults__another_partition_is_refused),
        TEST(test_audit_faults__a_reader_and_a_prune_make_no_file),
        TEST(test_audit_faults__a_half_made_file_is_made_whole),
        TEST(test_audit_faults__a_second_writer_is_kept_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
