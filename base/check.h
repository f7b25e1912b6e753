/* SPDX-License-Identifier: MIT
 * CHECK: a condition that only a bug can break. It stays on in every build and ends the process,
 * since the stream and the audit are durable and a restart folds them again. */
#ifndef SALVOR_BASE_CHECK_H
#define SALVOR_BASE_CHECK_H

#define CHECK(condition)                                  \
    do {                                                  \
        if (!(condition)) {                               \
            check_failed(#condition, __FILE__, __LINE__); \
        }                                                 \
    } while (0)

/* Prints the condition with its place to stderr and aborts. Never returns. */
_Noreturn void check_failed(const char *condition, const char *file, int line);

#endif
