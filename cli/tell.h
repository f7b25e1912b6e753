/* SPDX-License-Identifier: MIT
 * A sink that tells the log what was decided, once it is committed. */
#ifndef SALVOR_CLI_TELL_H
#define SALVOR_CLI_TELL_H

#include "replay/loop.h"

struct teller;

/* The caller owns the result. */
struct teller *teller_create(void);
void teller_destroy(struct teller *teller);
/* Stands behind the journal's sink, so that a line is never ahead of the audit. */
struct sink teller_sink(struct teller *teller);

#endif
