/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/policy_text.h"

static void test_policy_text__is_sorted_and_hashed(void **fixture)
{
    (void)fixture;
    struct policy policy;
    policy_preset(PRESET_SAFE, &policy);
    assert_true(
        policy_set_facts(&policy, SPAN("comfyui"), (struct policy_facts){.is_volatile = true}));
    struct policy_text made = policy_text_make(&policy);
    struct span rest = buffer_span(&made.text);
    struct span before = SPAN_NONE;
    uint32_t lines = 0;
    bool has_service = false;
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        assert_true(span_compare(before, line) < 0);
        has_service |= span_is(line, "service.comfyui.volatile=true");
        before = line;
        lines++;
    }
    assert_true(has_service);
    assert_int_equal(lines, POLICY_KEY_COUNT + 1);
    struct sha256 digest = sha256_of(buffer_span(&made.text));
    struct sha256_text hash = sha256_text(&digest);
    assert_string_equal(made.hash.text, hash.text);
    policy_text_fini(&made);
}

static void test_policy_text__reads_what_it_wrote_in_any_order(void **fixture)
{
    (void)fixture;
    struct policy policy;
    policy_preset(PRESET_SEED, &policy);
    struct policy_text made = policy_text_make(&policy);
    /* The lines backwards. */
    struct buffer backwards = {0};
    struct span text = buffer_span(&made.text);
    size_t end = text.size;
    while (end > 0) {
        size_t start = end - 1;
        while (start > 0 && text.data[start - 1] != '\n') {
            start--;
        }
        buffer_put(&backwards, text.data + start, end - start);
        end = start;
    }
    struct policy read;
    struct buffer problems = {0};
    uint64_t unnamed;
    assert_true(policy_text_read(buffer_span(&backwards), "p.txt", &read, &unnamed, &problems));
    assert_int_equal(unnamed, 0);
    assert_int_equal(problems.size, 0);
    struct policy_text again = policy_text_make(&read);
    assert_string_equal(again.hash.text, made.hash.text);
    assert_true(span_equal(buffer_span(&again.text), text));
    policy_text_fini(&again);

    policy_text_fini(&made);
    buffer_fini(&backwards);
}

static void test_policy_text__tells_which_keys_are_not_named(void **fixture)
{
    (void)fixture;
    struct policy read;
    struct buffer problems = {0};
    uint64_t unnamed;
    assert_true(policy_text_read(SPAN("hold_pace=7\nservice.api.max_retries=1\non_running=cancel"),
                                 "p.txt", &read, &unnamed, &problems));
    uint64_t all = (UINT64_C(1) << POLICY_KEY_COUNT) - 1;
    assert_int_equal(unnamed, all & ~(UINT64_C(1) << POLICY_HOLD_PACE) &
                                  ~(UINT64_C(1) << POLICY_ON_RUNNING));
}

static void test_policy_text__passes_over_lines_that_say_nothing(void **fixture)
{
    (void)fixture;
    struct policy policy, read;
    struct buffer problems = {0}, text = {0};
    uint64_t unnamed;
    policy_preset(PRESET_SEED, &policy);
    struct policy_text made = policy_text_make(&policy);
    buffer_put_text(&text, "\n# grace_ms=7\n \t\r\n");
    buffer_put_span(&text, buffer_span(&made.text));
    buffer_put_text(&text, "\n");
    assert_true(policy_text_read(buffer_span(&text), "p", &read, &unnamed, &problems));
    assert_int_equal(unnamed, 0);
    struct policy_text again = policy_text_make(&read);
    assert_string_equal(again.hash.text, made.hash.text);
    policy_text_fini(&again);
    policy_text_fini(&made);
    buffer_fini(&text);
}

