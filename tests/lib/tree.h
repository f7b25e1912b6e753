/* SPDX-License-Identifier: MIT
 * A folder of a test's own that may hold other folders. */
#ifndef SALVOR_TESTS_LIB_TREE_H
#define SALVOR_TESTS_LIB_TREE_H

#define TREE_PATH_SIZE 64

/* Makes an empty folder and writes its path. */
void tree_make(char path[TREE_PATH_SIZE]);
/* Removes it with everything in it; one that is not there is no error. */
void tree_remove(const char *path);

#endif
