/* SPDX-License-Identifier: MIT
 * What the replies to one question or cancel mean together, without a network: each test plays the
 * service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "connectors/question.h"

#define TIME_MS 1000

/* --- one question, played by hand --- */

struct play {
    struct profile *profile;
    struct service *service;
    struct question *question;
    enum question_next next;
    struct buffer body;
};

static struct effect_request asked(enum effect_kind kind)
{
    return (struct effect_request){.id = SPAN("0.1.5-0.0.0"),
                                   .kind = kind,
                                   .job = SPAN("job-1"),
                                   .attempt = 2,
                                   .service = SPAN("mine"),
                                   .service_job = SPAN("7"),
                                   .tag = SPAN("tag-1")};
}

static struct play play_request(const char *yaml, const struct effect_request *request,
                                bool is_exclusive)
{
    struct play play = {0};
    struct error error = {0};
    struct service_config config = {
        .name = "mine", .base = "http://127.0.0.1:1/api/", .is_exclusive = is_exclusive};
    play.profile = profile_load("test.yaml", span_of(yaml), NULL, &error);
    if (play.profile == NULL) {
        fail_msg("%s", error.message);
    }
    play.service = service_create(&config, play.profile, &error);
    assert_non_null(play.service);
    play.question = question_create(request, play.service, TIME_MS);
    play.next = question_begin(play.question, &play.profile->variants[0]);
    return play;
}

static struct play play_begin(const char *yaml, enum effect_kind kind)
{
    struct effect_request request = asked(kind);
    return play_request(yaml, &request, false);
}

static void play_end(struct play *play)
{
    question_destroy(play->question);
    service_destroy(play->service);
    profile_destroy(play->profile);
    buffer_fini(&play->body);
}

/* Writes what is due, which must begin so, and lets the service end it so. */
static struct heard hear(struct play *play, const char *url, const struct transport_reply *reply)
{
    struct error error = {0};
    assert_int_equal(play->next == QUESTION_GO_ON || play->next == QUESTION_PAUSE, true);
    buffer_reset(&play->body);
    bool is_written =
        question_write(play->question, question_due(play->question), &play->body, &error);
    if (!is_written || !span_is(buffer_span(&play->question->url), url)) {
        fail_msg("\"%.*s\" (%s) instead of \"%s\"", SPAN_FORMAT(buffer_span(&play->question->url)),
                 error.message, url);
    }
    struct heard heard = heard_open(reply);
    play->next = question_hear(play->question, &heard, clock_boot_ms());
    heard_close(&heard);
    return heard;
}

static struct heard replied(struct play *play, const char *url, uint64_t http, const char *body)
{
    const struct transport_reply reply = {.end = TRANSPORT_REPLIED,
                                          .http = http,
                                          .content_type = SPAN("application/json"),
                                          .body = span_of(body)};
    return hear(play, url, &reply);
}

static void ended(struct play *play, const char *url, enum transport_end end, const char *word)
{
    const struct transport_reply reply = {.end = end, .word = word};
    hear(play, url, &reply);
}

static void assert_said(const struct play *play, enum answer_verdict verdict, const char *word)
{
    const struct service_report *report = &play->question->answer.report;
    assert_int_equal(play->next, QUESTION_OVER);
    if (report->verdict != verdict || !span_is(report->word, word)) {
        fail_msg("%s \"%.*s\" instead of %s \"%s\"", answer_verdict_text(report->verdict),
                 SPAN_FORMAT(report->word), answer_verdict_text(verdict), word);
    }
}

static void assert_came(const struct play *play, enum effect_outcome outcome, const char *word)
{
    const struct service_report *report = &play->question->answer.report;
    assert_int_equal(play->next, QUESTION_OVER);
    if (report->outcome != outcome || !span_is(report->word, word)) {
        fail_msg("%s \"%.*s\" instead of %s \"%s\"", effect_outcome_text(report->outcome),
                 SPAN_FORMAT(report->word), effect_outcome_text(outcome), word);
    }
}

