/* SPDX-License-Identifier: MIT
 * The policy's text and back, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reducers/policy.h"

static void assert_same(const struct policy *a, const struct policy *b)
{
    assert_memory_equal(a->value, b->value, sizeof a->value);
    assert_int_equal(a->service_count, b->service_count);
}

static void test_policy__the_text_of_a_preset_reads_back(void **fixture)
{
    (void)fixture;
    for (enum policy_preset preset = PRESET_SAFE; preset <= PRESET_SEED; preset++) {
        struct policy policy, again;
        struct buffer text = {0}, text_again = {0};
        struct span bad;
        policy_preset(preset, &policy);
        assert_true(
            policy_set_facts(&policy, SPAN("comfyui"), (struct policy_facts){.is_volatile = true}));
        assert_true(
            policy_set_facts(&policy, SPAN("api"), (struct policy_facts){.is_volatile = false}));
        policy_put_text(&text, &policy);
        assert_true(policy_parse_text(buffer_span(&text), &again, &bad));
        assert_same(&policy, &again);
        assert_true(policy_facts(&again, SPAN("comfyui")).is_volatile);
        assert_false(policy_facts(&again, SPAN("api")).is_volatile);
        assert_false(policy_facts(&again, SPAN("nobody")).is_volatile);
        policy_put_text(&text_again, &again);
        assert_true(span_equal(buffer_span(&text), buffer_span(&text_again)));
        buffer_fini(&text_again);
        buffer_fini(&text);
    }
}

static void test_policy__lines_are_sorted_whatever_the_order_of_the_services(void **fixture)
{
    (void)fixture;
    struct policy policy;
    struct buffer text = {0};
    policy_preset(PRESET_SAFE, &policy);
    policy_set_facts(&policy, SPAN("z"), (struct policy_facts){.is_volatile = true});
    policy_set_facts(&policy, SPAN("a"), (struct policy_facts){.is_volatile = true});
    policy_put_text(&text, &policy);
    struct span rest = buffer_span(&text);
    struct span before = SPAN_NONE;
    unsigned count = 0;
    for (; rest.size > 0; count++) {
        struct span line = span_cut(&rest, '\n');
        assert_true(span_compare(before, line) < 0);
        before = line;
    }
    assert_int_equal(count, POLICY_KEY_COUNT + 2);
    assert_int_equal(text.data[text.size - 1], '\n');
    buffer_fini(&text);
}

static void test_policy__a_missing_key_has_its_value_of_safe(void **fixture)
{
    (void)fixture;
    struct policy safe, policy;
    struct span bad;
    policy_preset(PRESET_SAFE, &safe);
    assert_true(policy_parse_text(SPAN_NONE, &policy, &bad));
    assert_same(&safe, &policy);
    assert_true(policy_parse_text(SPAN("on_running=requeue"), &policy, &bad));
    assert_int_equal(policy.value[POLICY_ON_RUNNING], ON_RUNNING_REQUEUE);
}

static void test_policy__a_bad_line_is_named(void **fixture)
{
    (void)fixture;
    static const char *const lines[] = {
        "no_such_key=1",
        "effects=perhaps",
        "effects=",
        "effects",
        "",
        "max_retries=-1",
        "max_retries=01",
        "max_retries=1.0",
        "max_retries=1000001",
        "worker_silent_ms=31536000000001",
        "grace_ms=5000", /* stands there before */
        "service.x.volatile=perhaps",
        "service.x.volatile=",
        "service..volatile=true",
        "service.known.volatile=false", /* stands there before */
        "service.x.forgetful=true",
        "servant.x.volatile=true",
        "service.volatile=true",
        "service.x.max_retries=many",
        "service.x.hold_pace=1", /* of the fleet */
        "service.x.preset=safe",
        "service.x.retention_ms=0",
        "service.x.retention_ms=",
        "service.max_retries=1",
        "service.known.ask_limit=2", /* stands there before */
        "service.known.retention_ms=2",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct policy policy;
        struct span bad = SPAN_NONE;
        char text[256];
        snprintf(text, sizeof text,
                 "grace_ms=1\nservice.known.volatile=true\nservice.known.ask_limit=1\n"
                 "service.known.retention_ms=1\n%s\nremember=1",
                 lines[i]);
        assert_false(policy_parse_text(span_of(text), &policy, &bad));
        assert_true(span_is(bad, lines[i]));
    }
}

