/* SPDX-License-Identifier: MIT
 * The policy that the audit knows to be in force: the newest row of its table. */
#ifndef SALVOR_STORE_AUDIT_POLICY_H
#define SALVOR_STORE_AUDIT_POLICY_H

#include "store/audit.h"

/* Appends the text. False with error.code NONE when there never was a policy. */
bool audit_load_policy(struct audit *audit, struct stream_id *stream_id, struct buffer *text,
                       struct error *error);

#endif
