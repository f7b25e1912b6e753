/* SPDX-License-Identifier: MIT
 * The service of questions: a thread that starts what waits, as far as each host allows, and tells
 * what it was told. A question is in one of three lists: waiting, active, answered. */
#include "connectors/connectors.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "comfyui_yaml.h"
#include "connectors/question.h"

#define QUESTIONS_MAX 16384
#define ACTIVE_MAX    256
#define SERVICES_MAX  1024
#define PROFILES_MAX  256
#define POLL_MS       250 /* how soon a question that waited too long is noticed */

struct connectors {
    struct connectors_config config;
    struct profile **profiles; /* owned; fixed from the start on, as the services are */
    size_t profile_count;
    struct service **services; /* owned */
    size_t service_count;
    struct transport *transport; /* the thread's alone, but for waking */
    pthread_t thread;
    bool is_started;
    int wake_fd; /* the caller's; -1 before the start */

    pthread_mutex_t mutex; /* guards all below */
    bool is_stopping;
    struct question_list waiting, active, answered;
    size_t question_count, active_count;
    struct question *taken; /* owned; what the taker still reads */
};

struct connectors *connectors_create(const struct connectors_config *config)
{
    struct connectors *connectors = mem_zero(sizeof(*connectors));
    struct error error = {0};
    CHECK(config->question_ms > 0);
    CHECK(config->per_host > 0);
    connectors->config = *config;
    connectors->wake_fd = -1;
    connectors->transport = transport_create(config->body_max);
    pthread_mutex_init(&connectors->mutex, NULL);
    TAILQ_INIT(&connectors->waiting);
    TAILQ_INIT(&connectors->active);
    TAILQ_INIT(&connectors->answered);
    bool is_loaded = connectors_add_profile(connectors, "comfyui.yaml",
                                            (struct span){comfyui_yaml, comfyui_yaml_size}, &error);
    CHECK(is_loaded);
    return connectors;
}

bool connectors_add_profile(struct connectors *connectors, const char *name, struct span yaml,
                            struct error *error)
{
    CHECK(!connectors->is_started);
    if (connectors->profile_count == PROFILES_MAX) {
        return error_set(error, ERROR_USAGE, "%s: more than %d profiles", name, PROFILES_MAX);
    }
    struct profile *profile = profile_load(name, yaml, error);
    if (profile == NULL) {
        return false;
    }
    connectors->profiles = mem_resize(connectors->profiles, (connectors->profile_count + 1) *
                                                                sizeof(*connectors->profiles));
    connectors->profiles[connectors->profile_count++] = profile;
    return true;
}

/* The latest of this name. */
static const struct profile *profile_named(const struct connectors *connectors, const char *name)
{
    for (size_t i = connectors->profile_count; i > 0; i--) {
        if (span_is(connectors->profiles[i - 1]->name, name)) {
            return connectors->profiles[i - 1];
        }
    }
    return NULL;
}

static const struct service *service_named(const struct connectors *connectors, struct span name)
{
    for (size_t i = 0; i < connectors->service_count; i++) {
        if (span_is(name, connectors->services[i]->name)) {
            return connectors->services[i];
        }
    }
    return NULL;
}

static void service_destroy(struct service *service)
{
    allow_fini(&service->allow);
    mem_free(service->name);
    mem_free(service->base);
    mem_free(service);
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(mem_zero(size), text, size);
}

static bool service_fill(const struct connectors *connectors, struct service *service,
                         const struct service_config *config, struct error *error)
{
    service->name = copy_text(config->name);
    if (config->profile != NULL) {
        service->profile = profile_named(connectors, config->profile);
        if (service->profile == NULL) {
            struct buffer known = {0};
            for (size_t i = 0; i < connectors->profile_count; i++) {
                buffer_put_text(&known, i == 0 ? "" : ", ");
                buffer_put_span(&known, connectors->profiles[i]->name);
            }
            error_set(error, ERROR_USAGE, "no profile \"%s\"; there are: %.*s", config->profile,
                      SPAN_FORMAT(buffer_span(&known)));
            buffer_fini(&known);
            return false;
        }
    }
    if (config->base != NULL && config->base[0] != 0) {
        service->base = copy_text(config->base);
        if (!transport_allow_url(&service->allow, config->base, error)) {
            return false;
        }
    }
    for (size_t i = 0; i < config->allow_count; i++) {
        if (!allow_add(&service->allow, config->allow[i], error)) {
            return false;
        }
    }
    return true;
}

