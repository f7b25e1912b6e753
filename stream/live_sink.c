/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "reducers/policy.h"
#include "stream/live_parts.h"

static bool append_batch(void *self, const struct batch *batch, struct error *error)
{
    struct live *live = self;
    (void)error;
    if (batch->count > 0) {
        live->anchor = sha256_of(batch->entries[batch->count - 1].raw);
    }
    return true;
}

static bool fold_batch_entry(void *self, const struct entry *entry, const struct state *state,
                             const struct fold_output *output, struct error *error)
{
    struct live *live = self;
    if (live->is_in_charge) {
        dispatcher_note(live->dispatcher, output);
    }
    if (live->duty.witness.added == 0 ||
        stream_id_compare(entry->id, live->duty.witness.last) < 0) {
        return true;
    }
    return duty_hold_witness(&live->duty, entry->id, state_summary(state).ordinal, error);
}

/* The sinks before this one have committed the position. */
static bool tell_caught_up(void *self, const struct state *state, bool is_caught_up,
                           struct error *error)
{
    struct live *live = self;
    (void)error;
    if (is_caught_up && live->phase == LIVE_LEAD && !live->has_caught_up) {
        live->has_caught_up = true;
        log_fact(LOG_INFO, "caught_up", "partition", log_number(live->config.partition), "ordinal",
                 log_number(state_summary(state).ordinal), NULL);
    }
    return true;
}

/* An operator's policy goes before a file's: who changed the file has to know. */
static void tell_policy(struct live *live, const struct state_summary *summary)
{
    bool is_other = !span_is(summary->policy_hash, live->config.policy_hash);
    if (is_other && !live->is_other_policy_told) {
        char in_force[sizeof(struct sha256_text)];
        struct policy policy;
        struct span bad;
        bool applies =
            policy_parse_text(summary->policy_text, &policy, &bad) && policy_applies(&policy);
        snprintf(in_force, sizeof(in_force), "%.*s", SPAN_FORMAT(summary->policy_hash));
        log_fact(LOG_WARNING, "policy_file_not_in_force", "partition",
                 log_number(live->config.partition), "file", live->config.policy_hash, "in_force",
                 in_force, "in_force_effects", applies ? "apply" : "observe", "to_change",
                 "salvor send policy FILE", NULL);
    }
    live->is_other_policy_told = is_other;
}

static bool dispatch_effects(void *self, const struct state *state, struct error *error)
{
    struct live *live = self;
    if (live->phase != LIVE_LEAD) {
        return true;
    }
    bool is_own_epoch = false;
    struct state_summary summary = state_summary(state);
    if (!live_check_lead(live, &summary, &is_own_epoch, error)) {
        return false;
    }
    if (!live->is_in_charge && is_own_epoch && !live_is_policy_due(live, state)) {
        live->is_in_charge = true;
        dispatcher_note_all(live->dispatcher);
        log_fact(LOG_INFO, "in_charge", "partition", log_number(live->config.partition), "epoch",
                 log_number(summary.epoch), "effects_open", log_number(summary.effects_open), NULL);
    }
    if (live->is_in_charge) {
        tell_policy(live, &summary);
    }
    struct queue_place place = {
        .control = lead_control(live->lead),
        .stream = lead_stream(live->lead),
        .queue_prefix = live->config.queue_prefix,
        .owner = live->config.owner,
        .epoch = lead_epoch(live->lead),
    };
    return live->is_in_charge ? dispatcher_run(live->dispatcher, &place, state, error)
                              : live_renew_lease(live, error);
}

struct sink live_sink(struct live *live)
{
    return (struct sink){
        .name = "live",
        .self = live,
        .append = append_batch,
        .fold = fold_batch_entry,
        .commit = tell_caught_up,
        .dispatch = dispatch_effects,
    };
}
