/* SPDX-License-Identifier: MIT */
#include "tests/lib/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"

#define PATH_SIZE_MAX 512
#define PATHS         8

char *folder_make(void)
{
    static const char pattern[] = "/tmp/salvor-test-XXXXXX";
    char *folder = memcpy(mem_zero(sizeof(pattern)), pattern, sizeof(pattern));
    CHECK(mkdtemp(folder) != NULL);
    return folder;
}

void folder_remove(char *folder)
{
    DIR *listing = opendir(folder);
    CHECK(listing != NULL);
    for (struct dirent *item; (item = readdir(listing)) != NULL;) {
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0) {
            CHECK(unlink(folder_path(folder, item->d_name)) == 0);
        }
    }
    closedir(listing);
    CHECK(rmdir(folder) == 0);
    mem_free(folder);
}

int folder_setup(void **fixture)
{
    *fixture = folder_make();
    return 0;
}

int folder_teardown(void **fixture)
{
    folder_remove(*fixture);
    return 0;
}

const char *folder_path(const char *folder, const char *name)
{
    static char paths[PATHS][PATH_SIZE_MAX];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    int written = snprintf(path, PATH_SIZE_MAX, "%s/%s", folder, name);
    CHECK(written > 0 && written < PATH_SIZE_MAX);
    return path;
}

void file_load(const char *path, struct buffer *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    struct stat status;
    CHECK(fstat(fd, &status) == 0);
    size_t size = (size_t)status.st_size;
    CHECK(read(fd, buffer_reserve(out, size), size) == (ssize_t)size);
    out->size += size;
    close(fd);
}

void file_store(const char *path, struct span bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK(write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size);
    close(fd);
}
