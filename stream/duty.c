/* SPDX-License-Identifier: MIT */
#include "stream/duty.h"

#include <stddef.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"

#define TICK_ELAPSED_MAX_MS 1000
#define REPORTS_AT_ONCE     64
#define REPORT_PARTS_MAX    10

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

/* --- reports: each kind is one type of event, and each of its fields one member of the report ---
 */

enum part_kind {
    PART_NONE,
    PART_TEXT,
    PART_NUMBER,
    PART_HTTP, /* a number; 0 is none */
    PART_VERDICT,
    PART_OUTCOME,
    PART_FOUND,
};

struct report_part {
    enum event_field field;
    enum part_kind kind;
    size_t offset; /* in struct service_report */
};

struct report_rule {
    enum event_type type;
    enum crash_point appended;
    struct report_part parts[REPORT_PARTS_MAX]; /* up to the first of kind PART_NONE */
};

#define AT(member) offsetof(struct service_report, member)

static const struct report_rule report_rules[] = {
    [REPORT_ANSWERED] = {.type = EVENT_SERVICE_ANSWERED,
                         .appended = CRASH_ANSWER_APPENDED,
                         .parts = {{FIELD_QUESTION, PART_TEXT, AT(effect)},
                                   {FIELD_JOB, PART_TEXT, AT(job)},
                                   {FIELD_ATTEMPT, PART_NUMBER, AT(attempt)},
                                   {FIELD_VERDICT, PART_VERDICT, AT(verdict)},
                                   {FIELD_FLAGS, PART_TEXT, AT(flags)},
                                   {FIELD_HTTP, PART_HTTP, AT(http)},
                                   {FIELD_LATENCY_MS, PART_NUMBER, AT(latency_ms)},
                                   {FIELD_WORD, PART_TEXT, AT(word)},
                                   {FIELD_BODY_SHA256, PART_TEXT, AT(body_sha256)},
                                   {FIELD_RESULT, PART_TEXT, AT(result)}}},
    [REPORT_SETTLED] = {.type = EVENT_EFFECT_SETTLED,
                        .appended = CRASH_OUTCOME_APPENDED,
                        .parts = {{FIELD_EFFECT, PART_TEXT, AT(effect)},
                                  {FIELD_OUTCOME, PART_OUTCOME, AT(outcome)},
                                  {.field = FIELD_FOUND, .kind = PART_FOUND}}},
    [REPORT_PROBED] = {.type = EVENT_SERVICE_PROBED,
                       .parts = {{FIELD_SERVICE, PART_TEXT, AT(service)},
                                 {FIELD_ENDPOINT, PART_TEXT, AT(endpoint)},
                                 {FIELD_CAPABILITIES, PART_TEXT, AT(capabilities)},
                                 {FIELD_BREAKER, PART_TEXT, AT(breaker)}}},
};

#define REPORT_KIND_COUNT (sizeof(report_rules) / sizeof(report_rules[0]))

/* What a cancel met, as the queue's script writes what it found: a `key=value` line each. */
static void put_found(struct buffer *out, const struct service_report *report)
{
    if (report->http > 0) {
        buffer_put_text(out, "http=");
        buffer_put_decimal(out, report->http);
    }
    if (report->word.size > 0) {
        buffer_put_text(out, out->size > 0 ? "\nword=" : "word=");
    }
    for (size_t i = 0; i < report->word.size; i++) {
        char byte = report->word.data[i];
        buffer_put_byte(out, (uint8_t)((unsigned char)byte < ' ' ? ' ' : byte));
    }
}

/* The part as text, in `scratch` where it has to be written first. */
static struct span part_text(const struct report_part *part, const struct service_report *report,
                             struct buffer *scratch)
{
    const char *member = (const char *)report + part->offset;
    uint64_t most = event_field_rule(part->field)->max;
    uint64_t number = 0;
    switch (part->kind) {
    case PART_TEXT:
        return *(const struct span *)member;
    case PART_NUMBER:
    case PART_HTTP:
        number = *(const uint64_t *)member;
        if (number > 0 || part->kind == PART_NUMBER) {
            buffer_put_decimal(scratch, number < most ? number : most);
        }
        break;
    case PART_VERDICT:
        CHECK(report->verdict != ANSWER_NONE);
        return span_of(answer_verdict_text(report->verdict));
    case PART_OUTCOME:
        CHECK(report->outcome != OUTCOME_NONE);
        return span_of(effect_outcome_text(report->outcome));
    default:
        CHECK(part->kind == PART_FOUND);
        put_found(scratch, report);
        break;
    }
    return buffer_span(scratch);
}

/* What is empty is left out, unless the type needs it; a text is cut where the fold would take no
 * more of it. */
static enum lead_result append_report(struct duty *duty, struct error *error)
{
    const struct report_rule *rule = &report_rules[duty->report.kind];
    const struct type_rule *type = event_type_rule(rule->type);
    struct span names[1 + REPORT_PARTS_MAX] = {SPAN("type")};
    struct span values[1 + REPORT_PARTS_MAX] = {span_of(type->name)};
    struct buffer scratch[REPORT_PARTS_MAX] = {{0}};
    uint32_t count = 1;
    for (size_t i = 0; i < REPORT_PARTS_MAX && rule->parts[i].kind != PART_NONE; i++) {
        const struct report_part *part = &rule->parts[i];
        const struct field_rule *field = event_field_rule(part->field);
        struct span text = part_text(part, &duty->report, &scratch[i]);
        if (field->kind != FIELD_KIND_NUMBER && text.size > field->max) {
            text.size = (size_t)field->max;
        }
        if (text.size > 0 || (type->required & (UINT64_C(1) << part->field)) != 0) {
            names[count] = span_of(field->name);
            values[count++] = text;
        }
    }
    struct lead_witness witness;
    enum lead_result result = lead_append(duty->lead, names, values, count, &witness, error);
    for (size_t i = 0; i < REPORT_PARTS_MAX; i++) {
        buffer_fini(&scratch[i]);
    }
    return result;
}

bool duty_send_reports(struct duty *duty, bool *has_more, struct error *error)
{
    const struct live_asker *asker = &duty->config->asker;
    *has_more = false;
    for (int i = 0; i < REPORTS_AT_ONCE; i++) {
        if (!duty->is_report_held) {
            duty->is_report_held = asker->take_report(asker->self, &duty->report);
        }
        if (!duty->is_report_held) {
            return true;
        }
        CHECK(duty->report.kind > REPORT_NONE && duty->report.kind < REPORT_KIND_COUNT);
        const struct report_rule *rule = &report_rules[duty->report.kind];
        enum lead_result result = append_report(duty, error);
        if (result == LEAD_FAILED) {
            return false;
        }
        note_result(duty, result, event_type_rule(rule->type)->name, error);
        if (result == LEAD_NOT_NOW) {
            return true; /* held; tried again with the next tick */
        }
        duty->is_report_held = false;
        if (result == LEAD_APPENDED && rule->appended != CRASH_NONE) {
            crash_point(rule->appended);
        }
    }
    *has_more = true;
    return true;
}
