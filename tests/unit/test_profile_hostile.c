/* SPDX-License-Identifier: MIT
 * Every shipped profile against replies that prove nothing: none of its requests may take one for
 * an end of the job, for its loss, or for a sign of its life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "connectors/question.h"

#define JSON  "application/json"
#define HTML  "text/html; charset=utf-8"
#define PLAIN "text/plain; charset=utf-8"

/* An end in the words of each profile at once, but for whose it is. */
#define ENDS                                                                              \
    "\"status\":\"completed\",\"result\":{\"u\":1},\"output\":[1],\"outputs\":{\"n\":1}," \
    "\"finished\":true,\"success\":true,"                                                 \
    "\"execution_status\":{\"messages\":[[\"execution_success\",{}]]}"
#define OTHER "\"somebody-else\""

static const struct {
    uint64_t http;
    const char *type, *body;
    const char *except; /* the profiles to which it is a plain answer; NULL: none */
} replies[] = {
    {200, JSON, "", NULL},
    {200, JSON, "null", NULL},
    {200, JSON, "[]", NULL},
    {200, JSON, "\"\"", NULL},
    {200, JSON, "\"completed\"", NULL},
    {200, JSON, "0", NULL},
    {200, JSON, "true", NULL},
    {200, JSON, "{", NULL},
    {200, JSON, "{\"status\":NaN}", NULL},
    {200, JSON, "{\"status\":\"running\"," ENDS "}", NULL},
    {200, JSON, "{\"error\":null,\"detail\":null}", NULL},
    {200, JSON, "{\"status\":null,\"id\":null,\"group\":null}", NULL},
    {200, JSON, "{\"status\":[\"completed\"],\"finished\":\"true\",\"result\":1}", NULL},
    {200, JSON, "{\"status\":{\"status\":\"completed\"},\"finished\":1}", NULL},
    {200, JSON, "{\"status\":\"COMPLETED!\",\"result\":1}", NULL},
    {200, JSON, "{\"message\":\"please log in\"}", NULL},
    {200, JSON, "{\"queue_running\":null,\"queue_pending\":null}", NULL},
    {200, JSON, "{\"queue_running\":{},\"queue_pending\":\"\"}", NULL},
    {200, JSON, "{\"queue_running\":[]}", NULL},
    {200, JSON, "{" OTHER ":{\"status\":{\"completed\":true}}}", NULL},
    {200, JSON, "{\"id\":" OTHER "," ENDS "}", NULL},
    {200, JSON, "{\"job_id\":" OTHER "," ENDS "}", NULL},
    {200, JSON, "{\"jobId\":" OTHER "," ENDS "}", NULL},
    {200, JSON, "{\"token\":" OTHER "," ENDS "}", NULL},
    {200, JSON, "{\"task_id\":" OTHER "," ENDS "}", NULL},
    {200, JSON, "{\"taskId\":" OTHER "," ENDS "}", NULL},
    {201, JSON, "{\"job_id\":" OTHER "," ENDS "}", NULL},
    {202, JSON, "{\"job_id\":" OTHER "," ENDS "}", NULL},
    {200, JSON, "{\"id\":8," ENDS "}", NULL},
    {200, JSON, "{\"id\":7.5," ENDS "}", NULL},
    {200, JSON, "{\"id\":18446744073709551615," ENDS "}", NULL},
    {200, JSON, "{\"id\":{\"id\":\"7\"},\"group\":{\"tag\":1}," ENDS "}", NULL},
    {200, JSON, "{\"id\":[\"7\"],\"group\":[\"tag-1\"]," ENDS "}", NULL},
    {200, JSON, "{\"id\":null,\"group\":null," ENDS "}", "rest_async rest_token"},
    {200, JSON, "{\"id\":\"\",\"group\":\"\"," ENDS "}", "rest_async rest_token"},
    {200, HTML, "<html>completed</html>", NULL},
    {200, HTML, "{\"id\":\"7\"," ENDS "}", NULL},
    {200, PLAIN, "completed", NULL},
    {204, JSON, "", NULL},
    {302, JSON, "{\"id\":\"7\"," ENDS "}", NULL},
    {303, JSON, "{\"id\":\"7\"," ENDS "}", NULL},
    {400, JSON, "{\"error\":\"job not found\"}", NULL},
    {401, JSON, "{\"error\":\"job not found\"}", NULL},
    {403, JSON, "{\"error\":{\"message\":\"no\"}}", NULL},
    {404, JSON, "", NULL},
    {404, JSON, "null", NULL},
    {404, JSON, "[]", NULL},
    {404, JSON, "\"not found\"", NULL},
    {404, JSON, "{\"error\":\"no such page\"}", "rest_async rest_token"},
    {404, JSON, "{\"error\":null,\"detail\":null}", "rest_async rest_token"},
    {404, HTML, "<html>not found</html>", NULL},
    {404, PLAIN, "404 page not found", NULL},
    {410, HTML, "<html>gone</html>", NULL},
    {429, JSON, "{\"error\":{\"code\":\"rate_limit_exceeded\"}}", NULL},
    {500, JSON, "{\"error\":\"database is down\"}", NULL},
    {500, JSON, "{\"error\":null}", NULL},
    {502, HTML, "<html>bad gateway</html>", NULL},
    {503, JSON, "{\"id\":\"7\"," ENDS "}", NULL},
};

