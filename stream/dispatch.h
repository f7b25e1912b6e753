/* SPDX-License-Identifier: MIT
 * The effects that wait to be carried out: noted while entries are folded, sent after the commit,
 * sent again under the same id while Redis is away. */
#ifndef SALVOR_STREAM_DISPATCH_H
#define SALVOR_STREAM_DISPATCH_H

#include "reducers/fold.h"
#include "stream/live.h"
#include "stream/patience.h"
#include "stream/queue.h"

struct dispatcher;

/* `config` and `patience` are borrowed for the dispatcher's life; `patience` is copied for its own
 * back-off. */
struct dispatcher *dispatcher_create(const struct live_config *config,
                                     const struct patience *patience);
/* Accepts NULL. */
void dispatcher_destroy(struct dispatcher *dispatcher);

/* Notes the effects that the fold of one entry newly wants. */
void dispatcher_note(struct dispatcher *dispatcher, const struct fold_output *output);
/* Every open effect is to be sent, whatever was noted. */
void dispatcher_note_all(struct dispatcher *dispatcher);
/* On clock_boot_ms: when effects that were not sent yet are to be tried; UINT64_MAX when none wait.
 */
uint64_t dispatcher_due_ms(const struct dispatcher *dispatcher);

/* Sends what was noted and is still open, for about a tick's length at a time. What Redis or the
 * asker cannot take now stays noted, and neither holds up the other. False: FENCED, HISTORY or
 * REFUSED. */
__attribute__((warn_unused_result)) bool dispatcher_run(struct dispatcher *dispatcher,
                                                        const struct queue_place *place,
                                                        const struct state *state,
                                                        struct error *error);

#endif
