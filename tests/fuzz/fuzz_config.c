/* SPDX-License-Identifier: MIT
 * The input is a configuration file. What is refused is refused in whole lines that begin with the
 * file's name; what is taken is complete, and its policy is what the reducers read from its text.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "cli/config.h"

#define NAME "f.yaml"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const struct config *config)
{
    struct span rest = buffer_span(&config->problems);
    CHECK(rest.size > 0 && rest.data[rest.size - 1] == '\n');
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        CHECK(line.size > sizeof(NAME) && memcmp(line.data, NAME ":", sizeof(NAME)) == 0);
    }
}

static void check_policy(const struct policy *policy)
{
    struct buffer text = {0}, again = {0};
    struct policy *read = mem_zero(sizeof(*read));
    struct span bad;
    policy_put_text(&text, policy);
    CHECK(policy_parse_text(buffer_span(&text), read, &bad));
    policy_put_text(&again, read);
    CHECK(span_equal(buffer_span(&text), buffer_span(&again)));
    mem_free(read);
    buffer_fini(&again);
    buffer_fini(&text);
}

static void check_taken(const struct config *config)
{
    CHECK(config->prefix != NULL && config->data != NULL && config->redis_url != NULL);
    CHECK(config->queue_layout != NULL && config->queue_prefix != NULL);
    CHECK(config->lease_ms >= 4 * config->tick_ms);
    for (uint32_t i = 0; i < config->service_count; i++) {
        CHECK(config->services[i].name != NULL && config->services[i].profile != NULL);
        CHECK(config->services[i].allow_count <= CONFIG_ALLOW_MAX);
    }
    check_policy(&config->policy);
}

/* No input opens files of the machine it runs on. */
static void close_files(struct buffer *text)
{
    for (size_t i = 0; i + 5 <= text->size; i++) {
        if (memcmp(text->data + i, "file:", 5) == 0) {
            text->data[i + 4] = '.';
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *const no_environment[] = {NULL};
    static struct config config;
    static struct buffer text;
    buffer_reset(&text);
    buffer_put(&text, data, size);
    close_files(&text);
    if (config_load_text(&config, NAME, buffer_span(&text), no_environment)) {
        check_taken(&config);
    } else {
        check_problems(&config);
    }
    config_fini(&config);
    return 0;
}