static void test_policy__only_keys_of_jobs_can_be_a_services_own(void **fixture)
{
    (void)fixture;
    unsigned of_jobs = 0;
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        const struct policy_key_rule *rule = policy_key_rule(key);
        struct policy policy;
        policy_preset(PRESET_SAFE, &policy);
        bool is_of_jobs = rule->scope == POLICY_SCOPE_JOB;
        assert_true(is_of_jobs || rule->scope == POLICY_SCOPE_FLEET);
        assert_int_equal(policy_set_service(&policy, SPAN("api"), key, rule->seed), is_of_jobs);
        assert_int_equal(policy.service_count, is_of_jobs);
        of_jobs += is_of_jobs;
    }
    assert_true(of_jobs > 0 && of_jobs < POLICY_KEY_COUNT);
}

static void test_policy__a_service_has_a_name_of_bounded_size(void **fixture)
{
    (void)fixture;
    struct policy policy;
    struct span bad;
    char name[ID_SIZE_MAX + 1];
    memset(name, 'n', sizeof name);
    policy_preset(PRESET_SAFE, &policy);
    assert_false(policy_set_facts(&policy, SPAN_NONE, (struct policy_facts){.is_volatile = true}));
    assert_false(policy_set_facts(&policy, (struct span){name, ID_SIZE_MAX + 1},
                                  (struct policy_facts){.is_volatile = true}));
    assert_true(policy_set_facts(&policy, (struct span){name, ID_SIZE_MAX},
                                 (struct policy_facts){.is_volatile = true}));
    assert_true(policy_facts(&policy, (struct span){name, ID_SIZE_MAX}).is_volatile);
    struct buffer text = {0};
    policy_put_text(&text, &policy);
    assert_true(policy_parse_text(buffer_span(&text), &policy, &bad));
    buffer_reset(&text);
    buffer_put_text(&text, "service.");
    buffer_put(&text, name, sizeof name);
    buffer_put_text(&text, ".volatile=true");
    assert_false(policy_parse_text(buffer_span(&text), &policy, &bad));
    buffer_fini(&text);
}

static void test_policy__there_is_room_for_so_many_services(void **fixture)
{
    (void)fixture;
    struct policy policy;
    char name[16];
    policy_preset(PRESET_SAFE, &policy);
    for (unsigned i = 0; i < POLICY_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        assert_true(
            policy_set_facts(&policy, span_of(name), (struct policy_facts){.is_volatile = false}));
    }
    assert_false(
        policy_set_facts(&policy, SPAN("one more"), (struct policy_facts){.is_volatile = true}));
    assert_true(policy_set_facts(&policy, SPAN("s7"), (struct policy_facts){.is_volatile = true}));
    assert_true(policy_facts(&policy, SPAN("s7")).is_volatile);
    struct buffer text = {0};
    policy_put_text(&text, &policy);
    assert_true(text.size <= POLICY_SIZE_MAX);
    buffer_fini(&text);
}

static void test_policy__each_key_takes_its_words_or_its_numbers(void **fixture)
{
    (void)fixture;
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        const struct policy_key_rule *rule = policy_key_rule(key);
        struct buffer text = {0};
        uint64_t number = 0;
        assert_int_equal(policy_key_named(span_of(rule->key)), key);
        policy_value_put(&text, key, rule->seed);
        assert_true(policy_value_parse(key, buffer_span(&text), &number));
        assert_int_equal(number, rule->seed);
        assert_false(policy_value_parse(key, SPAN("nonsense"), &number));
        assert_true(rule->words == NULL || !policy_value_parse(key, SPAN("1"), &number));
        buffer_fini(&text);
    }
    assert_int_equal(policy_key_named(SPAN("nonsense")), POLICY_KEY_COUNT);
}

