/* SPDX-License-Identifier: MIT */
#include "tests/lib/comfy_jobs.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"

#define JOBS_MAX 10000 /* as ComfyUI's history: the oldest finished one goes first */

/* Oldest first. */
static struct comfy_job jobs[JOBS_MAX];
static size_t job_count;
static uint64_t next_number = 1;

static const char *const status_words[] = {
    [COMFY_PENDING] = "pending", [COMFY_RUNNING] = "in_progress",   [COMFY_SUCCEEDED] = "completed",
    [COMFY_FAILED] = "failed",   [COMFY_INTERRUPTED] = "cancelled",
};

struct comfy_job *comfy_job_find(const char *id)
{
    for (size_t i = job_count; id != NULL && i > 0; i--) {
        if (strcmp(jobs[i - 1].id, id) == 0) {
            return &jobs[i - 1];
        }
    }
    return NULL;
}

void comfy_job_forget(struct comfy_job *job)
{
    size_t index = (size_t)(job - jobs);
    json_decref(job->prompt);
    memmove(job, job + 1, (job_count - index - 1) * sizeof(*job));
    job_count--;
}

void comfy_jobs_forget_all(void)
{
    while (job_count > 0) {
        comfy_job_forget(&jobs[job_count - 1]);
    }
}

bool comfy_job_is_queued(const struct comfy_job *job)
{
    return job->state == COMFY_PENDING || job->state == COMFY_RUNNING;
}

void comfy_job_end(struct comfy_job *job)
{
    json_t *fail = json_object_get(job->prompt, "fail");
    job->state = json_is_true(fail) || json_is_string(fail) ? COMFY_FAILED : COMFY_SUCCEEDED;
}

void comfy_jobs_interrupt(const char *id)
{
    for (size_t i = 0; i < job_count; i++) {
        if (jobs[i].state == COMFY_RUNNING && (id == NULL || strcmp(jobs[i].id, id) == 0)) {
            jobs[i].state = COMFY_INTERRUPTED;
        }
    }
}

struct comfy_job *comfy_job_add(const char *id, json_t *prompt)
{
    for (size_t i = 0; i < job_count && job_count == JOBS_MAX; i++) {
        if (!comfy_job_is_queued(&jobs[i])) {
            comfy_job_forget(&jobs[i]);
        }
    }
    if (job_count == JOBS_MAX) {
        return NULL;
    }
    struct comfy_job *job = &jobs[job_count++];
    *job = (struct comfy_job){
        .state = COMFY_PENDING, .number = next_number++, .prompt = json_incref(prompt)};
    if (id != NULL) {
        snprintf(job->id, sizeof(job->id), "%s", id);
    } else {
        snprintf(job->id, sizeof(job->id), "00000000-0000-4000-8000-%012llx",
                 (unsigned long long)job->number);
    }
    return job;
}

void comfy_jobs_advance(size_t slots)
{
    uint64_t now = clock_boot_ms();
    size_t running = 0;
    for (size_t i = 0; i < job_count; i++) {
        if (jobs[i].state == COMFY_RUNNING && now >= jobs[i].ends_ms) {
            comfy_job_end(&jobs[i]);
        }
        running += jobs[i].state == COMFY_RUNNING;
    }
    for (size_t i = 0; i < job_count && (slots == 0 || running < slots); i++) {
        if (jobs[i].state == COMFY_PENDING) {
            json_int_t duration =
                json_integer_value(json_object_get(jobs[i].prompt, "duration_ms"));
            jobs[i].state = COMFY_RUNNING;
            jobs[i].ends_ms = now + (duration > 0 ? (uint64_t)duration : 0);
            running++;
        }
    }
}

json_t *comfy_queue_of(enum comfy_state state)
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

static json_t *messages_of(const struct comfy_job *job)
{
    json_t *fail = json_object_get(job->prompt, "fail");
    const char *message = json_is_string(fail) ? json_string_value(fail) : "told to fail";
    json_t *list = json_pack("[[s,{s:s}],[s,{s:[],s:s}]]", "execution_start", "prompt_id", job->id,
                             "execution_cached", "nodes", "prompt_id", job->id);
    if (job->state == COMFY_SUCCEEDED) {
        json_array_append_new(list,
                              json_pack("[s,{s:s}]", "execution_success", "prompt_id", job->id));
    } else if (job->state == COMFY_FAILED) {
        json_array_append_new(list,
                              json_pack("[s,{s:s,s:s,s:s}]", "execution_error", "prompt_id",
                                        job->id, "exception_message", message, "node_id", "9"));
    } else {
        json_array_append_new(
            list, json_pack("[s,{s:s}]", "execution_interrupted", "prompt_id", job->id));
    }
    return list;
}

static json_t *execution_of(const struct comfy_job *job)
{
    bool has_succeeded = job->state == COMFY_SUCCEEDED;
    return json_pack("{s:s,s:b,s:o}", "status_str", has_succeeded ? "success" : "error",
                     "completed", has_succeeded, "messages", messages_of(job));
}

static json_t *outputs_of(const struct comfy_job *job)
{
    if (job->state != COMFY_SUCCEEDED) {
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

json_t *comfy_history_of(const struct comfy_job *job)
{
    return json_pack("{s:[I,s,O,{},[]],s:o,s:o,s:{}}", "prompt", (json_int_t)job->number, job->id,
                     job->prompt, "outputs", outputs_of(job), "status", execution_of(job), "meta");
}

json_t *comfy_detail_of(const struct comfy_job *job)
{
    json_t *detail =
        json_pack("{s:s,s:s,s:I,s:{s:O}}", "id", job->id, "status", status_words[job->state],
                  "priority", (json_int_t)job->number, "workflow", "prompt", job->prompt);
    if (!comfy_job_is_queued(job)) {
        json_object_set_new(detail, "outputs", outputs_of(job));
        json_object_set_new(detail, "execution_status", execution_of(job));
    }
    return detail;
}
