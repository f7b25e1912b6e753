/* SPDX-License-Identifier: MIT
 * The life of one simulated worker. One loop, woken by what is due next; the job is looked at every
 * LOOK_MS, as long as it is still this worker's. */
#include "tests/lib/fleet_worker.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "tests/lib/fleet_queue.h"

#define LOOK_MS        50
#define SERVICE_S      5
#define RESULT_MAX     1024
#define REPLY_SIZE_MAX ((size_t)8 << 20)

enum stage { STAGE_IDLE = 1, STAGE_HERE, STAGE_AT_SERVICE };

struct worker {
    const struct worker_config *config;
    struct queue *queue; /* owned */
    CURL *easy;          /* owned; keeps its connection */
    uint64_t incarnation, heartbeat_due_ms;
    enum stage stage;
    struct queue_job job; /* while not idle */
    uint64_t ends_ms;     /* in STAGE_HERE */
    uint64_t started_ms;
    int64_t duration_ms;
    int64_t progress_told;
    char service_job[40]; /* in STAGE_AT_SERVICE */
};

static const struct json *payload_of(const struct worker *worker, const char *pointer)
{
    return json_find(worker->job.payload, span_of(pointer));
}

static bool is_false(const struct json *value)
{
    return json_kind(value) == JSON_KIND_BOOLEAN && !json_truth(value);
}

/* --- the service --- */

static size_t on_body(char *data, size_t one, size_t size, void *closure)
{
    struct buffer *body = closure;
    (void)one;
    if (body->size + size > REPLY_SIZE_MAX) {
        return 0;
    }
    buffer_put(body, data, size);
    return size;
}

