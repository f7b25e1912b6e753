/* SPDX-License-Identifier: MIT
 * The keys of the configuration, section by section, and how one setting is checked and taken. */
#ifndef SALVOR_CLI_CONFIG_RULES_H
#define SALVOR_CLI_CONFIG_RULES_H

#include "cli/config.h"

/* One value with the place it came from. Texts are owned by the configuration's arena. */
struct setting {
    const char *where;   /* "salvor.yaml:7" or "SALVOR_REDIS_URL" */
    const char *section; /* "policy" */
    const char *service; /* under `services` and `policy.services`; else NULL */
    struct span key;
    struct span value;
};

/* Takes the setting, or writes a problem. */
void setting_apply(struct config *config, const struct setting *setting);
/* The same for one under `services`. */
void setting_apply_service(struct config *config, const struct setting *setting);
/* The same for one under `policy.services`. */
void setting_apply_service_policy(struct config *config, const struct setting *setting);
/* The same for a policy key that holds for all services; false: it is none. */
bool setting_apply_policy(struct config *config, const struct setting *setting);
/* Lists, parted by commas: a name more; the policy keys that stand in a section; the keys that a
 * service has in `services` or `policy.services`. */
void setting_put_listed(struct buffer *out, struct span name);
void setting_put_policy_keys(struct buffer *out, const char *section);
void setting_put_service_keys(struct buffer *out, const char *section);
/* The problem that there is no such key. */
void setting_unknown(struct config *config, const struct setting *setting);
/* Splits "name_key" of a variable SALVOR_SERVICES_NAME_KEY or SALVOR_POLICY_SERVICES_NAME_KEY at
 * the longest key of the section that it ends with. False (and a problem): it ends with none. */
bool setting_split(struct config *config, struct setting *setting, struct span text);
/* What the setting's value, env:NAME or file:PATH (its first line), stands for; any other value is
 * meant as it is. NULL (and a problem) when there is nothing. */
const char *setting_secret(struct config *config, const struct setting *setting);
/* "section.key" or "section.service.key", for messages. */
const char *setting_path(struct config *config, const struct setting *setting);
/* Appends a YAML file's bytes; of one that is larger than YAML_SIZE_MAX enough for yaml_parse to
 * say so. False: errno tells why. */
bool config_read_file(const char *path, struct buffer *out);
/* 1 to 64 letters, digits, '-', '_' and '.'. */
bool config_is_name(struct span text);
/* Defaults of every key. */
void setting_defaults(struct config *config);
/* What no single key can tell; setting_check_services: of `services`. */
void setting_check_all(struct config *config);
void setting_check_services(struct config *config);
/* Problems where the service's token or certificates can not be read, from where asking reads them.
 */
void config_check_sources(struct config *config, const struct config_service *service);
/* False (and a problem) when `name` is no name of a service. */
bool config_is_service(struct config *config, const char *where, const char *section,
                       const char *name);
/* Brings the problems into the order of the file; those of the environment follow. */
void config_sort_problems(struct config *config);
/* True when `section` is one. */
bool section_exists(struct span section);
/* "a, b, c": the names of the sections. */
void section_put_names(struct buffer *out);
/* One line of config->problems. */
__attribute__((format(printf, 3, 4))) void config_problem(struct config *config, const char *where,
                                                          const char *format, ...);
/* The service with this name, made when absent; NULL (and a problem) when there are too many or it
 * is not a name. */
struct config_service *config_service(struct config *config, const char *where, const char *name);
/* A formatted text in the arena. */
__attribute__((format(printf, 2, 3))) const char *config_text(struct config *config,
                                                              const char *format, ...);

#endif
