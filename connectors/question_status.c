/* SPDX-License-Identifier: MIT
 * What the replies to one question mean together. A decisive verdict counts at once, whatever
 * another request failed to say: its own rule proved it. "Not found" counts only when every request
 * said so. */
#include "base/check.h"
#include "connectors/question_parts.h"

static const struct sha256_text *heard_digest(struct heard *heard)
{
    if (heard->raw->end != TRANSPORT_REPLIED || heard->raw->body.size == 0) {
        return NULL;
    }
    if (heard->digest.text[0] == 0) {
        struct sha256 digest = sha256_of(heard->raw->body);
        heard->digest = sha256_text(&digest);
    }
    return &heard->digest;
}

void question_note(struct question *question, enum answer_verdict verdict, const char *word,
                   struct heard *heard)
{
    struct service_report *report = &question->answer.report;
    bool had_problem =
        report->verdict == ANSWER_INCONCLUSIVE || report->verdict == ANSWER_UNREACHABLE;
    bool is_problem = verdict == ANSWER_INCONCLUSIVE || verdict == ANSWER_UNREACHABLE;
    if (had_problem && (verdict == ANSWER_NOT_FOUND || is_problem)) {
        if (verdict == ANSWER_INCONCLUSIVE) {
            report->verdict = verdict;
        }
        return;
    }
    bool says_more =
        word != NULL || verdict != ANSWER_NOT_FOUND || report->verdict != ANSWER_NOT_FOUND;
    if (says_more) {
        answer_set_word(&question->answer, span_of(word));
    }
    report->verdict = verdict;
    report->http = heard != NULL ? heard->raw->http : report->http;
    answer_set_sha256(&question->answer, heard != NULL ? heard_digest(heard) : NULL);
}

static enum question_next status_over(struct question *question)
{
    return question_is_cancel(question) ? question_begin_cancel(question) : QUESTION_OVER;
}

enum question_next question_go_to_status(struct question *question, bool is_over)
{
    question->confirmed = 0;
    question->step++;
    return is_over || question->step == question->variant->status.count ? status_over(question)
                                                                        : QUESTION_GO_ON;
}

/* What the rules say, once it is sure that the reply is about our job. */
static struct judgement judge_status(const struct question *question, const struct heard *heard)
{
    const struct profile *profile = question->service->profile;
    const struct profile_request *request = question_due(question);
    const struct template_variables variables = question_variables(question);
    struct judgement judgement = rules_judge(RULE_OF_STATUS, request->rules, request->rule_count,
                                             &heard->opened, &variables);
    if (request->identity == NULL || !verdict_is_decisive(judgement.verdict)) {
        return judgement;
    }
    enum reply_owner owner = reply_owner(&heard->opened, request->identity, &variables);
    if (owner == REPLY_OURS) {
        return judgement;
    }
    /* Only where ids come back as other jobs' does another job under our id tell that ours has
     * gone. Elsewhere the service, or what stands before it, is confused: that proves nothing. */
    if (owner == REPLY_ANOTHERS && profile->are_ids_reused) {
        return (struct judgement){
            .verdict = ANSWER_NOT_FOUND, .flags = 1u << ANSWER_FLAG_EXPIRED, .word = "id_reused"};
    }
    return (struct judgement){.verdict = ANSWER_INCONCLUSIVE,
                              .word = owner == REPLY_ANOTHERS ? "other_id" : "no_identity"};
}

/* A job that completed, but whose result is not where it belongs, is completed all the same. */
static void tell_result(struct question *question, const struct heard *heard, unsigned *flags)
{
    const struct profile_variant *variant = question->variant;
    const struct template_variables variables = question_variables(question);
    const struct json *value =
        variant->has_result ? reply_find(&heard->opened, variant->result, &variables) : NULL;
    if (value != NULL) {
        struct buffer pointer = {0};
        struct error ignored = {0};
        bool is_filled =
            template_render(variant->result, TEMPLATE_POINTER, &variables, &pointer, &ignored);
        CHECK(is_filled); /* it found the value just now */
        /* A URL that the profile put a secret into must not be told. */
        bool is_secret = span_holds(question_due(question)->target, SPAN("{env:"));
        struct span url = is_secret ? SPAN_NONE : buffer_span(&question->url);
        answer_set_result(&question->answer, value, url, buffer_span(&pointer));
        buffer_fini(&pointer);
    } else if (question->request.result_url.size > 0) {
        answer_set_result_url(&question->answer, question->request.result_url);
    } else if (variant->has_result) {
        *flags |= 1u << ANSWER_FLAG_RESULT_LOST;
    }
}

