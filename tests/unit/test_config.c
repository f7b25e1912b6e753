/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/config.h"

/* A folder with one configuration file; tests run inside it, so that messages name it shortly. */
static char folder[] = "/tmp/salvor-config-XXXXXX";

static int enter_folder(void **fixture)
{
    (void)fixture;
    return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int leave_folder(void **fixture)
{
    (void)fixture;
    unlink("salvor.yaml");
    unlink("c.yaml");
    unlink("secret");
    return chdir("/") != 0 || rmdir(folder) != 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static char *const empty_environment[] = {NULL};

static bool load(struct config *config, const char *text, char *const *environment)
{
    write_file("c.yaml", text);
    return config_load(config, "c.yaml", environment);
}

/* True when the problems hold `text`. */
static bool tells(const struct config *config, const char *text)
{
    struct buffer copy = {0};
    buffer_put_span(&copy, buffer_span(&config->problems));
    buffer_put_byte(&copy, '\0');
    bool is_told = strstr(copy.data, text) != NULL;
    buffer_fini(&copy);
    return is_told;
}

static void assert_buffer(const struct buffer *buffer, const char *text)
{
    char *copy = calloc(1, buffer->size + 1);
    memcpy(copy, buffer->data == NULL ? "" : buffer->data, buffer->size);
    assert_string_equal(copy, text);
    free(copy);
}

/* Loads a text that is wrong, and holds the messages against what is expected, all of it. */
static void assert_problems(const char *text, char *const *environment, const char *problems)
{
    struct config config;
    assert_false(load(&config, text, environment));
    assert_buffer(&config.problems, problems);
    config_fini(&config);
}

static void test_config__has_defaults(void **fixture)
{
    (void)fixture;
    struct config config;
    assert_true(config_load(&config, NULL, empty_environment));
    assert_int_equal(config.partitions, 1);
    assert_int_equal(config.tick_ms, 250);
    assert_int_equal(config.lease_ms, 5000);
    assert_string_equal(config.prefix, "salvor");
    assert_string_equal(config.data, "salvor-data");
    assert_string_equal(config.redis_url, "redis://127.0.0.1:6379/0");
    assert_string_equal(config.queue_layout, "emprops");
    assert_string_equal(config.queue_prefix, "");
    assert_null(config.monitor_listen);
    assert_int_equal(config.service_count, 0);
    struct policy safe;
    policy_preset(PRESET_SAFE, &safe);
    assert_memory_equal(config.policy.value, safe.value, sizeof(safe.value));
    config_fini(&config);
}

static const char example[] = "salvor:\n"
                              "  partitions: 1\n"
                              "  prefix: salvor\n"
                              "  data: salvor-data\n"
                              "  tick_ms: 250\n"
                              "  lease_ms: 5000\n"
                              "redis:\n"
                              "  url: redis://127.0.0.1:6379/0     # or unix:///run/redis.sock\n"
                              "queue:\n"
                              "  layout: emprops\n"
                              "policy:\n"
                              "  preset: safe\n"
                              "  services:\n"
                              "    comfyui: {job_timeout_ms: 600000}\n"
                              "services:\n"
                              "  comfyui: {profile: comfyui, base: \"http://127.0.0.1:8188\", "
                              "allow: [10.0.0.0/8, example.org]}\n"
                              "monitor:\n"
                              "  listen: 127.0.0.1:9180\n";

static void test_config__takes_the_example_and_says_what_has_no_effect(void **fixture)
{
    (void)fixture;
    struct config config;
    write_file("salvor.yaml", example);
    assert_true(config_load(&config, NULL, empty_environment));
    assert_int_equal(config.service_count, 1);
    assert_string_equal(config.services[0].name, "comfyui");
    assert_string_equal(config.services[0].profile, "comfyui");
    assert_string_equal(config.services[0].base, "http://127.0.0.1:8188");
    assert_int_equal(config.services[0].allow_count, 2);
    assert_string_equal(config.services[0].allow[0], "10.0.0.0/8");
    assert_string_equal(config.services[0].allow[1], "example.org");
    assert_string_equal(config.monitor_listen, "127.0.0.1:9180");
    assert_buffer(&config.notes, "salvor.yaml:14: policy.services.comfyui.job_timeout_ms\n"
                                 "salvor.yaml:18: monitor.listen\n");
    config_fini(&config);
    unlink("salvor.yaml");
}

static void test_config__presets_come_before_keys(void **fixture)
{
    (void)fixture;
    struct config config;
    assert_true(load(&config,
                     "policy: {on_running: wait, max_retries: 7, preset: seed}\n"
                     "queue: {failures: salvor}\n",
                     empty_environment));
    assert_int_equal(config.policy.value[POLICY_ON_RUNNING], ON_RUNNING_WAIT);
    assert_int_equal(config.policy.value[POLICY_MAX_RETRIES], 7);
    assert_int_equal(config.policy.value[POLICY_BACKOFF_MS], 0);
    assert_int_equal(config.policy.value[POLICY_ASK_LIMIT], 1);
    assert_int_equal(config.policy.value[POLICY_QUEUE_FAILURES], QUEUE_FAILURES_SALVOR);
    config_fini(&config);
}

static void test_config__environment_overrides_the_file(void **fixture)
{
    (void)fixture;
    struct config config;
    char *const environment[] = {
        (char[]){"PATH=/bin"},
        (char[]){"SALVOR_REDIS_URL=unix:///run/other.sock"},
        (char[]){"SALVOR_SALVOR_TICK_MS=100"},
        (char[]){"SALVOR_POLICY_PRESET=seed"},
        (char[]){"SALVOR_POLICY_EFFECTS=observe"},
        (char[]){"SALVOR_QUEUE_FAILURES=salvor"},
        (char[]){"SALVOR_SERVICES_MY_API_PROFILE=comfyui"},
        (char[]){"SALVOR_SERVICES_MY_API_ALLOW=a.example, b.example"},
        (char[]){"SALVOR_CRASH_POINT=read"}, /* not of a section */
        NULL,
    };
    assert_true(load(&config,
                     "salvor: {tick_ms: 200}\n"
                     "redis: {url: \"redis://h/1\"}\n"
                     "policy: {preset: safe, effects: apply}\n",
                     environment));
    assert_string_equal(config.redis_url, "unix:///run/other.sock");
    assert_int_equal(config.tick_ms, 100);
    assert_int_equal(config.policy.value[POLICY_EFFECTS], EFFECTS_OBSERVE);
    assert_int_equal(config.policy.value[POLICY_ON_RUNNING], ON_RUNNING_REQUEUE);
    assert_int_equal(config.policy.value[POLICY_QUEUE_FAILURES], QUEUE_FAILURES_SALVOR);
    assert_int_equal(config.service_count, 1);
    assert_string_equal(config.services[0].name, "my_api");
    assert_int_equal(config.services[0].allow_count, 2);
    assert_string_equal(config.services[0].allow[1], "b.example");
    config_fini(&config);
}

static void test_config__reads_secrets_from_environment_and_file(void **fixture)
{
    (void)fixture;
    struct config config;
    char *const environment[] = {(char[]){"MY_REDIS=redis://:hidden@h/0"}, NULL};
    assert_true(load(&config, "redis: {url: \"env:MY_REDIS\"}\n", environment));
    assert_string_equal(config.redis_url, "redis://:hidden@h/0");
    config_fini(&config);
    write_file("secret", "redis://:from-a-file@h/0\nignored\n");
    assert_true(load(&config, "redis: {url: \"file:secret\"}\n", environment));
    assert_string_equal(config.redis_url, "redis://:from-a-file@h/0");
    config_fini(&config);
    assert_problems("redis: {url: \"env:NOT_THERE\"}\n", environment,
                    "c.yaml:1: redis.url: NOT_THERE is not set in the environment\n");
    struct config hidden;
    assert_false(load(&hidden, "redis: {url: \"redis://:hidden@h/0/1\"}\n", environment));
    assert_true(tells(&hidden, "c.yaml:1: redis.url: "));
    assert_false(tells(&hidden, "hidden"));
    config_fini(&hidden);
    assert_problems("redis: {url: \"file:nowhere\"}\n", environment,
                    "c.yaml:1: redis.url: file:nowhere: No such file or directory\n");
}

static void test_config__names_all_problems_at_once(void **fixture)
{
    (void)fixture;
    char *const environment[] = {(char[]){"SALVOR_QUEUE_LAYOUT=mine"}, NULL};
    assert_problems(
        "salvor:\n"
        "  partitions: 2\n"
        "  tick_mss: 7\n"
        "  lease_ms: fast\n"
        "  prefix: a b\n"
        "sallvor: {}\n"
        "queue: [1]\n"
        "policy:\n"
        "  preset: harsh\n"
        "  on_running: stop\n"
        "  max_retries: -1\n"
        "  grace_ms: {a: 1}\n"
        "  services:\n"
        "    api: {job_timeout_ms: soon}\n"
        "services:\n"
        "  \"a b\": {profile: x}\n"
        "  c: {base: \"ftp://user:secret@x\", colour: red}\n"
        "  d: 7\n"
        "monitor: {listen: \"\"}\n",
        environment,
        "c.yaml:2: salvor.partitions: \"2\"; allowed: 1\n"
        "c.yaml:3: salvor.tick_mss: unknown key; allowed: partitions, prefix, data, tick_ms, "
        "lease_ms\n"
        "c.yaml:4: salvor.lease_ms: \"fast\"; allowed: a whole number from 100 to 600000\n"
        "c.yaml:5: salvor.prefix: \"a b\"; allowed: 1 to 64 letters, digits, '-', '_' and '.'\n"
        "c.yaml:6: sallvor: unknown section; allowed: salvor, redis, queue, policy, services, "
        "monitor\n"
        "c.yaml:7: queue: allowed: keys with values\n"
        "c.yaml:9: policy.preset: \"harsh\"; allowed: safe, seed\n"
        "c.yaml:10: policy.on_running: \"stop\"; allowed: wait, requeue, cancel\n"
        "c.yaml:11: policy.max_retries: \"-1\"; allowed: a whole number from 0 to 1000000\n"
        "c.yaml:12: policy.grace_ms: allowed: one value\n"
        "c.yaml:14: policy.services.api.job_timeout_ms: \"soon\"; allowed: a whole number from 0 "
        "to 31536000000000\n"
        "c.yaml:16: services.a b: not a name; allowed: 1 to 64 letters, digits, '-', '_' and "
        "'.'\n"
        "c.yaml:17: services.c.base: no URL to ask; allowed: http://host[:port][/path], https://…\n"
        "c.yaml:17: services.c.colour: unknown key; allowed: profile, base, allow\n"
        "c.yaml:17: services.c.profile: is missing\n"
        "c.yaml:18: d: allowed: keys with values\n"
        "c.yaml:18: services.d.profile: is missing\n"
        "c.yaml:19: monitor.listen: \"\"; allowed: host:port\n"
        "SALVOR_QUEUE_LAYOUT: queue.layout: \"mine\"; allowed: emprops\n");
}

static void test_config__names_files_that_are_no_configuration(void **fixture)
{
    (void)fixture;
    struct config config;
    assert_false(config_load(&config, "nowhere.yaml", empty_environment));
    assert_buffer(&config.problems, "nowhere.yaml: No such file or directory\n");
    config_fini(&config);
    assert_problems("- a\n- b\n", empty_environment, "c.yaml: allowed: sections with keys\n");
    assert_false(load(&config, "salvor:\n  data: [unclosed\n", empty_environment));
    assert_true(tells(&config, "c.yaml: line "));
    config_fini(&config);
    assert_false(load(&config, "salvor: {data: a}\nsalvor: {data: b}\n", empty_environment));
    assert_true(tells(&config, "c.yaml: line 2"));
    config_fini(&config);
}

static void test_config__holds_a_lease_against_the_ticks(void **fixture)
{
    (void)fixture;
    assert_problems("salvor: {tick_ms: 1000, lease_ms: 3000}\n", empty_environment,
                    "c.yaml: salvor.lease_ms: 3000; allowed: at least four times tick_ms (1000), "
                    "or a lease ends between two ticks\n");
}

static void test_config__knows_every_policy_key(void **fixture)
{
    (void)fixture;
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        const struct policy_key_rule *rule = policy_key_rule(key);
        struct buffer value = {0};
        char text[160];
        struct config config;
        policy_value_put(&value, key, rule->seed);
        const char *dot = strchr(rule->key, '.');
        snprintf(text, sizeof(text), "%.*s: {%s: %.*s}\n", dot != NULL ? (int)(dot - rule->key) : 6,
                 dot != NULL ? rule->key : "policy", dot != NULL ? dot + 1 : rule->key,
                 (int)value.size, value.data);
        assert_true(load(&config, text, empty_environment));
        assert_int_equal(config.policy.value[key], rule->seed);
        config_fini(&config);
        buffer_fini(&value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__has_defaults),
        cmocka_unit_test(test_config__takes_the_example_and_says_what_has_no_effect),
        cmocka_unit_test(test_config__presets_come_before_keys),
        cmocka_unit_test(test_config__environment_overrides_the_file),
        cmocka_unit_test(test_config__reads_secrets_from_environment_and_file),
        cmocka_unit_test(test_config__names_all_problems_at_once),
        cmocka_unit_test(test_config__names_files_that_are_no_configuration),
        cmocka_unit_test(test_config__holds_a_lease_against_the_ticks),
        cmocka_unit_test(test_config__knows_every_policy_key),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
