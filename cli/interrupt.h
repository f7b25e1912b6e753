/* SPDX-License-Identifier: MIT
 * Ctrl-C during long work: it ends where it stands, cleanly. */
#ifndef SALVOR_CLI_INTERRUPT_H
#define SALVOR_CLI_INTERRUPT_H

#include <stdbool.h>

/* From here on SIGINT and SIGTERM only set the flag; a second one ends the process at once. */
void interrupt_catch(void);
bool interrupt_is_asked(void);

#endif
