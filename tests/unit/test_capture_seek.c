/* SPDX-License-Identifier: MIT
 * Places in a capture, found by the heads of its frames; what a capture covers; what is removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/capture_format.h"
#include "tests/lib/folder.h"

#define FRAME_ENTRIES 5
#define START_MS      1763899200000

/* Entry n, counted from 1, has this time: three entries share each ms, and every hundredth is
 * followed by an hour of silence. */
static uint64_t ms_of(uint64_t ordinal)
{
    return START_MS + ordinal / 3 + ordinal / 100 * 3600000;
}

/* One file with the entries behind `first`, in frames of FRAME_ENTRIES. */
static void write_file(const char *folder, uint64_t first, uint64_t count)
{
    struct error error = {0};
    struct capture_header header = {
        .partition = 1,
        .ordinal = first,
        .position = {first == 0 ? 0 : ms_of(first), first % 3},
        .snapshot = first == 0 ? SPAN_NONE : SPAN("the state there"),
    };
    struct capture_writer *writer = capture_create(folder, &header, &error);
    assert_string_equal(error.message, "");
    for (uint64_t ordinal = first + 1; ordinal <= first + count; ordinal++) {
        struct entry entry = {.id = {ms_of(ordinal), ordinal % 3}, .raw = SPAN("an entry")};
        capture_append(writer, &entry);
        if ((ordinal - first) % FRAME_ENTRIES == 0) {
            assert_true(capture_flush(writer, &error));
        }
    }
    assert_true(capture_flush(writer, &error));
    capture_close(writer);
}

/* Files at 0, 50, 120, 121 and 300, the last without entries. */
#define LAST 300
static void write_files(const char *folder)
{
    static const uint64_t firsts[] = {0, 50, 120, 121, LAST};
    for (size_t index = 0; index < sizeof(firsts) / sizeof(firsts[0]); index++) {
        write_file(folder, firsts[index], index == 4 ? 0 : firsts[index + 1] - firsts[index]);
    }
}

static uint64_t header_before(uint64_t ordinal)
{
    return ordinal < 50     ? 0
           : ordinal < 120  ? 50
           : ordinal < 121  ? 120
           : ordinal < LAST ? 121
                            : LAST;
}

static struct capture_reader *open_folder(const char *folder)
{
    struct error error = {0};
    struct capture_reader *reader = capture_open(folder, &error);
    assert_string_equal(error.message, "");
    return reader;
}

/* Reads to the end; `*ordinal` moves along. The entries are those behind where it stood. */
static void check_rest(struct capture_reader *reader)
{
    struct error error = {0};
    struct entry entry;
    uint64_t ordinal = capture_reader_ordinal(reader);
    enum capture_next next;
    while ((next = capture_next(reader, &entry, &error)) == CAPTURE_ENTRY) {
        ordinal++;
        assert_int_equal(entry.id.ms, ms_of(ordinal));
        assert_int_equal(capture_reader_ordinal(reader), ordinal);
    }
    assert_int_equal(next, CAPTURE_END);
    assert_int_equal(ordinal, LAST);
}

static void test_capture_seek__an_ordinal_is_found_by_file_and_frame(void **fixture)
{
    write_files(*fixture);
    struct error error = {0};
    struct capture_reader *reader = open_folder(*fixture);
    for (uint64_t ordinal = 0; ordinal <= LAST + 1; ordinal++) {
        assert_true(capture_seek(reader, ordinal, &error));
        assert_int_equal(capture_reader_header(reader)->ordinal, header_before(ordinal));
        assert_int_equal(capture_reader_ordinal(reader), header_before(ordinal));
        assert_true(capture_skip(reader, ordinal, &error));
        uint64_t found = capture_reader_ordinal(reader);
        assert_true(found <= ordinal);
        assert_true(ordinal - found < FRAME_ENTRIES);
        check_rest(reader);
    }
    capture_reader_close(reader);
}

