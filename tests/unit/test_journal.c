/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replay/journal.h"
#include "replay/owner.h"
#include "replay/replay.h"
#include "tests/lib/small_stream.h"
#include "tests/lib/tree.h"

#define ENTRIES 202 /* 25 rounds */

/* A DATA folder of the test's own. */
struct folder {
    char root[TREE_PATH_SIZE], data[80], audit[100], capture[100];
    uint64_t snapshot_entries, snapshot_bytes;
};

static int folder_make(void **fixture)
{
    struct folder *folder = calloc(1, sizeof(*folder));
    tree_make(folder->root);
    snprintf(folder->data, sizeof(folder->data), "%s/data", folder->root);
    snprintf(folder->audit, sizeof(folder->audit), "%s/audit-0.db", folder->data);
    snprintf(folder->capture, sizeof(folder->capture), "%s/capture-0", folder->data);
    folder->snapshot_entries = JOURNAL_SNAPSHOT_ENTRIES;
    *fixture = folder;
    return 0;
}

static int folder_remove(void **fixture)
{
    struct folder *folder = *fixture;
    tree_remove(folder->root);
    free(folder);
    return 0;
}

/* One process's life: opens the journal, folds the stream up to `end`, stops when asked to. */
struct life {
    struct journal *journal;
    struct state *state;
    struct audit_position found; /* as the journal was opened */
    uint64_t refolded;           /* ordinal behind the fold of the own capture */
    struct error error;
};

static bool life_open(struct life *life, const struct folder *folder)
{
    struct journal_config config = {
        .data = folder->data,
        .partition = 0,
        .snapshot_entries = folder->snapshot_entries,
        .snapshot_ms = JOURNAL_SNAPSHOT_MS,
        .snapshot_bytes = folder->snapshot_bytes,
    };
    *life = (struct life){0};
    life->journal = journal_open(&config, &life->state, &life->error);
    if (life->journal == NULL) {
        assert_null(life->state);
        return false;
    }
    life->found = journal_position(life->journal);
    life->refolded = state_summary(life->state).ordinal;
    return true;
}

static bool life_fold(struct life *life, uint64_t end, uint32_t batch_size)
{
    struct small_stream stream = {.end = end, .batch_size = batch_size};
    struct loop loop = {
        .state = life->state,
        .source = small_stream_source(&stream),
        .sinks = {journal_sink(life->journal)},
        .sink_count = 1,
        .has_crash_points = true,
    };
    return loop_run(&loop, &life->error);
}

static struct sha256 life_hash(const struct life *life)
{
    struct buffer bytes = {0};
    state_encode(life->state, &bytes);
    struct sha256 hash = sha256_of(buffer_span(&bytes));
    buffer_fini(&bytes);
    return hash;
}

static void life_end(struct life *life, bool is_clean)
{
    if (is_clean) {
        assert_true(journal_stop(life->journal, life->state, &life->error));
    }
    journal_close(life->journal);
    state_destroy(life->state);
}

/* What all lives together must come to: the state and the last hash of the chain, which covers
 * every decision. */
struct outcome {
    struct sha256 state, chain;
};

static struct outcome outcome_of(const struct life *life, const struct folder *folder)
{
    struct outcome outcome = {.state = life_hash(life)};
    struct audit_position position;
    struct error error = {0};
    struct audit *audit = audit_open(folder->audit, AUDIT_READ, 0, &error);
    assert_non_null(audit);
    assert_true(audit_load_position(audit, &position, &error));
    assert_int_equal(position.ordinal, state_summary(life->state).ordinal);
    outcome.chain = position.audit_head;
    uint64_t rows;
    assert_true(audit_verify(audit, &rows, &error));
    assert_true(rows > 0);
    audit_close(audit);
    return outcome;
}

static void assert_outcome_equal(const struct outcome *a, const struct outcome *b)
{
    assert_memory_equal(a->state.bytes, b->state.bytes, SHA256_SIZE);
    assert_memory_equal(a->chain.bytes, b->chain.bytes, SHA256_SIZE);
}

/* The same stream folded in one undisturbed life, elsewhere. */
static struct outcome undisturbed(void)
{
    struct folder *folder;
    struct life life;
    assert_int_equal(folder_make((void **)&folder), 0);
    assert_true(life_open(&life, folder));
    assert_true(life_fold(&life, ENTRIES, 1000));
    struct outcome outcome = outcome_of(&life, folder);
    life_end(&life, true);
    folder_remove((void **)&folder);
    return outcome;
}

