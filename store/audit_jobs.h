/* SPDX-License-Identifier: MIT
 * What a question about one job needs of the audit besides its decisions. */
#ifndef SALVOR_STORE_AUDIT_JOBS_H
#define SALVOR_STORE_AUDIT_JOBS_H

#include "store/audit.h"

/* Called with the id of a job, which lives until it returns. */
typedef void (*audit_job_fn)(void *payload, struct span job);
/* The jobs with decisions whose ids come next to `job` in the order of bytes, `count` on each side
 * at most. */
bool audit_jobs_near(struct audit *audit, struct span job, uint32_t count, audit_job_fn each,
                     void *payload, struct error *error);

/* Appends the text of the policy with this hash. False with error.code NONE when it is not there.
 */
bool audit_policy_text(struct audit *audit, struct span hash, struct buffer *text,
                       struct error *error);
/* The number of its partition. */
bool audit_partition(struct audit *audit, uint32_t *out, struct error *error);

#endif
