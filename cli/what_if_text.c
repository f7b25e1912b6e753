/* SPDX-License-Identifier: MIT
 * A what-if for people. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/policy_text.h"
#include "cli/what_if.h"
#include "replay/phrase.h"

#define LINE_MAX_SIZE 256

static const char warning[] =
    "What this can not know: what workers, services and people would have done behind a job's "
    "first\n"
    "different decision. So each job is compared up to that decision and no further; a job's "
    "worker\n"
    "that is free sooner, or a service with less to do, changes nothing here. Effects on the queue "
    "count\n"
    "as done at once. Services answer what they really answered next about the same attempt; a "
    "question\n"
    "or cancel that nobody sent them is counted as unknown, and its job is left there.\n";

static const char *const side_names[WHAT_IF_SIDE_COUNT] = {
    [WHAT_IF_CAPTURED] = "captured", [WHAT_IF_OTHER] = "other"};

__attribute__((format(printf, 2, 3))) static void put(struct buffer *out, const char *format, ...)
{
    char line[LINE_MAX_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    buffer_put_text(out, line);
}

/* --- the policies --- */

static void put_value(struct buffer *out, struct span value)
{
    if (value.size == 0) {
        buffer_put_text(out, "(as the policy of all)");
    } else if (span_is_line(value)) {
        buffer_put_span(out, value);
    } else {
        buffer_put_json_string(out, value);
    }
}

static void put_key(void *self, struct span key, struct span before, struct span after)
{
    struct buffer *out = self;
    buffer_put_text(out, "  ");
    put_value(out, key);
    buffer_put_text(out, ": ");
    put_value(out, before);
    buffer_put_text(out, " -> ");
    put_value(out, after);
    buffer_put_byte(out, '\n');
}

static void put_unnamed(struct buffer *out, uint64_t unnamed)
{
    const char *before = "  not named, so as in the preset safe: ";
    uint64_t kept = UINT64_C(1) << POLICY_QUEUE_FAILURES;
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        if ((unnamed & ~kept & (UINT64_C(1) << key)) != 0) {
            buffer_put_text(out, before);
            buffer_put_text(out, policy_key_rule(key)->key);
            before = ", ";
        }
    }
    buffer_put_text(out, (unnamed & ~kept) != 0 ? "\n" : "");
    buffer_put_text(out,
                    (unnamed & kept) != 0 ? "  not told, so as captured: queue.failures\n" : "");
}

static void put_policies(struct buffer *out, const struct what_if_report *report,
                         const struct what_if_told *told)
{
    buffer_put_text(out, "\nPolicy, captured -> other");
    if (report->policies > 1) {
        put(out, " (%" PRIu64 " were captured; the last one is shown)", report->policies);
    }
    buffer_put_byte(out, '\n');
    if (report->policies == 0) {
        buffer_put_text(out, "  none was captured: safe with effects=observe\n");
    } else if (policy_text_compare(buffer_span(&report->captured_text),
                                   buffer_span(&report->other_text), put_key, out) == 0) {
        buffer_put_text(out, "  the same\n");
    }
    put_unnamed(out, told->unnamed);
    if (report->kept.size > 0) {
        buffer_put_text(out, "  not told, so as captured: volatile and retention_ms of ");
        put_value(out, buffer_span(&report->kept));
        buffer_put_byte(out, '\n');
    }
}

/* --- the totals --- */

/* What neither side did is left out: --json and --db tell it too. */
static void put_totals(struct buffer *out, const struct what_if_report *report)
{
    put(out, "\n%-48s %10s %10s %10s\n", "", "captured", "other", "difference");
    for (enum what_if_total total = 0; total < WHAT_IF_TOTAL_COUNT; total++) {
        uint64_t a = report->total[total][WHAT_IF_CAPTURED];
        uint64_t b = report->total[total][WHAT_IF_OTHER];
        if (a == 0 && b == 0) {
            continue;
        }
        put(out, "%-48s %10" PRIu64 " %10" PRIu64, what_if_total_label(total), a, b);
        if (a != b) {
            put(out, " %+10" PRId64, (int64_t)(b - a));
        }
        buffer_put_byte(out, '\n');
    }
    put(out,
        "\njobs compared: %" PRIu64 ", decided differently: %" PRIu64 ", unknown: %" PRIu64 "\n",
        report->jobs_compared, report->jobs_different, report->jobs_unknown);
    const struct what_if_delay *delay = &report->delay;
    if (delay->count > 0) {
        put(out,
            "same decision at another time: %" PRIu64 "; \"other\" is %" PRIu64
            " ms earlier in all (at most %" PRIu64 " ms), %" PRIu64 " ms later (at most %" PRIu64
            " ms)\n",
            delay->count, delay->won_ms, delay->won_max_ms, delay->lost_ms, delay->lost_max_ms);
    }
}

/* What came of an effect and is not what both sides take for granted. */
static bool is_otherwise(enum effect_outcome outcome)
{
    return outcome != OUTCOME_NONE && outcome != OUTCOME_APPLIED && outcome != OUTCOME_ACCEPTED &&
           outcome != OUTCOME_OBSERVED;
}

