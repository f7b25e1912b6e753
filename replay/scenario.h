/* SPDX-License-Identifier: MIT
 * Scenarios: events as lines of text, and below a line "----" the rows that they must give.
 *
 * A line is an event in flat form, `type key=value …`; ids are given by line: the n-th entry is
 * n-0. A value may stand in double quotes; in it `\n` is a line feed, `\"` a quote, `\\` a
 * backslash, `\xHH` any byte. Leaders' events get owner and epoch by themselves. A line that begins
 * with `#` is a comment. Shorthands:
 *   epoch [gap_ms=…]                 the next epoch, owner `leader`
 *   policy key=value …               a file's policy: the preset (or preset=seed) with these
 *                                    changes; volatile=NAME, service.<name>.<key>=value for one
 *                                    service; text=… instead: as it is
 *   run MS                           ticks of 250 ms until MS have passed
 *   answer JOB verdict=… [flags=… …] answers the open question about JOB
 *   settle JOB|WORKER OUTCOME [found=…]  settles its open effect
 *   wrong_bytes HEX                  an entry whose field `e` holds these bytes
 *   wrong_entry HEX                  an entry whose raw form these bytes are */
#ifndef SALVOR_REPLAY_SCENARIO_H
#define SALVOR_REPLAY_SCENARIO_H

#include "base/arena.h"
#include "base/error.h"
#include "reducers/fold.h"
#include "reducers/policy.h"

#define SCENARIO_FILE_MAX    ((size_t)1 << 20)
#define SCENARIO_ENTRIES_MAX 1000000
#define SCENARIO_RUN_MAX     86400000 /* ms of one `run`: a day */
#define SCENARIO_TICK_MS     250

struct scenario;
/* Sees what an entry gave, in `output`; it may play further lines. */
typedef void (*scenario_rows_fn)(struct scenario *scenario);

struct scenario {
    const char *path; /* borrowed; for messages */
    struct state *state;
    const struct entry *entry; /* the last one; borrowed while `on_rows` runs */
    struct fold_output output; /* of that entry */
    struct arena arena;        /* owns what the shorthands make; lives as long as the scenario */
    scenario_rows_fn on_rows;
    void *user;                /* borrowed; for `on_rows` */
    enum policy_preset preset; /* of a `policy` line that names none */
    uint64_t entry_count, epoch;
    uint64_t entry_max; /* SCENARIO_ENTRIES_MAX */
    uint64_t line;      /* in the file, for messages */
    /* After every entry the state is written down, read back and written again: all three agree
     * (CHECK), and the copy is folded on: a restart after every entry. */
    bool restarts;
};

void scenario_init(struct scenario *scenario, const char *path, scenario_rows_fn on_rows);
void scenario_fini(struct scenario *scenario);
/* Plays one line; the text lives as long as the scenario. False, with file, line, what is wrong and
 * what is allowed, when it cannot be played (USAGE). */
__attribute__((warn_unused_result)) bool scenario_run_line(struct scenario *scenario,
                                                           struct span line, struct error *error);
/* Plays all lines of `text` above "----". `*events` (may be NULL) is what was played, `*rows` (may
 * be NULL) what stands below; both are borrowed from the text. */
__attribute__((warn_unused_result)) bool scenario_play(struct scenario *scenario, struct span text,
                                                       struct span *events, struct span *rows,
                                                       struct error *error);
/* Appends what an entry gave as it stands below "----". */
void scenario_put_rows(struct buffer *rows, const struct fold_output *output);
/* Appends the file (IO, USAGE: larger than SCENARIO_FILE_MAX). */
__attribute__((warn_unused_result)) bool scenario_read_file(const char *path, struct buffer *out,
                                                            struct error *error);

#endif
