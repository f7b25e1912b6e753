/* SPDX-License-Identifier: MIT
 * Entries by number, for tests of what keeps them: number n is always the same entry. */
#ifndef SALVOR_TESTS_LIB_ENTRIES_H
#define SALVOR_TESTS_LIB_ENTRIES_H

#include "store/capture.h"

/* Borrows from `raw`, which is written anew. Most entries are small, some are empty, some large;
 * the ids rise, but step back now and then, as they do behind a fork. */
struct entry entry_numbered(uint64_t number, struct buffer *raw);

/* Appends the entries `first` to `first + count - 1`. */
void entries_append(struct capture_writer *writer, uint64_t first, uint64_t count);

/* Reads on and compares: entry `first` and all after it are as numbered. Result: how the reading
 * ended; `*read` counts the good entries. An entry that differs fails the test. */
enum capture_next entries_read(struct capture_reader *reader, uint64_t first, uint64_t *read,
                               struct error *error);

/* The id of the entry before the one numbered `first`; zero for none. */
struct stream_id entries_before(uint64_t first);

#endif