static void test_policy__the_presets_are_those_of_the_design(void **fixture)
{
    (void)fixture;
    static const struct {
        enum policy_key key;
        uint64_t safe, seed;
    } expected[] = {
        {POLICY_EFFECTS, EFFECTS_APPLY, EFFECTS_APPLY},
        {POLICY_WORKER_SILENT_MS, 60000, 60000},
        {POLICY_MISSED_HEARTBEATS, 3, 3},
        {POLICY_MAX_RETRIES, 3, 3},
        {POLICY_JOB_TIMEOUT_MS, 1800000, 1800000},
        {POLICY_BACKOFF_MS, 1000, 0},
        {POLICY_ON_RUNNING, ON_RUNNING_WAIT, ON_RUNNING_REQUEUE},
        {POLICY_ON_NOT_FOUND, REQUEUE_OR_PARK_REQUEUE, REQUEUE_OR_PARK_REQUEUE},
        {POLICY_ON_FORGOTTEN, REQUEUE_OR_PARK_PARK, REQUEUE_OR_PARK_REQUEUE},
        {POLICY_ON_UNREACHABLE, REQUEUE_OR_PARK_REQUEUE, REQUEUE_OR_PARK_REQUEUE},
        {POLICY_ASK_LIMIT, 3, 1},
        {POLICY_ASK_BACKOFF_MS, 2000, 0},
        {POLICY_ON_TIMEOUT, ON_TIMEOUT_TIME_OUT, ON_TIMEOUT_TIME_OUT},
        {POLICY_GRACE_MS, 5000, 0},
        {POLICY_POISON_AFTER, 3, 0},
        {POLICY_CLAIM_TIMEOUT_MS, 300000, 0},
        {POLICY_BACKOFF_MAX_MS, 60000, 60000},
        {POLICY_ASK_WAIT_MS, 60000, 60000},
        {POLICY_MASS_LOSS_PERCENT, 50, 0},
        {POLICY_MASS_LOSS_MIN, 5, 5},
        {POLICY_HOLD_MAX_MS, 120000, 120000},
        {POLICY_HOLD_PACE, 100, 100},
        {POLICY_SERVICE_CHECK_PERCENT, 100, 100},
        {POLICY_TIMEOUTS_PERCENT, 100, 100},
        {POLICY_REQUEUE_PERCENT, 100, 100},
        {POLICY_QUEUE_FAILURES, QUEUE_FAILURES_QUEUE, QUEUE_FAILURES_QUEUE},
        {POLICY_REMEMBER, 100000, 100000},
    };
    assert_int_equal(sizeof expected / sizeof expected[0], POLICY_KEY_COUNT);
    struct policy safe, seed;
    policy_preset(PRESET_SAFE, &safe);
    policy_preset(PRESET_SEED, &seed);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(safe.value[expected[i].key], expected[i].safe);
        assert_int_equal(seed.value[expected[i].key], expected[i].seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy__the_text_of_a_preset_reads_back),
        cmocka_unit_test(test_policy__lines_are_sorted_whatever_the_order_of_the_services),
        cmocka_unit_test(test_policy__a_missing_key_has_its_value_of_safe),
        cmocka_unit_test(test_policy__a_bad_line_is_named),
        cmocka_unit_test(test_policy__only_keys_of_jobs_can_be_a_services_own),
        cmocka_unit_test(test_policy__a_service_has_a_name_of_bounded_size),
        cmocka_unit_test(test_policy__there_is_room_for_so_many_services),
        cmocka_unit_test(test_policy__each_key_takes_its_words_or_its_numbers),
        cmocka_unit_test(test_policy__the_presets_are_those_of_the_design),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
