/* SPDX-License-Identifier: MIT
 * The engine: what a question does next, whose turn it is to send. */
#include "connectors/engine.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "connectors/engine_parts.h"

#define HEARING_MS 10 /* of replies, before the network has its turn again */

struct engine *engine_create(const struct connectors_config *config,
                             const struct engine_events *events)
{
    struct engine *engine = mem_zero(sizeof(*engine));
    CHECK(config->question_ms > 0);
    CHECK(config->per_host > 0);
    engine->config = *config;
    engine->events = *events;
    engine->transport = transport_create(config->body_max);
    TAILQ_INIT(&engine->uses);
    TAILQ_INIT(&engine->active);
    TAILQ_INIT(&engine->held);
    cache_init(&engine->cache);
    return engine;
}

/* That there is a token again is seen by whoever runs next. */
static void on_token(void *context, void *owner)
{
    (void)context;
    (void)owner;
}

void engine_add_service(struct engine *engine, struct service *service)
{
    CHECK(TAILQ_EMPTY(&engine->held) && service->share == NULL);
    engine->services =
        mem_resize(engine->services, (engine->service_count + 1) * sizeof(*engine->services));
    engine->services[engine->service_count++] = service;
    service->share = share_create(service, clock_boot_ms());
    service->share->alarm = (struct alarm){.ring = on_token};
}

static void free_sent(struct engine *engine, struct task_list *tasks)
{
    while (!TAILQ_EMPTY(tasks)) {
        struct task *task = TAILQ_FIRST(tasks);
        TAILQ_REMOVE(tasks, task, links);
        task->endpoint->active--;
        task_destroy(engine, task);
    }
}

void engine_destroy(struct engine *engine)
{
    if (engine == NULL) {
        return;
    }
    transport_destroy(engine->transport); /* nobody hears of what was under way */
    free_sent(engine, &engine->active);
    for (size_t i = 0; i < engine->service_count; i++) {
        free_sent(engine, &engine->services[i]->share->replied);
    }
    engine_free_endpoints(engine);
    for (size_t i = 0; i < engine->service_count; i++) {
        share_destroy(engine->services[i]->share);
        engine->services[i]->share = NULL;
    }
    while (!TAILQ_EMPTY(&engine->held)) {
        struct question *question = TAILQ_FIRST(&engine->held);
        TAILQ_REMOVE(&engine->held, question, lives);
        question_destroy(question);
    }
    cache_fini(&engine->cache);
    lookup_fini(&engine->endpoints);
    lookup_fini(&engine->shared);
    alarms_fini(&engine->alarms);
    buffer_fini(&engine->scratch);
    mem_free(engine->services);
    mem_free(engine);
}

void engine_wake(struct engine *engine)
{
    transport_wake(engine->transport);
}

/* --- the way of a question --- */

/* Whose answer it is: a later attempt may run under the same id of the service. */
static struct span cache_key(struct engine *engine, const struct question *question)
{
    const struct effect_request *request = &question->request;
    struct buffer *key = &engine->scratch;
    buffer_reset(key);
    buffer_put_sized(key, request->service);
    buffer_put_sized(key, question_base(question));
    buffer_put_sized(key, request->status_url);
    buffer_put_sized(key, request->service_job);
    buffer_put_sized(key, request->tag);
    buffer_put_sized(key, request->job);
    buffer_put_varint(key, request->attempt);
    return buffer_span(key);
}

static void remember(struct engine *engine, const struct question *question)
{
    if (question->request.kind == EFFECT_CANCEL) {
        cache_drop(&engine->cache, cache_key(engine, question));
    } else if (question->request.kind == EFFECT_ASK &&
               verdict_is_decisive(question->answer.report.verdict)) {
        cache_put(&engine->cache, cache_key(engine, question), &question->answer, clock_boot_ms(),
                  question->service->answer_ttl_ms, question->service->profile->are_ids_reused);
    }
}

static void finish(struct engine *engine, struct question *question)
{
    alarms_clear(&engine->alarms, &question->alarm);
    question_stop_clock(question, clock_boot_ms());
    question->answer.report.latency_ms = question->time_used_ms;
    TAILQ_REMOVE(&engine->held, question, lives);
    engine->events.finished(engine->events.context, question);
}

void engine_fail(struct engine *engine, struct question *question, const char *word)
{
    question_fail(question, word);
    finish(engine, question);
}

/* Puts the question into the task of the request that is due; NONE when it waits there. */
static enum question_next queue_due(struct engine *engine, struct question *question)
{
    const struct profile_request *request = question_due(question);
    struct buffer body = {0};
    struct error error = {0};
    struct task *task = NULL;
    if (!question_write(question, request, &body, &error)) {
        buffer_fini(&body);
        return question_skip(question, error.message);
    }
    struct span url = buffer_span(&question->url);
    struct endpoint *endpoint = engine_endpoint(engine, question->service, url_authority(url));
    const char *refusal =
        endpoint != NULL ? engine_admission(engine, endpoint) : "too_many_endpoints";
    if (refusal == NULL && request->is_shared) {
        task = task_find_shared(engine, question->service, request, url);
    }
    if (refusal == NULL && task == NULL) {
        task = task_create(engine, endpoint, request, NULL, url, buffer_span(&body));
        task->is_cancel = question->phase == QUESTION_OF_CANCEL;
        if (request->is_shared) {
            task_share(engine, task);
        }
    }
    buffer_fini(&body);
    if (refusal != NULL) {
        question_fail(question, refusal);
        return QUESTION_OVER;
    }
    task_join(engine, task, question);
    return QUESTION_NEXT_NONE;
}

