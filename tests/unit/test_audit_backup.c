/* SPDX-License-Identifier: MIT
 * Copies of an audit: of one moment, whole, and never in place of anything. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "store/audit_backup.h"
#include "tests/lib/audit_rows.h"
#include "tests/lib/folder.h"

#define FILE_NAME "audit-3.db"
#define COPY_NAME "copy.db"
#define ROWS      10000 /* several steps of a copy */

static struct audit *open_file(const char *folder, enum audit_mode mode)
{
    return audit_open_checked(folder_path(folder, FILE_NAME), mode);
}

static bool is_there(const char *folder, const char *name)
{
    return access(folder_path(folder, name), F_OK) == 0;
}

/* A writer that goes on while its file is copied. */
struct beside {
    struct audit *writer;
    uint64_t next, calls, calls_max;
};

static bool write_beside(void *payload, uint64_t pages, uint64_t total)
{
    struct beside *beside = payload;
    assert_true(pages <= total);
    audit_write_numbered(beside->writer, beside->next, 10);
    beside->next += 10;
    return ++beside->calls < beside->calls_max;
}

static void test_audit_backup__a_copy_is_of_one_moment(void **fixture)
{
    struct error error = {0};
    struct audit_backup copy;
    struct beside beside = {
        .writer = open_file(*fixture, AUDIT_WRITE), .next = ROWS, .calls_max = UINT64_MAX};
    audit_write_numbered(beside.writer, 0, ROWS);
    struct sha256 head = audit_head(beside.writer);
    struct audit *reader = open_file(*fixture, AUDIT_READ);
    const char *path = folder_path(*fixture, COPY_NAME);
    assert_true(audit_backup(reader, path, write_beside, &beside, &copy, &error));
    assert_true(beside.calls > 2); /* the writer did come in between */
    assert_int_equal(copy.rows, ROWS);
    assert_true(copy.has_position);
    assert_true(sha256_equal(&copy.position.audit_head, &head));
    struct stat status;
    assert_int_equal(stat(folder_path(*fixture, COPY_NAME), &status), 0);
    assert_int_equal(copy.bytes, status.st_size);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_false(is_there(*fixture, COPY_NAME ".new"));
    assert_false(is_there(*fixture, COPY_NAME "-wal"));
    audit_close(reader);
    audit_close(beside.writer);

    /* What came later is not in it; it can be gone on with all the same. */
    struct audit *restored = audit_open_checked(folder_path(*fixture, COPY_NAME), AUDIT_WRITE);
    audit_write_numbered(restored, ROWS, 1);
    uint64_t rows;
    assert_true(audit_verify(restored, &rows, &error));
    assert_int_equal(rows, ROWS + 1);
    audit_close(restored);
}

static bool take_name(void *payload, uint64_t pages, uint64_t total)
{
    (void)pages, (void)total;
    file_store(folder_path(payload, COPY_NAME), SPAN("theirs"));
    return true;
}

static void test_audit_backup__what_is_there_is_not_replaced(void **fixture)
{
    struct error error = {0};
    struct audit_backup copy;
    struct buffer bytes = {0};
    struct audit *audit = open_file(*fixture, AUDIT_WRITE);
    audit_write_numbered(audit, 0, 10);
    file_store(folder_path(*fixture, COPY_NAME), SPAN("mine"));
    assert_false(audit_backup(audit, folder_path(*fixture, COPY_NAME), NULL, NULL, &copy, &error));
    assert_int_equal(error.code, ERROR_REFUSED);
    assert_non_null(strstr(error.message, "is there already"));
    file_load(folder_path(*fixture, COPY_NAME), &bytes);
    assert_true(span_is(buffer_span(&bytes), "mine"));
    /* Nor a name that somebody takes meanwhile. */
    assert_int_equal(unlink(folder_path(*fixture, COPY_NAME)), 0);
    assert_false(
        audit_backup(audit, folder_path(*fixture, COPY_NAME), take_name, *fixture, &copy, &error));
    assert_non_null(strstr(error.message, COPY_NAME ": is there already"));
    buffer_reset(&bytes);
    file_load(folder_path(*fixture, COPY_NAME), &bytes);
    assert_true(span_is(buffer_span(&bytes), "theirs"));
    assert_false(is_there(*fixture, COPY_NAME ".new"));
    assert_false(
        audit_backup(audit, folder_path(*fixture, "none/" COPY_NAME), NULL, NULL, &copy, &error));
    assert_int_equal(error.code, ERROR_IO);
    audit_close(audit);
    buffer_fini(&bytes);
}

