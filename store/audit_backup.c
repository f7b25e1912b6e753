/* SPDX-License-Identifier: MIT */
#include "store/audit_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
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

static bool is_there_already(const char *path, struct error *error)
{
    return error_set(error, ERROR_REFUSED, "%s: is there already", path);
}

/* Takes the file's lock, which a process that is killed gives back. */
static bool lock_file(int fd, const char *path, struct error *error)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ||
           (errno == EWOULDBLOCK
                ? error_set(error, ERROR_REFUSED, "%s: another backup is writing it", path)
                : fail(path, "cannot be locked", error));
}

/* Removes what a killed backup has left. Who holds the lock of the file that has the name may
 * take the name away; nobody else does. */
static bool remove_stale(const char *path, struct error *error)
{
    struct stat named, locked;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT || fail(path, "cannot be opened", error);
    }
    bool is_removed = lock_file(fd, path, error);
    if (is_removed && fstat(fd, &locked) == 0 && lstat(path, &named) == 0 &&
        locked.st_dev == named.st_dev && locked.st_ino == named.st_ino) {
        is_removed = unlink(path) == 0 || fail(path, "cannot be removed", error);
    }
    close(fd);
    return is_removed;
}

/* Makes an empty, locked file. Result: open as long as the lock is to last; -1 on error. */
static int make_aside(const char *path, struct error *error)
{
    int fd = -1;
    if (remove_stale(path, error)) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
        if (fd < 0) {
            fail(path, "cannot be made", error);
        } else if (!lock_file(fd, path, error)) {
            close(fd);
            fd = -1;
        }
    }
    return fd;
}

/* Gives the copy its name, which nothing may have. */
static bool publish(const char *aside, const char *path, struct error *error)
{
    if (link(aside, path) == 0) {
        return unlink(aside) == 0 || fail(aside, "cannot be removed", error);
    }
    if (errno == EEXIST) {
        return is_there_already(path, error);
    }
    if (errno != EPERM && errno != EOPNOTSUPP) {
        return fail(path, "cannot be named", error);
    }
    /* A file system without links: the name is taken by an empty file first. */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return errno == EEXIST ? is_there_already(path, error)
                               : fail(path, "cannot be named", error);
    }
    close(fd);
    if (rename(aside, path) != 0) {
        fail(path, "cannot be named", error);
        unlink(path);
        return false;
    }
    return true;
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
           publish(aside, path, error) && sync_directory_of(path, error);
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
    struct stat status;
    if (lstat(path, &status) == 0) {
        return is_there_already(path, error);
    }
    int lock = make_aside(aside, error);
    if (lock < 0) {
        return false;
    }
    bool is_done = write_copy(audit, aside, path, each, payload, out, error);
    if (!is_done) {
        unlink(aside);
    }
    close(lock);
    return is_done;
}
