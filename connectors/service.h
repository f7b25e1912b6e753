/* SPDX-License-Identifier: MIT
 * One configured service: how it is asked, and its share of the sending. */
#ifndef SALVOR_CONNECTORS_SERVICE_H
#define SALVOR_CONNECTORS_SERVICE_H

#include <sys/queue.h>

#include "connectors/alarms.h"
#include "connectors/bucket.h"
#include "connectors/connectors.h"
#include "connectors/lookup.h"
#include "connectors/profile.h"

struct endpoint;
TAILQ_HEAD(endpoint_list, endpoint);

/* Endpoints that have answered lately are proven; the others may hold half of the requests that are
 * under way at most, so that many dead hosts hold nobody up. */
enum endpoint_standing { ENDPOINT_UNPROVEN, ENDPOINT_PROVEN, ENDPOINT_STANDINGS };

struct service {
    struct lookup_entry by_name;
    char *name, *base, *token, *ca_file, *unix_socket; /* owned; all but the name may be NULL */
    const struct profile *profile;                     /* NULL: none; the connectors own it */
    struct allow allow;
    bool is_exclusive;
    uint64_t answer_ttl_ms;
    /* The engine's. */
    struct bucket bucket;
    struct alarm alarm;                             /* of the next token */
    struct endpoint_list ready[ENDPOINT_STANDINGS]; /* endpoints that can send, in turn */
    bool is_provens_turn;
};

/* NULL on error (USAGE). The caller owns the result; `profile` is borrowed, NULL when there is
 * none. */
struct service *service_create(const struct service_config *config, const struct profile *profile,
                               struct error *error);
void service_destroy(struct service *service);

#endif
