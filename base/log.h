/* SPDX-License-Identifier: MIT
 * One logfmt (or JSON) line a fact on stderr. */
#ifndef SALVOR_BASE_LOG_H
#define SALVOR_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG = 1, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_FORMAT_LOGFMT = 1, LOG_FORMAT_JSON };

/* Call once, before threads start. Default: info, logfmt. */
void log_configure(enum log_level least, enum log_format format);

/* `event` names the fact in snake_case; the rest is pairs of key and value, both `const char *`,
 * closed by NULL: log_fact(LOG_INFO, "took_over", "partition", "0", NULL). Values are quoted as
 * needed. One write(2) a line; safe from any thread. */
__attribute__((sentinel)) void log_fact(enum log_level level, const char *event, ...);

/* Formats an unsigned number into one of a few rotating thread-local buffers: for log_fact's
 * values only. */
const char *log_number(unsigned long long number);

#endif
