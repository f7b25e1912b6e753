/* SPDX-License-Identifier: MIT
 * The rules of fields, each broken in both forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/event_draft.h"

static void assert_field_is_checked(struct event_draft *draft, bool is_packed, enum event_type type,
                                    enum event_field field)
{
    const struct field_rule *rule = event_field_rule(field);
    event_draft_start_type(draft, is_packed, type, event_draft_fields_of(type), EXTREME_LEAST);
    event_draft_put_value(draft, field, event_draft_extreme(field, EXTREME_LEAST));
    event_draft_assert_problem(draft, CODEC_REPEATED, rule->name);

    event_draft_start_without(draft, is_packed, type, field);
    if (event_draft_is_text(field)) {
        event_draft_put_text(draft, rule->name, event_draft_filler(rule->max + 1));
        event_draft_assert_problem(draft, CODEC_OVERSIZED, rule->name);
    } else if (rule->kind == FIELD_KIND_NUMBER) {
        event_draft_put_number(draft, rule->name, rule->max + 1);
        event_draft_assert_problem(draft, CODEC_OUT_OF_RANGE, rule->name);
    } else {
        event_draft_put_text(draft, rule->name, SPAN("1"));
        event_draft_assert_problem(draft, CODEC_ILL_TYPED, rule->name);
    }
}

static void test_codec_fields__each_required_field_is_missed(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    for (unsigned type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        uint64_t required = event_type_rule(type)->required;
        for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
            if ((required >> i & 1) == 0) {
                continue;
            }
            uint64_t rest = event_draft_fields_of(type) & ~(UINT64_C(1) << i);
            for (unsigned form = 0; form < 2; form++) {
                event_draft_start_type(&draft, form == 1, type, rest, EXTREME_LEAST);
                event_draft_assert_problem(&draft, CODEC_MISSING, event_field_rule(i)->name);
            }
        }
    }
    event_draft_fini(&draft);
}

static void test_codec_fields__each_field_of_each_type_is_checked(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    for (unsigned type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
            if ((event_draft_fields_of(type) >> i & 1) != 0) {
                assert_field_is_checked(&draft, false, type, i);
                assert_field_is_checked(&draft, true, type, i);
            }
        }
    }
    event_draft_fini(&draft);
}

static void test_codec_fields__what_the_type_does_not_name_is_skipped(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    struct event event;
    for (unsigned form = 0; form < 2; form++) {
        for (unsigned type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
            event_draft_start(&draft, form == 1);
            event_draft_put_text(&draft, "nobody knows this", SPAN("\x00\xff"));
            event_draft_put_text(&draft, "nobody knows this", SPAN("again"));
            event_draft_put_text(&draft, "", SPAN(""));
            unsigned skipped = EVENT_FIELD_COUNT;
            for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
                if ((event_draft_fields_of(type) >> i & 1) == 0) {
                    skipped = i; /* one is enough: 64 fields are the most */
                }
            }
            event_draft_put_text(&draft, event_field_rule(skipped)->name, event_draft_filler(2000));
            event_draft_put_text(&draft, event_field_rule(skipped)->name, event_draft_filler(2000));
            uint64_t required = event_type_rule(type)->required;
            for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
                if ((required >> i & 1) != 0) {
                    event_draft_put_value(&draft, i, event_draft_extreme(i, EXTREME_LARGEST));
                }
            }
            event_draft_put_text(&draft, "type", span_of(event_type_rule(type)->name));
            event_draft_assert_decodes(&draft, &event);
            assert_int_equal(event.type, type);
            assert_int_equal(event.present, required);
        }
    }
    event_draft_fini(&draft);
}

