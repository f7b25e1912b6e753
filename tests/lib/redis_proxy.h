/* SPDX-License-Identifier: MIT
 * Stands between a client and a redis-server, to cut replies short, or in place of one, to give
 * replies that no server gives. */
#ifndef SALVOR_TESTS_LIB_REDIS_PROXY_H
#define SALVOR_TESTS_LIB_REDIS_PROXY_H

#include "base/bytes.h"

struct redis_proxy;

/* Passes everything on to the server behind `socket`, but each connection ends once `reply_bytes`
 * of replies went through it. The caller owns the result. */
struct redis_proxy *redis_proxy_cutting(const char *socket, size_t reply_bytes);
/* Answers the first request of each connection with `reply`, whatever it is, and hangs up. */
struct redis_proxy *redis_proxy_saying(struct span reply);
/* "unix:///…", borrowed. */
const char *redis_proxy_url(const struct redis_proxy *proxy);
/* Accepts NULL. */
void redis_proxy_remove(struct redis_proxy *proxy);

#endif
