/* SPDX-License-Identifier: MIT */
#include "cli/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/yaml.h"
#include "cli/config_rules.h"

#define VARIABLE_PREFIX "SALVOR_"
#define SETTINGS_MAX    4096
#define READ_SIZE       65536

/* All settings, the file's before the environment's, which therefore hold. */
struct settings {
    struct config *config;
    const char *file;
    struct setting *list; /* owned */
    uint32_t count, capacity;
};

static void settings_add(struct settings *settings, struct setting setting)
{
    if (settings->count == SETTINGS_MAX) {
        config_problem(settings->config, setting.where, "more than %d settings", SETTINGS_MAX);
        return;
    }
    if (settings->count == settings->capacity) {
        settings->capacity = settings->capacity == 0 ? 64 : settings->capacity * 2;
        settings->list = mem_resize(settings->list, settings->capacity * sizeof(*settings->list));
    }
    settings->list[settings->count++] = setting;
}

/* --- from the file --- */

static const char *where_is(struct settings *settings, const struct yaml_node *node)
{
    return config_text(settings->config, "%s:%zu", settings->file, node->line);
}

/* A sequence of scalars is joined by commas. False for anything else that is no scalar. */
static bool node_value(struct settings *settings, const struct yaml_node *node, struct span *out)
{
    if (node->kind == YAML_KIND_SCALAR) {
        *out = node->text;
        return true;
    }
    if (node->kind != YAML_KIND_SEQUENCE) {
        return false;
    }
    struct buffer joined = {0};
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
        if (item->kind != YAML_KIND_SCALAR) {
            buffer_fini(&joined);
            return false;
        }
        if (joined.size > 0) {
            buffer_put_byte(&joined, ',');
        }
        buffer_put_span(&joined, item->text);
    }
    *out = arena_copy(&settings->config->arena, buffer_span(&joined));
    buffer_fini(&joined);
    return true;
}

/* The scalars of one mapping; `service` as in struct setting. */
static void read_keys(struct settings *settings, const struct yaml_node *node, const char *section,
                      const char *service)
{
    if (node->kind != YAML_KIND_MAPPING) {
        config_problem(settings->config, where_is(settings, node), "%s: allowed: keys with values",
                       service != NULL ? service : section);
        return;
    }
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        struct setting setting = {
            .where = where_is(settings, child),
            .section = section,
            .service = service,
            .key = child->key,
        };
        bool is_list = child->kind == YAML_KIND_SEQUENCE;
        if ((is_list && !span_is(child->key, "allow")) ||
            !node_value(settings, child, &setting.value)) {
            config_problem(settings->config, setting.where, "%s.%.*s: allowed: one value", section,
                           SPAN_FORMAT(child->key));
            continue;
        }
        settings_add(settings, setting);
    }
}

/* Mappings by the service's name. */
static void read_services(struct settings *settings, const struct yaml_node *node,
                          const char *section)
{
    if (node->kind != YAML_KIND_MAPPING) {
        config_problem(settings->config, where_is(settings, node), "%s: allowed: services by name",
                       section);
        return;
    }
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        const char *where = where_is(settings, child);
        const char *name = child->key.data;
        bool is_made = strcmp(section, "services") == 0
                           ? config_service(settings->config, where, name) != NULL
                           : config_is_service(settings->config, where, section, name);
        if (is_made) {
            read_keys(settings, child, section, name);
        }
    }
}

/* `policy` holds keys and, under `services`, policies by service. */
static void read_policy(struct settings *settings, const struct yaml_node *node)
{
    struct yaml_node keys = *node;
    struct yaml_node **link = &keys.first;
    if (node->kind != YAML_KIND_MAPPING) {
        read_keys(settings, node, "policy", NULL);
        return;
    }
    keys.first = NULL;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        if (span_is(child->key, "services")) {
            read_services(settings, child, "policy.services");
            continue;
        }
        struct yaml_node *copy = arena_take(&settings->config->arena, sizeof(*copy));
        *copy = *child;
        copy->next = NULL;
        *link = copy;
        link = &copy->next;
    }
    read_keys(settings, &keys, "policy", NULL);
}

