/* SPDX-License-Identifier: MIT
 * Bytes become a history of few workers and jobs: valid events, half-valid ones, outcomes of
 * effects that are really open or withdrawn. Whatever comes, no job is left that nobody watches, no
 * end is taken back, no loss is counted twice and no effect is settled twice; and what a decoded
 * state is held against holds for every state there is. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "reducers/codec.h"
#include "reducers/fold.h"
#include "reducers/tables.h"
#include "reducers/verdict.h"

#define ENTRIES_MAX  400
#define JOBS         4
#define EFFECTS_MAX  2048
#define RESTART_EACH 8
#define PAIRS_MAX    16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct known_effect {
    char id[DECISION_ID_MAX];
    size_t id_size;
    enum effect_outcome outcome;
};

/* What the checks remember of a job from entry to entry. */
struct known_job {
    enum job_phase phase;
    struct stream_id claimed;
    uint64_t attempt, counted_before;
};

struct history {
    struct span rest; /* bytes not yet used */
    struct state *state;
    struct fold_output output;
    struct state *restarted; /* the same, now and then written down and read back */
    struct fold_output restarted_output;
    struct span names[PAIRS_MAX], values[PAIRS_MAX];
    uint32_t pair_count;
    struct arena arena;
    uint64_t entry_count, epoch;
    struct known_job jobs[JOBS];
    struct known_effect effects[EFFECTS_MAX];
    size_t effect_count;
};

static const char *const job_names[JOBS] = {"j1", "j2", "j3", "j4"};
static const char *const workers[] = {"w1", "w2", "w3"};

static unsigned take(struct history *history, unsigned count)
{
    if (history->rest.size == 0) {
        return 0;
    }
    unsigned byte = (uint8_t)*history->rest.data++;
    history->rest.size--;
    return byte % count;
}

static void add(struct history *history, const char *name, struct span value)
{
    CHECK(history->pair_count < PAIRS_MAX);
    history->names[history->pair_count] = span_of(name);
    history->values[history->pair_count++] = value;
}

static void add_text(struct history *history, const char *name, const char *value)
{
    add(history, name, span_of(value));
}

/* One of the values; the empty text: the field is left out. */
static void add_one_of(struct history *history, const char *name, const char *const *values,
                       unsigned count)
{
    const char *value = values[take(history, count)];
    if (*value != '\0') {
        add_text(history, name, value);
    }
}

#define ADD_ONE_OF(history, name, ...)                                                \
    do {                                                                              \
        static const char *const values_[] = {__VA_ARGS__};                           \
        add_one_of((history), (name), values_, sizeof(values_) / sizeof(values_[0])); \
    } while (0)

static void add_number(struct history *history, const char *name, uint64_t number)
{
    struct buffer text = {0};
    buffer_put_decimal(&text, number);
    add(history, name, arena_copy(&history->arena, buffer_span(&text)));
    buffer_fini(&text);
}

static void add_leader(struct history *history)
{
    bool is_forged = take(history, 16) == 15;
    add_text(history, "owner", is_forged ? "mallory" : "leader");
    add_number(history, "epoch", history->epoch);
}

static void add_token(struct history *history)
{
    add_one_of(history, "job", job_names, JOBS);
    add_one_of(history, "worker", workers, 3);
    ADD_ONE_OF(history, "attempt", "1", "2", "1", "2", "3", "0", "1");
}

static void put_worker(struct history *history)
{
    static const char *const types[] = {"worker.heartbeat", "worker.registered", "worker.stopping",
                                        "worker.stopped", "worker.lost"};
    const char *type = types[take(history, 5)];
    add_text(history, "type", type);
    add_one_of(history, "worker", workers, 3);
    ADD_ONE_OF(history, "incarnation", "", "", "1", "2", "3");
    if (strcmp(type, "worker.registered") == 0) {
        ADD_ONE_OF(history, "heartbeat_ms", "", "1000", "0");
        ADD_ONE_OF(history, "services", "", "comfyui=http://h", "x comfyui=");
    }
    ADD_ONE_OF(history, "id", "", "", "", "a", "b");
}

static void put_hold(struct history *history)
{
    bool is_claim = take(history, 2) == 0;
    add_text(history, "type", is_claim ? "job.claimed" : "job.started");
    add_token(history);
    ADD_ONE_OF(history, "claim", "", "c1", "c2", "c3");
    ADD_ONE_OF(history, "incarnation", "", "", "1", "2", "3");
    ADD_ONE_OF(history, "service", "", "comfyui", "forgetful");
    ADD_ONE_OF(history, "timeout_ms", "", "", "5000", "0");
    ADD_ONE_OF(history, "max_retries", "", "0", "1", "1000000");
    if (is_claim) {
        ADD_ONE_OF(history, "losses", "", "", "", "1", "3");
        ADD_ONE_OF(history, "idempotent", "", "true");
    }
    ADD_ONE_OF(history, "id", "", "", "", "a", "b");
}

