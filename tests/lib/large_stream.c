/* SPDX-License-Identifier: MIT */
#include "tests/lib/large_stream.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"

#define HEARTBEAT_PERCENT 60
#define BEGIN_MS          UINT64_C(1767225600000)

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

void large_stream_next(struct large_stream *stream, struct event *out)
{
    CHECK(stream->kind != LARGE_STREAM_NONE);
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
