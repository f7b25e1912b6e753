/* SPDX-License-Identifier: MIT
 * The policy of one service: its own keys, its facts, and the roll-outs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reducers/policy.h"

static bool parses(const char *text, struct policy *policy)
{
    struct span bad;
    return policy_parse_text(span_of(text), policy, &bad);
}

static void test_policy_services__a_services_own_key_is_told_first(void **fixture)
{
    (void)fixture;
    struct policy policy;
    policy_preset(PRESET_SAFE, &policy);
    assert_true(policy_set_service(&policy, SPAN("api"), POLICY_GRACE_MS, 7));
    assert_int_equal(policy_value(&policy, SPAN("api"), POLICY_GRACE_MS), 7);
    assert_int_equal(policy_value(&policy, SPAN("api"), POLICY_ASK_LIMIT), 3);
    assert_int_equal(policy_value(&policy, SPAN("other"), POLICY_GRACE_MS), 5000);
    assert_int_equal(policy_value(&policy, SPAN_NONE, POLICY_GRACE_MS), 5000);
    assert_true(policy_applies(&policy));
    policy.value[POLICY_EFFECTS] = EFFECTS_OBSERVE;
    assert_false(policy_applies(&policy));
    assert_true(policy_set_service(&policy, SPAN("z"), POLICY_EFFECTS, EFFECTS_APPLY));
    assert_true(policy_applies(&policy));
}

static void test_policy_services__the_fleets_keys_are_nobodys_own(void **fixture)
{
    (void)fixture;
    struct policy policy;
    policy_preset(PRESET_SAFE, &policy);
    assert_false(policy_set_service(&policy, SPAN("api"), POLICY_WORKER_SILENT_MS, 7));
    assert_false(parses("service.api.hold_pace=7\n", &policy));
    assert_false(policy_set_service(&policy, SPAN_NONE, POLICY_GRACE_MS, 7));
}

static void test_policy_services__the_text_reads_back(void **fixture)
{
    (void)fixture;
    struct policy policy, again;
    struct buffer text = {0}, text_again = {0};
    struct span bad;
    policy_preset(PRESET_SEED, &policy);
    struct policy_facts facts = {.is_volatile = true, .retention_ms = 60000};
    assert_true(policy_set_facts(&policy, SPAN("a.b"), facts));
    assert_true(policy_set_service(&policy, SPAN("a.b"), POLICY_QUEUE_FAILURES, 1));
    assert_true(policy_set_service(&policy, SPAN("a.b"), POLICY_ON_RUNNING, ON_RUNNING_CANCEL));
    assert_true(policy_set_service(&policy, SPAN("z"), POLICY_EFFECTS, EFFECTS_OBSERVE));
    policy_put_text(&text, &policy);
    assert_non_null(strstr(text.data, "service.a.b.on_running=cancel\n"));
    assert_non_null(strstr(text.data, "service.a.b.queue.failures=salvor\n"));
    assert_non_null(strstr(text.data, "service.a.b.retention_ms=60000\nservice.a.b.volatile=true\n"
                                      "service.z.effects=observe\n"));
    assert_true(policy_parse_text(buffer_span(&text), &again, &bad));
    policy_put_text(&text_again, &again);
    assert_true(span_equal(buffer_span(&text), buffer_span(&text_again)));
    assert_true(policy_facts(&again, SPAN("a.b")).is_volatile);
    assert_int_equal(policy_facts(&again, SPAN("a.b")).retention_ms, 60000);
    assert_int_equal(policy_value(&again, SPAN("z"), POLICY_EFFECTS), EFFECTS_OBSERVE);
    buffer_fini(&text);
    buffer_fini(&text_again);
}

static void test_policy_services__bad_lines_are_refused(void **fixture)
{
    (void)fixture;
    static const char *const texts[] = {
        "service.api.no_such_key=1",
        "service.api.on_running=maybe",
        "service.api=1",
        "service..grace_ms=1",
        "service.grace_ms=1",
        "service.api.volatile=perhaps",
        "service.api.volatile=true\nservice.api.volatile=true",
        "service.api.retention_ms=0",
        "service.api.retention_ms=soon",
        "service.api.retention_ms=1\nservice.api.retention_ms=2",
        "service.api.grace_ms=1\nservice.api.grace_ms=1",
    };
    struct policy policy;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (parses(texts[i], &policy)) {
            fail_msg("%s", texts[i]);
        }
    }
}

static void test_policy_services__a_line_for_one_service_too_many_is_refused(void **fixture)
{
    (void)fixture;
    struct policy policy;
    struct buffer text = {0};
    struct span bad;
    for (unsigned i = 0; i <= POLICY_SERVICES_MAX; i++) {
        char line[64];
        snprintf(line, sizeof line, "service.s%u.%s\n", i,
                 i % 3 == 0   ? "grace_ms=1"
                 : i % 3 == 1 ? "volatile=true"
                              : "retention_ms=1");
        bool is_last = i == POLICY_SERVICES_MAX;
        buffer_put_text(&text, line);
        assert_int_equal(policy_parse_text(buffer_span(&text), &policy, &bad), !is_last);
    }
    static const char *const others[] = {"service.t.volatile=true\n", "service.t.retention_ms=1\n"};
    for (size_t i = 0; i < 2; i++) {
        struct buffer more = {0};
        buffer_put_span(
            &more, (struct span){text.data, text.size - strlen("service.s64.volatile=true\n")});
        assert_true(policy_parse_text(buffer_span(&more), &policy, &bad));
        buffer_put_text(&more, others[i]);
        assert_false(policy_parse_text(buffer_span(&more), &policy, &bad));
        buffer_fini(&more);
    }
    buffer_fini(&text);
}

static void test_policy_services__whoever_is_rolled_out_stays_so(void **fixture)
{
    (void)fixture;
    unsigned included = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char job[16];
        snprintf(job, sizeof job, "j%u", i);
        bool was = false;
        for (uint64_t percent = 0; percent <= 100; percent += 10) {
            bool is = policy_is_rolled_out(percent, span_of(job));
            assert_true(is || !was);
            was = is;
        }
        assert_true(was);
        assert_false(policy_is_rolled_out(0, span_of(job)));
        included += policy_is_rolled_out(30, span_of(job)) ? 1 : 0;
    }
    assert_in_range(included, 250, 350);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_services__a_services_own_key_is_told_first),
        cmocka_unit_test(test_policy_services__the_fleets_keys_are_nobodys_own),
        cmocka_unit_test(test_policy_services__the_text_reads_back),
        cmocka_unit_test(test_policy_services__bad_lines_are_refused),
        cmocka_unit_test(test_policy_services__a_line_for_one_service_too_many_is_refused),
        cmocka_unit_test(test_policy_services__whoever_is_rolled_out_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
