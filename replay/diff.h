/* SPDX-License-Identifier: MIT
 * Two captures, or two audits, held against each other: where they part first, then how much of
 * each the other does not have. Both are read once, side by side; memory does not grow with them.
 */
#ifndef SALVOR_REPLAY_DIFF_H
#define SALVOR_REPLAY_DIFF_H

#include "base/arena.h"
#include "base/error.h"
#include "reducers/decision.h"
#include "reducers/event.h"

enum diff_side { DIFF_A, DIFF_B, DIFF_SIDES };

/* What stands in one and not in the other, or in both and differs. */
struct diff_count {
    uint64_t only[DIFF_SIDES], changed;
};

enum diff_kind { DIFF_NONE, DIFF_ONLY_A, DIFF_ONLY_B, DIFF_CHANGED };

struct diff_field {
    struct span name;
    struct span value[DIFF_SIDES]; /* data NULL: the field is not there */
};

/* Called now and then with the entries or rows looked at. False: it ends there. */
typedef bool (*diff_step_fn)(void *payload, uint64_t done);

struct diff_config {
    const char *path[DIFF_SIDES];
    diff_step_fn step; /* may be NULL */
    void *payload;
};

/* --- captures (diff_captures.c) --- */

#define DIFF_HEAD_MAX 8

/* Zero-initialise with {0}; texts live until diff_captures_fini. */
struct diff_captures {
    struct diff_capture_side {
        uint64_t first_ordinal; /* entries of the stream before its first one */
        uint64_t passed;        /* entries before the other's beginning: not compared */
        uint64_t beyond;        /* entries behind the other's end: not compared */
        uint64_t entries;       /* compared */
        bool is_torn;
    } side[DIFF_SIDES];
    /* What the headers say differently; of captures that begin at different ordinals the partition
     * alone. */
    struct diff_field head[DIFF_HEAD_MAX];
    uint32_t head_count;
    /* The first entry at which they part. */
    struct diff_first_entry {
        enum diff_kind kind;
        struct stream_id id;          /* of the entry; of ONLY_*: the one the other lacks */
        struct span type;             /* its type's name, or what is wrong with it */
        uint64_t ordinal[DIFF_SIDES]; /* of the entries that stand there */
        bool has_ended[DIFF_SIDES];   /* nothing stands there any more */
        struct diff_field field;      /* the first that differs; "id" where the ids do */
    } first;
    uint64_t equal;
    struct diff_count total, types[EVENT_TYPE_COUNT]; /* EVENT_NONE: no event that is known */
    bool is_interrupted;
    struct arena arena;
};

/* Entries are held against each other by their stream ids, over the ordinals that both cover. */
__attribute__((warn_unused_result)) bool
diff_captures_run(const struct diff_config *config, struct diff_captures *out, struct error *error);
bool diff_captures_are_equal(const struct diff_captures *diff);
/* False: no ordinal is in both, so that equal says nothing. */
bool diff_captures_overlap(const struct diff_captures *diff);
void diff_captures_fini(struct diff_captures *diff);

/* The first field in which two entries differ, their bytes being different (diff_entry.c). */
void diff_entry_field(const struct entry *a, const struct entry *b, struct arena *arena,
                      struct diff_field *out);

/* --- audits (diff_audits.c) --- */

/* A decision at which two audits part. */
struct diff_first_decision {
    enum diff_kind kind;
    struct span id;
    uint64_t ordinal;
    enum action action;
    enum reason reason;
    struct span job;
    struct diff_field fields[DECISION_COLUMN_COUNT]; /* of CHANGED */
    uint32_t field_count;
};

/* Zero-initialise with {0}; texts live until diff_audits_fini. */
struct diff_audits {
    struct diff_audit_side {
        uint64_t decisions;
        uint64_t ordinal; /* of its position */
        uint64_t
            pruned; /* ordinal up to which its rows are gone; neither's are compared up to it */
        uint64_t beyond; /* decisions behind the other's position: not compared */
        uint64_t tally[ACTION_COUNT][REASON_COUNT];
    } side[DIFF_SIDES];
    struct diff_first_decision first;
    /* The first that was decided otherwise (DIFF_AUDITS_OTHERWISE), not only for other reasons or
     * under another policy's hash. */
    struct diff_first_decision otherwise;
    uint64_t equal;
    struct diff_count total;
    uint64_t otherwise_count; /* of total.changed */
    bool is_interrupted;
    struct arena arena;
};

__attribute__((warn_unused_result)) bool
diff_audits_run(const struct diff_config *config, struct diff_audits *out, struct error *error);
bool diff_audits_are_equal(const struct diff_audits *diff);
/* False: one has let go, or not reached, all that the other holds. */
bool diff_audits_overlap(const struct diff_audits *diff);
void diff_audits_fini(struct diff_audits *diff);

#endif
