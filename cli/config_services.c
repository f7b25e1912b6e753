/* SPDX-License-Identifier: MIT
 * The settings of `services`. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/config_rules.h"
#include "connectors/allow.h"
#include "connectors/bucket.h"
#include "connectors/secret.h"

#define ANSWER_TTL_MS     1000
#define ANSWER_TTL_MAX    3600000
#define SOCKET_PATH_MAX   (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define SOCKET_PATH_WORDS "a path of up to %zu bytes"

/* What one setting is checked and taken with. */
struct taking {
    struct config *config;
    const struct setting *setting;
    struct config_service *service;
};

/* --- checks, a function for each kind of value; each takes the value or writes a problem --- */

static void take_text(const struct taking *taking, size_t offset)
{
    const struct setting *setting = taking->setting;
    if (setting->value.size == 0 || strlen(setting->value.data) != setting->value.size) {
        config_problem(taking->config, setting->where, "%s: \"%.*s\"; allowed: the path of a file",
                       setting_path(taking->config, setting), SPAN_FORMAT(setting->value));
        return;
    }
    *(const char **)((char *)taking->service + offset) = setting->value.data;
}

static void take_number(const struct taking *taking, size_t offset, uint64_t most)
{
    const struct setting *setting = taking->setting;
    uint64_t *number = (uint64_t *)((char *)taking->service + offset);
    if (!span_to_number(setting->value, most, number)) {
        config_problem(taking->config, setting->where,
                       "%s: \"%.*s\"; allowed: a whole number from 0 to %" PRIu64,
                       setting_path(taking->config, setting), SPAN_FORMAT(setting->value), most);
    }
}

static void take_profile(const struct taking *taking)
{
    taking->service->profile = taking->setting->value.data; /* whether it is one is told later */
}

/* The value is not shown: it may hold a password. */
static void take_base(const struct taking *taking)
{
    const struct setting *setting = taking->setting;
    struct span rest = setting->value;
    struct span scheme = span_cut(&rest, ':');
    taking->service->is_base_told = true;
    bool is_url = (span_is(scheme, "http") || span_is(scheme, "https")) && rest.size > 2 &&
                  rest.data[0] == '/' && rest.data[1] == '/' &&
                  strlen(setting->value.data) == setting->value.size;
    /* The requests' paths are put behind it, where a query or a fragment would swallow them. */
    if (!is_url || strpbrk(rest.data, "?#") != NULL) {
        config_problem(
            taking->config, setting->where,
            "%s: no URL to ask; allowed: http://host[:port][/path], https://…, without ? "
            "and #",
            setting_path(taking->config, setting));
        return;
    }
    size_t authority = strcspn(rest.data + 2, "/");
    if (memchr(rest.data + 2, '@', authority) != NULL) {
        config_problem(taking->config, setting->where,
                       "%s: a URL with user or password; allowed: http://host[:port][/path], "
                       "https://…, and the secret as services.%s.token",
                       setting_path(taking->config, setting), setting->service);
        return;
    }
    taking->service->base = setting->value.data;
}

/* A list comes joined by commas. Every entry that is wrong is told; the others are taken. */
static void take_allow(const struct taking *taking)
{
    struct config *config = taking->config;
    const struct setting *setting = taking->setting;
    struct config_service *service = taking->service;
    struct span rest = setting->value;
    struct allow tried = {0};
    service->allow_count = 0;
    while (rest.size > 0) {
        struct span host = span_cut(&rest, ',');
        while (host.size > 0 && host.data[0] == ' ') {
            host.data++, host.size--;
        }
        const char *text = arena_copy(&config->arena, host).data;
        struct error error = {0};
        if (service->allow_count == CONFIG_ALLOW_MAX) {
            config_problem(config, setting->where,
                           "%s: more than %d host names, addresses or CIDR blocks",
                           setting_path(config, setting), CONFIG_ALLOW_MAX);
            break;
        }
        if (!allow_add(&tried, text, &error)) {
            config_problem(config, setting->where, "%s: %s", setting_path(config, setting),
                           error.message);
        } else {
            service->allow[service->allow_count++] = text;
        }
    }
    allow_fini(&tried);
}

