/* SPDX-License-Identifier: MIT
 * How a job stood at one moment: its phase, who held it, what was counted, what was open, which
 * times were running. Times are told by the clocks of the fold, which stand while nobody watches.
 */
#include "base/json.h"
#include "replay/phrase.h"
#include "replay/reasoning.h"
#include "replay/why.h"

#define WIDTH  100
#define INDENT 14

static uint64_t until(uint64_t due, uint64_t now)
{
    return due > now ? due - now : 0;
}

/* --- times that run --- */

struct running_time {
    const char *code, *text; /* "next", "asked again" */
    uint64_t in_ms;
};

#define RUNNING_MAX 4

static const char *next_text(const struct job_core *core)
{
    bool is_ending = core->ending != ENDING_NONE;
    switch (core->phase) {
    case JOB_CLAIMED:
        return "its claim is given up, if it is not started,";
    case JOB_WAITING:
        return is_ending ? "its cancel is repeated" : "its service is asked again";
    case JOB_BACKING_OFF:
        return "it goes back to the queue";
    default:
        return "the cancel is over, whatever came of it,";
    }
}

/* The silence of its holder, and the job's own times. */
static uint32_t running_times(const struct job_view *view, struct running_time *out)
{
    const struct job_core *core = &view->core;
    const struct job_phase_rule *rule = job_phase_rule(core->phase);
    bool is_watched = view->holder.phase == WORKER_ACTIVE || view->holder.phase == WORKER_STOPPING;
    uint32_t count = 0;
    if (rule->next != NEXT_NEVER && core->next_due != 0) {
        out[count++] = (struct running_time){"next", next_text(core),
                                             until(core->next_due, view->liveness_ms)};
    }
    if (rule->has_deadline && core->deadline_due != 0) {
        out[count++] = (struct running_time){"deadline", "its deadline passes",
                                             until(core->deadline_due, view->deadline_ms)};
    }
    if (rule->has_deadline && core->grace_due != 0) {
        out[count++] = (struct running_time){"grace", "the grace behind its deadline ends",
                                             until(core->grace_due, view->liveness_ms)};
    }
    if (is_watched && view->holder_limit_ms > 0) {
        out[count++] = (struct running_time){
            "silence", "its worker counts as silent, if it is not heard,",
            until(view->holder.heard_ms + view->holder_limit_ms, view->liveness_ms)};
    }
    return count;
}

/* --- text --- */

struct sheet {
    const struct story *story;
    const struct palette *palette;
    struct buffer *out;
    struct buffer text; /* of the line under construction */
};

static void put_line(struct sheet *sheet, const char *label)
{
    struct paragraph how = {
        .palette = sheet->palette, .column = INDENT, .indent = INDENT, .width = WIDTH};
    phrase_put_line(sheet->out, 2);
    palette_put(sheet->palette, STYLE_TITLE, span_of(label), sheet->out);
    for (size_t size = 2 + span_of(label).size; size < INDENT; size++) {
        buffer_put_byte(sheet->out, ' ');
    }
    phrase_put_paragraph(sheet->out, &how, buffer_span(&sheet->text));
    buffer_reset(&sheet->text);
}

static void put_worker(struct sheet *sheet)
{
    static const char *const phases[] = {[WORKER_NONE] = "told of by the queue alone",
                                         [WORKER_ACTIVE] = "active",
                                         [WORKER_STOPPING] = "stopping",
                                         [WORKER_SILENT] = "silent past its limit",
                                         [WORKER_GONE] = "gone"};
    const struct job_view *view = &sheet->story->view;
    struct buffer *text = &sheet->text;
    if (view->worker.size == 0) {
        buffer_put_text(text, "nobody holds it");
    } else {
        phrase_put_printable(text, view->worker);
        buffer_put_text(text, ", ");
        buffer_put_text(text, phases[view->holder.phase]);
        buffer_put_text(text, ", heard last ");
        phrase_put_span(text, until(view->liveness_ms, view->holder.heard_ms));
        buffer_put_text(text, " ago by the ticks (limit ");
        phrase_put_span(text, view->holder_limit_ms);
        buffer_put_byte(text, ')');
    }
    put_line(sheet, "worker");
}

