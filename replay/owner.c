/* SPDX-License-Identifier: MIT */
#include "replay/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

bool data_make(const char *directory, struct error *error)
{
    if (mkdir(directory, 0700) == 0) {
        return true;
    }
    struct stat status;
    if (errno == EEXIST && stat(directory, &status) == 0 && S_ISDIR(status.st_mode)) {
        return true;
    }
    if (errno == EEXIST) {
        errno = ENOTDIR;
    }
    return error_set(error, ERROR_IO, "%s: %s", directory, strerror(errno));
}

static bool owner_make(struct owner *owner, const char *path, struct error *error)
{
    unsigned char bytes[OWNER_SIZE / 2];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return error_set(error, ERROR_IO, "getrandom: %s", strerror(errno));
    }
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(bytes); i++) {
        owner->id[2 * i] = digits[bytes[i] >> 4];
        owner->id[2 * i + 1] = digits[bytes[i] & 15];
    }
    if (ftruncate(owner->fd, 0) != 0 || pwrite(owner->fd, owner->id, OWNER_SIZE, 0) != OWNER_SIZE ||
        fsync(owner->fd) != 0) {
        return error_set(error, errno == ENOSPC ? ERROR_DISK_FULL : ERROR_IO, "%s: %s", path,
                         strerror(errno));
    }
    return true;
}

/* An empty or cut file is what a crash between making and writing it leaves. */
static bool owner_read(struct owner *owner, const char *path, struct error *error)
{
    ssize_t size = pread(owner->fd, owner->id, OWNER_SIZE, 0);
    if (size < 0) {
        return error_set(error, ERROR_IO, "%s: %s", path, strerror(errno));
    }
    owner->id[OWNER_SIZE] = '\0';
    if (size < OWNER_SIZE) {
        return owner_make(owner, path, error);
    }
    if (strspn(owner->id, "0123456789abcdef") != OWNER_SIZE) {
        return error_set(error, ERROR_CORRUPT, "%s: not an owner's id", path);
    }
    return true;
}

bool owner_open(const char *data, struct owner *out, struct error *error)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s/owner", data) >= sizeof(path)) {
        return error_set(error, ERROR_USAGE, "data: the path is too long");
    }
    if (!data_make(data, error)) {
        return false;
    }
    *out = (struct owner){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (out->fd < 0) {
        return error_set(error, ERROR_IO, "%s: %s", path, strerror(errno));
    }
    if (flock(out->fd, LOCK_EX | LOCK_NB) != 0) {
        error_set(error, ERROR_BUSY, "%s: another process works with this data", path);
        goto close_file;
    }
    if (!owner_read(out, path, error)) {
        goto close_file;
    }
    return true;
close_file:
    owner_close(out);
    return false;
}

void owner_close(struct owner *owner)
{
    if (owner->fd >= 0) {
        close(owner->fd);
    }
    owner->fd = -1;
}
