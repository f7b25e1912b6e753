/* SPDX-License-Identifier: MIT
 * The vocabulary: look-ups against the lists they are made from, stream ids, absent values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reducers/event.h"

static void test_event__each_type_is_found_by_its_name(void **fixture)
{
    (void)fixture;
    for (unsigned i = EVENT_NONE + 1; i < EVENT_TYPE_COUNT; i++) {
        assert_int_equal(event_type_named(span_of(event_type_rule(i)->name)), i);
    }
}

static void test_event__each_field_is_found_by_its_name(void **fixture)
{
    (void)fixture;
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        assert_int_equal(event_field_named(span_of(event_field_rule(i)->name)), i);
    }
}

/* One byte changed at each place, one too few, one too many. */
static void assert_only_the_whole_name_is_found(const char *name)
{
    char text[64];
    size_t size = strlen(name);
    assert_true(size + 1 < sizeof(text));
    for (size_t i = 0; i < size; i++) {
        memcpy(text, name, size);
        text[i] = '?';
        assert_int_equal(event_type_named((struct span){text, size}), EVENT_NONE);
        assert_int_equal(event_field_named((struct span){text, size}), EVENT_FIELD_COUNT);
    }
    memcpy(text, name, size);
    text[size] = '?';
    assert_int_equal(event_type_named((struct span){text, size + 1}), EVENT_NONE);
    assert_int_equal(event_field_named((struct span){text, size + 1}), EVENT_FIELD_COUNT);
    assert_int_equal(event_type_named((struct span){text, size - 1}), EVENT_NONE);
    assert_int_equal(event_field_named((struct span){text + 1, size - 1}), EVENT_FIELD_COUNT);
}

static void test_event__names_nearly_right_are_unknown(void **fixture)
{
    (void)fixture;
    for (unsigned i = EVENT_NONE + 1; i < EVENT_TYPE_COUNT; i++) {
        assert_only_the_whole_name_is_found(event_type_rule(i)->name);
    }
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        assert_only_the_whole_name_is_found(event_field_rule(i)->name);
    }
}

static void test_event__names_of_any_size_may_be_asked_for(void **fixture)
{
    (void)fixture;
    char text[300];
    memset(text, 'x', sizeof(text));
    for (size_t size = 0; size < sizeof(text); size++) {
        assert_int_equal(event_type_named((struct span){text, size}), EVENT_NONE);
        assert_int_equal(event_field_named((struct span){text, size}), EVENT_FIELD_COUNT);
    }
    assert_int_equal(event_type_named(SPAN_NONE), EVENT_NONE);
    assert_int_equal(event_field_named(SPAN_NONE), EVENT_FIELD_COUNT);
}

static void test_event__rules_hold_together(void **fixture)
{
    (void)fixture;
    for (unsigned i = EVENT_NONE + 1; i < EVENT_TYPE_COUNT; i++) {
        const struct type_rule *rule = event_type_rule(i);
        assert_int_equal(rule->required & rule->optional, 0);
        assert_int_equal((rule->required | rule->optional) & FIELDS_ON_ALL, 0);
        assert_int_not_equal(rule->required, 0);
        assert_int_not_equal(rule->reach, REACH_NONE);
        bool is_proved = (rule->required & FIELDS_LEADER) == FIELDS_LEADER;
        assert_int_equal(is_proved, rule->reach == REACH_LEADER);
    }
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        const struct field_rule *rule = event_field_rule(i);
        assert_int_not_equal(rule->kind, FIELD_KIND_NONE);
        assert_true(rule->max > 0);
        assert_true(rule->max <= INT64_MAX); /* SQLite keeps it as it is */
        assert_true(strcmp(rule->name, "type") != 0);
        assert_true(strcmp(rule->name, "e") != 0);
    }
}