static bool has_flags(const struct play *play, const char *flags)
{
    return span_is(play->question->answer.report.flags, flags);
}

/* --- status --- */

#define TWO                                                     \
    "profile: mine\nvolatile: false\nstatus:\n"                 \
    "- {request: 'GET /a', rules: ['200 & /s = \"done\" => "    \
    "completed', '200 & /s = \"run\" => running', '200 & /s = " \
    "\"none\" => not_found expired']}\n"                        \
    "- {request: 'GET /b/{id}', rules: ['200 & /s = \"done\" "  \
    "=> completed', '404 => not_found']}\n"
#define A "http://127.0.0.1:1/api/a"
#define B "http://127.0.0.1:1/api/b/7"

static void test_question__the_first_that_knows_decides(void **fixture)
{
    (void)fixture;
    struct play play = play_begin(TWO, EFFECT_ASK);
    struct heard heard = replied(&play, A, 200, "{\"s\":\"run\"}");
    assert_said(&play, ANSWER_RUNNING, "");
    assert_true(heard.is_sure);
    play_end(&play);
    play = play_begin(TWO, EFFECT_ASK);
    replied(&play, A, 500, "{}");
    replied(&play, B, 200, "{\"s\":\"done\"}");
    assert_said(&play, ANSWER_COMPLETED, "");
    play_end(&play);
}

static void test_question__not_found_needs_all_of_them(void **fixture)
{
    (void)fixture;
    struct play play = play_begin(TWO, EFFECT_ASK);
    replied(&play, A, 200, "{\"s\":\"none\"}");
    replied(&play, B, 404, "{}");
    assert_said(&play, ANSWER_NOT_FOUND, "");
    assert_true(has_flags(&play, "expired"));
    play_end(&play);
    play = play_begin(TWO, EFFECT_ASK);
    struct heard heard = replied(&play, A, 200, "{\"s\":\"what\"}");
    assert_true(heard.is_doubtful && !heard.is_sure && !heard.is_unwilling);
    replied(&play, B, 404, "{}");
    assert_said(&play, ANSWER_INCONCLUSIVE, "unmapped");
    play_end(&play);
    play = play_begin(TWO, EFFECT_ASK);
    heard = replied(&play, A, 503, "{}");
    assert_true(heard.is_unwilling);
    replied(&play, B, 404, "{}");
    assert_said(&play, ANSWER_UNREACHABLE, "unavailable");
    play_end(&play);
    play = play_begin(TWO, EFFECT_ASK);
    replied(&play, A, 200, "{\"s\":\"none\"}");
    ended(&play, B, TRANSPORT_NO_REPLY, "timeout");
    assert_said(&play, ANSWER_UNREACHABLE, "timeout");
    play_end(&play);
}

static void test_question__silence_and_refusal_end_it_and_excess_does_not(void **fixture)
{
    (void)fixture;
    struct play play = play_begin(TWO, EFFECT_ASK);
    ended(&play, A, TRANSPORT_NO_REPLY, "broken_off");
    assert_said(&play, ANSWER_UNREACHABLE, "broken_off");
    play_end(&play);
    play = play_begin(TWO, EFFECT_ASK);
    ended(&play, A, TRANSPORT_REFUSED, "host_not_allowed");
    assert_said(&play, ANSWER_INCONCLUSIVE, "host_not_allowed");
    play_end(&play);
    play = play_begin(TWO, EFFECT_ASK);
    ended(&play, A, TRANSPORT_TOO_LARGE, "too_large");
    replied(&play, B, 404, "{}");
    assert_said(&play, ANSWER_INCONCLUSIVE, "too_large");
    play_end(&play);
}

