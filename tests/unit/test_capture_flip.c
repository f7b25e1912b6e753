/* SPDX-License-Identifier: MIT
 * A capture in which one bit is not what was written, anywhere in it, is never replayed as if it
 * were whole. Its files are those of a real journal, with snapshots at their heads, and the last
 * one is torn, as a crash leaves it. SEED chooses other places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "replay/journal.h"
#include "replay/replay.h"
#include "store/capture_files.h"
#include "store/capture_format.h"
#include "tests/lib/folder.h"
#include "tests/lib/small_stream.h"
#include "tests/lib/tree.h"

#define ENTRIES    202
#define FLIPS      1000
#define FILES      4
#define FRAMES_MAX 40 /* of one file, its header included */

/* One file: its bytes, and where its frames begin; behind the last whole one, a torn one. */
struct file {
    const char *path;
    struct buffer bytes;
    size_t offset[FRAMES_MAX];
    uint64_t ordinal[FRAMES_MAX];
    size_t frame_count;
};

struct damage {
    char root[TREE_PATH_SIZE], capture[100];
    struct capture_files names;
    struct file files[FILES];
    size_t size; /* of all files */
    struct buffer decisions;
    uint64_t entries;
};

static void write_capture(const struct damage *damage)
{
    struct journal_config config = {
        .data = damage->root, .snapshot_entries = 50, .snapshot_ms = JOURNAL_SNAPSHOT_MS};
    struct error error = {0};
    struct state *state;
    struct journal *journal = journal_open(&config, &state, &error);
    assert_non_null(journal);
    struct small_stream stream = {.end = ENTRIES, .batch_size = 10};
    struct loop loop = {
        .state = state,
        .source = small_stream_source(&stream),
        .sinks = {journal_sink(journal)},
        .sink_count = 1,
    };
    assert_true(loop_run(&loop, &error));
    journal_close(journal);
    state_destroy(state);
}

static void find_frames(struct file *file)
{
    size_t at = CAPTURE_PRELUDE_SIZE;
    while (at < file->bytes.size) {
        struct capture_frame frame;
        assert_true(file->frame_count < FRAMES_MAX);
        assert_true(capture_read_head(file->bytes.data + at, &frame));
        file->offset[file->frame_count] = at;
        file->ordinal[file->frame_count++] = frame.ordinal;
        at += CAPTURE_HEAD_SIZE + frame.body_size;
    }
}

/* Collects the ids of the decisions. */
static void note(void *payload, const struct decision *decision)
{
    struct buffer *ids = payload;
    buffer_put_span(ids, decision->id);
    buffer_put_byte(ids, '\n');
}

/* One entry at a time, so that each that stands before the damage is folded. */
static bool replay(const struct damage *damage, struct replay_report *report, struct buffer *ids,
                   struct error *error)
{
    struct replay_config config = {
        .capture = damage->capture, .batch_size = 1, .each = note, .payload = ids};
    *report = (struct replay_report){0};
    *error = (struct error){0};
    buffer_reset(ids);
    bool is_done = replay_run(&config, report, error);
    replay_report_fini(report);
    return is_done;
}

static int make_damage(void **fixture)
{
    struct damage *damage = calloc(1, sizeof(*damage));
    assert_non_null(damage);
    tree_make(damage->root);
    snprintf(damage->capture, sizeof(damage->capture), "%s/capture-0", damage->root);
    write_capture(damage);
    struct error error = {0};
    assert_true(capture_files_list(damage->capture, &damage->names, &error));
    assert_true(damage->names.count >= FILES);
    for (size_t index = 0; index < damage->names.count; index++) {
        if (index >= FILES) { /* the last one must hold entries */
            assert_int_equal(remove(damage->names.paths[index]), 0);
            continue;
        }
        struct file *file = &damage->files[index];
        file->path = damage->names.paths[index];
        file_load(file->path, &file->bytes);
        find_frames(file);
        assert_true(file->frame_count > 3);
        if (index == FILES - 1) {
            file->bytes.size -= 10;
            file_store(file->path, buffer_span(&file->bytes));
        }
        damage->size += file->bytes.size;
    }
    struct replay_report report;
    assert_true(replay(damage, &report, &damage->decisions, &error));
    assert_true(report.is_torn);
    assert_true(report.decisions > 20);
    damage->entries = report.entries;
    *fixture = damage;
    return 0;
}