static void test_codec_fields__flat_texts_that_are_no_numbers(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *text;
        enum codec_problem problem;
    } cases[] = {
        {"", CODEC_ILL_TYPED},
        {"-1", CODEC_ILL_TYPED},
        {"+1", CODEC_ILL_TYPED},
        {"01", CODEC_ILL_TYPED},
        {"00", CODEC_ILL_TYPED},
        {" 1", CODEC_ILL_TYPED},
        {"1 ", CODEC_ILL_TYPED},
        {"1.0", CODEC_ILL_TYPED},
        {"1e3", CODEC_ILL_TYPED},
        {"0x10", CODEC_ILL_TYPED},
        {"1,000", CODEC_ILL_TYPED},
        {"nan", CODEC_ILL_TYPED},
        {"1\xc2\xa0", CODEC_ILL_TYPED},
        {"1000001", CODEC_OUT_OF_RANGE},
        {"18446744073709551615", CODEC_OUT_OF_RANGE},
        {"18446744073709551617", CODEC_OUT_OF_RANGE}, /* 1 when it wraps */
        {"99999999999999999999999999999999999999", CODEC_OUT_OF_RANGE},
    };
    struct event_draft draft = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        event_draft_start_without(&draft, false, EVENT_JOB_COMPLETED, FIELD_ATTEMPT);
        event_draft_put_text(&draft, "attempt", span_of(cases[i].text));
        event_draft_assert_problem(&draft, cases[i].problem, "attempt");
    }
    static const char *const booleans[] = {"", "1", "0", "True", "TRUE", "yes", "true ", "falsch"};
    for (size_t i = 0; i < sizeof(booleans) / sizeof(booleans[0]); i++) {
        event_draft_start_without(&draft, false, EVENT_JOB_FAILED, FIELD_RETRYABLE);
        event_draft_put_text(&draft, "retryable", span_of(booleans[i]));
        event_draft_assert_problem(&draft, CODEC_ILL_TYPED, "retryable");
    }
    event_draft_fini(&draft);
}

static void test_codec_fields__texts_have_their_alphabets(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    struct event event;
    for (unsigned byte = 0; byte < 256; byte++) {
        const char text[] = {'a', (char)byte, 'z'};
        struct span span = {text, sizeof(text)};
        for (unsigned form = 0; form < 2; form++) {
            event_draft_start_without(&draft, form == 1, EVENT_WORKER_STOPPED, FIELD_WORKER);
            event_draft_put_text(&draft, "worker", span);
            if (byte >= 0x20 && byte <= 0x7e) {
                event_draft_assert_decodes(&draft, &event);
            } else {
                event_draft_assert_problem(&draft, CODEC_ILL_TYPED, "worker");
            }
            event_draft_start_without(&draft, form == 1, EVENT_JOB_HANDED_OFF, FIELD_STATUS_URL);
            event_draft_put_text(&draft, "status_url", span);
            if (byte >= 0x21 && byte <= 0x7e) {
                event_draft_assert_decodes(&draft, &event);
            } else {
                event_draft_assert_problem(&draft, CODEC_ILL_TYPED, "status_url");
            }
            event_draft_start_without(&draft, form == 1, EVENT_WORKER_STOPPED, FIELD_REASON);
            event_draft_put_text(&draft, "reason", span);
            event_draft_assert_decodes(&draft, &event);
            assert_true(span_equal(event_text(&event, FIELD_REASON), span));
        }
    }
    event_draft_fini(&draft);
}

static void test_codec_fields__empty_texts_are_texts_but_no_ids_and_no_urls(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    struct event event;
    for (unsigned form = 0; form < 2; form++) {
        event_draft_start_without(&draft, form == 1, EVENT_JOB_HANDED_OFF, FIELD_TAG);
        event_draft_put_text(&draft, "tag", SPAN(""));
        event_draft_assert_problem(&draft, CODEC_ILL_TYPED, "tag");
        event_draft_start_without(&draft, form == 1, EVENT_JOB_HANDED_OFF, FIELD_RESULT_URL);
        event_draft_put_text(&draft, "result_url", SPAN(""));
        event_draft_assert_problem(&draft, CODEC_ILL_TYPED, "result_url");
        event_draft_start_without(&draft, form == 1, EVENT_JOB_FAILED, FIELD_ERROR);
        event_draft_put_text(&draft, "error", SPAN(""));
        event_draft_assert_decodes(&draft, &event);
        assert_true(event_has(&event, FIELD_ERROR));
        assert_int_equal(event_text(&event, FIELD_ERROR).size, 0);
    }
    event_draft_fini(&draft);
}

