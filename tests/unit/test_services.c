/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/services.h"
#include "tests/lib/folder.h"

static char *const empty_environment[] = {NULL};

static int enter(void **fixture)
{
    *fixture = folder_make();
    return 0;
}

static int leave(void **fixture)
{
    folder_remove(*fixture);
    return 0;
}

static const char own_profile[] = "profile: mine\n"
                                  "volatile: true\n"
                                  "status:\n"
                                  "  - request: GET /jobs/{id}\n"
                                  "    rules:\n"
                                  "      - 404 => not_found\n";

/* Loads the configuration with "@" standing for the path of the file `profile` in the folder. */
static void load(struct config *config, const char *folder, const char *text, const char *profile)
{
    char path[256], whole[1024];
    snprintf(path, sizeof(path), "%s", folder_path(folder, "own.yaml"));
    if (profile != NULL) {
        file_store(path, span_of(profile));
    }
    const char *at = strchr(text, '@');
    int before = at == NULL ? (int)strlen(text) : (int)(at - text);
    snprintf(whole, sizeof(whole), "%.*s%s%s", before, text, at == NULL ? "" : path,
             at == NULL ? "" : at + 1);
    const char *file = folder_path(folder, "c.yaml");
    file_store(file, span_of(whole));
    assert_true(config_load(config, file, empty_environment));
}

static void test_services__facts_of_the_profiles_come_into_the_policy(void **fixture)
{
    struct config config;
    struct connectors *connectors;
    load(&config, *fixture,
         "services:\n  art: {profile: comfyui, base: \"http://127.0.0.1:1\"}\n"
         "  own: {profile: \"@\", allow: [10.0.0.0/8]}\n",
         own_profile);
    assert_true(services_open(&config, &connectors));
    assert_non_null(connectors);
    assert_string_equal(config.services[1].profile, "mine");
    assert_true(policy_facts(&config.policy, SPAN("art")).is_volatile);
    assert_true(policy_facts(&config.policy, SPAN("own")).is_volatile);
    assert_false(policy_facts(&config.policy, SPAN("other")).is_volatile);
    assert_int_equal(config.policy.service_count, 2);
    connectors_destroy(connectors);
    config_fini(&config);
}

/* Every service that is wrong has its line. */
static void assert_refused(const char *folder, const char *text, const char *profile,
                           const char *const *parts)
{
    struct config config;
    struct connectors *connectors;
    load(&config, folder, text, profile);
    assert_false(services_open(&config, &connectors));
    assert_null(connectors);
    buffer_put_byte(&config.problems, '\0');
    const char *rest = config.problems.data;
    for (; *parts != NULL; parts++) {
        rest = strstr(rest, *parts);
        if (rest == NULL) {
            fail_msg("\"%s\" is not among: %s", *parts, config.problems.data);
            return;
        }
    }
    config_fini(&config);
}

static void test_services__each_problem_has_file_and_line(void **fixture)
{
    assert_refused(*fixture,
                   "services:\n"
                   "  a: {profile: nobody}\n"
                   "  b:\n"
                   "    profile: comfyui\n"
                   "    token: env:NOT_SET\n"
                   "    ca_file: /nowhere/ca.pem\n"
                   "  c: {profile: /nowhere/p.yaml, token: \"file:/nowhere/token\"}\n"
                   "  d: {profile: replicate, base: \"https://api.replicate.com/v1\"}\n",
                   NULL,
                   (const char *const[]){
                       "c.yaml:2: services.a: ",
                       "c.yaml:5: services.b.token: env:NOT_SET: not set, or nothing in it\n",
                       "c.yaml:6: services.b.ca_file: \"/nowhere/ca.pem\": No such file or "
                       "directory; allowed: a file of certificates (PEM)\n",
                       "c.yaml:7: services.c.token: file:/nowhere/token: No such file",
                       "c.yaml:7: services.c.profile: /nowhere/p.yaml: No such",
                       "c.yaml:8: services.d.token: is missing, and its profile sends one; ",
                       NULL,
                   });
    assert_refused(
        *fixture, "services:\n  own: {profile: \"@\"}\n",
        "profile: mine\nvolatile: so\ncolour: red\n",
        (const char *const[]){"c.yaml:2: services.own.profile: ", "own.yaml: line 3: ", "\n",
                              "c.yaml:2: services.own.profile: ", "own.yaml: line 2: ", NULL});
}

