/* SPDX-License-Identifier: MIT
 * The one loop. Live work, restart, replay and every later way of running the reducers are this
 * loop over another source and other sinks; live work is a replay whose source has not ended.
 *
 * The order contract; the crash points (base/crash.h) and ARCHITECTURE.md use these numbers:
 *   1 read a batch                                            source.read
 *   2 decode: bad input becomes a `quarantine` row            fold_prepare
 *   3 append the raw entries to the capture                   sink.append
 *   4 reduce, one event at a time                             fold_prepared, sink.fold
 *   5 write the capture out                                   sink.write
 *   6 one transaction: decisions, effects, position           sink.commit
 *   7 commit                                                  sink.commit
 *   8 dispatch effects                                        sink.dispatch
 *   9 the outcome comes back as an entry of the stream        (the queue's script)
 * A crash after any number resumes safely. Decoding is pure and leaves no trace, so that the fold
 * may do it together with 4, a few entries ahead: a crash after 2 is a crash before 3. */
#ifndef SALVOR_REPLAY_LOOP_H
#define SALVOR_REPLAY_LOOP_H

#include "base/arena.h"
#include "base/error.h"
#include "reducers/fold.h"
#include "reducers/state.h"

/* Entries read together; how they fall into batches never shows in a result. Zero-initialise with
 * {0}. */
struct batch {
    struct arena arena;    /* owns the entries' bytes; reset before each read */
    struct entry *entries; /* owned array */
    uint32_t count, capacity;
    bool is_caught_up; /* the read came back shorter than asked: nothing more waits just now */
};

/* Appends an entry; `raw` must live as long as the batch's arena content or longer. */
void batch_add(struct batch *batch, struct stream_id id, struct span raw);
/* Forgets the entries and their bytes; the memory is kept. */
void batch_reset(struct batch *batch);
void batch_fini(struct batch *batch);

enum source_next { SOURCE_BATCH = 1, SOURCE_END, SOURCE_ERROR };

struct source {
    const char *name; /* static */
    void *self;       /* borrowed; outlives the loop */
    /* Fills the batch, which comes emptied; may give zero entries (a live source that did its
     * ticks). `state` is as it stands after the last batch. */
    enum source_next (*read)(void *self, const struct state *state, struct batch *batch,
                             struct error *error);
};

/* A sink takes part in the stages it has a function for; NULL skips. */
struct sink {
    const char *name; /* static */
    void *self;       /* borrowed; outlives the loop */
    /* 3: the batch as read, before anything of it is folded. */
    bool (*append)(void *self, const struct batch *batch, struct error *error);
    /* 4: after each entry; `state` is as it stands behind it. */
    bool (*fold)(void *self, const struct entry *entry, const struct state *state,
                 const struct fold_output *output, struct error *error);
    /* 5 */
    bool (*write)(void *self, struct error *error);
    /* 6 and 7 */
    bool (*commit)(void *self, const struct state *state, bool is_caught_up, struct error *error);
    /* 8 */
    bool (*dispatch)(void *self, const struct state *state, struct error *error);
};

#define LOOP_SINKS_MAX 4

struct loop {
    struct state *state; /* borrowed; moved by the loop */
    struct source source;
    struct sink sinks[LOOP_SINKS_MAX];
    uint32_t sink_count;
    /* True for live work alone. A point is passed once for each batch that holds entries. */
    bool has_crash_points;
};

/* The rules of a version that is not compiled in are unknown here: to go on would be to decide by
 * others, and to say so in nobody's name. Asked at the beginning, and
 * behind each new epoch by loop_fold_entry. False with ERROR_REFUSED. */
__attribute__((warn_unused_result)) bool loop_knows_reducers(const struct state *state,
                                                             struct error *error);

/* Folds one entry and asks that: for who folds without the loop. When it fails, `state` and
 * `output` count for nothing. */
__attribute__((warn_unused_result)) bool loop_fold_entry(struct state *state,
                                                         const struct entry *entry,
                                                         struct fold_output *output,
                                                         struct error *error);

/* Runs until the source ends (true) or something fails (false; nothing after the failing stage was
 * done for that batch). ERROR_REFUSED: an epoch's version of the reducers is not compiled in; the
 * entry that opened it, and what its batch gave before, reach no sink's commit. */
__attribute__((warn_unused_result)) bool loop_run(struct loop *loop, struct error *error);

#endif
