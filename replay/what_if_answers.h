/* SPDX-License-Identifier: MIT
 * What the capture knows besides its events: which questions and cancels were sent, what came back,
 * which policies were in force. Found by folding it as it is. */
#ifndef SALVOR_REPLAY_WHAT_IF_ANSWERS_H
#define SALVOR_REPLAY_WHAT_IF_ANSWERS_H

#include "reducers/fold.h"
#include "reducers/state.h"
#include "reducers/table.h"
#include "replay/what_if.h"

/* What services were asked, or were told to cancel: kind, job, attempt and service job. */
struct answers_subject {
    struct table_node node; /* key: answers_put_subject */
    struct answers_time {
        uint64_t asked, closed; /* ordinals; closed: UINT64_MAX while it is open */
    } * times;                  /* owned: one a question */
    uint32_t count, capacity;
    uint64_t last_answer;             /* ordinal; 0: none */
    uint64_t last_ms;                 /* of that answer */
    enum answer_verdict last_verdict; /* of a question */
    uint64_t completed_ms;            /* of the first answer that it is completed; 0: none */
};

struct answers {
    struct table subjects;
    struct table questions; /* not answered yet, by their effect ids */
    struct answer {
        uint64_t ordinal;
        const struct answers_subject *subject;
    } * list; /* owned; in the order of the capture */
    uint64_t count, capacity;

    uint64_t entries, begin_ms, end_ms;
    uint64_t policies;       /* the snapshot's included */
    struct policy *captured; /* owned: the last one, with the facts that any of them told */
    struct buffer captured_text;
    bool has_policy_at_start;
    struct what_if_reality reality;
};

/* The key; `kind`: ask or cancel. */
void answers_put_subject(struct buffer *key, enum effect_kind kind, struct span job,
                         uint64_t attempt, struct span service_job);
/* What comes of it is a service's word: of a question or a cancel. */
bool answers_is_awaited(enum effect_kind kind);
/* The service job of a question's or cancel's target. */
struct span answers_service_job(struct span target, struct span service);

void answers_init(struct answers *answers);
/* The state that the capture begins with. */
void answers_begin(struct answers *answers, const struct state *state);
/* One entry, folded as it is; `state` stands behind it. */
void answers_take(struct answers *answers, const struct entry *entry, const struct state *state,
                  const struct fold_output *output);
void answers_fini(struct answers *answers);

/* What becomes of a question that is asked at an ordinal. */
enum answers_fate {
    ANSWERS_NONE,
    ANSWERS_COMING,  /* an answer stands behind that place */
    ANSWERS_PENDING, /* in reality too it was open there, and never answered */
    ANSWERS_UNKNOWN, /* nobody asked */
};

enum answers_fate answers_fate(const struct answers *answers, struct span subject,
                               uint64_t ordinal);
/* When the service said that its job of this attempt is completed; 0: it did not. */
uint64_t answers_completed_ms(const struct answers *answers, struct span job, uint64_t attempt,
                              struct span service_job);

#endif
