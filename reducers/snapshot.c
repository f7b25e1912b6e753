/* SPDX-License-Identifier: MIT
 * The state as bytes and back. One walk serves both directions, so that what is written is what is
 * read.
 *
 * Format, version 3: the byte 'S', a varint of the version, then in this order, each number as a
 * varint and each text sized: scalars, clocks, policy, the fleet's hold, counters, next_arrival;
 * workers, jobs, effects, producers' ids and policy owners in order of arrival, each table behind
 * its count; then the orders that arrival does not give: the jobs of each worker in order of their
 * claims, finished jobs, gone workers, withdrawn effects, fallen workers, held
 * jobs, workers whose release is held. Timers are
 * derived. If you change what is written here, raise SNAPSHOT_VERSION: an older snapshot is then
 * refused, and the journal folds the capture from its start. */
#include <stddef.h>

#include "base/check.h"
#include "reducers/tables.h"
#include "reducers/verdict.h"

#define SNAPSHOT_MARK    'S'
#define SNAPSHOT_VERSION 3

/* Exactly one of the first two is set. */
struct walk {
    struct buffer *out; /* borrowed: writing */
    struct reader *in;  /* borrowed: reading */
    bool is_bad;        /* what was read cannot be a state */
    state_map_fn map;   /* writing: what stands for each text; NULL: itself */
    void *payload;      /* of `map` */
};

static void walk_number(struct walk *walk, uint64_t *number)
{
    if (walk->out != NULL) {
        buffer_put_varint(walk->out, *number);
    } else {
        *number = reader_varint(walk->in);
    }
}

static void walk_small(struct walk *walk, uint32_t *number, uint64_t max)
{
    uint64_t wide = *number;
    walk_number(walk, &wide);
    walk->is_bad = walk->is_bad || wide > max;
    *number = wide > max ? 0 : (uint32_t)wide;
}

static void walk_flag(struct walk *walk, bool *flag)
{
    uint32_t number = *flag ? 1 : 0;
    walk_small(walk, &number, 1);
    *flag = number != 0;
}

static void walk_id(struct walk *walk, struct stream_id *id)
{
    walk_number(walk, &id->ms);
    walk_number(walk, &id->seq);
}

static struct span mapped(const struct walk *walk, enum event_field field, struct span text)
{
    bool is_mapped = walk->map != NULL && text.size > 0;
    return is_mapped ? walk->map(walk->payload, field, text) : text;
}

/* A producer's `id` is kept behind its worker's and a line feed. */
static void put_producer_id(struct walk *walk, struct span id)
{
    struct buffer key = {0};
    buffer_put_span(&key, mapped(walk, FIELD_WORKER, span_cut(&id, '\n')));
    buffer_put_byte(&key, '\n');
    buffer_put_span(&key, mapped(walk, FIELD_ID, id));
    buffer_put_sized(walk->out, buffer_span(&key));
    buffer_fini(&key);
}

static void put_text(struct walk *walk, enum event_field field, struct span text)
{
    if (field == FIELD_ID && walk->map != NULL) {
        put_producer_id(walk, text);
    } else {
        buffer_put_sized(walk->out, mapped(walk, field, text));
    }
}

/* An owned text, the value of such a field once: written, or replaced by what is read. */
static void walk_text(struct walk *walk, enum event_field field, struct span *text)
{
    if (walk->out != NULL) {
        put_text(walk, field, *text);
    } else {
        state_keep(text, reader_sized(walk->in));
    }
}

/* A borrowed text: written, or lent by the bytes that are read. */
static void walk_key(struct walk *walk, enum event_field field, struct span *key)
{
    if (walk->out != NULL) {
        put_text(walk, field, *key);
    } else {
        *key = reader_sized(walk->in);
    }
}

#define WALK_ENUM(walk, value, count)            \
    do {                                         \
        uint32_t number_ = (uint32_t)(value);    \
        walk_small((walk), &number_, (count)-1); \
        (value) = number_;                       \
    } while (0)

static void walk_policy(struct walk *walk, struct state *state)
{
    /* The text of the policy in force tells its values; before the first there are the defaults. */
    walk_text(walk, FIELD_TEXT, &state->policy_text);
    walk_text(walk, FIELD_HASH, &state->policy_hash);
    walk_flag(walk, &state->has_file_policy);
    struct span bad;
    if (walk->in != NULL && state->policy_hash.size > 0 &&
        !policy_parse_text(state->policy_text, &state->policy, &bad)) {
        walk->is_bad = true;
    }
}

