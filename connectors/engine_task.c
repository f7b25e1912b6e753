/* SPDX-License-Identifier: MIT
 * The engine's requests: queued, joined by those whom one reply serves, sent, heard. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "connectors/engine_parts.h"

/* A question ends by itself so long after its time, should the request not have ended it: where one
 * reply serves several, each has its own time. */
#define ALARM_SLACK_MS 50
#define HEAR_MS        5 /* of one reply, or as long as it took to open: then others have a turn */

struct task *task_create(struct engine *engine, struct endpoint *endpoint,
                         const struct profile_request *request,
                         const struct profile_variant *probed, struct span url, struct span body)
{
    struct task *task = mem_zero(sizeof(*task));
    task->endpoint = endpoint;
    task->request = request;
    task->probed = probed;
    TAILQ_INIT(&task->questions);
    buffer_put_span(&task->url, url);
    buffer_put_span(&task->body, body);
    if (probed != NULL) {
        TAILQ_INSERT_HEAD(&endpoint->queue, task, links);
    } else {
        TAILQ_INSERT_TAIL(&endpoint->queue, task, links);
    }
    engine_review(engine, endpoint);
    return task;
}

/* From here on nobody may join: what the reply says was true before they asked. */
static void unshare(struct engine *engine, struct task *task)
{
    if (task->shared_key.size > 0) {
        lookup_remove(&engine->shared, &task->by_url);
        buffer_reset(&task->shared_key);
    }
}

void task_destroy(struct engine *engine, struct task *task)
{
    unshare(engine, task);
    buffer_fini(&task->shared_key);
    buffer_fini(&task->url);
    buffer_fini(&task->body);
    mem_free(task);
}

struct task *task_find_shared(struct engine *engine, const struct service *service,
                              const struct profile_request *request, struct span url)
{
    struct buffer *key = &engine->scratch;
    buffer_reset(key);
    buffer_put_sized(key, span_of(service->name));
    buffer_put_varint(key, (uint64_t)request->method);
    buffer_put_span(key, url);
    return lookup_find(&engine->shared, buffer_span(key));
}

void task_share(struct engine *engine, struct task *task)
{
    buffer_put_span(&task->shared_key, buffer_span(&engine->scratch));
    lookup_put(&engine->shared, &task->by_url, buffer_span(&task->shared_key), task);
}

static void start_clock(struct engine *engine, struct question *question, uint64_t now_ms)
{
    question_start_clock(question, now_ms);
    alarms_set(&engine->alarms, &question->alarm,
               now_ms + question_time_left(question, now_ms) + ALARM_SLACK_MS);
}

void task_join(struct engine *engine, struct task *task, struct question *question)
{
    uint64_t now_ms = clock_boot_ms();
    CHECK(question->task == NULL);
    question->task = task;
    TAILQ_INSERT_TAIL(&task->questions, question, links);
    task->question_count++;
    if (task->question_count == SHARED_QUESTIONS_MAX) {
        unshare(engine, task);
    }
    if (task->is_sent) {
        start_clock(engine, question, now_ms);
        return;
    }
    question_stop_clock(question, now_ms);
    question->queued_ms = now_ms;
    alarms_set(&engine->alarms, &question->alarm, now_ms + question->wait_left_ms);
}

static void leave(struct engine *engine, struct question *question)
{
    struct task *task = question->task;
    TAILQ_REMOVE(&task->questions, question, links);
    task->question_count--;
    question->task = NULL;
    alarms_clear(&engine->alarms, &question->alarm);
}

struct question *task_take_question(struct engine *engine, struct task *task)
{
    struct question *question = TAILQ_FIRST(&task->questions);
    if (question != NULL) {
        leave(engine, question);
    }
    return question;
}