static int remove_damage(void **fixture)
{
    struct damage *damage = *fixture;
    tree_remove(damage->root);
    for (size_t index = 0; index < FILES; index++) {
        buffer_fini(&damage->files[index].bytes);
    }
    buffer_fini(&damage->decisions);
    capture_files_fini(&damage->names);
    free(damage);
    return 0;
}

/* The message names file, frame and byte; `frame` is that of the flipped bit. */
static void check_located(const struct file *file, size_t frame, const struct error *error)
{
    char place[100];
    bool is_prelude = frame == 0 && strstr(error->message, "at byte 0:") != NULL;
    snprintf(place, sizeof(place), "%s: frame %zu at byte %zu: ", capture_file_name(file->path),
             frame, is_prelude ? 0 : file->offset[frame]);
    if (strstr(error->message, place) == NULL) {
        fail_msg("\"%s\" does not name \"%s\"", error->message, place);
    }
}

/* The capture with that bit flipped fails, located, behind what stands before that frame; or, where
 * the bit lies in the body of the torn frame, which nobody reads, it is still torn, and the same.
 */
static void check_flip(struct damage *damage, struct file *file, size_t place, unsigned bit)
{
    struct buffer ids = {0};
    struct replay_report report;
    struct error error;
    file->bytes.data[place] = (char)(file->bytes.data[place] ^ (1 << bit));
    file_store(file->path, buffer_span(&file->bytes));
    bool is_done = replay(damage, &report, &ids, &error);
    size_t frame = file->frame_count - 1;
    while (frame > 0 && file->offset[frame] > place) {
        frame--;
    }
    bool is_torn_frame = file == &damage->files[FILES - 1] && frame + 1 == file->frame_count;
    if (is_torn_frame && place >= file->offset[frame] + CAPTURE_HEAD_SIZE) {
        assert_true(is_done);
        assert_true(report.is_torn);
    } else {
        assert_false(is_done);
        assert_int_equal(error.code, ERROR_CORRUPT);
        check_located(file, frame, &error);
    }
    /* In the first header there is nothing to fold yet. */
    bool is_first_header = file == &damage->files[0] && frame == 0;
    assert_int_equal(report.entries, is_first_header ? 0 : file->ordinal[frame]);
    assert_true(report.entries <= damage->entries);
    assert_true(ids.size <= damage->decisions.size);
    assert_true(ids.size == 0 || memcmp(ids.data, damage->decisions.data, ids.size) == 0);
    file->bytes.data[place] = (char)(file->bytes.data[place] ^ (1 << bit));
    file_store(file->path, buffer_span(&file->bytes));
    buffer_fini(&ids);
}

static void test_capture_flip__one_bit_anywhere_is_never_replayed_as_if_whole(void **fixture)
{
    struct damage *damage = *fixture;
    const char *told = getenv("SEED");
    uint64_t seed = told != NULL ? strtoull(told, NULL, 10) : 41;
    print_message("SEED=%llu\n", (unsigned long long)seed);
    for (uint64_t round = 0; round < FLIPS; round++) {
        uint64_t dice = hash_number(seed, round);
        size_t place = (size_t)(dice % damage->size);
        struct file *file = damage->files;
        for (; place >= file->bytes.size; file++) {
            place -= file->bytes.size;
        }
        check_flip(damage, file, place, (unsigned)(dice >> 40) % 8);
    }
}

/* The few bytes that chance may miss: every byte of the preludes and heads. */
static void test_capture_flip__every_byte_of_preludes_and_heads_counts(void **fixture)
{
    struct damage *damage = *fixture;
    for (struct file *file = damage->files; file < damage->files + FILES; file++) {
        for (size_t place = 0; place < CAPTURE_PRELUDE_SIZE; place++) {
            check_flip(damage, file, place, (unsigned)place % 8);
        }
        size_t frames[] = {0, file->frame_count - 1};
        for (size_t index = 0; index < 2; index++) {
            for (size_t byte = 0; byte < CAPTURE_HEAD_SIZE; byte++) {
                check_flip(damage, file, file->offset[frames[index]] + byte, (unsigned)byte % 8);
            }
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_damage, remove_damage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_capture_flip__one_bit_anywhere_is_never_replayed_as_if_whole),
        TEST(test_capture_flip__every_byte_of_preludes_and_heads_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