void engine_advance(struct engine *engine, struct question *question, enum question_next next)
{
    CHECK(question->task == NULL);
    while (next == QUESTION_GO_ON) {
        bool has_form = question->variant != NULL || question->phase == QUESTION_OF_HEALTH;
        next = has_form ? queue_due(engine, question) : variant_begin(engine, question);
    }
    if (next == QUESTION_PAUSE) {
        uint64_t now_ms = clock_boot_ms();
        question_start_clock(question, now_ms);
        alarms_set(&engine->alarms, &question->alarm, now_ms + question_pause_ms(question));
    } else if (next == QUESTION_OVER) {
        remember(engine, question);
        finish(engine, question);
    }
}

void engine_ask(struct engine *engine, struct question *question)
{
    const struct profile *profile = question->service->profile;
    uint64_t now_ms = clock_boot_ms();
    uint64_t waited_ms = now_ms - question->queued_ms;
    question->wait_left_ms -=
        waited_ms < question->wait_left_ms ? waited_ms : question->wait_left_ms;
    question->alarm = (struct alarm){.ring = task_on_alarm, .owner = question};
    TAILQ_INSERT_TAIL(&engine->held, question, lives);
    if (question->request.kind == EFFECT_CANCEL) {
        remember(engine, question);
    } else if (question->request.kind == EFFECT_ASK) {
        const struct answer *known =
            cache_find(&engine->cache, cache_key(engine, question), now_ms);
        bool is_certain =
            known != NULL && verdict_is_final(known->report.verdict) && !profile->are_ids_reused;
        if (known != NULL && (is_certain || !question->request.is_fresh)) {
            answer_copy(&question->answer, known);
            finish(engine, question);
            return;
        }
    }
    engine_advance(engine, question, QUESTION_GO_ON);
}

/* --- whose turn it is --- */

/* A service may have twice as many requests under way as stay free: one gets two thirds, two get
 * two fifths each, and however many of them hang at once, there is room for yet another. */
static bool may_have_more(const struct engine *engine, const struct share *share)
{
    return share->active < 2 * (ACTIVE_MAX - engine->active_count);
}

/* Sends one request of the service; false when none may be sent. */
static bool send_one(struct engine *engine, struct share *share)
{
    struct endpoint *proven = TAILQ_FIRST(&share->ready[ENDPOINT_PROVEN]);
    struct endpoint *unproven = engine->active_count < ACTIVE_MAX / 2
                                    ? TAILQ_FIRST(&share->ready[ENDPOINT_UNPROVEN])
                                    : NULL;
    bool is_provens_turn = unproven == NULL || (proven != NULL && share->is_provens_turn);
    struct endpoint *endpoint = is_provens_turn ? proven : unproven;
    if (endpoint == NULL || !may_have_more(engine, share)) {
        return false;
    }
    uint64_t now_ms = clock_boot_ms();
    if (!bucket_take(&share->bucket, now_ms)) {
        alarms_set(&engine->alarms, &share->alarm, now_ms + bucket_wait_ms(&share->bucket));
        return false;
    }
    share->is_provens_turn = !is_provens_turn;
    task_send(engine, endpoint);
    return true;
}

static void send_all(struct engine *engine)
{
    for (bool was_sent = true; was_sent;) {
        was_sent = false;
        for (size_t i = 0; i < engine->service_count; i++) {
            engine->turn = (engine->turn + 1) % engine->service_count;
            was_sent = send_one(engine, engine->services[engine->turn]->share) || was_sent;
        }
    }
}

/* --- whose turn it is to be heard --- */

/* Of each service one reply after the other, so that nobody's large ones hold up the others. Whose
 * reply took long rests for as long: meanwhile the network moves on, and others are heard. */
static void hear_replies(struct engine *engine)
{
    uint64_t begin_ms = clock_boot_ms(), now_ms = begin_ms;
    size_t passed = 0; /* services in a row of which nothing is to be heard */
    while (passed < engine->service_count && now_ms - begin_ms < HEARING_MS) {
        engine->hearing_turn = (engine->hearing_turn + 1) % engine->service_count;
        struct share *share = engine->services[engine->hearing_turn]->share;
        if (TAILQ_EMPTY(&share->replied) || now_ms < share->rests_until) {
            passed++;
            continue;
        }
        passed = 0;
        task_hear(engine, TAILQ_FIRST(&share->replied));
        uint64_t end_ms = clock_boot_ms(), used_ms = end_ms - now_ms;
        share->rests_until = used_ms > HEARING_MS ? end_ms + used_ms : 0;
        now_ms = end_ms;
    }
}

void engine_run(struct engine *engine, uint64_t wait_ms)
{
    hear_replies(engine);
    do {
        send_all(engine);
    } while (alarms_ring(&engine->alarms, clock_boot_ms(), engine));
    uint64_t most_ms = engine->replied_count == 0 || wait_ms == 0 ? wait_ms : 1;
    transport_run(engine->transport, alarms_wait_ms(&engine->alarms, clock_boot_ms(), most_ms),
                  task_on_reply, engine);
}
