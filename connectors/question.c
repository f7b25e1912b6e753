/* SPDX-License-Identifier: MIT
 * One question to a service. A decisive verdict counts at once, whatever another probe failed to
 * say: its own rule proved it. "Not found" counts only when every probe said so. */
#include "connectors/question.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"

/* The texts of a request that asking needs. */
#define REQUEST_TEXTS(X) \
    X(id)                \
    X(job)               \
    X(service)           \
    X(service_job)       \
    X(tag)               \
    X(status_url)        \
    X(result_url)        \
    X(base)

static struct span without_last_slash(struct span text)
{
    while (text.size > 0 && text.data[text.size - 1] == '/') {
        text.size--;
    }
    return text;
}

/* "http://host:port" of a URL. */
static struct span authority_of(struct span url)
{
    size_t slashes = 0, size = 0;
    while (size < url.size && url.data[size] != '?' && slashes < 3) {
        slashes += url.data[size] == '/';
        size++;
    }
    return (struct span){url.data, slashes == 3 ? size - 1 : size};
}

static struct span base_of(const struct question *question)
{
    struct span own = question->request.base;
    return without_last_slash(own.size > 0 ? own : span_of(question->service->base));
}

struct question *question_create(const struct effect_request *request,
                                 const struct service *service)
{
    struct question *question = mem_zero(sizeof(*question));
    size_t size = 0, used = 0;
    question->request.attempt = request->attempt;
    question->request.wait_ms = request->wait_ms;
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
    if (service != NULL && service->profile != NULL) {
        struct span status_url = question->request.status_url;
        bool is_absolute = service->profile->probes[0].is_absolute && status_url.size > 0;
        question->authority = authority_of(is_absolute ? status_url : base_of(question));
    }
    question->answer = (struct service_report){
        .kind = REPORT_ANSWERED,
        .effect = question->request.id,
        .job = question->request.job,
        .attempt = request->attempt,
    };
    question->queued_ms = clock_boot_ms();
    return question;
}

void question_destroy(struct question *question)
{
    buffer_fini(&question->url);
    buffer_fini(&question->result);
    mem_free(question->texts);
    mem_free(question);
}

static struct template_variables variables_of(const struct question *question)
{
    const struct effect_request *request = &question->request;
    return (struct template_variables){.id = request->service_job,
                                       .tag = request->tag,
                                       .status_url = request->status_url,
                                       .result_url = request->result_url};
}

/* Words come from outside: cut, and what is not printable is shown as a question mark. */
static void set_word(struct question *question, struct span word)
{
    size_t size = word.size < ANSWER_WORD_MAX ? word.size : ANSWER_WORD_MAX;
    for (size_t i = 0; i < size; i++) {
        bool is_printable = word.data[i] >= ' ' && word.data[i] <= '~';
        question->word_text[i] = is_printable ? word.data[i] : '?';
    }
    question->answer.word = (struct span){question->word_text, size};
}

static void settle(struct question *question)
{
    struct buffer flags = {0};
    answer_flags_put(&flags, question->flags);
    CHECK(flags.size < sizeof(question->flags_text));
    if (flags.size > 0) {
        memcpy(question->flags_text, flags.data, flags.size);
    }
    question->answer.flags = (struct span){question->flags_text, flags.size};
    buffer_fini(&flags);
    if (question->started_ms > 0) {
        question->answer.latency_ms = clock_boot_ms() - question->started_ms;
    }
}

void question_settle(struct question *question, enum answer_verdict verdict, const char *word)
{
    question->answer.verdict = verdict;
    set_word(question, span_of(word));
    settle(question);
}

/* The URL of the probe that is due; false with a word when there is none. */
static bool build_url(struct question *question, const struct probe *probe, struct error *error)
{
    const struct template_variables variables = variables_of(question);
    buffer_reset(&question->url);
    if (!probe->is_absolute) {
        struct span base = base_of(question);
        if (base.size == 0) {
            return error_set(error, ERROR_REFUSED, "no_base");
        }
        buffer_put_span(&question->url, base);
    }
    if (!template_render(probe->target, TEMPLATE_URL, &variables, &question->url, error)) {
        return false;
    }
    for (size_t i = 0; i < question->url.size; i++) {
        if (question->url.data[i] <= ' ' || question->url.data[i] > '~') {
            return error_set(error, ERROR_REFUSED, "bad_url");
        }
    }
    return true;
}

bool question_send(struct question *question, struct transport *transport, uint64_t question_ms)
{
    const struct template_variables variables = variables_of(question);
    const struct probe *probe = &question->service->profile->probes[question->probe];
    struct buffer body = {0};
    struct error error = {0};
    const char *word = NULL;
    if (question->started_ms == 0) {
        question->started_ms = clock_boot_ms();
    }
    uint64_t used_ms = clock_boot_ms() - question->started_ms;
    if (used_ms >= question_ms) {
        question_settle(question, ANSWER_UNREACHABLE, "timeout");
        return false;
    }
    if (!build_url(question, probe, &error) ||
        !template_render(probe->body, TEMPLATE_BODY, &variables, &body, &error)) {
        word = error.message;
        goto free_body;
    }
    struct transport_request request = {
        .is_post = probe->is_post,
        .url = buffer_span(&question->url),
        .body = buffer_span(&body),
        .allow = &question->service->allow,
        .timeout_ms = question_ms - used_ms,
        .owner = question,
    };
    bool is_sent = transport_send(transport, &request, &word);
    CHECK(is_sent == (word == NULL));
free_body:
    buffer_fini(&body);
    if (word != NULL) {
        question_settle(question, ANSWER_INCONCLUSIVE, word);
    }
    return word == NULL;
}

