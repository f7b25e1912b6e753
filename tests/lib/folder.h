/* SPDX-License-Identifier: MIT
 * A folder of a test's own, and whole files in it. */
#ifndef SALVOR_TESTS_LIB_FOLDER_H
#define SALVOR_TESTS_LIB_FOLDER_H

#include "base/bytes.h"

/* Result: the path of a new empty folder; given back with folder_remove. */
char *folder_make(void);
/* Removes the folder with the files in it (it holds no other folders) and frees the path. */
void folder_remove(char *folder);
/* The same as a test's fixture, for cmocka. */
int folder_setup(void **fixture);
int folder_teardown(void **fixture);
/* "FOLDER/NAME" in one of a few rotating buffers. */
const char *folder_path(const char *folder, const char *name);

/* Appends the file's bytes; CHECKs that it can be read. */
void file_load(const char *path, struct buffer *out);
/* Writes the file anew. */
void file_store(const char *path, struct span bytes);

#endif
