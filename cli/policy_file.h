/* SPDX-License-Identifier: MIT
 * A policy as a file tells it: a configuration (.yaml, .yml) or a policy's text. */
#ifndef SALVOR_CLI_POLICY_FILE_H
#define SALVOR_CLI_POLICY_FILE_H

#include "reducers/policy.h"

bool policy_file_is_yaml(const char *path);
/* True when the configuration at `path` names the key. */
bool policy_file_names(const char *path, const char *section, const char *key);
/* Reads a policy's text. `*unnamed` is the set of 1 << POLICY_… that it does not name. False:
 * everything that is wrong is a line of `problems`. */
__attribute__((warn_unused_result)) bool policy_file_read_text(const char *path, struct policy *out,
                                                               uint64_t *unnamed,
                                                               struct buffer *problems);
/* Reads either; a configuration with the facts of the services it has, and with `*unnamed` 0 but
 * for queue.failures, which is no choice of a policy. */
__attribute__((warn_unused_result)) bool
policy_file_read(const char *path, struct policy *out, uint64_t *unnamed, struct buffer *problems);

#endif
