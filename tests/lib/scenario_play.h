/* SPDX-License-Identifier: MIT
 * Plays the lines of a scenario: each becomes the entries that it means, and each entry is folded.
 *
 * A line is an event in flat form, `type key=value …` (a value may stand in double quotes); ids are
 * given by line: the n-th entry is n-0. Leaders' events get owner and epoch by themselves.
 * Shorthands:
 *   epoch [gap_ms=…]                 the next epoch, owner `leader`
 *   policy key=value …               a file's policy: the preset (or preset=seed) with these
 *                                    changes; volatile=NAME, service.<name>.<key>=value for one
 *                                    service
 *   run MS                           ticks of 250 ms until MS have passed
 *   answer JOB verdict=… [flags=… …] answers the open question about JOB
 *   settle JOB|WORKER OUTCOME [found=…]  settles its open effect ("\n" in found is a line feed)
 *   wrong_bytes HEX                  an entry whose field `e` holds these bytes
 * After every entry the state is written down, read back and written again: all three agree. What
 * cannot be played ends the program with a message. */
#ifndef SALVOR_TESTS_LIB_SCENARIO_PLAY_H
#define SALVOR_TESTS_LIB_SCENARIO_PLAY_H

#include "base/arena.h"
#include "reducers/fold.h"
#include "reducers/policy.h"

struct scenario;
/* Sees what an entry gave, in `output`; it may play further lines. */
typedef void (*scenario_rows_fn)(struct scenario *scenario);

struct scenario {
    const char *path; /* borrowed */
    struct state *state;
    const struct entry *entry; /* the last one; borrowed while `on_rows` runs */
    struct fold_output output; /* of that entry */
    struct arena arena;        /* owns what the shorthands make; lives as long as the scenario */
    scenario_rows_fn on_rows;
    void *user;                /* borrowed; for `on_rows` */
    enum policy_preset preset; /* of a `policy` line that names none */
    uint64_t entry_count, epoch;
    int line; /* in the file, for messages */
};

void scenario_init(struct scenario *scenario, const char *path, scenario_rows_fn on_rows);
void scenario_fini(struct scenario *scenario);
/* Plays one line; the text lives as long as the scenario. */
void scenario_run_line(struct scenario *scenario, struct span line);
_Noreturn void scenario_fail(const struct scenario *scenario, const char *what, struct span word);
/* Appends the file; ends the program when it cannot be read. */
void scenario_read_file(const char *path, struct buffer *out);

#endif
