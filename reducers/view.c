/* SPDX-License-Identifier: MIT */
#include "reducers/view.h"

#include <stddef.h>
#include <string.h>

#include "reducers/tables.h"

static void view_holder(const struct state *state, const struct worker *holder,
                        struct job_view *out)
{
    if (holder != NULL) {
        out->worker = holder->node.key;
        out->holder = holder->core;
        out->holder_limit_ms = worker_limit_ms(&holder->core, &state->policy);
    }
}

bool state_view_job(const struct state *state, struct span id, struct job_view *out)
{
    const struct job *job = table_find(&state->jobs, id);
    if (job == NULL) {
        return false;
    }
    *out = (struct job_view){
        .core = job->core,
        .max_retries =
            job->core.is_max_retries_told
                ? job->core.max_retries
                : policy_value(&state->policy, job->text[JOB_TEXT_SERVICE], POLICY_MAX_RETRIES),
        .effect = job->open == NULL ? SPAN_NONE : job->open->node.key,
        .liveness_ms = state->liveness_ms,
        .deadline_ms = state->deadline_ms,
        .is_fleet_held = state->fleet.is_held,
        .fleet_held_for = state->fleet.held_for,
        .fleet_held_since_ms = state->fleet.held_since_ms,
    };
    memcpy(out->text, job->text, sizeof out->text);
    view_holder(state, job->holder, out);
    return true;
}
