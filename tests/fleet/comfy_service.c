/* SPDX-License-Identifier: MIT
 * A small HTTP service that speaks ComfyUI's queue and history protocol, for tests and the demo.
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
 *   GET  /control/journal                    what was asked: [{"method","path"}, …]
 *
 * Jobs move when a request looks at them, so one thread is enough and nothing needs a lock. */
#include <arpa/inet.h>
#include <poll.h>
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
#include "base/clock.h"

#define JOBS_MAX    10000 /* as ComfyUI's history: the oldest finished one goes first */
#define JOURNAL_MAX 100000
#define BODY_MAX    ((size_t)1 << 20)

enum job_state { JOB_NONE, JOB_PENDING, JOB_RUNNING, JOB_SUCCEEDED, JOB_FAILED, JOB_INTERRUPTED };

struct job {
    char id[129];
    enum job_state state;
    uint64_t number;
    uint64_t ends_ms; /* while running */
    json_t *prompt;   /* owned */
};

/* A request's answer; the body is owned until it is sent. */
struct answer {
    unsigned status;
    json_t *body; /* NULL: an empty one */
};

/* Oldest first. */
static struct job jobs[JOBS_MAX];
static size_t job_count;
static uint64_t next_number = 1;
static size_t slots;
static json_t *journal;

static struct job *job_find(const char *id)
{
    for (size_t i = job_count; id != NULL && i > 0; i--) {
        if (strcmp(jobs[i - 1].id, id) == 0) {
            return &jobs[i - 1];
        }
    }
    return NULL;
}

static void job_forget(struct job *job)
{
    size_t index = (size_t)(job - jobs);
    json_decref(job->prompt);
    memmove(job, job + 1, (job_count - index - 1) * sizeof(*job));
    job_count--;
}

static bool job_is_queued(const struct job *job)
{
    return job->state == JOB_PENDING || job->state == JOB_RUNNING;
}

static void job_end(struct job *job)
{
    json_t *fail = json_object_get(job->prompt, "fail");
    job->state = json_is_true(fail) || json_is_string(fail) ? JOB_FAILED : JOB_SUCCEEDED;
}

/* Ends what has run its time and starts what finds a free slot. */
static void jobs_advance(void)
{
    uint64_t now = clock_boot_ms();
    size_t running = 0;
    for (size_t i = 0; i < job_count; i++) {
        if (jobs[i].state == JOB_RUNNING && now >= jobs[i].ends_ms) {
            job_end(&jobs[i]);
        }
        running += jobs[i].state == JOB_RUNNING;
    }
    for (size_t i = 0; i < job_count && (slots == 0 || running < slots); i++) {
        if (jobs[i].state == JOB_PENDING) {
            json_int_t duration =
                json_integer_value(json_object_get(jobs[i].prompt, "duration_ms"));
            jobs[i].state = JOB_RUNNING;
            jobs[i].ends_ms = now + (duration > 0 ? (uint64_t)duration : 0);
            running++;
        }
    }
}

static json_t *queue_of(enum job_state state)
{
    json_t *list = json_array();
    for (size_t i = 0; i < job_count; i++) {
        if (jobs[i].state == state) {
            json_array_append_new(list, json_pack("[I,s,O,{},[]]", (json_int_t)jobs[i].number,
                                                  jobs[i].id, jobs[i].prompt));
        }
    }
    return list;
}

static json_t *messages_of(const struct job *job)
{
    json_t *fail = json_object_get(job->prompt, "fail");
    const char *message = json_is_string(fail) ? json_string_value(fail) : "told to fail";
    json_t *list = json_pack("[[s,{s:s}],[s,{s:[],s:s}]]", "execution_start", "prompt_id", job->id,
                             "execution_cached", "nodes", "prompt_id", job->id);
    if (job->state == JOB_SUCCEEDED) {
        json_array_append_new(list,
                              json_pack("[s,{s:s}]", "execution_success", "prompt_id", job->id));
    } else if (job->state == JOB_FAILED) {
        json_array_append_new(list,
                              json_pack("[s,{s:s,s:s,s:s}]", "execution_error", "prompt_id",
                                        job->id, "exception_message", message, "node_id", "9"));
    } else {
        json_array_append_new(
            list, json_pack("[s,{s:s}]", "execution_interrupted", "prompt_id", job->id));
    }
    return list;
}

