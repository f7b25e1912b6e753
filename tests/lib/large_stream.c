/* SPDX-License-Identifier: MIT */
#include "tests/lib/large_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "reducers/fold.h"
#include "reducers/policy.h"

#define HEARTBEAT_PERCENT 60
#define BEGIN_MS          UINT64_C(1767225600000)
#define TICK_MS           250
#define TICK_EVENTS       80 /* so many events to a tick: each worker is heard every three seconds */

/* The life of a job that goes well, one event a row. */
static const struct step {
    enum event_type type;
    uint64_t fields;
    uint64_t progress;
} steps[] = {
    {EVENT_JOB_SUBMITTED, F(JOB) | F(SERVICE) | F(MAX_RETRIES) | F(PRIORITY) | F(TIMEOUT_MS), 0},
    {EVENT_JOB_CLAIMED, FIELDS_TOKEN | F(CLAIM), 0},
    {EVENT_JOB_STARTED, FIELDS_TOKEN, 0},
    {EVENT_JOB_HANDED_OFF, FIELDS_TOKEN | F(SERVICE) | F(SERVICE_JOB) | F(SUBMITTED_AT), 0},
    {EVENT_JOB_PROGRESS, FIELDS_TOKEN | F(PROGRESS), 25},
    {EVENT_JOB_PROGRESS, FIELDS_TOKEN | F(PROGRESS), 75},
    {EVENT_JOB_COMPLETED, FIELDS_TOKEN | F(RESULT), 0},
};

#define STEPS      (uint32_t)(sizeof(steps) / sizeof(steps[0]))
#define STEP_CLAIM 1
#define STEPS_OPEN 3 /* from the claim to the hand-over */

static void put_text(struct event *event, enum event_field field, const char *text)
{
    event->value[field].text = span_of(text);
}

/* A text that looks like the ids that producers make. */
static void make_id(char *out, size_t size, uint64_t seed, uint64_t number)
{
    uint64_t high = hash_number(seed, number);
    uint64_t low = hash_number(high, number);
    snprintf(out, size, "%08x-%04x-%04x-%04x-%012" PRIx64, (unsigned)(high >> 32),
             (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff), (unsigned)(low >> 48),
             low & UINT64_C(0xffffffffffff));
}

static void put_step(struct large_stream *stream, uint64_t job, const struct step *step,
                     struct event *out)
{
    make_id(stream->job, sizeof(stream->job), 1, job);
    make_id(stream->service_job, sizeof(stream->service_job), 2, job);
    snprintf(stream->claim, sizeof(stream->claim), "%016" PRIx64, hash_number(3, job));
    snprintf(stream->result, sizeof(stream->result), "https://results.example/%s.png", stream->job);
    out->type = step->type;
    out->present = step->fields | F(AT);
    put_text(out, FIELD_JOB, stream->job);
    put_text(out, FIELD_SERVICE, "comfyui");
    put_text(out, FIELD_SERVICE_JOB, stream->service_job);
    put_text(out, FIELD_CLAIM, stream->claim);
    put_text(out, FIELD_RESULT, stream->result);
    out->value[FIELD_MAX_RETRIES].number = 3;
    out->value[FIELD_PRIORITY].number = 50;
    out->value[FIELD_TIMEOUT_MS].number = 600000;
    out->value[FIELD_ATTEMPT].number = 1;
    out->value[FIELD_SUBMITTED_AT].number = BEGIN_MS + stream->count;
    out->value[FIELD_PROGRESS].number = step->progress;
    out->value[FIELD_AT].number = BEGIN_MS + stream->count;
}

static void put_heartbeat(struct large_stream *stream, const struct large_stream_worker *worker,
                          struct event *out)
{
    out->type = EVENT_WORKER_HEARTBEAT;
    out->present = F(WORKER);
    if (worker->step > STEP_CLAIM) {
        make_id(stream->job, sizeof(stream->job), 1, worker->job);
        put_text(out, FIELD_JOB, stream->job);
        out->present |= F(JOB);
    }
}