/* Out of its endpoint's queue. */
static void unqueue(struct engine *engine, struct task *task)
{
    struct endpoint *endpoint = task->endpoint;
    TAILQ_REMOVE(&endpoint->queue, task, links);
    if (endpoint->probe == task) {
        endpoint->probe = NULL;
    }
    task_destroy(engine, task);
    engine_review(engine, endpoint);
}

void task_fail_queued(struct engine *engine, struct endpoint *endpoint, const char *word)
{
    while (!TAILQ_EMPTY(&endpoint->queue)) {
        struct task *task = TAILQ_FIRST(&endpoint->queue);
        for (struct question *next; (next = task_take_question(engine, task)) != NULL;) {
            engine_fail(engine, next, word);
        }
        unqueue(engine, task);
    }
}

void task_on_alarm(void *context, void *owner)
{
    struct engine *engine = context;
    struct question *question = owner;
    struct task *task = question->task;
    if (task == NULL) {
        engine_advance(engine, question, QUESTION_GO_ON);
        return;
    }
    leave(engine, question);
    engine_fail(engine, question, task->is_sent ? "timeout" : "waited_too_long");
    if (!task->is_sent && TAILQ_EMPTY(&task->questions)) {
        unqueue(engine, task);
    }
}

/* --- sending --- */

/* The time that the one with the most of it has left. */
static uint64_t start_clocks(struct engine *engine, struct task *task)
{
    uint64_t now_ms = clock_boot_ms(), longest_ms = 1;
    struct question *question;
    TAILQ_FOREACH(question, &task->questions, links)
    {
        uint64_t waited_ms = now_ms - question->queued_ms;
        question->wait_left_ms -=
            waited_ms < question->wait_left_ms ? waited_ms : question->wait_left_ms;
        uint64_t left_ms = question_time_left(question, now_ms);
        longest_ms = left_ms > longest_ms ? left_ms : longest_ms;
        start_clock(engine, question, now_ms);
    }
    return longest_ms;
}

static bool holds_secret(struct span text)
{
    return span_holds(text, SPAN("{token}")) || span_holds(text, SPAN("{env:")) ||
           span_holds(text, SPAN("{file:"));
}

/* NULL, or why it can not be sent: static, or in `error`. */
static const char *send_request(struct engine *engine, struct task *task, struct error *error)
{
    const struct service *service = task->endpoint->service;
    const struct profile *profile = service->profile;
    const struct template_variables variables = {.token = service->token};
    struct buffer headers[PROFILE_HEADERS_MAX] = {0};
    struct span lines[PROFILE_HEADERS_MAX] = {0};
    const char *word = NULL;
    bool has_secret = holds_secret(task->request->target);
    for (size_t i = 0; i < profile->header_count && word == NULL; i++) {
        has_secret = has_secret || holds_secret(profile->headers[i]);
        bool is_filled =
            template_render(profile->headers[i], TEMPLATE_HEADER, &variables, &headers[i], error);
        lines[i] = buffer_span(&headers[i]);
        word = is_filled ? NULL : error->message;
    }
    struct transport_request request = {
        .method = task->request->method,
        .url = buffer_span(&task->url),
        .body = buffer_span(&task->body),
        .headers = lines,
        .header_count = profile->header_count,
        .has_secret = has_secret,
        .base = service->base,
        .allow = &service->allow,
        .ca_file = service->ca_file,
        .unix_socket = service->unix_socket,
        .is_fresh = task->is_cancel,
        .body_max = profile->body_max,
        .bodies = &service->share->bodies,
        .timeout_ms = start_clocks(engine, task),
        .owner = task,
    };
    bool is_sent = word == NULL && transport_send(engine->transport, &request, &word);
    CHECK(is_sent == (word == NULL));
    for (size_t i = 0; i < profile->header_count; i++) {
        buffer_fini(&headers[i]);
    }
    return word;
}