static void read_root(struct settings *settings, const struct yaml_node *root)
{
    for (const struct yaml_node *node = root->first; node != NULL; node = node->next) {
        if (!section_exists(node->key)) {
            struct buffer allowed = {0};
            section_put_names(&allowed);
            config_problem(settings->config, where_is(settings, node),
                           "%.*s: unknown section; allowed: %.*s", SPAN_FORMAT(node->key),
                           (int)allowed.size, allowed.data);
            buffer_fini(&allowed);
        } else if (span_is(node->key, "services")) {
            read_services(settings, node, "services");
        } else if (span_is(node->key, "policy")) {
            read_policy(settings, node);
        } else {
            read_keys(settings, node, node->key.data, NULL);
        }
    }
}

bool config_read_file(const char *path, struct buffer *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t size = 1;
    while (size > 0 && out->size <= YAML_SIZE_MAX) {
        size = read(fd, buffer_reserve(out, READ_SIZE), READ_SIZE);
        out->size += size > 0 ? (size_t)size : 0;
    }
    int cause = errno;
    close(fd);
    errno = cause;
    return size >= 0;
}

static void read_text(struct settings *settings, struct span text)
{
    struct error error = {0};
    const struct yaml_node *root = yaml_parse(&settings->config->arena, text, &error);
    if (root == NULL) {
        config_problem(settings->config, settings->file, "%s", error.message);
    } else if (root->kind != YAML_KIND_MAPPING) {
        config_problem(settings->config, settings->file, "allowed: sections with keys");
    } else {
        read_root(settings, root);
    }
}

static void read_file(struct settings *settings, bool is_required)
{
    struct buffer bytes = {0};
    if (config_read_file(settings->file, &bytes)) {
        read_text(settings, buffer_span(&bytes));
    } else if (errno != ENOENT || is_required) {
        config_problem(settings->config, settings->file, "%s", strerror(errno));
    }
    buffer_fini(&bytes);
}

/* --- from the environment: SALVOR_SECTION_KEY, SALVOR_SERVICES_NAME_KEY,
 * SALVOR_POLICY_SERVICES_NAME_KEY --- */

/* A copy in lower case. */
static struct span lowered(struct config *config, struct span text)
{
    struct span copy = arena_copy(&config->arena, text);
    char *bytes = arena_take(&config->arena, text.size + 1);
    for (size_t i = 0; i < copy.size; i++) {
        bytes[i] = (char)tolower((unsigned char)copy.data[i]);
    }
    bytes[copy.size] = '\0';
    return (struct span){bytes, copy.size};
}

/* Variables of ours that set nothing here. */
static bool is_no_setting(struct span name)
{
    static const char *const others[] = {"SALVOR_CRASH_POINT", "SALVOR_FIXTURES", "SALVOR_SPECS"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (span_is(name, others[i])) {
            return true;
        }
    }
    return false;
}

static void read_variable(struct settings *settings, struct span name, const char *value)
{
    struct config *config = settings->config;
    struct span rest = lowered(config, (struct span){name.data + sizeof(VARIABLE_PREFIX) - 1,
                                                     name.size - sizeof(VARIABLE_PREFIX) + 1});
    struct span section = span_cut(&rest, '_');
    if (!section_exists(section) || rest.size == 0) {
        if (!is_no_setting(name)) {
            config_problem(config, arena_copy(&config->arena, name).data,
                           "no such section; allowed: SALVOR_SECTION_KEY, as in "
                           "SALVOR_SALVOR_DATA, SALVOR_REDIS_URL, SALVOR_POLICY_EFFECTS");
        }
        return;
    }
    struct setting setting = {
        .where = arena_copy(&config->arena, name).data,
        .section = arena_copy(&config->arena, section).data,
        .key = rest,
        .value = arena_copy(&config->arena, span_of(value)),
    };
    struct span behind = rest;
    bool is_of_service = span_is(section, "services");
    if (span_is(section, "policy") && span_is(span_cut(&behind, '_'), "services")) {
        setting.section = "policy.services";
        rest = behind;
        is_of_service = true;
    }
    if (!is_of_service || setting_split(config, &setting, rest)) {
        settings_add(settings, setting);
    }
}