static const char *const service_names[] = {"comfyui", "openai", "simulation", "a1111"};

/* Four services, each with a key of its own. */
static void put_policy(struct large_stream *stream, struct event *out)
{
    struct policy policy;
    struct buffer text = {0};
    policy_preset(PRESET_SAFE, &policy);
    for (size_t i = 0; i < sizeof(service_names) / sizeof(service_names[0]); i++) {
        CHECK(policy_set_service(&policy, span_of(service_names[i]), POLICY_JOB_TIMEOUT_MS,
                                 1200000 + i));
    }
    policy_put_text(&text, &policy);
    CHECK(text.size <= sizeof(stream->policy));
    memcpy(stream->policy, text.data, text.size);
    out->type = EVENT_POLICY;
    out->present = F(TEXT) | F(ORIGIN) | F(HASH);
    out->value[FIELD_TEXT].text = (struct span){stream->policy, text.size};
    put_text(out, FIELD_ORIGIN, "operator");
    put_text(out, FIELD_HASH, "0");
    buffer_fini(&text);
}

/* The epoch, the policy, then a tick after so many events. True when this event is one of them. */
static bool put_leaders(struct large_stream *stream, struct event *out)
{
    if (stream->count == 1) {
        put_policy(stream, out);
    } else if (stream->count % TICK_EVENTS == 0) {
        bool is_epoch = stream->count == 0;
        out->type = is_epoch ? EVENT_EPOCH : EVENT_TICK;
        out->present = FIELDS_LEADER | F(WALL_MS) |
                       (is_epoch ? F(TIMELINE) | F(REDUCERS) | F(ORDINAL) : F(ELAPSED_MS));
        put_text(out, FIELD_OWNER, "5d1f9f3a6f0b4c7e");
        out->value[FIELD_EPOCH].number = out->value[FIELD_TIMELINE].number = 1;
        out->value[FIELD_REDUCERS].number = REDUCERS_VERSION;
        out->value[FIELD_ORDINAL].number = 0;
        out->value[FIELD_ELAPSED_MS].number = TICK_MS;
        out->value[FIELD_WALL_MS].number = BEGIN_MS + stream->count / TICK_EVENTS * TICK_MS;
    } else {
        return false;
    }
    stream->count++;
    return true;
}

void large_stream_next(struct large_stream *stream, struct event *out)
{
    CHECK(stream->kind != LARGE_STREAM_NONE);
    if (stream->kind == LARGE_STREAM_LED && put_leaders(stream, out)) {
        return;
    }
    uint64_t dice = hash_number(4, stream->count);
    uint64_t index = dice / 100 % LARGE_STREAM_WORKERS;
    if (stream->kind == LARGE_STREAM_OPEN_JOBS) {
        index = stream->jobs % LARGE_STREAM_WORKERS;
    }
    struct large_stream_worker *worker = &stream->workers[index];
    snprintf(stream->worker, sizeof(stream->worker), "machine-%03u-gpu-%u", (unsigned)(index / 8),
             (unsigned)(index % 8));
    put_text(out, FIELD_WORKER, stream->worker);
    if (stream->kind == LARGE_STREAM_OPEN_JOBS) {
        put_step(stream, stream->jobs, &steps[STEP_CLAIM + stream->count % STEPS_OPEN], out);
        stream->jobs += stream->count % STEPS_OPEN == STEPS_OPEN - 1;
    } else if (stream->kind == LARGE_STREAM_HEARTBEATS || dice % 100 < HEARTBEAT_PERCENT) {
        put_heartbeat(stream, worker, out);
    } else {
        if (worker->step == 0) {
            worker->job = stream->jobs++;
        }
        put_step(stream, worker->job, &steps[worker->step], out);
        worker->step = (worker->step + 1) % STEPS;
    }
    stream->count++;
}
