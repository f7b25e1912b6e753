/* SPDX-License-Identifier: MIT
 * Captures that are whole: what is written is read, over frames, batches, files and restarts. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/capture_format.h"
#include "tests/lib/entries.h"
#include "tests/lib/folder.h"

static const struct capture_header first_header = {
    .partition = 3, .timeline = 1, .reducers = 1, .policy = {"effects=apply\n", 14}};

static off_t size_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static struct capture_writer *create(const char *folder, const struct capture_header *header)
{
    struct error error = {0};
    struct capture_writer *writer = capture_create(folder, header, &error);
    assert_string_equal(error.message, "");
    assert_non_null(writer);
    return writer;
}

static void flush(struct capture_writer *writer)
{
    struct error error = {0};
    assert_true(capture_flush(writer, &error));
    assert_string_equal(error.message, "");
}

/* Writes one file with `count` entries from ordinal `first` on, a flush every `batch`. */
static void write_file(const char *folder, uint64_t first, uint64_t count, uint64_t batch)
{
    struct capture_header header = first_header;
    header.ordinal = first;
    header.position = entries_before(first);
    header.snapshot = first == 0 ? SPAN_NONE : SPAN("the state there");
    struct capture_writer *writer = create(folder, &header);
    for (uint64_t done = 0; done < count; done += batch) {
        entries_append(writer, first + done, batch);
        flush(writer);
    }
    capture_close(writer);
}

static void check_whole(const char *path, uint64_t first, uint64_t count)
{
    struct error error = {0};
    struct capture_reader *reader = capture_open(path, &error);
    assert_non_null(reader);
    uint64_t read;
    assert_int_equal(entries_read(reader, first, &read, &error), CAPTURE_END);
    assert_int_equal(read, count);
    capture_reader_close(reader);
}

static void test_capture__keeps_header_and_entries(void **fixture)
{
    char state[100000];
    memset(state, 's', sizeof(state));
    struct capture_header header = {
        .partition = 7,
        .timeline = 2,
        .ordinal = 41,
        .position = {1763899200000, 9},
        .reducers = 5,
        .policy = SPAN("effects=apply\n"),
        .snapshot = {state, sizeof(state)},
        .audit_head = SPAN("abcd"),
    };
    struct capture_writer *writer = create(*fixture, &header);
    entries_append(writer, 41, 10);
    flush(writer);
    entries_append(writer, 51, 1);
    flush(writer);
    struct error error = {0};
    assert_true(capture_sync(writer, &error));
    capture_close(writer);

    const char *path = folder_path(*fixture, "0000000000000041.capture");
    struct capture_reader *reader = capture_open(path, &error);
    assert_non_null(reader);
    const struct capture_header *read = capture_reader_header(reader);
    assert_int_equal(read->partition, 7);
    assert_int_equal(read->timeline, 2);
    assert_int_equal(read->ordinal, 41);
    assert_int_equal(stream_id_compare(read->position, header.position), 0);
    assert_int_equal(read->reducers, 5);
    assert_true(span_equal(read->policy, header.policy));
    assert_true(span_equal(read->audit_head, header.audit_head));
    uint64_t count;
    assert_int_equal(entries_read(reader, 41, &count, &error), CAPTURE_END);
    assert_int_equal(count, 11);
    /* The header's texts outlive the frames read since. */
    assert_true(span_equal(read->snapshot, header.snapshot));
    capture_reader_close(reader);
    check_whole(*fixture, 41, 11);
}