static void read_environment(struct settings *settings, char *const *environment)
{
    for (char *const *line = environment; *line != NULL; line++) {
        size_t size = strcspn(*line, "=");
        if ((*line)[size] == '=' && size > sizeof(VARIABLE_PREFIX) - 1 &&
            strncmp(*line, VARIABLE_PREFIX, sizeof(VARIABLE_PREFIX) - 1) == 0) {
            read_variable(settings, (struct span){*line, size}, *line + size + 1);
        }
    }
}

/* --- taking them --- */

static void apply_preset(struct config *config, const struct settings *settings)
{
    for (uint32_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->list[i];
        if (setting->service != NULL || strcmp(setting->section, "policy") != 0 ||
            !span_is(setting->key, "preset")) {
            continue;
        }
        if (span_is(setting->value, "safe") || span_is(setting->value, "seed")) {
            policy_preset(span_is(setting->value, "safe") ? PRESET_SAFE : PRESET_SEED,
                          &config->policy);
        } else {
            config_problem(config, setting->where, "policy.preset: \"%.*s\"; allowed: safe, seed",
                           SPAN_FORMAT(setting->value));
        }
    }
}

/* --- in the order of the file, the environment's behind --- */

static uint64_t problem_line(const char *file, struct span problem)
{
    size_t size = strlen(file);
    uint64_t line = 0;
    if (problem.size <= size || memcmp(problem.data, file, size) != 0) {
        return UINT64_MAX;
    }
    struct span rest = {problem.data + size + 1, problem.size - size - 1};
    span_to_number(span_cut(&rest, ':'), UINT32_MAX, &line);
    return line;
}

/* Problems are few: the next one is looked for each time. */
void config_sort_problems(struct config *config)
{
    struct buffer sorted = {0};
    uint64_t next = 0;
    for (uint64_t line = 0; sorted.size < config->problems.size; line = next) {
        struct span rest = buffer_span(&config->problems);
        next = UINT64_MAX;
        while (rest.size > 0) {
            struct span problem = span_cut(&rest, '\n');
            uint64_t at = problem_line(config->file, problem);
            if (at == line) {
                buffer_put_span(&sorted, problem);
                buffer_put_byte(&sorted, '\n');
            } else if (at > line && at < next) {
                next = at;
            }
        }
    }
    buffer_fini(&config->problems);
    config->problems = sorted;
}

static struct settings begin(struct config *config, const char *file, char *const *environment)
{
    *config = (struct config){.environment = environment};
    setting_defaults(config);
    config->file = arena_copy(&config->arena, span_of(file)).data;
    return (struct settings){.config = config, .file = config->file};
}

/* True when there is no problem. */
static bool take(struct settings *settings)
{
    struct config *config = settings->config;
    read_environment(settings, config->environment);
    apply_preset(config, settings);
    for (uint32_t i = 0; i < settings->count; i++) {
        setting_apply(config, &settings->list[i]);
    }
    setting_check_all(config);
    mem_free(settings->list);
    config_sort_problems(config);
    return config->problems.size == 0;
}

bool config_load(struct config *config, const char *path, char *const *environment)
{
    struct settings settings = begin(config, path != NULL ? path : CONFIG_FILE, environment);
    read_file(&settings, path != NULL);
    return take(&settings);
}

bool config_load_text(struct config *config, const char *name, struct span text,
                      char *const *environment)
{
    struct settings settings = begin(config, name, environment);
    read_text(&settings, text);
    return take(&settings);
}

void config_fini(struct config *config)
{
    arena_fini(&config->arena);
    buffer_fini(&config->notes);
    buffer_fini(&config->problems);
}
