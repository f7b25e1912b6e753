/* SPDX-License-Identifier: MIT
 * A job's story as values: what happened, what was believed and what was decided, in the order of
 * the stream. Gathered from an audit, from folding a capture, or from both; told by why_*.c. */
#ifndef SALVOR_REPLAY_STORY_H
#define SALVOR_REPLAY_STORY_H

#include "base/error.h"
#include "reducers/fold.h"
#include "reducers/view.h"
#include "replay/evidence.h"
#include "replay/place.h"
#include "store/audit.h"

#define STORY_DECISIONS_MAX 10000 /* a longer story is cut, and says so */
#define STORY_EVENTS_MAX    100000

struct told_policy {
    struct span hash;
    struct policy values;
};

/* What was believed of the job behind an entry. */
struct told_belief {
    enum job_phase phase;
    enum effect_kind wanted;
    struct span worker; /* who holds it */
    uint64_t attempt, losses, failures;
};

struct told_decision {
    struct decision row;
    struct evidence evidence;
    const struct policy *policy; /* that it was taken by; NULL: its text is not known */
    uint64_t silent_ms,
        silent_limit_ms; /* of its worker, where the same entry tells; limit 0: no */
    uint32_t effect_first, effect_count; /* in the story's effects */
};

enum story_kind { STORY_NONE, STORY_EVENT, STORY_DECISION, STORY_BELIEF };

struct story_item {
    enum story_kind kind;
    struct entry entry; /* of an event; of all others `id` alone */
    uint32_t decision;  /* its place in the story's decisions */
    struct told_belief belief;
};

struct told_effect {
    struct audit_effect row;
};

/* What came up to here was not read: ordinal 0 when nothing is missing. */
struct story_gap {
    uint64_t ordinal;
    struct stream_id id;
};

/* All texts are owned by the arena, all arrays by the story. Zero-initialise with {0}, then set
 * `job` and perhaps `until`. */
struct story {
    struct arena arena;
    struct span job;    /* borrowed */
    struct place until; /* what comes behind it is left out; NONE: nothing is */
    bool has_audit, has_capture;
    uint32_t partition;
    struct told_decision *decisions;
    uint32_t decision_count, decision_capacity;
    struct told_effect *effects;
    uint32_t effect_count, effect_capacity;
    struct told_policy **policies;
    uint32_t policy_count, policy_capacity;
    struct story_item *items;
    uint32_t item_count, item_capacity;
    uint32_t told_count; /* decisions that are among the items */
    uint32_t event_count;
    bool is_cut;
    /* As the fold leaves the job: */
    bool has_view;
    struct job_view view;
    const struct told_policy *in_force; /* NULL: none, or not known */
    struct stream_id position;          /* the last entry that was folded; without a capture the
                                           last that the audit decided; zero: none */
    uint64_t ordinal;
    bool is_over;                   /* something follows behind `until` */
    struct story_gap begun, pruned; /* before the capture; of the audit */
    /* Jobs whose ids come near, where this one is not known. */
    struct span near[5];
    uint32_t near_count;
};

void story_fini(struct story *story);
/* The story holds anything at all. */
bool story_is_known(const struct story *story);

/* Takes the job's decisions with their effects, and the policies that they were taken by. */
bool story_take_audit(struct story *story, const char *path, struct error *error);
/* Called now and then while a capture is folded; false ends it with ERROR_STOPPED. */
typedef bool (*story_step_fn)(void *payload, uint64_t entries);
/* Folds the capture, in one pass, and takes the job's events and beliefs; its decisions and effects
 * too, unless an audit has told them. */
bool story_take_capture(struct story *story, const char *path, story_step_fn step, void *payload,
                        struct error *error);
/* Puts what no event of the capture called for behind the rest. Ends the gathering. */
void story_finish(struct story *story);
/* The decisions that were not read; ordinal 0 where none of the job can be among them. */
struct story_gap story_unread(const struct story *story);
/* `until` lies behind all that was read. */
bool story_is_short(const struct story *story);
/* The moment that the story comes to, in ms. */
uint64_t story_end_ms(const struct story *story);

/* --- between story.c and story_fold.c --- */

bool story_is_behind(const struct story *story, struct stream_id id, uint64_t ordinal);
/* Copies the row to its place in the stream's order; NULL when there are too many. */
struct told_decision *story_add_decision(struct story *story, const struct decision *row);
void story_add_effect(struct story *story, uint32_t decision, const struct audit_effect *effect);
struct told_effect *story_find_effect(struct story *story, struct span id);
const struct told_policy *story_add_policy(struct story *story, struct span hash, struct span text);
struct story_item *story_add_item(struct story *story, enum story_kind kind, struct stream_id id);
/* Puts the decisions whose entry is not behind `id` among the items. */
void story_add_decisions_until(struct story *story, struct stream_id id);
void story_add_near(struct story *story, struct span job);
/* The effects of a decision, in order. */
const struct told_effect *story_effects(const struct story *story,
                                        const struct told_decision *decision);

#endif