static void walk_scalars(struct walk *walk, struct state *state)
{
    walk_small(walk, &state->partition, UINT32_MAX);
    walk_number(walk, &state->timeline);
    walk_number(walk, &state->epoch);
    walk_number(walk, &state->reducers);
    walk_number(walk, &state->ordinal);
    walk_text(walk, FIELD_OWNER, &state->owner);
    walk_id(walk, &state->position);
    walk_number(walk, &state->liveness_ms);
    walk_number(walk, &state->deadline_ms);
    walk_id(walk, &state->last_tick);
    walk_number(walk, &state->last_tick_wall_ms);
    walk_policy(walk, state);
    walk_flag(walk, &state->fleet.is_held);
    WALK_ENUM(walk, state->fleet.held_for, REASON_COUNT);
    walk_number(walk, &state->fleet.held_since_ms);
    for (enum counter counter = 0; counter < COUNTER_COUNT; counter++) {
        walk_number(walk, &state->counter[counter]);
    }
    walk_number(walk, &state->next_arrival);
}

static void walk_worker_core(struct walk *walk, struct worker_core *core)
{
    WALK_ENUM(walk, core->phase, WORKER_GONE + 1);
    walk_number(walk, &core->fallen_ms);
    walk_flag(walk, &core->is_incarnation_told);
    walk_number(walk, &core->incarnation);
    walk_number(walk, &core->heartbeat_ms);
    walk_number(walk, &core->heard_ms);
    walk_id(walk, &core->heard_id);
}

static void walk_job_core(struct walk *walk, struct job_core *core)
{
    WALK_ENUM(walk, core->phase, JOB_PHASE_COUNT);
    uint64_t *const numbers[] = {
        &core->attempt,    &core->losses,           &core->failures,     &core->max_retries,
        &core->timeout_ms, &core->submitted_at,     &core->deadline_due, &core->grace_due,
        &core->next_due,   &core->interval_ms,      &core->deaths,       &core->handed_off_ms,
        &core->cancel_due, &core->deadline_from_ms,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        walk_number(walk, numbers[i]);
    }
    walk_small(walk, &core->asks, UINT32_MAX);
    walk_small(walk, &core->refusals, UINT32_MAX);
    WALK_ENUM(walk, core->cause, REASON_COUNT);
    WALK_ENUM(walk, core->next_reason, REASON_COUNT);
    WALK_ENUM(walk, core->wanted, EFFECT_KIND_COUNT);
    WALK_ENUM(walk, core->ending, ENDING_COUNT);
    WALK_ENUM(walk, core->cancel, JOB_CANCEL_COUNT);
    WALK_ENUM(walk, core->ordered, EFFECT_KIND_COUNT);
    WALK_ENUM(walk, core->counted, JOB_COUNT_COUNT);
    bool *const flags[] = {
        &core->is_max_retries_told,
        &core->is_timeout_told,
        &core->is_idempotent,
        &core->is_held_by_operator,
        &core->is_touched,
        &core->rests_on_silence,
        &core->is_death,
        &core->is_at_work,
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        walk_flag(walk, flags[i]);
    }
    for (enum job_fact fact = 0; fact < JOB_FACT_COUNT; fact++) {
        walk_id(walk, &core->fact[fact]);
    }
}

typedef void *(*add_fn)(struct state *state, struct span key);

/* What a walk must know of a table. */
struct table_rule {
    enum event_field key; /* the field that their keys once were the value of */
    add_fn add;           /* reading adds them through it */
};

/* The key and arrival of each entity stand before it. */
static void *walk_entity(struct walk *walk, struct state *state, struct table *table, void *entity,
                         const struct table_rule *rule)
{
    struct table_node *node = entity;
    struct span key = node == NULL ? SPAN_NONE : node->key;
    uint64_t arrival = node == NULL ? 0 : node->arrival;
    walk_key(walk, rule->key, &key);
    walk_number(walk, &arrival);
    if (walk->out != NULL) {
        return entity;
    }
    if (walk->in->is_bad || key.size == 0 || table_find(table, key) != NULL) {
        walk->is_bad = true;
        return NULL;
    }
    uint64_t next_arrival = state->next_arrival;
    state->next_arrival = arrival;
    entity = rule->add(state, key);
    state->next_arrival = next_arrival;
    return entity;
}

static void *add_job(struct state *state, struct span key)
{
    return state_add_job(state, key);
}

static void *add_worker(struct state *state, struct span key)
{
    return state_add_worker(state, key);
}

