/* SPDX-License-Identifier: MIT
 * The simulated workers' side of the queue. Every script is one atomic step; each appends its event
 * in the same step, so that queue and stream never disagree about what a worker did. */
#include "tests/lib/fleet_queue.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"

#define RECONNECT_MS  100
#define ARGUMENTS_MAX 64

struct queue {
    const char *url; /* borrowed */
    char stream[160];
    int stop_fd;           /* borrowed */
    redisContext *context; /* owned; NULL while not connected */
};

/* KEYS: jobs:pending, worker hash, stream. ARGV: worker, incarnation, services (JSON list), scan.
 * The founding system's claim: the best job whose service this worker has. A worker that lost the
 * reply of its claim gets the same job again. */
static const char CLAIM_SCRIPT[] =
    "local function as_map(list)\n"
    "  local map = {}\n"
    "  for i = 1, #list, 2 do map[list[i]] = list[i + 1] end\n"
    "  return map\n"
    "end\n"
    "local worker = ARGV[1]\n"
    "local current = redis.call('HGET', KEYS[2], 'current_job_id')\n"
    "if current and current ~= '' then\n"
    "  local job = as_map(redis.call('HGETALL', 'job:' .. current))\n"
    "  if job.worker_id == worker and (job.status == 'assigned' or job.status == 'in_progress')\n"
    "  then\n"
    "    return {current, job.assigned_at, tostring((tonumber(job.retry_count) or 0) + 1),\n"
    "            job.payload or '{}', job.max_retries or '3'}\n"
    "  end\n"
    "end\n"
    "for _, id in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, ARGV[4] - 1)) do\n"
    "  local key = 'job:' .. id\n"
    "  local list = redis.call('HGETALL', key)\n"
    "  local job = as_map(list)\n"
    "  local matches = false\n"
    "  for _, service in ipairs(cjson.decode(ARGV[3])) do\n"
    "    matches = matches or job.service_required == service\n"
    "  end\n"
    "  if matches and redis.call('ZREM', KEYS[1], id) == 1 then\n"
    "    local now = redis.call('TIME')\n"
    "    local claim = now[1] .. '.' .. string.format('%06d', now[2])\n"
    "    redis.call('HSET', key, 'status', 'assigned', 'worker_id', worker, 'assigned_at', claim)\n"
    "    redis.call('HSET', 'jobs:active:' .. worker, id, cjson.encode(job))\n"
    "    redis.call('HSET', KEYS[2], 'status', 'busy', 'current_job_id', id,\n"
    "               'last_status_change', claim)\n"
    "    redis.call('PUBLISH', 'job_claimed', cjson.encode({job_id = id, worker_id = worker,\n"
    "               status = 'claimed', claimed_at = claim}))\n"
    "    local attempt = tostring((tonumber(job.retry_count) or 0) + 1)\n"
    "    local event = {'type', 'job.claimed', 'job', id, 'worker', worker, 'attempt', attempt,\n"
    "                   'claim', claim, 'incarnation', ARGV[2], 'service', job.service_required,\n"
    "                   'max_retries', job.max_retries or '3'}\n"
    "    for _, name in ipairs({'timeout_ms', 'idempotent', 'salvor_losses', 'salvor_failures'}) "
    "do\n"
    "      if job[name] and job[name] ~= '' then\n"
    "        event[#event + 1] = string.gsub(name, '^salvor_', '')\n"
    "        event[#event + 1] = job[name]\n"
    "      end\n"
    "    end\n"
    "    redis.call('XADD', KEYS[3], '*', unpack(event))\n"
    "    return {id, claim, attempt, job.payload or '{}', job.max_retries or '3'}\n"
    "  end\n"
    "end\n"
    "return false\n";

/* KEYS: job hash, worker hash, stream. ARGV: worker, attempt, job, kind, what it brings, ISO time,
 * then the event. Kinds: tell, started, completed; failed leaves the job as it is,
 * retry and final are what the founding system's worker does. 0: not this worker's any more. */
