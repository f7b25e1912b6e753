/* SPDX-License-Identifier: MIT
 * Bytes are read as a state. What is not refused is written as it was read, and stands up to any
 * entries that follow: the first bytes choose them, of jobs, workers and effects that the state
 * knows. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "reducers/codec.h"
#include "reducers/fold.h"
#include "reducers/tables.h"

#define ENTRIES_MAX  24
#define CHOICE_BYTES 4 /* of an entry: its kind, its entities, its attempt, a word */
#define PAIRS_MAX    16
#define FIRST_STEP   1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct following {
    struct state *state;
    struct fold_output output;
    struct arena arena;
    struct buffer raw;
    struct span names[PAIRS_MAX], values[PAIRS_MAX];
    uint32_t pair_count;
    const uint8_t *choice; /* CHOICE_BYTES of them */
};

static void add(struct following *following, const char *name, struct span value)
{
    CHECK(following->pair_count < PAIRS_MAX);
    if (value.size > 0) {
        following->names[following->pair_count] = span_of(name);
        following->values[following->pair_count++] = arena_copy(&following->arena, value);
    }
}

static void add_text(struct following *following, const char *name, const char *value)
{
    add(following, name, span_of(value));
}

static void add_number(struct following *following, const char *name, uint64_t number)
{
    add_text(following, name, number_text(number).text);
}

static void add_leader(struct following *following)
{
    add(following, "owner", following->state->owner);
    add_number(following, "epoch", following->state->epoch);
}

/* The n-th entity, or the first ones when there are fewer; NULL: there is none. */
static void *entity_at(const struct table *table, unsigned number)
{
    void *entity = table_oldest(table);
    for (; number > 0 && entity != NULL && table_next(entity) != NULL; number--) {
        entity = table_next(entity);
    }
    return entity;
}

static struct job *chosen_job(const struct following *following)
{
    return entity_at(&following->state->jobs, following->choice[1] & 7);
}

static struct worker *chosen_worker(const struct following *following)
{
    return entity_at(&following->state->workers, following->choice[1] >> 3 & 7);
}

static struct effect *chosen_effect(const struct following *following)
{
    return entity_at(&following->state->effects, following->choice[1] >> 3 & 15);
}

static void add_worker(struct following *following)
{
    const struct worker *worker = chosen_worker(following);
    add(following, "worker", worker == NULL ? SPAN("w1") : worker->node.key);
}

/* The token by which the state knows the job, or one beside it. */
static void add_token(struct following *following)
{
    const struct job *job = chosen_job(following);
    uint8_t beside = following->choice[2];
    uint64_t attempt = job == NULL ? 0 : job->core.attempt % COUNT_MAX;
    add(following, "job", job == NULL ? SPAN("j1") : job->node.key);
    add_number(following, "attempt", attempt + (beside & 1));
    if (job != NULL && job->holder != NULL && (beside & 2) == 0) {
        add(following, "worker", job->holder->node.key);
    } else {
        add_worker(following);
    }
}

static const char *chosen_word(const struct following *following, const char *const *words,
                               unsigned count)
{
    return words[following->choice[3] % count];
}

