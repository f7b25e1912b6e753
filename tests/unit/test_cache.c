/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "connectors/cache.h"

#define TTL_MS 1000

static struct answer said(enum answer_verdict verdict)
{
    struct answer answer = {0};
    answer.report.verdict = verdict;
    return answer;
}

static void put(struct cache *cache, const char *key, enum answer_verdict verdict, uint64_t now_ms)
{
    struct answer answer = said(verdict);
    cache_put(cache, span_of(key), &answer, now_ms, TTL_MS, false);
}

static enum answer_verdict found(struct cache *cache, const char *key, uint64_t now_ms)
{
    const struct answer *answer = cache_find(cache, span_of(key), now_ms);
    return answer != NULL ? answer->report.verdict : ANSWER_NONE;
}

static void test_cache__ends_stay_and_the_rest_expires(void **fixture)
{
    (void)fixture;
    struct cache cache;
    cache_init(&cache);
    put(&cache, "a", ANSWER_COMPLETED, 0);
    put(&cache, "b", ANSWER_FAILED, 0);
    put(&cache, "c", ANSWER_CANCELLED, 0);
    put(&cache, "d", ANSWER_RUNNING, 0);
    put(&cache, "e", ANSWER_PENDING, 0);
    assert_int_equal(found(&cache, "d", TTL_MS - 1), ANSWER_RUNNING);
    assert_int_equal(found(&cache, "e", TTL_MS - 1), ANSWER_PENDING);
    assert_int_equal(found(&cache, "d", TTL_MS), ANSWER_NONE);
    assert_int_equal(found(&cache, "e", TTL_MS), ANSWER_NONE);
    assert_int_equal(found(&cache, "a", UINT64_MAX - 1), ANSWER_COMPLETED);
    assert_int_equal(found(&cache, "b", UINT64_MAX - 1), ANSWER_FAILED);
    assert_int_equal(found(&cache, "c", UINT64_MAX - 1), ANSWER_CANCELLED);
    cache_drop(&cache, SPAN("a"));
    cache_drop(&cache, SPAN("a"));
    assert_int_equal(found(&cache, "a", 0), ANSWER_NONE);
    cache_fini(&cache);
}

static void test_cache__what_proves_nothing_is_not_kept_and_ends_what_was(void **fixture)
{
    (void)fixture;
    static const enum answer_verdict rest[] = {ANSWER_NOT_FOUND, ANSWER_INCONCLUSIVE,
                                               ANSWER_UNREACHABLE, ANSWER_NO_PROFILE};
    struct cache cache;
    cache_init(&cache);
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        put(&cache, "a", ANSWER_RUNNING, 0);
        assert_int_equal(found(&cache, "a", 0), ANSWER_RUNNING);
        put(&cache, "a", rest[i], 0);
        assert_int_equal(found(&cache, "a", 0), ANSWER_NONE);
    }
    cache_fini(&cache);
}

static void test_cache__where_ids_are_reused_ends_expire_too(void **fixture)
{
    (void)fixture;
    struct cache cache;
    struct answer answer = said(ANSWER_COMPLETED);
    cache_init(&cache);
    cache_put(&cache, SPAN("a"), &answer, 0, TTL_MS, true);
    assert_int_equal(found(&cache, "a", TTL_MS - 1), ANSWER_COMPLETED);
    assert_int_equal(found(&cache, "a", TTL_MS), ANSWER_NONE);
    cache_put(&cache, SPAN("a"), &answer, 0, 0, true);
    assert_int_equal(found(&cache, "a", 0), ANSWER_NONE);
    /* That it runs may be old news already. */
    struct answer lagging = said(ANSWER_RUNNING);
    answer_set_flags(&lagging, 1u << ANSWER_FLAG_LAGGING);
    cache_put(&cache, SPAN("a"), &lagging, 0, TTL_MS, false);
    assert_int_equal(found(&cache, "a", 0), ANSWER_NONE);
    cache_fini(&cache);
}

static void test_cache__a_copy_has_all_that_was_said(void **fixture)
{
    (void)fixture;
    struct cache cache;
    struct answer answer = said(ANSWER_COMPLETED), copy = {0};
    struct sha256 digest = sha256_of(SPAN("body"));
    struct sha256_text text = sha256_text(&digest);
    cache_init(&cache);
    answer.report.http = 200;
    answer_set_word(&answer, SPAN("succ\ness"));
    answer_set_flags(&answer, 1u << ANSWER_FLAG_PARTIAL);
    answer_set_sha256(&answer, &text);
    answer_set_result_url(&answer, SPAN("http://a/b"));
    cache_put(&cache, SPAN("a"), &answer, 0, 0, false);
    answer_fini(&answer);
    answer_copy(&copy, cache_find(&cache, SPAN("a"), 0));
    cache_fini(&cache);
    assert_int_equal(copy.report.verdict, ANSWER_COMPLETED);
    assert_int_equal(copy.report.http, 200);
    assert_true(span_is(copy.report.word, "succ?ess"));
    assert_true(span_is(copy.report.flags, "partial"));
    assert_true(span_is(copy.report.body_sha256, text.text));
    assert_true(span_is(copy.report.result, "{\"url\":\"http://a/b\"}"));
    answer_fini(&copy);
}

static void test_cache__the_least_lately_used_goes_first(void **fixture)
{
    (void)fixture;
    struct cache cache;
    cache_init(&cache);
    for (uint64_t i = 0; i < CACHE_ANSWERS_MAX; i++) {
        put(&cache, number_text(i).text, ANSWER_COMPLETED, 0);
    }
    assert_int_equal(found(&cache, "0", 0), ANSWER_COMPLETED);
    put(&cache, "one more", ANSWER_COMPLETED, 0);
    assert_int_equal(found(&cache, "0", 0), ANSWER_COMPLETED);
    assert_int_equal(found(&cache, "1", 0), ANSWER_NONE);
    assert_int_equal(found(&cache, "2", 0), ANSWER_COMPLETED);
    assert_int_equal(found(&cache, "one more", 0), ANSWER_COMPLETED);
    cache_fini(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache__ends_stay_and_the_rest_expires),
        cmocka_unit_test(test_cache__what_proves_nothing_is_not_kept_and_ends_what_was),
        cmocka_unit_test(test_cache__where_ids_are_reused_ends_expire_too),
        cmocka_unit_test(test_cache__a_copy_has_all_that_was_said),
        cmocka_unit_test(test_cache__the_least_lately_used_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