/* Kept as it stands: whoever asks the service reads the secret anew each time. The value is not
 * shown: it may be the secret itself. */
static void take_token(const struct taking *taking)
{
    const struct setting *setting = taking->setting;
    if (!secret_is_source(setting->value)) {
        config_problem(taking->config, setting->where,
                       "%s: not the secret, but where it stands; allowed: env:NAME, file:/PATH",
                       setting_path(taking->config, setting));
        return;
    }
    taking->service->token = setting->value.data;
    taking->service->token_where = setting->where;
}

static void take_ca_file(const struct taking *taking)
{
    take_text(taking, offsetof(struct config_service, ca_file));
    taking->service->ca_file_where = taking->setting->where;
}

static void take_unix_socket(const struct taking *taking)
{
    const struct setting *setting = taking->setting;
    if (setting->value.size > SOCKET_PATH_MAX) {
        config_problem(taking->config, setting->where, "%s: allowed: " SOCKET_PATH_WORDS,
                       setting_path(taking->config, setting), SOCKET_PATH_MAX);
        return;
    }
    take_text(taking, offsetof(struct config_service, unix_socket));
}

static void take_exclusive(const struct taking *taking)
{
    const struct setting *setting = taking->setting;
    taking->service->is_exclusive = span_is(setting->value, "true");
    if (!taking->service->is_exclusive && !span_is(setting->value, "false")) {
        config_problem(taking->config, setting->where, "%s: \"%.*s\"; allowed: true, false",
                       setting_path(taking->config, setting), SPAN_FORMAT(setting->value));
    }
}

static void take_answer_ttl(const struct taking *taking)
{
    take_number(taking, offsetof(struct config_service, answer_ttl_ms), ANSWER_TTL_MAX);
}

static void take_rate(const struct taking *taking)
{
    take_number(taking, offsetof(struct config_service, rate_per_s), BUCKET_RATE_MAX);
}

static const struct service_rule {
    const char *key;
    void (*take)(const struct taking *taking);
} service_rules[] = {
    {"profile", take_profile},     {"base", take_base},
    {"allow", take_allow},         {"token", take_token},
    {"ca_file", take_ca_file},     {"unix_socket", take_unix_socket},
    {"exclusive", take_exclusive}, {"answer_ttl_ms", take_answer_ttl},
    {"rate_per_s", take_rate},
};

static const char *service_key(uint32_t index)
{
    return index < sizeof(service_rules) / sizeof(service_rules[0]) ? service_rules[index].key
                                                                    : NULL;
}

/* --- keys of one service, in `services` and in `policy.services` --- */

/* The keys that a service has in `services` or `policy.services`, one after the other; NULL behind
 * the last. `*is_allowed`: it may be told for one service alone. */
static const char *key_of_service(const char *section, uint32_t index, bool *is_allowed)
{
    *is_allowed = true;
    if (strcmp(section, "services") == 0) {
        return service_key(index);
    }
    if (index >= POLICY_KEY_COUNT) {
        return NULL;
    }
    const struct policy_key_rule *rule = policy_key_rule((enum policy_key)index);
    *is_allowed = rule->scope == POLICY_SCOPE_JOB;
    return rule->key;
}

void setting_put_service_keys(struct buffer *out, const char *section)
{
    bool is_allowed;
    const char *key;
    for (uint32_t i = 0; (key = key_of_service(section, i, &is_allowed)) != NULL; i++) {
        if (is_allowed) {
            setting_put_listed(out, span_of(key));
        }
    }
}

/* --- the name of a variable --- */

/* True when `text` is a name, '_' and the key, in which a variable has '_' for '.'. */
static bool ends_with_key(struct span text, const char *key)
{
    size_t size = strlen(key);
    if (text.size < size + 2 || text.data[text.size - size - 1] != '_') {
        return false;
    }
    const char *end = text.data + text.size - size;
    for (size_t i = 0; i < size; i++) {
        if (end[i] != (key[i] == '.' ? '_' : key[i])) {
            return false;
        }
    }
    return true;
}

