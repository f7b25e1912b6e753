/* SPDX-License-Identifier: MIT */
#include "reducers/state.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "reducers/fold.h"
#include "reducers/tables.h"
#include "reducers/verdict.h"

struct state *state_create(uint32_t partition)
{
    struct state *state = mem_zero(sizeof *state);
    state->partition = partition;
    state->reducers = REDUCERS_OLDEST;
    policy_preset(PRESET_SAFE, &state->policy);
    /* Before anybody said what may be done, nothing is. */
    state->policy.value[POLICY_EFFECTS] = EFFECTS_OBSERVE;
    table_init(&state->jobs, sizeof(struct job));
    table_init(&state->workers, sizeof(struct worker));
    table_init(&state->effects, sizeof(struct effect));
    table_init(&state->producer_ids, sizeof(struct table_node));
    table_init(&state->policy_owners, sizeof(struct policy_owner));
    return state;
}

void state_keep(struct span *kept, struct span text)
{
    if (span_equal(*kept, text)) {
        return;
    }
    mem_free((void *)kept->data);
    *kept = SPAN_NONE;
    if (text.size > 0) {
        char *copy = mem_zero(text.size);
        memcpy(copy, text.data, text.size);
        *kept = (struct span){copy, text.size};
    }
}

void state_destroy(struct state *state)
{
    if (state == NULL) {
        return;
    }
    for (struct effect *effect = table_oldest(&state->effects), *next; effect; effect = next) {
        next = table_next(effect);
        state_remove_effect(state, effect);
    }
    for (struct job *job = table_oldest(&state->jobs), *next; job; job = next) {
        next = table_next(job);
        state_remove_job(state, job);
    }
    for (struct worker *worker = table_oldest(&state->workers), *next; worker; worker = next) {
        next = table_next(worker);
        state_remove_worker(state, worker);
    }
    for (struct policy_owner *owner = table_oldest(&state->policy_owners); owner;
         owner = table_next(owner)) {
        state_keep(&owner->hash, SPAN_NONE);
    }
    table_fini(&state->policy_owners);
    table_fini(&state->producer_ids);
    table_fini(&state->effects);
    table_fini(&state->jobs);
    table_fini(&state->workers);
    timers_fini(&state->silences);
    timers_fini(&state->liveness);
    timers_fini(&state->deadlines);
    state_keep(&state->owner, SPAN_NONE);
    state_keep(&state->policy_text, SPAN_NONE);
    state_keep(&state->policy_hash, SPAN_NONE);
    mem_free(state);
}

static struct timer timer_of(enum timer_kind kind, void *entity)
{
    const struct table_node *node = entity;
    return (struct timer){.kind = kind, .entity = entity, .arrival = node->arrival};
}

struct job *state_add_job(struct state *state, struct span id)
{
    struct job *job = table_add(&state->jobs, id, state->next_arrival++);
    job->next = timer_of(TIMER_JOB_NEXT, job);
    job->grace = timer_of(TIMER_JOB_GRACE, job);
    job->deadline = timer_of(TIMER_JOB_DEADLINE, job);
    return job;
}

struct worker *state_add_worker(struct state *state, struct span id)
{
    struct worker *worker = table_add(&state->workers, id, state->next_arrival++);
    worker->silence = timer_of(TIMER_WORKER_SILENT, worker);
    return worker;
}

struct effect *state_add_effect(struct state *state, struct span id)
{
    return table_add(&state->effects, id, state->next_arrival++);
}

void state_remove_job(struct state *state, struct job *job)
{
    CHECK(job->open == NULL);
    timers_clear(&state->liveness, &job->next);
    timers_clear(&state->liveness, &job->grace);
    timers_clear(&state->deadlines, &job->deadline);
    list_remove(&state->finished, &job->finished);
    list_remove(&state->waiting, &job->waiting);
    if (job->holder != NULL) {
        list_remove(&job->holder->jobs, &job->held);
    }
    for (enum job_text text = 0; text < JOB_TEXT_COUNT; text++) {
        state_keep(&job->text[text], SPAN_NONE);
    }
    table_remove(&state->jobs, job);
}

void state_remove_worker(struct state *state, struct worker *worker)
{
    CHECK(worker->jobs.count == 0 && worker->open == NULL);
    timers_clear(&state->silences, &worker->silence);
    list_remove(&state->gone, &worker->gone);
    list_remove(&state->fallen, &worker->fallen);
    list_remove(&state->unfreed, &worker->unfreed);
    state_keep(&worker->services, SPAN_NONE);
    table_remove(&state->workers, worker);
}

