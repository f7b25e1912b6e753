/* SPDX-License-Identifier: MIT
 * Makes the small captures of the regression corpus: tests/corpus/README.md.
 *
 *   make_capture FILE.scenario OUT.capture    the entries of a scenario
 *   make_capture CAPTURE OUT.capture          those of a capture that begins with the stream, in
 * one file and one frame
 *
 * replay/scenario.h tells what a line of a scenario may be. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "replay/scenario.h"
#include "store/capture.h"
#include "store/capture_files.h"
#include "tests/lib/scenario_capture.h"

static bool play(const char *path, const char *folder, struct error *error)
{
    struct buffer text = {0};
    bool is_read = scenario_read_file(path, &text, error);
    if (is_read) {
        struct scenario_capture made = scenario_capture_write(folder, buffer_span(&text), 0);
        buffer_fini(&made.policy);
    }
    buffer_fini(&text);
    return is_read;
}

static bool copy_entries(struct capture_reader *reader, struct capture_writer *writer,
                         struct error *error)
{
    struct entry entry;
    enum capture_next next;
    while ((next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
        capture_append(writer, &entry);
    }
    return next == CAPTURE_END && capture_flush(writer, error) && capture_sync(writer, error);
}

static bool copy(const char *path, const char *folder, struct error *error)
{
    struct capture_reader *reader = capture_open(path, error);
    if (reader == NULL) {
        return false;
    }
    CHECK(capture_reader_header(reader)->ordinal == 0);
    struct capture_writer *writer = capture_create(folder, capture_reader_header(reader), error);
    bool is_made = writer != NULL && copy_entries(reader, writer, error);
    capture_close(writer);
    capture_reader_close(reader);
    return is_made;
}

static bool is_scenario(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL && strcmp(dot, ".scenario") == 0;
}

/* A writer makes a folder with one file in it; that one is what is wanted. */
static void take_file(const char *folder, const char *path)
{
    struct capture_files files = {0};
    struct error error;
    CHECK(capture_files_list(folder, &files, &error));
    CHECK(files.count == 1);
    CHECK(rename(files.paths[0], path) == 0);
    CHECK(rmdir(folder) == 0);
    capture_files_fini(&files);
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: make_capture FILE.scenario|CAPTURE OUT.capture\n");
        return 2;
    }
    struct buffer folder = {0};
    struct error error = {0};
    buffer_put_text(&folder, arguments[2]);
    buffer_put(&folder, ".new", sizeof(".new"));
    bool is_made = (is_scenario(arguments[1]) ? play : copy)(arguments[1], folder.data, &error);
    if (is_made) {
        take_file(folder.data, arguments[2]);
    } else {
        fprintf(stderr, "make_capture: %s\n", error.message);
    }
    buffer_fini(&folder);
    return is_made ? 0 : 3;
}
