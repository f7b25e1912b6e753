/* SPDX-License-Identifier: MIT */
#include "replay/what_if_side.h"

#include "base/check.h"
#include "base/sha256.h"
#include "replay/evidence.h"

/* Entries that a side makes stand right behind the captured one that led to them: they have its
 * time, and a sequence number that no captured one reaches. */
#define MADE_SEQ (UINT64_MAX / 2)

#define PAIRS_MAX 5

/* A question or a cancel on its way. */
struct waiting {
    struct table_node node; /* key: the subject's */
    struct buffer question; /* owned: the effect's id */
};

struct unsettled {
    struct table_node node; /* key: the effect's id */
};

static struct stream_id made_id(struct side *side, struct stream_id cause)
{
    return (struct stream_id){cause.ms, MADE_SEQ + ++side->made_count};
}

static void wait_for_answer(struct side *side, struct span key, struct span question)
{
    struct waiting *waiting = table_find(&side->waiting, key);
    if (waiting == NULL) {
        waiting = table_add(&side->waiting, key, side->made_count);
    }
    buffer_reset(&waiting->question);
    buffer_put_span(&waiting->question, question);
}

static void drop_waiting(struct side *side, struct waiting *waiting)
{
    buffer_fini(&waiting->question);
    table_remove(&side->waiting, waiting);
}

/* --- what a fold gave --- */

/* A question or cancel, `request`, has what came of it in reality still to come, or is told in
 * `decision` to be unknown. */
static void await(struct side *side, const struct effect_request *request,
                  struct what_if_decision *decision)
{
    struct buffer key = {0};
    answers_put_subject(&key, request->kind, request->job, request->attempt, request->service_job);
    enum answers_fate fate = answers_fate(side->answers, buffer_span(&key), side->ordinal);
    if (fate != ANSWERS_UNKNOWN) {
        wait_for_answer(side, buffer_span(&key), request->id);
    } else {
        const struct answers_subject *known =
            table_find(&side->answers->subjects, buffer_span(&key));
        decision->is_unknown = true;
        decision->last_ms = known == NULL ? 0 : known->last_ms;
        decision->last_verdict = known == NULL ? ANSWER_NONE : known->last_verdict;
    }
    buffer_fini(&key);
}

static void settle_next(struct side *side, struct span effect)
{
    (void)table_add(&side->unsettled, effect, side->made_count);
}

/* What the decision wants done, as the fold has put it down. */
static void see_effect(struct side *side, const struct decision *row,
                       const struct effect_change *change, struct what_if_decision *decision)
{
    decision->is_observed = change->outcome == OUTCOME_OBSERVED;
    if (decision->is_observed) {
        return;
    }
    struct effect_request request = {
        .id = change->id, .kind = change->kind, .job = row->job, .attempt = row->attempt};
    if (answers_is_awaited(change->kind)) {
        request.service_job = answers_service_job(change->target, row->service);
        await(side, &request, decision);
        return;
    }
    settle_next(side, change->id);
    if (state_open_effect(side->state, change->id, &request)) {
        decision->service_job = request.service_job;
    }
}

/* What only its evidence tells of a decision. */
static void see_evidence(struct side *side, struct what_if_decision *decision)
{
    struct evidence evidence;
    if ((decision->action == ACTION_WAIT || decision->action == ACTION_REQUEUE) &&
        evidence_read(decision->evidence, &side->arena, &evidence)) {
        /* Of the waits those of the retry rules alone tell the counts. */
        decision->is_backoff =
            decision->action == ACTION_WAIT && evidence_has(&evidence, MEASURE_LOSSES);
        decision->is_possible_duplicate =
            decision->action == ACTION_REQUEUE && evidence.measure[MEASURE_POSSIBLE_DUPLICATE] == 1;
    }
    arena_reset(&side->arena);
}