static void test_question__come_again_later_is_not_asked_further(void **fixture)
{
    (void)fixture;
    struct play play = play_begin(TWO, EFFECT_ASK);
    const struct transport_reply reply = {
        .end = TRANSPORT_REPLIED, .http = 429, .retry_after_ms = 1000};
    struct heard heard = hear(&play, A, &reply);
    assert_said(&play, ANSWER_UNREACHABLE, "throttled");
    assert_true(heard.is_unwilling);
    play_end(&play);
}

/* What can not be filled in proves nothing, and the other requests are asked all the same. */
static void test_question__a_request_that_can_not_be_written_is_passed_over(void **fixture)
{
    (void)fixture;
    static const char yaml[] = "profile: mine\nvolatile: false\nstatus:\n"
                               "- {request: 'GET {status_url}', rules: ['200 => not_found']}\n"
                               "- {request: 'GET /b/{id}', rules: ['200 => running', "
                               "'404 => not_found']}\n";
    static const struct {
        uint64_t http;
        enum answer_verdict verdict;
        const char *word;
    } rows[] = {{200, ANSWER_RUNNING, ""}, {404, ANSWER_INCONCLUSIVE, "no_status_url"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct play play = play_begin(yaml, EFFECT_ASK);
        struct error error = {0};
        assert_false(
            question_write(play.question, question_due(play.question), &play.body, &error));
        play.next = question_skip(play.question, error.message);
        replied(&play, B, rows[i].http, "{}");
        assert_said(&play, rows[i].verdict, rows[i].word);
        play_end(&play);
    }
    (void)fixture;
}

#define REUSED                                                                 \
    "profile: mine\nvolatile: false\nids: reused\nstatus:\n"                   \
    "- {request: 'GET /a', identity: '/tag = \"{tag}\"', rules: ['200 & /s = " \
    "\"done\" => completed', '200 & /s = \"run\" => running', '404 => not_found']}\n"

static void test_question__another_jobs_reply_is_not_ours(void **fixture)
{
    (void)fixture;
    struct play play = play_begin(REUSED, EFFECT_ASK);
    replied(&play, A, 200, "{\"s\":\"done\",\"tag\":\"tag-1\"}");
    assert_said(&play, ANSWER_COMPLETED, "");
    play_end(&play);
    static const char *const others[] = {"{\"s\":\"done\",\"tag\":\"tag-2\"}",
                                         "{\"s\":\"run\",\"tag\":\"tag-2\"}",
                                         "{\"s\":\"done\",\"tag\":1}"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        play = play_begin(REUSED, EFFECT_ASK);
        replied(&play, A, 200, others[i]);
        assert_said(&play, ANSWER_NOT_FOUND, "id_reused");
        assert_true(has_flags(&play, "expired"));
        play_end(&play);
    }
    /* Whose reply it is can not be told without either side's tag. */
    static const char *const nobodys[] = {
        "{\"s\":\"done\"}", "{\"s\":\"done\",\"tag\":null}", "{\"s\":\"done\",\"tag\":\"\"}",
        "{\"s\":\"done\",\"tag\":[\"tag-2\"]}", "{\"s\":\"run\",\"tag\":1.5}"};
    for (size_t i = 0; i < sizeof(nobodys) / sizeof(nobodys[0]); i++) {
        play = play_begin(REUSED, EFFECT_ASK);
        replied(&play, A, 200, nobodys[i]);
        assert_said(&play, ANSWER_INCONCLUSIVE, "no_identity");
        play_end(&play);
    }
    struct effect_request request = asked(EFFECT_ASK);
    request.tag = SPAN_NONE;
    play = play_request(REUSED, &request, false);
    replied(&play, A, 200, "{\"s\":\"done\",\"tag\":\"tag-1\"}");
    assert_said(&play, ANSWER_INCONCLUSIVE, "no_identity");
    play_end(&play);
}

#define UNIQUE                                                               \
    "profile: mine\nvolatile: true\nstatus:\n"                               \
    "- {request: 'GET /a', identity: '/id = \"{id}\"', rules: ['200 & /s = " \
    "\"done\" => completed', '200 & /s = \"run\" => running', '404 => not_found']}\n"

/* Where no id comes back as another job's, a reply that names another one is a mix-up of
 * somebody's: our job may run all the same. */
static void test_question__another_id_proves_no_loss_where_ids_are_unique(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *body, *word;
    } rows[] = {
        {"{\"s\":\"run\",\"id\":\"8\"}", "other_id"},
        {"{\"s\":\"done\",\"id\":8}", "other_id"},
        {"{\"s\":\"run\"}", "no_identity"},
        {"{\"s\":\"run\",\"id\":null}", "no_identity"},
        {"{\"s\":\"run\",\"id\":{\"id\":\"8\"}}", "no_identity"},
        {"{\"s\":\"run\",\"id\":[8]}", "no_identity"},
        {"{\"s\":\"done\",\"id\":8.5}", "no_identity"},
        {"{\"s\":\"done\",\"id\":18446744073709551615}", "no_identity"},
    };
    struct play play = play_begin(UNIQUE, EFFECT_ASK);
    replied(&play, A, 200, "{\"s\":\"run\",\"id\":7}");
    assert_said(&play, ANSWER_RUNNING, "");
    play_end(&play);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        play = play_begin(UNIQUE, EFFECT_ASK);
        replied(&play, A, 200, rows[i].body);
        assert_said(&play, ANSWER_INCONCLUSIVE, rows[i].word);
        assert_true(has_flags(&play, ""));
        play_end(&play);
    }
}

