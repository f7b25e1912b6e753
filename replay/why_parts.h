/* SPDX-License-Identifier: MIT
 * A story's parts, and the two ways of writing them down. */
#ifndef SALVOR_REPLAY_WHY_PARTS_H
#define SALVOR_REPLAY_WHY_PARTS_H

#include "reducers/codec.h"
#include "store/audit.h"

/* A decision of the job with its effects; texts are owned by the story's arena. */
struct told_decision {
    struct decision row;
    struct audit_effect *effects;
    uint32_t effect_count;
};

struct why_writer {
    /* `last`: how the job stands; NULL without a decision. */
    void (*begin)(struct buffer *out, struct span job, const struct told_decision *last);
    /* `event` is NULL for an entry that could not be decoded: `problem` and `field` say why. */
    void (*event)(struct buffer *out, const struct entry *entry, const struct event *event,
                  enum codec_problem problem, struct span field);
    void (*decision)(struct buffer *out, const struct told_decision *decision);
    /* `is_cut`: there were more decisions than a story holds. */
    void (*end)(struct buffer *out, bool is_cut);
};

extern const struct why_writer why_text_writer;
extern const struct why_writer why_json_writer;

/* 2026-11-23T11:58:41.123Z */
void why_put_time(struct buffer *out, uint64_t at_ms);
/* JSON text as indented lines `name: value`, without braces. */
void why_put_evidence(struct buffer *out, struct span json, uint32_t indent);

#endif
