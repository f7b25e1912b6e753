/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/send_wait.h"

#define LOOK_MS 20

bool send_wait_begin(struct send_wait *wait, struct error *error)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s/audit-0.db", wait->data) >= sizeof(path)) {
        return error_set(error, ERROR_USAGE, "data: the path is too long");
    }
    wait->audit = audit_open(path, AUDIT_READ, 0, error);
    if (wait->audit == NULL) {
        return error_wrap(error, "--wait reads the local audit");
    }
    struct audit_position position = {0};
    *error = (struct error){0};
    if (!audit_load_position(wait->audit, &position, error) && error->code != ERROR_NONE) {
        return false;
    }
    wait->ordinal = position.ordinal;
    return true;
}

static bool note_observed(void *payload, const struct audit_effect *effect)
{
    bool *is_observed = payload;
    *is_observed |= span_is(effect->outcome, "observed");
    return true;
}

static bool keep_decision(struct send_wait *wait, const struct decision *decision,
                          struct error *error)
{
    struct buffer *text = &wait->text;
    bool is_observed = false;
    if (!audit_effects_of(wait->audit, decision->id, note_observed, &is_observed, error) &&
        error->code != ERROR_NONE) {
        return false;
    }
    wait->decision_count++;
    wait->is_refused |= decision->action == ACTION_IGNORE || decision->action == ACTION_QUARANTINE;
    buffer_put_span(text, decision->id);
    buffer_put_byte(text, ' ');
    buffer_put_text(text, action_text(decision->action));
    buffer_put_text(text, ": ");
    buffer_put_text(text, reason_text(decision->reason));
    buffer_put_text(text, " (");
    buffer_put_text(text, reason_code(decision->reason));
    buffer_put_byte(text, ')');
    if (decision->job.size > 0) {
        buffer_put_text(text, " job ");
        buffer_put_span(text, decision->job);
    }
    buffer_put_text(text, is_observed ? "; only observed, nothing is done outside\n" : "\n");
    struct buffer *json = &wait->json;
    buffer_put_text(json, wait->decision_count > 1 ? ",{" : "{");
    json_put_text(json, "id", decision->id);
    json_put_text(json, "action", span_of(action_text(decision->action)));
    json_put_text(json, "reason", span_of(reason_code(decision->reason)));
    json_put_text(json, "job", decision->job);
    json_put_text(json, "worker", decision->worker);
    json_put_number(json, "attempt", decision->attempt);
    json_put_truth(json, "observed", is_observed);
    buffer_put_byte(json, '}');
    return true;
}

static bool read_decisions(struct send_wait *wait, struct error *error)
{
    struct audit_cursor *cursor = audit_decisions(wait->audit, wait->ordinal, error);
    if (cursor == NULL) {
        return false;
    }
    struct decision decision;
    enum audit_next next = AUDIT_END;
    bool is_read = true;
    while (is_read && (next = audit_next(cursor, &decision, NULL, error)) == AUDIT_ROW) {
        int order = stream_id_compare(decision.stream_id, wait->id);
        if (order > 0) {
            break;
        }
        is_read = order < 0 || keep_decision(wait, &decision, error);
    }
    audit_cursor_close(cursor);
    return is_read && next != AUDIT_ERROR;
}

bool send_wait_end(struct send_wait *wait, bool *is_folded, struct error *error)
{
    uint64_t end_ms = clock_boot_ms() + wait->wait_ms;
    *is_folded = false;
    for (;;) {
        struct audit_position position = {0};
        *error = (struct error){0};
        if (!audit_load_position(wait->audit, &position, error) && error->code != ERROR_NONE) {
            return false;
        }
        wait->is_folded = stream_id_compare(position.stream_id, wait->id) >= 0;
        if (wait->is_folded || clock_boot_ms() >= end_ms) {
            *is_folded = wait->is_folded;
            return !wait->is_folded || read_decisions(wait, error);
        }
        poll(NULL, 0, LOOK_MS);
    }
}

void send_wait_print(const struct send_wait *wait, bool is_json)
{
    struct buffer out = {0};
    struct buffer id = {0};
    stream_id_put(&id, wait->id);
    if (is_json) {
        buffer_put_byte(&out, '{');
        buffer_put_span(&out, wait->json_head);
        json_put_text(&out, "stream_id", buffer_span(&id));
        json_put_truth(&out, "folded", wait->is_folded);
        json_put_key(&out, "decisions");
        buffer_put_byte(&out, '[');
        buffer_put_span(&out, buffer_span(&wait->json));
        buffer_put_text(&out, "]}\n");
    } else {
        buffer_put_span(&out, buffer_span(&id));
        buffer_put_byte(&out, '\n');
        buffer_put_span(&out, buffer_span(&wait->text));
        if (wait->wait_ms > 0 && !wait->is_folded) {
            buffer_put_text(&out, "not folded yet: is `salvor run` at work on this data?\n");
        } else if (wait->is_folded && wait->decision_count == 0) {
            buffer_put_text(&out, wait->no_decision);
        }
    }
    fwrite(out.data, 1, out.size, stdout);
    buffer_fini(&out);
    buffer_fini(&id);
}

void send_wait_fini(struct send_wait *wait)
{
    audit_close(wait->audit);
    wait->audit = NULL;
    buffer_fini(&wait->text);
    buffer_fini(&wait->json);
}