bool connectors_add_service(struct connectors *connectors, const struct service_config *config,
                            struct error *error)
{
    CHECK(!connectors->is_started);
    if (connectors->service_count == SERVICES_MAX) {
        return error_set(error, ERROR_USAGE, "more than %d services", SERVICES_MAX);
    }
    if (service_named(connectors, span_of(config->name)) != NULL) {
        return error_set(error, ERROR_USAGE, "service %s: given twice", config->name);
    }
    struct service *service = mem_zero(sizeof(*service));
    if (!service_fill(connectors, service, config, error)) {
        service_destroy(service);
        return error_wrap(error, "service %s", config->name);
    }
    connectors->services = mem_resize(connectors->services, (connectors->service_count + 1) *
                                                                sizeof(*connectors->services));
    connectors->services[connectors->service_count++] = service;
    return true;
}

struct service_facts connectors_service_facts(const struct connectors *connectors,
                                              const char *service)
{
    const struct service *found = service_named(connectors, span_of(service));
    struct service_facts facts = {0};
    if (found != NULL && found->profile != NULL) {
        facts.is_volatile = found->profile->is_volatile;
    }
    return facts;
}

/* --- the thread; "locked" functions want the mutex held --- */

static void wake_taker(struct connectors *connectors)
{
    uint64_t one = 1;
    while (connectors->wake_fd >= 0 && write(connectors->wake_fd, &one, sizeof(one)) < 0) {
        CHECK(errno == EINTR || errno == EAGAIN);
        if (errno == EAGAIN) {
            break; /* the counter is full: the taker is awake enough */
        }
    }
}

/* The question has left its list. */
static void answer_locked(struct connectors *connectors, struct question *question)
{
    CHECK(question->answer.verdict != ANSWER_NONE);
    TAILQ_INSERT_TAIL(&connectors->answered, question, links);
    wake_taker(connectors);
}

static void finish(struct connectors *connectors, struct question *question)
{
    pthread_mutex_lock(&connectors->mutex);
    TAILQ_REMOVE(&connectors->active, question, links);
    connectors->active_count--;
    answer_locked(connectors, question);
    pthread_mutex_unlock(&connectors->mutex);
}

static void on_reply(void *context, void *owner, const struct transport_reply *reply)
{
    struct connectors *connectors = context;
    struct question *question = owner;
    if (question_reply(question, reply) ||
        !question_send(question, connectors->transport, connectors->config.question_ms)) {
        finish(connectors, question);
    }
}

static bool host_is_free_locked(const struct connectors *connectors, struct span authority)
{
    uint64_t count = 0;
    const struct question *question;
    TAILQ_FOREACH(question, &connectors->active, links)
    {
        count += span_equal(question->authority, authority);
    }
    return count < connectors->config.per_host;
}

/* Moves the next question that may be sent to the active ones; NULL when there is none. Those that
 * waited too long are answered on the way. */
static struct question *next_to_send(struct connectors *connectors)
{
    struct question *question, *following, *found = NULL;
    pthread_mutex_lock(&connectors->mutex);
    uint64_t now = clock_boot_ms(); /* under the lock: no question in the list is younger */
    for (question = TAILQ_FIRST(&connectors->waiting); question != NULL; question = following) {
        following = TAILQ_NEXT(question, links);
        if (now - question->queued_ms > question->request.wait_ms) {
            TAILQ_REMOVE(&connectors->waiting, question, links);
            question_settle(question, ANSWER_UNREACHABLE, "waited_too_long");
            answer_locked(connectors, question);
        } else if (connectors->active_count < ACTIVE_MAX &&
                   host_is_free_locked(connectors, question->authority)) {
            TAILQ_REMOVE(&connectors->waiting, question, links);
            TAILQ_INSERT_TAIL(&connectors->active, question, links);
            connectors->active_count++;
            found = question;
            break;
        }
    }
    pthread_mutex_unlock(&connectors->mutex);
    return found;
}