static void *add_effect(struct state *state, struct span key)
{
    return state_add_effect(state, key);
}

static void *add_producer_id(struct state *state, struct span key)
{
    return table_add(&state->producer_ids, key, state->next_arrival);
}

static void *add_policy_owner(struct state *state, struct span key)
{
    return table_add(&state->policy_owners, key, state->next_arrival);
}

static const struct table_rule jobs_rule = {FIELD_JOB, add_job};
static const struct table_rule workers_rule = {FIELD_WORKER, add_worker};
static const struct table_rule effects_rule = {FIELD_EFFECT, add_effect};
static const struct table_rule producer_ids_rule = {FIELD_ID, add_producer_id};
static const struct table_rule policy_owners_rule = {FIELD_OWNER, add_policy_owner};

static const enum event_field job_text_fields[JOB_TEXT_COUNT] = {
    [JOB_TEXT_SERVICE] = FIELD_SERVICE,
    [JOB_TEXT_TRACE] = FIELD_TRACE,
    [JOB_TEXT_CLAIM] = FIELD_CLAIM,
    [JOB_TEXT_SERVICE_JOB] = FIELD_SERVICE_JOB,
    [JOB_TEXT_TAG] = FIELD_TAG,
    [JOB_TEXT_STATUS_URL] = FIELD_STATUS_URL,
    [JOB_TEXT_CANCEL_URL] = FIELD_CANCEL_URL,
    [JOB_TEXT_RESULT_URL] = FIELD_RESULT_URL,
    [JOB_TEXT_RESULT] = FIELD_RESULT,
    [JOB_TEXT_ERROR] = FIELD_ERROR,
};

static void walk_job(struct walk *walk, struct job *job)
{
    walk_job_core(walk, &job->core);
    for (enum job_text text = 0; text < JOB_TEXT_COUNT; text++) {
        walk_text(walk, job_text_fields[text], &job->text[text]);
    }
}

static void walk_worker(struct walk *walk, struct worker *worker)
{
    walk_worker_core(walk, &worker->core);
    walk_text(walk, FIELD_SERVICES, &worker->services);
}

static void walk_effect(struct walk *walk, struct effect *effect)
{
    WALK_ENUM(walk, effect->kind, EFFECT_KIND_COUNT);
    walk_number(walk, &effect->attempt);
    walk_text(walk, FIELD_JOB, &effect->job);
    walk_text(walk, FIELD_WORKER, &effect->worker);
    WALK_ENUM(walk, effect->reason, REASON_COUNT);
    walk_flag(walk, &effect->is_withdrawn);
}

/* Writing: the next of the table. Reading: one more of those that were counted. */
#define WALK_TABLE(walk, state, table, type, rule, each)                            \
    do {                                                                            \
        uint64_t count_ = (table)->arrivals.count;                                  \
        walk_number((walk), &count_);                                               \
        type *entity_ = (walk)->out != NULL ? table_oldest(table) : NULL;           \
        for (uint64_t i_ = 0; i_ < count_ && !is_broken(walk); i_++) {              \
            type *walked_ = walk_entity((walk), (state), (table), entity_, (rule)); \
            if (walked_ != NULL) {                                                  \
                each;                                                               \
            }                                                                       \
            entity_ = (walk)->out != NULL ? table_next(entity_) : NULL;             \
        }                                                                           \
    } while (0)

static bool is_broken(const struct walk *walk)
{
    return walk->is_bad || (walk->in != NULL && walk->in->is_bad);
}

static void walk_tables(struct walk *walk, struct state *state)
{
    WALK_TABLE(walk, state, &state->workers, struct worker, &workers_rule,
               walk_worker(walk, walked_));
    WALK_TABLE(walk, state, &state->jobs, struct job, &jobs_rule, walk_job(walk, walked_));
    WALK_TABLE(walk, state, &state->effects, struct effect, &effects_rule,
               walk_effect(walk, walked_));
    WALK_TABLE(walk, state, &state->producer_ids, struct table_node, &producer_ids_rule, (void)0);
    WALK_TABLE(walk, state, &state->policy_owners, struct policy_owner, &policy_owners_rule,
               walk_text(walk, FIELD_HASH, &walked_->hash));
}

