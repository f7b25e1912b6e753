/* SPDX-License-Identifier: MIT
 * One question to a service: its life, what is sent, and who judges the replies. */
#include "connectors/question.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "connectors/question_parts.h"

/* The texts of a request that asking needs. */
#define REQUEST_TEXTS(X) \
    X(id)                \
    X(job)               \
    X(service)           \
    X(service_job)       \
    X(tag)               \
    X(status_url)        \
    X(cancel_url)        \
    X(result_url)        \
    X(base)

struct heard heard_open(const struct transport_reply *raw)
{
    struct heard heard = {.raw = raw};
    if (raw->end == TRANSPORT_REPLIED) {
        heard.opened = reply_open(raw->http, raw->content_type, raw->body);
    }
    return heard;
}

void heard_close(struct heard *heard)
{
    reply_close(&heard->opened);
}

bool http_is_unwilling(uint64_t http)
{
    return http == 408 || http == 425 || http == 429 || (http >= 502 && http <= 504);
}

/* --- life and time --- */

struct question *question_create(const struct effect_request *request, struct service *service,
                                 uint64_t question_ms)
{
    struct question *question = mem_zero(sizeof(*question));
    size_t size = 0, used = 0;
    bool is_cancel = request->kind == EFFECT_CANCEL;
    CHECK(is_cancel || request->kind == EFFECT_ASK || request->kind == EFFECT_NONE);
    question->request.kind = request->kind;
    question->request.attempt = request->attempt;
    question->request.submitted_at = request->submitted_at;
    question->request.is_fresh = request->is_fresh;
    question->service = service;
#define X(text) size += request->text.size;
    REQUEST_TEXTS(X)
#undef X
    question->texts = mem_zero(size + 1);
#define X(text)                                                                             \
    if (request->text.size > 0) {                                                           \
        memcpy(question->texts + used, request->text.data, request->text.size);             \
        question->request.text = (struct span){question->texts + used, request->text.size}; \
        used += request->text.size;                                                         \
    }
    REQUEST_TEXTS(X)
#undef X
    question->phase = request->kind == EFFECT_NONE ? QUESTION_OF_HEALTH : QUESTION_OF_STATUS;
    question->answer.report = (struct service_report){
        .kind = is_cancel ? REPORT_SETTLED : REPORT_ANSWERED,
        .effect = question->request.id,
        .job = question->request.job,
        .attempt = request->attempt,
    };
    question->queued_ms = clock_boot_ms();
    question->wait_left_ms =
        request->wait_ms < QUESTION_WAIT_MS_MAX ? request->wait_ms : QUESTION_WAIT_MS_MAX;
    question->time_left_ms = question_ms;
    return question;
}

void question_destroy(struct question *question)
{
    answer_fini(&question->answer);
    buffer_fini(&question->url);
    mem_free(question->texts);
    mem_free(question);
}

void question_start_clock(struct question *question, uint64_t now_ms)
{
    if (question->time_since == 0) {
        question->time_since = now_ms;
    }
}

uint64_t question_time_left(const struct question *question, uint64_t now_ms)
{
    uint64_t used_ms = question->time_since == 0 ? 0 : now_ms - question->time_since;
    return used_ms < question->time_left_ms ? question->time_left_ms - used_ms : 0;
}

bool question_is_late(const struct question *question)
{
    return question->time_used_ms > 0 && question->time_left_ms < QUESTION_LEAST_MS;
}

void question_stop_clock(struct question *question, uint64_t now_ms)
{
    uint64_t left_ms = question_time_left(question, now_ms);
    question->time_used_ms += question->time_since == 0 ? 0 : now_ms - question->time_since;
    question->time_left_ms = left_ms;
    question->time_since = 0;
}

/* --- what is sent --- */

struct span question_base(const struct question *question)
{
    struct span own = question->request.base;
    struct span base = own.size > 0 ? own : span_of(question->service->base);
    while (base.size > 0 && base.data[base.size - 1] == '/') {
        base.size--;
    }
    return base;
}

