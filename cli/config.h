/* SPDX-License-Identifier: MIT
 * The configuration: a YAML file, overridden key by key by SALVOR_SECTION_KEY in the environment.
 * All problems are found before any is told. */
#ifndef SALVOR_CLI_CONFIG_H
#define SALVOR_CLI_CONFIG_H

#include "base/arena.h"
#include "reducers/policy.h"

#define CONFIG_FILE      "salvor.yaml"
#define CONFIG_ALLOW_MAX 64

struct config_service {
    const char *where; /* it was first named */
    const char *name, *profile, *base;
    const char *allow[CONFIG_ALLOW_MAX];
    uint32_t allow_count;
};

/* Texts live until config_fini. */
struct config {
    struct arena arena;
    uint64_t partitions, tick_ms, lease_ms;
    const char *prefix, *data;
    const char *redis_url; /* a secret: it may hold a password */
    const char *queue_layout, *queue_prefix;
    const char *monitor_listen; /* NULL: absent */
    struct policy policy;       /* without the services' facts, which their profiles tell */
    struct config_service services[POLICY_SERVICES_MAX];
    uint32_t service_count;
    struct buffer notes;    /* one line a setting that is taken and has no effect in this build */
    struct buffer problems; /* one line each: where, which key, what is wrong, what is allowed */
};

/* Reads `path`; NULL: salvor.yaml when it is there, else the defaults. `environment` as in
 * environ(7). False when there are problems. Always ended by config_fini. */
__attribute__((warn_unused_result)) bool config_load(struct config *config, const char *path,
                                                     char *const *environment);
void config_fini(struct config *config);

#endif
