/* SPDX-License-Identifier: MIT
 * Secrets for requests: kept outside the configuration, read anew each time, since they rotate. */
#ifndef SALVOR_CONNECTORS_SECRET_H
#define SALVOR_CONNECTORS_SECRET_H

#include <stdbool.h>

#include "base/bytes.h"

#define SECRET_SIZE_MAX 4096

/* True for "env:NAME" and "file:/PATH". */
bool secret_is_source(struct span source);
/* Appends what the source holds, without a line break at its end. False, with a static word, when
 * it is missing or empty (no_token), or holds a control byte or is too long (bad_token). */
__attribute__((warn_unused_result)) bool secret_read(struct span source, struct buffer *out,
                                                     const char **word);

#endif
