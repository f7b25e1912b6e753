/* SPDX-License-Identifier: MIT */
#include "store/capture_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"

#define TOLD_SIZE_MAX 120

const char *capture_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

const char *capture_file_told(const char *path)
{
    return strlen(path) > TOLD_SIZE_MAX ? capture_file_name(path) : path;
}

bool capture_directory_sync(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;
    int cause = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = cause;
    return is_synced;
}

char *capture_path_join(const char *directory, const char *name)
{
    size_t size = strlen(directory) + strlen(name) + sizeof("/");
    char *path = mem_zero(size);
    int written = snprintf(path, size, "%s/%s", directory, name);
    CHECK(written >= 0 && (size_t)written < size);
    return path;
}

void capture_files_add(struct capture_files *files, const char *path)
{
    if (files->count == files->capacity) {
        files->capacity = files->capacity == 0 ? 8 : 2 * files->capacity;
        files->paths = mem_resize(files->paths, files->capacity * sizeof(*files->paths));
    }
    size_t size = strlen(path) + 1;
    files->paths[files->count] = memcpy(mem_zero(size), path, size);
    files->count++;
}

void capture_files_drop(struct capture_files *files, size_t count)
{
    CHECK(count <= files->count);
    for (size_t index = 0; index < count; index++) {
        mem_free(files->paths[index]);
    }
    files->count -= count;
    memmove(files->paths, files->paths + count, files->count * sizeof(*files->paths));
}

void capture_files_fini(struct capture_files *files)
{
    for (size_t index = 0; index < files->count; index++) {
        mem_free(files->paths[index]);
    }
    mem_free(files->paths);
    *files = (struct capture_files){0};
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_capture_name(const char *name, const char *suffix)
{
    size_t size = strlen(name), suffix_size = strlen(suffix);
    return name[0] != '.' && size > suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

void capture_files_remove_unfinished(const char *directory)
{
    DIR *listing = opendir(directory);
    if (listing == NULL) {
        return;
    }
    for (struct dirent *item; (item = readdir(listing)) != NULL;) {
        if (is_capture_name(item->d_name, CAPTURE_SUFFIX UNFINISHED_SUFFIX)) {
            unlinkat(dirfd(listing), item->d_name, 0);
        }
    }
    closedir(listing);
}

bool capture_files_list(const char *directory, struct capture_files *out, struct error *error)
{
    DIR *listing = opendir(directory);
    if (listing == NULL) {
        return errno == ENOENT ||
               error_set(error, ERROR_IO, "%s: cannot be listed: %s", directory, strerror(errno));
    }
    errno = 0;
    for (struct dirent *item; (item = readdir(listing)) != NULL; errno = 0) {
        if (!is_capture_name(item->d_name, CAPTURE_SUFFIX)) {
            continue;
        }
        char *path = capture_path_join(directory, item->d_name);
        capture_files_add(out, path);
        mem_free(path);
    }
    bool is_listed = errno == 0 || error_set(error, ERROR_IO, "%s: cannot be listed: %s", directory,
                                             strerror(errno));
    closedir(listing);
    if (out->count > 0) {
        qsort(out->paths, out->count, sizeof(*out->paths), compare_paths);
    }
    return is_listed;
}
