/* SPDX-License-Identifier: MIT
 * The names of Salvor's own keys in Redis. */
#ifndef SALVOR_STREAM_NAMES_H
#define SALVOR_STREAM_NAMES_H

#include <stdint.h>

#define KEY_NAME_SIZE 160

struct key_name {
    char text[KEY_NAME_SIZE];
};

/* "prefix:{p}:events" */
struct key_name names_stream(const char *prefix, uint32_t partition);
/* "prefix:{p}:ctl" */
struct key_name names_control(const char *prefix, uint32_t partition);
/* "prefix:meta": what all partitions share. */
struct key_name names_meta(const char *prefix);

#endif
