/* SPDX-License-Identifier: MIT
 * The door to the engine of questions: a thread that runs it, and the queues between that thread
 * and all others. A question is in one place: incoming, in the engine, answered, or taken. */
#include "connectors/connectors.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "connectors/engine.h"
#include "connectors/service_check.h"

#define QUESTIONS_MAX 16384
#define PROBED_MAX    1024 /* reports of services that nobody took yet: then the oldest goes */
#define SERVICES_MAX  1024
#define PROFILES_MAX  256
#define WAIT_MS       1000 /* nothing depends on it: whoever has something wakes the thread */

/* A report of a service, with its texts. */
struct probed {
    TAILQ_ENTRY(probed) links;
    struct service_report report;
    struct buffer texts; /* what the report's spans show */
};

TAILQ_HEAD(probed_list, probed);

struct connectors {
    struct connectors_config config;
    struct profile **profiles; /* owned; fixed from the start on, as the services are */
    size_t profile_count;
    struct service **services; /* owned */
    size_t service_count;
    struct lookup services_by_name;
    struct engine *engine; /* the thread's alone, but for waking */
    pthread_t thread;
    bool is_started;
    int wake_fd;                    /* the caller's; -1 before the start */
    struct service_checked checked; /* the last one */

    pthread_mutex_t mutex; /* guards all below */
    bool is_stopping;
    struct question_list incoming, answered;
    struct probed_list probed;
    size_t probed_count;
    struct lookup open;          /* questions by id, until they are taken */
    struct question *taken;      /* owned; what the taker still reads, as is */
    struct probed *taken_probed; /* this */
};

/* --- reports, from the engine: it runs without the lock --- */

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

static void on_finished(void *context, struct question *question)
{
    struct connectors *connectors = context;
    pthread_mutex_lock(&connectors->mutex);
    TAILQ_INSERT_TAIL(&connectors->answered, question, links);
    pthread_mutex_unlock(&connectors->mutex);
    wake_taker(connectors);
}

static void probed_destroy(struct probed *probed)
{
    if (probed != NULL) {
        buffer_fini(&probed->texts);
        mem_free(probed);
    }
}

static void on_probed(void *context, const struct service_report *report)
{
    struct connectors *connectors = context;
    struct probed *probed = mem_zero(sizeof(*probed)), *oldest = NULL;
    struct service_report *copy = &probed->report;
    struct span *const texts[] = {&copy->service, &copy->endpoint, &copy->capabilities,
                                  &copy->breaker};
    *copy = *report;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        buffer_put_span(&probed->texts, *texts[i]);
    }
    for (size_t i = 0, used = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        texts[i]->data = probed->texts.data + used;
        used += texts[i]->size;
    }
    pthread_mutex_lock(&connectors->mutex);
    if (connectors->probed_count == PROBED_MAX) {
        oldest = TAILQ_FIRST(&connectors->probed);
        TAILQ_REMOVE(&connectors->probed, oldest, links);
        connectors->probed_count--;
    }
    TAILQ_INSERT_TAIL(&connectors->probed, probed, links);
    connectors->probed_count++;
    pthread_mutex_unlock(&connectors->mutex);
    probed_destroy(oldest);
    wake_taker(connectors);
}

/* --- profiles and services, before the start --- */

struct connectors *connectors_create(const struct connectors_config *config)
{
    struct connectors *connectors = mem_zero(sizeof(*connectors));
    const struct engine_events events = {
        .context = connectors, .finished = on_finished, .probed = on_probed};
    struct error error = {0};
    size_t count;
    connectors->config = *config;
    connectors->wake_fd = -1;
    connectors->engine = engine_create(config, &events);
    pthread_mutex_init(&connectors->mutex, NULL);
    TAILQ_INIT(&connectors->incoming);
    TAILQ_INIT(&connectors->answered);
    TAILQ_INIT(&connectors->probed);
    const struct profile_shipped *shipped = profile_shipped(&count);
    for (size_t i = 0; i < count; i++) {
        const struct profile *profile =
            connectors_add_profile(connectors, shipped[i].file, shipped[i].yaml, NULL, &error);
        CHECK(profile != NULL);
    }
    return connectors;
}

/* NULL when there is none of this name. */
static const struct profile *find_profile(const struct connectors *connectors, struct span name)
{
    for (size_t i = 0; i < connectors->profile_count; i++) {
        if (span_equal(connectors->profiles[i]->name, name)) {
            return connectors->profiles[i];
        }
    }
    return NULL;
}

