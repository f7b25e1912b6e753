/* SPDX-License-Identifier: MIT
 * An operating failure: what the world did to us. Returned, wrapped on the way up, logged once
 * where it is handled. Bugs are CHECK; bad input becomes a decision. */
#ifndef SALVOR_BASE_ERROR_H
#define SALVOR_BASE_ERROR_H

#include <stdbool.h>

#define ERROR_CODES(X)                                                                           \
    X(NONE, "none")                                                                              \
    X(USAGE, "usage") /* the operator asked for something impossible */                          \
    X(IO, "io")       /* a file or a disk */                                                     \
    X(DISK_FULL, "disk_full")                                                                    \
    X(CORRUPT, "corrupt")         /* stored bytes are not what was written */                    \
    X(DIFFERENT, "different")     /* a replay or a comparison disagrees */                       \
    X(UNREACHABLE, "unreachable") /* no connection, or it broke: the outcome may be unknown */   \
    X(BUSY, "busy")               /* refused for now: LOADING, OOM, BUSY, MISCONF, NOREPLICAS */ \
    X(FENCED, "fenced")           /* somebody else leads */                                      \
    X(REFUSED, "refused")         /* the server will not: types, version */                      \
    X(DENIED, "denied")           /* the server knows us not, or a right is missing */           \
    X(HISTORY, "history")         /* the stream is not the one we folded */                      \
    X(STOPPED, "stopped")         /* asked to stop */

#define X(name, text) ERROR_##name,
enum error_code { ERROR_CODES(X) };
#undef X

struct error {
    enum error_code code;
    char message[240];
};

/* Sets code and message and returns false, so that `return error_set(…)` reads well. */
__attribute__((format(printf, 3, 4))) bool error_set(struct error *error, enum error_code code,
                                                     const char *format, ...);
/* Puts "<text>: " before the message; the code stays. Returns false. */
__attribute__((format(printf, 2, 3))) bool error_wrap(struct error *error, const char *format, ...);
const char *error_code_text(enum error_code code);

#endif