static void put_work(struct history *history)
{
    bool is_progress = take(history, 2) == 0;
    add_text(history, "type", is_progress ? "job.progress" : "job.handed_off");
    add_token(history);
    if (is_progress) {
        add_text(history, "progress", "50");
    } else {
        ADD_ONE_OF(history, "service", "comfyui", "forgetful");
        ADD_ONE_OF(history, "service_job", "p1", "p2");
        ADD_ONE_OF(history, "tag", "", "t1");
    }
}

static void put_end(struct history *history)
{
    static const char *const types[] = {"job.completed", "job.failed", "job.cancelled"};
    const char *type = types[take(history, 3)];
    add_text(history, "type", type);
    add_one_of(history, "job", job_names, JOBS);
    ADD_ONE_OF(history, "worker", "w1", "w2", "w3", "");
    ADD_ONE_OF(history, "attempt", "1", "2", "1", "2", "3", "0", "1");
    if (strcmp(type, "job.failed") == 0) {
        ADD_ONE_OF(history, "retryable", "", "true", "false");
    }
}

static void put_submitted(struct history *history)
{
    add_text(history, "type", "job.submitted");
    add_one_of(history, "job", job_names, JOBS);
    ADD_ONE_OF(history, "service", "", "comfyui");
    ADD_ONE_OF(history, "timeout_ms", "", "3000");
    ADD_ONE_OF(history, "max_retries", "", "0");
}

static void put_operator(struct history *history)
{
    ADD_ONE_OF(history, "type", "operator.requeue", "operator.complete", "operator.fail",
               "operator.cancel", "operator.hold", "operator.resume", "operator.resume");
    ADD_ONE_OF(history, "job", "j1", "j2", "j3", "j4", "", "");
    ADD_ONE_OF(history, "worker", "", "", "w1", "w2", "w9");
    add_text(history, "who", "ann");
    add_text(history, "why", "because");
}

static void put_tick(struct history *history)
{
    add_text(history, "type", "tick");
    ADD_ONE_OF(history, "elapsed_ms", "250", "1000", "250", "500", "1000", "3000", "0", "250",
               "60000", "1000", "500", "31536000000000");
    ADD_ONE_OF(history, "gap_ms", "", "", "5000", "600000", "2000000");
    add_text(history, "wall_ms", "1");
    add_leader(history);
}

static void put_epoch(struct history *history)
{
    history->epoch += take(history, 8) == 7 ? 0 : 1;
    add_text(history, "type", "epoch");
    ADD_ONE_OF(history, "gap_ms", "", "5000", "2000000");
    ADD_ONE_OF(history, "timeline", "1", "1", "2");
    add_text(history, "reducers", "2");
    add_text(history, "ordinal", "7");
    add_text(history, "wall_ms", "1");
    add_text(history, "owner", "leader");
    add_number(history, "epoch", history->epoch);
}

static uint64_t pick_value(struct history *history, enum policy_key key)
{
    static const uint64_t numbers[] = {0, 1, 2, 50, 1000, 5000, 1000000};
    const struct policy_key_rule *rule = policy_key_rule(key);
    if (rule->words == NULL) {
        uint64_t number = numbers[take(history, 7)];
        return number < rule->max ? number : rule->max;
    }
    unsigned count = 0;
    for (struct span words = span_of(rule->words); words.size > 0; count++) {
        (void)span_cut(&words, ' ');
    }
    return 1 + take(history, count);
}

static void put_policy(struct history *history)
{
    struct policy policy;
    struct buffer text = {0};
    policy_preset(take(history, 2) == 0 ? PRESET_SAFE : PRESET_SEED, &policy);
    for (unsigned changes = take(history, 6); changes > 0; changes--) {
        enum policy_key key = take(history, POLICY_KEY_COUNT);
        policy.value[key] = pick_value(history, key);
    }
    for (unsigned changes = take(history, 4); changes > 0; changes--) {
        enum policy_key key = take(history, POLICY_KEY_COUNT);
        (void)policy_set_service(&policy, SPAN("comfyui"), key, pick_value(history, key));
    }
    struct policy_facts facts = {.is_volatile = true, .retention_ms = take(history, 2) * 1000};
    policy_set_facts(&policy, SPAN("forgetful"), facts);
    policy_put_text(&text, &policy);
    add_text(history, "type", "policy");
    switch (take(history, 8)) {
    case 0:
        add_text(history, "text", "");
        break;
    case 1:
        add_text(history, "text", "effects=perhaps");
        break;
    default:
        add(history, "text", arena_copy(&history->arena, buffer_span(&text)));
        break;
    }
    ADD_ONE_OF(history, "origin", "operator", "file", "nobody");
    add_text(history, "hash", "beef");
    if (take(history, 2) == 0) {
        add_leader(history);
    }
    buffer_fini(&text);
}