static json_t *outputs_of(const struct job *job)
{
    if (job->state != JOB_SUCCEEDED) {
        return json_object();
    }
    json_t *wanted = json_object_get(job->prompt, "images");
    json_int_t count = json_is_integer(wanted) ? json_integer_value(wanted) : 1;
    json_t *images = json_array();
    for (json_int_t i = 0; i < count; i++) {
        char name[160];
        snprintf(name, sizeof(name), "%s_%05lld_.png", job->id, (long long)i + 1);
        json_array_append_new(images, json_pack("{s:s,s:s,s:s}", "filename", name, "subfolder", "",
                                                "type", "output"));
    }
    return json_pack("{s:{s:o}}", "9", "images", images);
}

static struct answer answer_history(const char *id)
{
    struct job *job = job_find(id);
    if (job == NULL || job_is_queued(job)) {
        return (struct answer){.status = 200, .body = json_object()};
    }
    bool succeeded = job->state == JOB_SUCCEEDED;
    json_t *item =
        json_pack("{s:[I,s,O,{},[]],s:o,s:{s:s,s:b,s:o},s:{}}", "prompt", (json_int_t)job->number,
                  job->id, job->prompt, "outputs", outputs_of(job), "status", "status_str",
                  succeeded ? "success" : "error", "completed", succeeded, "messages",
                  messages_of(job), "meta");
    return (struct answer){.status = 200, .body = json_pack("{s:o}", job->id, item)};
}

static struct answer answer_queue(void)
{
    return (struct answer){.status = 200,
                           .body = json_pack("{s:o,s:o}", "queue_running", queue_of(JOB_RUNNING),
                                             "queue_pending", queue_of(JOB_PENDING))};
}

static struct answer answer_error(unsigned status, const char *type)
{
    return (struct answer){
        .status = status,
        .body = json_pack("{s:{s:s,s:s,s:s,s:{}},s:{}}", "error", "type", type, "message", type,
                          "details", "", "extra_info", "node_errors"),
    };
}

static struct answer answer_prompt(json_t *body)
{
    json_t *prompt = json_object_get(body, "prompt");
    const char *wanted = json_string_value(json_object_get(body, "prompt_id"));
    if (!json_is_object(prompt)) {
        return answer_error(400, "no_prompt");
    }
    struct job *known = job_find(wanted);
    if (known != NULL && job_is_queued(known)) {
        return (struct answer){.status = 409,
                               .body = json_pack("{s:s}", "error", "prompt_id already exists")};
    }
    if (known != NULL) {
        job_forget(known);
    }
    for (size_t i = 0; i < job_count && job_count == JOBS_MAX; i++) {
        if (!job_is_queued(&jobs[i])) {
            job_forget(&jobs[i]);
        }
    }
    if (job_count == JOBS_MAX) {
        return answer_error(400, "queue_full");
    }
    struct job *job = &jobs[job_count++];
    *job =
        (struct job){.state = JOB_PENDING, .number = next_number++, .prompt = json_incref(prompt)};
    if (wanted != NULL) {
        snprintf(job->id, sizeof(job->id), "%s", wanted);
    } else {
        snprintf(job->id, sizeof(job->id), "00000000-0000-4000-8000-%012llx",
                 (unsigned long long)job->number);
    }
    jobs_advance();
    return (struct answer){.status = 200,
                           .body = json_pack("{s:s,s:I,s:{}}", "prompt_id", job->id, "number",
                                             (json_int_t)job->number, "node_errors")};
}

static struct answer answer_delete(json_t *body)
{
    json_t *list = json_object_get(body, "delete");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct job *job = job_find(json_string_value(json_array_get(list, i)));
        if (job != NULL && job->state == JOB_PENDING) {
            job_forget(job);
        }
    }
    return (struct answer){.status = 200};
}

