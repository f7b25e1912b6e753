/* SPDX-License-Identifier: MIT
 * What is accepted is a tree within the limits whose keys are found again; what is refused names a
 * line. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct yaml_node *node, size_t depth)
{
    CHECK(depth <= YAML_DEPTH_MAX);
    CHECK(node->line >= 1);
    size_t count = 0;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        count++;
        if (node->kind == YAML_KIND_MAPPING) {
            CHECK(child->key.data[child->key.size] == '\0');
        }
        if (node->kind == YAML_KIND_MAPPING && strlen(child->key.data) == child->key.size) {
            CHECK(yaml_get(node, child->key.data) == child);
        }
        walk(child, depth + 1);
    }
    CHECK(count == node->count);
    CHECK(count == 0 || node->kind != YAML_KIND_SCALAR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct error error = {0};
    const struct yaml_node *root =
        yaml_parse(&arena, (struct span){(const char *)data, size}, &error);
    if (root == NULL) {
        CHECK(error.code == ERROR_USAGE);
        CHECK(strncmp(error.message, "line ", 5) == 0);
    } else {
        walk(root, 1);
    }
    arena_fini(&arena);
    return 0;
}