const struct profile *connectors_add_profile(struct connectors *connectors, const char *name,
                                             struct span yaml, struct buffer *problems,
                                             struct error *error)
{
    CHECK(!connectors->is_started);
    if (connectors->profile_count == PROFILES_MAX) {
        error_set(error, ERROR_USAGE, "%s: more than %d profiles", name, PROFILES_MAX);
        return NULL;
    }
    struct profile *profile = profile_load(name, yaml, problems, error);
    if (profile == NULL) {
        return NULL;
    }
    if (find_profile(connectors, profile->name) != NULL) {
        error_set(error, ERROR_USAGE,
                  "%s: there is a profile \"%.*s\" already; allowed: a name of its own", name,
                  SPAN_FORMAT(profile->name));
        profile_destroy(profile);
        return NULL;
    }
    connectors->profiles = mem_resize(connectors->profiles, (connectors->profile_count + 1) *
                                                                sizeof(*connectors->profiles));
    connectors->profiles[connectors->profile_count++] = profile;
    return profile;
}

/* NULL with the names of all when there is none of this name. */
static const struct profile *profile_named(const struct connectors *connectors, const char *name,
                                           struct error *error)
{
    struct buffer known = {0};
    const struct profile *found = find_profile(connectors, span_of(name));
    if (found != NULL) {
        return found;
    }
    for (size_t i = 0; i < connectors->profile_count; i++) {
        buffer_put_text(&known, i == 0 ? "" : ", ");
        buffer_put_span(&known, connectors->profiles[i]->name);
    }
    error_set(error, ERROR_USAGE, "no profile \"%s\"; there are: %.*s", name,
              SPAN_FORMAT(buffer_span(&known)));
    buffer_fini(&known);
    return NULL;
}

bool connectors_add_service(struct connectors *connectors, const struct service_config *config,
                            struct error *error)
{
    const struct profile *profile = NULL;
    CHECK(!connectors->is_started);
    if (connectors->service_count == SERVICES_MAX) {
        return error_set(error, ERROR_USAGE, "more than %d services", SERVICES_MAX);
    }
    if (lookup_find(&connectors->services_by_name, span_of(config->name)) != NULL) {
        return error_set(error, ERROR_USAGE, "service %s: given twice", config->name);
    }
    if (config->profile != NULL) {
        profile = profile_named(connectors, config->profile, error);
        if (profile == NULL) {
            return error_wrap(error, "service %s", config->name);
        }
    }
    struct service *service = service_create(config, profile, error);
    if (service == NULL) {
        return error_wrap(error, "service %s", config->name);
    }
    connectors->services = mem_resize(connectors->services, (connectors->service_count + 1) *
                                                                sizeof(*connectors->services));
    connectors->services[connectors->service_count++] = service;
    lookup_put(&connectors->services_by_name, &service->by_name, span_of(service->name), service);
    return true;
}

static struct service *service_named(const struct connectors *connectors, struct span name)
{
    return lookup_find(&connectors->services_by_name, name);
}

struct service_facts connectors_service_facts(const struct connectors *connectors,
                                              const char *service)
{
    const struct service *found = service_named(connectors, span_of(service));
    struct service_facts facts = {0};
    if (found != NULL && found->profile != NULL) {
        facts.is_volatile = found->profile->is_volatile;
        facts.retention_ms = found->profile->retention_ms;
        for (size_t i = 0; i < found->profile->header_count; i++) {
            facts.needs_token =
                facts.needs_token || template_uses(found->profile->headers[i], "token");
        }
    }
    return facts;
}

bool connectors_check(struct connectors *connectors, const char *service, struct service_check *out)
{
    struct service *found = service_named(connectors, span_of(service));
    CHECK(!connectors->is_started);
    if (found == NULL) {
        return false;
    }
    service_check_run(&connectors->config, found, &connectors->checked);
    *out = connectors->checked.check;
    return true;
}

/* --- the thread --- */

static bool take_incoming(struct connectors *connectors, struct question_list *out)
{
    pthread_mutex_lock(&connectors->mutex);
    TAILQ_CONCAT(out, &connectors->incoming, links);
    bool is_stopping = connectors->is_stopping;
    pthread_mutex_unlock(&connectors->mutex);
    return !is_stopping;
}

static void *thread_main(void *argument)
{
    struct connectors *connectors = argument;
    struct question_list batch = TAILQ_HEAD_INITIALIZER(batch);
    while (take_incoming(connectors, &batch)) {
        while (!TAILQ_EMPTY(&batch)) {
            struct question *question = TAILQ_FIRST(&batch);
            TAILQ_REMOVE(&batch, question, links);
            engine_ask(connectors->engine, question);
        }
        engine_run(connectors->engine, WAIT_MS);
    }
    TAILQ_CONCAT(&connectors->incoming, &batch, links); /* the lock is not needed any more */
    return NULL;
}

