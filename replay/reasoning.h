/* SPDX-License-Identifier: MIT
 * A decision in words: what was compared, which rules did not match, what it rests on. */
#ifndef SALVOR_REPLAY_REASONING_H
#define SALVOR_REPLAY_REASONING_H

#include "base/palette.h"
#include "replay/story.h"

/* "ASK the service". */
const char *reasoning_action(enum action action);
/* Why it was decided, in the words of whoever told. */
const char *reasoning_reason(const struct told_decision *told);
/* Each appends nothing where there is nothing to say. */
void reasoning_put_measures(const struct told_decision *told, struct buffer *out);
void reasoning_put_tried(const struct told_decision *told, struct buffer *out);
/* With its stream id, but where `shown`, one by fact, has it already; what is told is noted there.
 */
void reasoning_put_facts(const struct told_decision *told, struct stream_id *shown,
                         struct buffer *out);
/* "asked comfyui/p1: answered "running" after 12 ms". */
void reasoning_put_effect(const struct audit_effect *effect, struct buffer *out);

/* "running"; `wanted`: what is asked of the queue, or held, or owed. */
void reasoning_put_phase(enum job_phase phase, enum effect_kind wanted, struct buffer *out);
/* How the job stands at the story's end, in a sentence. */
void reasoning_put_standing(const struct story *story, struct buffer *out);
/* "the audit was pruned up to 2026-…"; nothing where no decision is missing. */
void reasoning_put_unread(const struct story *story, struct buffer *out);
/* How good that is: a style for the sentence. */
enum style reasoning_standing_style(const struct story *story);
/* The policy in short: its hash, and what it changes in the preset that it is nearest to. */
void reasoning_put_policy(const struct policy *policy, struct span hash, struct span service,
                          struct buffer *out);

#endif