bool setting_split(struct config *config, struct setting *setting, struct span text)
{
    bool is_allowed;
    const char *key, *found = NULL;
    for (uint32_t i = 0; (key = key_of_service(setting->section, i, &is_allowed)) != NULL; i++) {
        bool is_longer = found == NULL || strlen(key) > strlen(found);
        found = is_longer && ends_with_key(text, key) ? key : found;
    }
    if (found == NULL) {
        struct buffer allowed = {0};
        setting_put_service_keys(&allowed, setting->section);
        config_problem(config, setting->where,
                       "%s: allowed: the service's name, _ and one of the keys %.*s",
                       setting->section, SPAN_FORMAT(buffer_span(&allowed)));
        buffer_fini(&allowed);
        return false;
    }
    setting->key = span_of(found);
    text.size -= setting->key.size + 1;
    setting->service = arena_copy(&config->arena, text).data;
    return config_is_service(config, setting->where, setting->section, setting->service);
}

/* --- the doors --- */

bool config_is_service(struct config *config, const char *where, const char *section,
                       const char *name)
{
    if (config_is_name(span_of(name))) {
        return true;
    }
    config_problem(config, where,
                   "%s.%s: not a name; allowed: 1 to 64 letters, digits, '-', '_' and '.'", section,
                   name);
    return false;
}

struct config_service *config_service(struct config *config, const char *where, const char *name)
{
    for (uint32_t i = 0; i < config->service_count; i++) {
        if (strcmp(config->services[i].name, name) == 0) {
            return &config->services[i];
        }
    }
    if (!config_is_service(config, where, "services", name)) {
        return NULL;
    }
    if (config->service_count == POLICY_SERVICES_MAX) {
        config_problem(config, where, "services.%s: more than %d services", name,
                       POLICY_SERVICES_MAX);
        return NULL;
    }
    struct config_service *service = &config->services[config->service_count++];
    *service =
        (struct config_service){.name = name, .where = where, .answer_ttl_ms = ANSWER_TTL_MS};
    return service;
}

void setting_apply_service(struct config *config, const struct setting *setting)
{
    struct taking taking = {
        .config = config,
        .setting = setting,
        .service = config_service(config, setting->where, setting->service),
    };
    for (uint32_t i = 0; taking.service != NULL && service_key(i) != NULL; i++) {
        if (span_is(setting->key, service_key(i))) {
            service_rules[i].take(&taking);
            return;
        }
    }
    if (taking.service != NULL) {
        setting_unknown(config, setting);
    }
}

static void check_token(struct config *config, const struct config_service *service)
{
    const char *word = NULL;
    const char *path = strncmp(service->token, "file:", 5) == 0 ? service->token + 5 : NULL;
    struct buffer secret = {0};
    if (!secret_read(span_of(service->token), &secret, &word)) {
        bool is_there = strcmp(word, "no_token") != 0;
        const char *cause =
            is_there ? "a control character, or more than 4096 bytes" : "not set, or nothing in it";
        if (path != NULL && access(path, R_OK) != 0) {
            cause = strerror(errno);
        }
        config_problem(config, service->token_where, "services.%s.token: %s: %s", service->name,
                       service->token, cause);
    }
    buffer_fini(&secret);
}

void config_check_sources(struct config *config, const struct config_service *service)
{
    if (service->token != NULL) {
        check_token(config, service);
    }
    if (service->ca_file != NULL && access(service->ca_file, R_OK) != 0) {
        config_problem(config, service->ca_file_where,
                       "services.%s.ca_file: \"%s\": %s; allowed: a file of certificates (PEM)",
                       service->name, service->ca_file, strerror(errno));
    }
}

_Static_assert(SECRET_SIZE_MAX == 4096, "check_token says so");

void setting_check_services(struct config *config)
{
    for (uint32_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        if (service->profile == NULL) {
            config_problem(config, service->where, "services.%s.profile: is missing",
                           service->name);
        }
        if (service->unix_socket != NULL && !service->is_base_told) {
            config_problem(config, service->where,
                           "services.%s.unix_socket: needs base, whose host and path are what is "
                           "asked for there",
                           service->name);
        }
    }
}
