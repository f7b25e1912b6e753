/* SPDX-License-Identifier: MIT
 * Captures that are not whole: torn tails are told apart and cut, damage is found, located and
 * never replayed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/sha256.h"
#include "store/capture_format.h"
#include "tests/lib/entries.h"
#include "tests/lib/folder.h"

#define FRAMES      6
#define FLIPS       1000
#define FILE_NAME   "0000000000000000.capture"
#define SECOND_NAME "0000000000000150.capture"

/* A file of six frames, the last one small, and where each of them begins and how many entries come
 * before it. */
struct example {
    char *folder;
    const char *path;
    struct buffer whole;
    size_t offset[FRAMES + 2]; /* of frame n; 0 is the header; the last: the file's end */
    uint64_t before[FRAMES + 2];
};

static const uint64_t frame_counts[FRAMES + 1] = {0, 40, 1, 60, 30, 16, 3};

static int make_example(void **fixture)
{
    struct example *example = calloc(1, sizeof(*example));
    assert_non_null(example);
    example->folder = folder_make();
    struct error error = {0};
    struct capture_header header = {.partition = 1, .policy = SPAN("effects=apply\n")};
    struct capture_writer *writer = capture_create(example->folder, &header, &error);
    assert_non_null(writer);
    struct stat status;
    example->offset[0] = CAPTURE_PRELUDE_SIZE;
    for (size_t frame = 0; frame <= FRAMES; frame++) {
        entries_append(writer, example->before[frame], frame_counts[frame]);
        assert_true(capture_flush(writer, &error));
        assert_int_equal(stat(folder_path(example->folder, FILE_NAME), &status), 0);
        example->offset[frame + 1] = (size_t)status.st_size;
        example->before[frame + 1] = example->before[frame] + frame_counts[frame];
    }
    capture_close(writer);
    file_load(folder_path(example->folder, FILE_NAME), &example->whole);
    *fixture = example;
    return 0;
}

static int remove_example(void **fixture)
{
    struct example *example = *fixture;
    folder_remove(example->folder);
    buffer_fini(&example->whole);
    free(example);
    return 0;
}

static void store(const struct example *example, struct span bytes)
{
    file_store(folder_path(example->folder, FILE_NAME), bytes);
}

/* Opens and reads to the end, comparing every entry. A file that cannot be opened: ERROR, 0. */
static enum capture_next read_all(const struct example *example, uint64_t *read,
                                  struct error *error)
{
    *error = (struct error){0};
    *read = 0;
    struct capture_reader *reader = capture_open(example->folder, error);
    if (reader == NULL) {
        return CAPTURE_ERROR;
    }
    enum capture_next end = entries_read(reader, 0, read, error);
    /* Reading on changes nothing: what was refused once is refused again. */
    struct entry entry;
    assert_int_equal(capture_next(reader, &entry, error), end);
    capture_reader_close(reader);
    return end;
}

static struct capture_writer *resume(const struct example *example, uint64_t *ordinal,
                                     struct error *error)
{
    struct stream_id position;
    *error = (struct error){0};
    return capture_resume(example->folder, ordinal, &position, error);
}

static size_t frame_of(const struct example *example, size_t place)
{
    size_t frame = 0;
    while (example->offset[frame + 1] <= place) {
        frame++;
    }
    return frame;
}

/* The message names file with its folder, frame and the byte where the frame begins. */
static void check_located(const struct example *example, size_t frame, const struct error *error)
{
    char place[240];
    size_t offset =
        frame == 0 && strstr(error->message, "byte 0:") != NULL ? 0 : example->offset[frame];
    snprintf(place, sizeof(place),
             "%s: frame %zu at byte %zu: ", folder_path(example->folder, FILE_NAME), frame, offset);
    assert_int_equal(strncmp(error->message, place, strlen(place)), 0);
}

static void test_capture_damage__a_torn_last_frame_is_cut_wherever_it_tore(void **fixture)
{
    struct example *example = *fixture;
    struct error error;
    for (size_t end = example->offset[FRAMES]; end < example->offset[FRAMES + 1]; end++) {
        store(example, (struct span){example->whole.data, end});
        uint64_t read, ordinal;
        bool is_whole = end == example->offset[FRAMES];
        assert_int_equal(read_all(example, &read, &error), is_whole ? CAPTURE_END : CAPTURE_TORN);
        assert_int_equal(read, example->before[FRAMES]);

        struct capture_writer *writer = resume(example, &ordinal, &error);
        assert_non_null(writer);
        assert_int_equal(ordinal, example->before[FRAMES]);
        entries_append(writer, ordinal, 5);
        assert_true(capture_flush(writer, &error));
        capture_close(writer);
        assert_int_equal(read_all(example, &read, &error), CAPTURE_END);
        assert_int_equal(read, example->before[FRAMES] + 5);
    }
}

