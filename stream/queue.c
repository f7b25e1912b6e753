/* SPDX-License-Identifier: MIT */
#include "stream/queue.h"

#include "base/check.h"

#include "queue_lua.h"

static const struct redis_script queue_script = {queue_lua, queue_lua_size};

enum queue_argument {
    KEY_CONTROL,
    KEY_STREAM,
    KEY_JOB,
    KEY_WORKER,
    KEY_PENDING,
    KEY_COMPLETED,
    KEY_FAILED,
    KEY_COUNT,
    ARGUMENT_KIND = KEY_COUNT,
    ARGUMENT_OWNER,
    ARGUMENT_EPOCH,
    ARGUMENT_EFFECT,
    ARGUMENT_PREFIX,
    ARGUMENT_JOB,
    ARGUMENT_WORKER,
    ARGUMENT_ATTEMPT,
    ARGUMENT_CLAIM,
    ARGUMENT_LOSSES,
    ARGUMENT_FAILURES,
    ARGUMENT_ERROR,
    ARGUMENT_RESULT,
    ARGUMENT_COUNT,
};

/* Texts that are put together for the call, one behind the other in one buffer. */
struct made_texts {
    struct buffer bytes;
    size_t ends[ARGUMENT_COUNT];
};

static void make_text(struct made_texts *made, enum queue_argument which, const char *prefix,
                      const char *name, struct span id)
{
    buffer_put_text(&made->bytes, prefix);
    buffer_put_text(&made->bytes, name);
    buffer_put_span(&made->bytes, id);
    made->ends[which] = made->bytes.size;
}

static void make_number(struct made_texts *made, enum queue_argument which, uint64_t number)
{
    buffer_put_decimal(&made->bytes, number);
    made->ends[which] = made->bytes.size;
}

/* The buffer may have moved while it grew: spans are taken when all is in it. */
static void lend_made(const struct made_texts *made, struct span *arguments)
{
    size_t begin = 0;
    for (int which = 0; which < ARGUMENT_COUNT; which++) {
        if (made->ends[which] > 0) {
            arguments[which] = (struct span){made->bytes.data + begin, made->ends[which] - begin};
            begin = made->ends[which];
        }
    }
}

enum effect_outcome queue_apply(struct redis *redis, const struct queue_place *place,
                                const struct effect_request *request, struct error *error)
{
    CHECK(request->kind > EFFECT_ASK && request->kind < EFFECT_CANCEL);
    CHECK(place->epoch > 0);
    const char *prefix = place->queue_prefix;
    /* In the order of the arguments. */
    struct made_texts made = {0};
    make_text(&made, KEY_JOB, prefix, "job:", request->job);
    make_text(&made, KEY_WORKER, prefix, "worker:", request->worker);
    make_text(&made, KEY_PENDING, prefix, "jobs:pending", SPAN_NONE);
    make_text(&made, KEY_COMPLETED, prefix, "jobs:completed", SPAN_NONE);
    make_text(&made, KEY_FAILED, prefix, "jobs:failed", SPAN_NONE);
    make_number(&made, ARGUMENT_EPOCH, place->epoch);
    make_number(&made, ARGUMENT_ATTEMPT, request->attempt);
    make_number(&made, ARGUMENT_LOSSES, request->losses);
    make_number(&made, ARGUMENT_FAILURES, request->failures);
    struct span arguments[ARGUMENT_COUNT] = {
        [KEY_CONTROL] = span_of(place->control),
        [KEY_STREAM] = span_of(place->stream),
        [ARGUMENT_KIND] = span_of(effect_kind_text(request->kind)),
        [ARGUMENT_OWNER] = span_of(place->owner),
        [ARGUMENT_EFFECT] = request->id,
        [ARGUMENT_PREFIX] = span_of(prefix),
        [ARGUMENT_JOB] = request->job,
        [ARGUMENT_WORKER] = request->worker,
        [ARGUMENT_CLAIM] = request->claim,
        [ARGUMENT_ERROR] = request->error,
        [ARGUMENT_RESULT] = request->result,
    };
    lend_made(&made, arguments);
    const struct redis_reply *reply =
        redis_run(redis, &queue_script, KEY_COUNT, arguments, ARGUMENT_COUNT, error);
    buffer_fini(&made.bytes);
    if (reply == NULL) {
        error_wrap(error, "effect %.*s", SPAN_FORMAT(request->id));
        return OUTCOME_NONE;
    }
    enum effect_outcome outcome = effect_outcome_named(redis_reply_text(redis_reply_at(reply, 0)));
    CHECK(outcome != OUTCOME_NONE);
    return outcome;
}