/* The result itself where it is short, else where it is and what it was. A text as it is, any other
 * value as JSON: UTF-8 both, since the reply was parsed as JSON. */
static void set_result(struct question *question, const struct json *value)
{
    struct buffer text = {0};
    if (json_kind(value) == JSON_KIND_TEXT) {
        buffer_put_span(&text, json_text(value));
    } else {
        json_write(value, &text);
    }
    if (text.size <= ANSWER_RESULT_MAX) {
        buffer_put_span(&question->result, buffer_span(&text));
    } else {
        struct sha256 digest = sha256_of(buffer_span(&text));
        struct sha256_text hexadecimal = sha256_text(&digest);
        const struct template_variables variables = variables_of(question);
        struct buffer pointer = {0}, reference = {0};
        struct error ignored = {0};
        bool is_filled = template_render(question->service->profile->result, TEMPLATE_POINTER,
                                         &variables, &pointer, &ignored);
        CHECK(is_filled); /* it found the value just now */
        for (int with_place = 1; with_place >= 0; with_place--) {
            buffer_reset(&reference);
            buffer_put_byte(&reference, '{');
            if (with_place == 1) {
                json_put_text(&reference, "url", buffer_span(&question->url));
                json_put_text(&reference, "pointer", buffer_span(&pointer));
            }
            json_put_number(&reference, "bytes", text.size);
            json_put_text(&reference, "sha256", span_of(hexadecimal.text));
            buffer_put_byte(&reference, '}');
            if (reference.size <= ANSWER_RESULT_MAX) {
                break; /* else even the place is too long to be told */
            }
        }
        buffer_put_span(&question->result, buffer_span(&reference));
        buffer_fini(&reference);
        buffer_fini(&pointer);
    }
    question->answer.result = buffer_span(&question->result);
    buffer_fini(&text);
}

/* What a reply said becomes what the answer says, unless an earlier probe failed: then the answer
 * tells of that one. */
static void note(struct question *question, enum answer_verdict verdict, const char *word,
                 const struct transport_reply *reply)
{
    bool had_problem = question->answer.verdict == ANSWER_INCONCLUSIVE ||
                       question->answer.verdict == ANSWER_UNREACHABLE;
    bool is_problem = verdict == ANSWER_INCONCLUSIVE || verdict == ANSWER_UNREACHABLE;
    if (had_problem && (verdict == ANSWER_NOT_FOUND || is_problem)) {
        if (verdict == ANSWER_INCONCLUSIVE) {
            question->answer.verdict = verdict;
        }
        return;
    }
    question->answer.verdict = verdict;
    question->answer.http = reply->http;
    question->answer.body_sha256 = SPAN_NONE;
    set_word(question, span_of(word));
    if (reply->end == TRANSPORT_REPLIED && reply->body.size > 0) {
        struct sha256 digest = sha256_of(reply->body);
        question->sha256_text = sha256_text(&digest);
        question->answer.body_sha256 = span_of(question->sha256_text.text);
    }
}

static bool is_decisive(enum answer_verdict verdict)
{
    return verdict == ANSWER_PENDING || verdict == ANSWER_RUNNING || verdict == ANSWER_COMPLETED ||
           verdict == ANSWER_FAILED || verdict == ANSWER_CANCELLED;
}

static void judge(struct question *question, const struct transport_reply *reply)
{
    const struct profile *profile = question->service->profile;
    const struct probe *probe = &profile->probes[question->probe];
    const struct template_variables variables = variables_of(question);
    struct reply opened = reply_open(reply->http, reply->content_type, reply->body);
    struct judgement judgement = rules_judge(probe->rules, probe->rule_count, &opened, &variables);
    note(question, judgement.verdict, judgement.word, reply);
    if (is_decisive(judgement.verdict)) {
        const struct json *word =
            profile->has_word ? reply_find(&opened, profile->word, &variables) : NULL;
        if (json_kind(word) == JSON_KIND_TEXT) {
            set_word(question, json_text(word));
        }
        const struct json *result = profile->has_result && judgement.verdict == ANSWER_COMPLETED
                                        ? reply_find(&opened, profile->result, &variables)
                                        : NULL;
        if (result != NULL) {
            set_result(question, result);
        }
        question->flags = judgement.flags;
    } else {
        question->flags |= judgement.flags;
    }
    reply_close(&opened);
}

bool question_reply(struct question *question, const struct transport_reply *reply)
{
    bool is_over = false;
    switch (reply->end) {
    case TRANSPORT_REPLIED:
        judge(question, reply);
        is_over = is_decisive(question->answer.verdict);
        break;
    case TRANSPORT_TOO_LARGE:
        note(question, ANSWER_INCONCLUSIVE, reply->word, reply);
        break;
    case TRANSPORT_NO_REPLY: /* the other probes would find the same silence */
        note(question, ANSWER_UNREACHABLE, reply->word, reply);
        is_over = true;
        break;
    case TRANSPORT_REFUSED:
        note(question, ANSWER_INCONCLUSIVE, reply->word, reply);
        is_over = true;
        break;
    case TRANSPORT_NONE:
        CHECK(!"a request that did not end");
    }
    question->probe++;
    is_over = is_over || question->probe == question->service->profile->probe_count;
    if (is_over) {
        settle(question);
    }
    return is_over;
}