static void test_policy_text__names_every_bad_line(void **fixture)
{
    (void)fixture;
    static const char text[] = "effects=maybe\n"
                               "max_retries=many\n"
                               "grace_ms=1\n"
                               "\n"
                               "remember\n"
                               "grace_ms=2\n"
                               "service.a.on_running=stop\n"
                               "service.a.hold_pace=5\n"
                               "service.a.volatile=so\n"
                               "service.a.retention_ms=0\n"
                               "service..backoff_ms=1\n"
                               "service.a.queue.failures=salvor\n"
                               "service.a.queue.failures=queue\n"
                               "hold_pace=\x01x\n";
    static const char expected[] =
        "p: line 1: effects: \"maybe\"; allowed: observe, apply\n"
        "p: line 2: max_retries: \"many\"; allowed: a whole number from 0 to 1000000\n"
        "p: line 5: \"remember\"; allowed: KEY=VALUE\n"
        "p: line 6: grace_ms: stands in line 3 already; allowed: once\n"
        "p: line 7: service.a.on_running: \"stop\"; allowed: wait, requeue, cancel\n"
        "p: line 8: service.a.hold_pace: this key holds for the whole fleet; allowed: hold_pace\n"
        "p: line 9: service.a.volatile: \"so\"; allowed: true, false\n"
        "p: line 10: service.a.retention_ms: \"0\"; allowed: a whole number from 1 to "
        "31536000000000\n"
        "p: line 11: service..backoff_ms: allowed: a service's name of 1 to 128 bytes\n"
        "p: line 13: service.a.queue.failures: stands in line 12 already; allowed: once\n"
        "p: line 14: hold_pace: \"?x\"; allowed: a whole number from 0 to 1000000\n";
    struct policy read;
    struct buffer problems = {0};
    uint64_t unnamed;
    assert_false(policy_text_read(span_of(text), "p", &read, &unnamed, &problems));
    buffer_put_byte(&problems, '\0');
    assert_string_equal(problems.data, expected);
    buffer_fini(&problems);
}

static void test_policy_text__lists_the_keys_where_one_is_unknown(void **fixture)
{
    (void)fixture;
    struct policy read;
    struct buffer problems = {0};
    uint64_t unnamed;
    assert_false(policy_text_read(SPAN("colour=red\nservice.a.colour=red\n"), "p", &read, &unnamed,
                                  &problems));
    buffer_put_byte(&problems, '\0');
    char *fleet = problems.data, *service = strchr(fleet, '\n');
    assert_non_null(service);
    *service++ = '\0';
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        const struct policy_key_rule *rule = policy_key_rule(key);
        char name[64];
        snprintf(name, sizeof(name), ", %s", rule->key);
        assert_non_null(strstr(fleet, name));
        assert_int_equal(strstr(service, name) != NULL, rule->scope == POLICY_SCOPE_JOB);
    }
    buffer_fini(&problems);
}

static void test_policy_text__says_that_there_are_too_many_services(void **fixture)
{
    (void)fixture;
    struct policy read;
    struct buffer text = {0}, problems = {0};
    uint64_t unnamed;
    for (unsigned i = 0; i <= POLICY_SERVICES_MAX; i++) {
        buffer_put_text(&text, "service.s");
        buffer_put_decimal(&text, i);
        buffer_put_text(&text, ".max_retries=1\n");
    }
    assert_false(policy_text_read(buffer_span(&text), "p", &read, &unnamed, &problems));
    assert_true(span_is(buffer_span(&problems), "p: line 65: one service too many; allowed: 64\n"));
    buffer_fini(&problems);
    buffer_fini(&text);
}

static void keep_difference(void *self, struct span key, struct span before, struct span after)
{
    struct buffer *told = self;
    buffer_put_span(told, key);
    buffer_put_byte(told, ' ');
    buffer_put_span(told, before);
    buffer_put_byte(told, '>');
    buffer_put_span(told, after);
    buffer_put_byte(told, '\n');
}

