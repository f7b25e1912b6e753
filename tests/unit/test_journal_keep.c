/* SPDX-License-Identifier: MIT
 * When a capture file ends, and which of them a journal removes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replay/journal.h"
#include "replay/replay.h"
#include "store/capture.h"
#include "tests/lib/small_stream.h"
#include "tests/lib/tree.h"

#define ENTRIES 402
#define BATCH   10
#define FAR_MS  9000000000000 /* a day in the year 2255 */

/* A DATA folder, and the stream that is folded into it: the small one, where from entry `far` on
 * every id is of the far future, as Redis makes them behind one such entry. */
struct room {
    char root[TREE_PATH_SIZE], capture[100], audit[100];
    struct journal_config config;
    uint64_t far, end;
};

static int make_room(void **fixture)
{
    struct room *room = calloc(1, sizeof(*room));
    assert_non_null(room);
    tree_make(room->root);
    snprintf(room->capture, sizeof(room->capture), "%s/capture-0", room->root);
    snprintf(room->audit, sizeof(room->audit), "%s/audit-0.db", room->root);
    room->far = UINT64_MAX;
    room->config = (struct journal_config){.data = room->root,
                                           .snapshot_entries = JOURNAL_SNAPSHOT_ENTRIES,
                                           .snapshot_ms = JOURNAL_SNAPSHOT_MS};
    *fixture = room;
    return 0;
}

static int remove_room(void **fixture)
{
    struct room *room = *fixture;
    tree_remove(room->root);
    free(room);
    return 0;
}

static enum source_next read_stream(void *self, const struct state *state, struct batch *batch,
                                    struct error *error)
{
    (void)error;
    const struct room *room = self;
    uint64_t index = state_summary(state).ordinal;
    for (; index < room->end && batch->count < BATCH; index++) {
        struct entry entry = small_stream_entry(index, &batch->arena);
        if (index >= room->far) {
            entry.id = (struct stream_id){FAR_MS, index};
        }
        batch_add(batch, entry.id, entry.raw);
    }
    return batch->count > 0 ? SOURCE_BATCH : SOURCE_END;
}

/* One life of a process: folds the stream up to `end` and stops, cleanly or not. */
static void live(struct room *room, uint64_t end, bool is_clean)
{
    struct error error = {0};
    struct state *state;
    struct journal *journal = journal_open(&room->config, &state, &error);
    assert_string_equal(error.message, "");
    room->end = end;
    struct loop loop = {
        .state = state,
        .source = {.name = "stream", .self = room, .read = read_stream},
        .sinks = {journal_sink(journal)},
        .sink_count = 1,
    };
    assert_true(loop_run(&loop, &error));
    assert_true(!is_clean || journal_stop(journal, state, &error));
    journal_close(journal);
    state_destroy(state);
}

static struct capture_range range_of(const struct room *room)
{
    struct capture_range range;
    struct error error = {0};
    assert_true(capture_range(room->capture, &range, &error));
    return range;
}

/* What is left folds to what the audit holds. */
static void check_replay(const struct room *room)
{
    struct replay_config config = {.capture = room->capture, .audit = room->audit, .batch_size = 7};
    struct replay_report report = {0};
    struct error error = {0};
    bool is_equal = replay_run(&config, &report, &error);
    assert_string_equal(error.message, "");
    assert_true(is_equal);
    assert_int_equal(report.first_ordinal, range_of(room).first_ordinal);
    assert_true(report.counts.decisions > 0);
    replay_report_fini(&report);
}

static void test_journal_keep__a_file_ends_when_it_is_large(void **fixture)
{
    struct room *room = *fixture;
    live(room, ENTRIES, false);
    assert_int_equal(range_of(room).files, 1);
    tree_remove(room->capture);
    char database[120];
    snprintf(database, sizeof(database), "%s", room->audit);
    assert_int_equal(remove(database), 0);

    room->config.rotate_bytes = 4096;
    live(room, ENTRIES, false);
    struct capture_range range = range_of(room);
    assert_true(range.files > 3);
    assert_true(range.files < ENTRIES / BATCH); /* no more than one a few batches */
    assert_int_equal(range.entries, ENTRIES);
    check_replay(room);
}

static void test_journal_keep__old_files_go_and_a_restart_does_not_miss_them(void **fixture)
{
    struct room *room = *fixture;
    room->config.snapshot_entries = 40;
    live(room, 200, false);
    assert_int_equal(range_of(room).files, 6);
    assert_int_equal(range_of(room).first_ordinal, 0);
    room->config.keep_ms = 1;
    live(room, 320, false);
    /* Snapshots at 280 and 320: the file between them, and the one that has just begun. */
    assert_int_equal(range_of(room).files, 2);
    assert_int_equal(range_of(room).first_ordinal, 280);
    check_replay(room);
    live(room, ENTRIES, true);
    check_replay(room);
}

static void test_journal_keep__files_stay_while_they_are_young(void **fixture)
{
    struct room *room = *fixture;
    room->config.snapshot_entries = 40;
    room->config.keep_ms = 150; /* of ids that are a ms apart */
    live(room, ENTRIES, false);
    /* At 400 what lies before 250 is too old: the file from 240 on is not. */
    assert_int_equal(range_of(room).first_ordinal, 240);
    check_replay(room);
}

static void test_journal_keep__files_go_when_all_have_too_many_bytes(void **fixture)
{
    struct room *room = *fixture;
    room->config.snapshot_entries = 40;
    room->config.keep_bytes = 1;
    live(room, ENTRIES, false);
    assert_int_equal(range_of(room).first_ordinal, 360);
    check_replay(room);
}

static void test_journal_keep__one_id_of_the_far_future_makes_nothing_old(void **fixture)
{
    struct room *room = *fixture;
    room->config.snapshot_entries = 40;
    room->config.keep_ms = 3600000;
    room->far = 200;
    live(room, ENTRIES, true);
    assert_int_equal(range_of(room).last_ms, FAR_MS);
    assert_int_equal(range_of(room).first_ordinal, 0);
    check_replay(room);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_room, remove_room)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_journal_keep__a_file_ends_when_it_is_large),
        TEST(test_journal_keep__old_files_go_and_a_restart_does_not_miss_them),
        TEST(test_journal_keep__files_stay_while_they_are_young),
        TEST(test_journal_keep__files_go_when_all_have_too_many_bytes),
        TEST(test_journal_keep__one_id_of_the_far_future_makes_nothing_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
