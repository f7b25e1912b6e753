/* SPDX-License-Identifier: MIT */
#include "cli/services.h"

#include <errno.h>
#include <string.h>

#include "base/yaml.h"
#include "cli/config_rules.h"

#define QUESTION_MS    5000
#define BODY_MAX       (UINT64_C(4) << 20)
#define PER_HOST       16
#define PROFILE_SUFFIX ".yaml"

/* A profile of the user's own, named by its file: the service then takes the name that stands in
 * it. */
static bool load_profile(struct config *config, struct connectors *connectors,
                         struct config_service *service)
{
    struct buffer bytes = {0};
    struct error error = {0};
    bool is_loaded = false;
    const char *path = service->profile;
    if (!config_read_file(path, &bytes)) {
        error_set(&error, ERROR_USAGE, "%s: %s", path, strerror(errno));
    } else if (connectors_add_profile(connectors, path, buffer_span(&bytes), &error)) {
        const struct yaml_node *root = yaml_parse(&config->arena, buffer_span(&bytes), &error);
        const struct yaml_node *name = yaml_get(root, "profile");
        is_loaded = name != NULL && name->kind == YAML_KIND_SCALAR;
        service->profile = is_loaded ? name->text.data : service->profile;
    }
    if (!is_loaded) {
        config_problem(config, service->where, "services.%s.profile: %s", service->name,
                       error.message);
    }
    buffer_fini(&bytes);
    return is_loaded;
}

static bool is_path(const char *profile)
{
    size_t size = strlen(profile);
    size_t suffix = sizeof(PROFILE_SUFFIX) - 1;
    return size > suffix && strcmp(profile + size - suffix, PROFILE_SUFFIX) == 0;
}

static void add_service(struct config *config, struct connectors *connectors,
                        struct config_service *service)
{
    if (service->profile == NULL) {
        return; /* told when the configuration was read */
    }
    if (is_path(service->profile) && !load_profile(config, connectors, service)) {
        return;
    }
    struct service_config described = {
        .name = service->name,
        .profile = service->profile,
        .base = service->base,
        .allow = service->allow,
        .allow_count = service->allow_count,
    };
    struct error error = {0};
    if (!connectors_add_service(connectors, &described, &error)) {
        config_problem(config, service->where, "services.%s: %s", service->name, error.message);
        return;
    }
    struct service_facts told = connectors_service_facts(connectors, service->name);
    struct policy_facts facts = {.is_volatile = told.is_volatile,
                                 .retention_ms = told.retention_ms};
    if (!policy_set_facts(&config->policy, span_of(service->name), facts)) {
        config_problem(config, service->where, "services.%s: one service too many", service->name);
    }
}

bool services_open(struct config *config, struct connectors **out)
{
    struct connectors_config limits = {
        .question_ms = QUESTION_MS,
        .body_max = BODY_MAX,
        .per_host = PER_HOST,
    };
    *out = connectors_create(&limits);
    for (uint32_t i = 0; i < config->service_count; i++) {
        add_service(config, *out, &config->services[i]);
    }
    if (config->problems.size > 0) {
        connectors_destroy(*out);
        *out = NULL;
        return false;
    }
    return true;
}
