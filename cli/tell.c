/* SPDX-License-Identifier: MIT
 * A decision that asks for a person, and an effect that was not applied, are warnings; what was
 * ignored is for the debug level. */
#include "cli/tell.h"

#include "base/alloc.h"
#include "base/log.h"

/* What one batch tells at the most; the rest is counted. */
#define LINES_MAX 1000

/* A decision, or an effect that was not applied. Texts are in the arena, 0-terminated. */
struct line {
    enum log_level level;
    bool is_decision, is_observed;
    struct span id, what, why, job, worker, found;
};

struct teller {
    struct arena arena;
    struct line *lines; /* owned */
    uint32_t count;
    uint64_t untold;
};

struct teller *teller_create(void)
{
    struct teller *teller = mem_zero(sizeof(*teller));
    teller->lines = mem_zero(LINES_MAX * sizeof(*teller->lines));
    return teller;
}

void teller_destroy(struct teller *teller)
{
    if (teller != NULL) {
        arena_fini(&teller->arena);
        mem_free(teller->lines);
        mem_free(teller);
    }
}

static enum log_level level_of(const struct decision *decision)
{
    switch (decision->action) {
    case ACTION_PARK:
    case ACTION_QUARANTINE:
        return LOG_WARNING;
    case ACTION_HOLD: /* without a job: of the whole partition */
        return decision->job.size == 0 ? LOG_WARNING : LOG_INFO;
    case ACTION_IGNORE:
        return LOG_DEBUG;
    default:
        return LOG_INFO;
    }
}

static void add(struct teller *teller, struct line line)
{
    if (teller->count == LINES_MAX) {
        teller->untold++;
        return;
    }
    struct span *const texts[] = {&line.id,  &line.what,   &line.why,
                                  &line.job, &line.worker, &line.found};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i] = arena_copy(&teller->arena, *texts[i]);
    }
    teller->lines[teller->count++] = line;
}

static bool is_refusal(enum effect_outcome outcome)
{
    return outcome == OUTCOME_STALE || outcome == OUTCOME_GONE || outcome == OUTCOME_FAILED ||
           outcome == OUTCOME_REFUSED || outcome == OUTCOME_UNSUPPORTED ||
           outcome == OUTCOME_UNKNOWN;
}

/* True when nothing comes of it outside: the policy observes, or a roll-out leaves the job out,
 * which one of its effects says. `*at` walks along the changes, which stand in the order of the
 * decisions.
 */
static bool is_observed(const struct fold_output *output, const struct decision *decision,
                        uint32_t *at)
{
    bool is_seen = span_is(decision->mode, "observe");
    for (; *at < output->change_count; (*at)++) {
        const struct effect_change *change = &output->changes[*at];
        bool is_own = span_equal(change->decision, decision->id);
        if (!is_own && change->outcome == OUTCOME_OBSERVED && change->decision.size > 0) {
            break;
        }
        is_seen |= is_own && change->outcome == OUTCOME_OBSERVED;
    }
    return is_seen;
}

static bool note_rows(void *self, const struct entry *entry, const struct state *state,
                      const struct fold_output *output, struct error *error)
{
    struct teller *teller = self;
    (void)entry;
    (void)state;
    (void)error;
    uint32_t at = 0;
    for (uint32_t i = 0; i < output->decision_count; i++) {
        const struct decision *decision = &output->decisions[i];
        add(teller, (struct line){.level = level_of(decision),
                                  .is_decision = true,
                                  .is_observed = is_observed(output, decision, &at),
                                  .id = decision->id,
                                  .what = span_of(action_text(decision->action)),
                                  .why = span_of(reason_code(decision->reason)),
                                  .job = decision->job,
                                  .worker = decision->worker});
    }
    for (uint32_t i = 0; i < output->change_count; i++) {
        const struct effect_change *change = &output->changes[i];
        if (is_refusal(change->outcome) && change->kind != EFFECT_RELEASE) {
            add(teller, (struct line){.level = LOG_WARNING,
                                      .id = change->id,
                                      .what = span_of(effect_kind_text(change->kind)),
                                      .why = span_of(effect_outcome_text(change->outcome)),
                                      .found = change->found});
        }
    }
    return true;
}

static bool tell(void *self, const struct state *state, bool is_caught_up, struct error *error)
{
    struct teller *teller = self;
    (void)state;
    (void)is_caught_up;
    (void)error;
    for (uint32_t i = 0; i < teller->count; i++) {
        const struct line *line = &teller->lines[i];
        if (line->is_decision) {
            log_fact(line->level, "decided", "job", line->job.data, "action", line->what.data,
                     "reason", line->why.data, "mode", line->is_observed ? "observe" : "apply",
                     "worker", line->worker.data, "id", line->id.data, NULL);
        } else {
            log_fact(line->level, "effect_not_applied", "kind", line->what.data, "outcome",
                     line->why.data, "found", line->found.data, "id", line->id.data, NULL);
        }
    }
    if (teller->untold > 0) {
        log_fact(LOG_INFO, "decided_more", "count", log_number(teller->untold), NULL);
    }
    teller->count = 0;
    teller->untold = 0;
    arena_reset(&teller->arena);
    return true;
}

struct sink teller_sink(struct teller *teller)
{
    return (struct sink){.name = "teller", .self = teller, .fold = note_rows, .commit = tell};
}
