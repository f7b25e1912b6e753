/* SPDX-License-Identifier: MIT
 * A worker's signs of life. */
#include "reducers/verdict.h"

#include <stddef.h>
#include <string.h>

uint64_t worker_limit_ms(const struct worker_core *core, const struct policy *policy)
{
    return core->heartbeat_ms == 0 ? policy->value[POLICY_WORKER_SILENT_MS]
                                   : core->heartbeat_ms * policy->value[POLICY_MISSED_HEARTBEATS];
}

void reduce_worker_heard(const struct worker_core *before, const struct event *event,
                         const struct context *context, struct worker_verdict *out)
{
    if (before == NULL) {
        memset(&out->after, 0, sizeof out->after);
    } else {
        out->after = *before;
    }
    struct worker_core *after = &out->after;
    out->change = WORKER_CHANGE_HEARD;
    if (event_has(event, FIELD_INCARNATION)) {
        uint64_t told = event_number(event, FIELD_INCARNATION);
        if (after->is_incarnation_told && told < after->incarnation) {
            out->change = WORKER_CHANGE_OUTDATED;
            return;
        }
        if (after->is_incarnation_told && told > after->incarnation) {
            out->change = WORKER_CHANGE_RESTARTED;
        }
        after->is_incarnation_told = true;
        after->incarnation = told;
    }
    if (out->change == WORKER_CHANGE_HEARD && after->phase == WORKER_SILENT) {
        out->change = WORKER_CHANGE_HEARD_AGAIN;
    }
    if (event->type == EVENT_WORKER_STOPPING) {
        after->phase = WORKER_STOPPING;
    } else if (after->phase != WORKER_STOPPING || event->type == EVENT_WORKER_REGISTERED) {
        after->phase = WORKER_ACTIVE;
    }
    if (event->type == EVENT_WORKER_REGISTERED) {
        after->heartbeat_ms = event_number(event, FIELD_HEARTBEAT_MS);
    }
    after->heard_ms = context->liveness_ms;
    after->heard_id = event->id;
}