struct template_variables question_variables(const struct question *question)
{
    const struct effect_request *request = &question->request;
    return (struct template_variables){
        .id = request->service_job,
        .id_characters = question->service->profile->id_characters,
        .submitted_at = request->submitted_at,
        .tag = request->tag,
        .status_url = request->status_url,
        .cancel_url = request->cancel_url,
        .result_url = request->result_url,
        .token = question->service->token,
    };
}

static struct profile_requests requests_of(const struct question *question)
{
    if (question->phase == QUESTION_OF_HEALTH) {
        return (struct profile_requests){.list = question->service->profile->health, .count = 1};
    }
    CHECK(question->variant != NULL);
    return question->phase == QUESTION_OF_CANCEL ? question->variant->cancel
                                                 : question->variant->status;
}

const struct profile_request *question_due(const struct question *question)
{
    struct profile_requests requests = requests_of(question);
    CHECK(question->step < requests.count);
    return &requests.list[question->step];
}

uint64_t question_pause_ms(const struct question *question)
{
    return question_due(question)->confirm_ms;
}

bool question_write(struct question *question, const struct profile_request *request,
                    struct buffer *body, struct error *error)
{
    const struct template_variables variables = question_variables(question);
    buffer_reset(&question->url);
    if (!request->is_absolute) {
        struct span base = question_base(question);
        if (base.size == 0) {
            return error_set(error, ERROR_REFUSED, "no_base");
        }
        buffer_put_span(&question->url, base);
    }
    if (!template_render(request->target, TEMPLATE_URL, &variables, &question->url, error)) {
        return false;
    }
    if (!span_is_solid(buffer_span(&question->url))) {
        return error_set(error, ERROR_REFUSED, "bad_url");
    }
    return template_render(request->body, TEMPLATE_BODY, &variables, body, error);
}

/* --- what the replies mean --- */

static enum question_next hear_health(struct question *question, struct heard *heard)
{
    const struct profile_request *request = question_due(question);
    const struct template_variables variables = question_variables(question);
    struct judgement judgement = {.word = heard->raw->word};
    if (heard->raw->end == TRANSPORT_REPLIED) {
        judgement = rules_judge(RULE_OF_PROBE, request->rules, request->rule_count, &heard->opened,
                                &variables);
    }
    const char *word = judgement.word != NULL ? judgement.word
                       : judgement.is_absent  ? "absent"
                       : judgement.is_ok      ? NULL
                                              : "unmapped";
    question_note(question, judgement.is_ok ? ANSWER_RUNNING : ANSWER_INCONCLUSIVE, word, heard);
    return QUESTION_OVER;
}

enum question_next question_hear(struct question *question, struct heard *heard, uint64_t now_ms)
{
    switch (question->phase) {
    case QUESTION_OF_STATUS:
        return question_hear_status(question, heard, now_ms);
    case QUESTION_OF_CANCEL:
        return question_hear_cancel(question, heard);
    case QUESTION_OF_HEALTH:
        return hear_health(question, heard);
    case QUESTION_PHASE_NONE:
        break;
    }
    CHECK(!"a question without a phase");
    return QUESTION_OVER;
}

enum question_next question_skip(struct question *question, const char *word)
{
    if (question->phase == QUESTION_OF_CANCEL) {
        return question_skip_cancel(question, word);
    }
    question_note(question, ANSWER_INCONCLUSIVE, word, NULL);
    return question->phase == QUESTION_OF_HEALTH ? QUESTION_OVER
                                                 : question_go_to_status(question, false);
}

void question_fail(struct question *question, const char *word)
{
    if (question_is_cancel(question)) {
        question_settle_cancel(question, OUTCOME_UNKNOWN, span_of(word));
    } else {
        question_note(question, ANSWER_UNREACHABLE, word, NULL);
    }
}
