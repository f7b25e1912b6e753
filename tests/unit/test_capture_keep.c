/* SPDX-License-Identifier: MIT
 * Which capture files are kept, and that what is left stays one capture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/capture.h"
#include "tests/lib/folder.h"

#define FILES 5
#define SIZE  100 /* entries a file, one a ms: entry n has the ms n */

struct told {
    uint32_t count, old, many;
    uint64_t bytes;
    char last[40];
};

static void tell(void *payload, const char *name, uint64_t bytes, enum capture_excess excess)
{
    struct told *told = payload;
    assert_true(strcmp(name, told->last) > 0);
    told->count++;
    told->old += excess == CAPTURE_TOO_OLD;
    told->many += excess == CAPTURE_TOO_MANY;
    told->bytes += bytes;
    snprintf(told->last, sizeof(told->last), "%s", name);
}

static int make_folder(void **fixture)
{
    char *folder = folder_make();
    for (uint64_t first = 0; first < (uint64_t)FILES * SIZE; first += SIZE) {
        struct error error = {0};
        struct capture_header header = {.ordinal = first, .position = {first, 0}};
        header.snapshot = first == 0 ? SPAN_NONE : SPAN("the state there");
        struct capture_writer *writer = capture_create(folder, &header, &error);
        assert_non_null(writer);
        for (uint64_t ordinal = first + 1; ordinal <= first + SIZE; ordinal++) {
            capture_append(writer, &(struct entry){.id = {ordinal, 0}, .raw = SPAN("an entry")});
        }
        assert_true(capture_flush(writer, &error));
        assert_true(capture_writer_size(writer) > 0);
        capture_close(writer);
    }
    *fixture = folder;
    return 0;
}

static int remove_folder(void **fixture)
{
    folder_remove(*fixture);
    return 0;
}

static struct told keep(const char *folder, struct capture_keep what)
{
    struct told told = {0};
    struct error error = {0};
    assert_true(capture_remove_old(folder, &what, tell, &told, &error));
    assert_string_equal(error.message, "");
    return told;
}

/* The rest is one capture, from its first file on. */
static struct capture_range rest_of(const char *folder, uint32_t removed)
{
    struct capture_range range;
    struct error error = {0};
    assert_true(capture_range(folder, &range, &error));
    assert_int_equal(range.files, FILES - removed);
    assert_int_equal(range.first_ordinal, removed * SIZE);
    struct capture_reader *reader = capture_open(folder, &error);
    struct entry entry;
    uint64_t count = 0;
    while (capture_next(reader, &entry, &error) == CAPTURE_ENTRY) {
        count++;
    }
    assert_int_equal(count, (FILES - removed) * SIZE);
    capture_reader_close(reader);
    return range;
}

static void test_capture_keep__without_limits_everything_stays(void **fixture)
{
    assert_int_equal(keep(*fixture, (struct capture_keep){.ordinal = UINT64_MAX}).count, 0);
    rest_of(*fixture, 0);
}

static void test_capture_keep__a_file_is_old_when_all_of_it_is(void **fixture)
{
    static const struct {
        uint64_t before_ms;
        uint32_t removed;
    } cases[] = {{SIZE, 0}, {SIZE + 1, 1}, {2 * SIZE, 1}, {2 * SIZE + 1, 2}, {UINT64_MAX, 4}};
    uint32_t removed = 0;
    for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
        struct told told =
            keep(*fixture,
                 (struct capture_keep){.ordinal = UINT64_MAX, .before_ms = cases[index].before_ms});
        assert_int_equal(told.count, cases[index].removed - removed);
        assert_int_equal(told.old, told.count);
        removed = cases[index].removed;
        rest_of(*fixture, removed);
    }
}

