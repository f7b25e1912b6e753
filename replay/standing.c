/* SPDX-License-Identifier: MIT
 * How a job stands at the end of its story, and by which policy. */
#include "replay/phrase.h"
#include "replay/reasoning.h"

static const char *const phase_words[JOB_PHASE_COUNT] = {
    [JOB_NONE] = "not known",
    [JOB_QUEUED] = "in the queue",
    [JOB_CLAIMED] = "claimed, not started yet",
    [JOB_STARTED] = "running",
    [JOB_ASKING] = "its service is being asked about it",
    [JOB_WAITING] = "its service will be asked again",
    [JOB_CANCELLING] = "being cancelled at its service",
    [JOB_BACKING_OFF] = "waiting to go back to the queue",
    [JOB_HELD] = "held with the fleet",
    [JOB_REQUESTED] = "asked of the queue",
    [JOB_PARKED] = "parked, waiting for an operator",
    [JOB_OWED] = "decided and not carried out",
    [JOB_COMPLETED] = "completed",
    [JOB_FAILED] = "failed",
    [JOB_CANCELLED] = "cancelled",
    [JOB_TIMED_OUT] = "timed out",
};

void reasoning_put_phase(enum job_phase phase, enum effect_kind wanted, struct buffer *out)
{
    if (wanted != EFFECT_NONE && wanted != EFFECT_ASK && wanted != EFFECT_CANCEL) {
        buffer_put_text(out, effect_kind_text(wanted));
        buffer_put_text(out, ": ");
    }
    buffer_put_text(out, phase_words[phase]);
}

/* --- the last decision that counts --- */

static const struct told_decision *last_decision(const struct story *story)
{
    for (uint32_t i = story->decision_count; i > 0; i--) {
        if (story->decisions[i - 1].row.action != ACTION_IGNORE) {
            return &story->decisions[i - 1];
        }
    }
    return NULL;
}

static bool is_done(const struct story *story, const struct told_decision *told)
{
    const struct told_effect *effects = story_effects(story, told);
    return effects != NULL &&
           (span_is(effects[0].row.outcome, effect_outcome_text(OUTCOME_APPLIED)) ||
            span_is(effects[0].row.outcome, effect_outcome_text(OUTCOME_PUBLISHED)));
}

/* What a decision left the job as, once its effect was done. Reason NONE: any. */
static const struct done {
    enum action action;
    enum reason reason;
    enum job_phase phase;
    const char *text;
} dones[] = {
    {ACTION_COMPLETE, REASON_SERVICE_COMPLETED, JOB_COMPLETED,
     "completed: the service had finished it; it was not run again"},
    {ACTION_COMPLETE, REASON_LATE_COMPLETION, JOB_COMPLETED,
     "completed: its worker's late word was taken, and every copy taken back"},
    {ACTION_COMPLETE, REASON_OPERATOR, JOB_COMPLETED, "completed by an operator's command"},
    {ACTION_FAIL, REASON_OPERATOR, JOB_FAILED, "failed by an operator's command"},
    {ACTION_FAIL, REASON_NONE, JOB_FAILED, "failed"},
    {ACTION_TIME_OUT, REASON_NONE, JOB_TIMED_OUT, "timed out"},
    {ACTION_REQUEUE, REASON_NONE, JOB_QUEUED, "back in the queue"},
};

static const struct done *done_by(const struct story *story, const struct told_decision *told)
{
    for (size_t i = 0; told != NULL && i < sizeof(dones) / sizeof(dones[0]); i++) {
        if (dones[i].action == told->row.action &&
            (dones[i].reason == REASON_NONE || dones[i].reason == told->row.reason) &&
            is_done(story, told)) {
            return &dones[i];
        }
    }
    return NULL;
}

/* What was refused and tried again has the reason that it was first decided for. */
static void put_reason(const struct story *story, const struct told_decision *told,
                       struct buffer *out)
{
    const struct told_decision *first = told;
    while (first->row.reason == REASON_ADOPTED && first > story->decisions) {
        first--;
    }
    bool is_same = first->row.action == told->row.action;
    buffer_put_text(out, ": ");
    buffer_put_text(out, reasoning_reason(is_same ? first : told));
}