/* The verdict on the reply to this one request of the question. */
static enum answer_verdict hear(const struct profile *profile,
                                const struct profile_variant *variant, size_t step,
                                const struct transport_reply *reply, struct buffer *word)
{
    const struct effect_request request = {.kind = EFFECT_ASK,
                                           .service_job = SPAN("7"),
                                           .tag = SPAN("tag-1"),
                                           .status_url = SPAN("http://127.0.0.1:1/7")};
    const struct service_config config = {.name = "any", .base = "http://127.0.0.1:1"};
    struct error error = {0};
    struct service *service = service_create(&config, profile, &error);
    assert_non_null(service);
    struct question *question = question_create(&request, service, 1000);
    assert_int_equal(question_begin(question, variant), QUESTION_GO_ON);
    question->step = step;
    struct heard heard = heard_open(reply);
    question_hear(question, &heard, clock_boot_ms());
    heard_close(&heard);
    enum answer_verdict verdict = question->answer.report.verdict;
    buffer_put_span(word, question->answer.report.word);
    question_destroy(question);
    service_destroy(service);
    return verdict;
}

static void hear_all(const struct profile *profile, const struct profile_variant *variant,
                     size_t step)
{
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct buffer word = {0};
        const struct transport_reply reply = {.end = TRANSPORT_REPLIED,
                                              .http = replies[i].http,
                                              .content_type = span_of(replies[i].type),
                                              .body = span_of(replies[i].body)};
        if (replies[i].except != NULL && span_holds(span_of(replies[i].except), profile->name)) {
            continue;
        }
        enum answer_verdict verdict = hear(profile, variant, step, &reply, &word);
        if (verdict != ANSWER_INCONCLUSIVE && verdict != ANSWER_UNREACHABLE) {
            fail_msg("%.*s %.*s, request %zu: %s (%.*s) by %llu %s", SPAN_FORMAT(profile->name),
                     SPAN_FORMAT(variant->name), step, answer_verdict_text(verdict),
                     SPAN_FORMAT(buffer_span(&word)), (unsigned long long)replies[i].http,
                     replies[i].body);
        }
        buffer_fini(&word);
    }
}

static void test_profile_hostile__what_proves_nothing_decides_nothing(void **fixture)
{
    size_t count, requests = 0;
    struct error error = {0};
    const struct profile_shipped *all = profile_shipped(&count);
    for (size_t i = 0; i < count; i++) {
        struct profile *profile = profile_load(all[i].file, all[i].yaml, NULL, &error);
        if (profile == NULL) {
            fail_msg("%s", error.message);
            return;
        }
        for (size_t k = 0; k < profile->variant_count; k++) {
            for (size_t step = 0; step < profile->variants[k].status.count; step++, requests++) {
                hear_all(profile, &profile->variants[k], step);
            }
        }
        profile_destroy(profile);
    }
    assert_true(requests > count); /* one of them has two forms */
    (void)fixture;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile_hostile__what_proves_nothing_decides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