static void put_reality(struct buffer *out, const struct what_if_report *report)
{
    const char *before = "in reality not every effect was done: ";
    bool is_told = false;
    for (enum effect_outcome outcome = 0; outcome < EFFECT_OUTCOME_COUNT; outcome++) {
        uint64_t count = report->reality.outcomes[outcome];
        if (is_otherwise(outcome) && count > 0) {
            put(out, "%s%" PRIu64 " %s", is_told ? ", " : before, count,
                effect_outcome_text(outcome));
            is_told = true;
        }
    }
    buffer_put_text(out, is_told ? "\n" : "");
}

/* --- the jobs --- */

static void put_unknown(struct buffer *out, const struct what_if_decision *decision)
{
    if (decision->action == ACTION_CANCEL) {
        buffer_put_text(out, "; nobody sent it, so what came of it is unknown");
    } else if (decision->last_ms > 0) {
        put(out, "; nobody asked it after that (last answer: %s, %" PRIu64 " ms before)",
            answer_verdict_text(decision->last_verdict), decision->at_ms - decision->last_ms);
    } else {
        buffer_put_text(out, "; nobody asked it, so the answer is unknown");
    }
}

static void put_decision(struct buffer *out, const struct what_if_decision *decision)
{
    phrase_put_time(out, decision->at_ms);
    put(out, "  %-8s  attempt %" PRIu64 "  ", action_text(decision->action), decision->attempt);
    if (decision->reason == REASON_NONE) {
        buffer_put_text(out, "asked before the capture begins");
    } else {
        put(out, "%s: %s", reason_code(decision->reason), reason_text(decision->reason));
    }
    buffer_put_text(out, decision->is_observed ? "; only observed" : "");
    buffer_put_text(out, decision->is_possible_duplicate ? "; possibly a second run" : "");
    if (decision->is_unknown) {
        put_unknown(out, decision);
    }
    buffer_put_byte(out, '\n');
}

static void put_side(struct buffer *out, const struct what_if_job *job, enum what_if_side side)
{
    put(out, "  %-9s ", side_names[side]);
    if (job->side[side].is_there) {
        put_decision(out, &job->side[side]);
    } else if (job->end == WHAT_IF_END_UNKNOWN) {
        buffer_put_text(out, "waits for an answer that the capture does not hold\n");
    } else if (job->backs_off[side] != REASON_NONE) {
        put(out, "nothing to the end; it was backing off: %s\n", reason_code(job->backs_off[side]));
    } else {
        buffer_put_text(out, "nothing to the end of the capture\n");
    }
}

static void put_proof(struct buffer *out, const struct what_if_job *job, enum what_if_side side)
{
    const struct what_if_decision *decision = &job->side[side];
    if (!job->is_proved[side]) {
        return;
    }
    put(out, "  proof     %s said at ",
        job->is_completed_by_service ? "its service" : "its worker");
    phrase_put_time(out, job->completed_ms);
    put(out, " that attempt %" PRIu64 " was completed: the %s of \"%s\" %s\n", decision->attempt,
        action_text(decision->action), side_names[side],
        decision->action == ACTION_REQUEUE ? "repeats what was done" : "ends what was done");
}

static void put_jobs(struct buffer *out, const struct what_if_report *report, uint64_t limit)
{
    uint64_t count = report->job_count < limit ? report->job_count : limit;
    if (count > 0) {
        buffer_put_text(out, "\nJobs, each with its first different decision\n");
    }
    for (uint64_t i = 0; i < count; i++) {
        const struct what_if_job *job = &report->jobs[i];
        buffer_put_byte(out, '\n');
        buffer_put_span(out, job->job);
        buffer_put_text(out, job->end == WHAT_IF_END_UNKNOWN ? " (unknown)\n" : "\n");
        for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
            put_side(out, job, side);
        }
        for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
            put_proof(out, job, side);
        }
    }
    if (count < report->job_count) {
        put(out, "\n… and %" PRIu64 " more (--limit, or all of them in --json and --db)\n",
            report->job_count - count);
    }
}

void what_if_put_text(struct buffer *out, const struct what_if_report *report,
                      const struct what_if_told *told)
{
    put(out, "What if the policy had been that of ");
    buffer_put_text(out, told->call->policy);
    put(out, "?\n%" PRIu64 " entries", report->entries);
    if (report->entries > 0) {
        buffer_put_text(out, ", ");
        phrase_put_time(out, report->begin_ms);
        buffer_put_text(out, " to ");
        phrase_put_time(out, report->end_ms);
    }
    buffer_put_text(out,
                    report->is_torn ? "; the capture ends in an incomplete frame\n\n" : "\n\n");
    buffer_put_text(out, warning);
    put_policies(out, report, told);
    put_totals(out, report);
    put_reality(out, report);
    put_jobs(out, report, told->call->limit);
}
