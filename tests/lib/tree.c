/* SPDX-License-Identifier: MIT */
#include "tests/lib/tree.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

void tree_make(char path[TREE_PATH_SIZE])
{
    snprintf(path, TREE_PATH_SIZE, "/tmp/salvor-test-XXXXXX");
    CHECK(mkdtemp(path) != NULL);
}

void tree_remove(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *item;
    while (directory != NULL && (item = readdir(directory)) != NULL) {
        char child[1024];
        int size = snprintf(child, sizeof(child), "%s/%s", path, item->d_name);
        CHECK(size > 0 && (size_t)size < sizeof(child));
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0 &&
            unlink(child) != 0) {
            tree_remove(child);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    rmdir(path);
}