static void put_number(struct buffer *text, const char *before, uint64_t number)
{
    buffer_put_text(text, before);
    buffer_put_decimal(text, number);
}

static void put_counts(struct sheet *sheet)
{
    const struct job_core *core = &sheet->story->view.core;
    struct buffer *text = &sheet->text;
    put_number(text, "attempt ", core->attempt);
    put_number(text, "; losses ", core->losses);
    put_number(text, ", failures ", core->failures);
    put_number(text, " of max_retries ", sheet->story->view.max_retries);
    put_number(text, "; workers lost while they ran it: ", core->deaths);
    if (core->asks > 0) {
        put_number(text, "; answers that proved nothing: ", core->asks);
    }
    if (core->refusals > 0) {
        put_number(text, "; refused for the same belief: ", core->refusals);
    }
    buffer_put_text(text, core->is_idempotent ? "; idempotent" : "; not idempotent");
    put_line(sheet, "counts");
}

static void put_cause(struct sheet *sheet)
{
    const struct job_core *core = &sheet->story->view.core;
    if (core->cause == REASON_NONE) {
        return;
    }
    buffer_put_text(&sheet->text, reason_text(core->cause));
    if (core->rests_on_silence) {
        buffer_put_text(&sheet->text, "; nothing but silence speaks against the attempt");
    }
    put_line(sheet, "judged for");
}

static void put_times(struct sheet *sheet)
{
    struct running_time times[RUNNING_MAX];
    uint32_t count = running_times(&sheet->story->view, times);
    for (uint32_t i = 0; i < count; i++) {
        buffer_put_text(&sheet->text, times[i].text);
        buffer_put_text(&sheet->text, " in ");
        phrase_put_span(&sheet->text, times[i].in_ms);
        put_line(sheet, i == 0 ? "due" : "");
    }
}

static void put_fleet(struct sheet *sheet)
{
    const struct job_view *view = &sheet->story->view;
    if (!view->is_fleet_held) {
        return;
    }
    buffer_put_text(&sheet->text, "held for ");
    phrase_put_span(&sheet->text, until(view->liveness_ms, view->fleet_held_since_ms));
    buffer_put_text(&sheet->text, ": ");
    buffer_put_text(&sheet->text, reason_text(view->fleet_held_for));
    put_line(sheet, "fleet");
}

static void put_service(struct sheet *sheet)
{
    const struct job_view *view = &sheet->story->view;
    if (view->text[JOB_TEXT_SERVICE].size == 0) {
        return;
    }
    phrase_put_printable(&sheet->text, view->text[JOB_TEXT_SERVICE]);
    if (view->text[JOB_TEXT_SERVICE_JOB].size > 0) {
        buffer_put_text(&sheet->text, ", which has it as ");
        phrase_put_printable(&sheet->text, view->text[JOB_TEXT_SERVICE_JOB]);
    }
    put_line(sheet, "service");
}

/* "1.5 s before", "just then". */
static void put_ago(const struct story *story, uint64_t at_ms, struct buffer *out)
{
    uint64_t ms = until(story_end_ms(story), at_ms);
    if (ms > 0) {
        phrase_put_span(out, ms);
    }
    buffer_put_text(out, ms > 0 ? " before" : "just then");
}

