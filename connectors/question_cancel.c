/* SPDX-License-Identifier: MIT
 * A cancel: which of the profile's requests may be sent, and what came of them. */
#include "connectors/question_parts.h"

bool question_is_cancel(const struct question *question)
{
    return question->request.kind == EFFECT_CANCEL;
}

static bool is_ours_to_send(const struct question *question, const struct profile_request *request)
{
    return !request->is_global || question->service->is_exclusive;
}

/* Whether the status, where it matters, is the one that the request is for. */
static bool fits_status(const struct question *question, const struct profile_request *request)
{
    enum answer_verdict status = question->answer.report.verdict;
    return (!request->only_pending && !request->only_running) ||
           (request->only_pending && status == ANSWER_PENDING) ||
           (request->only_running && status == ANSWER_RUNNING);
}

enum question_next question_settle_cancel(struct question *question, enum effect_outcome outcome,
                                          struct span word)
{
    answer_set_word(&question->answer, word);
    question->answer.report.outcome = outcome;
    return QUESTION_OVER;
}

/* Moves on to the first request from `step` on that may be sent; OVER when there is none. */
static enum question_next go_to_cancel(struct question *question, size_t step)
{
    struct profile_requests requests = question->variant->cancel;
    while (step < requests.count && !(is_ours_to_send(question, &requests.list[step]) &&
                                      fits_status(question, &requests.list[step]))) {
        step++;
    }
    question->step = step;
    return step < requests.count ? QUESTION_GO_ON : QUESTION_OVER;
}

enum question_next question_begin_cancel(struct question *question)
{
    struct service_report *report = &question->answer.report;
    struct span status = span_of(answer_verdict_text(report->verdict));
    if (verdict_is_final(report->verdict)) {
        return question_settle_cancel(question, OUTCOME_ALREADY_FINAL, status);
    }
    question->phase = QUESTION_OF_CANCEL;
    if (go_to_cancel(question, 0) == QUESTION_GO_ON) {
        answer_set_word(&question->answer, SPAN_NONE);
        return QUESTION_GO_ON;
    }
    struct profile_requests requests = question->variant->cancel;
    for (size_t i = 0; i < requests.count; i++) {
        if (fits_status(question, &requests.list[i])) {
            return question_settle_cancel(question, OUTCOME_UNSUPPORTED, SPAN("not_exclusive"));
        }
    }
    return question_settle_cancel(question, OUTCOME_UNKNOWN,
                                  report->word.size > 0 ? report->word : status);
}

enum question_next question_begin(struct question *question, const struct profile_variant *variant)
{
    struct profile_requests requests = variant->cancel;
    bool needs_status = false, has_own = false;
    question->variant = variant;
    if (!question_is_cancel(question)) {
        return QUESTION_GO_ON;
    }
    for (size_t i = 0; i < requests.count; i++) {
        const struct profile_request *request = &requests.list[i];
        bool is_own = is_ours_to_send(question, request);
        has_own = has_own || is_own;
        needs_status = needs_status || (is_own && (request->only_pending || request->only_running));
    }
    if (!has_own) {
        return question_settle_cancel(question, OUTCOME_UNSUPPORTED,
                                      requests.count == 0 ? SPAN("no_cancel")
                                                          : SPAN("not_exclusive"));
    }
    return needs_status ? QUESTION_GO_ON : question_begin_cancel(question);
}

enum question_next question_skip_cancel(struct question *question, const char *word)
{
    /* What was sent before may have worked; without that, nothing can. */
    if (question->answer.report.outcome == OUTCOME_NONE) {
        question_settle_cancel(question, OUTCOME_UNSUPPORTED, span_of(word));
    }
    return go_to_cancel(question, question->step + 1);
}

enum question_next question_hear_cancel(struct question *question, struct heard *heard)
{
    const struct profile_request *request = question_due(question);
    const struct template_variables variables = question_variables(question);
    if (heard->raw->end == TRANSPORT_REFUSED) {
        return question_skip_cancel(question, heard->raw->word);
    }
    question->answer.report.http = heard->raw->http;
    if (heard->raw->end != TRANSPORT_REPLIED) {
        return question_settle_cancel(question, OUTCOME_UNKNOWN, span_of(heard->raw->word));
    }
    struct judgement judgement = rules_judge(RULE_OF_CANCEL, request->rules, request->rule_count,
                                             &heard->opened, &variables);
    if (judgement.outcome != OUTCOME_NONE && judgement.outcome != OUTCOME_UNKNOWN) {
        return question_settle_cancel(question, judgement.outcome, span_of(judgement.word));
    }
    bool is_unwilling = http_is_unwilling(heard->raw->http);
    bool is_throttled = is_unwilling && heard->raw->retry_after_ms > 0;
    heard->is_unwilling = heard->is_unwilling || is_unwilling;
    question_settle_cancel(question, OUTCOME_UNKNOWN,
                           is_throttled ? SPAN("throttled") : span_of(judgement.word));
    return is_throttled ? QUESTION_OVER : go_to_cancel(question, question->step + 1);
}
