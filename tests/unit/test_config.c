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
    assert_int_equal(config.capture_rotate_bytes, 268435456);
    assert_int_equal(config.capture_rotate_ms, 600000);
    assert_int_equal(config.capture_keep_ms, 604800000);
    assert_int_equal(config.audit_keep_ms, 0);
    assert_int_equal(config.capture_keep_bytes, 0);
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
    assert_int_equal(config.services[0].answer_ttl_ms, 1000);
    assert_int_equal(config.services[0].rate_per_s, 0);
    assert_false(config.services[0].is_exclusive);
    assert_null(config.services[0].token);
    assert_int_equal(policy_value(&config.policy, SPAN("comfyui"), POLICY_JOB_TIMEOUT_MS), 600000);
    assert_int_equal(policy_value(&config.policy, SPAN("other"), POLICY_JOB_TIMEOUT_MS), 1800000);
    assert_buffer(&config.notes, "salvor.yaml:18: monitor.listen\n");
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

static void test_config__a_policy_of_one_service_holds_beside_its_preset(void **fixture)
{
    (void)fixture;
    struct config config;
    char *const environment[] = {
        (char[]){"SALVOR_POLICY_SERVICES_MY_API_ASK_BACKOFF_MS=7"},
        (char[]){"SALVOR_POLICY_SERVICES_MY_API_BACKOFF_MS=8"},
        (char[]){"SALVOR_POLICY_SERVICES_API_ON_RUNNING=wait"},
        (char[]){"SALVOR_POLICY_SERVICES_API_QUEUE_FAILURES=queue"},
        NULL,
    };
    assert_true(load(&config,
                     "policy:\n"
                     "  services:\n"
                     "    api: {on_running: cancel, queue.failures: salvor, effects: observe}\n"
                     "    never-configured: {job_timeout_ms: 1}\n"
                     "  preset: seed\n",
                     environment));
    const struct policy *policy = &config.policy;
    assert_int_equal(policy_value(policy, SPAN("my_api"), POLICY_ASK_BACKOFF_MS), 7);
    assert_int_equal(policy_value(policy, SPAN("my_api"), POLICY_BACKOFF_MS), 8);
    assert_int_equal(policy_value(policy, SPAN("api"), POLICY_ON_RUNNING), ON_RUNNING_WAIT);
    assert_int_equal(policy_value(policy, SPAN("api"), POLICY_EFFECTS), EFFECTS_OBSERVE);
    assert_int_equal(policy_value(policy, SPAN("api"), POLICY_QUEUE_FAILURES),
                     QUEUE_FAILURES_QUEUE);
    assert_int_equal(policy_value(policy, SPAN("never-configured"), POLICY_JOB_TIMEOUT_MS), 1);
    assert_int_equal(policy_value(policy, SPAN("x"), POLICY_ON_RUNNING), ON_RUNNING_REQUEUE);
    assert_int_equal(policy_value(policy, SPAN_NONE, POLICY_EFFECTS), EFFECTS_APPLY);
    assert_int_equal(policy->service_count, 3);
    assert_int_equal(config.service_count, 0);
    assert_int_equal(config.notes.size, 0);
    config_fini(&config);
}

static void test_config__says_what_no_single_service_can_have(void **fixture)
{
    (void)fixture;
    char *const environment[] = {
        (char[]){"SALVOR_POLICY_SERVICES_API_HOLD_PACE=1"},
        NULL,
    };
    struct config config;
    assert_problems("policy:\n"
                    "  services:\n"
                    "    api: {remember: 5, max_retries: many}\n"
                    "    \"a b\": {max_retries: 1, ask_limit: 1}\n",
                    environment,
                    "c.yaml:3: policy.services.api.remember: this key holds for the whole fleet; "
                    "allowed: policy.remember\n"
                    "c.yaml:3: policy.services.api.max_retries: \"many\"; allowed: a whole number "
                    "from 0 to 1000000\n"
                    "c.yaml:4: policy.services.a b: not a name; allowed: 1 to 64 letters, digits, "
                    "'-', '_' and '.'\n"
                    "SALVOR_POLICY_SERVICES_API_HOLD_PACE: policy.services.api.hold_pace: this key "
                    "holds for the whole fleet; allowed: policy.hold_pace\n");
    assert_false(load(&config, "policy: {services: {api: {preset: seed}}}\n", empty_environment));
    assert_true(tells(&config, "c.yaml:1: policy.services.api.preset: unknown key; allowed: "));
    assert_true(tells(&config, "on_running"));
    assert_true(tells(&config, "queue.failures"));
    assert_false(tells(&config, "mass_loss_min"));
    config_fini(&config);
    /* One service more than there is room for. */
    struct buffer text = {0};
    buffer_put_text(&text, "policy:\n  services:\n");
    for (unsigned i = 0; i <= POLICY_SERVICES_MAX; i++) {
        char line[64];
        snprintf(line, sizeof(line), "    s%u: {max_retries: 1}\n", i);
        buffer_put_text(&text, line);
    }
    buffer_put_byte(&text, '\0');
    assert_problems(text.data, empty_environment,
                    "c.yaml:67: policy.services.s64.max_retries: more than 64 services\n");
    buffer_fini(&text);
}