void state_detach_effect(struct state *state, struct effect *effect)
{
    struct job *job = table_find(&state->jobs, effect->job);
    if (job != NULL && job->open == effect) {
        job->open = NULL;
    }
    struct worker *worker = table_find(&state->workers, effect->worker);
    if (worker != NULL && worker->open == effect) {
        worker->open = NULL;
    }
}

void state_remove_effect(struct state *state, struct effect *effect)
{
    state_detach_effect(state, effect);
    list_remove(&state->withdrawn, &effect->withdrawn);
    state_keep(&effect->job, SPAN_NONE);
    state_keep(&effect->worker, SPAN_NONE);
    table_remove(&state->effects, effect);
}

void state_forget(struct state *state)
{
    uint64_t remember = state->policy.value[POLICY_REMEMBER];
    while (state->finished.count > remember) {
        state_remove_job(state, LINK_ELEMENT(state->finished.first, struct job, finished));
    }
    while (state->producer_ids.arrivals.count > remember) {
        table_remove(&state->producer_ids, table_oldest(&state->producer_ids));
    }
    while (state->withdrawn.count > WITHDRAWN_EFFECTS_MAX) {
        state_remove_effect(state, LINK_ELEMENT(state->withdrawn.first, struct effect, withdrawn));
    }
    while (state->gone.count > GONE_WORKERS_MAX) {
        state_remove_worker(state, LINK_ELEMENT(state->gone.first, struct worker, gone));
    }
}

static void set_or_clear(struct timers *timers, struct timer *timer, bool is_wanted, uint64_t due)
{
    if (!is_wanted || due == 0) {
        timers_clear(timers, timer);
    } else if (timer->place == 0 || timer->due != due) {
        timers_set(timers, timer, due);
    }
}

void state_set_job_timers(struct state *state, struct job *job)
{
    const struct job_phase_rule *rule = job_phase_rule(job->core.phase);
    set_or_clear(&state->liveness, &job->next, rule->next != NEXT_NEVER, job->core.next_due);
    set_or_clear(&state->liveness, &job->grace, rule->has_deadline, job->core.grace_due);
    set_or_clear(&state->deadlines, &job->deadline, rule->has_deadline, job->core.deadline_due);
}

static bool is_watched(const struct worker *worker)
{
    return worker->core.phase == WORKER_ACTIVE || worker->core.phase == WORKER_STOPPING;
}

void state_set_worker_phase(struct state *state, struct worker *worker, enum worker_phase phase)
{
    bool was_watched = is_watched(worker);
    worker->core.phase = phase;
    bool is_still_watched = was_watched && is_watched(worker);
    if (is_still_watched) {
        return;
    }
    state->fleet.watched -= was_watched ? 1 : 0;
    if (is_watched(worker)) {
        state->fleet.watched++;
        list_remove(&state->gone, &worker->gone);
    }
    if (phase != WORKER_SILENT) {
        list_remove(&state->fallen, &worker->fallen);
        list_remove(&state->unfreed, &worker->unfreed);
    }
}

void state_set_worker_timer(struct state *state, struct worker *worker)
{
    uint64_t limit = worker_limit_ms(&worker->core, &state->policy);
    set_or_clear(&state->silences, &worker->silence, is_watched(worker) && limit > 0,
                 worker->core.heard_ms + limit);
}

struct state_summary state_summary(const struct state *state)
{
    struct state_summary summary = {
        .partition = state->partition,
        .timeline = state->timeline,
        .epoch = state->epoch,
        .reducers = state->reducers,
        .owner = state->owner,
        .ordinal = state->ordinal,
        .position = state->position,
        .liveness_ms = state->liveness_ms,
        .deadline_ms = state->deadline_ms,
        .last_tick = state->last_tick,
        .last_tick_wall_ms = state->last_tick_wall_ms,
        .policy_hash = state->policy_hash,
        .policy_text = state->policy_text,
        .jobs_open = state->jobs.arrivals.count - state->finished.count,
        .effects_open = state->effects.arrivals.count - state->withdrawn.count,
        .unknown_types = state->counter[COUNTER_UNKNOWN_TYPES],
        .heartbeats = state->counter[COUNTER_HEARTBEATS],
        .events = state->counter[COUNTER_EVENTS],
    };
    return summary;
}

