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
    const char *where;                   /* it was first named */
    const char *name, *profile, *base;   /* profile: a name, or a path that ends in .yaml */
    const char *profile_file;            /* that path, once services_open has put the name into
                                            `profile`; NULL: it was a name */
    bool is_base_told;                   /* rightly or wrongly */
    const char *allow[CONFIG_ALLOW_MAX]; /* each one is an entry that allow_add takes */
    uint32_t allow_count;
    const char *token; /* where the secret stands, "env:NAME" or "file:PATH"; NULL: none */
    const char *ca_file, *unix_socket;
    const char *token_where, *ca_file_where; /* they were told */
    bool is_exclusive;
    uint64_t answer_ttl_ms, rate_per_s;
};

/* Texts live until config_fini. */
struct config {
    struct arena arena;
    const char *file;         /* what it was read from, for messages */
    char *const *environment; /* borrowed */
    uint64_t partitions, tick_ms, lease_ms;
    const char *prefix, *data;
    uint64_t capture_rotate_bytes, capture_rotate_ms, capture_keep_ms, capture_keep_bytes;
    const char *redis_url; /* a secret: it may hold a password */
    const char *queue_layout, *queue_prefix;
    uint64_t audit_keep_ms;     /* 0: for ever */
    const char *monitor_listen; /* NULL: absent */
    struct policy policy;       /* without the services' facts, which services_open adds */
    struct config_service services[POLICY_SERVICES_MAX];
    uint32_t service_count;
    struct buffer notes;    /* one line a setting that is taken and has no effect in this build */
    struct buffer problems; /* one line each: where, which key, what is wrong, what is allowed */
};

/* Reads `path`; NULL: salvor.yaml when it is there, else the defaults. `environment` as in
 * environ(7). False when there are problems. Always ended by config_fini. */
__attribute__((warn_unused_result)) bool config_load(struct config *config, const char *path,
                                                     char *const *environment);
/* The same from a text, which messages call `name`. */
__attribute__((warn_unused_result)) bool config_load_text(struct config *config, const char *name,
                                                          struct span text,
                                                          char *const *environment);
void config_fini(struct config *config);

#endif