static void test_capture__takes_ids_of_any_size(void **fixture)
{
    static const struct stream_id ids[] = {
        {0, 1}, {4, UINT64_MAX}, {5, 0}, {UINT64_MAX, 0}, {UINT64_MAX, UINT64_MAX}};
    enum { COUNT = sizeof(ids) / sizeof(ids[0]) };
    struct capture_writer *writer = create(*fixture, &first_header);
    for (size_t index = 0; index < COUNT; index++) {
        capture_append(writer, &(struct entry){.id = ids[index], .raw = SPAN("x")});
    }
    flush(writer);
    capture_close(writer);

    struct error error = {0};
    struct capture_reader *reader = capture_open(*fixture, &error);
    struct entry entry;
    for (size_t index = 0; index < COUNT; index++) {
        assert_int_equal(capture_next(reader, &entry, &error), CAPTURE_ENTRY);
        assert_int_equal(stream_id_compare(entry.id, ids[index]), 0);
    }
    assert_int_equal(capture_next(reader, &entry, &error), CAPTURE_END);
    capture_reader_close(reader);
}

static void test_capture__ids_that_do_not_rise_are_refused(void **fixture)
{
    static const struct stream_id seconds[] = {{5, 7}, {5, 6}, {4, 9}};
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        struct capture_writer *writer = create(*fixture, &first_header);
        capture_append(writer, &(struct entry){.id = {5, 7}, .raw = SPAN("x")});
        flush(writer);
        capture_append(writer, &(struct entry){.id = seconds[i], .raw = SPAN("y")});
        flush(writer);
        capture_close(writer);

        struct error error = {0};
        struct capture_reader *reader = capture_open(*fixture, &error);
        struct entry entry;
        assert_int_equal(capture_next(reader, &entry, &error), CAPTURE_ENTRY);
        assert_int_equal(capture_next(reader, &entry, &error), CAPTURE_ERROR);
        assert_int_equal(error.code, ERROR_CORRUPT);
        capture_reader_close(reader);
        assert_int_equal(unlink(folder_path(*fixture, "0000000000000000.capture")), 0);
    }
}

static void test_capture__reads_the_same_whatever_the_batches(void **fixture)
{
    static const uint64_t batches[] = {1, 7, 1000, 21000};
    for (size_t index = 0; index < sizeof(batches) / sizeof(batches[0]); index++) {
        char *folder = folder_make();
        write_file(folder, 0, 21000, batches[index]);
        check_whole(folder, 0, 21000);
        folder_remove(folder);
    }
    (void)fixture;
}

static void test_capture__flush_without_entries_writes_nothing(void **fixture)
{
    struct capture_writer *writer = create(*fixture, &first_header);
    const char *path = folder_path(*fixture, "0000000000000000.capture");
    off_t size = size_of(path);
    flush(writer);
    assert_int_equal(size_of(path), size);
    capture_append(writer, &(struct entry){.id = {1, 1}, .raw = SPAN("x")});
    assert_int_equal(size_of(path), size);
    flush(writer);
    assert_true(size_of(path) > size);
    capture_close(writer);
}

static void test_capture__what_was_not_flushed_is_dropped(void **fixture)
{
    struct capture_writer *writer = create(*fixture, &first_header);
    entries_append(writer, 0, 5);
    flush(writer);
    entries_append(writer, 5, 5);
    capture_close(writer);
    check_whole(*fixture, 0, 5);
}

static void test_capture__large_batches_become_several_frames(void **fixture)
{
    static char large[5 << 20];
    memset(large, 'l', sizeof(large));
    struct capture_writer *writer = create(*fixture, &first_header);
    for (uint64_t number = 0; number < 200; number++) {
        capture_append(writer, &(struct entry){.id = {number, 1}, .raw = {large, 60000}});
    }
    capture_append(writer, &(struct entry){.id = {200, 0}, .raw = {large, sizeof(large)}});
    flush(writer);
    capture_close(writer);

    struct error error = {0};
    struct capture_reader *reader = capture_open(*fixture, &error);
    struct entry entry;
    uint64_t count = 0, frames = 0, frame_size = 0, frame_end = 0;
    while (capture_next(reader, &entry, &error) == CAPTURE_ENTRY) {
        bool is_first = frame_end != capture_reader_offset(reader);
        frames += is_first;
        frame_size = is_first ? entry.raw.size : frame_size + entry.raw.size;
        frame_end = capture_reader_offset(reader);
        assert_true(frame_size <= 4 << 20 || entry.raw.size == frame_size);
        assert_int_equal(entry.id.ms, count);
        count++;
    }
    assert_int_equal(count, 201);
    /* 12 MB of small ones, and the large one alone. */
    assert_int_equal(frames, 4);
    capture_reader_close(reader);
}