static void test_config__takes_all_of_a_service(void **fixture)
{
    (void)fixture;
    struct config config;
    char *const environment[] = {
        (char[]){"SALVOR_SERVICES_MY_API_CA_FILE=/ca.pem"},
        (char[]){"SALVOR_SERVICES_MY_API_ANSWER_TTL_MS=0"},
        (char[]){"SALVOR_SERVICES_MY_API_UNIX_SOCKET=/run/api.sock"},
        (char[]){"SALVOR_SERVICES_MY_API_BASE=http://localhost"},
        (char[]){"SALVOR_SERVICES_MY_API_PROFILE=comfyui"},
        NULL,
    };
    assert_true(load(&config,
                     "services:\n"
                     "  art:\n"
                     "    profile: comfyui\n"
                     "    base: https://art.example/a@b\n"
                     "    token: env:NOT_READ_HERE\n"
                     "    exclusive: true\n"
                     "    answer_ttl_ms: 250\n"
                     "    rate_per_s: 20\n"
                     "    allow: []\n",
                     environment));
    const struct config_service *art = &config.services[0], *api = &config.services[1];
    assert_string_equal(art->token, "env:NOT_READ_HERE");
    assert_string_equal(art->token_where, "c.yaml:5");
    assert_true(art->is_exclusive);
    assert_int_equal(art->answer_ttl_ms, 250);
    assert_int_equal(art->rate_per_s, 20);
    assert_int_equal(art->allow_count, 0);
    assert_string_equal(api->name, "my_api");
    assert_string_equal(api->ca_file, "/ca.pem");
    assert_string_equal(api->unix_socket, "/run/api.sock");
    assert_int_equal(api->answer_ttl_ms, 0);
    config_fini(&config);
}

static void test_config__a_base_holds_no_query(void **fixture)
{
    (void)fixture;
    char *const environment[] = {NULL};
    assert_problems("services:\n"
                    "  a: {profile: comfyui, base: \"http://h?k=hush\"}\n"
                    "  b: {profile: comfyui, base: \"http://h/x#y\"}\n",
                    environment,
                    "c.yaml:2: services.a.base: no URL to ask; allowed: http://host[:port][/path], "
                    "https://…, without ? and #\n"
                    "c.yaml:3: services.b.base: no URL to ask; allowed: http://host[:port][/path], "
                    "https://…, without ? and #\n");
}