/* The id of an effect that is open, or withdrawn; of none when there is none. */
static struct span pick_effect(struct history *history, enum effect_kind *kind, struct span *job,
                               uint64_t *attempt)
{
    unsigned skip = take(history, 8);
    struct effect *found = NULL;
    for (struct effect *effect = table_oldest(&history->state->effects); effect != NULL;
         effect = table_next(effect)) {
        found = effect;
        if (skip-- == 0) {
            break;
        }
    }
    if (found == NULL) {
        *kind = EFFECT_NONE;
        *job = SPAN("j1");
        *attempt = 1;
        return SPAN("0.1.1-0.1.1");
    }
    *kind = found->kind;
    *job = arena_copy(&history->arena, found->job);
    *attempt = found->attempt;
    return arena_copy(&history->arena, found->node.key);
}

static void put_outcome(struct history *history)
{
    enum effect_kind kind;
    struct span job;
    uint64_t attempt;
    struct span id = pick_effect(history, &kind, &job, &attempt);
    if (kind == EFFECT_ASK && take(history, 16) != 15) {
        add_text(history, "type", "service.answered");
        add(history, "question", id);
        add(history, "job", job);
        add_number(history, "attempt", attempt);
        ADD_ONE_OF(history, "verdict", "completed", "failed", "cancelled", "pending", "running",
                   "not_found", "inconclusive", "unreachable", "no_profile", "maybe");
        ADD_ONE_OF(history, "flags", "", "expired", "partial expired", "lagging");
    } else if (kind == EFFECT_CANCEL && take(history, 16) != 15) {
        add_text(history, "type", "effect.settled");
        add(history, "effect", id);
        ADD_ONE_OF(history, "outcome", "accepted", "accepted", "already_final", "refused",
                   "unsupported", "unknown");
    } else {
        add_text(history, "type", "effect.settled");
        add(history, "effect", id);
        ADD_ONE_OF(history, "outcome", "applied", "applied", "stale", "stale", "gone", "observed",
                   "failed", "published", "answered", "nonsense", "accepted");
        ADD_ONE_OF(history, "found", "", "status=pending\nattempt=2", "status=completed",
                   "status=cancelled", "status=failed\nworker=w1\nattempt=1", "status=timeout",
                   "status=in_progress\nattempt=1\nworker=w1\nclaim=c1",
                   "status=assigned\nattempt=2\nworker=w2\nclaim=c2",
                   "status=accepted\nattempt=1\nworker=w3", "status=paused\nattempt=1",
                   "status=pending\nattempt=x", "status=paused\nworker=w1\nattempt=1");
    }
    add_leader(history);
}

static void put_noise(struct history *history)
{
    ADD_ONE_OF(history, "type", "stream.lost", "service.probed", "job.observed", "worker.observed",
               "unknown", "");
    add_text(history, "count", "3");
    add_text(history, "ordinal", "3");
    add_text(history, "service", "comfyui");
    add_text(history, "capabilities", "");
    add_text(history, "job", "j1");
    add_text(history, "status", "pending");
    add_text(history, "attempt", "1");
    add_text(history, "worker", "w1");
    add_text(history, "silent_ms", "1");
    add_leader(history);
}

typedef void (*put_fn)(struct history *history);
/* What leads far comes often; what begins anew, seldom. */
static const put_fn put_kinds[] = {
    put_noise,    put_hold,      put_hold,    put_hold,    put_hold,    put_hold,    put_work,
    put_work,     put_work,      put_end,     put_end,     put_worker,  put_worker,  put_worker,
    put_worker,   put_tick,      put_tick,    put_tick,    put_tick,    put_tick,    put_tick,
    put_outcome,  put_outcome,   put_outcome, put_outcome, put_outcome, put_outcome, put_outcome,
    put_operator, put_submitted, put_epoch,   put_policy,
};
#define PUT_KINDS ((unsigned)(sizeof(put_kinds) / sizeof(put_kinds[0])))

