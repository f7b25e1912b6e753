/* SPDX-License-Identifier: MIT */
#include "replay/record.h"

bool record_is_due(const struct fold_output *output)
{
    return output->decision_count > 0 || output->change_count > 0 || output->is_epoch_new ||
           output->is_policy_new;
}

/* `bad_field: ill_typed "attempt"`, or without the field where the whole entry is wrong. */
static bool record_quarantine(struct audit *audit, const struct entry *entry, enum reason reason,
                              const struct fold_output *output, struct error *error)
{
    struct buffer text = {0};
    buffer_put_text(&text, reason_code(reason));
    buffer_put_text(&text, ": ");
    buffer_put_text(&text, output->problem);
    if (output->field.size > 0) {
        buffer_put_byte(&text, ' ');
        buffer_put_json_string(&text, output->field); /* may be the sender's own bytes */
    }
    bool is_put = audit_put_quarantine(audit, entry->id, buffer_span(&text), entry->raw, error);
    buffer_fini(&text);
    return is_put;
}

static bool record_decisions(struct audit *audit, const struct entry *entry,
                             const struct fold_output *output, struct error *error)
{
    for (uint32_t i = 0; i < output->decision_count; i++) {
        const struct decision *decision = &output->decisions[i];
        if (!audit_append(audit, decision, error)) {
            return false;
        }
        if (decision->action == ACTION_QUARANTINE &&
            !record_quarantine(audit, entry, decision->reason, output, error)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < output->change_count; i++) {
        if (!audit_change_effect(audit, &output->changes[i], error)) {
            return false;
        }
    }
    return true;
}

bool record_entry(struct audit *audit, const struct entry *entry, const struct state *state,
                  const struct fold_output *output, struct error *error)
{
    struct state_summary summary = state_summary(state);
    if (output->is_epoch_new && !audit_put_leadership(audit, summary.epoch, summary.timeline,
                                                      summary.owner, entry->id, error)) {
        return false;
    }
    if (output->is_policy_new &&
        !audit_put_policy(audit, summary.policy_hash, entry->id, summary.policy_text, error)) {
        return false;
    }
    return record_decisions(audit, entry, output, error);
}