static void test_audit_backup__a_failed_one_leaves_nothing(void **fixture)
{
    struct error error = {0};
    struct audit_backup copy;
    struct beside beside = {.writer = open_file(*fixture, AUDIT_WRITE), .next = ROWS};
    beside.calls_max = 2;
    audit_write_numbered(beside.writer, 0, ROWS);
    struct audit *reader = open_file(*fixture, AUDIT_READ);
    const char *path = folder_path(*fixture, COPY_NAME);
    assert_false(audit_backup(reader, path, write_beside, &beside, &copy, &error));
    assert_int_equal(error.code, ERROR_STOPPED);
    assert_int_equal(beside.calls, 2);
    assert_false(is_there(*fixture, COPY_NAME));
    assert_false(is_there(*fixture, COPY_NAME ".new"));
    /* The reader sees the present again, and a file that was changed is no backup. */
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(folder_path(*fixture, FILE_NAME), &handle), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(handle, "UPDATE decision SET worker = 'w9' WHERE seq = 7", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_changes(handle), 1);
    sqlite3_close(handle);
    path = folder_path(*fixture, COPY_NAME);
    assert_false(audit_backup(reader, path, NULL, NULL, &copy, &error));
    assert_int_equal(error.code, ERROR_DIFFERENT);
    assert_non_null(strstr(error.message, "the copy: decision"));
    assert_false(is_there(*fixture, COPY_NAME));
    assert_false(is_there(*fixture, COPY_NAME ".new"));
    audit_close(reader);
    audit_close(beside.writer);
}

/* Tells that the copy is under way, and waits there for the end of the process. */
static bool hang(void *payload, uint64_t pages, uint64_t total)
{
    (void)pages, (void)total;
    const int *pipe_end = payload;
    if (write(*pipe_end, "!", 1) == 1) {
        pause();
    }
    return true;
}

static void test_audit_backup__a_killed_one_blocks_no_other(void **fixture)
{
    struct error error = {0};
    struct audit_backup copy;
    struct audit *audit = open_file(*fixture, AUDIT_WRITE);
    audit_write_numbered(audit, 0, ROWS);
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct audit *reader = open_file(*fixture, AUDIT_READ);
        bool is_done =
            audit_backup(reader, folder_path(*fixture, COPY_NAME), hang, &ends[1], &copy, &error);
        _exit(is_done ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    /* Under way: it has no name yet, and nobody else may write there. */
    assert_false(is_there(*fixture, COPY_NAME));
    assert_true(is_there(*fixture, COPY_NAME ".new"));
    assert_false(audit_backup(audit, folder_path(*fixture, COPY_NAME), NULL, NULL, &copy, &error));
    assert_non_null(strstr(error.message, COPY_NAME ".new: another backup is writing it"));
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_false(is_there(*fixture, COPY_NAME));
    assert_true(is_there(*fixture, COPY_NAME ".new"));
    assert_true(audit_backup(audit, folder_path(*fixture, COPY_NAME), NULL, NULL, &copy, &error));
    assert_int_equal(copy.rows, ROWS);
    assert_false(is_there(*fixture, COPY_NAME ".new"));
    close(ends[0]);
    close(ends[1]);
    audit_close(audit);
}

static void test_audit_backup__an_empty_audit_has_no_position(void **fixture)
{
    struct error error = {0};
    struct audit_backup copy;
    struct audit *audit = open_file(*fixture, AUDIT_WRITE);
    assert_true(audit_backup(audit, folder_path(*fixture, COPY_NAME), NULL, NULL, &copy, &error));
    assert_false(copy.has_position);
    assert_int_equal(copy.rows, 0);
    audit_close(audit);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_audit_backup__a_copy_is_of_one_moment),
        TEST(test_audit_backup__what_is_there_is_not_replaced),
        TEST(test_audit_backup__a_failed_one_leaves_nothing),
        TEST(test_audit_backup__a_killed_one_blocks_no_other),
        TEST(test_audit_backup__an_empty_audit_has_no_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