/* False when nobody is left who has time for the request. */
static bool end_the_late(struct engine *engine, struct task *task)
{
    struct question *question, *following;
    for (question = TAILQ_FIRST(&task->questions); question != NULL; question = following) {
        following = TAILQ_NEXT(question, links);
        if (question_is_late(question)) {
            leave(engine, question);
            engine_fail(engine, question, "timeout");
        }
    }
    return !TAILQ_EMPTY(&task->questions);
}

void task_send(struct engine *engine, struct endpoint *endpoint)
{
    struct task *task = TAILQ_FIRST(&endpoint->queue);
    CHECK(task != NULL && !TAILQ_EMPTY(&task->questions));
    if (!end_the_late(engine, task)) {
        unqueue(engine, task);
        return;
    }
    TAILQ_REMOVE(&endpoint->queue, task, links);
    TAILQ_INSERT_TAIL(&engine->active, task, links);
    unshare(engine, task);
    task->is_sent = true;
    task->trial = breaker_send(&endpoint->breaker);
    endpoint->active++;
    endpoint->service->share->active++;
    engine->active_count++;
    endpoint_unready(endpoint); /* the others have their turn first */
    engine_review(engine, endpoint);
    struct error error = {0};
    const char *word = send_request(engine, task, &error);
    if (word != NULL) {
        snprintf(task->refusal_word, sizeof(task->refusal_word), "%s", word);
        task->refusal =
            (struct transport_reply){.end = TRANSPORT_REFUSED, .word = task->refusal_word};
        task_on_reply(engine, task, &task->refusal);
    }
}

/* --- hearing --- */

void task_on_reply(void *context, void *owner, const struct transport_reply *reply)
{
    struct engine *engine = context;
    struct task *task = owner;
    task->reply = reply;
    TAILQ_REMOVE(&engine->active, task, links);
    TAILQ_INSERT_TAIL(&task->endpoint->service->share->replied, task, links);
    engine->replied_count++;
}

/* The endpoint is judged by what the first one hears: what all of them do next depends on it. The
 * reply is opened anew in each turn, so that no more than one is open at a time. */
static void hear_some(struct engine *engine, struct task *task)
{
    struct endpoint *endpoint = task->endpoint;
    uint64_t begin_ms = clock_boot_ms();
    struct heard heard = heard_open(task->reply);
    uint64_t now_ms = clock_boot_ms(), opened_ms = now_ms - begin_ms;
    uint64_t until_ms = now_ms + (opened_ms > HEAR_MS ? opened_ms : HEAR_MS);
    do {
        struct question *question = task_take_question(engine, task);
        enum question_next next = question != NULL ? question_hear(question, &heard, now_ms)
                                                   : QUESTION_NEXT_NONE; /* all have given up */
        if (!task->is_judged) {
            task->is_judged = true;
            engine_judge_endpoint(engine, task, task->reply, heard.is_unwilling);
        }
        if (question != NULL) {
            engine_advance(engine, question, next);
        }
        now_ms = clock_boot_ms();
    } while (!TAILQ_EMPTY(&task->questions) && now_ms < until_ms);
    heard_close(&heard);
    if (heard.is_sure) {
        endpoint->doubts = 0;
    } else if (heard.is_doubtful) {
        endpoint->doubts++;
    }
}

void task_hear(struct engine *engine, struct task *task)
{
    struct endpoint *endpoint = task->endpoint;
    struct share *share = endpoint->service->share;
    if (task->probed != NULL) {
        variant_probed(engine, task, task->reply);
    } else {
        hear_some(engine, task);
    }
    if (!TAILQ_EMPTY(&task->questions)) {
        return;
    }
    TAILQ_REMOVE(&share->replied, task, links);
    engine->replied_count--;
    engine->active_count--;
    share->active--;
    if (task->reply != &task->refusal) {
        transport_release(engine->transport, task->reply);
    }
    task_destroy(engine, task);
    endpoint->active--; /* last: until then it is not idle and can not be forgotten */
    engine_review(engine, endpoint);
}
