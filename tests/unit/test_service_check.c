/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/lib/asker.h"
#include "tests/lib/hostile_service.h"
#include "tests/lib/scripted_service.h"

#define FORMS                                                                              \
    "profile: one\nvolatile: false\nvariants:\n"                                           \
    "- name: new\n  probe: {request: 'GET /new', rules: ['200 => ok', '404 => absent']}\n" \
    "  status:\n  - {request: 'GET /new/{id}', rules: ['200 => running']}\n"               \
    "- name: old\n"                                                                        \
    "  status:\n  - {request: 'GET /old/{id}', rules: ['404 => not_found']}\n"
#define HEALTH \
    "health: {request: 'GET /health', rules: ['200 & /up = true => ok', '404 => absent']}\n"

static struct service_check checked(struct connectors **connectors, const char *yaml,
                                    const char *base)
{
    const struct connectors_config limits = ASKER_LIMITS(QUESTION_MS);
    struct service_config config = {.name = "mine", .profile = "one", .base = base};
    struct service_check check;
    struct error error = {0};
    connectors_destroy(*connectors);
    *connectors = connectors_create(&limits);
    if (!connectors_add_profile(*connectors, "one.yaml", span_of(yaml), NULL, &error) ||
        !connectors_add_service(*connectors, &config, &error)) {
        fail_msg("%s", error.message);
    }
    assert_false(connectors_check(*connectors, "nobody", &check));
    assert_true(connectors_check(*connectors, "mine", &check));
    return check;
}

static void test_service_check__a_service_is_looked_at_before_the_start(void **fixture)
{
    (void)fixture;
    struct connectors *connectors = NULL;
    struct scripted_service *service = scripted_service_start();
    const char *base = scripted_service_url(service);
    scripted_service_on(service, "GET /health", 200, NULL, "{\"up\":true}");
    scripted_service_on(service, "GET /jobs/", 404, NULL, "{\"error\":1}");
    struct service_check check = checked(&connectors, ASKER_PROFILE HEALTH, base);
    assert_true(check.is_reachable);
    assert_true(span_is(check.endpoint, base));
    assert_true(span_is(check.word, ""));
    assert_int_equal(check.http, 200);
    assert_int_equal(check.stranger, ANSWER_NOT_FOUND);
    assert_int_equal(check.variant.size, 0);
    assert_int_equal(
        scripted_service_count(service, "GET /jobs/00000000-0000-4000-8000-00000000dead"), 1);
    scripted_service_on(service, "GET /health", 200, NULL, "{\"up\":false}");
    check = checked(&connectors, ASKER_PROFILE HEALTH, base);
    assert_true(check.is_reachable);
    assert_true(span_is(check.word, "unmapped"));
    /* Without a health request the status tells; one that believes anything is found out. */
    scripted_service_on(service, "GET /jobs/", 200, NULL, "{\"state\":\"done\"}");
    check = checked(&connectors, ASKER_PROFILE, base);
    assert_true(check.is_reachable);
    assert_int_equal(check.stranger, ANSWER_COMPLETED);
    scripted_service_on(service, "GET /", 401, NULL, "{}");
    check = checked(&connectors, ASKER_PROFILE HEALTH, base);
    assert_true(check.is_reachable);
    assert_int_equal(check.http, 401);
    assert_true(span_is(check.word, "auth"));
    assert_int_equal(check.stranger, ANSWER_INCONCLUSIVE);
    scripted_service_on(service, "GET /", 404, NULL, "{}");
    scripted_service_on(service, "GET /old", 200, NULL, "{}");
    check = checked(&connectors, FORMS, base);
    assert_true(span_is(check.variant, "old"));
    connectors_destroy(connectors);
    scripted_service_stop(service);
}

static void test_service_check__a_number_is_tried_where_ids_are_numbers(void **fixture)
{
    (void)fixture;
    struct connectors *connectors = NULL;
    struct scripted_service *service = scripted_service_start();
    scripted_service_on(service, "POST /job", 200, NULL, "{\"error\":\"job not found\"}");
    struct service_check check =
        checked(&connectors,
                "profile: one\nvolatile: false\nstatus:\n- {request: 'POST /job', body: "
                "'{\"jobid\":{id}}', rules: ['200 & /error exists => not_found']}\n",
                scripted_service_url(service));
    assert_int_equal(check.stranger, ANSWER_NOT_FOUND);
    assert_true(scripted_service_heard(service, "{\"jobid\":4294967295}"));
    connectors_destroy(connectors);
    scripted_service_stop(service);
}

static void test_service_check__nobody_there_is_told_in_time(void **fixture)
{
    (void)fixture;
    struct connectors *connectors = NULL;
    struct hostile_service *service = hostile_service_start(HOSTILE_SILENT, NULL);
    uint64_t started_ms = clock_boot_ms();
    struct service_check check =
        checked(&connectors, ASKER_PROFILE HEALTH, hostile_service_url(service));
    assert_true(clock_boot_ms() - started_ms <= 2 * QUESTION_MS + SLACK_MS);
    assert_false(check.is_reachable);
    assert_int_equal(check.http, 0);
    assert_true(span_is(check.word, "timeout"));
    assert_int_equal(check.stranger, ANSWER_UNREACHABLE);
    check = checked(&connectors, ASKER_PROFILE, NULL);
    assert_int_equal(check.endpoint.size, 0);
    assert_int_equal(check.stranger, ANSWER_NONE);
    assert_false(check.is_reachable);
    connectors_destroy(connectors);
    hostile_service_stop(service);
}

static void test_service_check__where_only_jobs_tell_the_place_nothing_is_sent(void **fixture)
{
    (void)fixture;
    static const char polled[] =
        "profile: one\nvolatile: false\nstatus:\n"
        "- {request: 'GET {status_url}', rules: ['404 => not_found']}\n" HEALTH;
    struct connectors *connectors = NULL;
    struct scripted_service *service = scripted_service_start();
    scripted_service_on(service, "GET /health", 200, NULL, "{\"up\":true}");
    char without_health[sizeof(polled)];
    snprintf(without_health, sizeof(without_health), "%.*s", (int)(sizeof(polled) - sizeof(HEALTH)),
             polled);
    struct service_check check =
        checked(&connectors, without_health, scripted_service_url(service));
    assert_int_equal(scripted_service_count(service, "GET /"), 0);
    assert_false(check.is_reachable);
    assert_int_equal(check.stranger, ANSWER_NONE);
    assert_int_equal(check.word.size, 0);
    check = checked(&connectors, polled, scripted_service_url(service));
    assert_int_equal(scripted_service_count(service, "GET /health"), 1);
    assert_true(check.is_reachable);
    assert_int_equal(check.stranger, ANSWER_NONE);
    assert_int_equal(check.word.size, 0);
    connectors_destroy(connectors);
    scripted_service_stop(service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service_check__a_service_is_looked_at_before_the_start),
        cmocka_unit_test(test_service_check__a_number_is_tried_where_ids_are_numbers),
        cmocka_unit_test(test_service_check__nobody_there_is_told_in_time),
        cmocka_unit_test(test_service_check__where_only_jobs_tell_the_place_nothing_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