static void test_capture_seek__a_time_is_found_by_file_and_frame(void **fixture)
{
    write_files(*fixture);
    struct error error = {0};
    struct capture_reader *reader = open_folder(*fixture);
    for (uint64_t wanted = 1; wanted <= LAST; wanted++) {
        uint64_t ms = ms_of(wanted);
        uint64_t before = wanted - 1; /* the last entry that lies before this ms */
        while (before > 0 && ms_of(before) == ms) {
            before--;
        }
        assert_true(capture_seek_ms(reader, ms, &error));
        assert_int_equal(capture_reader_header(reader)->ordinal, header_before(before));
        assert_true(capture_skip_ms(reader, ms, &error));
        uint64_t found = capture_reader_ordinal(reader);
        assert_true(found <= before);
        assert_true(before - found < FRAME_ENTRIES);
        check_rest(reader);
    }
    /* Before everything, in a silence, behind everything. */
    assert_true(capture_seek_ms(reader, 0, &error));
    assert_true(capture_skip_ms(reader, 0, &error));
    assert_int_equal(capture_reader_ordinal(reader), 0);
    assert_true(capture_seek_ms(reader, ms_of(200) - 1000, &error));
    assert_true(capture_skip_ms(reader, ms_of(200) - 1000, &error));
    assert_true(capture_reader_ordinal(reader) <= 199);
    assert_true(capture_reader_ordinal(reader) > 199 - FRAME_ENTRIES);
    check_rest(reader);
    assert_true(capture_seek_ms(reader, UINT64_MAX, &error));
    assert_true(capture_skip_ms(reader, UINT64_MAX, &error));
    assert_int_equal(capture_reader_ordinal(reader), LAST);
    check_rest(reader);
    capture_reader_close(reader);
}

static void test_capture_seek__skipping_goes_forward_over_files(void **fixture)
{
    write_files(*fixture);
    struct error error = {0};
    struct entry entry;
    struct capture_reader *reader = open_folder(*fixture);
    for (uint64_t ordinal = 3; ordinal < LAST; ordinal += 17) {
        assert_true(capture_skip(reader, ordinal, &error));
        assert_true(capture_reader_ordinal(reader) <= ordinal);
        while (capture_reader_ordinal(reader) <= ordinal) {
            assert_int_equal(capture_next(reader, &entry, &error), CAPTURE_ENTRY);
        }
        assert_int_equal(entry.id.ms, ms_of(ordinal + 1));
        /* Never back. */
        assert_true(capture_skip(reader, 0, &error));
        assert_int_equal(capture_reader_ordinal(reader), ordinal + 1);
    }
    check_rest(reader);
    capture_reader_close(reader);
}

/* A body that is damaged is hopped over unseen, and found by who reads it; a head never is. */
static void test_capture_seek__damage_is_found_where_it_is_looked_at(void **fixture)
{
    write_file(*fixture, 0, 100);
    const char *path = folder_path(*fixture, "0000000000000000.capture");
    struct error error = {0};
    struct capture_reader *reader = open_folder(*fixture);
    struct entry entry;
    uint64_t frames[3];
    for (size_t frame = 0; frame < 3; frame++) {
        frames[frame] = capture_reader_offset(reader);
        assert_true(capture_skip(reader, FRAME_ENTRIES * frame, &error));
        assert_int_equal(capture_next(reader, &entry, &error), CAPTURE_ENTRY);
    }
    capture_reader_close(reader);
    struct buffer bytes = {0};
    file_load(path, &bytes);
    bytes.data[frames[1] + CAPTURE_HEAD_SIZE + 20] ^= 4;
    file_store(path, buffer_span(&bytes));

    reader = open_folder(*fixture);
    assert_true(capture_skip(reader, 60, &error));
    assert_int_equal(capture_reader_ordinal(reader), 60);
    assert_int_equal(capture_next(reader, &entry, &error), CAPTURE_ENTRY);
    capture_reader_close(reader);
    reader = open_folder(*fixture);
    assert_true(capture_skip(reader, FRAME_ENTRIES, &error));
    assert_int_equal(capture_next(reader, &entry, &error), CAPTURE_ERROR);
    assert_int_equal(error.code, ERROR_CORRUPT);
    capture_reader_close(reader);

    bytes.data[frames[2] + 24] ^= 4;
    file_store(path, buffer_span(&bytes));
    reader = open_folder(*fixture);
    assert_false(capture_skip(reader, 60, &error));
    assert_non_null(strstr(error.message, "frame 3 at byte"));
    assert_int_equal(capture_next(reader, &entry, &error), CAPTURE_ERROR);
    struct capture_range range;
    assert_false(capture_range(*fixture, &range, &error));
    assert_non_null(strstr(error.message, "frame 3 at byte"));
    capture_reader_close(reader);
    buffer_fini(&bytes);
}

