/* SPDX-License-Identifier: MIT
 * The engine's endpoints: found, judged by how their requests end, forgotten. */
#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "connectors/engine_parts.h"

static void on_pause_over(void *context, void *owner)
{
    engine_review(context, owner);
}

static void forget(struct engine *engine, struct endpoint *endpoint)
{
    alarms_clear(&engine->alarms, &endpoint->alarm);
    endpoint_unready(endpoint);
    lookup_remove(&engine->endpoints, &endpoint->by_key);
    TAILQ_REMOVE(&engine->uses, endpoint, uses);
    endpoint_destroy(endpoint);
}

/* Forgets what is long unused; false when there is no room for one more. */
static bool make_room(struct engine *engine, uint64_t now_ms)
{
    struct endpoint *oldest = TAILQ_FIRST(&engine->uses);
    while (oldest != NULL && endpoint_is_idle(oldest) &&
           now_ms - oldest->used_ms >= ENDPOINT_IDLE_MS) {
        forget(engine, oldest);
        oldest = TAILQ_FIRST(&engine->uses);
    }
    while (engine->endpoints.count == ENDPOINTS_MAX && oldest != NULL) {
        struct endpoint *following = TAILQ_NEXT(oldest, uses);
        if (endpoint_is_idle(oldest)) {
            forget(engine, oldest);
        }
        oldest = following;
    }
    return engine->endpoints.count < ENDPOINTS_MAX;
}

struct endpoint *engine_endpoint(struct engine *engine, struct service *service,
                                 struct span authority)
{
    uint64_t now_ms = clock_boot_ms();
    buffer_reset(&engine->scratch);
    endpoint_put_key(&engine->scratch, service, authority);
    struct endpoint *endpoint = lookup_find(&engine->endpoints, buffer_span(&engine->scratch));
    if (endpoint != NULL) {
        TAILQ_REMOVE(&engine->uses, endpoint, uses);
    } else if (make_room(engine, now_ms)) {
        endpoint = endpoint_create(service, authority);
        endpoint->alarm = (struct alarm){.ring = on_pause_over, .owner = endpoint};
        lookup_put(&engine->endpoints, &endpoint->by_key, buffer_span(&endpoint->key), endpoint);
    } else {
        return NULL;
    }
    endpoint->used_ms = now_ms;
    TAILQ_INSERT_TAIL(&engine->uses, endpoint, uses);
    return endpoint;
}

void engine_review(struct engine *engine, struct endpoint *endpoint)
{
    endpoint_review(endpoint, engine->config.per_host, clock_boot_ms());
}

void engine_tell(struct engine *engine, const struct endpoint *endpoint)
{
    struct buffer capabilities = {0};
    endpoint_put_capabilities(endpoint, &capabilities);
    const struct service_report report = {
        .kind = REPORT_PROBED,
        .service = span_of(endpoint->service->name),
        .endpoint = endpoint->authority,
        .capabilities = buffer_span(&capabilities),
        .breaker = span_of(breaker_text(&endpoint->breaker)),
    };
    engine->events.probed(engine->events.context, &report);
    buffer_fini(&capabilities);
}

/* Reports and logs where the breaker has moved from `before`. */
static void tell_move(struct engine *engine, const struct endpoint *endpoint,
                      enum breaker_state before)
{
    const struct breaker *breaker = &endpoint->breaker;
    if (breaker->state == before) {
        return;
    }
    struct buffer authority = {0};
    buffer_put_span(&authority, endpoint->authority);
    buffer_put_byte(&authority, 0);
    log_fact(breaker->state == BREAKER_OPEN ? LOG_WARNING : LOG_INFO, "breaker", "service",
             endpoint->service->name, "endpoint", authority.data, "state", breaker_text(breaker),
             NULL);
    buffer_fini(&authority);
    engine_tell(engine, endpoint);
}

const char *engine_admission(struct engine *engine, struct endpoint *endpoint)
{
    enum breaker_state before = endpoint->breaker.state;
    bool is_admitted = breaker_admits(&endpoint->breaker, clock_boot_ms());
    tell_move(engine, endpoint, before);
    return is_admitted ? NULL : "breaker_open";
}

static void pause_endpoint(struct engine *engine, struct endpoint *endpoint, uint64_t pause_ms)
{
    endpoint_pause(endpoint, pause_ms, clock_boot_ms());
    alarms_set(&engine->alarms, &endpoint->alarm, endpoint->paused_until);
}

void engine_judge_endpoint(struct engine *engine, const struct task *task,
                           const struct transport_reply *reply, bool is_unwilling)
{
    struct endpoint *endpoint = task->endpoint;
    enum breaker_state before = endpoint->breaker.state;
    bool is_patient =
        reply->retry_after_ms > 0 && (is_unwilling || reply->http == 429 || reply->http == 503);
    if (is_patient) {
        pause_endpoint(engine, endpoint, reply->retry_after_ms);
    }
    /* Whoever names the time of return is alive. */
    bool is_failure =
        reply->end == TRANSPORT_NO_REPLY || (is_unwilling && reply->http >= 500 && !is_patient);
    if (reply->end == TRANSPORT_REFUSED) {
        breaker_untry(&endpoint->breaker, task->trial);
    } else if (is_failure) {
        breaker_fail(&endpoint->breaker, task->trial, clock_boot_ms());
    } else {
        breaker_succeed(&endpoint->breaker);
    }
    if (reply->end != TRANSPORT_REFUSED) {
        endpoint_set_standing(endpoint, is_failure ? ENDPOINT_UNPROVEN : ENDPOINT_PROVEN);
    }
    tell_move(engine, endpoint, before);
    engine_review(engine, endpoint);
    if (endpoint->breaker.state == BREAKER_OPEN && before != BREAKER_OPEN) {
        task_fail_queued(engine, endpoint, "breaker_open");
    }
}

void engine_free_endpoints(struct engine *engine)
{
    while (!TAILQ_EMPTY(&engine->uses)) {
        struct endpoint *endpoint = TAILQ_FIRST(&engine->uses);
        while (!TAILQ_EMPTY(&endpoint->queue)) {
            struct task *task = TAILQ_FIRST(&endpoint->queue);
            TAILQ_REMOVE(&endpoint->queue, task, links);
            task_destroy(engine, task);
        }
        forget(engine, endpoint);
    }
}
