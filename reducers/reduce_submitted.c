/* SPDX-License-Identifier: MIT
 * job.submitted: the job exists. It may be told after its claim (another producer, another
 * partition): then only what was not known yet is taken. */
#include "reducers/verdict.h"

#include <stddef.h>

void reduce_submitted(const struct job *before, const struct event *event, struct job_verdict *out)
{
    verdict_init(out, before);
    struct job_core *after = &out->after;
    if (!stream_id_is_zero(after->fact[JOB_FACT_SUBMITTED])) {
        verdict_ignore(out, REASON_DUPLICATE);
        return;
    }
    after->fact[JOB_FACT_SUBMITTED] = event->id;
    if (before == NULL) {
        after->phase = JOB_QUEUED;
    }
    if (event_has(event, FIELD_MAX_RETRIES) && !after->is_max_retries_told) {
        after->is_max_retries_told = true;
        after->max_retries = event_number(event, FIELD_MAX_RETRIES);
    }
    if (event_has(event, FIELD_TIMEOUT_MS) && !after->is_timeout_told) {
        after->is_timeout_told = true;
        after->timeout_ms = event_number(event, FIELD_TIMEOUT_MS);
    }
    after->is_idempotent = after->is_idempotent || event_number(event, FIELD_IDEMPOTENT) != 0;
    if (before == NULL || before->text[JOB_TEXT_SERVICE].size == 0) {
        verdict_keep(out, JOB_TEXT_SERVICE, event, FIELD_SERVICE);
    }
    verdict_keep(out, JOB_TEXT_TRACE, event, FIELD_TRACE);
}
