/* SPDX-License-Identifier: MIT
 * An HTTP server that misbehaves in one chosen way: a thread of the test. */
#ifndef SALVOR_TESTS_LIB_HOSTILE_SERVICE_H
#define SALVOR_TESTS_LIB_HOSTILE_SERVICE_H

#include <stddef.h>

enum hostile_manner {
    HOSTILE_NONE,
    HOSTILE_SILENT,       /* reads the request and never answers */
    HOSTILE_HEADERS_ONLY, /* promises a body and sends none */
    HOSTILE_DRIP,         /* sends the reply, and then one byte of its body a second */
    HOSTILE_ENDLESS,      /* chunks, for ever */
    HOSTILE_REPLY,        /* sends the reply's bytes as they are and closes */
    HOSTILE_ONCE,         /* the same, but keeps the connection, to close it at the next request */
};

struct hostile_service;

/* `reply`: raw bytes of an HTTP reply, borrowed; for HOSTILE_REPLY and HOSTILE_ONCE alone. The
 * caller owns the result. */
struct hostile_service *hostile_service_start(enum hostile_manner manner, const char *reply);
/* The same on a unix socket, which it makes at `path`; it has no URL and no port. */
struct hostile_service *hostile_service_start_at(const char *path, enum hostile_manner manner,
                                                 const char *reply);
/* "http://127.0.0.1:PORT", borrowed. */
const char *hostile_service_url(const struct hostile_service *service);
unsigned hostile_service_port(const struct hostile_service *service);
/* Requests so far. */
size_t hostile_service_count(struct hostile_service *service);
/* The head of the last request, borrowed until the next one; "" before the first. */
const char *hostile_service_last_request(struct hostile_service *service);
/* Accepts NULL. */
void hostile_service_stop(struct hostile_service *service);

#endif
