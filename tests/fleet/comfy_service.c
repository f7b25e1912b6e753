/* SPDX-License-Identifier: MIT
 * A small HTTP service that speaks ComfyUI's two interfaces, the queue with its history and the
 * later /api/jobs, for tests, the demo and the bench.
 *
 *   comfy_service [--port N] [--slots N]
 *
 * Listens on 127.0.0.1 (port 0: any free one), prints the port on a line of its own, and ends on
 * SIGTERM, SIGINT or when the pipe on its stdin closes. A job runs for `prompt.duration_ms`; at
 * most `slots` run at the same time (0: any number; the real one has 1). `prompt.fail` (true or a
 * message) makes it fail, `prompt.images` says how many outputs it has. As there, everything is
 * kept in memory and a restart forgets it. Beside the protocol:
 *
 *   POST /control/lose    {"prompt_id": id}  forgets this job, as after a restart
 *   POST /control/restart                    forgets all jobs
 *   POST /control/finish  {"prompt_id": id}  the running or pending job ends now
 *   POST /control/set     {"delay_ms": N, "jobs": bool}  each answer takes so long (0); without
 *                         jobs it is a build that has the legacy interface alone
 *   GET  /control/journal                    what was asked: [{"method","path"}, …]
 *   GET  /control/counters                   {"requests", "answered", "most_at_once"}
 *
 * Each connection has a thread, so that answers under way do not wait for each other; what is
 * answered is found under one lock. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#include <microhttpd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "tests/lib/comfy_jobs.h"

#define JOURNAL_MAX  100000
#define BODY_MAX     ((size_t)1 << 20)
#define DELAY_MAX_MS 10000

struct request {
    const char *id;     /* of the path; "": it has none */
    const json_t *body; /* NULL: none that is JSON */
};

/* A request's answer; the body is owned. */
struct answer {
    unsigned status;
    json_t *body; /* NULL: an empty one */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all below and the jobs */
static size_t slots;
static int delay_ms;
static bool has_jobs = true;
static json_t *journal;
static json_int_t request_count, answered_count, now_count, most_count;

static struct answer answer_history(const struct request *request)
{
    struct comfy_job *job = comfy_job_find(request->id);
    bool is_told = job != NULL && !comfy_job_is_queued(job);
    return (struct answer){.status = 200,
                           .body = is_told ? json_pack("{s:o}", job->id, comfy_history_of(job))
                                           : json_object()};
}

static struct answer answer_queue(const struct request *request)
{
    (void)request;
    return (struct answer){.status = 200,
                           .body = json_pack("{s:o,s:o}", "queue_running",
                                             comfy_queue_of(COMFY_RUNNING), "queue_pending",
                                             comfy_queue_of(COMFY_PENDING))};
}

static struct answer answer_error(unsigned status, const char *type)
{
    return (struct answer){
        .status = status,
        .body = json_pack("{s:{s:s,s:s,s:s,s:{}},s:{}}", "error", "type", type, "message", type,
                          "details", "", "extra_info", "node_errors"),
    };
}

static struct answer answer_prompt(const struct request *request)
{
    json_t *prompt = json_object_get(request->body, "prompt");
    const char *wanted = json_string_value(json_object_get(request->body, "prompt_id"));
    if (!json_is_object(prompt)) {
        return answer_error(400, "no_prompt");
    }
    struct comfy_job *known = comfy_job_find(wanted);
    if (known != NULL && comfy_job_is_queued(known)) {
        return (struct answer){.status = 409,
                               .body = json_pack("{s:s}", "error", "prompt_id already exists")};
    }
    if (known != NULL) {
        comfy_job_forget(known);
    }
    struct comfy_job *job = comfy_job_add(wanted, prompt);
    if (job == NULL) {
        return answer_error(400, "queue_full");
    }
    comfy_jobs_advance(slots);
    return (struct answer){.status = 200,
                           .body = json_pack("{s:s,s:I,s:{}}", "prompt_id", job->id, "number",
                                             (json_int_t)job->number, "node_errors")};
}

static struct answer answer_delete(const struct request *request)
{
    json_t *list = json_object_get(request->body, "delete");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct comfy_job *job = comfy_job_find(json_string_value(json_array_get(list, i)));
        if (job != NULL && job->state == COMFY_PENDING) {
            comfy_job_forget(job);
        }
    }
    return (struct answer){.status = 200};
}

/* As there: without an id it interrupts whatever runs. */
static struct answer answer_interrupt(const struct request *request)
{
    const char *wanted = json_string_value(json_object_get(request->body, "prompt_id"));
    comfy_jobs_interrupt(wanted);
    comfy_jobs_advance(slots);
    return (struct answer){.status = 200};
}

