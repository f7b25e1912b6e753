/* SPDX-License-Identifier: MIT */
#include "tests/lib/live_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

struct error scene_failure;

const struct redis_reply *scene_do(const struct redis_reply *reply)
{
    if (reply == NULL) {
        fail_msg("%s", scene_failure.message);
    }
    return reply;
}

void scene_open_admin(struct scene *scene)
{
    redis_close(scene->admin);
    scene->admin = redis_open(redis_server_url(scene->server), 5000, &scene_failure);
    assert_non_null(scene->admin);
}

void scene_set_policy(struct scene *scene, enum policy_effects effects, uint64_t backoff_ms)
{
    struct policy policy;
    policy_preset(PRESET_SAFE, &policy);
    policy.value[POLICY_EFFECTS] = effects;
    policy.value[POLICY_BACKOFF_MS] = backoff_ms;
    buffer_reset(&scene->policy_text);
    policy_put_text(&scene->policy_text, &policy);
    struct sha256 hash = sha256_of(buffer_span(&scene->policy_text));
    scene->policy_hash = sha256_text(&hash);
}

int scene_set_up(void **fixture)
{
    static const char *const arguments[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    struct scene *scene = mem_zero(sizeof(*scene));
    scene->server = redis_server_start(arguments);
    scene_open_admin(scene);
    scene->state = state_create(0);
    scene->owner = "me";
    scene->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    scene_set_policy(scene, EFFECTS_APPLY, 0);
    *fixture = scene;
    return 0;
}

int scene_tear_down(void **fixture)
{
    struct scene *scene = *fixture;
    redis_close(scene->admin);
    redis_server_remove(scene->server);
    state_destroy(scene->state);
    buffer_fini(&scene->policy_text);
    buffer_fini(&scene->asked);
    close(scene->wake_fd);
    mem_free(scene);
    return 0;
}

static bool ask_scene(void *self, const struct effect_request *request)
{
    struct scene *scene = self;
    if (scene->refusals > 0) {
        scene->refusals--;
        return false;
    }
    buffer_put_text(&scene->asked, effect_kind_text(request->kind));
    buffer_put_byte(&scene->asked, ' ');
    buffer_put_span(&scene->asked, request->id);
    buffer_put_byte(&scene->asked, '\n');
    return true;
}

static void look(struct scene *scene)
{
    if (clock_boot_ms() > scene->deadline_ms) {
        scene->stop = 1;
        return;
    }
    scene->watch(scene);
}

static bool take_report(void *self, struct service_report *out)
{
    struct scene *scene = self;
    scene->looks++;
    look(scene);
    *out = scene->report;
    scene->report.kind = REPORT_NONE;
    return out->kind != REPORT_NONE;
}

static bool watch_append(void *self, const struct batch *batch, struct error *error)
{
    struct scene *scene = self;
    (void)error;
    scene->batches++;
    if (batch->count > 0) {
        scene->anchor = sha256_of(batch->entries[batch->count - 1].raw);
    }
    return true;
}

static bool watch_fold(void *self, const struct entry *entry, const struct state *state,
                       const struct fold_output *output, struct error *error)
{
    struct scene *scene = self;
    struct event event;
    struct span field;
    (void)state;
    (void)output;
    (void)error;
    if (codec_decode(entry, &event, &field) == CODEC_NONE) {
        scene->seen[event.type]++;
    }
    look(scene);
    return true;
}

struct live_config scene_config(struct scene *scene)
{
    return (struct live_config){
        .url = redis_server_url(scene->server),
        .prefix = "salvor",
        .queue_prefix = "",
        .partitions = 1,
        .tick_ms = TICK_MS,
        .lease_ms = LEASE_MS,
        .owner = scene->owner,
        .policy_text = buffer_span(&scene->policy_text),
        .policy_hash = scene->policy_hash.text,
        .applies = true,
        .asker = {.self = scene, .ask = ask_scene, .take_report = take_report},
        .wake_fd = scene->wake_fd,
        .stop = &scene->stop,
    };
}

/* Runs until the watcher stops it (true) or live work ends by itself (false, `failure`). */
bool scene_run(struct scene *scene, void (*watch)(struct scene *scene))
{
    struct live_config config = scene_config(scene);
    scene->watch = watch;
    scene->step = 0;
    scene->stop = 0;
    scene->deadline_ms = clock_boot_ms() + TEST_MS;
    memset(scene->seen, 0, sizeof(scene->seen));
    struct live *live = live_open(&config, &scene_failure);
    if (live == NULL) {
        return false;
    }
    live_resume(live, scene->committed, &scene->anchor);
    struct loop loop = {
        .state = scene->state,
        .source = live_source(live),
        .sinks = {live_sink(live),
                  {.name = "watch", .self = scene, .append = watch_append, .fold = watch_fold}},
        .sink_count = 2,
    };
    bool is_clean = loop_run(&loop, &scene_failure);
    live_close(live);
    assert_true(clock_boot_ms() < scene->deadline_ms);
    return is_clean;
}

void scene_run_clean(struct scene *scene, void (*watch)(struct scene *scene))
{
    if (!scene_run(scene, watch)) {
        fail_msg("%s", scene_failure.message);
    }
}

void assert_scene_ends(struct scene *scene, void (*watch)(struct scene *scene),
                       enum error_code code)
{
    assert_false(scene_run(scene, watch));
    if (scene_failure.code != code) {
        fail_msg("%s: %s", error_code_text(scene_failure.code), scene_failure.message);
    }
}

/* The type of the n-th entry of the stream. */
struct span scene_type_at(struct scene *scene, uint32_t index)
{
    const struct redis_reply *entries = DO(scene, "XRANGE", STREAM, "-", "+");
    const struct redis_reply *fields = redis_reply_at(redis_reply_at(entries, index), 1);
    return redis_reply_text(redis_reply_at(fields, 1));
}

void assert_scene_field(struct scene *scene, const char *key, const char *field, const char *wanted)
{
    struct span found = redis_reply_text(DO(scene, "HGET", key, field));
    if (!span_is(found, wanted)) {
        fail_msg("%s %s: found '%.*s'", key, field, SPAN_FORMAT(found));
    }
}

void until_three_ticks(struct scene *scene)
{
    scene->stop = scene->seen[EVENT_TICK] >= 3;
}

/* A job that worker w1 holds, in queue and stream. */
void lay_out_job(struct scene *scene)
{
    DO(scene, "HSET", "job:j1", "status", "in_progress", "retry_count", "0", "worker_id", "w1",
       "priority", "50", "created_at", "2025-10-04T12:30:15.250Z");
    DO(scene, "HSET", "jobs:active:w1", "j1", "{}");
    DO(scene, "HSET", "worker:w1", "status", "busy", "current_job_id", "j1");
    DO(scene, "XADD", STREAM, "*", "type", "worker.registered", "worker", "w1");
    DO(scene, "XADD", STREAM, "*", "type", "job.started", "job", "j1", "worker", "w1", "attempt",
       "1", "service", "comfyui");
}

void stop_worker(struct scene *scene)
{
    DO(scene, "XADD", STREAM, "*", "type", "worker.stopped", "worker", "w1");
}

void until_nothing_open(struct scene *scene)
{
    scene->stop =
        scene->seen[EVENT_EFFECT_SETTLED] >= 2 && state_summary(scene->state).effects_open == 0;
}