#define CONFIRM                                                                     \
    "profile: mine\nvolatile: false\nstatus:\n"                                     \
    "- {request: 'GET /a', confirm: {times: 3, after_ms: 100}, rules: ['200 & /s =" \
    " \"done\" => completed', '200 & /s = \"run\" => running', '404 => not_found']}\n"

static void test_question__completed_is_said_as_often_as_the_profile_wants(void **fixture)
{
    (void)fixture;
    struct play play = play_begin(CONFIRM, EFFECT_ASK);
    for (int i = 0; i < 2; i++) {
        replied(&play, A, 200, "{\"s\":\"done\"}");
        assert_int_equal(play.next, QUESTION_PAUSE);
        assert_int_equal(question_pause_ms(play.question), 100);
        assert_int_equal(play.question->answer.report.verdict, ANSWER_NONE);
    }
    replied(&play, A, 200, "{\"s\":\"done\"}");
    assert_said(&play, ANSWER_COMPLETED, "");
    play_end(&play);
    play = play_begin(CONFIRM, EFFECT_ASK);
    replied(&play, A, 200, "{\"s\":\"done\"}");
    replied(&play, A, 200, "{\"s\":\"run\"}");
    assert_said(&play, ANSWER_RUNNING, "");
    play_end(&play);
    play = play_begin(CONFIRM, EFFECT_ASK);
    replied(&play, A, 200, "{\"s\":\"done\"}");
    ended(&play, A, TRANSPORT_NO_REPLY, "timeout");
    assert_said(&play, ANSWER_UNREACHABLE, "timeout");
    play_end(&play);
    /* There is no time for another one. */
    play = play_begin(CONFIRM, EFFECT_ASK);
    play.question->time_left_ms = 100;
    replied(&play, A, 200, "{\"s\":\"done\"}");
    assert_said(&play, ANSWER_INCONCLUSIVE, "not_confirmed");
    play_end(&play);
}