static void test_event__stream_ids_are_ordered_by_both_numbers(void **fixture)
{
    (void)fixture;
    static const struct stream_id ordered[] = {
        {0, 0}, {0, 1}, {0, UINT64_MAX}, {1, 0}, {1, 7}, {UINT64_MAX, 0}, {UINT64_MAX, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(ordered) / sizeof(ordered[0]); i++) {
        for (size_t k = 0; k < sizeof(ordered) / sizeof(ordered[0]); k++) {
            assert_int_equal(stream_id_compare(ordered[i], ordered[k]), (i > k) - (i < k));
        }
        assert_int_equal(stream_id_is_zero(ordered[i]), i == 0);
    }
}

static void test_event__stream_ids_are_written_and_read(void **fixture)
{
    (void)fixture;
    static const struct {
        struct stream_id id;
        const char *text;
    } cases[] = {
        {{0, 0}, "0-0"},
        {{1763899200123, 4}, "1763899200123-4"},
        {{UINT64_MAX, UINT64_MAX}, "18446744073709551615-18446744073709551615"},
    };
    struct buffer buffer = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buffer_reset(&buffer);
        stream_id_put(&buffer, cases[i].id);
        assert_true(span_is(buffer_span(&buffer), cases[i].text));
        assert_true(buffer.size <= STREAM_ID_TEXT_MAX);
        struct stream_id id = {5, 5};
        assert_true(stream_id_parse(buffer_span(&buffer), &id));
        assert_int_equal(stream_id_compare(id, cases[i].id), 0);
    }
    buffer_fini(&buffer);
}

static void test_event__other_texts_are_no_stream_ids(void **fixture)
{
    (void)fixture;
    static const char *const texts[] = {
        "",     "-",     "1",     "1-",   "-1",    "1-2-3",
        "01-2", "1-02",  "1 -2",  "1- 2", "+1-2",  "1--2",
        "a-1",  "1-a",   "1-*",   "*",    "1-2\n", "18446744073709551616-0",
        "$",    "0x1-0", "1.0-0", ">",    "1-+2",  "0-18446744073709551616",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct stream_id id = {5, 6};
        assert_false(stream_id_parse(span_of(texts[i]), &id));
        assert_int_equal(id.ms, 5);
        assert_int_equal(id.seq, 6);
    }
}

static void test_event__absent_values_are_empty_and_zero(void **fixture)
{
    (void)fixture;
    struct event event;
    memset(&event, 0xff, sizeof(event)); /* the codec leaves absent values as they were */
    event.present = F(WORKER) | F(ID) | F(ATTEMPT);
    event.value[FIELD_WORKER].text = SPAN("w1");
    event.value[FIELD_ID].text = SPAN("e1");
    event.value[FIELD_ATTEMPT].number = 3;
    assert_true(event_has(&event, FIELD_WORKER));
    assert_true(event_has(&event, FIELD_ID));
    assert_false(event_has(&event, FIELD_JOB));
    assert_true(span_is(event_text(&event, FIELD_WORKER), "w1"));
    assert_true(span_is(event_text(&event, FIELD_ID), "e1"));
    assert_int_equal(event_text(&event, FIELD_JOB).size, 0);
    assert_null(event_text(&event, FIELD_JOB).data);
    assert_int_equal(event_number(&event, FIELD_ATTEMPT), 3);
    assert_int_equal(event_number(&event, FIELD_AT), 0);
}

static void test_event__so_much_of_an_oversized_entry_is_kept(void **fixture)
{
    (void)fixture;
    static const char bytes[ENTRY_KEPT_MAX + 1];
    assert_int_equal(entry_kept((struct span){bytes, 7}).size, 7);
    assert_int_equal(entry_kept((struct span){bytes, ENTRY_KEPT_MAX}).size, ENTRY_KEPT_MAX);
    assert_int_equal(entry_kept((struct span){bytes, sizeof bytes}).size, ENTRY_KEPT_MAX);
    assert_ptr_equal(entry_kept((struct span){bytes, sizeof bytes}).data, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event__each_type_is_found_by_its_name),
        cmocka_unit_test(test_event__each_field_is_found_by_its_name),
        cmocka_unit_test(test_event__names_nearly_right_are_unknown),
        cmocka_unit_test(test_event__names_of_any_size_may_be_asked_for),
        cmocka_unit_test(test_event__rules_hold_together),
        cmocka_unit_test(test_event__stream_ids_are_ordered_by_both_numbers),
        cmocka_unit_test(test_event__stream_ids_are_written_and_read),
        cmocka_unit_test(test_event__other_texts_are_no_stream_ids),
        cmocka_unit_test(test_event__absent_values_are_empty_and_zero),
        cmocka_unit_test(test_event__so_much_of_an_oversized_entry_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