static void test_capture_damage__zero_bytes_at_the_end_are_a_torn_tail(void **fixture)
{
    struct example *example = *fixture;
    static const size_t sizes[] = {1, CAPTURE_HEAD_SIZE, 70000};
    for (size_t index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index++) {
        struct buffer longer = {0};
        buffer_put_span(&longer, buffer_span(&example->whole));
        memset(buffer_reserve(&longer, sizes[index]), 0, sizes[index]);
        longer.size += sizes[index];
        store(example, buffer_span(&longer));
        struct error error;
        uint64_t read, ordinal;
        assert_int_equal(read_all(example, &read, &error), CAPTURE_TORN);
        assert_int_equal(read, example->before[FRAMES + 1]);
        struct capture_writer *writer = resume(example, &ordinal, &error);
        assert_int_equal(ordinal, example->before[FRAMES + 1]);
        capture_close(writer);
        assert_int_equal(read_all(example, &read, &error), CAPTURE_END);

        /* One byte that is not zero, however far behind, and it is damage. */
        if (sizes[index] >= CAPTURE_HEAD_SIZE) {
            longer.data[longer.size - 1] = 1;
            store(example, buffer_span(&longer));
            assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
            assert_null(resume(example, &ordinal, &error));
        }
        buffer_fini(&longer);
    }
}

/* What a crash of the machine leaves: the file's size was kept, the last pages were not. */
static void test_capture_damage__a_last_body_that_was_never_written_is_a_torn_tail(void **fixture)
{
    struct example *example = *fixture;
    struct error error;
    uint64_t read, ordinal;
    size_t body = example->offset[FRAMES] + CAPTURE_HEAD_SIZE;
    for (size_t from = body; from + 4 <= example->whole.size; from++) {
        for (size_t more = 0; more < 9000; more += 4500) {
            struct buffer bytes = {0};
            buffer_put(&bytes, example->whole.data, from);
            size_t zeros = example->whole.size - from + more;
            memset(buffer_reserve(&bytes, zeros), 0, zeros);
            bytes.size += zeros;
            store(example, buffer_span(&bytes));
            assert_int_equal(read_all(example, &read, &error), CAPTURE_TORN);
            assert_int_equal(read, example->before[FRAMES]);
            if (more > 0) { /* something stands behind it: what is missing is no tail */
                bytes.data[bytes.size - 1] = 1;
                store(example, buffer_span(&bytes));
                assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
                check_located(example, FRAMES, &error);
                assert_null(resume(example, &ordinal, &error));
            }
            buffer_fini(&bytes);
        }
    }
    /* In the middle of the file it is damage. */
    size_t end = example->offset[FRAMES];
    memset(example->whole.data + example->offset[FRAMES - 1] + CAPTURE_HEAD_SIZE, 0,
           end - example->offset[FRAMES - 1] - CAPTURE_HEAD_SIZE);
    store(example, buffer_span(&example->whole));
    assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
    /* At its end it is cut, and the writer goes on there. */
    store(example, (struct span){example->whole.data, end});
    assert_int_equal(read_all(example, &read, &error), CAPTURE_TORN);
    struct capture_writer *writer = resume(example, &ordinal, &error);
    assert_non_null(writer);
    assert_int_equal(ordinal, example->before[FRAMES - 1]);
    entries_append(writer, ordinal, 5);
    assert_true(capture_flush(writer, &error));
    capture_close(writer);
    assert_int_equal(read_all(example, &read, &error), CAPTURE_END);
    assert_int_equal(read, example->before[FRAMES - 1] + 5);
}

static void flip(const struct example *example, size_t place, unsigned bit)
{
    example->whole.data[place] = (char)(example->whole.data[place] ^ (1 << bit));
}

