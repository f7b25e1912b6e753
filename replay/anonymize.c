/* SPDX-License-Identifier: MIT
 * The run: the capture is written anew beside the place where it shall be, proved, and named. */
#include "replay/anonymize.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "reducers/codec.h"
#include "reducers/state.h"
#include "replay/anonymize_parts.h"
#include "replay/capture_source.h"
#include "store/capture.h"
#include "store/capture_files.h"

#define STEP_ENTRIES 1000
#define FLUSH_SIZE   ((size_t)1 << 20)
#define ASIDE_SUFFIX ".XXXXXX" /* for mkdtemp: nobody else has written there */

bool anonymize_goes_on(const struct anonymize_config *config, uint64_t passed, struct error *error)
{
    bool is_due = config->step != NULL && passed % STEP_ENTRIES == 0;
    return !is_due || config->step(config->payload, passed) ||
           error_set(error, ERROR_STOPPED, "stopped; nothing is left behind");
}

/* --- folders --- */

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* False when there is something: a file, or a folder that holds one. */
static bool is_free(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return errno == ENOENT;
    }
    bool is_empty = true;
    for (const struct dirent *item; is_empty && (item = readdir(folder)) != NULL;) {
        is_empty = is_dots(item->d_name);
    }
    closedir(folder);
    return is_empty;
}

/* Removes the folder with its files; one that is not there is removed. */
static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    for (const struct dirent *item; folder != NULL && (item = readdir(folder)) != NULL;) {
        if (!is_dots(item->d_name)) {
            unlinkat(dirfd(folder), item->d_name, 0);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    rmdir(path);
}

/* Makes a folder beside OUT. Result: its path, given back with mem_free; NULL on error. */
static char *make_aside(const char *out, struct error *error)
{
    size_t size = strlen(out);
    while (size > 1 && out[size - 1] == '/') {
        size--;
    }
    char *aside = mem_zero(size + sizeof ASIDE_SUFFIX);
    memcpy(aside, out, size);
    memcpy(aside + size, ASIDE_SUFFIX, sizeof ASIDE_SUFFIX);
    if (mkdtemp(aside) == NULL) {
        error_set(error, ERROR_IO, "%s: cannot be made: %s", aside, strerror(errno));
        mem_free(aside);
        return NULL;
    }
    return aside;
}

/* Makes lasting what has got a name beside `path`, a folder made by make_aside. */
static bool sync_parent(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return capture_directory_sync(".");
    }
    slash[slash == path ? 1 : 0] = '\0';
    return capture_directory_sync(path);
}

/* Gives the folder its name, for good, and the rights of any other. `aside` is changed. */
static bool name_folder(char *aside, const char *out, struct error *error)
{
    mode_t mask = umask(0);
    umask(mask);
    if (chmod(aside, 0755 & ~mask) != 0 || rename(aside, out) != 0) {
        error_set(error, ERROR_IO, "%s: cannot be named: %s", out, strerror(errno));
        remove_folder(aside);
        return false;
    }
    if (!sync_parent(aside)) {
        error_set(error, ERROR_IO, "%s: its folder cannot be synced: %s", out, strerror(errno));
        remove_folder(out);
        return false;
    }
    return true;
}

/* --- writing --- */

static struct capture_writer *begin(const struct capture_header *before, const char *folder,
                                    struct anonymizer *anonymizer, struct error *error)
{
    struct buffer snapshot = {0};
    struct capture_writer *writer = NULL;
    struct state *state = capture_state(before, error);
    if (state == NULL) {
        return NULL;
    }
    struct capture_header after = {
        .partition = before->partition,
        .timeline = before->timeline,
        .ordinal = before->ordinal,
        .position = before->position,
        .reducers = before->reducers,
    };
    if (before->policy.size > 0) {
        after.policy = anonymize_text(anonymizer, FIELD_TEXT, before->policy);
    }
    if (before->snapshot.size > 0) {
        state_encode_mapped(state, anonymize_text, anonymizer, &snapshot);
        after.snapshot = buffer_span(&snapshot);
    }
    if (snapshot.size > CAPTURE_SNAPSHOT_MAX) {
        error_set(error, ERROR_REFUSED, "its snapshot would be too large under other names");
    } else if (anonymizer_is_fine(anonymizer, error)) {
        writer = capture_create(folder, &after, error);
    }
    buffer_fini(&snapshot);
    state_destroy(state);
    return writer;
}

static bool write_entries(const struct anonymize_config *config, struct capture_reader *reader,
                          struct capture_writer *writer, struct anonymizer *anonymizer,
                          struct anonymize_report *report, struct error *error)
{
    struct buffer raw = {0};
    struct entry entry;
    enum capture_next next;
    size_t waiting = 0;
    bool is_fine = true;
    while (is_fine && (next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
        buffer_reset(&raw);
        bool is_event = anonymize_entry(anonymizer, &entry, &raw);
        capture_append(writer, &(struct entry){.id = entry.id, .raw = buffer_span(&raw)});
        report->entries++;
        report->undecodable += is_event ? 0 : 1;
        waiting += raw.size;
        if (waiting >= FLUSH_SIZE) {
            waiting = 0;
            is_fine = capture_flush(writer, error);
        }
        is_fine = is_fine && anonymizer_is_fine(anonymizer, error) &&
                  anonymize_goes_on(config, report->entries, error);
    }
    buffer_fini(&raw);
    report->is_torn = is_fine && next == CAPTURE_TORN;
    return is_fine && next != CAPTURE_ERROR && capture_flush(writer, error) &&
           capture_sync(writer, error);
}

static bool write_capture(const struct anonymize_config *config, const char *folder,
                          struct pseudonyms *names, struct anonymize_report *report,
                          struct error *error)
{
    struct anonymizer anonymizer = {.names = names};
    struct capture_reader *reader = capture_open(config->capture, error);
    if (reader == NULL) {
        return false;
    }
    struct capture_writer *writer =
        begin(capture_reader_header(reader), folder, &anonymizer, error);
    bool is_written =
        writer != NULL && write_entries(config, reader, writer, &anonymizer, report, error);
    capture_close(writer);
    capture_reader_close(reader);
    anonymizer_fini(&anonymizer);
    return is_written;
}

bool anonymize_run(const struct anonymize_config *config, struct anonymize_report *report,
                   struct error *error)
{
    if (config->key.size < ANONYMIZE_KEY_MIN) {
        return error_set(error, ERROR_USAGE, "the key has %zu bytes; allowed: %d and more",
                         config->key.size, ANONYMIZE_KEY_MIN);
    }
    if (!is_free(config->out)) {
        return error_set(error, ERROR_USAGE,
                         "%s: is there; allowed: a folder that is empty or does not exist",
                         config->out);
    }
    char *aside = make_aside(config->out, error);
    if (aside == NULL) {
        return false;
    }
    struct pseudonyms *names = pseudonyms_open(config->key);
    *report = (struct anonymize_report){0};
    bool is_fine = write_capture(config, aside, names, report, error) &&
                   anonymize_prove(config, aside, names, report, error);
    if (is_fine) {
        is_fine = name_folder(aside, config->out, error);
    } else {
        remove_folder(aside);
    }
    report->ids = pseudonyms_count(names);
    pseudonyms_close(names);
    mem_free(aside);
    return is_fine;
}