static void test_capture_keep__the_oldest_go_while_all_are_too_large(void **fixture)
{
    uint64_t whole = rest_of(*fixture, 0).bytes;
    assert_int_equal(
        keep(*fixture, (struct capture_keep){.ordinal = UINT64_MAX, .bytes = whole}).count, 0);
    struct told told =
        keep(*fixture, (struct capture_keep){.ordinal = UINT64_MAX, .bytes = whole - 1});
    assert_int_equal(told.count, 1);
    assert_int_equal(told.old, 0);
    uint64_t left = rest_of(*fixture, 1).bytes;
    assert_int_equal(left + told.bytes, whole);
    keep(*fixture, (struct capture_keep){.ordinal = UINT64_MAX, .bytes = left * 6 / 10});
    assert_true(rest_of(*fixture, 3).bytes <= left * 6 / 10);
    /* The last one stays whatever it has. */
    keep(*fixture, (struct capture_keep){.ordinal = UINT64_MAX, .bytes = 1});
    rest_of(*fixture, 4);
}

static void test_capture_keep__the_oldest_go_while_they_are_too_many(void **fixture)
{
    struct capture_keep few = {.ordinal = UINT64_MAX, .files = FILES};
    assert_int_equal(keep(*fixture, few).count, 0);
    few.files = FILES - 2;
    struct told told = keep(*fixture, few);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.many, 2);
    rest_of(*fixture, 2);
}

static void test_capture_keep__a_start_removes_what_a_crash_left_unfinished(void **fixture)
{
    struct error error = {0};
    uint64_t ordinal;
    struct stream_id position;
    const char *names[] = {"0000000000000099.capture.new", "notes.new"};
    for (size_t i = 0; i < 2; i++) {
        file_store(folder_path(*fixture, names[i]), SPAN("half a header"));
    }
    struct capture_writer *writer = capture_resume(*fixture, &ordinal, &position, &error);
    assert_non_null(writer);
    capture_close(writer);
    assert_int_equal(access(folder_path(*fixture, names[0]), F_OK), -1);
    assert_int_equal(access(folder_path(*fixture, names[1]), F_OK), 0);
    rest_of(*fixture, 0);
}

static void test_capture_keep__what_is_needed_stays(void **fixture)
{
    struct capture_keep all = {.before_ms = UINT64_MAX, .bytes = 1};
    for (uint32_t files = 0; files < FILES; files++) {
        all.ordinal = files * SIZE + (files == 0 ? 0 : SIZE - 1);
        keep(*fixture, all);
        rest_of(*fixture, files);
        all.ordinal = files * SIZE;
        assert_int_equal(keep(*fixture, all).count, 0);
    }
}

/* A directory of that name stands for a file that cannot be removed. */
static void test_capture_keep__what_cannot_be_removed_ends_it(void **fixture)
{
    struct capture_keep all = {.ordinal = UINT64_MAX, .before_ms = UINT64_MAX};
    const char *second = folder_path(*fixture, "0000000000000100.capture");
    struct buffer kept = {0};
    file_load(second, &kept);
    assert_int_equal(unlink(second), 0);
    struct told told = {0};
    struct error error = {0};
    assert_int_equal(mkdir(second, 0700), 0);
    assert_false(capture_remove_old(*fixture, &all, tell, &told, &error));
    assert_int_equal(told.count, 0); /* what follows the first one cannot be told */
    assert_int_equal(rmdir(second), 0);

    file_store(second, buffer_span(&kept));
    buffer_fini(&kept);
    const char *first = folder_path(*fixture, "0000000000000000.capture");
    assert_int_equal(unlink(first), 0);
    assert_int_equal(mkdir(first, 0700), 0);
    error = (struct error){0};
    assert_false(capture_remove_old(*fixture, &all, tell, &told, &error));
    assert_int_equal(error.code, ERROR_IO);
    assert_non_null(strstr(error.message, "0000000000000000.capture: cannot be removed"));
    assert_int_equal(told.count, 0);
    assert_int_equal(rmdir(first), 0);
    keep(*fixture, all);
    rest_of(*fixture, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_capture_keep__without_limits_everything_stays),
        TEST(test_capture_keep__a_file_is_old_when_all_of_it_is),
        TEST(test_capture_keep__the_oldest_go_while_all_are_too_large),
        TEST(test_capture_keep__the_oldest_go_while_they_are_too_many),
        TEST(test_capture_keep__a_start_removes_what_a_crash_left_unfinished),
        TEST(test_capture_keep__what_is_needed_stays),
        TEST(test_capture_keep__what_cannot_be_removed_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
