/* SPDX-License-Identifier: MIT
 * Who this instance is: a random id kept in DATA/owner, held under a lock so that one DATA serves
 * one process. */
#ifndef SALVOR_REPLAY_OWNER_H
#define SALVOR_REPLAY_OWNER_H

#include "base/error.h"

#define OWNER_SIZE 32 /* hexadecimal digits */

struct owner {
    char id[OWNER_SIZE + 1];
    int fd; /* holds the lock */
};

/* Makes `data` (mode 0700) and the id when absent. False with ERROR_BUSY when another process
 * holds it. */
__attribute__((warn_unused_result)) bool owner_open(const char *data, struct owner *out,
                                                    struct error *error);
void owner_close(struct owner *owner);

/* Makes the directory, mode 0700, unless it is there. */
__attribute__((warn_unused_result)) bool data_make(const char *directory, struct error *error);

#endif
