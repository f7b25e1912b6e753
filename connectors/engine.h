/* SPDX-License-Identifier: MIT
 * The engine of questions: takes them, sends their requests as far as services, hosts, rates and
 * breakers allow, and hands them back with their answers. One thread uses it.
 *
 *   question ──► cached answer? ──► the profile's next request ──► endpoint's queue ──► transport
 *      ▲                                      ▲                                            │
 *      └── finished ◄── decided? ─────────────┴────────────── the reply, judged ◄──────────┘
 */
#ifndef SALVOR_CONNECTORS_ENGINE_H
#define SALVOR_CONNECTORS_ENGINE_H

#include "connectors/question.h"

#define ACTIVE_MAX           512 /* requests under way, of all services */
#define SHARED_QUESTIONS_MAX 512 /* that one reply serves */

struct engine;

/* What the engine tells its owner, from within engine_ask and engine_run. */
struct engine_events {
    void *context;
    /* Hands the question over. */
    void (*finished)(void *context, struct question *question);
    /* The report is borrowed. */
    void (*probed)(void *context, const struct service_report *report);
};

/* The result is the caller's. */
struct engine *engine_create(const struct connectors_config *config,
                             const struct engine_events *events);
/* Borrowed until the engine is destroyed. Before the first question. */
void engine_add_service(struct engine *engine, struct service *service);
/* Takes the question over, which has a service with a profile, until it is finished. */
void engine_ask(struct engine *engine, struct question *question);
/* Sends what can be sent and takes what came, waiting for it up to `wait_ms`. */
void engine_run(struct engine *engine, uint64_t wait_ms);
/* Ends the wait of engine_run; any thread. */
void engine_wake(struct engine *engine);
/* Drops what is under way. Accepts NULL. */
void engine_destroy(struct engine *engine);

#endif