static void check_range(const char *path, struct capture_range expected)
{
    struct capture_range range;
    struct error error = {0};
    assert_true(capture_range(path, &range, &error));
    assert_string_equal(error.message, "");
    assert_int_equal(range.files, expected.files);
    assert_true(range.bytes > 0);
    assert_int_equal(range.first_ordinal, expected.first_ordinal);
    assert_int_equal(range.entries, expected.entries);
    assert_int_equal(range.first_ms, expected.first_ms);
    assert_int_equal(range.last_ms, expected.last_ms);
    assert_int_equal(range.is_torn, expected.is_torn);
}

static void test_capture_seek__a_range_is_told_by_the_heads(void **fixture)
{
    write_file(*fixture, 20, 0);
    check_range(*fixture, (struct capture_range){.files = 1, .first_ordinal = 20});
    unlink(folder_path(*fixture, "0000000000000020.capture"));
    write_files(*fixture);
    struct capture_range whole = {
        .files = 5, .entries = LAST, .first_ms = ms_of(1), .last_ms = ms_of(LAST)};
    check_range(*fixture, whole);
    unlink(folder_path(*fixture, "0000000000000000.capture"));
    check_range(*fixture, (struct capture_range){.files = 4,
                                                 .first_ordinal = 50,
                                                 .entries = LAST - 50,
                                                 .first_ms = ms_of(51),
                                                 .last_ms = ms_of(LAST)});
    struct buffer bytes = {0};
    const char *path = folder_path(*fixture, "0000000000000121.capture");
    file_load(path, &bytes);
    file_store(path, (struct span){bytes.data, bytes.size - 1});
    check_range(path, (struct capture_range){.files = 1,
                                             .first_ordinal = 121,
                                             .entries = LAST - 121 - 4,
                                             .first_ms = ms_of(122),
                                             .last_ms = ms_of(LAST - 4),
                                             .is_torn = true});
    buffer_fini(&bytes);
}

/* The oldest files of a running process's capture may go while another process looks at it. */
static void test_capture_seek__files_removed_meanwhile_are_passed_over(void **fixture)
{
    write_files(*fixture);
    struct error error = {0};
    struct capture_reader *reader = open_folder(*fixture);
    unlink(folder_path(*fixture, "0000000000000000.capture"));
    assert_false(capture_seek(reader, 3, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    assert_int_equal(capture_reader_ordinal(reader), 50);
    unlink(folder_path(*fixture, "0000000000000050.capture"));
    unlink(folder_path(*fixture, "0000000000000120.capture"));
    assert_true(capture_seek(reader, 200, &error));
    assert_int_equal(capture_reader_header(reader)->ordinal, 121);
    assert_true(capture_seek(reader, LAST, &error));
    assert_false(capture_seek(reader, 3, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    capture_reader_close(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_capture_seek__an_ordinal_is_found_by_file_and_frame),
        TEST(test_capture_seek__a_time_is_found_by_file_and_frame),
        TEST(test_capture_seek__skipping_goes_forward_over_files),
        TEST(test_capture_seek__damage_is_found_where_it_is_looked_at),
        TEST(test_capture_seek__a_range_is_told_by_the_heads),
        TEST(test_capture_seek__files_removed_meanwhile_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
