/* SPDX-License-Identifier: MIT
 * How a service looks from here. An engine of its own asks, on the caller's thread. */
#include "connectors/service_check.h"

#include "base/alloc.h"
#include "connectors/engine.h"

/* No service has given these to a job; the second where an id must be a number. */
#define STRANGER        "00000000-0000-4000-8000-00000000dead"
#define STRANGER_NUMBER "4294967295"

struct asking {
    struct engine *engine;
    struct question *finished;
};

static void on_finished(void *context, struct question *question)
{
    struct asking *asking = context;
    asking->finished = question;
    engine_wake(asking->engine); /* nothing else is worth a wait */
}

static void on_probed(void *context, const struct service_report *report)
{
    (void)context;
    (void)report;
}

/* Asks and waits. The result is the caller's. */
static struct question *ask(const struct connectors_config *config, struct service *service,
                            enum effect_kind kind, struct span service_job)
{
    struct asking asking = {0};
    const struct engine_events events = {
        .context = &asking, .finished = on_finished, .probed = on_probed};
    const struct effect_request request = {
        .kind = kind,
        .service = span_of(service->name),
        .service_job = service_job,
        .tag = service_job,
        .wait_ms = config->question_ms,
    };
    asking.engine = engine_create(config, &events);
    engine_add_service(asking.engine, service);
    engine_ask(asking.engine, question_create(&request, service, config->question_ms));
    while (asking.finished == NULL) {
        engine_run(asking.engine, config->question_ms);
    }
    engine_destroy(asking.engine);
    return asking.finished;
}

/* True when the stranger could not be asked, since no worker told where its status is. */
static bool is_asked_where_jobs_say(const struct question *stranger)
{
    static const char *const words[] = {"no_status_url", "no_cancel_url", "no_result_url"};
    const struct service_report *report = &stranger->answer.report;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (report->verdict == ANSWER_INCONCLUSIVE && span_is(report->word, words[i])) {
            return true;
        }
    }
    return false;
}

void service_checked_fini(struct service_checked *checked)
{
    struct question *const questions[] = {checked->health, checked->stranger};
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        if (questions[i] != NULL) {
            question_destroy(questions[i]);
        }
    }
    *checked = (struct service_checked){0};
}

void service_check_run(const struct connectors_config *config, struct service *service,
                       struct service_checked *out)
{
    struct service_check *check = &out->check;
    service_checked_fini(out);
    check->endpoint = span_of(service->base);
    if (service->profile == NULL || service->base == NULL) {
        check->stranger = service->profile == NULL ? ANSWER_NO_PROFILE : ANSWER_NONE;
        check->word = service->profile == NULL ? SPAN("no_profile") : SPAN_NONE;
        return;
    }
    if (service->profile->health != NULL) {
        out->health = ask(config, service, EFFECT_NONE, SPAN_NONE);
    }
    out->stranger = ask(config, service, EFFECT_ASK, SPAN(STRANGER));
    if (span_is(out->stranger->answer.report.word, "bad_id")) {
        question_destroy(out->stranger);
        out->stranger = ask(config, service, EFFECT_ASK, SPAN(STRANGER_NUMBER));
    }
    const struct question *first = out->health != NULL ? out->health : out->stranger;
    const struct service_report *report = &first->answer.report;
    const struct service_report *stranger = &out->stranger->answer.report;
    bool is_asked = !is_asked_where_jobs_say(out->stranger);
    check->is_reachable = report->http != 0;
    check->http = report->http;
    check->latency_ms = report->latency_ms;
    check->stranger = is_asked ? stranger->verdict : ANSWER_NONE;
    check->variant = out->stranger->variant != NULL ? out->stranger->variant->name : SPAN_NONE;
    if (out->health != NULL && report->word.size > 0) {
        check->word = report->word;
    } else if (is_asked && stranger->verdict != ANSWER_NOT_FOUND) {
        check->word = stranger->word;
    }
}