#define CHOSEN(following, ...)                                   \
    chosen_word((following), (const char *const[]){__VA_ARGS__}, \
                sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void put_tick(struct following *following)
{
    add_text(following, "type", "tick");
    add_leader(following);
    add_text(following, "elapsed_ms", CHOSEN(following, "1000", "61000", "9999999", "0"));
    add_text(following, "gap_ms", following->choice[2] % 2 == 0 ? "0" : "600000");
    add_text(following, "wall_ms", "1");
}

static void put_epoch(struct following *following)
{
    const struct state *state = following->state;
    add_text(following, "type", "epoch");
    add_text(following, "owner", "leader");
    add_number(following, "epoch", state->epoch + FIRST_STEP);
    add_number(following, "timeline", state->timeline);
    add_number(following, "reducers", REDUCERS_VERSION);
    add_text(following, "ordinal", "1");
    add_text(following, "wall_ms", "1");
}

static void put_policy(struct following *following)
{
    add_text(following, "type", "policy");
    add_text(following, "text",
             CHOSEN(following, "effects=apply\n", "effects=observe\n",
                    "backoff_ms=0\non_timeout=retry\neffects=apply\n",
                    "on_running=cancel\nask_backoff_ms=0\n",
                    "mass_loss_percent=1\nmass_loss_min=0\n",
                    "requeue_percent=0\nservice_check_percent=0\n", "remember=1\npoison_after=1\n",
                    "claim_timeout_ms=1\ngrace_ms=0\nhold_pace=1\n"));
    add_text(following, "origin", "operator");
    add_text(following, "hash", "cafe");
}

static void put_word_of_worker(struct following *following)
{
    add_text(following, "type",
             CHOSEN(following, "worker.heartbeat", "worker.lost", "worker.stopped",
                    "worker.stopping", "worker.registered"));
    add_worker(following);
    add_text(following, "incarnation", following->choice[2] % 4 == 1 ? "2" : "");
}

static void put_word_of_job(struct following *following)
{
    const char *type =
        CHOSEN(following, "job.claimed", "job.started", "job.handed_off", "job.progress",
               "job.completed", "job.failed", "job.cancelled", "job.submitted");
    add_text(following, "type", type);
    add_token(following);
    if (strcmp(type, "job.handed_off") == 0) {
        add_text(following, "service", "comfyui");
        add_text(following, "service_job", following->choice[2] % 4 < 2 ? "p1" : "p2");
    }
    add_text(following, "progress", strcmp(type, "job.progress") == 0 ? "50" : "");
    add_text(following, "retryable",
             strcmp(type, "job.failed") == 0 && following->choice[2] % 8 > 3 ? "false" : "");
}

static void put_order(struct following *following)
{
    add_text(following, "type",
             CHOSEN(following, "operator.requeue", "operator.complete", "operator.fail",
                    "operator.cancel", "operator.hold", "operator.resume"));
    add_text(following, "who", "ann");
    add_text(following, "why", "look");
    if (following->choice[2] % 8 == 0) {
        add_worker(following);
    } else if (following->choice[2] % 8 > 1 && chosen_job(following) != NULL) {
        add(following, "job", chosen_job(following)->node.key);
    }
}

static void put_outcome(struct following *following)
{
    const struct effect *effect = chosen_effect(following);
    bool is_ask = effect != NULL && effect->kind == EFFECT_ASK;
    add_text(following, "type", is_ask ? "service.answered" : "effect.settled");
    add_leader(following);
    add(following, is_ask ? "question" : "effect", effect == NULL ? SPAN("e") : effect->node.key);
    if (is_ask) {
        add(following, "job", effect->job);
        add_number(following, "attempt", effect->attempt % COUNT_MAX);
        add_text(following, "verdict",
                 CHOSEN(following, "completed", "failed", "cancelled", "pending", "running",
                        "not_found", "unreachable", "no_profile"));
    } else {
        add_text(following, "outcome",
                 CHOSEN(following, "applied", "stale", "gone", "failed", "observed", "accepted",
                        "already_final", "refused", "unsupported", "unknown", "published"));
        add_text(following, "found",
                 following->choice[2] % 4 == 0   ? "status=pending\nattempt=1"
                 : following->choice[2] % 4 == 1 ? "status=in_progress\nworker=w1\nattempt=2"
                 : following->choice[2] % 4 == 2 ? "status=assigned\nworker=w2"
                                                 : "status=completed");
    }
}

typedef void (*put_fn)(struct following *following);

static const put_fn puts_of[] = {put_tick,  put_epoch,       put_policy,  put_word_of_worker,
                                 put_order, put_word_of_job, put_outcome, put_tick};

static void fold_next(struct following *following)
{
    struct state *state = following->state;
    struct stream_id id = {state->position.ms, state->position.seq + 1};
    following->pair_count = 0;
    puts_of[following->choice[0] % (sizeof puts_of / sizeof puts_of[0])](following);
    buffer_reset(&following->raw);
    codec_put_raw(&following->raw, following->names, following->values, following->pair_count);
    struct entry entry = {.id = id, .raw = buffer_span(&following->raw)};
    fold_entry(state, &entry, &following->output);
    arena_reset(&following->arena);
    CHECK(state_is_sound(state));
}

/* Every open effect can be carried out. */
static void see_effects(const struct state *state)
{
    const struct effect *cursor = NULL;
    struct effect_request request;
    while (state_next_open_effect(state, &cursor, &request)) {
        CHECK(state_open_effect(state, request.id, &request));
    }
}

static void check_written(const struct state *state, struct span read)
{
    struct buffer bytes = {0};
    state_encode(state, &bytes);
    CHECK(read.size == 0 || span_equal(buffer_span(&bytes), read));
    struct state *again = state_decode(buffer_span(&bytes));
    CHECK(again != NULL);
    state_destroy(again);
    buffer_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct following following; /* its buffers are kept from input to input */
    size_t count = size == 0 ? 0 : data[0] % ENTRIES_MAX;
    size_t begin = 1 + count * CHOICE_BYTES;
    if (size < begin) {
        return 0;
    }
    struct span bytes = {(const char *)data + begin, size - begin};
    struct state *state = state_decode(bytes);
    if (state == NULL) {
        return 0;
    }
    check_written(state, bytes);
    see_effects(state);
    following.state = state;
    for (size_t i = 0; i < count && state->position.seq < UINT64_MAX; i++) {
        following.choice = data + 1 + i * CHOICE_BYTES;
        fold_next(&following);
    }
    see_effects(state);
    check_written(state, SPAN_NONE);
    state_destroy(state);
    return 0;
}