/* What every flipped bit must lead to: an error that locates it, and no entry behind it. */
static void check_flip(const struct example *example, size_t place, unsigned bit)
{
    flip(example, place, bit);
    store(example, buffer_span(&example->whole));
    size_t frame = frame_of(example, place);
    struct error error;
    uint64_t read, ordinal;
    assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
    assert_int_equal(error.code, ERROR_CORRUPT);
    assert_int_equal(read, example->before[frame]);
    check_located(example, frame, &error);
    assert_null(resume(example, &ordinal, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
    flip(example, place, bit);
}

static void test_capture_damage__a_flipped_bit_anywhere_is_found_and_located(void **fixture)
{
    struct example *example = *fixture;
    for (uint64_t round = 0; round < FLIPS; round++) {
        uint64_t dice = hash_number(20, round);
        check_flip(example, (size_t)(dice % example->whole.size), (unsigned)(dice >> 40) % 8);
    }
}

static void test_capture_damage__a_flip_in_the_last_frame_is_no_torn_tail(void **fixture)
{
    struct example *example = *fixture;
    for (size_t place = example->offset[FRAMES]; place < example->whole.size; place++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            check_flip(example, place, bit);
        }
    }
    for (size_t place = 0; place < CAPTURE_PRELUDE_SIZE + CAPTURE_HEAD_SIZE; place++) {
        check_flip(example, place, (unsigned)place % 8);
    }
}

static void test_capture_damage__missing_repeated_and_swapped_frames_are_found(void **fixture)
{
    struct example *example = *fixture;
    static const struct {
        size_t order[FRAMES + 1], count, bad;
    } cases[] = {
        {{0, 1, 3, 4, 5, 6}, 6, 2},
        {{0, 1, 1, 2, 3, 4, 5}, 7, 2},
        {{0, 1, 3, 2, 4, 5, 6}, 7, 2},
        {{0, 0, 1, 2, 3, 4, 5}, 7, 1},
    };
    for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
        struct buffer bytes = {0};
        buffer_put(&bytes, example->whole.data, CAPTURE_PRELUDE_SIZE);
        for (size_t place = 0; place < cases[index].count; place++) {
            size_t frame = cases[index].order[place];
            buffer_put(&bytes, example->whole.data + example->offset[frame],
                       example->offset[frame + 1] - example->offset[frame]);
        }
        store(example, buffer_span(&bytes));
        buffer_fini(&bytes);
        struct error error;
        uint64_t read;
        assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
        assert_int_equal(read, example->before[cases[index].bad]);
    }
}

static void test_capture_damage__a_file_cut_inside_its_header_is_refused(void **fixture)
{
    struct example *example = *fixture;
    for (size_t end = 0; end < example->offset[1]; end++) {
        store(example, (struct span){example->whole.data, end});
        struct error error;
        uint64_t read, ordinal;
        assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
        assert_int_equal(error.code, ERROR_CORRUPT);
        assert_null(resume(example, &ordinal, &error));
        assert_int_equal(error.code, ERROR_CORRUPT);
    }
}

/* Frames with right digests and senseless content, as only a wrong or hostile writer makes them. */
static void put_forged(struct buffer *bytes, struct capture_frame frame, struct span body)
{
    char head[CAPTURE_HEAD_SIZE];
    frame.body_size = (uint32_t)body.size;
    capture_put_head(head, &frame, body.data);
    buffer_put(bytes, head, sizeof(head));
    buffer_put_span(bytes, body);
}

static void test_capture_damage__forged_frames_are_refused(void **fixture)
{
    struct example *example = *fixture;
    size_t start = example->offset[1] + CAPTURE_HEAD_SIZE;
    struct span body = {example->whole.data + start, example->offset[2] - start};
    struct capture_frame real;
    assert_true(capture_read_head(example->whole.data + example->offset[1], &real));
    const struct {
        uint32_t raw_size, count;
        uint64_t ordinal;
        const char *problem;
    } cases[] = {
        {CAPTURE_FRAME_RAW_MAX + 1, 40, 0, "larger than allowed"},
        {UINT32_MAX, 40, 0, "larger than allowed"},
        {real.raw_size - 1, 40, 0, "cannot be decompressed"},
        {real.raw_size + 1, 40, 0, "cannot be decompressed"},
        {0, 40, 0, "cannot be decompressed"},
        {real.raw_size, 0, 0, "count of entries"},
        {real.raw_size, 40, 1, "does not follow"},
        {real.raw_size, 39, 0, "make no sense"},
        {real.raw_size, 41, 0, "make no sense"},
        {real.raw_size, UINT32_MAX, 0, "make no sense"},
    };
    for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
        struct buffer bytes = {0};
        buffer_put(&bytes, example->whole.data, example->offset[1]);
        put_forged(&bytes,
                   (struct capture_frame){.raw_size = cases[index].raw_size,
                                          .count = cases[index].count,
                                          .ordinal = cases[index].ordinal},
                   body);
        store(example, buffer_span(&bytes));
        buffer_fini(&bytes);
        struct error error;
        uint64_t read;
        assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
        assert_int_equal(error.code, ERROR_CORRUPT);
        assert_non_null(strstr(error.message, cases[index].problem));
    }
}