/* A list of entities of `table`, by key; reading links them in this order. */
static void walk_list(struct walk *walk, struct list *list, const struct table *table,
                      const struct table_rule *rule, size_t link_offset)
{
    uint64_t count = list->count;
    walk_number(walk, &count);
    struct link *link = list->first;
    for (uint64_t i = 0; i < count && !is_broken(walk); i++) {
        struct span key = SPAN_NONE;
        if (walk->out != NULL) {
            key = ((struct table_node *)(void *)((char *)link - link_offset))->key;
            link = link->next;
        }
        walk_key(walk, rule->key, &key);
        if (walk->in == NULL) {
            continue;
        }
        void *entity = table_find(table, key);
        struct link *read =
            entity == NULL ? NULL : (struct link *)(void *)((char *)entity + link_offset);
        if (read == NULL || read->is_linked) {
            walk->is_bad = true;
        } else {
            list_append(list, read);
        }
    }
}

static void walk_lists(struct walk *walk, struct state *state)
{
    for (struct worker *worker = table_oldest(&state->workers); worker && !is_broken(walk);
         worker = table_next(worker)) {
        walk_list(walk, &worker->jobs, &state->jobs, &jobs_rule, offsetof(struct job, held));
        for (struct link *link = worker->jobs.first; walk->in != NULL && link; link = link->next) {
            LINK_ELEMENT(link, struct job, held)->holder = worker;
        }
    }
    walk_list(walk, &state->finished, &state->jobs, &jobs_rule, offsetof(struct job, finished));
    walk_list(walk, &state->gone, &state->workers, &workers_rule, offsetof(struct worker, gone));
    walk_list(walk, &state->withdrawn, &state->effects, &effects_rule,
              offsetof(struct effect, withdrawn));
    walk_list(walk, &state->fallen, &state->workers, &workers_rule,
              offsetof(struct worker, fallen));
    walk_list(walk, &state->waiting, &state->jobs, &jobs_rule, offsetof(struct job, waiting));
    walk_list(walk, &state->unfreed, &state->workers, &workers_rule,
              offsetof(struct worker, unfreed));
}

void state_encode(const struct state *state, struct buffer *buffer)
{
    state_encode_mapped(state, NULL, NULL, buffer);
}

void state_encode_mapped(const struct state *state, state_map_fn map, void *payload,
                         struct buffer *buffer)
{
    struct walk walk = {.out = buffer, .map = map, .payload = payload};
    buffer_put_byte(buffer, SNAPSHOT_MARK);
    buffer_put_varint(buffer, SNAPSHOT_VERSION);
    /* A writing walk changes nothing. */
    struct state *walked = (struct state *)state;
    walk_scalars(&walk, walked);
    walk_tables(&walk, walked);
    walk_lists(&walk, walked);
    CHECK(!walk.is_bad);
}

/* Open effects belong to the job or worker they were asked for. */
static bool link_effects(struct state *state)
{
    for (struct effect *effect = table_oldest(&state->effects); effect;
         effect = table_next(effect)) {
        struct job *job = table_find(&state->jobs, effect->job);
        struct worker *worker = table_find(&state->workers, effect->worker);
        if (effect->is_withdrawn) {
            continue;
        }
        struct effect **place = NULL;
        if (effect->kind == EFFECT_RELEASE) {
            place = worker == NULL ? NULL : &worker->open;
        } else {
            place = job == NULL ? NULL : &job->open;
        }
        if (place == NULL || *place != NULL) {
            return false;
        }
        *place = effect;
    }
    return true;
}

/* What is derived from the entities. */
static void derive(struct state *state)
{
    for (struct job *job = table_oldest(&state->jobs); job; job = table_next(job)) {
        state_set_job_timers(state, job);
    }
    for (struct worker *worker = table_oldest(&state->workers); worker;
         worker = table_next(worker)) {
        /* It is counted as it would be had it been added in this phase. */
        enum worker_phase phase = worker->core.phase;
        worker->core.phase = WORKER_NONE;
        state_set_worker_phase(state, worker, phase);
        state_set_worker_timer(state, worker);
    }
}

struct state *state_decode(struct span bytes)
{
    struct reader reader = {.rest = bytes};
    struct walk walk = {.in = &reader};
    if (reader_byte(&reader) != SNAPSHOT_MARK || reader_varint(&reader) != SNAPSHOT_VERSION) {
        return NULL;
    }
    struct state *state = state_create(0);
    walk_scalars(&walk, state);
    walk_tables(&walk, state);
    walk_lists(&walk, state);
    if (is_broken(&walk) || reader.rest.size > 0 || !link_effects(state) ||
        !state_is_sound(state)) {
        state_destroy(state);
        return NULL;
    }
    derive(state);
    return state;
}
