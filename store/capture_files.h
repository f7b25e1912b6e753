/* SPDX-License-Identifier: MIT
 * The files of a capture directory. */
#ifndef SALVOR_STORE_CAPTURE_FILES_H
#define SALVOR_STORE_CAPTURE_FILES_H

#include <stddef.h>

#include "base/error.h"

#define CAPTURE_SUFFIX    ".capture"
#define UNFINISHED_SUFFIX ".new" /* behind that: a file whose header is being written */

/* The capture files of a directory in the order of their names; zero-initialise with {0}. */
struct capture_files {
    char **paths; /* owned, each too */
    size_t count, capacity;
};

/* A directory that does not exist holds no files. */
bool capture_files_list(const char *directory, struct capture_files *out, struct error *error);
/* Removes what a crash has left of files whose headers were being written: up to a snapshot's size
 * each, and nothing reads them. One that stays does no harm. */
void capture_files_remove_unfinished(const char *directory);
void capture_files_add(struct capture_files *files, const char *path);
/* Forgets the first `count`. */
void capture_files_drop(struct capture_files *files, size_t count);
void capture_files_fini(struct capture_files *files);
/* The part behind the last slash, borrowed: what messages call a file. */
const char *capture_file_name(const char *path);
/* What messages of a reader call it: the path as it was given, or its last part where the path
 * would leave no room for the message. Borrowed. */
const char *capture_file_told(const char *path);
/* Makes lasting what was made, named or removed in the directory. False: errno tells why. */
bool capture_directory_sync(const char *directory);
/* Result: "DIRECTORY/NAME"; the caller frees it with mem_free. */
char *capture_path_join(const char *directory, const char *name);

#endif