static void put_done(const struct story *story, const struct done *done,
                     const struct told_decision *told, struct buffer *out)
{
    buffer_put_text(out, done->text);
    if (done->reason == REASON_NONE) {
        put_reason(story, told, out);
    }
}

/* " (w1, attempt 2)" */
static void put_attempt(struct span worker, uint64_t attempt, struct buffer *out)
{
    if (attempt > 0) {
        buffer_put_text(out, " (");
        phrase_put_printable(out, worker);
        buffer_put_text(out, worker.size > 0 ? ", attempt " : "attempt ");
        buffer_put_decimal(out, attempt);
        buffer_put_byte(out, ')');
    }
}

/* --- by the fold, and by the audit alone --- */

/* The worker that held it before it ended. */
static struct span last_worker(const struct story *story)
{
    for (uint32_t i = story->item_count; i > 0; i--) {
        const struct story_item *item = &story->items[i - 1];
        if (item->kind == STORY_BELIEF && item->belief.worker.size > 0) {
            return item->belief.worker;
        }
    }
    return SPAN_NONE;
}

void reasoning_put_unread(const struct story *story, struct buffer *out)
{
    struct story_gap gap = story_unread(story);
    if (gap.ordinal == 0) {
        return;
    }
    if (story->has_audit && gap.ordinal == story->pruned.ordinal) {
        buffer_put_text(out, "the audit was pruned up to ");
        phrase_put_time(out, gap.id.ms);
    } else {
        buffer_put_text(out, "the capture begins behind ordinal ");
        buffer_put_decimal(out, gap.ordinal);
    }
}

/* Its last step was among what was read. */
static bool is_end_read(const struct story *story)
{
    struct story_gap gap = story_unread(story);
    if (gap.ordinal == 0 || stream_id_compare(story->view.core.fact[JOB_FACT_ENDED], gap.id) > 0) {
        return true;
    }
    for (uint32_t i = 0; i < story->item_count; i++) {
        const struct story_item *item = &story->items[i];
        if (item->kind == STORY_BELIEF && !job_phase_rule(item->belief.phase)->is_final) {
            return true;
        }
    }
    return false;
}

static void put_view(const struct story *story, struct buffer *out)
{
    const struct job_core *core = &story->view.core;
    const struct told_decision *last = last_decision(story);
    const struct done *done = done_by(story, last);
    bool is_final = job_phase_rule(core->phase)->is_final;
    if (done != NULL && done->phase == core->phase &&
        (last->row.attempt == core->attempt || is_final)) {
        put_done(story, done, last, out);
        return;
    }
    reasoning_put_phase(core->phase, core->wanted, out);
    bool is_read = is_end_read(story);
    if (!stream_id_is_zero(core->fact[JOB_FACT_ENDED]) && is_final && is_read) {
        buffer_put_text(out, ", as its worker told");
    }
    put_attempt(is_final ? last_worker(story) : story->view.worker, core->attempt, out);
    if (is_final && !is_read) {
        buffer_put_text(out, "; how is not in what was read: ");
        reasoning_put_unread(story, out);
        bool is_begun = story_unread(story).ordinal == story->begun.ordinal;
        buffer_put_text(out, is_begun ? ", where it had ended" : "");
    }
    bool is_stuck =
        core->phase == JOB_OWED || (core->phase == JOB_PARKED && !core->is_held_by_operator);
    if (last != NULL && is_stuck) {
        put_reason(story, last, out);
    }
}

