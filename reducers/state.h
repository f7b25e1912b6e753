/* SPDX-License-Identifier: MIT
 * The state of one partition, as the shell sees it: an opaque value that the fold moves, that can
 * be written down whole and read back, and that tells where it stands. */
#ifndef SALVOR_REDUCERS_STATE_H
#define SALVOR_REDUCERS_STATE_H

#include "reducers/effect.h"
#include "reducers/event.h"

struct state;

/* Result: the state before the first entry of partition `partition`; the caller owns it. */
struct state *state_create(uint32_t partition);
void state_destroy(struct state *state);

/* The canonical bytes of everything a decision can rest on: tables, clocks, policy, epoch,
 * timeline, ordinal; nothing of one instance. Equal states give equal bytes, whatever way they came
 * about; the state hash is the SHA-256 of these bytes. */
void state_encode(const struct state *state, struct buffer *buffer);
/* What stands for a text of the state: the value that the event field once had, borrowed until the
 * next call. Empty texts are not asked about. */
typedef struct span (*state_map_fn)(void *payload, enum event_field field, struct span text);
/* The same bytes with every text replaced by what `map` gives for it. A map that gives equal ids
 * for equal ids, others for others, and nothing of a policy anew makes them those of a state again.
 */
void state_encode_mapped(const struct state *state, state_map_fn map, void *payload,
                         struct buffer *buffer);
/* Result: the state that state_encode wrote, or NULL when the bytes are not such a state. The
 * caller owns it. */
struct state *state_decode(struct span bytes);

/* Where it stands. Texts are borrowed until the next fold. */
struct state_summary {
    uint32_t partition;
    uint64_t timeline;                 /* 0 before the first epoch event */
    uint64_t epoch;                    /* of the last epoch event folded; 0 before the first */
    uint64_t reducers;                 /* version of the rules in force; may be an unknown one */
    struct span owner;                 /* of that epoch */
    uint64_t ordinal;                  /* entries folded */
    struct stream_id position;         /* id of the last entry folded; zero before the first */
    uint64_t liveness_ms, deadline_ms; /* the two clocks */
    struct stream_id last_tick;        /* id and wall_ms of the last tick or epoch event folded */
    uint64_t last_tick_wall_ms;
    struct span policy_hash; /* hexadecimal; empty before the first policy event */
    struct span policy_text; /* the policy in force, as the event gave it; empty before the first */
    uint64_t jobs_open, effects_open;
    uint64_t unknown_types, heartbeats, events;
};

/* Costs nothing: read from fields. */
struct state_summary state_summary(const struct state *state);

/* The hash of the file policy that `owner` appended last, or, if it appended none, whether anybody
 * ever appended a policy: see DESIGN, "a file's policy is due". */
bool state_policy_is_due(const struct state *state, struct span owner, struct span file_hash);

/* Walks the open effects (questions too) in the order they were asked for. `*cursor` starts as NULL
 * and belongs to the walk; false at the end. The request's spans live until the next fold; its
 * `base` is left empty. */
struct effect;
bool state_next_open_effect(const struct state *state, const struct effect **cursor,
                            struct effect_request *out);
/* The open effect with this id, and, which costs a look at every worker, the `base` of a question
 * or cancel; false when none is open. */
bool state_open_effect(const struct state *state, struct span id, struct effect_request *out);

#endif
