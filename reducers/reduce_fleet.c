/* SPDX-License-Identifier: MIT
 * When a large part of the fleet falls silent at once, our own eyes are the likelier cause: what
 * rests on silence alone is held until enough of them are heard again, or for so long. */
#include "reducers/verdict.h"

#include <string.h>

static void put_share(struct ruling *ruling, const struct fleet *before,
                      const struct context *context)
{
    ruling_measure(ruling, MEASURE_SILENT_WORKERS, before->fallen);
    ruling_measure(ruling, MEASURE_WORKERS, before->watched + before->fallen);
    ruling_measure(ruling, MEASURE_PERCENT, context->policy->value[POLICY_MASS_LOSS_PERCENT]);
}

bool reduce_fleet(const struct fleet *before, const struct context *context, struct ruling *ruling)
{
    const uint64_t *value = context->policy->value;
    uint64_t all = before->watched + before->fallen;
    uint64_t percent = value[POLICY_MASS_LOSS_PERCENT];
    bool is_mass = percent > 0 && before->fallen * 100 >= percent * all && before->fallen > 0;
    memset(ruling, 0, sizeof *ruling);
    if (!before->is_held) {
        if (!is_mass || before->fallen < value[POLICY_MASS_LOSS_MIN]) {
            return false;
        }
        ruling->action = ACTION_HOLD;
        ruling->reason = REASON_MASS_LOSS;
        put_share(ruling, before, context);
        return true;
    }
    uint64_t held_ms = context->liveness_ms - before->held_since_ms;
    bool is_expired = held_ms >= value[POLICY_HOLD_MAX_MS];
    if (before->held_for == REASON_OPERATOR || (is_mass && !is_expired)) {
        return false;
    }
    ruling->action = ACTION_RESUME;
    ruling->reason = is_mass        ? REASON_HOLD_EXPIRED
                     : percent == 0 ? REASON_POLICY_CHANGED
                                    : REASON_WORKERS_HEARD;
    put_share(ruling, before, context);
    ruling_measure(ruling, MEASURE_HELD_MS, held_ms);
    return true;
}