static const char *program; /* this one's path */

/* A life in a program of its own (crash points are read once a process): DATA, its end, its batch
 * size, entries between snapshots. Ends by SIGKILL at the crash point in its environment or,
 * without one, behind the entries. */
static int life_main(char **arguments)
{
    struct life life;
    struct folder folder = {.snapshot_entries = strtoull(arguments[3], NULL, 10)};
    snprintf(folder.data, sizeof(folder.data), "%s", arguments[0]);
    if (!life_open(&life, &folder) || !life_fold(&life, strtoull(arguments[1], NULL, 10),
                                                 (uint32_t)strtoul(arguments[2], NULL, 10))) {
        fprintf(stderr, "%s\n", life.error.message);
        return 1;
    }
    if (getenv("SALVOR_CRASH_POINT") == NULL) {
        raise(SIGKILL);
    }
    return 0;
}

static void kill_life(const struct folder *folder, uint64_t end, uint32_t batch_size,
                      const char *point)
{
    char words[3][24];
    snprintf(words[0], sizeof(words[0]), "%" PRIu64, end);
    snprintf(words[1], sizeof(words[1]), "%" PRIu32, batch_size);
    snprintf(words[2], sizeof(words[2]), "%" PRIu64, folder->snapshot_entries);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (point != NULL) {
            setenv("SALVOR_CRASH_POINT", point, 1);
        }
        execl(program, "life", folder->data, words[0], words[1], words[2], (char *)NULL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void run_sql(const struct folder *folder, const char *sql)
{
    sqlite3 *database;
    assert_int_equal(sqlite3_open(folder->audit, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_true(sqlite3_changes(database) > 0);
    sqlite3_close(database);
}

static uint64_t count_sql(const struct folder *folder, const char *sql)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(folder->audit, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    uint64_t count = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return count;
}

/* The newest capture file's path. */
static void newest_capture(const struct folder *folder, char *path, size_t size)
{
    char newest[256] = "";
    DIR *directory = opendir(folder->capture);
    assert_non_null(directory);
    struct dirent *item;
    while ((item = readdir(directory)) != NULL) {
        if (strstr(item->d_name, ".capture") != NULL && strcmp(item->d_name, newest) > 0) {
            snprintf(newest, sizeof(newest), "%s", item->d_name);
        }
    }
    closedir(directory);
    assert_true((size_t)snprintf(path, size, "%s/%s", folder->capture, newest) < size);
}

static void tear_capture(const struct folder *folder, off_t bytes)
{
    char path[512];
    struct stat status;
    newest_capture(folder, path, sizeof(path));
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size > bytes);
    assert_int_equal(truncate(path, status.st_size - bytes), 0);
}

/* --- the tests --- */

static void test_journal__writes_every_kind_of_row(void **fixture)
{
    const struct folder *folder = *fixture;
    struct life life;
    assert_true(life_open(&life, folder));
    assert_int_equal(life.refolded, 0);
    assert_int_equal(life.found.ordinal, 0);
    assert_true(life_fold(&life, ENTRIES, 7));
    life_end(&life, true);
    assert_int_equal(count_sql(folder, "SELECT count(*) FROM leadership"), 1);
    assert_int_equal(count_sql(folder, "SELECT count(*) FROM policy"), 1);
    assert_int_equal(count_sql(folder, "SELECT count(*) FROM quarantine WHERE raw IS NOT NULL"),
                     25);
    assert_int_equal(count_sql(folder, "SELECT count(*) FROM quarantine"
                                       " WHERE reason = 'bad_field: ill_typed \"progress\"'"),
                     25);
    assert_int_equal(count_sql(folder, "SELECT count(*) FROM decision WHERE action = 'requeue'"),
                     25);
    assert_true(count_sql(folder, "SELECT count(*) FROM effect") > 0);
    assert_int_equal(count_sql(folder, "SELECT ordinal FROM position"), ENTRIES);
    assert_int_equal(count_sql(folder, "SELECT count(*) FROM snapshot"), 1);
    assert_int_equal(count_sql(folder, "SELECT ordinal FROM checkpoint"), ENTRIES);
    struct stat status;
    assert_int_equal(stat(folder->data, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

static void test_journal__comes_back_after_a_clean_stop(void **fixture)
{
    const struct folder *folder = *fixture;
    struct life first, second;
    assert_true(life_open(&first, folder));
    assert_true(life_fold(&first, ENTRIES, 7));
    struct sha256 hash = life_hash(&first);
    struct sha256 anchor = journal_anchor(first.journal);
    life_end(&first, true);
    assert_true(life_open(&second, folder));
    assert_int_equal(second.refolded, ENTRIES);
    assert_int_equal(second.found.ordinal, ENTRIES);
    struct sha256 again = life_hash(&second);
    assert_memory_equal(hash.bytes, again.bytes, SHA256_SIZE);
    again = journal_anchor(second.journal);
    assert_memory_equal(anchor.bytes, again.bytes, SHA256_SIZE);
    assert_memory_equal(anchor.bytes, second.found.entry_sha256.bytes, SHA256_SIZE);
    life_end(&second, true);
}

static void test_journal__comes_back_after_a_kill(void **fixture)
{
    const struct folder *folder = *fixture;
    struct outcome expected = undisturbed();
    struct life life;
    kill_life(folder, 150, 7, NULL);
    assert_true(life_open(&life, folder));
    assert_int_equal(life.refolded, 150);
    assert_true(life_fold(&life, ENTRIES, 13));
    struct outcome outcome = outcome_of(&life, folder);
    assert_outcome_equal(&outcome, &expected);
    life_end(&life, true);
}

static void test_journal__comes_back_after_a_kill_at_each_point(void **fixture)
{
    static const char *const points[] = {"read:3",      "decoded:3",         "capture_appended:3",
                                         "reduced:3",   "capture_written:3", "transaction:3",
                                         "committed:3", "dispatched:3",      "snapshot:2"};
    struct folder *folder = *fixture;
    struct outcome expected = undisturbed();
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        struct life life;
        tree_remove(folder->data);
        folder->snapshot_entries = 40;
        kill_life(folder, ENTRIES, 9, points[i]);
        kill_life(folder, ENTRIES, 11, points[i]);
        assert_true(life_open(&life, folder));
        assert_true(life.refolded < ENTRIES);
        assert_true(life_fold(&life, ENTRIES, 10));
        assert_true(journal_stop(life.journal, life.state, &life.error));
        struct outcome outcome = outcome_of(&life, folder);
        assert_outcome_equal(&outcome, &expected);
        life_end(&life, false);
    }
}

static void test_journal__commits_what_the_capture_holds_beyond_the_audit(void **fixture)
{
    const struct folder *folder = *fixture;
    struct outcome expected = undisturbed();
    struct life life;
    kill_life(folder, ENTRIES, 50, "capture_written:2");
    assert_int_equal(count_sql(folder, "SELECT ordinal FROM position"), 50);
    assert_true(life_open(&life, folder));
    assert_int_equal(life.found.ordinal, 50);
    assert_int_equal(life.refolded, 100);
    assert_int_equal(count_sql(folder, "SELECT ordinal FROM position"), 100);
    assert_true(life_fold(&life, ENTRIES, 50));
    struct outcome outcome = outcome_of(&life, folder);
    assert_outcome_equal(&outcome, &expected);
    life_end(&life, true);
}

static void test_journal__compares_what_a_torn_capture_lacks(void **fixture)
{
    const struct folder *folder = *fixture;
    struct outcome expected = undisturbed();
    struct life life;
    kill_life(folder, 150, 50, NULL);
    tear_capture(folder, 5);
    assert_true(life_open(&life, folder));
    assert_int_equal(life.found.ordinal, 150);
    assert_int_equal(life.refolded, 100);
    /* A stop before the gap is closed changes nothing. */
    assert_true(journal_stop(life.journal, life.state, &life.error));
    assert_int_equal(count_sql(folder, "SELECT ordinal FROM position"), 150);
    assert_true(life_fold(&life, ENTRIES, 13));
    struct outcome outcome = outcome_of(&life, folder);
    assert_outcome_equal(&outcome, &expected);
    life_end(&life, true);
}

static void test_journal__refuses_another_history(void **fixture)
{
    const struct folder *folder = *fixture;
    struct life life;
    kill_life(folder, 150, 50, NULL);
    tear_capture(folder, 5);
    run_sql(folder, "UPDATE position SET entry_sha256 = (SELECT audit_head FROM position)");
    assert_true(life_open(&life, folder));
    assert_false(life_fold(&life, ENTRIES, 13));
    assert_int_equal(life.error.code, ERROR_HISTORY);
    assert_non_null(strstr(life.error.message, "ordinal 150"));
    life_end(&life, false);
}

static void test_journal__names_the_column_of_a_changed_row(void **fixture)
{
    const struct folder *folder = *fixture;
    struct life life;
    kill_life(folder, 150, 50, NULL);
    run_sql(folder, "UPDATE decision SET reason = 'job_failed' WHERE seq = 7");
    assert_false(life_open(&life, folder));
    assert_int_equal(life.error.code, ERROR_DIFFERENT);
    assert_non_null(strstr(life.error.message, "column reason: the fold gives"));
    assert_non_null(strstr(life.error.message, "the audit holds \"job_failed\""));
}

static void test_journal__names_a_row_that_is_missing_or_too_much(void **fixture)
{
    const struct folder *folder = *fixture;
    struct life life;
    kill_life(folder, 150, 50, NULL);
    run_sql(folder, "DELETE FROM decision WHERE seq = (SELECT max(seq) FROM decision)");
    assert_false(life_open(&life, folder));
    assert_int_equal(life.error.code, ERROR_DIFFERENT);
    assert_non_null(strstr(life.error.message, "the audit holds \"\""));
    run_sql(folder, "INSERT INTO decision SELECT seq + 1000, 'planted', timeline, stream_id,"
                    " ordinal, at_ms, job, worker, service, attempt, action, reason, policy,"
                    " reducers, evidence, trace, mode, superseded_by, hash FROM decision"
                    " WHERE seq = 1");
    assert_false(life_open(&life, folder));
    assert_int_equal(life.error.code, ERROR_DIFFERENT);
}

static void test_journal__names_a_changed_effect(void **fixture)
{
    const struct folder *folder = *fixture;
    struct life life;
    kill_life(folder, 150, 50, NULL);
    run_sql(folder, "UPDATE effect SET target = 'job:other' WHERE seq = 2");
    assert_false(life_open(&life, folder));
    assert_int_equal(life.error.code, ERROR_DIFFERENT);
    assert_non_null(strstr(life.error.message, "column target: the fold gives"));
}

static void replay_equals(const struct folder *folder, const char *capture, uint32_t batch_size,
                          const struct outcome *expected, struct replay_report *report)
{
    struct replay_config config = {
        .capture = capture, .audit = folder->audit, .batch_size = batch_size};
    struct error error = {0};
    *report = (struct replay_report){0};
    if (!replay_run(&config, report, &error)) {
        fail_msg("%s", error.message);
    }
    assert_null(compare_difference(report->compare));
    assert_memory_equal(report->state_hash.bytes, expected->state.bytes, SHA256_SIZE);
    assert_int_equal(report->ordinal, ENTRIES);
    replay_report_fini(report);
}

static void test_journal__capture_replays_equal_with_any_batch_size(void **fixture)
{
    struct folder *folder = *fixture;
    struct life life;
    folder->snapshot_entries = 60;
    assert_true(life_open(&life, folder));
    assert_true(life_fold(&life, ENTRIES, 7));
    char tail[512];
    newest_capture(folder, tail, sizeof(tail));
    struct outcome outcome = outcome_of(&life, folder);
    life_end(&life, false);
    static const uint32_t sizes[] = {1, 7, 1000};
    struct replay_report report;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        replay_equals(folder, folder->capture, sizes[i], &outcome, &report);
        assert_int_equal(report.entries, ENTRIES);
        assert_int_equal(report.counts.decisions,
                         count_sql(folder, "SELECT count(*) FROM decision"));
        assert_int_equal(report.counts.effects, count_sql(folder, "SELECT count(*) FROM effect"));
        /* One file by itself, from the snapshot in its header. */
        replay_equals(folder, tail, sizes[i], &outcome, &report);
        assert_true(report.first_ordinal > 0);
        assert_int_equal(report.entries, ENTRIES - report.first_ordinal);
    }
}

static void test_journal__replay_says_what_was_not_compared(void **fixture)
{
    const struct folder *folder = *fixture;
    struct replay_report report = {0};
    struct replay_config config = {
        .capture = folder->capture, .audit = folder->audit, .batch_size = 7};
    struct error error = {0};
    kill_life(folder, 150, 50, "capture_written:2");
    assert_true(replay_run(&config, &report, &error));
    assert_true(report.counts.fold_beyond > 0);
    assert_int_equal(report.counts.audit_beyond, 0);
    replay_report_fini(&report);
    kill_life(folder, 150, 50, NULL);
    tear_capture(folder, 5);
    report = (struct replay_report){0};
    assert_true(replay_run(&config, &report, &error));
    assert_true(report.is_torn);
    assert_int_equal(report.ordinal, 100);
    assert_int_equal(report.counts.fold_beyond, 0);
    assert_true(report.counts.audit_beyond > 0);
    replay_report_fini(&report);
}

static void test_journal__replay_finds_a_changed_state_hash(void **fixture)
{
    const struct folder *folder = *fixture;
    struct life life;
    assert_true(life_open(&life, folder));
    assert_true(life_fold(&life, ENTRIES, 50));
    life_end(&life, true);
    run_sql(folder, "UPDATE checkpoint SET state_hash = (SELECT audit_head FROM position)");
    struct replay_report report = {0};
    struct replay_config config = {
        .capture = folder->capture, .audit = folder->audit, .batch_size = 7};
    struct error error = {0};
    assert_false(replay_run(&config, &report, &error));
    assert_int_equal(error.code, ERROR_DIFFERENT);
    assert_string_equal(compare_difference(report.compare)->fields[0].column, "state_hash");
    replay_report_fini(&report);
}

/* Snapshots stand where a batch ended, between the ticks. */
static void test_journal__replay_compares_state_hashes_between_ticks(void **fixture)
{
    struct folder *folder = *fixture;
    struct outcome expected = undisturbed();
    struct life life;
    folder->snapshot_entries = 60;
    assert_true(life_open(&life, folder));
    assert_true(life_fold(&life, ENTRIES, 7));
    life_end(&life, true);
    assert_int_equal(count_sql(folder, "SELECT count(*) FROM checkpoint"), 4);
    struct replay_report report;
    replay_equals(folder, folder->capture, 11, &expected, &report);
    assert_int_equal(report.counts.checkpoints, 4);
    replay_report_fini(&report);
    run_sql(folder, "UPDATE checkpoint SET state_hash = (SELECT audit_head FROM position)"
                    " WHERE ordinal = 126");
    struct replay_config config = {
        .capture = folder->capture, .audit = folder->audit, .batch_size = 11};
    struct error error = {0};
    report = (struct replay_report){0};
    assert_false(replay_run(&config, &report, &error));
    assert_int_equal(error.code, ERROR_DIFFERENT);
    assert_int_equal(compare_difference(report.compare)->ordinal, 126);
    replay_report_fini(&report);
}

static void test_journal__goes_on_without_a_snapshot_when_the_state_is_too_large(void **fixture)
{
    struct folder *folder = *fixture;
    struct outcome expected = undisturbed();
    struct life life;
    folder->snapshot_entries = 60;
    folder->snapshot_bytes = 1;
    assert_true(life_open(&life, folder));
    assert_true(life_fold(&life, 150, 7));
    assert_int_equal(count_sql(folder, "SELECT ordinal FROM position"), 150);
    life_end(&life, true);
    assert_int_equal(count_sql(folder, "SELECT count(*) FROM snapshot"), 0);
    /* The next life folds all of it again, and writes one as soon as there is room. */
    folder->snapshot_bytes = 0;
    assert_true(life_open(&life, folder));
    assert_int_equal(life.refolded, 150);
    assert_true(life_fold(&life, ENTRIES, 7));
    struct outcome outcome = outcome_of(&life, folder);
    assert_outcome_equal(&outcome, &expected);
    life_end(&life, true);
    assert_true(count_sql(folder, "SELECT count(*) FROM snapshot") > 0);
}

static void test_journal__begins_a_capture_anew_from_the_snapshot(void **fixture)
{
    struct folder *folder = *fixture;
    struct outcome expected = undisturbed();
    struct life life;
    folder->snapshot_entries = 60;
    kill_life(folder, 150, 7, NULL);
    tree_remove(folder->capture);
    assert_true(life_open(&life, folder));
    assert_int_equal(life.refolded, 126); /* the last snapshot's */
    assert_true(life_fold(&life, ENTRIES, 7));
    struct outcome outcome = outcome_of(&life, folder);
    assert_outcome_equal(&outcome, &expected);
    life_end(&life, false);
    struct replay_report report;
    replay_equals(folder, folder->capture, 7, &expected, &report);
    assert_int_equal(report.first_ordinal, 126);
}

static void test_journal__refuses_a_capture_that_ends_before_the_snapshot(void **fixture)
{
    struct folder *folder = *fixture;
    struct life life;
    char newest[512];
    folder->snapshot_entries = 60;
    kill_life(folder, 150, 7, NULL);
    for (int i = 0; i < 2; i++) {
        newest_capture(folder, newest, sizeof(newest));
        assert_int_equal(unlink(newest), 0);
    }
    assert_false(life_open(&life, folder));
    assert_int_equal(life.error.code, ERROR_CORRUPT);
    assert_non_null(strstr(life.error.message, "ends at ordinal 63, before the snapshot at 126"));
}

/* Makes the snapshot at an ordinal one of another program's version, whole as it was written. */
static void age_snapshot(const struct folder *folder, uint64_t ordinal)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    struct buffer bytes = {0};
    char sql[400];
    assert_int_equal(sqlite3_open(folder->audit, &database), SQLITE_OK);
    snprintf(sql, sizeof(sql), "SELECT bytes FROM snapshot_chunk WHERE ordinal = %" PRIu64,
             ordinal);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    buffer_put(&bytes, sqlite3_column_blob(statement, 0),
               (size_t)sqlite3_column_bytes(statement, 0));
    sqlite3_finalize(statement);
    bytes.data[1]--; /* behind the mark */
    struct sha256 digest = sha256_of(buffer_span(&bytes));
    struct sha256_text text = sha256_text(&digest);
    snprintf(sql, sizeof(sql), "UPDATE snapshot_chunk SET bytes = ? WHERE ordinal = %" PRIu64,
             ordinal);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_blob(statement, 1, bytes.data, (int)bytes.size, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    assert_int_equal(sqlite3_changes(database), 1);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    snprintf(sql, sizeof(sql), "UPDATE snapshot SET sha256 = '%s' WHERE ordinal = %" PRIu64,
             text.text, ordinal);
    run_sql(folder, sql);
    buffer_fini(&bytes);
}

static void test_journal__passes_over_snapshots_of_another_version(void **fixture)
{
    struct folder *folder = *fixture;
    struct outcome expected = undisturbed();
    struct life life;
    folder->snapshot_entries = 60;
    assert_true(life_open(&life, folder));
    assert_true(life_fold(&life, 150, 7));
    life_end(&life, true);
    /* Snapshots at 126 and 150: the newer one is unreadable, then the older one too. */
    assert_int_equal(count_sql(folder, "SELECT min(ordinal) FROM snapshot"), 126);
    age_snapshot(folder, 150);
    assert_true(life_open(&life, folder));
    assert_int_equal(life.found.ordinal, 150);
    assert_int_equal(life.refolded, 150);
    life_end(&life, true); /* puts one that it can read in its place */
    assert_true(life_open(&life, folder));
    life_end(&life, false);
    age_snapshot(folder, 150);
    age_snapshot(folder, 126);
    /* What is folded again from the start is compared as always. */
    run_sql(folder, "UPDATE decision SET worker = worker || '!' WHERE seq = 10");
    assert_false(life_open(&life, folder));
    assert_int_equal(life.error.code, ERROR_DIFFERENT);
    run_sql(folder, "UPDATE decision SET worker = rtrim(worker, '!') WHERE seq = 10");
    assert_true(life_open(&life, folder));
    assert_int_equal(life.refolded, 150);
    assert_true(life_fold(&life, ENTRIES, 7));
    struct outcome outcome = outcome_of(&life, folder);
    assert_outcome_equal(&outcome, &expected);
    life_end(&life, true);
}

static void test_journal__says_what_to_do_when_no_snapshot_can_be_read(void **fixture)
{
    struct folder *folder = *fixture;
    struct life life;
    char first[512];
    folder->snapshot_entries = 60;
    assert_true(life_open(&life, folder));
    assert_true(life_fold(&life, 150, 7));
    life_end(&life, true);
    age_snapshot(folder, 150);
    age_snapshot(folder, 126);
    snprintf(first, sizeof(first), "%s/0000000000000000.capture", folder->capture);
    assert_int_equal(unlink(first), 0);
    assert_false(life_open(&life, folder));
    assert_int_equal(life.error.code, ERROR_REFUSED);
    assert_string_equal(life.error.message,
                        "snapshot at 150: of another version; captures begin at 63: start the "
                        "Salvor that wrote it, or move DATA away to read the stream anew");
}

static void test_journal__takes_state_hashes_at_ticks(void **fixture)
{
    const struct folder *folder = *fixture;
    const uint64_t end = 140000; /* more than twice 65,536 */
    struct life life;
    kill_life(folder, end, 1000, NULL);
    /* The first ticks behind so many entries; a round is eight entries long, its tick the seventh.
     */
    assert_int_equal(count_sql(folder, "SELECT count(*) FROM checkpoint"), 2);
    assert_int_equal(count_sql(folder, "SELECT min(ordinal) FROM checkpoint"), 65576);
    assert_int_equal(count_sql(folder, "SELECT max(ordinal) FROM checkpoint"), 65576 + 65536);
    struct replay_config config = {
        .capture = folder->capture, .audit = folder->audit, .batch_size = 1000};
    struct replay_report report = {0};
    struct error error = {0};
    assert_true(replay_run(&config, &report, &error));
    assert_int_equal(report.counts.checkpoints, 2);
    replay_report_fini(&report);
    /* A restart takes none of them again, and goes on counting where they stand. */
    assert_true(life_open(&life, folder));
    assert_int_equal(life.refolded, end);
    assert_int_equal(count_sql(folder, "SELECT count(*) FROM checkpoint"), 2);
    life_end(&life, false);
    run_sql(folder, "UPDATE checkpoint SET state_hash = (SELECT audit_head FROM position)"
                    " WHERE ordinal > 65576");
    assert_false(life_open(&life, folder));
    assert_non_null(strstr(life.error.message, "at ordinal 131112, column state_hash"));
}

static void test_journal__data_serves_one_owner(void **fixture)
{
    const struct folder *folder = *fixture;
    struct owner first, second;
    struct error error = {0};
    assert_true(owner_open(folder->data, &first, &error));
    assert_int_equal(strlen(first.id), OWNER_SIZE);
    assert_false(owner_open(folder->data, &second, &error));
    assert_int_equal(error.code, ERROR_BUSY);
    owner_close(&first);
    assert_true(owner_open(folder->data, &second, &error));
    assert_string_equal(second.id, first.id);
    owner_close(&second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc == 5) {
        return life_main(argv + 1);
    }
    const struct CMUnitTest tests[] = {
        TEST(test_journal__writes_every_kind_of_row),
        TEST(test_journal__comes_back_after_a_clean_stop),
        TEST(test_journal__comes_back_after_a_kill),
        TEST(test_journal__comes_back_after_a_kill_at_each_point),
        TEST(test_journal__commits_what_the_capture_holds_beyond_the_audit),
        TEST(test_journal__compares_what_a_torn_capture_lacks),
        TEST(test_journal__refuses_another_history),
        TEST(test_journal__names_the_column_of_a_changed_row),
        TEST(test_journal__names_a_row_that_is_missing_or_too_much),
        TEST(test_journal__names_a_changed_effect),
        TEST(test_journal__capture_replays_equal_with_any_batch_size),
        TEST(test_journal__replay_says_what_was_not_compared),
        TEST(test_journal__replay_finds_a_changed_state_hash),
        TEST(test_journal__replay_compares_state_hashes_between_ticks),
        TEST(test_journal__goes_on_without_a_snapshot_when_the_state_is_too_large),
        TEST(test_journal__begins_a_capture_anew_from_the_snapshot),
        TEST(test_journal__refuses_a_capture_that_ends_before_the_snapshot),
        TEST(test_journal__passes_over_snapshots_of_another_version),
        TEST(test_journal__says_what_to_do_when_no_snapshot_can_be_read),
        TEST(test_journal__takes_state_hashes_at_ticks),
        TEST(test_journal__data_serves_one_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
