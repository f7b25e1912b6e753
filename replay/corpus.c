/* SPDX-License-Identifier: MIT */
#include "replay/corpus.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "replay/decision_line.h"
#include "replay/line_diff.h"
#include "replay/replay.h"

#define CAPTURE  ".capture"
#define EXPECTED ".expected"

struct names {
    char **names; /* owned, each too */
    size_t count, capacity;
};

/* "DIRECTORY/NAME.suffix", 0-terminated. */
static const char *path_of(struct buffer *path, const char *directory, const char *name,
                           const char *suffix)
{
    buffer_reset(path);
    buffer_put_text(path, directory);
    buffer_put_byte(path, '/');
    buffer_put_text(path, name);
    buffer_put_text(path, suffix);
    buffer_put_byte(path, '\0');
    return path->data;
}

/* --- the cases --- */

static void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        mem_free(names->names[i]);
    }
    mem_free(names->names);
}

static bool add_name(struct names *names, const char *file, size_t size, struct error *error)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strlen(names->names[i]) == size && memcmp(names->names[i], file, size) == 0) {
            return true;
        }
    }
    if (names->count == CORPUS_CASES_MAX) {
        return error_set(error, ERROR_USAGE, "more than %d cases", CORPUS_CASES_MAX);
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity == 0 ? 16 : names->capacity * 2;
        names->names = mem_resize(names->names, names->capacity * sizeof(*names->names));
    }
    char *name = mem_zero(size + 1);
    memcpy(name, file, size);
    names->names[names->count++] = name;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The size of the name before the suffix; 0: it has another. */
static size_t stem_size(const char *file, const char *suffix)
{
    size_t size = strlen(file), suffix_size = strlen(suffix);
    bool has_suffix = size > suffix_size && strcmp(file + size - suffix_size, suffix) == 0;
    return has_suffix && file[0] != '.' ? size - suffix_size : 0;
}

static bool list_cases(const char *directory, struct names *names, struct error *error)
{
    DIR *folder = opendir(directory);
    if (folder == NULL) {
        return error_set(error, ERROR_USAGE, "%s: %s", directory, strerror(errno));
    }
    const struct dirent *file;
    bool is_fine = true;
    while (is_fine && (file = readdir(folder)) != NULL) {
        size_t size = stem_size(file->d_name, CAPTURE);
        size = size > 0 ? size : stem_size(file->d_name, EXPECTED);
        is_fine = size == 0 || add_name(names, file->d_name, size, error);
    }
    closedir(folder);
    if (is_fine && names->count == 0) {
        return error_set(error, ERROR_USAGE, "%s: holds no case (NAME.capture, NAME.expected)",
                         directory);
    }
    if (is_fine) {
        qsort(names->names, names->count, sizeof(*names->names), compare_names);
    }
    return is_fine;
}

static bool check_pairs(const struct corpus_config *config, const struct names *names,
                        struct error *error)
{
    struct buffer path = {0};
    const char *missing = NULL;
    size_t i = 0;
    for (; missing == NULL && i < names->count; i++) {
        const char *name = names->names[i];
        struct stat status;
        if (stat(path_of(&path, config->directory, name, CAPTURE), &status) != 0) {
            missing = CAPTURE;
        } else if (!config->is_rewriting &&
                   stat(path_of(&path, config->directory, name, EXPECTED), &status) != 0) {
            missing = EXPECTED;
        }
    }
    buffer_fini(&path);
    return missing == NULL ||
           error_set(error, ERROR_USAGE, "%s: the case %s lacks its %s%s", config->directory,
                     names->names[i - 1], names->names[i - 1], missing);
}

/* --- one case --- */

struct told {
    struct buffer lines;
    bool is_cut; /* more than CORPUS_EXPECTED_MAX */
};

static void tell(void *payload, const struct decision *decision)
{
    struct told *told = payload;
    if (told->lines.size > CORPUS_EXPECTED_MAX) {
        told->is_cut = true;
    } else {
        decision_line_put(&told->lines, decision);
    }
}

static bool load(const char *path, struct buffer *out, struct error *error)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return error_set(error, ERROR_IO, "%s: %s", path, strerror(errno));
    }
    char chunk[4096];
    size_t size;
    while ((size = fread(chunk, 1, sizeof(chunk), file)) > 0 && out->size <= CORPUS_EXPECTED_MAX) {
        buffer_put(out, chunk, size);
    }
    bool is_read = !ferror(file);
    fclose(file);
    if (!is_read || out->size > CORPUS_EXPECTED_MAX) {
        return error_set(error, ERROR_IO, "%s: %s", path,
                         is_read ? "larger than the decisions of a case may be" : strerror(errno));
    }
    return true;
}