static void test_codec_fields__packed_values_of_the_right_kind(void **fixture)
{
    (void)fixture;
    static const struct {
        struct span bytes;
        uint64_t number;
    } fives[] = {
        {{"\x05", 1}, 5},
        {{"\xcc\x05", 2}, 5},
        {{"\xcd\x00\x05", 3}, 5},
        {{"\xce\x00\x00\x00\x05", 5}, 5},
        {{"\xcf\x00\x00\x00\x00\x00\x00\x00\x05", 9}, 5},
        {{"\xd0\x05", 2}, 5},
        {{"\xd1\x00\x05", 3}, 5},
        {{"\xd2\x00\x00\x00\x05", 5}, 5},
        {{"\xd3\x00\x00\x00\x00\x00\x00\x00\x05", 9}, 5},
        {{"\x00", 1}, 0},
    };
    struct event_draft draft = {0};
    struct event event;
    for (size_t i = 0; i < sizeof(fives) / sizeof(fives[0]); i++) {
        event_draft_start_without(&draft, true, EVENT_JOB_FAILED, FIELD_ATTEMPT);
        event_draft_put_packed(&draft, "attempt", fives[i].bytes);
        event_draft_assert_decodes(&draft, &event);
        assert_int_equal(event_number(&event, FIELD_ATTEMPT), fives[i].number);
    }
    static const struct span words[] = {
        {"\xa2j1", 3}, {"\xd9\x02j1", 4}, {"\xda\x00\x02j1", 5}, {"\xc4\x02j1", 4}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        event_draft_start_without(&draft, true, EVENT_JOB_FAILED, FIELD_JOB);
        event_draft_put_packed(&draft, "job", words[i]);
        event_draft_assert_decodes(&draft, &event);
        assert_true(span_is(event_text(&event, FIELD_JOB), "j1"));
    }
    event_draft_fini(&draft);
}

static void test_codec_fields__packed_values_of_another_kind(void **fixture)
{
    (void)fixture;
    const struct span text = SPAN("\xa1x");
    const struct span number = SPAN("\x05");
    const struct span boolean = SPAN("\xc3");
    static const struct span others[] = {
        {"\xc0", 1},                                 /* nil */
        {"\xff", 1},                                 /* -1 */
        {"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", 9}, /* -1 */
        {"\xca\x40\xa0\x00\x00", 5},                 /* 5.0 */
        {"\xcb\x40\x14\x00\x00\x00\x00\x00\x00", 9}, /* 5.0 */
        {"\x91\x05", 2},                             /* [5] */
        {"\x80", 1},                                 /* {} */
        {"\xd4\x01\x05", 3},                         /* ext */
    };
    struct event_draft draft = {0};
    struct event event;
    const struct {
        enum event_field field;
        struct span wrong[2];
    } cases[] = {
        {FIELD_JOB, {number, boolean}},
        {FIELD_ERROR, {number, boolean}},
        {FIELD_ATTEMPT, {text, boolean}},
        {FIELD_RETRYABLE, {text, number}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *name = event_field_rule(cases[i].field)->name;
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
            event_draft_start_without(&draft, true, EVENT_JOB_FAILED, cases[i].field);
            event_draft_put_packed(&draft, name, others[k]);
            event_draft_assert_problem(&draft, CODEC_ILL_TYPED, name);
            event_draft_start_type(&draft, true, EVENT_JOB_FAILED, F(JOB) | F(ATTEMPT),
                                   EXTREME_LEAST);
            event_draft_put_packed(&draft, "unknown", others[k]);
            event_draft_put_packed(&draft, "progress", others[k]);
            event_draft_assert_decodes(&draft, &event);
        }
        for (size_t k = 0; k < 2; k++) {
            event_draft_start_without(&draft, true, EVENT_JOB_FAILED, cases[i].field);
            event_draft_put_packed(&draft, name, cases[i].wrong[k]);
            event_draft_assert_problem(&draft, CODEC_ILL_TYPED, name);
        }
    }
    event_draft_fini(&draft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec_fields__each_required_field_is_missed),
        cmocka_unit_test(test_codec_fields__each_field_of_each_type_is_checked),
        cmocka_unit_test(test_codec_fields__what_the_type_does_not_name_is_skipped),
        cmocka_unit_test(test_codec_fields__flat_texts_that_are_no_numbers),
        cmocka_unit_test(test_codec_fields__texts_have_their_alphabets),
        cmocka_unit_test(test_codec_fields__empty_texts_are_texts_but_no_ids_and_no_urls),
        cmocka_unit_test(test_codec_fields__packed_values_of_the_right_kind),
        cmocka_unit_test(test_codec_fields__packed_values_of_another_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
