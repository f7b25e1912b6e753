/* SPDX-License-Identifier: MIT
 * A decision's evidence, read back from its JSON: what the decision rests on, as values. */
#ifndef SALVOR_REPLAY_EVIDENCE_H
#define SALVOR_REPLAY_EVIDENCE_H

#include "base/arena.h"
#include "reducers/decision.h"
#include "reducers/verdict.h"

/* Texts are owned by the arena that evidence_read was given; empty: not told. */
struct evidence {
    struct span event;                     /* type of the event that led to the decision */
    struct stream_id fact[JOB_FACT_COUNT]; /* zero: not told */
    uint32_t measures;                     /* set of 1 << MEASURE_… */
    uint64_t measure[MEASURE_COUNT];
    uint32_t tried;         /* set of 1 << RULE_…: did not match */
    enum job_cancel cancel; /* how far the cancel of the attempt came */
    enum effect_kind held;  /* what waits while the fleet is held */
    struct span who, said;
};

/* Words that this version does not know are passed over. False when it is no JSON object. */
bool evidence_read(struct span json, struct arena *arena, struct evidence *out);
bool evidence_has(const struct evidence *evidence, enum measure measure);
/* The cancel of the attempt is confirmed by its worker's word, not by an answer of the service. */
bool evidence_is_ended_by_worker(const struct evidence *evidence);

#endif
