/* SPDX-License-Identifier: MIT */
#include "cli/services.h"

#include <errno.h>
#include <string.h>

#include "cli/config_rules.h"
#include "connectors/profile.h"

#define QUESTION_MS    5000
#define BODY_MAX       (UINT64_C(4) << 20)
#define PER_HOST       16
#define PROFILE_SUFFIX ".yaml"

/* The name of a profile of the user's own, which stands in its file. NULL: its mistakes have been
 * told, all at once. */
static const char *load_profile(struct config *config, struct connectors *connectors,
                                const struct config_service *service)
{
    struct buffer bytes = {0}, problems = {0};
    struct error error = {0};
    const struct profile *profile = NULL;
    const char *path = service->profile_file;
    if (!config_read_file(path, &bytes)) {
        buffer_put_text(&problems, path);
        buffer_put_text(&problems, ": ");
        buffer_put_text(&problems, strerror(errno));
    } else {
        profile = connectors_add_profile(connectors, path, buffer_span(&bytes), &problems, &error);
        if (profile == NULL && problems.size == 0) {
            buffer_put_text(&problems, error.message);
        }
    }
    struct span rest = buffer_span(&problems);
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        config_problem(config, service->where, "services.%s.profile: %.*s", service->name,
                       SPAN_FORMAT(line));
    }
    buffer_fini(&problems);
    buffer_fini(&bytes);
    return profile == NULL ? NULL : arena_copy(&config->arena, profile->name).data;
}

/* A service that names a file takes the name that stands in it. A file that several services name
 * is one profile, which the first of them loads. */
static bool resolve_profile(struct config *config, struct connectors *connectors,
                            struct config_service *service)
{
    service->profile_file = service->profile;
    service->profile = NULL;
    for (const struct config_service *other = config->services; other != service; other++) {
        bool is_same = other->profile != NULL && other->profile_file != NULL &&
                       strcmp(other->profile_file, service->profile_file) == 0;
        service->profile = is_same ? other->profile : service->profile;
    }
    if (service->profile == NULL) {
        service->profile = load_profile(config, connectors, service);
    }
    return service->profile != NULL;
}

static bool is_path(const char *profile)
{
    size_t size = strlen(profile);
    size_t suffix = sizeof(PROFILE_SUFFIX) - 1;
    return size > suffix && strcmp(profile + size - suffix, PROFILE_SUFFIX) == 0;
}

/* `asks`: with what only asking needs. */
static void add_service(struct config *config, struct connectors *connectors,
                        struct config_service *service, bool asks)
{
    if (service->profile == NULL) {
        return; /* told when the configuration was read */
    }
    if (is_path(service->profile) && !resolve_profile(config, connectors, service)) {
        return;
    }
    struct service_config described = {
        .name = service->name,
        .profile = service->profile,
        .base = service->base,
        .allow = service->allow,
        .allow_count = service->allow_count,
        .token = asks ? service->token : NULL,
        .ca_file = asks ? service->ca_file : NULL,
        .unix_socket = service->unix_socket,
        .is_exclusive = service->is_exclusive,
        .answer_ttl_ms = service->answer_ttl_ms,
        .rate_per_s = service->rate_per_s,
    };
    struct error error = {0};
    if (!connectors_add_service(connectors, &described, &error)) {
        config_problem(config, service->where, "services.%s: %s", service->name, error.message);
        return;
    }
    struct service_facts told = connectors_service_facts(connectors, service->name);
    if (asks && told.needs_token && service->token == NULL) {
        config_problem(config, service->where,
                       "services.%s.token: is missing, and its profile sends one; allowed: "
                       "env:NAME, file:/PATH",
                       service->name);
    }
    struct policy_facts facts = {.is_volatile = told.is_volatile,
                                 .retention_ms = told.retention_ms};
    if (!policy_set_facts(&config->policy, span_of(service->name), facts)) {
        config_problem(config, service->where, "services.%s: one service too many", service->name);
    }
}

/* An event takes a text of a bounded size: what the reducers would refuse is told here. */
static void check_policy_size(struct config *config)
{
    struct buffer text = {0};
    policy_put_text(&text, &config->policy);
    if (text.size > POLICY_SIZE_MAX) {
        config_problem(config, config->file,
                       "policy.services: the policy's text has %zu bytes; allowed: %d: fewer keys "
                       "of single services",
                       text.size, POLICY_SIZE_MAX);
    }
    buffer_fini(&text);
}

static bool open_services(struct config *config, struct connectors **out, bool asks)
{
    struct connectors_config limits = {
        .question_ms = QUESTION_MS,
        .body_max = BODY_MAX,
        .per_host = PER_HOST,
    };
    *out = connectors_create(&limits);
    for (uint32_t i = 0; i < config->service_count; i++) {
        size_t before = config->problems.size;
        if (asks) {
            config_check_sources(config, &config->services[i]);
        }
        add_service(config, *out, &config->services[i], asks && config->problems.size == before);
    }
    check_policy_size(config);
    config_sort_problems(config);
    if (config->problems.size > 0) {
        connectors_destroy(*out);
        *out = NULL;
        return false;
    }
    return true;
}

bool services_open(struct config *config, struct connectors **out)
{
    return open_services(config, out, true);
}

bool services_load_facts(struct config *config)
{
    struct connectors *connectors;
    bool is_fine = open_services(config, &connectors, false);
    connectors_destroy(connectors);
    return is_fine;
}
