/* SPDX-License-Identifier: MIT
 * One configured service. */
#include "connectors/service.h"

#include <string.h>

#include "base/alloc.h"

/* NULL and an empty text both give NULL. */
static char *copy_text(const char *text)
{
    size_t size = text != NULL ? strlen(text) : 0;
    return size == 0 ? NULL : memcpy(mem_zero(size + 1), text, size);
}

struct service *service_create(const struct service_config *config, const struct profile *profile,
                               struct error *error)
{
    struct service *service = mem_zero(sizeof(*service));
    service->name = copy_text(config->name);
    service->base = copy_text(config->base);
    service->token = copy_text(config->token);
    service->ca_file = copy_text(config->ca_file);
    service->unix_socket = copy_text(config->unix_socket);
    service->profile = profile;
    service->is_exclusive = config->is_exclusive;
    service->answer_ttl_ms = config->answer_ttl_ms;
    uint64_t borne = profile != NULL ? profile->rate_per_s : 0;
    service->rate_per_s = config->rate_per_s > 0 ? config->rate_per_s : borne;
    bool is_good =
        service->base == NULL || transport_allow_url(&service->allow, service->base, error);
    for (size_t i = 0; is_good && i < config->allow_count; i++) {
        is_good = allow_add(&service->allow, config->allow[i], error);
    }
    if (!is_good) {
        service_destroy(service);
        return NULL;
    }
    return service;
}

void service_destroy(struct service *service)
{
    allow_fini(&service->allow);
    mem_free(service->name);
    mem_free(service->base);
    mem_free(service->token);
    mem_free(service->ca_file);
    mem_free(service->unix_socket);
    mem_free(service);
}