static void see_output(struct side *side)
{
    const struct fold_output *output = &side->output;
    uint32_t place = 0;
    for (uint32_t i = 0; i < output->decision_count; i++) {
        const struct decision *row = &output->decisions[i];
        struct what_if_decision decision = {
            .action = row->action,
            .reason = row->reason,
            .attempt = row->attempt,
            .at_ms = row->at_ms,
            .ordinal = side->ordinal,
            .worker = row->worker,
            .service = row->service,
            .evidence = row->evidence,
        };
        see_evidence(side, &decision);
        /* Effects are put down in the order of their decisions; what else changes names none. */
        while (place < output->change_count && output->changes[place].decision.size == 0) {
            place++;
        }
        if (place < output->change_count && span_equal(output->changes[place].decision, row->id)) {
            see_effect(side, row, &output->changes[place++], &decision);
        }
        if (row->action != ACTION_QUARANTINE) {
            what_if_compare_take(side->compare, side->name, row->job, &decision);
        }
    }
}

static void fold(struct side *side, const struct entry *entry)
{
    fold_entry(side->state, entry, &side->output);
    see_output(side);
}

/* --- entries of its own --- */

struct pairs {
    struct span names[PAIRS_MAX], values[PAIRS_MAX];
    uint32_t count;
};

static void put(struct pairs *pairs, const char *name, struct span value)
{
    CHECK(pairs->count < PAIRS_MAX);
    pairs->names[pairs->count] = span_of(name);
    pairs->values[pairs->count++] = value;
}

static void fold_pairs(struct side *side, const struct pairs *pairs, struct stream_id id)
{
    struct buffer raw = {0};
    codec_put_raw(&raw, pairs->names, pairs->values, pairs->count);
    struct entry entry = {.id = id, .raw = buffer_span(&raw)};
    fold(side, &entry);
    buffer_fini(&raw);
}

/* It is done, as the leader of the epoch would tell. */
static void settle(struct side *side, struct span effect, struct stream_id cause)
{
    struct state_summary summary = state_summary(side->state);
    struct number_text epoch = number_text(summary.epoch);
    struct effect_request request;
    if (!state_open_effect(side->state, effect, &request)) {
        return; /* Taken back by the same entry. */
    }
    struct pairs pairs = {.count = 0};
    struct buffer owner = {0};
    buffer_put_span(&owner, summary.owner);
    put(&pairs, "type", SPAN("effect.settled"));
    put(&pairs, "owner", buffer_span(&owner));
    put(&pairs, "epoch", span_of(epoch.text));
    put(&pairs, "effect", effect);
    put(&pairs, "outcome", SPAN("applied"));
    fold_pairs(side, &pairs, made_id(side, cause));
    buffer_fini(&owner);
}

/* Nobody carries out anything before the first leader. */
static void settle_all(struct side *side, struct stream_id cause)
{
    struct unsettled *next;
    while ((next = table_oldest(&side->unsettled)) != NULL &&
           state_summary(side->state).owner.size > 0) {
        struct buffer effect = {0};
        buffer_put_span(&effect, next->node.key);
        table_remove(&side->unsettled, next);
        settle(side, buffer_span(&effect), cause);
        buffer_fini(&effect);
    }
}

static void fold_policy(struct side *side, struct span text, struct stream_id id)
{
    struct pairs pairs = {.count = 0};
    struct sha256 digest = sha256_of(text);
    struct sha256_text hash = sha256_text(&digest);
    put(&pairs, "type", SPAN("policy"));
    put(&pairs, "origin", SPAN("operator"));
    put(&pairs, "hash", span_of(hash.text));
    put(&pairs, "text", text);
    fold_pairs(side, &pairs, id);
}

/* --- the capture --- */

