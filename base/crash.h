/* SPDX-License-Identifier: MIT
 * Named crash points: one after each number of the order contract (replay/loop.h), and the places
 * where a take-over or an append can be cut. With SALVOR_CRASH_POINT=name[:n] in the environment
 * the process kills itself with SIGKILL the n-th time it gets there (default 1), after saying so on
 * stderr. */
#ifndef SALVOR_BASE_CRASH_H
#define SALVOR_BASE_CRASH_H

#define CRASH_POINTS(X)                     \
    X(READ, "read")                         \
    X(DECODED, "decoded")                   \
    X(CAPTURE_APPENDED, "capture_appended") \
    X(REDUCED, "reduced")                   \
    X(CAPTURE_WRITTEN, "capture_written")   \
    X(TRANSACTION, "transaction")           \
    X(COMMITTED, "committed")               \
    X(DISPATCHED, "dispatched")             \
    X(OUTCOME_APPENDED, "outcome_appended") \
    X(SNAPSHOT, "snapshot")                 \
    X(TAKEN_OVER, "taken_over")             \
    X(TICK_APPENDED, "tick_appended")       \
    X(ANSWER_APPENDED, "answer_appended")

#define X(name, text) CRASH_##name,
enum crash_point { CRASH_NONE, CRASH_POINTS(X) CRASH_POINT_COUNT };
#undef X

void crash_point(enum crash_point point);
const char *crash_point_text(enum crash_point point);

#endif
