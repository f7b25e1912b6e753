/* SPDX-License-Identifier: MIT
 * Decisions as they are recorded: the rows that a fold gives and that the audit keeps. */
#ifndef SALVOR_REDUCERS_DECISION_H
#define SALVOR_REDUCERS_DECISION_H

#include "reducers/effect.h"
#include "reducers/event.h"
#include "reducers/reason.h"

#define ACTIONS(X)              \
    X(NONE, "none")             \
    X(ASK, "ask")               \
    X(WAIT, "wait")             \
    X(REQUEUE, "requeue")       \
    X(COMPLETE, "complete")     \
    X(FAIL, "fail")             \
    X(TIME_OUT, "time_out")     \
    X(CANCEL, "cancel")         \
    X(PARK, "park")             \
    X(RELEASE, "release")       \
    X(HOLD, "hold")             \
    X(RESUME, "resume")         \
    X(IGNORE, "ignore")         \
    X(QUARANTINE, "quarantine") \
    X(PRUNE, "prune") /* of one audit database; never a fold's */

#define X(name, text) ACTION_##name,
enum action { ACTIONS(X) ACTION_COUNT };
#undef X

/* Static. */
const char *action_text(enum action action);

#define DECISION_ID_MAX 160 /* partition.timeline.ms-seq.n and an effect's .k */

/* One row of the audit's `decision` table, its hash and superseded_by aside. The texts belong to
 * the fold's output until the next event is folded. */
struct decision {
    struct span id; /* partition.timeline.ms-seq.n */
    uint64_t timeline;
    struct stream_id stream_id;
    uint64_t ordinal;
    uint64_t at_ms; /* ms of stream_id */
    struct span job, worker, service;
    uint64_t attempt;
    enum action action;
    enum reason reason;
    struct span policy;   /* hash, hexadecimal */
    uint64_t reducers;    /* version */
    struct span evidence; /* JSON text */
    struct span trace;
    struct span mode; /* "apply" or "observe" */
};

/* The columns of a decision in the order of the audit's table: one list for the store, the chain's
 * canonical bytes and every comparison. X(member, kind) with kind TEXT, NUMBER or one of the
 * special members. */
#define DECISION_COLUMNS(X)   \
    X(ID, "id")               \
    X(TIMELINE, "timeline")   \
    X(STREAM_ID, "stream_id") \
    X(ORDINAL, "ordinal")     \
    X(AT_MS, "at_ms")         \
    X(JOB, "job")             \
    X(WORKER, "worker")       \
    X(SERVICE, "service")     \
    X(ATTEMPT, "attempt")     \
    X(ACTION, "action")       \
    X(REASON, "reason")       \
    X(POLICY, "policy")       \
    X(REDUCERS, "reducers")   \
    X(EVIDENCE, "evidence")   \
    X(TRACE, "trace")         \
    X(MODE, "mode")

#define X(name, text) DECISION_COLUMN_##name,
enum decision_column { DECISION_COLUMNS(X) DECISION_COLUMN_COUNT };
#undef X

/* One column's value: a text or a number, as SQLite keeps it. */
struct column_value {
    bool is_number;
    uint64_t number;
    struct span text; /* borrowed from the decision or from `scratch` */
};

const char *decision_column_name(enum decision_column column);
/* `scratch` holds the text of stream_id; the value borrows from it until its next change. */
struct column_value decision_column(const struct decision *decision, enum decision_column column,
                                    struct buffer *scratch);
/* Canonical bytes of all columns, in order: what the hash chain and the comparisons take. Each: the
 * byte 'n' and a varint, or 't' and the sized text. */
void decision_put_canonical(struct buffer *buffer, const struct decision *decision);

/* A change of an effect's row. A request has outcome NONE (or OBSERVED at once, where effects are
 * only observed); a settlement has `decision` and `target` empty. */
struct effect_change {
    struct span id;
    struct span decision; /* the id of the decision that wants it; empty in a settlement */
    enum effect_kind kind;
    struct span target; /* "job:<id>", "worker:<id>" or "<service>/<service_job>" */
    enum effect_outcome outcome;
    struct span found;
    uint64_t at_ms; /* ms of the causing entry's id */
};

#endif
