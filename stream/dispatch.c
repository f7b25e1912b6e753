/* SPDX-License-Identifier: MIT */
#include "stream/dispatch.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"

#define NOTED_MAX    ((size_t)16 << 20) /* bytes of ids; beyond it all open effects are walked */
#define ASK_AGAIN_MS 50                 /* when the asker had no room */

struct dispatcher {
    const struct live_config *config; /* borrowed */
    struct patience patience;
    struct redis *redis;   /* owned; NULL without a connection */
    struct buffer noted;   /* ids, sized, in the order they were asked for */
    struct buffer unasked; /* the same, of questions and cancels that the asker had no room for */
    bool must_walk_all;
    bool is_refused;     /* the last try met a Redis that is away or refuses */
    uint64_t due_ms;     /* of the next try; 0: at once */
    uint64_t ask_due_ms; /* of the next try to ask */
};

struct dispatcher *dispatcher_create(const struct live_config *config,
                                     const struct patience *patience)
{
    struct dispatcher *dispatcher = mem_zero(sizeof(*dispatcher));
    dispatcher->config = config;
    dispatcher->patience = *patience;
    return dispatcher;
}

void dispatcher_destroy(struct dispatcher *dispatcher)
{
    if (dispatcher == NULL) {
        return;
    }
    redis_close(dispatcher->redis);
    buffer_fini(&dispatcher->noted);
    buffer_fini(&dispatcher->unasked);
    mem_free(dispatcher);
}

static void note_id(struct dispatcher *dispatcher, struct buffer *list, struct span id)
{
    if (list->size + id.size > NOTED_MAX) {
        dispatcher->must_walk_all = true;
    } else {
        buffer_put_sized(list, id);
    }
}

void dispatcher_note(struct dispatcher *dispatcher, const struct fold_output *output)
{
    for (uint32_t i = 0; i < output->change_count; i++) {
        const struct effect_change *change = &output->changes[i];
        if (change->outcome == OUTCOME_NONE && change->decision.size > 0) {
            note_id(dispatcher, &dispatcher->noted, change->id);
        }
    }
}

void dispatcher_note_all(struct dispatcher *dispatcher)
{
    buffer_reset(&dispatcher->noted);
    buffer_reset(&dispatcher->unasked);
    dispatcher->must_walk_all = true;
}

uint64_t dispatcher_due_ms(const struct dispatcher *dispatcher)
{
    bool has_some = dispatcher->noted.size > 0 || dispatcher->must_walk_all;
    uint64_t send_ms = has_some ? dispatcher->due_ms : UINT64_MAX;
    uint64_t ask_ms = dispatcher->unasked.size > 0 ? dispatcher->ask_due_ms : UINT64_MAX;
    return send_ms < ask_ms ? send_ms : ask_ms;
}

/* False: there was no room. */
static bool ask(struct dispatcher *dispatcher, const struct effect_request *request)
{
    const struct live_asker *asker = &dispatcher->config->asker;
    bool is_asked = asker->ask(asker->self, request);
    if (!is_asked) {
        dispatcher->ask_due_ms = clock_boot_ms() + ASK_AGAIN_MS;
    }
    return is_asked;
}

static bool send_effect(struct dispatcher *dispatcher, const struct queue_place *place,
                        const struct effect_request *request, struct error *error)
{
    if (request->kind == EFFECT_ASK || request->kind == EFFECT_CANCEL) {
        if (dispatcher->unasked.size > 0 || !ask(dispatcher, request)) {
            note_id(dispatcher, &dispatcher->unasked, request->id);
        }
        return true;
    }
    if (dispatcher->redis != NULL && redis_is_broken(dispatcher->redis)) {
        redis_close(dispatcher->redis);
        dispatcher->redis = NULL;
    }
    if (dispatcher->redis == NULL) {
        dispatcher->redis = redis_open(dispatcher->config->url, REDIS_COMMAND_MS, error);
    }
    if (dispatcher->redis == NULL ||
        queue_apply(dispatcher->redis, place, request, error) == OUTCOME_NONE) {
        return false;
    }
    crash_point(CRASH_OUTCOME_APPENDED);
    return true;
}

/* Notes every open effect, while there is room. */
static void walk_all(struct dispatcher *dispatcher, const struct state *state)
{
    dispatcher->must_walk_all = false;
    buffer_reset(&dispatcher->unasked);
    const struct effect *cursor = NULL;
    struct effect_request request;
    while (!dispatcher->must_walk_all && state_next_open_effect(state, &cursor, &request)) {
        note_id(dispatcher, &dispatcher->noted, request.id);
    }
}

/* Drops the ids that were sent: all but the last `rest` bytes of the list. */
static void forget_sent(struct buffer *list, struct span rest)
{
    if (rest.size == 0) {
        buffer_reset(list);
        return;
    }
    struct buffer kept = {0};
    buffer_put_span(&kept, rest);
    buffer_fini(list);
    *list = kept;
}

/* Asks what the asker had no room for, until it has none again. */
static void ask_again(struct dispatcher *dispatcher, const struct state *state)
{
    struct reader ids = {.rest = buffer_span(&dispatcher->unasked)};
    struct span unasked = ids.rest;
    struct effect_request request;
    while (ids.rest.size > 0 &&
           (!state_open_effect(state, reader_sized(&ids), &request) || ask(dispatcher, &request))) {
        unasked = ids.rest;
    }
    if (unasked.size < dispatcher->unasked.size) {
        forget_sent(&dispatcher->unasked, unasked);
    }
}

static bool postpone(struct dispatcher *dispatcher, struct span rest, const struct error *error)
{
    if (!dispatcher->is_refused) {
        log_fact(LOG_WARNING, "effects_wait", "because", error->message, NULL);
    }
    forget_sent(&dispatcher->noted, rest);
    dispatcher->is_refused = true;
    dispatcher->due_ms = clock_boot_ms() + patience_next_ms(&dispatcher->patience);
    return true;
}

bool dispatcher_run(struct dispatcher *dispatcher, const struct queue_place *place,
                    const struct state *state, struct error *error)
{
    uint64_t begin_ms = clock_boot_ms();
    if (begin_ms >= dispatcher->ask_due_ms) {
        ask_again(dispatcher, state);
    }
    if (begin_ms < dispatcher->due_ms) {
        return true;
    }
    if (dispatcher->must_walk_all && dispatcher->noted.size == 0) {
        walk_all(dispatcher, state);
    }
    struct reader ids = {.rest = buffer_span(&dispatcher->noted)};
    dispatcher->due_ms = 0;
    while (ids.rest.size > 0 && clock_boot_ms() - begin_ms <= dispatcher->config->tick_ms) {
        struct span unsent = ids.rest;
        struct effect_request request;
        /* It may have been withdrawn, or answered, since it was noted. */
        if (state_open_effect(state, reader_sized(&ids), &request) &&
            !send_effect(dispatcher, place, &request, error)) {
            return redis_is_for_now(error) ? postpone(dispatcher, unsent, error) : false;
        }
    }
    forget_sent(&dispatcher->noted, ids.rest);
    if (dispatcher->is_refused) {
        log_fact(LOG_INFO, "effects_go_on", NULL);
    }
    dispatcher->is_refused = false;
    patience_reset(&dispatcher->patience);
    return true;
}