static void put_open(struct sheet *sheet)
{
    const struct story *story = sheet->story;
    uint32_t shown = 0;
    for (uint32_t i = 0; i < story->effect_count; i++) {
        const struct audit_effect *effect = &story->effects[i].row;
        if (effect->outcome.size == 0) {
            phrase_put_printable(&sheet->text, effect->kind);
            buffer_put_byte(&sheet->text, ' ');
            phrase_put_printable(&sheet->text, effect->target);
            buffer_put_text(&sheet->text, ", asked ");
            put_ago(story, effect->requested_at_ms, &sheet->text);
            put_line(sheet, shown++ == 0 ? "open" : "");
        }
    }
    if (shown == 0 && story->has_view && story->view.effect.size > 0) {
        buffer_put_text(&sheet->text, effect_kind_text(story->view.core.wanted));
        buffer_put_byte(&sheet->text, ' ');
        phrase_put_printable(&sheet->text, story->view.effect);
        put_line(sheet, "open");
    } else if (shown == 0) {
        buffer_put_text(&sheet->text, "nothing: no question, no effect");
        put_line(sheet, "open");
    }
}

static void put_last_decision(struct sheet *sheet)
{
    const struct story *story = sheet->story;
    struct buffer *text = &sheet->text;
    if (story->decision_count == 0 && story_unread(story).ordinal > 0) {
        buffer_put_text(text, "nothing in what was read: ");
        reasoning_put_unread(story, text);
        buffer_put_text(text, story->has_audit ? "" : "; --audit tells what was decided before");
    } else if (story->decision_count == 0) {
        buffer_put_text(text, "nothing yet");
    } else {
        const struct told_decision *told = &story->decisions[story->decision_count - 1];
        const struct decision *row = &told->row;
        buffer_put_text(text, reasoning_action(row->action));
        buffer_put_text(text, ": ");
        buffer_put_text(text, reasoning_reason(told));
        buffer_put_text(text, " (");
        buffer_put_text(text, reason_code(row->reason));
        buffer_put_text(text, "), ");
        put_ago(story, row->at_ms, text);
        buffer_put_text(text, "; id ");
        phrase_put_printable(text, row->id);
    }
    put_line(sheet, "decided");
}

static void put_moment(struct sheet *sheet)
{
    const struct story *story = sheet->story;
    struct buffer *text = &sheet->text;
    bool is_short = story_is_short(story);
    if (is_short) {
        buffer_put_text(text, story->has_capture ? "the capture ends at " : "the audit ends at ");
    }
    phrase_put_time(text, story_end_ms(story));
    if (story->has_capture) {
        buffer_put_text(text, ", behind entry ");
        stream_id_put(text, story->position);
        put_number(text, ", ordinal ", story->ordinal);
    }
    buffer_put_text(text, is_short ? "; this is its last state" : "");
    if (!story->has_capture) {
        buffer_put_text(text, "; decisions alone: --capture tells the state too");
    }
    put_line(sheet, "at");
}

void why_put_state_text(const struct story *story, const struct palette *palette,
                        struct buffer *out)
{
    struct sheet sheet = {.story = story, .palette = palette, .out = out};
    why_put_head(story, palette, out);
    put_moment(&sheet);
    if (story->has_view) {
        put_worker(&sheet);
        put_counts(&sheet);
        put_cause(&sheet);
        put_service(&sheet);
        put_times(&sheet);
        put_fleet(&sheet);
    }
    put_open(&sheet);
    put_last_decision(&sheet);
    buffer_put_byte(out, '\n');
    buffer_fini(&sheet.text);
}

/* --- JSON --- */

static void put_facts(const struct job_core *core, struct buffer *out)
{
    struct buffer text = {0};
    json_put_key(out, "facts");
    buffer_put_byte(out, '{');
    for (enum job_fact fact = 0; fact < JOB_FACT_COUNT; fact++) {
        if (!stream_id_is_zero(core->fact[fact])) {
            buffer_reset(&text);
            stream_id_put(&text, core->fact[fact]);
            json_put_text(out, job_fact_text(fact), buffer_span(&text));
        }
    }
    buffer_put_byte(out, '}');
    buffer_fini(&text);
}

