/* SPDX-License-Identifier: MIT
 * The story of one job as its audit or its capture tells it: events, what was believed, decisions
 * with their reasons and what would have had to be different, effects with outcomes; or how the job
 * stood at one moment of it. */
#ifndef SALVOR_REPLAY_WHY_H
#define SALVOR_REPLAY_WHY_H

#include "base/palette.h"
#include "replay/story.h"

struct why_config {
    struct span job;
    const char *audit;   /* database; NULL: the capture's fold tells the decisions */
    const char *capture; /* file or directory; NULL: decisions alone */
    struct place at;     /* NONE: the whole story; else how the job stood there */
    bool is_json;
    const struct palette *palette; /* of the text */
    struct buffer *unread;         /* gets, of a job not known, what was not read; may be NULL */
    story_step_fn step;            /* may be NULL */
    void *payload;
};

/* Appends the story to `out`. `*is_known` is false when neither decision nor event names the job:
 * `out` is then untouched, and `near` gets ids that come near, one a line. Without audit and
 * capture nothing is known. */
__attribute__((warn_unused_result)) bool why_tell(const struct why_config *config,
                                                  struct buffer *out, struct buffer *near,
                                                  bool *is_known, struct error *error);

/* --- the four ways of writing a story down --- */

void why_put_text(const struct story *story, const struct palette *palette, struct buffer *out);
void why_put_json(const struct story *story, struct buffer *out);
/* How the job stood at story->until. */
void why_put_state_text(const struct story *story, const struct palette *palette,
                        struct buffer *out);
void why_put_state_json(const struct story *story, struct buffer *out);
/* The head that text of both kinds begins with. */
void why_put_head(const struct story *story, const struct palette *palette, struct buffer *out);
/* The members of a decision and of the job's state, in an object that is open. */
void why_put_decision_json(const struct story *story, const struct told_decision *told,
                           struct buffer *out);
void why_put_effects_json(const struct told_effect *effects, uint32_t count, bool is_open_only,
                          struct buffer *out);
void why_put_phase_json(enum job_phase phase, enum effect_kind wanted, struct buffer *out);
/* Where decisions are missing: why; else "". */
void why_put_unread_json(const struct story *story, struct buffer *out);
void why_put_view_json(const struct story *story, struct buffer *out);

#endif
