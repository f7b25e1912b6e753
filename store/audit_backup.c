/* SPDX-License-Identifier: MIT */
#include "store/audit_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/audit_rows.h"

#define UNFINISHED_SUFFIX ".new"
#define FILE_MODE         0600

static bool fail(const char *path, const char *what, struct error *error)
{
    bool is_full = errno == ENOSPC || errno == EDQUOT;
    return error_set(error, is_full ? ERROR_DISK_FULL : ERROR_IO, "%s: %s: %s", path, what,
                     strerror(errno));
}

/* Makes an empty file where there was none. */
static bool make_file(const char *path, struct error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    return errno == EEXIST ? error_set(error, ERROR_REFUSED, "%s: is there already", path)
                           : fail(path, "cannot be made", error);
}

static bool sync_path(const char *path, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_synced = (fd >= 0 && fsync(fd) == 0) || fail(path, "cannot be synced", error);
    if (fd >= 0) {
        close(fd);
    }
    return is_synced;
}

static bool sync_directory_of(const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX] = ".";
    if (slash != NULL) {
        size_t size = slash == path ? 1 : (size_t)(slash - path);
        snprintf(directory, sizeof(directory), "%.*s", (int)size, path);
    }
    return sync_path(directory, error);
}

static bool verify_copy(const char *path, struct audit_backup *out, struct error *error)
{
    struct stat status;
    struct audit *copy = audit_open(path, AUDIT_READ, AUDIT_ANY_PARTITION, error);
    if (copy == NULL) {
        return error_wrap(error, "the copy");
    }
    bool is_whole = audit_verify(copy, &out->rows, error);
    if (is_whole) {
        out->has_position = audit_load_position(copy, &out->position, error);
        is_whole = out->has_position || error->code == ERROR_NONE;
    }
    audit_close(copy);
    if (!is_whole) {
        return error_wrap(error, "the copy");
    }
    if (stat(path, &status) != 0) {
        return fail(path, "cannot be looked at", error);
    }
    out->bytes = (uint64_t)status.st_size;
    return true;
}

static bool write_copy(struct audit *audit, const char *aside, const char *path,
                       database_copy_fn each, void *payload, struct audit_backup *out,
                       struct error *error)
{
    return database_copy(audit->database, aside, each, payload, error) &&
           verify_copy(aside, out, error) && sync_path(aside, error) &&
           (rename(aside, path) == 0 || fail(path, "cannot be named", error)) &&
           sync_directory_of(path, error);
}

bool audit_backup(struct audit *audit, const char *path, database_copy_fn each, void *payload,
                  struct audit_backup *out, struct error *error)
{
    char aside[PATH_MAX];
    *out = (struct audit_backup){0};
    int size = snprintf(aside, sizeof(aside), "%s" UNFINISHED_SUFFIX, path);
    if (size < 0 || (size_t)size >= sizeof(aside)) {
        return error_set(error, ERROR_USAGE, "the path is too long");
    }
    /* The name is taken first, so that nobody else's file is ever replaced. */
    if (!make_file(path, error)) {
        return false;
    }
    bool is_made = make_file(aside, error);
    bool is_done = is_made && write_copy(audit, aside, path, each, payload, out, error);
    if (!is_done) {
        if (is_made) {
            unlink(aside);
        }
        unlink(path);
    }
    return is_done;
}