static struct answer answer_job(const struct request *request)
{
    struct comfy_job *job = comfy_job_find(request->id);
    return job == NULL ? (struct answer){.status = 404,
                                         .body = json_pack("{s:s}", "error", "Job not found")}
                       : (struct answer){.status = 200, .body = comfy_detail_of(job)};
}

/* A pending job is taken out of the queue and forgotten, a running one is interrupted. */
static struct answer answer_cancel(const struct request *request)
{
    struct comfy_job *job = comfy_job_find(request->id);
    bool is_cancelled = job != NULL && comfy_job_is_queued(job);
    if (is_cancelled && job->state == COMFY_RUNNING) {
        comfy_jobs_interrupt(request->id);
    } else if (is_cancelled) {
        comfy_job_forget(job);
    }
    comfy_jobs_advance(slots);
    return (struct answer){.status = 200, .body = json_pack("{s:b}", "cancelled", is_cancelled)};
}

static struct answer answer_stats(const struct request *request)
{
    (void)request;
    return (struct answer){
        .status = 200,
        .body = json_pack("{s:{s:s},s:[]}", "system", "comfyui_version", "0.3.64", "devices")};
}

/* --- beside the protocol --- */

static struct answer answer_lose(const struct request *request)
{
    struct comfy_job *job =
        comfy_job_find(json_string_value(json_object_get(request->body, "prompt_id")));
    if (job == NULL) {
        return (struct answer){.status = 404};
    }
    comfy_job_forget(job);
    return (struct answer){.status = 200};
}

static struct answer answer_restart(const struct request *request)
{
    (void)request;
    comfy_jobs_forget_all();
    return (struct answer){.status = 200};
}

static struct answer answer_finish(const struct request *request)
{
    struct comfy_job *job =
        comfy_job_find(json_string_value(json_object_get(request->body, "prompt_id")));
    if (job == NULL) {
        return (struct answer){.status = 404};
    }
    comfy_job_end(job);
    return (struct answer){.status = 200};
}

static struct answer answer_set(const struct request *request)
{
    json_t *delay = json_object_get(request->body, "delay_ms");
    json_t *jobs = json_object_get(request->body, "jobs");
    json_int_t wanted_ms = delay == NULL ? delay_ms : json_integer_value(delay);
    if (wanted_ms < 0 || wanted_ms > DELAY_MAX_MS) {
        return (struct answer){.status = 400};
    }
    delay_ms = (int)wanted_ms;
    has_jobs = jobs == NULL ? has_jobs : json_is_true(jobs);
    return (struct answer){.status = 200};
}

static struct answer answer_journal(const struct request *request)
{
    (void)request;
    return (struct answer){.status = 200, .body = json_deep_copy(journal)};
}

static struct answer answer_counters(const struct request *request)
{
    (void)request;
    return (struct answer){.status = 200,
                           .body = json_pack("{s:I,s:I,s:I}", "requests", request_count, "answered",
                                             answered_count, "most_at_once", most_count)};
}

/* A path that ends in a slash is followed by an id, and that by `rest`. What the legacy interface
 * has is there under /api too. */
static const struct route {
    const char *method, *path, *rest;
    struct answer (*answer)(const struct request *request);
} routes[] = {
    {"GET", "/api/jobs/", "", answer_job},
    {"POST", "/api/jobs/", "/cancel", answer_cancel},
    {"GET", "/history/", "", answer_history},
    {"GET", "/queue", "", answer_queue},
    {"GET", "/system_stats", "", answer_stats},
    {"POST", "/prompt", "", answer_prompt},
    {"POST", "/queue", "", answer_delete},
    {"POST", "/interrupt", "", answer_interrupt},
    {"POST", "/control/lose", "", answer_lose},
    {"POST", "/control/restart", "", answer_restart},
    {"POST", "/control/finish", "", answer_finish},
    {"POST", "/control/set", "", answer_set},
    {"GET", "/control/journal", "", answer_journal},
    {"GET", "/control/counters", "", answer_counters},
};

#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

/* True when the path is the route's; `id` is what follows its first part. */
static bool route_matches(const struct route *route, const char *method, const char *path, char *id,
                          size_t id_size)
{
    size_t size = strlen(path), before = strlen(route->path), after = strlen(route->rest);
    bool has_id = route->path[before - 1] == '/';
    if (strcmp(route->method, method) != 0 || size < before + after ||
        strncmp(path, route->path, before) != 0 || strcmp(path + size - after, route->rest) != 0) {
        return false;
    }
    size_t between = size - before - after;
    if (between >= id_size || (between > 0) != has_id ||
        memchr(path + before, '/', between) != NULL) {
        return false;
    }
    memcpy(id, path + before, between);
    id[between] = 0;
    return true;
}

