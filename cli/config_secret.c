/* SPDX-License-Identifier: MIT
 * Secrets stand in the environment or in a file, not in the configuration. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/config_rules.h"

#define SECRET_SIZE_MAX 4096

static const char *environment_get(char *const *environment, struct span name)
{
    for (char *const *line = environment; *line != NULL; line++) {
        size_t size = strcspn(*line, "=");
        if (span_equal((struct span){*line, size}, name) && (*line)[size] == '=') {
            return *line + size + 1;
        }
    }
    return NULL;
}

/* The first line of a file; NULL (and a problem) when it cannot be read. */
static const char *secret_file(struct config *config, const struct setting *setting,
                               const char *path)
{
    char text[SECRET_SIZE_MAX + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text));
    int cause = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (size < 0 || (size_t)size > SECRET_SIZE_MAX) {
        config_problem(config, setting->where, "%s: file:%s: %s", setting_path(config, setting),
                       path, size < 0 ? strerror(cause) : "longer than 4096 bytes");
        return NULL;
    }
    struct span rest = {text, (size_t)size};
    return arena_copy(&config->arena, span_cut(&rest, '\n')).data;
}

const char *setting_secret(struct config *config, const struct setting *setting)
{
    const char *value = setting->value.data;
    if (strncmp(value, "file:", 5) == 0) {
        return secret_file(config, setting, value + 5);
    }
    if (strncmp(value, "env:", 4) != 0) {
        return value;
    }
    const char *found = environment_get(config->environment, span_of(value + 4));
    if (found == NULL) {
        config_problem(config, setting->where, "%s: %s is not set in the environment",
                       setting_path(config, setting), value + 4);
        return NULL;
    }
    return arena_copy(&config->arena, span_of(found)).data;
}