static void test_capture__resume_goes_on_behind_the_last_entry(void **fixture)
{
    write_file(*fixture, 0, 300, 100);
    write_file(*fixture, 300, 50, 50);
    uint64_t ordinal = 0;
    struct stream_id position = {0, 0};
    struct error error = {0};
    struct capture_writer *writer = capture_resume(*fixture, &ordinal, &position, &error);
    assert_non_null(writer);
    assert_int_equal(ordinal, 350);
    struct buffer raw = {0};
    assert_int_equal(stream_id_compare(position, entry_numbered(349, &raw).id), 0);
    buffer_fini(&raw);
    entries_append(writer, 350, 25);
    flush(writer);
    capture_close(writer);
    check_whole(*fixture, 0, 375);
}

static void test_capture__resume_of_a_file_without_entries_tells_its_header(void **fixture)
{
    struct capture_header header = first_header;
    header.ordinal = 12;
    header.position = (struct stream_id){5, 6};
    capture_close(create(*fixture, &header));
    uint64_t ordinal = 0;
    struct stream_id position = {0, 0};
    struct error error = {0};
    struct capture_writer *writer = capture_resume(*fixture, &ordinal, &position, &error);
    assert_non_null(writer);
    assert_int_equal(ordinal, 12);
    assert_int_equal(stream_id_compare(position, header.position), 0);
    capture_close(writer);
}

static void test_capture__resume_without_files_is_no_error(void **fixture)
{
    uint64_t ordinal = 0;
    struct stream_id position = {0, 0};
    struct error error = {.code = ERROR_IO};
    assert_null(capture_resume(*fixture, &ordinal, &position, &error));
    assert_int_equal(error.code, ERROR_NONE);
    error.code = ERROR_IO;
    assert_null(capture_resume(folder_path(*fixture, "absent"), &ordinal, &position, &error));
    assert_int_equal(error.code, ERROR_NONE);
}