static void test_services__a_profile_is_the_one_that_its_file_gave(void **fixture)
{
    struct config config;
    struct connectors *connectors;
    static const char text[] = "services:\n  a: {profile: \"%s\"}\n  b: {profile: \"%s\"}\n"
                               "  c: {profile: mine}\n";
    char path[256], whole[1024];
    snprintf(path, sizeof(path), "%s", folder_path(*fixture, "own.yaml"));
    snprintf(whole, sizeof(whole), text, path, path);
    load(&config, *fixture, whole, own_profile);
    assert_true(services_open(&config, &connectors));
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(config.services[i].profile, "mine");
    }
    connectors_destroy(connectors);
    config_fini(&config);
    assert_refused(*fixture,
                   "services:\n  a: {profile: rest_token}\n  b: {profile: \"@\"}\n"
                   "  c: {profile: rest_token}\n",
                   "profile: rest_token\nvolatile: false\nstatus:\n"
                   "- {request: 'GET /mine/{id}', rules: [404 => not_found]}\n",
                   (const char *const[]){"c.yaml:3: services.b.profile: ",
                                         "own.yaml: there is a profile \"rest_token\" already; "
                                         "allowed: a name of its own\n",
                                         NULL});
}

static void test_services__a_token_must_be_there_where_it_is_used(void **fixture)
{
    struct config config;
    struct connectors *connectors;
    const char *text = "services:\n  a: {profile: comfyui, token: \"env:SALVOR_TEST_TOKEN\"}\n";
    static const struct {
        const char *secret, *cause;
    } cases[] = {
        {"", "not set, or nothing in it"},
        {"a\nb", "a control character, or more than 4096 bytes"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[256];
        assert_int_equal(setenv("SALVOR_TEST_TOKEN", cases[i].secret, 1), 0);
        load(&config, *fixture, text, NULL);
        assert_false(services_open(&config, &connectors));
        buffer_put_byte(&config.problems, '\0');
        snprintf(line, sizeof(line), "c.yaml:2: services.a.token: env:SALVOR_TEST_TOKEN: %s\n",
                 cases[i].cause);
        assert_non_null(strstr(config.problems.data, line));
        config_fini(&config);
    }
    assert_int_equal(setenv("SALVOR_TEST_TOKEN", "hush", 1), 0);
    load(&config, *fixture, text, NULL);
    assert_true(services_open(&config, &connectors));
    connectors_destroy(connectors);
    config_fini(&config);
    assert_int_equal(unsetenv("SALVOR_TEST_TOKEN"), 0);
    /* Who only wants the facts needs no secret. */
    load(&config, *fixture, text, NULL);
    assert_true(services_load_facts(&config));
    assert_true(policy_facts(&config.policy, SPAN("a")).is_volatile);
    config_fini(&config);
}

static void test_services__a_policy_must_fit_an_event(void **fixture)
{
    struct buffer text = {0};
    buffer_put_text(&text, "policy:\n  services:\n");
    for (unsigned i = 0; i < POLICY_SERVICES_MAX; i++) {
        char line[512];
        snprintf(line, sizeof(line),
                 "    a-service-with-a-rather-long-name-as-somebody-may-give-it-%u: "
                 "{job_timeout_ms: 100000000, claim_timeout_ms: 100000000, backoff_ms: 100000000, "
                 "backoff_max_ms: 100000000, ask_backoff_ms: 100000000, grace_ms: 100000000}\n",
                 i);
        buffer_put_text(&text, line);
    }
    const char *file = folder_path(*fixture, "c.yaml");
    file_store(file, buffer_span(&text));
    struct config config;
    struct connectors *connectors;
    assert_true(config_load(&config, file, empty_environment));
    assert_false(services_open(&config, &connectors));
    buffer_put_byte(&config.problems, '\0');
    assert_non_null(strstr(config.problems.data, "allowed: 32768: fewer keys of single services"));
    config_fini(&config);
    buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_services__facts_of_the_profiles_come_into_the_policy,
                                        enter, leave),
        cmocka_unit_test_setup_teardown(test_services__each_problem_has_file_and_line, enter,
                                        leave),
        cmocka_unit_test_setup_teardown(test_services__a_profile_is_the_one_that_its_file_gave,
                                        enter, leave),
        cmocka_unit_test_setup_teardown(test_services__a_token_must_be_there_where_it_is_used,
                                        enter, leave),
        cmocka_unit_test_setup_teardown(test_services__a_policy_must_fit_an_event, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