/* A cancel under way has an end that comes by itself. */
static void check_cancel(const struct job *job)
{
    const struct job_core *core = &job->core;
    CHECK(core->phase != JOB_CANCELLING || core->ending != ENDING_NONE);
    CHECK((core->ending != ENDING_NONE) == (core->cancel_due != 0));
    if (core->ending != ENDING_NONE) {
        CHECK(core->phase == JOB_CANCELLING || core->phase == JOB_ASKING ||
              core->phase == JOB_WAITING);
        CHECK(job->next.place != 0 && core->next_due <= core->cancel_due);
        CHECK(core->cancel != JOB_CANCEL_NONE);
    }
}

/* What is held or counted for silence alone has a silent worker. */
static void check_silence(const struct job *job)
{
    const struct job_core *core = &job->core;
    CHECK((core->phase == JOB_HELD) == job->waiting.is_linked);
    CHECK(core->phase != JOB_HELD || core->rests_on_silence);
    CHECK(!core->rests_on_silence || job->holder == NULL ||
          job->holder->core.phase == WORKER_SILENT);
    CHECK(!core->is_death || core->deaths > 0);
    CHECK(core->counted == JOB_COUNT_NONE || core->losses + core->failures > 0);
}

static void check_fleet(const struct state *state)
{
    uint64_t watched = 0;
    for (const struct worker *worker = table_oldest(&state->workers); worker != NULL;
         worker = table_next(worker)) {
        watched += worker->core.phase == WORKER_ACTIVE || worker->core.phase == WORKER_STOPPING;
        CHECK(!worker->fallen.is_linked || worker->core.phase == WORKER_SILENT);
        CHECK(!worker->unfreed.is_linked || worker->core.phase == WORKER_SILENT);
    }
    CHECK(watched == state->fleet.watched);
}

static void check_job(struct history *history, unsigned index)
{
    struct job *job = table_find(&history->state->jobs, span_of(job_names[index]));
    struct known_job *known = &history->jobs[index];
    if (job == NULL) {
        *known = (struct known_job){0};
        return;
    }
    const struct job_phase_rule *rule = job_phase_rule(job->core.phase);
    const struct worker *holder = job->holder;
    CHECK(job->core.phase != JOB_NONE);
    CHECK((job->open != NULL) == rule->has_open);
    CHECK(job_next_is_sound(&job->core));
    CHECK((job->next.place != 0) == (job->core.next_due != 0));
    CHECK(rule->is_final == job->finished.is_linked);
    CHECK((holder != NULL) == job->held.is_linked);
    CHECK(!rule->is_final || holder == NULL);
    check_cancel(job);
    check_silence(job);
    if (job->core.phase == JOB_CLAIMED || job->core.phase == JOB_STARTED) {
        CHECK(holder != NULL);
        CHECK(holder->core.phase == WORKER_ACTIVE || holder->core.phase == WORKER_STOPPING);
        CHECK(holder->silence.place != 0 ||
              worker_limit_ms(&holder->core, &history->state->policy) == 0);
        CHECK(job->deadline.place != 0 || job->core.deadline_due == 0);
    }
    bool was_over = known->phase == JOB_COMPLETED || known->phase == JOB_CANCELLED;
    CHECK(!was_over || job->core.phase == known->phase);
    uint64_t counted = job->core.losses + job->core.failures;
    struct stream_id claimed = job->core.fact[JOB_FACT_CLAIMED];
    if (stream_id_compare(claimed, known->claimed) != 0 || job->core.attempt != known->attempt) {
        known->counted_before = counted - (job->core.counted != JOB_COUNT_NONE ? 1 : 0);
    }
    CHECK(counted <= known->counted_before + 1);
    known->phase = job->core.phase;
    known->claimed = claimed;
    known->attempt = job->core.attempt;
}

static struct known_effect *known_effect(struct history *history, struct span id)
{
    for (size_t i = history->effect_count; i > 0; i--) {
        struct known_effect *known = &history->effects[i - 1];
        if (span_equal(id, (struct span){known->id, known->id_size})) {
            return known;
        }
    }
    return NULL;
}

static void check_change(struct history *history, const struct effect_change *change)
{
    struct known_effect *known = known_effect(history, change->id);
    if (change->decision.size > 0) {
        CHECK(known == NULL);
        CHECK(change->target.size > 0);
        if (history->effect_count < EFFECTS_MAX) {
            known = &history->effects[history->effect_count++];
            CHECK(change->id.size <= DECISION_ID_MAX);
            memcpy(known->id, change->id.data, change->id.size);
            known->id_size = change->id.size;
            known->outcome = change->outcome;
        }
        return;
    }
    CHECK(known != NULL || history->effect_count == EFFECTS_MAX);
    CHECK(change->outcome != OUTCOME_NONE);
    if (known != NULL) {
        bool is_done_after_all =
            known->outcome == OUTCOME_WITHDRAWN && change->outcome == OUTCOME_APPLIED;
        CHECK(known->outcome == OUTCOME_NONE || is_done_after_all);
        known->outcome = change->outcome;
    }
}

