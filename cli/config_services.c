/* SPDX-License-Identifier: MIT
 * The settings of `services`. */
#include <string.h>

#include "cli/config_rules.h"

struct config_service *config_service(struct config *config, const char *where, const char *name)
{
    for (uint32_t i = 0; i < config->service_count; i++) {
        if (strcmp(config->services[i].name, name) == 0) {
            return &config->services[i];
        }
    }
    if (!config_is_name(span_of(name))) {
        config_problem(config, where,
                       "services.%s: not a name; allowed: 1 to 64 letters, digits, "
                       "'-', '_' and '.'",
                       name);
        return NULL;
    }
    if (config->service_count == POLICY_SERVICES_MAX) {
        config_problem(config, where, "services.%s: more than %d services", name,
                       POLICY_SERVICES_MAX);
        return NULL;
    }
    struct config_service *service = &config->services[config->service_count++];
    *service = (struct config_service){.name = name, .where = where};
    return service;
}

/* A list comes joined by commas. */
static void apply_allow(struct config *config, const struct setting *setting,
                        struct config_service *service)
{
    struct span rest = setting->value;
    service->allow_count = 0;
    while (rest.size > 0) {
        struct span host = span_cut(&rest, ',');
        while (host.size > 0 && host.data[0] == ' ') {
            host.data++, host.size--;
        }
        if (host.size == 0 || service->allow_count == CONFIG_ALLOW_MAX) {
            config_problem(config, setting->where,
                           "%s: allowed: up to %d host names, addresses or CIDR blocks",
                           setting_path(config, setting), CONFIG_ALLOW_MAX);
            return;
        }
        service->allow[service->allow_count++] = arena_copy(&config->arena, host).data;
    }
}

void setting_apply_service(struct config *config, const struct setting *setting)
{
    struct config_service *service = config_service(config, setting->where, setting->service);
    if (service == NULL) {
        return;
    }
    if (span_is(setting->key, "profile")) {
        service->profile = setting->value.data;
    } else if (span_is(setting->key, "base")) {
        service->base = setting->value.data;
        if (strncmp(service->base, "http://", 7) != 0 &&
            strncmp(service->base, "https://", 8) != 0) {
            config_problem(config, setting->where,
                           "%s: no URL to ask; allowed: http://host[:port][/path], https://…",
                           setting_path(config, setting)); /* the value may hold a password */
            service->base = NULL;                          /* told; nobody need look at it again */
        }
    } else if (span_is(setting->key, "allow")) {
        apply_allow(config, setting, service);
    } else {
        config_problem(config, setting->where, "%s: unknown key; allowed: profile, base, allow",
                       setting_path(config, setting));
    }
}