static struct answer answer_request(const char *method, const char *path, const json_t *body)
{
    char id[129];
    struct request request = {.id = id, .body = body};
    const char *plain = strncmp(path, "/api/", 5) == 0 ? path + 4 : path;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        bool is_of_jobs = strncmp(routes[i].path, "/api/", 5) == 0;
        if ((has_jobs || !is_of_jobs) &&
            route_matches(&routes[i], method, is_of_jobs ? path : plain, id, sizeof(id))) {
            return routes[i].answer(&request);
        }
    }
    return (struct answer){.status = 404};
}

/* `text`: JSON, taken over; NULL: an empty body. */
static enum MHD_Result reply_send(struct MHD_Connection *connection, unsigned status, char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(text != NULL ? strlen(text) : 0,
                                                                    text, MHD_RESPMEM_MUST_FREE);
    if (text != NULL) {
        MHD_add_response_header(response, "Content-Type", "application/json; charset=utf-8");
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Counts the request in; how long it is to take. */
static int begin_request(const char *method, const char *path)
{
    pthread_mutex_lock(&mutex);
    if (json_array_size(journal) < JOURNAL_MAX) {
        json_array_append_new(journal, json_pack("{s:s,s:s}", "method", method, "path", path));
    }
    request_count++;
    now_count++;
    most_count = now_count > most_count ? now_count : most_count;
    int wanted_ms = delay_ms;
    pthread_mutex_unlock(&mutex);
    return wanted_ms;
}

/* Takes the body over. Result: the status; `*text` is the caller's, NULL for an empty reply. */
static unsigned end_request(const char *method, const char *path, json_t *body, bool is_counted,
                            char **text)
{
    pthread_mutex_lock(&mutex);
    comfy_jobs_advance(slots);
    struct answer answer = answer_request(method, path, body);
    now_count -= is_counted;
    answered_count += is_counted;
    *text = answer.body != NULL ? json_dumps(answer.body, JSON_COMPACT) : NULL;
    json_decref(answer.body);
    json_decref(body);
    pthread_mutex_unlock(&mutex);
    return answer.status;
}

struct upload {
    char *data; /* owned */
    size_t size;
};

static enum MHD_Result on_request(void *closure, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    (void)closure;
    (void)version;
    struct upload *upload = *state;
    if (upload == NULL) {
        *state = mem_zero(sizeof(*upload));
        return MHD_YES;
    }
    if (*size > 0) {
        if (upload->size + *size > BODY_MAX) {
            return MHD_NO;
        }
        upload->data = mem_resize(upload->data, upload->size + *size);
        memcpy(upload->data + upload->size, data, *size);
        upload->size += *size;
        *size = 0;
        return MHD_YES;
    }
    /* The real one refuses whatever looks like a browser of another site. */
    if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Origin") != NULL) {
        return reply_send(connection, 403, NULL);
    }
    json_t *body = upload->size > 0 ? json_loadb(upload->data, upload->size, 0, NULL) : NULL;
    bool is_counted = strncmp(url, "/control/", 9) != 0;
    if (is_counted) {
        (void)poll(NULL, 0, begin_request(method, url));
    }
    char *text = NULL;
    unsigned status = end_request(method, url, body, is_counted, &text);
    return reply_send(connection, status, text);
}

static void on_completed(void *closure, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)closure;
    (void)connection;
    (void)code;
    struct upload *upload = *state;
    if (upload != NULL) {
        mem_free(upload->data);
        mem_free(upload);
    }
}

/* Returns when a signal comes or the pipe on stdin closes. A stdin that is no pipe is not watched:
 * a shell gives /dev/null to its background jobs. */
static void wait_for_end(int signals)
{
    struct stat stdin_stat;
    bool is_pipe = fstat(STDIN_FILENO, &stdin_stat) == 0 &&
                   (S_ISFIFO(stdin_stat.st_mode) || S_ISSOCK(stdin_stat.st_mode));
    struct pollfd fds[2] = {{.fd = signals, .events = POLLIN},
                            {.fd = is_pipe ? STDIN_FILENO : -1, .events = POLLIN}};
    for (;;) {
        char ignored[256];
        if (poll(fds, 2, -1) < 0 || fds[0].revents != 0) {
            return;
        }
        if (fds[1].revents != 0 && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0) {
            return;
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--port") == 0) {
            address.sin_port = htons((uint16_t)strtoul(argv[i + 1], NULL, 10));
        } else if (i + 1 < argc && strcmp(argv[i], "--slots") == 0) {
            slots = strtoul(argv[i + 1], NULL, 10);
        } else {
            fprintf(stderr, "usage: comfy_service [--port N] [--slots N]\n");
            return 2;
        }
    }
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    int signals = signalfd(-1, &ending, SFD_CLOEXEC);
    CHECK(signals >= 0);

    journal = json_array();
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL,
                         NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    if (daemon == NULL) {
        perror("comfy_service: cannot listen");
        return 3;
    }
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    wait_for_end(signals);

    MHD_stop_daemon(daemon);
    comfy_jobs_forget_all();
    json_decref(journal);
    close(signals);
    return 0;
}