static void check_rows(struct history *history)
{
    struct fold_output *output = &history->output;
    for (uint32_t i = 0; i < output->decision_count; i++) {
        const struct decision *decision = &output->decisions[i];
        CHECK(decision->action != ACTION_NONE && decision->reason != REASON_NONE);
        for (uint32_t k = 0; k < i; k++) {
            CHECK(!span_equal(decision->id, output->decisions[k].id));
        }
    }
    for (uint32_t i = 0; i < output->change_count; i++) {
        check_change(history, &output->changes[i]);
    }
}

static void check_effects(struct history *history)
{
    struct state *state = history->state;
    for (struct effect *effect = table_oldest(&state->effects); effect != NULL;
         effect = table_next(effect)) {
        struct job *job = table_find(&state->jobs, effect->job);
        struct worker *worker = table_find(&state->workers, effect->worker);
        bool is_of_job = job != NULL && job->open == effect;
        bool is_of_worker = worker != NULL && worker->open == effect;
        CHECK(effect->is_withdrawn ? !is_of_job && !is_of_worker : is_of_job != is_of_worker);
        struct effect_request request;
        CHECK(state_open_effect(state, effect->node.key, &request) == !effect->is_withdrawn);
    }
}

/* Whoever restarted holds the same state and goes on from what was written down. */
static void check_restart(struct history *history)
{
    struct buffer first = {0}, second = {0};
    state_encode(history->state, &first);
    state_encode(history->restarted, &second);
    CHECK(span_equal(buffer_span(&first), buffer_span(&second)));
    state_destroy(history->restarted);
    history->restarted = state_decode(buffer_span(&first));
    CHECK(history->restarted != NULL);
    buffer_fini(&second);
    buffer_fini(&first);
}

static void check_same_rows(const struct fold_output *a, const struct fold_output *b)
{
    struct buffer first = {0}, second = {0};
    CHECK(a->decision_count == b->decision_count);
    CHECK(a->change_count == b->change_count);
    for (uint32_t i = 0; i < a->decision_count; i++) {
        buffer_reset(&first);
        buffer_reset(&second);
        decision_put_canonical(&first, &a->decisions[i]);
        decision_put_canonical(&second, &b->decisions[i]);
        CHECK(span_equal(buffer_span(&first), buffer_span(&second)));
    }
    for (uint32_t i = 0; i < a->change_count; i++) {
        CHECK(span_equal(a->changes[i].id, b->changes[i].id));
        CHECK(a->changes[i].outcome == b->changes[i].outcome);
    }
    buffer_fini(&second);
    buffer_fini(&first);
}

static void fold_next(struct history *history)
{
    struct buffer raw = {0};
    history->pair_count = 0;
    /* A leader and a policy stand at the beginning, as they do in life. */
    put_fn put = history->entry_count == 0   ? put_epoch
                 : history->entry_count == 1 ? put_policy
                                             : put_kinds[take(history, PUT_KINDS)];
    put(history);
    codec_put_raw(&raw, history->names, history->values, history->pair_count);
    struct entry entry = {.id = {++history->entry_count, 0}, .raw = buffer_span(&raw)};
    fold_entry(history->state, &entry, &history->output);
    fold_entry(history->restarted, &entry, &history->restarted_output);
    check_same_rows(&history->output, &history->restarted_output);
    check_rows(history);
    for (unsigned i = 0; i < JOBS; i++) {
        check_job(history, i);
    }
    check_effects(history);
    check_fleet(history->state);
    CHECK(state_is_sound(history->state));
    if (history->entry_count % RESTART_EACH == 0) {
        check_restart(history);
    }
    arena_reset(&history->arena);
    buffer_fini(&raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct history history;
    memset(&history, 0, sizeof history);
    history.rest = (struct span){(const char *)data, size};
    history.state = state_create(0);
    history.restarted = state_create(0);
    while (history.rest.size > 0 && history.entry_count < ENTRIES_MAX) {
        fold_next(&history);
    }
    state_destroy(history.restarted);
    state_destroy(history.state);
    fold_output_fini(&history.restarted_output);
    fold_output_fini(&history.output);
    arena_fini(&history.arena);
    return 0;
}