/* As there: without an id it interrupts whatever runs. */
static struct answer answer_interrupt(json_t *body)
{
    const char *id = json_string_value(json_object_get(body, "prompt_id"));
    for (size_t i = 0; i < job_count; i++) {
        if (jobs[i].state == JOB_RUNNING && (id == NULL || strcmp(jobs[i].id, id) == 0)) {
            jobs[i].state = JOB_INTERRUPTED;
        }
    }
    jobs_advance();
    return (struct answer){.status = 200};
}

static struct answer answer_stats(void)
{
    return (struct answer){
        .status = 200,
        .body = json_pack("{s:{s:s},s:[]}", "system", "comfyui_version", "0.3.64", "devices")};
}

static struct answer answer_control(const char *verb, json_t *body)
{
    struct job *job = job_find(json_string_value(json_object_get(body, "prompt_id")));
    if (strcmp(verb, "journal") == 0) {
        return (struct answer){.status = 200, .body = json_incref(journal)};
    }
    if (strcmp(verb, "restart") == 0) {
        while (job_count > 0) {
            job_forget(&jobs[job_count - 1]);
        }
        return (struct answer){.status = 200};
    }
    if (job == NULL) {
        return (struct answer){.status = 404};
    }
    if (strcmp(verb, "lose") == 0) {
        job_forget(job);
    } else if (strcmp(verb, "finish") == 0) {
        job_end(job);
    } else {
        return (struct answer){.status = 404};
    }
    return (struct answer){.status = 200};
}

static struct answer answer_request(const char *method, const char *path, json_t *body)
{
    bool is_get = strcmp(method, "GET") == 0;
    bool is_post = strcmp(method, "POST") == 0;
    if (strncmp(path, "/api/", 5) == 0) {
        path += 4;
    }
    if (strncmp(path, "/control/", 9) == 0) {
        return answer_control(path + 9, body);
    }
    if (json_array_size(journal) < JOURNAL_MAX) {
        json_array_append_new(journal, json_pack("{s:s,s:s}", "method", method, "path", path));
    }
    if (is_get && strncmp(path, "/history/", 9) == 0) {
        return answer_history(path + 9);
    }
    if (is_get && strcmp(path, "/queue") == 0) {
        return answer_queue();
    }
    if (is_get && strcmp(path, "/system_stats") == 0) {
        return answer_stats();
    }
    if (is_post && strcmp(path, "/prompt") == 0) {
        return answer_prompt(body);
    }
    if (is_post && strcmp(path, "/queue") == 0) {
        return answer_delete(body);
    }
    if (is_post && strcmp(path, "/interrupt") == 0) {
        return answer_interrupt(body);
    }
    return (struct answer){.status = 404};
}

static enum MHD_Result answer_send(struct MHD_Connection *connection, struct answer answer)
{
    char *text = answer.body != NULL ? json_dumps(answer.body, JSON_COMPACT) : NULL;
    struct MHD_Response *response = MHD_create_response_from_buffer(text != NULL ? strlen(text) : 0,
                                                                    text, MHD_RESPMEM_MUST_FREE);
    if (text != NULL) {
        MHD_add_response_header(response, "Content-Type", "application/json; charset=utf-8");
    }
    enum MHD_Result result = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    json_decref(answer.body);
    return result;
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
        return answer_send(connection, (struct answer){.status = 403});
    }
    jobs_advance();
    json_t *body = upload->size > 0 ? json_loadb(upload->data, upload->size, 0, NULL) : NULL;
    struct answer answer = answer_request(method, url, body);
    json_decref(body);
    return answer_send(connection, answer);
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
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL,
                         MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    if (daemon == NULL) {
        perror("comfy_service: cannot listen");
        return 3;
    }
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    wait_for_end(signals);

    MHD_stop_daemon(daemon);
    while (job_count > 0) {
        job_forget(&jobs[job_count - 1]);
    }
    json_decref(journal);
    close(signals);
    return 0;
}
