/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/sha256.h"
#include "reducers/lot.h"
#include "replay/pseudonyms.h"

#define KEY SPAN("sixteen bytes do")

static void assert_span(struct span given, const char *wanted)
{
    assert_int_equal(given.size, span_of(wanted).size);
    assert_memory_equal(given.data, wanted, given.size);
}

static void test_pseudonyms__are_the_hmac_of_field_and_id(void **fixture)
{
    (void)fixture;
    struct pseudonyms *names = pseudonyms_open(KEY);
    struct sha256 digest = sha256_hmac(KEY, SPAN("worker\0w1"));
    char wanted[64];
    snprintf(wanted, sizeof wanted, "worker-%.16s", sha256_text(&digest).text);
    assert_span(pseudonyms_name(names, FIELD_WORKER, SPAN("w1")), wanted);
    /* What was given out before stays what it is. */
    struct span first = pseudonyms_name(names, FIELD_MACHINE, SPAN("w1"));
    (void)pseudonyms_name(names, FIELD_MACHINE, SPAN("w2"));
    assert_true(pseudonym_is(FIELD_MACHINE, first));
    assert_span(pseudonyms_name(names, FIELD_WORKER, SPAN("w1")), wanted);
    assert_int_equal(pseudonyms_count(names), 3);
    pseudonyms_close(names);
    pseudonyms_close(NULL);
}

static void test_pseudonyms__hang_on_key_field_and_id_alone(void **fixture)
{
    (void)fixture;
    struct pseudonyms *names = pseudonyms_open(KEY), *again = pseudonyms_open(KEY);
    struct pseudonyms *others = pseudonyms_open(SPAN("sixteen bytes dO"));
    (void)pseudonyms_name(again, FIELD_JOB, SPAN("seen before"));
    struct span name = pseudonyms_name(names, FIELD_JOB, SPAN("job-42"));
    assert_true(span_equal(name, pseudonyms_name(again, FIELD_JOB, SPAN("job-42"))));
    assert_false(span_equal(name, pseudonyms_name(others, FIELD_JOB, SPAN("job-42"))));
    assert_false(span_equal(name, pseudonyms_name(names, FIELD_JOB, SPAN("job-43"))));
    /* Digits of different fields have nothing in common either. */
    struct span tag = pseudonyms_name(names, FIELD_TAG, SPAN("job-42"));
    assert_false(span_holds(name, (struct span){tag.data + 4, tag.size - 4}));
    pseudonyms_close(names);
    pseudonyms_close(again);
    pseudonyms_close(others);
}

static void test_pseudonyms__of_jobs_keep_the_lot_and_part_all(void **fixture)
{
    (void)fixture;
    enum { JOBS = 2000 };
    static struct span given[JOBS];
    struct pseudonyms *names = pseudonyms_open(KEY);
    for (unsigned number = 0; number < JOBS; number++) {
        char id[32];
        snprintf(id, sizeof id, "render/%u", number);
        given[number] = pseudonyms_name(names, FIELD_JOB, span_of(id));
        assert_true(pseudonym_is(FIELD_JOB, given[number]));
        assert_int_equal(job_lot(given[number]), job_lot(span_of(id)));
        for (unsigned before = 0; before < number; before++) {
            assert_false(span_equal(given[number], given[before]));
        }
    }
    pseudonyms_close(names);
}

static void test_pseudonyms__take_any_bytes(void **fixture)
{
    (void)fixture;
    struct pseudonyms *names = pseudonyms_open(KEY);
    static const char bytes[2000];
    assert_true(pseudonym_is(
        FIELD_CLAIM, pseudonyms_name(names, FIELD_CLAIM, (struct span){bytes, sizeof bytes})));
    assert_true(pseudonym_is(FIELD_CLAIM, pseudonyms_name(names, FIELD_CLAIM, SPAN("\xff\n"))));
    pseudonyms_close(names);
}

static void test_pseudonyms__have_one_form(void **fixture)
{
    (void)fixture;
    assert_true(pseudonym_is(FIELD_JOB, SPAN("job-0123456789abcdef")));
    static const char *const others[] = {
        "",
        "job-0123456789abcde",
        "job-0123456789abcdef0",
        "job-0123456789abcdeF",
        "job-0123456789abcdeg",
        "job-0123456789abcde:",
        "job-0123456789abcde/",
        "job_0123456789abcdef",
        "tag-0123456789abcdef",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(pseudonym_is(FIELD_JOB, span_of(others[i])));
    }
    assert_true(pseudonym_is(FIELD_SERVICE_JOB, SPAN("service_job-0123456789abcdef")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pseudonyms__are_the_hmac_of_field_and_id),
        cmocka_unit_test(test_pseudonyms__hang_on_key_field_and_id_alone),
        cmocka_unit_test(test_pseudonyms__of_jobs_keep_the_lot_and_part_all),
        cmocka_unit_test(test_pseudonyms__take_any_bytes),
        cmocka_unit_test(test_pseudonyms__have_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