static void test_capture__create_replaces_only_what_holds_no_entry(void **fixture)
{
    struct error error = {0};
    capture_close(create(*fixture, &first_header));
    struct capture_writer *writer = create(*fixture, &first_header);
    entries_append(writer, 0, 1);
    flush(writer);
    capture_close(writer);
    assert_null(capture_create(*fixture, &first_header, &error));
    assert_int_equal(error.code, ERROR_REFUSED);
    check_whole(*fixture, 0, 1);

    file_store(folder_path(*fixture, "0000000000000000.capture"), SPAN("somebody's notes"));
    assert_null(capture_create(*fixture, &first_header, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
    struct buffer kept = {0};
    file_load(folder_path(*fixture, "0000000000000000.capture"), &kept);
    assert_true(span_is(buffer_span(&kept), "somebody's notes"));
    buffer_fini(&kept);
}

static void test_capture__a_directory_is_one_capture(void **fixture)
{
    write_file(*fixture, 1000, 500, 10);
    write_file(*fixture, 0, 1000, 100);
    write_file(*fixture, 1500, 1, 1);
    file_store(folder_path(*fixture, "notes.txt"), SPAN("not a capture"));
    file_store(folder_path(*fixture, "0000000000000900.capture.new"), SPAN("left over"));
    check_whole(*fixture, 0, 1501);
    struct error error = {0};
    struct capture_reader *reader = capture_open(*fixture, &error);
    uint64_t read;
    entries_read(reader, 0, &read, &error);
    /* The header stays that of the first file. */
    assert_int_equal(capture_reader_header(reader)->ordinal, 0);
    capture_reader_close(reader);
}

static void test_capture__seek_skips_whole_files(void **fixture)
{
    write_file(*fixture, 10, 90, 10);
    write_file(*fixture, 100, 50, 10);
    write_file(*fixture, 150, 50, 10);
    static const struct {
        uint64_t ordinal, expected;
    } cases[] = {{10, 10}, {99, 10}, {100, 100}, {149, 100}, {150, 150}, {UINT64_MAX, 150}};
    struct error error = {0};
    struct capture_reader *reader = capture_open(*fixture, &error);
    for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
        assert_true(capture_seek(reader, cases[index].ordinal, &error));
        assert_int_equal(capture_reader_header(reader)->ordinal, cases[index].expected);
        uint64_t read;
        assert_int_equal(entries_read(reader, cases[index].expected, &read, &error), CAPTURE_END);
        assert_int_equal(read, 200 - cases[index].expected);
    }
    assert_false(capture_seek(reader, 9, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    capture_reader_close(reader);
}

static void test_capture__a_growing_file_is_read_on(void **fixture)
{
    struct capture_writer *writer = create(*fixture, &first_header);
    struct error error = {0};
    struct capture_reader *reader = capture_open(*fixture, &error);
    uint64_t read;
    assert_int_equal(entries_read(reader, 0, &read, &error), CAPTURE_END);
    assert_int_equal(read, 0);
    entries_append(writer, 0, 3);
    flush(writer);
    assert_int_equal(entries_read(reader, 0, &read, &error), CAPTURE_END);
    assert_int_equal(read, 3);
    entries_append(writer, 3, 4);
    flush(writer);
    assert_int_equal(entries_read(reader, 3, &read, &error), CAPTURE_END);
    assert_int_equal(read, 4);
    capture_reader_close(reader);
    capture_close(writer);
}

static void test_capture__open_names_what_is_missing(void **fixture)
{
    struct error error = {0};
    assert_null(capture_open(folder_path(*fixture, "absent"), &error));
    assert_int_equal(error.code, ERROR_IO);
    assert_null(capture_open(*fixture, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    assert_non_null(strstr(error.message, "no *.capture file"));
}

/* The limit stands for the full disk: the kernel takes a part of the frame and refuses the rest. */
static void test_capture__full_disk_cuts_back_and_goes_on_when_there_is_room(void **fixture)
{
    struct capture_writer *writer = create(*fixture, &first_header);
    const char *path = folder_path(*fixture, "0000000000000000.capture");
    entries_append(writer, 0, 100);
    flush(writer);
    off_t good = size_of(path);

    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)good + 60;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    entries_append(writer, 100, 100);
    struct error error = {0};
    bool is_flushed = capture_flush(writer, &error);
    off_t cut = size_of(path);
    entries_append(writer, 200, 10);
    bool is_flushed_again = capture_flush(writer, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);

    assert_false(is_flushed);
    assert_false(is_flushed_again);
    assert_int_equal(error.code, ERROR_DISK_FULL);
    assert_int_equal(cut, good);
    check_whole(*fixture, 0, 100);
    flush(writer);
    capture_close(writer);
    check_whole(*fixture, 0, 210);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_capture__keeps_header_and_entries),
        TEST(test_capture__takes_ids_of_any_size),
        TEST(test_capture__ids_that_do_not_rise_are_refused),
        TEST(test_capture__reads_the_same_whatever_the_batches),
        TEST(test_capture__flush_without_entries_writes_nothing),
        TEST(test_capture__what_was_not_flushed_is_dropped),
        TEST(test_capture__large_batches_become_several_frames),
        TEST(test_capture__resume_goes_on_behind_the_last_entry),
        TEST(test_capture__resume_of_a_file_without_entries_tells_its_header),
        TEST(test_capture__resume_without_files_is_no_error),
        TEST(test_capture__create_replaces_only_what_holds_no_entry),
        TEST(test_capture__a_directory_is_one_capture),
        TEST(test_capture__seek_skips_whole_files),
        TEST(test_capture__a_growing_file_is_read_on),
        TEST(test_capture__open_names_what_is_missing),
        TEST(test_capture__full_disk_cuts_back_and_goes_on_when_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
