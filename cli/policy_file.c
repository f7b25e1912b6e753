/* SPDX-License-Identifier: MIT */
#include "cli/policy_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/yaml.h"
#include "cli/config_rules.h"
#include "cli/policy_text.h"
#include "cli/services.h"

extern char **environ;

bool policy_file_is_yaml(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

bool policy_file_names(const char *path, const char *section, const char *key)
{
    struct arena arena = {0};
    struct buffer bytes = {0};
    struct error error = {0};
    const struct yaml_node *root = NULL;
    if (config_read_file(path, &bytes)) {
        root = yaml_parse(&arena, buffer_span(&bytes), &error);
    }
    bool is_named = yaml_get(yaml_get(root, section), key) != NULL;
    buffer_fini(&bytes);
    arena_fini(&arena);
    return is_named;
}

static void put_problem(struct buffer *problems, const char *path, const char *text)
{
    buffer_put_text(problems, path);
    buffer_put_text(problems, ": ");
    buffer_put_text(problems, text);
    buffer_put_byte(problems, '\n');
}

bool policy_file_read_text(const char *path, struct policy *out, uint64_t *unnamed,
                           struct buffer *problems)
{
    struct buffer bytes = {0};
    bool is_fine = false;
    if (!config_read_file(path, &bytes)) {
        put_problem(problems, path, strerror(errno));
    } else if (bytes.size > POLICY_SIZE_MAX) {
        put_problem(problems, path, "allowed: a text of up to 32768 bytes");
    } else {
        is_fine = policy_text_read(buffer_span(&bytes), path, out, unnamed, problems);
    }
    buffer_fini(&bytes);
    return is_fine;
}

_Static_assert(POLICY_SIZE_MAX == 32768, "the message of policy_file_read_text says so");

static bool read_yaml(const char *path, struct policy *out, uint64_t *unnamed,
                      struct buffer *problems)
{
    struct config *config = mem_zero(sizeof(*config));
    bool is_fine = config_load(config, path, environ);
    is_fine = services_load_facts(config) && is_fine;
    *out = config->policy;
    *unnamed =
        policy_file_names(path, "queue", "failures") ? 0 : UINT64_C(1) << POLICY_QUEUE_FAILURES;
    buffer_put_span(problems, buffer_span(&config->problems));
    config_fini(config);
    mem_free(config);
    return is_fine;
}

bool policy_file_read(const char *path, struct policy *out, uint64_t *unnamed,
                      struct buffer *problems)
{
    return policy_file_is_yaml(path) ? read_yaml(path, out, unnamed, problems)
                                     : policy_file_read_text(path, out, unnamed, problems);
}
