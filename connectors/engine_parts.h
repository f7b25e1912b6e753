/* SPDX-License-Identifier: MIT
 * The engine from within: engine.c takes and hands over, engine_task.c sends and hears,
 * engine_variant.c finds out what an endpoint speaks, engine_endpoint.c keeps the endpoints. */
#ifndef SALVOR_CONNECTORS_ENGINE_PARTS_H
#define SALVOR_CONNECTORS_ENGINE_PARTS_H

#include "connectors/cache.h"
#include "connectors/endpoint.h"
#include "connectors/engine.h"

struct engine {
    struct connectors_config config;
    struct engine_events events;
    struct transport *transport; /* owned */
    struct service **services;   /* owned, what they point to is not */
    size_t service_count;
    size_t turn; /* index of the service that sends first */
    struct lookup endpoints;
    struct endpoint_list uses;   /* all of them, owned; least lately used first */
    struct lookup shared;        /* queued tasks that further questions may join */
    struct task_list active;     /* owned; sent */
    size_t active_count;         /* of these, and of those replied to and not heard */
    size_t replied_count;        /* these, of all services */
    size_t hearing_turn;         /* index of the service that is heard first */
    TAILQ_HEAD(, question) held; /* owned */
    struct alarms alarms;
    struct cache cache;
    struct buffer scratch;
};

/* --- engine.c --- */

/* Does what is next for a question that is in no task. */
void engine_advance(struct engine *engine, struct question *question, enum question_next next);
/* It ends without a reply. */
void engine_fail(struct engine *engine, struct question *question, const char *word);

/* --- engine_endpoint.c --- */

/* Found or made; NULL when there are too many. */
struct endpoint *engine_endpoint(struct engine *engine, struct service *service,
                                 struct span authority);
/* NULL, or why nothing may wait for it. */
const char *engine_admission(struct engine *engine, struct endpoint *endpoint);
/* What a request's end says about its endpoint. */
void engine_judge_endpoint(struct engine *engine, const struct task *task,
                           const struct transport_reply *reply, bool is_unwilling);
void engine_review(struct engine *engine, struct endpoint *endpoint);
/* Reports what the endpoint can do and how its breaker stands. */
void engine_tell(struct engine *engine, const struct endpoint *endpoint);
void engine_free_endpoints(struct engine *engine);

/* --- engine_task.c --- */

/* Queued at the endpoint: a probe before all others. `url` and `body` are copied. */
struct task *task_create(struct engine *engine, struct endpoint *endpoint,
                         const struct profile_request *request,
                         const struct profile_variant *probed, struct span url, struct span body);
/* A request that is queued and serves the same purpose; NULL: none, and the key of a shared one is
 * in the scratch buffer. */
struct task *task_find_shared(struct engine *engine, const struct service *service,
                              const struct profile_request *request, struct span url);
/* Lets further questions join, under the key in the scratch buffer. */
void task_share(struct engine *engine, struct task *task);
void task_join(struct engine *engine, struct task *task, struct question *question);
void task_send(struct engine *engine, struct endpoint *endpoint);
/* Sent: `reply`, the transport's or the task's own refusal, waits to be heard. */
void task_on_reply(void *context, void *owner, const struct transport_reply *reply);
/* Has those who wait for the reply hear it: all of them, or as many as may be in one turn. */
void task_hear(struct engine *engine, struct task *task);
/* All who wait for what the endpoint has not sent yet are told why nothing will be. */
void task_fail_queued(struct engine *engine, struct endpoint *endpoint, const char *word);
/* Of a question: it has waited or lasted too long, or its pause is over. */
void task_on_alarm(void *context, void *owner);
void task_destroy(struct engine *engine, struct task *task);
/* Takes the first question out; NULL when there is none. */
struct question *task_take_question(struct engine *engine, struct task *task);

/* --- engine_variant.c --- */

/* Begins the question in the variant that its endpoint speaks, or has it wait for a probe. */
enum question_next variant_begin(struct engine *engine, struct question *question);
/* Takes the end of a probe. */
void variant_probed(struct engine *engine, struct task *task, const struct transport_reply *reply);

#endif