/* Reads that are not atomic miss a job more easily than they invent its end. */
static void test_question__a_loss_is_confirmed_as_an_end_is(void **fixture)
{
    (void)fixture;
    struct play play = play_begin(CONFIRM, EFFECT_ASK);
    for (int i = 0; i < 2; i++) {
        replied(&play, A, 404, "{}");
        assert_int_equal(play.next, QUESTION_PAUSE);
        assert_int_equal(play.question->answer.report.verdict, ANSWER_NONE);
    }
    replied(&play, A, 404, "{}");
    assert_said(&play, ANSWER_NOT_FOUND, "");
    play_end(&play);
    play = play_begin(CONFIRM, EFFECT_ASK);
    replied(&play, A, 404, "{}");
    replied(&play, A, 200, "{\"s\":\"run\"}");
    assert_said(&play, ANSWER_RUNNING, "");
    play_end(&play);
    /* Two that contradict each other prove neither. */
    play = play_begin(CONFIRM, EFFECT_ASK);
    replied(&play, A, 404, "{}");
    replied(&play, A, 200, "{\"s\":\"done\"}");
    assert_said(&play, ANSWER_INCONCLUSIVE, "not_confirmed");
    play_end(&play);
}

static void test_question__where_the_result_is(void **fixture)
{
    (void)fixture;
    static const char yaml[] = "profile: mine\nvolatile: false\nstatus:\n"
                               "- {request: 'GET /a', rules: ['200 => completed']}\n"
                               "result: /out\n";
    static const struct {
        const char *body, *result_url, *result, *flags;
    } rows[] = {
        {"{\"out\":[1]}", "http://x/r", "[1]", ""},
        {"{}", "http://x/r", "{\"url\":\"http://x/r\"}", ""},
        {"{}", NULL, "", "result_lost"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct effect_request request = asked(EFFECT_ASK);
        request.result_url = span_of(rows[i].result_url);
        struct play play = play_request(yaml, &request, false);
        replied(&play, A, 200, rows[i].body);
        assert_said(&play, ANSWER_COMPLETED, "");
        assert_true(span_is(play.question->answer.report.result, rows[i].result));
        assert_true(has_flags(&play, rows[i].flags));
        play_end(&play);
    }
    (void)fixture;
}

/* A large result is told by its place, but for a place that holds a secret. */
static void test_question__a_secret_in_the_url_is_not_told(void **fixture)
{
    (void)fixture;
    char body[2100];
    snprintf(body, sizeof(body), "{\"out\":\"%02000d\"}", 7);
    setenv("SALVOR_TEST_KEY", "hush", 1);
    struct play play = play_begin("profile: mine\nvolatile: false\nstatus:\n"
                                  "- {request: 'GET /{env:SALVOR_TEST_KEY}/a', "
                                  "rules: ['200 => completed']}\nresult: /out\n",
                                  EFFECT_ASK);
    replied(&play, "http://127.0.0.1:1/api/hush/a", 200, body);
    assert_said(&play, ANSWER_COMPLETED, "");
    struct span result = play.question->answer.report.result;
    assert_memory_equal(result.data, "{\"pointer\":\"/out\",\"bytes\":2000,\"sha256\":\"", 41);
    assert_true(result.size < 200);
    play_end(&play);
    unsetenv("SALVOR_TEST_KEY");
}

/* --- cancel --- */

#define CANCEL                                                            \
    "profile: mine\nvolatile: false\nstatus:\n"                           \
    "- {request: 'GET /a', rules: ['200 & /s = \"done\" => completed', "  \
    "'200 & /s = \"run\" => running', '200 & /s = \"wait\" => pending', " \
    "'404 => not_found']}\ncancel:\n"
#define STOP                                                                            \
    "- {request: 'POST /b/{id}', %s rules: ['200 => accepted', '409 => already_final'," \
    " '403 => refused', '501 => unsupported', '202 => unknown']}\n"

static const char *with(const char *head, const char *condition)
{
    static char text[2048];
    int size = snprintf(text, sizeof(text), "%s", head);
    snprintf(text + size, sizeof(text) - (size_t)size, STOP, condition);
    return text;
}

static void test_question__a_cancel_tells_what_the_service_said(void **fixture)
{
    (void)fixture;
    static const struct {
        uint64_t http;
        enum effect_outcome outcome;
        const char *word;
    } rows[] = {
        {200, OUTCOME_ACCEPTED, ""},
        {409, OUTCOME_ALREADY_FINAL, ""},
        {403, OUTCOME_REFUSED, ""},
        {501, OUTCOME_UNSUPPORTED, ""},
        {202, OUTCOME_UNKNOWN, ""},
        {404, OUTCOME_UNKNOWN, "bare_404"},
        {500, OUTCOME_UNKNOWN, "server_error"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct play play = play_begin(with(CANCEL, ""), EFFECT_CANCEL);
        replied(&play, B, rows[i].http, "{}");
        assert_came(&play, rows[i].outcome, rows[i].word);
        assert_int_equal(play.question->answer.report.kind, REPORT_SETTLED);
        assert_int_equal(play.question->answer.report.http, rows[i].http);
        play_end(&play);
    }
    struct play play = play_begin(with(CANCEL, ""), EFFECT_CANCEL);
    ended(&play, B, TRANSPORT_NO_REPLY, "timeout");
    assert_came(&play, OUTCOME_UNKNOWN, "timeout");
    play_end(&play);
}

static void test_question__a_cancel_may_depend_on_the_status(void **fixture)
{
    (void)fixture;
    struct play play = play_begin(with(CANCEL, "only_if: running,"), EFFECT_CANCEL);
    replied(&play, A, 200, "{\"s\":\"run\"}");
    replied(&play, B, 200, "{}");
    assert_came(&play, OUTCOME_ACCEPTED, "");
    play_end(&play);
    static const struct {
        uint64_t http;
        const char *body;
        enum effect_outcome outcome;
        const char *word;
    } rows[] = {
        {200, "{\"s\":\"done\"}", OUTCOME_ALREADY_FINAL, "completed"},
        {200, "{\"s\":\"wait\"}", OUTCOME_UNKNOWN, "pending"},
        {404, "{}", OUTCOME_UNKNOWN, "not_found"},
        {503, "{}", OUTCOME_UNKNOWN, "unavailable"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        play = play_begin(with(CANCEL, "only_if: running,"), EFFECT_CANCEL);
        replied(&play, A, rows[i].http, rows[i].body);
        assert_came(&play, rows[i].outcome, rows[i].word);
        play_end(&play);
    }
}

/* ComfyUI's way: what waits is taken out of the queue, what runs can only be interrupted whole. */
static void test_question__each_status_has_its_own_way_to_cancel(void **fixture)
{
    (void)fixture;
    static const char yaml[] = CANCEL
        "- {request: 'POST /b/1', only_if: pending, rules: ['200 => accepted']}\n"
        "- {request: 'POST /b/2', only_if: running, scope: global, rules: ['200 => accepted']}\n";
    struct effect_request request = asked(EFFECT_CANCEL);
    struct play play = play_request(yaml, &request, false);
    replied(&play, A, 200, "{\"s\":\"wait\"}");
    replied(&play, "http://127.0.0.1:1/api/b/1", 200, "{}");
    assert_came(&play, OUTCOME_ACCEPTED, "");
    play_end(&play);
    play = play_request(yaml, &request, false);
    replied(&play, A, 200, "{\"s\":\"run\"}");
    assert_came(&play, OUTCOME_UNSUPPORTED, "not_exclusive");
    play_end(&play);
    play = play_request(yaml, &request, true);
    replied(&play, A, 200, "{\"s\":\"run\"}");
    replied(&play, "http://127.0.0.1:1/api/b/2", 200, "{}");
    assert_came(&play, OUTCOME_ACCEPTED, "");
    play_end(&play);
}

/* Where ids are reused, the number may be another job's by now: it is left alone. */
static void test_question__another_jobs_work_is_not_cancelled(void **fixture)
{
    (void)fixture;
    struct play play = play_begin(with(REUSED "cancel:\n", "only_if: running,"), EFFECT_CANCEL);
    replied(&play, A, 200, "{\"s\":\"run\",\"tag\":\"tag-2\"}");
    assert_came(&play, OUTCOME_UNKNOWN, "id_reused");
    play_end(&play);
}

static void test_question__a_cancel_for_all_needs_an_instance_of_our_own(void **fixture)
{
    (void)fixture;
    struct effect_request request = asked(EFFECT_CANCEL);
    const char *yaml = with(CANCEL, "scope: global,");
    struct play play = play_request(yaml, &request, false);
    assert_came(&play, OUTCOME_UNSUPPORTED, "not_exclusive");
    play_end(&play);
    play = play_request(yaml, &request, true);
    replied(&play, B, 200, "{}");
    assert_came(&play, OUTCOME_ACCEPTED, "");
    play_end(&play);
    play = play_request("profile: mine\nvolatile: false\nstatus:\n"
                        "- {request: 'GET /a', rules: ['200 => running']}\n",
                        &request, true);
    assert_came(&play, OUTCOME_UNSUPPORTED, "no_cancel");
    play_end(&play);
}

static void test_question__the_next_way_to_cancel_is_tried_until_one_tells(void **fixture)
{
    (void)fixture;
    static const char yaml[] =
        CANCEL "- {request: 'POST {cancel_url}', rules: ['200 => accepted']}\n"
               "- {request: 'POST /b/1', rules: ['200 => accepted']}\n"
               "- {request: 'POST /b/2', rules: ['200 => accepted', '404 => already_final']}\n";
    struct play play = play_begin(yaml, EFFECT_CANCEL);
    play.next = question_skip(play.question, "no_cancel_url");
    replied(&play, "http://127.0.0.1:1/api/b/1", 404, "{}");
    replied(&play, "http://127.0.0.1:1/api/b/2", 404, "{}");
    assert_came(&play, OUTCOME_ALREADY_FINAL, "");
    play_end(&play);
    /* Nothing was sent, so that nothing can have worked. */
    play = play_begin(yaml, EFFECT_CANCEL);
    for (int i = 0; i < 3; i++) {
        play.next = question_skip(play.question, "no_token");
    }
    assert_came(&play, OUTCOME_UNSUPPORTED, "no_token");
    play_end(&play);
    play = play_begin(yaml, EFFECT_CANCEL);
    question_fail(play.question, "breaker_open");
    play.next = QUESTION_OVER;
    assert_came(&play, OUTCOME_UNKNOWN, "breaker_open");
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question__the_first_that_knows_decides),
        cmocka_unit_test(test_question__not_found_needs_all_of_them),
        cmocka_unit_test(test_question__silence_and_refusal_end_it_and_excess_does_not),
        cmocka_unit_test(test_question__come_again_later_is_not_asked_further),
        cmocka_unit_test(test_question__a_request_that_can_not_be_written_is_passed_over),
        cmocka_unit_test(test_question__another_jobs_reply_is_not_ours),
        cmocka_unit_test(test_question__completed_is_said_as_often_as_the_profile_wants),
        cmocka_unit_test(test_question__another_id_proves_no_loss_where_ids_are_unique),
        cmocka_unit_test(test_question__a_loss_is_confirmed_as_an_end_is),
        cmocka_unit_test(test_question__where_the_result_is),
        cmocka_unit_test(test_question__a_secret_in_the_url_is_not_told),
        cmocka_unit_test(test_question__a_cancel_tells_what_the_service_said),
        cmocka_unit_test(test_question__a_cancel_may_depend_on_the_status),
        cmocka_unit_test(test_question__each_status_has_its_own_way_to_cancel),
        cmocka_unit_test(test_question__another_jobs_work_is_not_cancelled),
        cmocka_unit_test(test_question__a_cancel_for_all_needs_an_instance_of_our_own),
        cmocka_unit_test(test_question__the_next_way_to_cancel_is_tried_until_one_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
