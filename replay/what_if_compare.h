/* SPDX-License-Identifier: MIT
 * Two sides' decisions about each job, held against each other pair by pair. */
#ifndef SALVOR_REPLAY_WHAT_IF_COMPARE_H
#define SALVOR_REPLAY_WHAT_IF_COMPARE_H

#include "replay/what_if_answers.h"

/* So many decisions may one side be ahead of the other about a job: more, and the other is taken to
 * decide nothing. */
#define WHAT_IF_AHEAD_MAX 64

struct what_if_item;

/* A job about which something was decided, as long as the comparison lasts. */
struct what_if_subject {
    struct table_node node; /* key: the job */
    struct what_if_queue {
        struct what_if_item *first, *last; /* owned; decided, and not matched yet */
        uint32_t count;
        enum reason backs_off;       /* of the last wait, where nothing was decided since */
        struct what_if_item *passed; /* owned; the last question or wait for a service, likewise */
        /* Passed over behind the other side's next decision: counted when that has its equal. */
        uint64_t late_asks, late_waits;
    } queue[WHAT_IF_SIDE_COUNT];
    bool is_unanswered[WHAT_IF_SIDE_COUNT]; /* at the end it waits for an answer */
    enum what_if_end end;
    struct what_if_item *told[WHAT_IF_SIDE_COUNT]; /* owned; where it ended; NULL: nothing */
    struct what_if_trial {                         /* what a completion may speak against */
        enum what_if_side side;
        struct what_if_item *item; /* owned */
    } * trials;                    /* owned; counted decisions that were carried out */
    uint32_t trial_count, trial_capacity;
};

struct what_if_compare {
    const struct answers *answers; /* borrowed */
    struct what_if_report *report; /* borrowed; counted into */
    struct table subjects;
    struct table completions; /* by workers' word, of jobs about which something was decided */
};

void what_if_compare_init(struct what_if_compare *compare, const struct answers *answers,
                          struct what_if_report *report);
/* A side decided. `decision`'s texts are copied. */
void what_if_compare_take(struct what_if_compare *compare, enum what_if_side side, struct span job,
                          const struct what_if_decision *decision);
/* A question that stood open when the capture begins has no answer in it. */
void what_if_compare_unanswered(struct what_if_compare *compare, enum what_if_side side,
                                struct span job, const struct what_if_decision *question);
/* A worker tells that it took a job or completed it. */
void what_if_compare_worker(struct what_if_compare *compare, const struct event *event,
                            uint64_t ordinal);
/* At the capture's end the side waits for an answer about the job. */
void what_if_compare_waits(struct what_if_compare *compare, enum what_if_side side,
                           struct span job);
/* Ends every comparison, and lists in the report where they ended; its texts are this comparison's.
 */
void what_if_compare_finish(struct what_if_compare *compare);
void what_if_compare_fini(struct what_if_compare *compare);

#endif
