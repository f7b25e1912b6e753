/* SPDX-License-Identifier: MIT
 * One configured service: how it is asked. */
#ifndef SALVOR_CONNECTORS_SERVICE_H
#define SALVOR_CONNECTORS_SERVICE_H

#include "connectors/connectors.h"
#include "connectors/lookup.h"
#include "connectors/profile.h"

struct share;

struct service {
    struct lookup_entry by_name;
    char *name, *base, *token, *ca_file, *unix_socket; /* owned; all but the name may be NULL */
    const struct profile *profile;                     /* NULL: none; the connectors own it */
    struct allow allow;
    bool is_exclusive;
    uint64_t answer_ttl_ms;
    uint64_t rate_per_s; /* requests; 0: no limit */
    struct share *share; /* of the engine that asks it, which owns it; NULL: none does */
};

/* NULL on error (USAGE). The caller owns the result; `profile` is borrowed, NULL when there is
 * none. */
struct service *service_create(const struct service_config *config, const struct profile *profile,
                               struct error *error);
void service_destroy(struct service *service);

#endif