static void note_judgement(struct question *question, struct judgement judgement,
                           struct heard *heard)
{
    const struct profile_variant *variant = question->variant;
    unsigned flags = judgement.flags;
    question_note(question, judgement.verdict, judgement.word, heard);
    if (!verdict_is_decisive(judgement.verdict)) {
        answer_set_flags(&question->answer, question->answer.flags | flags);
        return;
    }
    const struct template_variables variables = question_variables(question);
    const struct json *word =
        variant->has_word ? reply_find(&heard->opened, variant->word, &variables) : NULL;
    if (json_kind(word) == JSON_KIND_TEXT) {
        answer_set_word(&question->answer, json_text(word));
    }
    if (judgement.verdict == ANSWER_COMPLETED) {
        tell_result(question, heard, &flags);
    }
    answer_set_flags(&question->answer, flags);
}

/* What reads that are not atomic may get wrong, that a job ended or is not there, is believed when
 * it was said as often as the profile wants, each time the same. True when it has to be asked for
 * once more; what can not be confirmed proves nothing. */
static bool must_confirm(struct question *question, struct judgement *judgement, uint64_t now_ms)
{
    const struct profile_request *request = question_due(question);
    enum answer_verdict verdict = judgement->verdict;
    if (request->confirm_count == 0 ||
        (verdict != ANSWER_NOT_FOUND && !verdict_is_final(verdict))) {
        return false;
    }
    bool is_same = question->confirmed == 0 || question->confirmed_verdict == verdict;
    question->confirmed_verdict = verdict;
    question->confirmed++;
    if (is_same && question->confirmed >= request->confirm_count) {
        return false;
    }
    if (is_same && question_time_left(question, now_ms) > request->confirm_ms) {
        return true;
    }
    *judgement = (struct judgement){.verdict = ANSWER_INCONCLUSIVE, .word = "not_confirmed"};
    return false;
}

static enum question_next hear_status_reply(struct question *question, struct heard *heard,
                                            uint64_t now_ms)
{
    struct judgement judgement = judge_status(question, heard);
    bool is_unwilling = judgement.verdict == ANSWER_UNREACHABLE;
    bool is_throttled = is_unwilling && heard->raw->retry_after_ms > 0;
    heard->is_unwilling = heard->is_unwilling || is_unwilling;
    heard->is_doubtful = heard->is_doubtful || judgement.verdict == ANSWER_INCONCLUSIVE;
    heard->is_sure = heard->is_sure || judgement.verdict == ANSWER_NOT_FOUND ||
                     verdict_is_decisive(judgement.verdict);
    if (must_confirm(question, &judgement, now_ms)) {
        return QUESTION_PAUSE;
    }
    if (is_throttled) {
        judgement.word = "throttled";
    }
    note_judgement(question, judgement, heard);
    return question_go_to_status(question, is_throttled || verdict_is_decisive(judgement.verdict));
}

enum question_next question_hear_status(struct question *question, struct heard *heard,
                                        uint64_t now_ms)
{
    const char *word = heard->raw->word;
    switch (heard->raw->end) {
    case TRANSPORT_REPLIED:
        return hear_status_reply(question, heard, now_ms);
    case TRANSPORT_TOO_LARGE:
        question_note(question, ANSWER_INCONCLUSIVE, word, heard);
        return question_go_to_status(question, false);
    case TRANSPORT_NO_REPLY: /* the other requests would find the same silence */
        question_note(question, ANSWER_UNREACHABLE, word, heard);
        return question_go_to_status(question, true);
    case TRANSPORT_REFUSED:
        question_note(question, ANSWER_INCONCLUSIVE, word, heard);
        return question_go_to_status(question, true);
    case TRANSPORT_NONE:
        break;
    }
    CHECK(!"a request that did not end");
    return QUESTION_OVER;
}