static bool put(FILE *file, struct span text)
{
    return text.size == 0 || fwrite(text.data, 1, text.size, file) == text.size;
}

/* Another file takes the place of the old one whole, or not at all. */
static bool store(const char *path, struct span head, struct span lines, struct error *error)
{
    struct buffer beside = {0};
    buffer_put_text(&beside, path);
    buffer_put(&beside, ".new", sizeof(".new"));
    FILE *file = fopen(beside.data, "wb");
    bool is_written = file != NULL && put(file, head) && put(file, lines);
    is_written = (file == NULL || fclose(file) == 0) && is_written;
    is_written = is_written && rename(beside.data, path) == 0;
    if (!is_written) {
        error_set(error, ERROR_IO, "%s: %s", path, strerror(errno));
        unlink(beside.data);
    }
    buffer_fini(&beside);
    return is_written;
}

/* Cuts off the lines with '#' that a file begins with, and returns them. */
static struct span cut_comment(struct span *text)
{
    struct span all = *text;
    while (text->size > 0 && text->data[0] == '#') {
        (void)span_cut(text, '\n');
    }
    return (struct span){all.data, all.size - text->size};
}

static bool replay_case(const char *capture, struct told *told, struct corpus_case *one,
                        struct error *error)
{
    struct replay_config config = {
        .capture = capture, .batch_size = REPLAY_BATCH, .each = tell, .payload = told};
    struct replay_report report = {0};
    bool is_fine = replay_run(&config, &report, error);
    one->entries = report.entries;
    one->decisions = report.decisions;
    if (is_fine && report.is_torn) {
        is_fine = error_set(error, ERROR_CORRUPT, "ends in an incomplete frame");
    }
    if (is_fine && told->is_cut) {
        is_fine = error_set(error, ERROR_USAGE, "gives more decisions than a case may hold");
    }
    replay_report_fini(&report);
    return is_fine;
}

static bool judge(const struct corpus_config *config, const char *path, struct span expected,
                  struct span given, struct buffer *difference, struct corpus_case *one,
                  struct error *error)
{
    struct span head = cut_comment(&expected);
    if (span_equal(expected, given)) {
        one->verdict = CORPUS_OK;
        return true;
    }
    line_diff_put(difference, expected, given);
    one->difference = buffer_span(difference);
    one->verdict = CORPUS_DIFFERENT;
    if (config->is_rewriting) {
        one->verdict = CORPUS_WRITTEN;
        return store(path, head, given, error);
    }
    return true;
}

static bool run_case(const struct corpus_config *config, const char *name, uint64_t *failed,
                     struct error *error)
{
    struct corpus_case one = {.name = span_of(name)};
    struct told told = {0};
    struct buffer path = {0}, expected = {0}, difference = {0};
    struct error broken = {0};
    struct stat status;
    bool is_fine = true;
    if (!replay_case(path_of(&path, config->directory, name, CAPTURE), &told, &one, &broken)) {
        one.verdict = CORPUS_BROKEN;
        one.difference = span_of(broken.message);
    } else {
        path_of(&path, config->directory, name, EXPECTED);
        bool is_there = !config->is_rewriting || stat(path.data, &status) == 0;
        is_fine = (!is_there || load(path.data, &expected, error)) &&
                  judge(config, path.data, buffer_span(&expected), buffer_span(&told.lines),
                        &difference, &one, error);
    }
    if (is_fine) {
        *failed += one.verdict != CORPUS_OK && one.verdict != CORPUS_WRITTEN;
        config->each(config->payload, &one);
    }
    buffer_fini(&difference);
    buffer_fini(&expected);
    buffer_fini(&path);
    buffer_fini(&told.lines);
    return is_fine;
}

bool corpus_run(const struct corpus_config *config, uint64_t *failed, struct error *error)
{
    struct names names = {0};
    *failed = 0;
    bool is_fine =
        list_cases(config->directory, &names, error) && check_pairs(config, &names, error);
    for (size_t i = 0; is_fine && i < names.count; i++) {
        is_fine = run_case(config, names.names[i], failed, error);
    }
    names_fini(&names);
    return is_fine;
}