static void put_due(const struct job_view *view, struct buffer *out)
{
    struct running_time times[RUNNING_MAX];
    uint32_t count = running_times(view, times);
    json_put_key(out, "due_in_ms");
    buffer_put_byte(out, '{');
    for (uint32_t i = 0; i < count; i++) {
        json_put_number(out, times[i].code, times[i].in_ms);
    }
    buffer_put_byte(out, '}');
}

static void put_holder(const struct job_view *view, struct buffer *out)
{
    static const char *const phases[] = {[WORKER_NONE] = "none",
                                         [WORKER_ACTIVE] = "active",
                                         [WORKER_STOPPING] = "stopping",
                                         [WORKER_SILENT] = "silent",
                                         [WORKER_GONE] = "gone"};
    json_put_text(out, "worker", view->worker);
    if (view->worker.size > 0) {
        json_put_text(out, "worker_phase", span_of(phases[view->holder.phase]));
        json_put_number(out, "worker_silent_ms", until(view->liveness_ms, view->holder.heard_ms));
        json_put_number(out, "worker_limit_ms", view->holder_limit_ms);
    }
}

void why_put_view_json(const struct story *story, struct buffer *out)
{
    const struct job_view *view = &story->view;
    const struct job_core *core = &view->core;
    if (!story->has_view) {
        buffer_put_text(out, "null");
        return;
    }
    buffer_put_byte(out, '{');
    json_put_text(out, "phase", span_of(job_phase_rule(core->phase)->name));
    why_put_phase_json(core->phase, core->wanted, out);
    put_holder(view, out);
    json_put_number(out, "attempt", core->attempt);
    json_put_number(out, "losses", core->losses);
    json_put_number(out, "failures", core->failures);
    json_put_number(out, "max_retries", view->max_retries);
    json_put_number(out, "deaths", core->deaths);
    json_put_number(out, "asks", core->asks);
    json_put_number(out, "refusals", core->refusals);
    json_put_truth(out, "idempotent", core->is_idempotent);
    json_put_truth(out, "held_by_operator", core->is_held_by_operator);
    json_put_truth(out, "rests_on_silence", core->rests_on_silence);
    json_put_text(out, "judged_for", span_of(reason_code(core->cause)));
    json_put_text(out, "wanted", span_of(effect_kind_text(core->wanted)));
    json_put_text(out, "cancel", span_of(job_cancel_text(core->cancel)));
    json_put_text(out, "service", view->text[JOB_TEXT_SERVICE]);
    json_put_text(out, "service_job", view->text[JOB_TEXT_SERVICE_JOB]);
    json_put_text(out, "open_effect", view->effect);
    put_due(view, out);
    put_facts(core, out);
    json_put_truth(out, "fleet_held", view->is_fleet_held);
    buffer_put_byte(out, '}');
}

void why_put_state_json(const struct story *story, struct buffer *out)
{
    struct buffer text = {0};
    buffer_put_byte(out, '{');
    json_put_text(out, "job", story->job);
    json_put_number(out, "partition", story->partition);
    json_put_number(out, "at_ms", story_end_ms(story));
    json_put_truth(out, "is_behind_end", story_is_short(story));
    if (story->has_capture) {
        stream_id_put(&text, story->position);
        json_put_text(out, "stream_id", buffer_span(&text));
        json_put_number(out, "ordinal", story->ordinal);
        buffer_reset(&text);
    }
    reasoning_put_standing(story, &text);
    json_put_text(out, "standing", buffer_span(&text));
    why_put_unread_json(story, out);
    buffer_fini(&text);
    json_put_key(out, "state");
    why_put_view_json(story, out);
    json_put_key(out, "open_effects");
    why_put_effects_json(story->effects, story->effect_count, true, out);
    json_put_key(out, "last_decision");
    if (story->decision_count == 0) {
        buffer_put_text(out, "null");
    } else {
        buffer_put_byte(out, '{');
        why_put_decision_json(story, &story->decisions[story->decision_count - 1], out);
        buffer_put_byte(out, '}');
    }
    buffer_put_text(out, "}\n");
}
