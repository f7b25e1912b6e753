/* SPDX-License-Identifier: MIT
 * Audit rows by number, for tests of what keeps them: number n is always the same decision. */
#ifndef SALVOR_TESTS_LIB_AUDIT_ROWS_H
#define SALVOR_TESTS_LIB_AUDIT_ROWS_H

#include "store/audit.h"

/* A decision and where its texts lie. */
struct numbered_decision {
    struct decision decision;
    char id[DECISION_ID_MAX], job[32], worker[32], evidence[64];
};

/* Fills `out`; its decision's texts are in it. Ten jobs and three workers take turns. */
void decision_numbered(uint64_t number, struct numbered_decision *out);
/* The position behind decision `number`. */
struct audit_position position_numbered(uint64_t number);

/* One transaction: the decisions `first` to `first + count - 1`, each with one open effect, then
 * the position. Any failure fails the test. */
void audit_write_numbered(struct audit *audit, uint64_t first, uint64_t count);

/* Opens for writing and CHECKs that it went well. */
struct audit *audit_open_checked(const char *path, enum audit_mode mode);

#endif