static void test_capture_damage__a_newer_format_is_refused(void **fixture)
{
    struct example *example = *fixture;
    /* The prelude of version 2, as a later program would write it. */
    static const unsigned char newer[CAPTURE_PRELUDE_SIZE] = {
        0x89, 'S', 'A', 'L', 'V', 'O', 'R', 0x0a, 2, 0, 0, 0, 0xbe, 0xef, 0xbe, 0xef};
    struct buffer bytes = {0};
    buffer_put_span(&bytes, buffer_span(&example->whole));
    memcpy(bytes.data, newer, sizeof(newer));
    struct sha256 digest = sha256_of((struct span){bytes.data, 12});
    memcpy(bytes.data + 12, digest.bytes, 4);
    store(example, buffer_span(&bytes));
    buffer_fini(&bytes);
    struct error error;
    uint64_t read, ordinal;
    assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
    assert_int_equal(error.code, ERROR_REFUSED);
    char wanted[240];
    snprintf(wanted, sizeof(wanted),
             "%s: capture format 2; this program reads format 1: use a newer one",
             folder_path(example->folder, FILE_NAME));
    assert_string_equal(error.message, wanted);
    assert_null(resume(example, &ordinal, &error));
    assert_int_equal(error.code, ERROR_REFUSED);
}

static void write_second(const struct example *example, const char *name, uint64_t ordinal,
                         uint32_t partition, bool is_of_other)
{
    struct error error = {0};
    unlink(folder_path(example->folder, name));
    struct capture_header header = {
        .partition = partition, .ordinal = ordinal, .position = entries_before(ordinal)};
    header.position.seq += is_of_other ? 1 : 0;
    header.snapshot = SPAN("state");
    struct capture_writer *writer = capture_create(example->folder, &header, &error);
    assert_non_null(writer);
    entries_append(writer, ordinal, 2);
    assert_true(capture_flush(writer, &error));
    capture_close(writer);
    char made[40];
    snprintf(made, sizeof(made), "%016llu.capture", (unsigned long long)ordinal);
    assert_int_equal(rename(folder_path(example->folder, made), folder_path(example->folder, name)),
                     0);
}

static void test_capture_damage__files_that_do_not_join_are_refused(void **fixture)
{
    struct example *example = *fixture;
    struct error error;
    uint64_t read;
    assert_int_equal(example->before[FRAMES + 1], 150);
    write_second(example, SECOND_NAME, 150, 1, false);
    assert_int_equal(read_all(example, &read, &error), CAPTURE_END);
    assert_int_equal(read, 152);

    write_second(example, SECOND_NAME, 151, 1, false);
    assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
    assert_non_null(strstr(error.message, "begins at ordinal 151"));
    write_second(example, SECOND_NAME, 149, 1, false);
    assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
    write_second(example, SECOND_NAME, 150, 2, false);
    assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
    assert_int_equal(read, 150);

    /* One of another capture, that has as many entries before it. */
    write_second(example, SECOND_NAME, 150, 1, true);
    assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
    assert_int_equal(error.code, ERROR_CORRUPT);
    assert_non_null(strstr(error.message, "they are of two captures"));
    assert_non_null(strstr(error.message, SECOND_NAME));

    write_second(example, SECOND_NAME, 150, 1, false);
    store(example, (struct span){example->whole.data, example->whole.size - 1});
    assert_int_equal(read_all(example, &read, &error), CAPTURE_ERROR);
    assert_non_null(strstr(error.message, "incomplete, but another file follows"));
    assert_int_equal(read, example->before[FRAMES]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_example, remove_example)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_capture_damage__a_torn_last_frame_is_cut_wherever_it_tore),
        TEST(test_capture_damage__zero_bytes_at_the_end_are_a_torn_tail),
        TEST(test_capture_damage__a_last_body_that_was_never_written_is_a_torn_tail),
        TEST(test_capture_damage__a_flipped_bit_anywhere_is_found_and_located),
        TEST(test_capture_damage__a_flip_in_the_last_frame_is_no_torn_tail),
        TEST(test_capture_damage__missing_repeated_and_swapped_frames_are_found),
        TEST(test_capture_damage__a_file_cut_inside_its_header_is_refused),
        TEST(test_capture_damage__forged_frames_are_refused),
        TEST(test_capture_damage__a_newer_format_is_refused),
        TEST(test_capture_damage__files_that_do_not_join_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
