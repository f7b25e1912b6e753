/* SPDX-License-Identifier: MIT
 * A what-if for programs. */
#include "base/json.h"
#include "cli/policy_text.h"
#include "cli/what_if.h"

static const char *const side_names[WHAT_IF_SIDE_COUNT] = {
    [WHAT_IF_CAPTURED] = "captured", [WHAT_IF_OTHER] = "other"};

static void begin(struct buffer *out, char bracket)
{
    bool is_first = out->data[out->size - 1] == '[';
    buffer_put_text(out, is_first || out->data[out->size - 1] == ':' ? "" : ",");
    buffer_put_byte(out, (uint8_t)bracket);
}

static void open_member(struct buffer *out, const char *key, char bracket)
{
    json_put_key(out, key);
    buffer_put_byte(out, (uint8_t)bracket);
}

static void put_change(void *self, struct span key, struct span before, struct span after)
{
    struct buffer *out = self;
    begin(out, '{');
    json_put_text(out, "key", key);
    if (before.size > 0) {
        json_put_text(out, "captured", before);
    }
    if (after.size > 0) {
        json_put_text(out, "other", after);
    }
    buffer_put_byte(out, '}');
}

static void put_word(struct buffer *out, struct span word)
{
    buffer_put_text(out, out->data[out->size - 1] == '[' ? "" : ",");
    buffer_put_json_string(out, word);
}

static void put_policy(struct buffer *out, const struct what_if_report *report,
                       const struct what_if_told *told)
{
    open_member(out, "policy", '{');
    json_put_text(out, "file", span_of(told->call->policy));
    json_put_number(out, "captured", report->policies);
    open_member(out, "changes", '[');
    policy_text_compare(buffer_span(&report->captured_text), buffer_span(&report->other_text),
                        put_change, out);
    buffer_put_byte(out, ']');
    open_member(out, "not_named", '[');
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        if ((told->unnamed & (UINT64_C(1) << key)) != 0) {
            put_word(out, span_of(policy_key_rule(key)->key));
        }
    }
    buffer_put_byte(out, ']');
    open_member(out, "facts_as_captured", '[');
    struct span rest = buffer_span(&report->kept);
    while (rest.size > 0) {
        put_word(out, span_cut(&rest, ' '));
    }
    buffer_put_text(out, "]}");
}

static void put_numbers(struct buffer *out, const struct what_if_report *report)
{
    open_member(out, "totals", '{');
    for (enum what_if_total total = 0; total < WHAT_IF_TOTAL_COUNT; total++) {
        open_member(out, what_if_total_name(total), '{');
        for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
            json_put_number(out, side_names[side], report->total[total][side]);
        }
        buffer_put_byte(out, '}');
    }
    buffer_put_byte(out, '}');
    json_put_number(out, "jobs_compared", report->jobs_compared);
    json_put_number(out, "jobs_different", report->jobs_different);
    json_put_number(out, "jobs_unknown", report->jobs_unknown);
    open_member(out, "delay", '{');
    json_put_number(out, "decisions", report->delay.count);
    json_put_number(out, "won_ms", report->delay.won_ms);
    json_put_number(out, "won_max_ms", report->delay.won_max_ms);
    json_put_number(out, "lost_ms", report->delay.lost_ms);
    json_put_number(out, "lost_max_ms", report->delay.lost_max_ms);
    buffer_put_byte(out, '}');
    open_member(out, "effects_in_reality", '{');
    for (enum effect_outcome outcome = OUTCOME_NONE + 1; outcome < EFFECT_OUTCOME_COUNT;
         outcome++) {
        if (report->reality.outcomes[outcome] > 0) {
            json_put_number(out, effect_outcome_text(outcome), report->reality.outcomes[outcome]);
        }
    }
    buffer_put_byte(out, '}');
}

static void put_decision(struct buffer *out, const struct what_if_job *job, enum what_if_side side)
{
    const struct what_if_decision *decision = &job->side[side];
    json_put_key(out, side_names[side]);
    if (!decision->is_there) {
        buffer_put_text(out, "null");
        return;
    }
    buffer_put_byte(out, '{');
    json_put_number(out, "at_ms", decision->at_ms);
    json_put_number(out, "ordinal", decision->ordinal);
    json_put_text(out, "action", span_of(action_text(decision->action)));
    json_put_text(out, "reason", span_of(reason_code(decision->reason)));
    json_put_number(out, "attempt", decision->attempt);
    json_put_text(out, "worker", decision->worker);
    json_put_text(out, "service", decision->service);
    json_put_text(out, "mode", decision->is_observed ? SPAN("observe") : SPAN("apply"));
    json_put_truth(out, "possible_duplicate", decision->is_possible_duplicate);
    json_put_truth(out, "proved", job->is_proved[side]);
    json_put_truth(out, "unknown", decision->is_unknown);
    if (decision->last_ms > 0 && decision->action == ACTION_ASK) {
        json_put_text(out, "last_answer", span_of(answer_verdict_text(decision->last_verdict)));
        json_put_number(out, "last_answer_at_ms", decision->last_ms);
    }
    json_put_key(out, "evidence");
    if (decision->evidence.size > 0) {
        buffer_put_span(out, decision->evidence);
    } else {
        buffer_put_text(out, "null");
    }
    buffer_put_byte(out, '}');
}

static void put_job(struct buffer *out, const struct what_if_job *job)
{
    begin(out, '{');
    json_put_text(out, "job", job->job);
    json_put_text(out, "ended", span_of(what_if_end_text(job->end)));
    for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
        put_decision(out, job, side);
    }
    if (job->completed_ms > 0) {
        json_put_number(out, "completed_at_ms", job->completed_ms);
        json_put_text(out, "completed_says",
                      job->is_completed_by_service ? SPAN("service") : SPAN("worker"));
    }
    buffer_put_byte(out, '}');
}

void what_if_put_json(struct buffer *out, const struct what_if_report *report,
                      const struct what_if_told *told)
{
    buffer_put_byte(out, '{');
    json_put_number(out, "partition", report->partition);
    json_put_number(out, "first_ordinal", report->first_ordinal);
    json_put_number(out, "entries", report->entries);
    json_put_number(out, "begin_ms", report->begin_ms);
    json_put_number(out, "end_ms", report->end_ms);
    json_put_truth(out, "torn", report->is_torn);
    put_policy(out, report, told);
    put_numbers(out, report);
    json_put_number(out, "elapsed_ns", report->elapsed_ns);
    open_member(out, "jobs", '[');
    for (uint32_t i = 0; i < report->job_count; i++) {
        put_job(out, &report->jobs[i]);
    }
    buffer_put_text(out, "]}\n");
}