static void test_policy_text__tells_each_difference_once(void **fixture)
{
    (void)fixture;
    struct policy old_policy, new_policy;
    policy_preset(PRESET_SAFE, &old_policy);
    policy_preset(PRESET_SAFE, &new_policy);
    new_policy.value[POLICY_BACKOFF_MS] = 50;
    new_policy.value[POLICY_ON_RUNNING] = ON_RUNNING_CANCEL;
    assert_true(policy_set_service(&old_policy, SPAN("a"), POLICY_ASK_LIMIT, 1));
    assert_true(policy_set_service(&old_policy, SPAN("a"), POLICY_EFFECTS, EFFECTS_OBSERVE));
    assert_true(policy_set_service(&new_policy, SPAN("a"), POLICY_EFFECTS, EFFECTS_APPLY));
    /* '.' stands before '=': a service whose name begins with another's. */
    assert_true(policy_set_service(&new_policy, SPAN("a.b"), POLICY_EFFECTS, EFFECTS_APPLY));
    struct policy_text old_text = policy_text_make(&old_policy);
    struct policy_text new_text = policy_text_make(&new_policy);
    struct buffer told = {0};
    assert_int_equal(policy_text_compare(buffer_span(&old_text.text), buffer_span(&new_text.text),
                                         keep_difference, &told),
                     5);
    assert_true(span_is(buffer_span(&told), "backoff_ms 1000>50\n"
                                            "on_running wait>cancel\n"
                                            "service.a.ask_limit 1>\n"
                                            "service.a.b.effects >apply\n"
                                            "service.a.effects observe>apply\n"));
    buffer_reset(&told);
    assert_int_equal(policy_text_compare(buffer_span(&new_text.text), buffer_span(&new_text.text),
                                         keep_difference, &told),
                     0);
    assert_int_equal(told.size, 0);
    assert_int_equal(
        policy_text_compare(SPAN_NONE, buffer_span(&new_text.text), keep_difference, &told),
        POLICY_KEY_COUNT + 2);
    buffer_fini(&told);
    policy_text_fini(&old_text);
    policy_text_fini(&new_text);
}

static void check_brief(const struct policy *policy, const char *expected)
{
    struct policy_text text = policy_text_make(policy);
    struct buffer line = {0};
    policy_text_put_brief(&line, buffer_span(&text.text));
    buffer_put_byte(&line, '\0');
    assert_string_equal(line.data, expected);
    buffer_fini(&line);
    policy_text_fini(&text);
}

static void test_policy_text__is_told_in_one_line(void **fixture)
{
    (void)fixture;
    struct policy policy;
    policy_preset(PRESET_SAFE, &policy);
    check_brief(&policy, "safe");
    policy.value[POLICY_EFFECTS] = EFFECTS_OBSERVE;
    assert_true(policy_set_service(&policy, SPAN("a"), POLICY_ASK_LIMIT, 1));
    check_brief(&policy, "safe, but effects=observe service.a.ask_limit=1");
    policy_preset(PRESET_SEED, &policy);
    check_brief(&policy, "seed");
    policy.value[POLICY_MAX_RETRIES] = 9;
    check_brief(&policy, "seed, but max_retries=9");
    char name[] = "s0";
    for (; name[1] < '7'; name[1]++) {
        assert_true(policy_set_service(&policy, span_of(name), POLICY_MAX_RETRIES, 1));
    }
    check_brief(&policy,
                "seed, but max_retries=9 service.s0.max_retries=1 service.s1.max_retries=1 "
                "service.s2.max_retries=1 service.s3.max_retries=1 "
                "service.s4.max_retries=1 and 2 more");
    struct buffer line = {0};
    policy_text_put_brief(&line, SPAN_NONE);
    assert_true(span_is(buffer_span(&line), "none yet: safe, and nothing is touched"));
    buffer_reset(&line);
    policy_text_put_brief(&line, SPAN("\x1b[2J=1\n")); /* only a hostile capture holds such a key */
    assert_null(memchr(line.data, '\x1b', line.size));
    buffer_fini(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_text__is_sorted_and_hashed),
        cmocka_unit_test(test_policy_text__reads_what_it_wrote_in_any_order),
        cmocka_unit_test(test_policy_text__tells_which_keys_are_not_named),
        cmocka_unit_test(test_policy_text__passes_over_lines_that_say_nothing),
        cmocka_unit_test(test_policy_text__names_every_bad_line),
        cmocka_unit_test(test_policy_text__lists_the_keys_where_one_is_unknown),
        cmocka_unit_test(test_policy_text__says_that_there_are_too_many_services),
        cmocka_unit_test(test_policy_text__tells_each_difference_once),
        cmocka_unit_test(test_policy_text__is_told_in_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
