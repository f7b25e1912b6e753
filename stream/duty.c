/* SPDX-License-Identifier: MIT */
#include "stream/duty.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"

#define TICK_ELAPSED_MAX_MS 1000
#define ANSWERS_AT_ONCE     64

void duty_begin(struct duty *duty)
{
    duty->tick_from_ms = clock_boot_ms();
    duty->tick_due_ms = duty->tick_from_ms;
}

static void note_result(struct duty *duty, enum lead_result result, const char *what,
                        const struct error *error)
{
    bool is_refused = result == LEAD_NOT_NOW || result == LEAD_KEPT;
    if (is_refused && !duty->is_refused) {
        log_fact(LOG_WARNING, "append_waits", "type", what, "because", error->message, NULL);
    } else if (!is_refused && duty->is_refused) {
        log_fact(LOG_INFO, "appends_go_on", NULL);
    }
    duty->is_refused = is_refused;
}

bool duty_tick(struct duty *duty, struct error *error)
{
    /* An earlier append may have to be settled first, which takes as long as it takes. */
    struct lead_witness witness;
    enum lead_result result = lead_settle(duty->lead, &witness, error);
    uint64_t now_ms = clock_boot_ms();
    uint64_t passed_ms = now_ms - duty->tick_from_ms;
    uint64_t elapsed_ms = passed_ms < TICK_ELAPSED_MAX_MS ? passed_ms : TICK_ELAPSED_MAX_MS;
    if (result == LEAD_APPENDED) {
        result = lead_tick(duty->lead, elapsed_ms, passed_ms - elapsed_ms, &witness, error);
    }
    if (result == LEAD_FAILED) {
        return false;
    }
    note_result(duty, result, "tick", error);
    duty->tick_due_ms += duty->config->tick_ms;
    if (duty->tick_due_ms <= now_ms) {
        duty->tick_due_ms = now_ms + duty->config->tick_ms;
    }
    if (result != LEAD_NOT_NOW) {
        duty->tick_from_ms = now_ms;
    }
    if (result == LEAD_APPENDED) {
        crash_point(CRASH_TICK_APPENDED);
        /* The older one first: under load the fold gets to it later than the next tick comes. */
        if (duty->witness.added == 0) {
            duty->witness = witness;
        }
    }
    return true;
}

bool duty_hold_witness(struct duty *duty, struct stream_id position, uint64_t ordinal,
                       struct error *error)
{
    int order = stream_id_compare(position, duty->witness.last);
    if (duty->witness.added == 0 || order < 0) {
        return true;
    }
    uint64_t added = duty->witness.added;
    duty->witness.added = 0;
    /* Behind it: that entry itself was deleted; the next tick's witness tells how many. */
    return order > 0 || added == ordinal ||
           error_set(error, ERROR_HISTORY,
                     "the stream counted %llu entries up to a point where %llu were folded",
                     (unsigned long long)added, (unsigned long long)ordinal);
}

bool duty_send_policy(struct duty *duty, struct error *error)
{
    const struct span names[] = {SPAN("type"), SPAN("text"), SPAN("origin"), SPAN("hash")};
    const struct span values[] = {SPAN("policy"), duty->config->policy_text, SPAN("file"),
                                  span_of(duty->config->policy_hash)};
    struct lead_witness witness = {0};
    enum lead_result result = lead_append(duty->lead, names, values, 4, &witness, error);
    if (result == LEAD_FAILED) {
        return false;
    }
    note_result(duty, result, "policy", error);
    duty->is_policy_sent = result != LEAD_NOT_NOW;
    duty->policy_id = witness.id;
    return true;
}

bool duty_settle_policy(struct duty *duty, struct error *error)
{
    struct lead_witness witness;
    enum lead_result result = lead_settle(duty->lead, &witness, error);
    if (result == LEAD_FAILED) {
        return false;
    }
    note_result(duty, result, "policy", error);
    if (result == LEAD_APPENDED) {
        duty->policy_id = stream_id_is_zero(witness.id) ? witness.last : witness.id;
    }
    return true;
}

struct field_list {
    struct span names[ENTRY_FIELDS_MAX], values[ENTRY_FIELDS_MAX];
    uint32_t count;
};

static void put_text(struct field_list *list, const char *name, struct span value)
{
    if (value.size > 0) {
        list->names[list->count] = span_of(name);
        list->values[list->count] = value;
        list->values[list->count++].size = value.size < TEXT_SIZE_MAX ? value.size : TEXT_SIZE_MAX;
    }
}

static enum lead_result append_answer(struct duty *duty, struct error *error)
{
    const struct service_report *answer = &duty->answer;
    struct number_text attempt = number_text(answer->attempt);
    struct number_text http = number_text(answer->http);
    struct number_text latency_ms = number_text(answer->latency_ms);
    struct field_list list = {0};
    put_text(&list, "type", SPAN("service.answered"));
    put_text(&list, "question", answer->effect);
    put_text(&list, "job", answer->job);
    put_text(&list, "attempt", span_of(attempt.text));
    put_text(&list, "verdict", span_of(answer_verdict_text(answer->verdict)));
    put_text(&list, "flags", answer->flags);
    if (answer->http > 0) {
        put_text(&list, "http", span_of(http.text));
    }
    put_text(&list, "latency_ms", span_of(latency_ms.text));
    put_text(&list, "word", answer->word);
    put_text(&list, "body_sha256", answer->body_sha256);
    put_text(&list, "result", answer->result);
    struct lead_witness witness;
    return lead_append(duty->lead, list.names, list.values, list.count, &witness, error);
}

bool duty_send_answers(struct duty *duty, bool *has_more, struct error *error)
{
    const struct live_asker *asker = &duty->config->asker;
    *has_more = false;
    for (int i = 0; i < ANSWERS_AT_ONCE; i++) {
        if (!duty->is_answer_held) {
            duty->is_answer_held = asker->take_report(asker->self, &duty->answer);
        }
        if (!duty->is_answer_held) {
            return true;
        }
        enum lead_result result = append_answer(duty, error);
        if (result == LEAD_FAILED) {
            return false;
        }
        note_result(duty, result, "service.answered", error);
        if (result == LEAD_NOT_NOW) {
            return true; /* held; tried again with the next tick */
        }
        duty->is_answer_held = false;
        if (result == LEAD_APPENDED) {
            crash_point(CRASH_ANSWER_APPENDED);
        }
    }
    *has_more = true;
    return true;
}