bool connectors_start(struct connectors *connectors, int wake_fd, struct error *error)
{
    sigset_t all, before;
    CHECK(!connectors->is_started);
    connectors->wake_fd = wake_fd;
    for (size_t i = 0; i < connectors->service_count; i++) {
        engine_add_service(connectors->engine, connectors->services[i]);
    }
    sigfillset(&all); /* signals are for the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&connectors->thread, NULL, thread_main, connectors);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    connectors->is_started = result == 0;
    return connectors->is_started ||
           error_set(error, ERROR_IO, "cannot start the connectors' thread: %s", strerror(result));
}

/* --- questions and reports, from other threads --- */

/* Of what nobody can be asked. */
static void answer_at_once(struct connectors *connectors, struct question *question)
{
    question->answer.report.verdict = ANSWER_NO_PROFILE;
    question->answer.report.outcome = OUTCOME_UNSUPPORTED;
    answer_set_word(&question->answer, SPAN("no_profile"));
    TAILQ_INSERT_TAIL(&connectors->answered, question, links);
    wake_taker(connectors);
}

bool connectors_ask(struct connectors *connectors, const struct effect_request *request)
{
    CHECK(request->kind == EFFECT_ASK || request->kind == EFFECT_CANCEL);
    pthread_mutex_lock(&connectors->mutex);
    bool is_known = lookup_find(&connectors->open, request->id) != NULL;
    bool is_taken = is_known || connectors->open.count < QUESTIONS_MAX;
    if (is_taken && !is_known) {
        struct service *service = service_named(connectors, request->service);
        struct question *question =
            question_create(request, service, connectors->config.question_ms);
        lookup_put(&connectors->open, &question->by_id, question->request.id, question);
        if (service == NULL || service->profile == NULL) {
            answer_at_once(connectors, question);
        } else {
            TAILQ_INSERT_TAIL(&connectors->incoming, question, links);
            engine_wake(connectors->engine);
        }
    }
    pthread_mutex_unlock(&connectors->mutex);
    return is_taken;
}

bool connectors_take_report(struct connectors *connectors, struct service_report *out)
{
    pthread_mutex_lock(&connectors->mutex);
    struct question *done = connectors->taken;
    struct probed *done_probed = connectors->taken_probed;
    struct question *question = TAILQ_FIRST(&connectors->answered);
    struct probed *probed = question == NULL ? TAILQ_FIRST(&connectors->probed) : NULL;
    if (question != NULL) {
        TAILQ_REMOVE(&connectors->answered, question, links);
        lookup_remove(&connectors->open, &question->by_id);
        *out = question->answer.report;
    } else if (probed != NULL) {
        TAILQ_REMOVE(&connectors->probed, probed, links);
        connectors->probed_count--;
        *out = probed->report;
    }
    connectors->taken = question;
    connectors->taken_probed = probed;
    pthread_mutex_unlock(&connectors->mutex);
    if (done != NULL) {
        question_destroy(done);
    }
    probed_destroy(done_probed);
    return question != NULL || probed != NULL;
}

static void questions_destroy(struct question_list *list)
{
    while (!TAILQ_EMPTY(list)) {
        struct question *question = TAILQ_FIRST(list);
        TAILQ_REMOVE(list, question, links);
        question_destroy(question);
    }
}

static void reports_destroy(struct connectors *connectors)
{
    while (!TAILQ_EMPTY(&connectors->probed)) {
        struct probed *probed = TAILQ_FIRST(&connectors->probed);
        TAILQ_REMOVE(&connectors->probed, probed, links);
        probed_destroy(probed);
    }
    probed_destroy(connectors->taken_probed);
    if (connectors->taken != NULL) {
        question_destroy(connectors->taken);
    }
    questions_destroy(&connectors->incoming);
    questions_destroy(&connectors->answered);
    lookup_fini(&connectors->open);
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
        engine_wake(connectors->engine);
        pthread_join(connectors->thread, NULL);
    }
    engine_destroy(connectors->engine);
    reports_destroy(connectors);
    service_checked_fini(&connectors->checked);
    for (size_t i = 0; i < connectors->service_count; i++) {
        service_destroy(connectors->services[i]);
    }
    for (size_t i = 0; i < connectors->profile_count; i++) {
        profile_destroy(connectors->profiles[i]);
    }
    lookup_fini(&connectors->services_by_name);
    mem_free(connectors->services);
    mem_free(connectors->profiles);
    pthread_mutex_destroy(&connectors->mutex);
    mem_free(connectors);
}
