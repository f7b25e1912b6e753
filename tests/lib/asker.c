/* SPDX-License-Identifier: MIT */
#include "tests/lib/asker.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define WAIT_MS 20000

struct asker asker_create(const struct connectors_config *config)
{
    struct asker asker = {.connectors = connectors_create(config),
                          .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    assert_true(asker.wake_fd >= 0);
    return asker;
}

void asker_begin(struct asker *asker)
{
    struct error error = {0};
    assert_true(connectors_start(asker->connectors, asker->wake_fd, &error));
}

struct asker asker_start_with(const struct connectors_config *config,
                              const struct service_config *service)
{
    struct error error = {0};
    struct asker asker = asker_create(config);
    assert_true(connectors_add_service(asker.connectors, service, &error));
    asker_begin(&asker);
    return asker;
}

struct asker asker_start(const char *base)
{
    struct connectors_config config = {
        .question_ms = QUESTION_MS, .body_max = 1 << 16, .per_host = 16};
    struct service_config service = {.name = "comfyui", .profile = "comfyui", .base = base};
    return asker_start_with(&config, &service);
}

struct asker asker_start_profile(const char *yaml, const char *base, struct service_config service,
                                 struct connectors_config config)
{
    struct error error = {0};
    struct asker asker = asker_create(&config);
    service.name = "comfyui";
    service.profile = "one";
    service.base = base;
    if (!connectors_add_profile(asker.connectors, "one.yaml", span_of(yaml), NULL, &error) ||
        !connectors_add_service(asker.connectors, &service, &error)) {
        fail_msg("%s", error.message);
    }
    asker_begin(&asker);
    return asker;
}

void asker_stop(struct asker *asker)
{
    connectors_destroy(asker->connectors);
    buffer_fini(&asker->probed);
    close(asker->wake_fd);
}

struct effect_request asker_request(const char *question, const char *service_job)
{
    return (struct effect_request){.id = span_of(question),
                                   .kind = EFFECT_ASK,
                                   .job = SPAN("job-1"),
                                   .attempt = 2,
                                   .service = SPAN("comfyui"),
                                   .wait_ms = 60000,
                                   .service_job = span_of(service_job)};
}

static void keep_probed(struct asker *asker, const struct service_report *report)
{
    const struct span parts[] = {report->service,      SPAN(" "),  report->endpoint, SPAN(" ["),
                                 report->capabilities, SPAN("] "), report->breaker,  SPAN("\n")};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        buffer_put_span(&asker->probed, parts[i]);
    }
}

/* False when no answer waits. */
static bool take_answer(struct asker *asker, struct service_report *out)
{
    while (connectors_take_report(asker->connectors, out)) {
        if (out->kind != REPORT_PROBED) {
            return true;
        }
        keep_probed(asker, out);
    }
    return false;
}

struct service_report asker_next(struct asker *asker)
{
    struct service_report answer = {0};
    uint64_t end_ms = clock_boot_ms() + WAIT_MS;
    while (!take_answer(asker, &answer)) {
        struct pollfd wake = {.fd = asker->wake_fd, .events = POLLIN};
        uint64_t now_ms = clock_boot_ms();
        if (now_ms >= end_ms || poll(&wake, 1, (int)(end_ms - now_ms)) == 0) {
            fail_msg("no answer came");
        }
        eventfd_t count;
        eventfd_read(asker->wake_fd, &count);
    }
    return answer;
}

const char *asker_probed(struct asker *asker)
{
    struct service_report answer;
    assert_false(take_answer(asker, &answer));
    buffer_put_byte(&asker->probed, 0);
    asker->probed.size--;
    return asker->probed.data;
}

struct service_report asker_ask(struct asker *asker, const char *service_job)
{
    struct effect_request request = asker_request("0.1.5-0.0.0", service_job);
    connectors_ask(asker->connectors, &request);
    return asker_next(asker);
}

struct service_report asker_ask_anew(struct asker *asker, const char *service_job, bool is_fresh)
{
    static unsigned asked;
    struct number_text id = number_text(++asked);
    struct effect_request request = asker_request(id.text, service_job);
    request.is_fresh = is_fresh;
    connectors_ask(asker->connectors, &request);
    return asker_next(asker);
}

struct service_report asker_cancel(struct asker *asker, const char *service_job)
{
    struct effect_request request = asker_request("cancel", service_job);
    request.kind = EFFECT_CANCEL;
    connectors_ask(asker->connectors, &request);
    return asker_next(asker);
}

void asker_wait_until(uint64_t when_ms)
{
    for (uint64_t now_ms; (now_ms = clock_boot_ms()) < when_ms;) {
        poll(NULL, 0, (int)(when_ms - now_ms));
    }
}

void assert_answer(const struct service_report *answer, enum answer_verdict verdict,
                   const char *word)
{
    if (answer->verdict != verdict || !span_is(answer->word, word)) {
        fail_msg("verdict %s \"%.*s\" instead of %s \"%s\"", answer_verdict_text(answer->verdict),
                 SPAN_FORMAT(answer->word), answer_verdict_text(verdict), word);
    }
}

void assert_outcome(const struct service_report *report, enum effect_outcome outcome,
                    const char *word)
{
    assert_int_equal(report->kind, REPORT_SETTLED);
    if (report->outcome != outcome || !span_is(report->word, word)) {
        fail_msg("outcome %s \"%.*s\" instead of %s \"%s\"", effect_outcome_text(report->outcome),
                 SPAN_FORMAT(report->word), effect_outcome_text(outcome), word);
    }
}

void assert_in_time(const char *what, uint64_t started_ms)
{
    uint64_t used_ms = clock_boot_ms() - started_ms;
    if (used_ms > QUESTION_MS + SLACK_MS) {
        fail_msg("%s took %llu ms", what, (unsigned long long)used_ms);
    }
}