static void test_config__tells_all_that_is_wrong_with_a_service_but_no_secret(void **fixture)
{
    (void)fixture;
    char *const environment[] = {
        (char[]){"SALVOR_SERVICES_ART_COLOUR=red"},
        (char[]){"SALVOR_SERVICES_ART_TOKEN=hush"},
        NULL,
    };
    char long_path[200];
    char text[1024];
    memset(long_path, 'p', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    snprintf(text, sizeof(text),
             "services:\n"
             "  art:\n"
             "    profile: comfyui\n"
             "    base: http://ada:hush@h/\n"
             "    token: hush\n"
             "    exclusive: yes\n"
             "    answer_ttl_ms: -1\n"
             "    rate_per_s: 1000001\n"
             "    ca_file: \"\"\n"
             "    allow: [fine.example, \"?\", 10.0.0.0/33, 10.0.0.0/8]\n"
             "    unix_socket: %s\n"
             "  bare: {profile: comfyui, unix_socket: /s}\n",
             long_path);
    assert_problems(
        text, environment,
        "c.yaml:4: services.art.base: a URL with user or password; allowed: "
        "http://host[:port][/path], https://…, and the secret as services.art.token\n"
        "c.yaml:5: services.art.token: not the secret, but where it stands; allowed: env:NAME, "
        "file:/PATH\n"
        "c.yaml:6: services.art.exclusive: \"yes\"; allowed: true, false\n"
        "c.yaml:7: services.art.answer_ttl_ms: \"-1\"; allowed: a whole number from 0 to 3600000\n"
        "c.yaml:8: services.art.rate_per_s: \"1000001\"; allowed: a whole number from 0 to "
        "1000000\n"
        "c.yaml:9: services.art.ca_file: \"\"; allowed: the path of a file\n"
        "c.yaml:10: services.art.allow: \"?\" is no host; allowed: a name, an address, or a block "
        "such as 10.0.0.0/8, with :port behind it or not\n"
        "c.yaml:10: services.art.allow: \"10.0.0.0/33\": the block's size is a number from 0 to "
        "32\n"
        "c.yaml:11: services.art.unix_socket: allowed: a path of up to 107 bytes\n"
        "c.yaml:12: services.bare.unix_socket: needs base, whose host and path are what is asked "
        "for there\n"
        "SALVOR_SERVICES_ART_COLOUR: services: allowed: the service's name, _ and one of the keys "
        "profile, base, allow, token, ca_file, unix_socket, exclusive, answer_ttl_ms, rate_per_s\n"
        "SALVOR_SERVICES_ART_TOKEN: services.art.token: not the secret, but where it stands; "
        "allowed: env:NAME, file:/PATH\n");
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
        "capture: {rotate_bytes: 4095, keep_ms: a week}\n"
        "monitor: {listen: \"\"}\n",
        environment,
        "c.yaml:2: salvor.partitions: \"2\"; allowed: 1\n"
        "c.yaml:3: salvor.tick_mss: unknown key; allowed: partitions, prefix, data, tick_ms, "
        "lease_ms\n"
        "c.yaml:4: salvor.lease_ms: \"fast\"; allowed: a whole number from 100 to 600000\n"
        "c.yaml:5: salvor.prefix: \"a b\"; allowed: 1 to 64 letters, digits, '-', '_' and '.'\n"
        "c.yaml:6: sallvor: unknown section; allowed: salvor, redis, queue, policy, services, "
        "capture, audit, monitor\n"
        "c.yaml:7: queue: allowed: keys with values\n"
        "c.yaml:9: policy.preset: \"harsh\"; allowed: safe, seed\n"
        "c.yaml:10: policy.on_running: \"stop\"; allowed: wait, requeue, cancel\n"
        "c.yaml:11: policy.max_retries: \"-1\"; allowed: a whole number from 0 to 1000000\n"
        "c.yaml:12: policy.grace_ms: allowed: one value\n"
        "c.yaml:14: policy.services.api.job_timeout_ms: \"soon\"; allowed: a whole number from 0 "
        "to 31536000000000\n"
        "c.yaml:16: services.a b: not a name; allowed: 1 to 64 letters, digits, '-', '_' and "
        "'.'\n"
        "c.yaml:17: services.c.base: no URL to ask; allowed: http://host[:port][/path], https://…, "
        "without ? and #\n"
        "c.yaml:17: services.c.colour: unknown key; allowed: profile, base, allow, token, "
        "ca_file, unix_socket, exclusive, answer_ttl_ms, rate_per_s\n"
        "c.yaml:17: services.c.profile: is missing\n"
        "c.yaml:18: d: allowed: keys with values\n"
        "c.yaml:18: services.d.profile: is missing\n"
        "c.yaml:19: capture.rotate_bytes: \"4095\"; allowed: a whole number from 4096 to "
        "1099511627776\n"
        "c.yaml:19: capture.keep_ms: \"a week\"; allowed: a whole number from 0 to 31536000000000\n"
        "c.yaml:20: monitor.listen: \"\"; allowed: host:port\n"
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
        cmocka_unit_test(test_config__a_policy_of_one_service_holds_beside_its_preset),
        cmocka_unit_test(test_config__says_what_no_single_service_can_have),
        cmocka_unit_test(test_config__takes_all_of_a_service),
        cmocka_unit_test(test_config__a_base_holds_no_query),
        cmocka_unit_test(test_config__tells_all_that_is_wrong_with_a_service_but_no_secret),
        cmocka_unit_test(test_config__reads_secrets_from_environment_and_file),
        cmocka_unit_test(test_config__names_all_problems_at_once),
        cmocka_unit_test(test_config__names_files_that_are_no_configuration),
        cmocka_unit_test(test_config__holds_a_lease_against_the_ticks),
        cmocka_unit_test(test_config__knows_every_policy_key),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
