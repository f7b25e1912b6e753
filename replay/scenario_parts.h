/* SPDX-License-Identifier: MIT
 * What the reading and the writing of scenarios share inside. */
#ifndef SALVOR_REPLAY_SCENARIO_PARTS_H
#define SALVOR_REPLAY_SCENARIO_PARTS_H

#include "reducers/codec.h"
#include "reducers/state.h"
#include "reducers/table.h"
#include "replay/scenario.h"

/* --- scenario_words.c: the words of a line --- */

#define SCENARIO_PAIRS_MAX 96 /* more than an entry may have */

struct scenario_pairs {
    struct span names[SCENARIO_PAIRS_MAX], values[SCENARIO_PAIRS_MAX];
    uint32_t count;
};

/* Sets FILE:LINE: "word": what is wrong, what is allowed; returns false. */
__attribute__((format(printf, 4, 5))) bool scenario_fail(const struct scenario *scenario,
                                                         struct error *error, struct span word,
                                                         const char *format, ...);
/* In decimal; lives as long as the scenario, as the words that are taken do. */
struct span scenario_keep_number(struct scenario *scenario, uint64_t number);
bool scenario_add_pair(struct scenario *scenario, struct scenario_pairs *pairs, struct span name,
                       struct span value, struct error *error);
/* One of the few that a shorthand itself puts. */
void scenario_put_pair(struct scenario_pairs *pairs, const char *name, struct span value);
/* Unless the name is there. */
void scenario_put_default(struct scenario_pairs *pairs, const char *name, struct span value);
void scenario_skip_blanks(struct span *rest);
/* A word up to a blank, or one in double quotes. */
bool scenario_take_word(struct scenario *scenario, struct span *rest, struct span *word,
                        struct error *error);
/* Adds each `name=value` of the rest of the line. */
bool scenario_add_rest(struct scenario *scenario, struct scenario_pairs *pairs, struct span rest,
                       struct error *error);
/* Appends the bytes that pairs of hexadecimal digits tell. */
bool scenario_read_bytes(struct scenario *scenario, struct span digits, struct buffer *bytes,
                         struct error *error);

/* --- scenario_write.c --- */

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
