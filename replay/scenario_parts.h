/* SPDX-License-Identifier: MIT
 * What scenario_write.c and scenario_lines.c share: entries on their way to lines. */
#ifndef SALVOR_REPLAY_SCENARIO_PARTS_H
#define SALVOR_REPLAY_SCENARIO_PARTS_H

#include "reducers/codec.h"
#include "reducers/state.h"
#include "reducers/table.h"
#include "replay/scenario.h"

struct scenario_writing {
    struct state *state;       /* owned: as the capture's entries move it */
    struct fold_output output; /* of the last of them */
    struct buffer lines, rows; /* the scenario so far, above and below "----" */
    struct table numbers;      /* of scenario_number: what became of an entry's id */
    uint64_t entry_count;      /* of the scenario */
    uint64_t quiet_ms;         /* of ticks not written yet: in them nothing happened */
    bool merges;               /* ticks in which nothing happens are merged */
};

/* The open effect about a job (a release: a worker) that `answer` and `settle` mean; borrowed from
 * the state until its next fold. */
bool scenario_open_effect(const struct state *state, struct span subject, bool is_question,
                          struct effect_request *out);

/* --- scenario_ids.c: ids of the stream become ids of lines --- */

void scenario_ids_init(struct scenario_writing *writing);
void scenario_ids_fini(struct scenario_writing *writing);
/* The entry with this id is the scenario's entry number entry_count. */
void scenario_ids_add(struct scenario_writing *writing, struct stream_id id);
/* Puts a text with every id of an entry, decision or effect in it replaced. */
void scenario_ids_put(const struct scenario_writing *writing, struct buffer *out, struct span text);

/* --- scenario_lines.c: one entry as a line --- */

/* How an event is to be written down; found before it is folded. */
struct scenario_line {
    struct event event;
    enum codec_problem problem; /* the other members tell nothing unless it is NONE */
    struct span subject;        /* of an answer or a settlement of something open; else empty;
                                   borrowed from the event or from the line itself */
    char subject_text[ID_SIZE_MAX];
};

void scenario_line_begin(const struct scenario_writing *writing, const struct entry *entry,
                         struct scenario_line *out);
/* `is_forged`: it was quarantined as nobody's word. */
void scenario_line_put(struct scenario_writing *writing, const struct entry *entry,
                       const struct scenario_line *line, bool is_forged);
/* The epoch and the policy that hold where a capture begins. */
void scenario_line_put_beginning(struct scenario_writing *writing);

#endif
