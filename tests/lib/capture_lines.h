/* SPDX-License-Identifier: MIT
 * Captures written from lines, for tests of what reads them: "type key=value …", the n-th line is
 * entry n-0; "packed type key=value …" is written in the packed form.
 * "\n" in a value is a line feed. */
#ifndef SALVOR_TESTS_LIB_CAPTURE_LINES_H
#define SALVOR_TESTS_LIB_CAPTURE_LINES_H

#include "store/capture.h"

/* Entry `number` (its id is number-0) from `line`; its bytes are appended to `raw`. */
struct entry capture_line_entry(const char *line, uint64_t number, struct buffer *raw);
/* Writes the lines into `folder` as one capture behind `header`: the first line is the entry behind
 * the header's ordinal. Up to the line that is NULL. */
void capture_lines_write(const char *folder, const struct capture_header *header,
                         const char *const *lines);

#endif
