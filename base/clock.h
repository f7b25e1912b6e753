/* SPDX-License-Identifier: MIT
 * The only reader of time. Nothing read here reaches a decision or an audit row except through a
 * tick or epoch event. */
#ifndef SALVOR_BASE_CLOCK_H
#define SALVOR_BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_BOOTTIME in ms: runs through suspend, never steps. */
uint64_t clock_boot_ms(void);
/* The same in ns, for measurements. */
uint64_t clock_boot_ns(void);
/* Wall clock in ms since 1970, for log lines alone. */
uint64_t clock_wall_ms(void);

#endif
