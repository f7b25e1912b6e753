/* SPDX-License-Identifier: MIT
 * `salvor replay --check DIR`. */
#ifndef SALVOR_CLI_REPLAY_CHECK_H
#define SALVOR_CLI_REPLAY_CHECK_H

#include "cli/verb.h"

enum status replay_check(const char *directory, bool is_rewriting, bool is_json);

#endif