static bool is_stopping(struct connectors *connectors)
{
    pthread_mutex_lock(&connectors->mutex);
    bool result = connectors->is_stopping;
    pthread_mutex_unlock(&connectors->mutex);
    return result;
}

static void *thread_main(void *argument)
{
    struct connectors *connectors = argument;
    while (!is_stopping(connectors)) {
        for (struct question *next; (next = next_to_send(connectors)) != NULL;) {
            if (!question_send(next, connectors->transport, connectors->config.question_ms)) {
                finish(connectors, next);
            }
        }
        transport_run(connectors->transport, POLL_MS, on_reply, connectors);
    }
    return NULL;
}

bool connectors_start(struct connectors *connectors, int wake_fd, struct error *error)
{
    sigset_t all, before;
    CHECK(!connectors->is_started);
    connectors->wake_fd = wake_fd;
    sigfillset(&all); /* signals are for the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&connectors->thread, NULL, thread_main, connectors);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    connectors->is_started = result == 0;
    return connectors->is_started ||
           error_set(error, ERROR_IO, "cannot start the connectors' thread: %s", strerror(result));
}

/* --- questions and answers, from other threads --- */

static bool is_open_locked(const struct connectors *connectors, struct span id)
{
    const struct question_list *const lists[] = {&connectors->waiting, &connectors->active,
                                                 &connectors->answered};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const struct question *question;
        TAILQ_FOREACH(question, lists[i], links)
        {
            if (span_equal(question->request.id, id)) {
                return true;
            }
        }
    }
    return false;
}

void connectors_ask(struct connectors *connectors, const struct effect_request *request)
{
    CHECK(request->kind == EFFECT_ASK);
    pthread_mutex_lock(&connectors->mutex);
    if (!is_open_locked(connectors, request->id)) {
        const struct service *service = service_named(connectors, request->service);
        struct question *question = question_create(request, service);
        connectors->question_count++;
        if (service == NULL || service->profile == NULL) {
            question_settle(question, ANSWER_NO_PROFILE, "no_profile");
            answer_locked(connectors, question);
        } else if (connectors->question_count > QUESTIONS_MAX) {
            question_settle(question, ANSWER_UNREACHABLE, "too_many_questions");
            answer_locked(connectors, question);
        } else {
            TAILQ_INSERT_TAIL(&connectors->waiting, question, links);
        }
    }
    pthread_mutex_unlock(&connectors->mutex);
    transport_wake(connectors->transport);
}

bool connectors_take_report(struct connectors *connectors, struct service_report *out)
{
    pthread_mutex_lock(&connectors->mutex);
    if (connectors->taken != NULL) {
        question_destroy(connectors->taken);
    }
    struct question *question = TAILQ_FIRST(&connectors->answered);
    connectors->taken = question;
    if (question != NULL) {
        TAILQ_REMOVE(&connectors->answered, question, links);
        connectors->question_count--;
        *out = question->answer;
    }
    pthread_mutex_unlock(&connectors->mutex);
    return question != NULL;
}

static void questions_destroy(struct question_list *list)
{
    while (!TAILQ_EMPTY(list)) {
        struct question *question = TAILQ_FIRST(list);
        TAILQ_REMOVE(list, question, links);
        question_destroy(question);
    }
}

void connectors_destroy(struct connectors *connectors)
{
    if (connectors == NULL) {
        return;
    }
    if (connectors->is_started) {
        pthread_mutex_lock(&connectors->mutex);
        connectors->is_stopping = true;
        pthread_mutex_unlock(&connectors->mutex);
        transport_wake(connectors->transport);
        pthread_join(connectors->thread, NULL);
    }
    transport_destroy(connectors->transport);
    questions_destroy(&connectors->waiting);
    questions_destroy(&connectors->active);
    questions_destroy(&connectors->answered);
    if (connectors->taken != NULL) {
        question_destroy(connectors->taken);
    }
    for (size_t i = 0; i < connectors->service_count; i++) {
        service_destroy(connectors->services[i]);
    }
    for (size_t i = 0; i < connectors->profile_count; i++) {
        profile_destroy(connectors->profiles[i]);
    }
    mem_free(connectors->services);
    mem_free(connectors->profiles);
    pthread_mutex_destroy(&connectors->mutex);
    mem_free(connectors);
}