static const char STEP_SCRIPT[] =
    "local job = redis.call('HMGET', KEYS[1], 'status', 'worker_id', 'retry_count')\n"
    "local held = job[1] == 'assigned' or job[1] == 'in_progress'\n"
    "if not held or job[2] ~= ARGV[1] or (tonumber(job[3]) or 0) + 1 ~= tonumber(ARGV[2]) then\n"
    "  return 0\n"
    "end\n"
    "local kind, brought, iso = ARGV[4], ARGV[5], ARGV[6]\n"
    "if #ARGV > 6 then redis.call('XADD', KEYS[3], '*', unpack(ARGV, 7)) end\n"
    "if kind == 'started' then\n"
    "  redis.call('HSET', KEYS[1], 'status', 'in_progress', 'started_at', iso)\n"
    "elseif kind == 'completed' then\n"
    "  redis.call('HSET', KEYS[1], 'status', 'completed', 'completed_at', iso)\n"
    "  redis.call('HDEL', 'jobs:active:' .. ARGV[1], ARGV[3])\n"
    "  redis.call('HSET', 'jobs:completed', ARGV[3], cjson.encode({success = true,\n"
    "             data = brought, completed_at = iso}))\n"
    "  redis.call('EXPIRE', 'jobs:completed', 86400)\n"
    "  redis.call('PUBLISH', 'complete_job', cjson.encode({job_id = ARGV[3],\n"
    "             worker_id = ARGV[1], progress = 100, status = 'completed', result = brought}))\n"
    "end\n"
    "if kind == 'retry' or kind == 'final' then\n"
    "  redis.call('HDEL', 'jobs:active:' .. ARGV[1], ARGV[3])\n"
    "  redis.call('HSET', KEYS[1], 'last_failed_worker', ARGV[1], 'failed_at', iso)\n"
    "end\n"
    "if kind == 'retry' then\n"
    "  local priority = tonumber(redis.call('HGET', KEYS[1], 'priority')) or 50\n"
    "  local score = priority * 1e15 - redis.call('TIME')[1]\n"
    "  redis.call('HSET', KEYS[1], 'status', 'pending', 'retry_count', ARGV[2],\n"
    "             'worker_id', '', 'assigned_at', '')\n"
    "  redis.call('ZADD', 'jobs:pending', string.format('%.17g', score), ARGV[3])\n"
    "elseif kind == 'final' then\n"
    "  redis.call('HSET', KEYS[1], 'status', 'failed', 'error', brought)\n"
    "  redis.call('HSET', 'jobs:failed', ARGV[3], cjson.encode({error = brought,\n"
    "             failed_at = iso, retry_count = ARGV[2]}))\n"
    "  redis.call('EXPIRE', 'jobs:failed', 604800)\n"
    "  redis.call('PUBLISH', 'job_failed', cjson.encode({job_id = ARGV[3],\n"
    "             worker_id = ARGV[1], status = 'failed', error = brought, can_retry = false}))\n"
    "end\n"
    "if kind ~= 'tell' and kind ~= 'started' then\n"
    "  redis.call('HSET', KEYS[2], 'status', 'idle', 'current_job_id', '')\n"
    "end\n"
    "return 1\n";

static const char LET_GO_SCRIPT[] =
    "if redis.call('HGET', KEYS[1], 'current_job_id') == ARGV[1] then\n"
    "  redis.call('HSET', KEYS[1], 'status', 'idle', 'current_job_id', '')\n"
    "end\n";

static redisContext *connect_once(const char *url)
{
    struct timeval limit = {.tv_sec = 5};
    redisContext *context = NULL;
    char host[128];
    int port;
    if (strncmp(url, "unix://", 7) == 0) {
        context = redisConnectUnixWithTimeout(url + 7, limit);
    } else if (sscanf(url, "redis://%127[^:]:%d", host, &port) == 2) {
        context = redisConnectWithTimeout(host, port, limit);
    } else {
        fprintf(stderr, "fleet: \"%s\" is no Redis; allowed: unix:///path, redis://host:port\n",
                url);
        exit(2);
    }
    if (context != NULL && context->err != 0) {
        redisFree(context);
        return NULL;
    }
    if (context != NULL) {
        redisSetTimeout(context, limit);
    }
    return context;
}