bool state_policy_is_due(const struct state *state, struct span owner, struct span file_hash)
{
    const struct policy_owner *known = table_find(&state->policy_owners, owner);
    return known == NULL ? !state->has_file_policy : !span_equal(known->hash, file_hash);
}

/* Where a worker said that a service is: "name=url" among the words of its `services`. True when it
 * offers the service, with a url or without. */
static bool offers_service(const struct worker *worker, struct span name, struct span *base)
{
    struct span services = worker->services;
    while (services.size > 0) {
        *base = span_cut(&services, ' ');
        if (span_equal(span_cut(base, '='), name)) {
            return true;
        }
    }
    *base = SPAN_NONE;
    return false;
}

/* Where another worker says the service is: that of the highest hash with the job, so that the same
 * job is asked about at the same place as long as that worker is there. */
static struct span other_base(const struct state *state, struct span service, struct span job)
{
    struct span chosen = SPAN_NONE;
    uint64_t highest = 0, seed = hash_bytes(job);
    for (const struct worker *worker = table_oldest(&state->workers); worker != NULL;
         worker = table_next(worker)) {
        struct span base;
        if (is_watched(worker) && offers_service(worker, service, &base) && base.size > 0) {
            uint64_t hash = hash_number(seed, hash_bytes(worker->node.key));
            if (chosen.size == 0 || hash > highest) {
                highest = hash;
                chosen = base;
            }
        }
    }
    return chosen;
}

static struct span service_base(const struct state *state, const struct worker *holder,
                                struct span service, struct span job)
{
    struct span base = SPAN_NONE;
    CHECK(holder != NULL); /* Who is asked about is held. */
    bool is_offered = offers_service(holder, service, &base);
    return is_offered ? base : other_base(state, service, job);
}

void state_effect_request(const struct state *state, const struct effect *effect,
                          struct effect_request *out)
{
    const struct job *job = table_find(&state->jobs, effect->job);
    *out = (struct effect_request){
        .id = effect->node.key,
        .kind = effect->kind,
        .job = effect->job,
        .worker = effect->worker,
        .attempt = effect->attempt,
        .reason = span_of(reason_code(effect->reason)),
    };
    if (job == NULL) {
        return;
    }
    out->claim = job->text[JOB_TEXT_CLAIM];
    out->losses = job->core.losses;
    out->failures = job->core.failures;
    out->error = job->text[JOB_TEXT_ERROR].size > 0 ? job->text[JOB_TEXT_ERROR]
                                                    : span_of(reason_text(effect->reason));
    out->result = job->text[JOB_TEXT_RESULT];
    out->service = job->text[JOB_TEXT_SERVICE];
    out->service_job = job->text[JOB_TEXT_SERVICE_JOB];
    out->tag = job->text[JOB_TEXT_TAG];
    out->submitted_at = job->core.submitted_at;
    out->status_url = job->text[JOB_TEXT_STATUS_URL];
    out->cancel_url = job->text[JOB_TEXT_CANCEL_URL];
    out->result_url = job->text[JOB_TEXT_RESULT_URL];
    out->wait_ms = policy_value(&state->policy, out->service, POLICY_ASK_WAIT_MS);
    out->is_fresh = job->core.ending != ENDING_NONE;
}

bool state_next_open_effect(const struct state *state, const struct effect **cursor,
                            struct effect_request *out)
{
    const struct effect *effect =
        *cursor == NULL ? table_oldest(&state->effects) : table_next(*cursor);
    while (effect != NULL && effect->is_withdrawn) {
        effect = table_next(effect);
    }
    if (effect == NULL) {
        return false;
    }
    *cursor = effect;
    state_effect_request(state, effect, out);
    return true;
}

bool state_open_effect(const struct state *state, struct span id, struct effect_request *out)
{
    const struct effect *effect = table_find(&state->effects, id);
    if (effect == NULL || effect->is_withdrawn) {
        return false;
    }
    state_effect_request(state, effect, out);
    if (effect->kind == EFFECT_ASK || effect->kind == EFFECT_CANCEL) {
        const struct worker *holder = table_find(&state->workers, effect->worker);
        out->base = service_base(state, holder, out->service, effect->job);
    }
    return true;
}