static void put_last(const struct story *story, struct buffer *out)
{
    const struct told_decision *last = last_decision(story);
    const struct told_effect *effects = last == NULL ? NULL : story_effects(story, last);
    const struct done *done = done_by(story, last);
    if (last == NULL && story_unread(story).ordinal > 0) {
        buffer_put_text(out, "nothing is decided about it in what was read: ");
        reasoning_put_unread(story, out);
    } else if (last == NULL) {
        buffer_put_text(out, "nothing was decided about it but what to ignore");
    } else if (done != NULL) {
        put_done(story, done, last, out);
        if (done->phase == JOB_QUEUED) {
            buffer_put_text(out, "; how its next attempt went, no decision tells");
        }
    } else {
        buffer_put_text(out, "decided last: ");
        buffer_put_text(out, reasoning_action(last->row.action));
        put_reason(story, last, out);
        if (effects != NULL && effects[0].row.outcome.size == 0) {
            buffer_put_text(out, "; no outcome yet");
        } else if (effects != NULL) {
            buffer_put_text(out, "; its effect: ");
            phrase_put_printable(out, effects[0].row.outcome);
        }
    }
}

void reasoning_put_standing(const struct story *story, struct buffer *out)
{
    if (story->has_view) {
        put_view(story, out);
    } else {
        put_last(story, out);
    }
}

enum style reasoning_standing_style(const struct story *story)
{
    static const enum style styles[JOB_PHASE_COUNT] = {
        [JOB_NONE] = STYLE_TITLE,     [JOB_COMPLETED] = STYLE_GOOD, [JOB_FAILED] = STYLE_BAD,
        [JOB_TIMED_OUT] = STYLE_BAD,  [JOB_PARKED] = STYLE_BAD,     [JOB_ASKING] = STYLE_DOUBT,
        [JOB_WAITING] = STYLE_DOUBT,  [JOB_HELD] = STYLE_DOUBT,     [JOB_BACKING_OFF] = STYLE_DOUBT,
        [JOB_CANCELLED] = STYLE_BAD,  [JOB_OWED] = STYLE_DOUBT,     [JOB_REQUESTED] = STYLE_ACT,
        [JOB_CANCELLING] = STYLE_ACT, [JOB_QUEUED] = STYLE_ACT,     [JOB_CLAIMED] = STYLE_ACT,
        [JOB_STARTED] = STYLE_ACT,
    };
    const struct told_decision *last = last_decision(story);
    const struct done *done = done_by(story, last);
    enum job_phase phase = story->has_view ? story->view.core.phase
                           : done != NULL  ? done->phase
                           : last != NULL && last->row.action == ACTION_PARK ? JOB_PARKED
                                                                             : JOB_NONE;
    return styles[phase];
}

/* --- the policy --- */

static uint32_t put_changes(const struct policy *policy, struct span service,
                            enum policy_preset preset, struct buffer *out)
{
    struct policy base;
    uint32_t count = 0;
    policy_preset(preset, &base);
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        uint64_t value = policy_value(policy, service, key);
        if (key == POLICY_EFFECTS || value == base.value[key]) {
            continue;
        }
        count++;
        if (out != NULL) {
            buffer_put_text(out, count == 1 ? " with " : " ");
            buffer_put_text(out, policy_key_rule(key)->key);
            buffer_put_byte(out, '=');
            policy_value_put(out, key, value);
        }
    }
    return count;
}

void reasoning_put_policy(const struct policy *policy, struct span hash, struct span service,
                          struct buffer *out)
{
    hash.size = hash.size < 12 ? hash.size : 12; /* enough for people */
    phrase_put_printable(out, hash.size > 0 ? hash : SPAN("none yet"));
    buffer_put_text(out, ": ");
    if (policy == NULL) {
        buffer_put_text(out, "its text is not in this audit");
        return;
    }
    bool is_seed = put_changes(policy, service, PRESET_SEED, NULL) <
                   put_changes(policy, service, PRESET_SAFE, NULL);
    buffer_put_text(out, is_seed ? "seed" : "safe");
    (void)put_changes(policy, service, is_seed ? PRESET_SEED : PRESET_SAFE, out);
    buffer_put_text(out, policy_value(policy, service, POLICY_EFFECTS) == EFFECTS_APPLY
                             ? "; effects are applied"
                             : "; effects are only observed");
}