static void disconnect(struct queue *queue)
{
    if (queue->context != NULL) {
        redisFree(queue->context);
        queue->context = NULL;
    }
}

struct queue *queue_open(const char *url, const char *prefix, int stop_fd)
{
    struct queue *queue = mem_zero(sizeof(*queue));
    queue->url = url;
    queue->stop_fd = stop_fd;
    snprintf(queue->stream, sizeof(queue->stream), "%s:{0}:events", prefix);
    queue->context = connect_once(url);
    return queue;
}

void queue_close(struct queue *queue)
{
    disconnect(queue);
    mem_free(queue);
}

/* The words of one command; all borrowed. */
struct command {
    const char *words[ARGUMENTS_MAX];
    int count;
};

static void command_put(struct command *command, const char *word)
{
    CHECK(command->count < ARGUMENTS_MAX);
    command->words[command->count++] = word;
}

static void command_put_list(struct command *command, const char *const *words)
{
    for (; words != NULL && *words != NULL; words++) {
        command_put(command, *words);
    }
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Sends until there is a reply; one that is lost is sent again, as a real worker would. A refusal
 * by Redis itself is waited out too: LOADING, OOM. */
static redisReply *command_run(struct queue *queue, const struct command *command)
{
    for (;;) {
        if (queue->context == NULL) {
            queue->context = connect_once(queue->url);
        }
        if (queue->context != NULL) {
            const char **words = (const char **)(uintptr_t)command->words;
            redisReply *reply = redisCommandArgv(queue->context, command->count, words, NULL);
            if (reply != NULL && reply->type != REDIS_REPLY_ERROR) {
                return reply;
            }
            if (reply == NULL) {
                disconnect(queue);
            } else {
                fprintf(stderr, "fleet: Redis: %s\n", reply->str);
                freeReplyObject(reply);
            }
        }
        struct pollfd stop = {.fd = queue->stop_fd, .events = POLLIN};
        if (poll(&stop, 1, RECONNECT_MS) > 0) {
            exit(3);
        }
    }
}

static void run(struct queue *queue, const char *const *words)
{
    struct command command = {0};
    command_put_list(&command, words);
    freeReplyObject(command_run(queue, &command));
}

struct iso_time {
    char text[40];
};

static struct iso_time iso_of(uint64_t wall_ms)
{
    struct iso_time iso;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t size = strftime(iso.text, sizeof(iso.text), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(iso.text + size, sizeof(iso.text) - size, ".%03uZ", (unsigned)(wall_ms % 1000));
    return iso;
}

struct key {
    char text[QUEUE_ID_MAX + 32];
};

static struct key key_of(const char *start, const char *id)
{
    struct key key;
    snprintf(key.text, sizeof(key.text), "%s%s", start, id);
    return key;
}

/* A setting of the payload as text; `otherwise` when it has none. */
static const char *setting(const struct json *payload, const char *pointer, const char *otherwise,
                           struct buffer *scratch)
{
    const struct json *found = json_find(payload, span_of(pointer));
    if (found == NULL) {
        return otherwise;
    }
    buffer_reset(scratch);
    if (json_kind(found) == JSON_KIND_TEXT) {
        buffer_put_span(scratch, json_text(found));
    } else {
        json_write(found, scratch);
    }
    buffer_put_byte(scratch, 0);
    return scratch->data;
}

void queue_submit(struct queue *queue, const char *id, const char *payload)
{
    enum { SERVICE, PRIORITY, RETRIES, TIMEOUT, IDEMPOTENT, SETTINGS };
    struct buffer scratch[SETTINGS] = {{0}};
    struct error error = {0};
    struct json *settings = json_parse(span_of(payload), &error);
    if (settings == NULL) {
        fprintf(stderr, "fleet: job %s: %s\n", id, error.message);
        exit(2);
    }
    const char *service = setting(settings, "/service_name", "comfyui", &scratch[SERVICE]);
    const char *priority = setting(settings, "/priority", "50", &scratch[PRIORITY]);
    const char *retries = setting(settings, "/max_retries", "3", &scratch[RETRIES]);
    const char *timeout = setting(settings, "/timeout_ms", NULL, &scratch[TIMEOUT]);
    const char *idempotent = setting(settings, "/idempotent", "false", &scratch[IDEMPOTENT]);
    struct key key = key_of("job:", id);
    uint64_t now_ms = clock_wall_ms();
    char score[40];
    snprintf(score, sizeof(score), "%.17g",
             strtod(priority, NULL) * 1e15 - (double)(now_ms / 1000));
    run(queue, LIST("HSET", key.text, "id", id, "service_required", service, "priority", priority,
                    "payload", payload, "requirements", "", "customer_id", "", "created_at",
                    iso_of(now_ms).text, "status", "pending", "retry_count", "0", "max_retries",
                    retries, "workflow_id", "", "worker_id", "", "assigned_at", "", "timeout_ms",
                    timeout != NULL ? timeout : "", "idempotent", idempotent));
    run(queue, LIST("XADD", queue->stream, "*", "type", "job.submitted", "job", id, "service",
                    service, "max_retries", retries, "priority", priority, "idempotent", idempotent,
                    timeout != NULL ? "timeout_ms" : NULL, timeout));
    run(queue, LIST("ZADD", "jobs:pending", score, id));
    for (size_t i = 0; i < SETTINGS; i++) {
        buffer_fini(&scratch[i]);
    }
    json_destroy(settings);
}

void queue_register(struct queue *queue, const char *worker, const char *service_url,
                    uint64_t heartbeat_ms, uint64_t incarnation)
{
    char services[256];
    struct key key = key_of("worker:", worker);
    struct iso_time now = iso_of(clock_wall_ms());
    snprintf(services, sizeof(services), "%s%s simulation",
             service_url != NULL ? "comfyui=" : "comfyui", service_url != NULL ? service_url : "");
    run(queue, LIST("HSET", key.text, "worker_id", worker, "machine_id", "fleet", "status", "idle",
                    "current_job_id", "", "connected_at", now.text, "last_heartbeat", now.text,
                    "capabilities", "{}"));
    run(queue, LIST("SADD", "workers:active", worker));
    run(queue, LIST("XADD", queue->stream, "*", "type", "worker.registered", "worker", worker,
                    "machine", "fleet", "services", services, "heartbeat_ms",
                    number_text(heartbeat_ms).text, "incarnation", number_text(incarnation).text));
}

bool queue_heartbeat(struct queue *queue, const char *worker, uint64_t incarnation,
                     const struct queue_job *job)
{
    struct iso_time now = iso_of(clock_wall_ms());
    struct key key = key_of("worker:", worker), alive;
    snprintf(alive.text, sizeof(alive.text), "worker:%s:heartbeat", worker);
    bool is_held = job == NULL || queue_tell(queue, worker, job, NULL, NULL);
    run(queue, LIST("HSET", key.text, "last_heartbeat", now.text));
    run(queue, LIST("SETEX", alive.text, "60", now.text));
    run(queue, LIST("XADD", queue->stream, "*", "type", "worker.heartbeat", "worker", worker,
                    "incarnation", number_text(incarnation).text,
                    job != NULL && is_held ? "job" : NULL, job != NULL ? job->id : NULL));
    return is_held;
}

bool queue_claim(struct queue *queue, const char *worker, uint64_t incarnation,
                 struct queue_job *out)
{
    struct key key = key_of("worker:", worker);
    struct command command = {0};
    struct error error = {0};
    struct number_text number = number_text(incarnation);
    command_put_list(&command,
                     LIST("EVAL", CLAIM_SCRIPT, "3", "jobs:pending", key.text, queue->stream,
                          worker, number.text, "[\"comfyui\",\"simulation\"]", "100"));
    redisReply *reply = command_run(queue, &command);
    bool is_claimed = reply->type == REDIS_REPLY_ARRAY && reply->elements == 5;
    if (is_claimed) {
        redisReply **parts = reply->element;
        *out = (struct queue_job){.attempt = strtoull(parts[2]->str, NULL, 10),
                                  .max_retries = strtoull(parts[4]->str, NULL, 10)};
        snprintf(out->id, sizeof(out->id), "%s", parts[0]->str);
        snprintf(out->claim, sizeof(out->claim), "%s", parts[1]->str);
        out->payload = json_parse((struct span){parts[3]->str, parts[3]->len}, &error);
        CHECK(out->payload != NULL); /* queue_submit looked at it */
    }
    freeReplyObject(reply);
    return is_claimed;
}

void queue_job_fini(struct queue_job *job)
{
    json_destroy(job->payload);
    *job = (struct queue_job){0};
}

/* One step, fenced. `type` NULL: without an event. */
static bool step(struct queue *queue, const char *worker, const struct queue_job *job,
                 const char *kind, const char *brought, const char *type, const char *const *fields)
{
    struct key job_key = key_of("job:", job->id), worker_key = key_of("worker:", worker);
    struct number_text attempt = number_text(job->attempt);
    struct iso_time now = iso_of(clock_wall_ms());
    struct command command = {0};
    command_put_list(&command,
                     LIST("EVAL", STEP_SCRIPT, "3", job_key.text, worker_key.text, queue->stream,
                          worker, attempt.text, job->id, kind, brought, now.text));
    if (type != NULL) {
        command_put_list(&command, LIST("type", type, "job", job->id, "worker", worker, "attempt",
                                        attempt.text));
        command_put_list(&command, fields);
    }
    redisReply *reply = command_run(queue, &command);
    bool is_done = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    freeReplyObject(reply);
    return is_done;
}

bool queue_started(struct queue *queue, const char *worker, const struct queue_job *job)
{
    return step(queue, worker, job, "started", "", "job.started", LIST("claim", job->claim));
}

bool queue_tell(struct queue *queue, const char *worker, const struct queue_job *job,
                const char *type, const char *const *fields)
{
    return step(queue, worker, job, "tell", "", type, fields);
}

bool queue_completed(struct queue *queue, const char *worker, const struct queue_job *job,
                     const char *result)
{
    return step(queue, worker, job, "completed", result, "job.completed", LIST("result", result));
}

bool queue_failed(struct queue *queue, const char *worker, const struct queue_job *job,
                  const char *error, bool is_retryable, bool is_left_to_salvor)
{
    const char *kind = "failed";
    if (!is_left_to_salvor) {
        is_retryable = is_retryable && job->attempt < job->max_retries;
        kind = is_retryable ? "retry" : "final";
    }
    return step(queue, worker, job, kind, error, "job.failed",
                LIST("error", error, "retryable", is_retryable ? "true" : "false"));
}

void queue_let_go(struct queue *queue, const char *worker, const struct queue_job *job)
{
    struct key key = key_of("worker:", worker);
    run(queue, LIST("EVAL", LET_GO_SCRIPT, "1", key.text, job->id));
}

void queue_unregister(struct queue *queue, const char *worker)
{
    struct key key = key_of("worker:", worker), alive;
    snprintf(alive.text, sizeof(alive.text), "worker:%s:heartbeat", worker);
    run(queue, LIST("DEL", key.text, alive.text));
    run(queue, LIST("SREM", "workers:active", worker));
    run(queue, LIST("XADD", queue->stream, "*", "type", "worker.stopped", "worker", worker,
                    "reason", "told to stop"));
}
