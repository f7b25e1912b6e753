/* SPDX-License-Identifier: MIT
 * A question from within: question.c sends and hears, question_status.c judges what is said of a
 * job, question_cancel.c what came of a cancel. */
#ifndef SALVOR_CONNECTORS_QUESTION_PARTS_H
#define SALVOR_CONNECTORS_QUESTION_PARTS_H

#include "connectors/question.h"

/* --- question_status.c --- */

/* What a reply said becomes what the answer says, unless an earlier request failed: then the answer
 * tells of that one. `heard` NULL: there was no reply. */
void question_note(struct question *question, enum answer_verdict verdict, const char *word,
                   struct heard *heard);
/* Moves on to the next status request; a cancel whose status is known begins then. */
enum question_next question_go_to_status(struct question *question, bool is_over);
enum question_next question_hear_status(struct question *question, struct heard *heard,
                                        uint64_t now_ms);

/* --- question_cancel.c --- */

bool question_is_cancel(const struct question *question);
/* The status, where it was needed, is known; what ended there needs no cancel. */
enum question_next question_begin_cancel(struct question *question);
enum question_next question_settle_cancel(struct question *question, enum effect_outcome outcome,
                                          struct span word);
enum question_next question_skip_cancel(struct question *question, const char *word);
enum question_next question_hear_cancel(struct question *question, struct heard *heard);

#endif