/* What is open in the capture's snapshot. */
static void take_over_open(struct side *side, struct stream_id at)
{
    const struct effect *cursor = NULL;
    struct effect_request request;
    while (state_next_open_effect(side->state, &cursor, &request)) {
        if (!answers_is_awaited(request.kind)) {
            settle_next(side, request.id);
            continue;
        }
        struct what_if_decision sent = {
            .action = request.kind == EFFECT_ASK ? ACTION_ASK : ACTION_CANCEL,
            .reason = REASON_NONE,
            .attempt = request.attempt,
            .at_ms = at.ms,
            .ordinal = side->ordinal,
            .worker = request.worker,
            .service = request.service,
        };
        await(side, &request, &sent);
        if (sent.is_unknown) {
            what_if_compare_unanswered(side->compare, side->name, request.job, &sent);
        }
    }
}

void side_begin(struct side *side, struct state *state, struct stream_id at)
{
    CHECK(side->state == NULL);
    side->state = state;
    side->ordinal = state_summary(state).ordinal;
    table_init(&side->waiting, sizeof(struct waiting));
    table_init(&side->unsettled, sizeof(struct unsettled));
    take_over_open(side, at);
    /* A snapshot's policy is put in force anew on both sides: what that sets going is alike. */
    bool is_other = side->captured != NULL;
    if (side->answers->has_policy_at_start) {
        struct span text = is_other ? side->policy : state_summary(state).policy_text;
        fold_policy(side, text, made_id(side, at));
    } else if (is_other && side->answers->policies == 0) {
        fold_policy(side, side->policy, made_id(side, at));
    }
    settle_all(side, at);
}

static void take_answer(struct side *side, const struct entry *entry, const struct event *event,
                        const struct answers_subject *subject)
{
    struct waiting *waiting = table_find(&side->waiting, subject->node.key);
    if (waiting == NULL) {
        return;
    }
    struct event answer = *event;
    struct buffer packed = {0}, raw = {0};
    struct span packed_name = SPAN("e");
    enum event_field name = event->type == EVENT_SERVICE_ANSWERED ? FIELD_QUESTION : FIELD_EFFECT;
    answer.value[name].text = buffer_span(&waiting->question);
    codec_put_packed(&packed, &answer);
    struct span value = buffer_span(&packed);
    codec_put_raw(&raw, &packed_name, &value, 1);
    struct entry own = {.id = entry->id, .raw = buffer_span(&raw)};
    drop_waiting(side, waiting);
    fold(side, &own);
    buffer_fini(&packed);
    buffer_fini(&raw);
}

static void take_policy(struct side *side, const struct entry *entry)
{
    if (side->captured != NULL && side->captured->took_policy) {
        fold_policy(side, side->policy, entry->id);
    } else {
        fold(side, entry); /* On the other side: one that is refused. */
        side->took_policy = side->output.is_policy_new;
    }
}

void side_take(struct side *side, const struct entry *entry, const struct event *event,
               const struct answers_subject *subject)
{
    side->ordinal++;
    side->took_policy = false;
    switch (event == NULL ? EVENT_NONE : event->type) {
    case EVENT_POLICY:
        take_policy(side, entry);
        break;
    case EVENT_SERVICE_ANSWERED:
    case EVENT_EFFECT_SETTLED:
        if (subject != NULL) {
            take_answer(side, entry, event, subject);
        }
        break;
    default:
        fold(side, entry);
    }
    settle_all(side, entry->id);
}

void side_end(struct side *side)
{
    struct waiting *waiting = table_oldest(&side->waiting);
    for (; waiting != NULL; waiting = table_next(waiting)) {
        struct effect_request request;
        if (state_open_effect(side->state, buffer_span(&waiting->question), &request)) {
            what_if_compare_waits(side->compare, side->name, request.job);
        }
    }
}

void side_fini(struct side *side)
{
    struct waiting *waiting = table_oldest(&side->waiting);
    for (; waiting != NULL; waiting = table_next(waiting)) {
        buffer_fini(&waiting->question);
    }
    table_fini(&side->waiting);
    table_fini(&side->unsettled);
    state_destroy(side->state);
    fold_output_fini(&side->output);
    arena_fini(&side->arena);
}