/* The parsed reply, the caller's; NULL without a good one. `json` NULL: a GET. */
static struct json *service_ask(struct worker *worker, const char *path, const char *json)
{
    char url[512];
    long status = 0;
    struct buffer body = {0};
    struct error error = {0};
    snprintf(url, sizeof(url), "%s%s", worker->config->service, path);
    curl_easy_reset(worker->easy);
    curl_easy_setopt(worker->easy, CURLOPT_URL, url);
    curl_easy_setopt(worker->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(worker->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(worker->easy, CURLOPT_TIMEOUT, (long)SERVICE_S);
    curl_easy_setopt(worker->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(worker->easy, CURLOPT_WRITEDATA, &body);
    if (json != NULL) {
        curl_easy_setopt(worker->easy, CURLOPT_POSTFIELDS, json);
    }
    if (curl_easy_perform(worker->easy) == CURLE_OK) {
        curl_easy_getinfo(worker->easy, CURLINFO_RESPONSE_CODE, &status);
    }
    struct json *reply = status == 200 ? json_parse(buffer_span(&body), &error) : NULL;
    buffer_fini(&body);
    return reply;
}

/* Chosen before anything is sent, and the same whenever this attempt is made: a UUID in form. */
static void choose_service_job(struct worker *worker)
{
    uint64_t high = hash_number(hash_bytes(span_of(worker->job.id)), worker->job.attempt);
    uint64_t low = hash_number(high, 1);
    snprintf(worker->service_job, sizeof(worker->service_job), "%08x-%04x-4%03x-8%03x-%012llx",
             (unsigned)(high >> 32), (unsigned)(high >> 16) & 0xffff, (unsigned)high & 0xfff,
             (unsigned)(low >> 48) & 0xfff, (unsigned long long)(low & 0xffffffffffff));
}

/* --- the job --- */

static void become_idle(struct worker *worker)
{
    queue_job_fini(&worker->job);
    worker->stage = STAGE_IDLE;
}

static void let_go(struct worker *worker)
{
    printf("%s lets go of %s\n", worker->config->id, worker->job.id);
    queue_let_go(worker->queue, worker->config->id, &worker->job);
    become_idle(worker);
}

static void complete(struct worker *worker, const char *result)
{
    if (queue_completed(worker->queue, worker->config->id, &worker->job, result)) {
        become_idle(worker);
    } else {
        let_go(worker);
    }
}

static void fail(struct worker *worker, const char *message)
{
    bool is_retryable = !is_false(payload_of(worker, "/retryable"));
    if (queue_failed(worker->queue, worker->config->id, &worker->job, message, is_retryable,
                     worker->config->leaves_failures)) {
        become_idle(worker);
    } else {
        let_go(worker);
    }
}

static void die_if_told(struct worker *worker, const char *when)
{
    if (worker->job.attempt != 1 || !span_is(json_text(payload_of(worker, "/die")), when)) {
        return;
    }
    if (json_truth(payload_of(worker, "/lose")) && worker->config->service != NULL) {
        char body[80];
        snprintf(body, sizeof(body), "{\"prompt_id\":\"%s\"}", worker->service_job);
        json_destroy(service_ask(worker, "/control/lose", body));
    }
    printf("%s dies with %s\n", worker->config->id, worker->job.id);
    fflush(stdout);
    raise(SIGKILL);
}

/* Tells the stream the id before the service has it: should the worker die in between, the question
 * can still be asked. */
static bool hand_off(struct worker *worker)
{
    char submitted_at[24];
    struct buffer body = {0};
    choose_service_job(worker);
    snprintf(submitted_at, sizeof(submitted_at), "%llu", (unsigned long long)clock_wall_ms());
    const char *const fields[] = {"service",      "comfyui",    "service_job", worker->service_job,
                                  "submitted_at", submitted_at, NULL};
    buffer_put_text(&body, "{\"prompt\":");
    json_write(worker->job.payload, &body);
    json_put_text(&body, "prompt_id", span_of(worker->service_job));
    buffer_put(&body, "}", 2);
    bool is_ours =
        queue_tell(worker->queue, worker->config->id, &worker->job, "job.handed_off", fields);
    if (is_ours) {
        json_destroy(service_ask(worker, "/prompt", body.data));
        worker->stage = STAGE_AT_SERVICE;
        die_if_told(worker, "after_hand_off");
    } else {
        let_go(worker);
    }
    buffer_fini(&body);
    return is_ours;
}

static void start_job(struct worker *worker)
{
    worker->duration_ms = 0;
    json_number(payload_of(worker, "/duration_ms"), &worker->duration_ms);
    worker->started_ms = clock_boot_ms();
    worker->ends_ms = worker->started_ms + (uint64_t)worker->duration_ms;
    worker->progress_told = 0;
    die_if_told(worker, "after_claim");
    if (!queue_started(worker->queue, worker->config->id, &worker->job)) {
        let_go(worker);
        return;
    }
    die_if_told(worker, "after_start");
    if (worker->config->service == NULL || is_false(payload_of(worker, "/service"))) {
        worker->stage = STAGE_HERE;
    } else {
        hand_off(worker);
    }
}

/* Quarters of the way, each told once. */
static void tell_progress(struct worker *worker)
{
    if (worker->duration_ms <= 0) {
        return;
    }
    int64_t used_ms = (int64_t)(clock_boot_ms() - worker->started_ms);
    int64_t progress = used_ms * 4 / worker->duration_ms * 25;
    if (progress <= worker->progress_told || progress >= 100) {
        return;
    }
    char text[24];
    const char *const fields[] = {"progress", text, NULL};
    snprintf(text, sizeof(text), "%lld", (long long)progress);
    worker->progress_told = progress;
    queue_tell(worker->queue, worker->config->id, &worker->job, "job.progress", fields);
}

static void look_here(struct worker *worker)
{
    if (clock_boot_ms() < worker->ends_ms) {
        tell_progress(worker);
        return;
    }
    const struct json *reason = payload_of(worker, "/fail");
    if (json_truth(reason)) {
        fail(worker, "told to fail");
    } else if (json_text(reason).size > 0) {
        fail(worker, json_text(reason).data);
    } else {
        complete(worker, "{\"done\":true}");
    }
}

/* The history knows how the job ended. */
static void end_as_told(struct worker *worker, const struct json *item)
{
    struct buffer result = {0};
    const struct json *outputs = json_find(item, SPAN("/outputs"));
    if (!span_is(json_text(json_find(item, SPAN("/status/status_str"))), "success")) {
        struct span message = json_text(
            json_find(item, SPAN("/status/messages/[0=execution_error]/1/exception_message")));
        fail(worker, message.size > 0 ? message.data : "the service says error");
        return;
    }
    if (outputs != NULL) {
        json_write(outputs, &result);
    }
    if (result.size > RESULT_MAX) {
        buffer_reset(&result);
        buffer_put_text(&result, "{\"url\":\"/history/");
        buffer_put_text(&result, worker->service_job);
        buffer_put_text(&result, "\"}");
    }
    buffer_put_byte(&result, 0);
    complete(worker, result.data);
    buffer_fini(&result);
}

static bool is_queued(const struct json *queue, const char *list, const char *id)
{
    char pointer[128];
    snprintf(pointer, sizeof(pointer), "/%s/[1=%s]", list, id);
    return json_find(queue, span_of(pointer)) != NULL;
}

/* The queue first, then the history: a job moves from one to the other. */
static void look_at_service(struct worker *worker)
{
    char path[80], pointer[64];
    snprintf(path, sizeof(path), "/history/%s", worker->service_job);
    snprintf(pointer, sizeof(pointer), "/%s", worker->service_job);
    struct json *queue = service_ask(worker, "/queue", NULL);
    bool is_under_way = is_queued(queue, "queue_running", worker->service_job) ||
                        is_queued(queue, "queue_pending", worker->service_job);
    struct json *history = queue != NULL && !is_under_way ? service_ask(worker, path, NULL) : NULL;
    const struct json *item = json_find(history, span_of(pointer));
    if (item != NULL) {
        end_as_told(worker, item);
    } else if (history != NULL) {
        fail(worker, "the service does not know the job");
    } else {
        tell_progress(worker); /* under way, or the service is silent */
    }
    json_destroy(history);
    json_destroy(queue);
}

static void look(struct worker *worker)
{
    switch (worker->stage) {
    case STAGE_IDLE:
        if (queue_claim(worker->queue, worker->config->id, worker->incarnation, &worker->job)) {
            start_job(worker);
        }
        break;
    case STAGE_HERE:
        look_here(worker);
        break;
    case STAGE_AT_SERVICE:
        look_at_service(worker);
        break;
    }
    fflush(stdout);
}

static void heartbeat(struct worker *worker)
{
    const struct queue_job *job = worker->stage == STAGE_IDLE ? NULL : &worker->job;
    if (!queue_heartbeat(worker->queue, worker->config->id, worker->incarnation, job)) {
        let_go(worker);
    }
    worker->heartbeat_due_ms = clock_boot_ms() + worker->config->heartbeat_ms;
}

int worker_run(const struct worker_config *config)
{
    struct worker worker = {
        .config = config,
        .queue = queue_open(config->redis, config->prefix, config->signals),
        .easy = curl_easy_init(),
        .incarnation = clock_wall_ms(),
        .stage = STAGE_IDLE,
    };
    struct pollfd stop = {.fd = config->signals, .events = POLLIN};
    CHECK(worker.easy != NULL);
    queue_register(worker.queue, config->id, config->service, config->heartbeat_ms,
                   worker.incarnation);
    do {
        if (clock_boot_ms() >= worker.heartbeat_due_ms) {
            heartbeat(&worker);
        }
        look(&worker);
    } while (poll(&stop, 1, LOOK_MS) == 0);
    if (worker.stage != STAGE_IDLE) {
        queue_job_fini(&worker.job);
    }
    queue_unregister(worker.queue, config->id);
    queue_close(worker.queue);
    curl_easy_cleanup(worker.easy);
    return 0;
}
