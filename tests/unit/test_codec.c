/* SPDX-License-Identifier: MIT
 * The codec: every type in both forms, entries that are no entries, and which problem comes first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/event_draft.h"

static void assert_same(const struct event *event, enum event_type type, uint64_t fields,
                        enum extreme extreme)
{
    assert_int_equal(event->type, type);
    assert_int_equal(event->id.ms, 17);
    assert_int_equal(event->id.seq, 4);
    assert_int_equal(event->present, fields);
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        if ((fields >> i & 1) == 0) {
            continue;
        }
        union event_value expected = event_draft_extreme(i, extreme);
        if (event_draft_is_text(i)) {
            assert_true(span_equal(event_text(event, i), expected.text));
        } else {
            assert_int_equal(event_number(event, i), expected.number);
        }
    }
}

static void test_codec__each_type_decodes_with_all_and_with_the_required_fields(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    struct event event;
    for (unsigned type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        uint64_t sets[] = {event_type_rule(type)->required, event_draft_fields_of(type)};
        for (unsigned i = 0; i < 8; i++) {
            event_draft_start_type(&draft, (i & 1) != 0, type, sets[i >> 1 & 1], i >> 2);
            event_draft_assert_decodes(&draft, &event);
            assert_same(&event, type, sets[i >> 1 & 1], i >> 2);
        }
    }
    event_draft_fini(&draft);
}

static void test_codec__packing_and_decoding_give_the_same_event(void **fixture)
{
    (void)fixture;
    struct buffer packed = {0};
    struct buffer raw = {0};
    for (unsigned i = 2 * (EVENT_NONE + 1); i < 2 * EVENT_TYPE_COUNT; i++) {
        enum event_type type = i / 2;
        struct event event = {.type = type, .present = event_draft_fields_of(type)};
        for (unsigned field = 0; field < EVENT_FIELD_COUNT; field++) {
            event.value[field] = event_draft_extreme(field, i % 2);
        }
        buffer_reset(&packed);
        codec_put_packed(&packed, &event);
        event_draft_wrap_packed(&raw, buffer_span(&packed));
        struct event decoded;
        struct span field;
        assert_int_equal(event_draft_decode_raw(buffer_span(&raw), &decoded, &field), CODEC_NONE);
        assert_same(&decoded, type, event.present, i % 2);
    }
    buffer_fini(&packed);
    buffer_fini(&raw);
}

static void test_codec__packing_is_compact_and_in_order(void **fixture)
{
    (void)fixture;
    struct event event = {.type = EVENT_JOB_FAILED,
                          .present = F(RETRYABLE) | F(ATTEMPT) | F(JOB) | F(ERROR)};
    event.value[FIELD_JOB].text = SPAN("j1");
    event.value[FIELD_ATTEMPT].number = 200;
    event.value[FIELD_ERROR].text = SPAN_NONE;
    event.value[FIELD_RETRYABLE].number = 0;
    struct buffer packed = {0};
    codec_put_packed(&packed, &event);
    static const char expected[] = "\x85\xa4type\xaajob.failed\xa3job\xa2j1\xa7"
                                   "attempt\xcc\xc8\xa5"
                                   "error\xa0\xa9retryable\xc2";
    assert_true(span_equal(buffer_span(&packed), SPAN(expected)));
    buffer_fini(&packed);
}

static void test_codec__packed_bytes_that_are_no_map_of_names(void **fixture)
{
    (void)fixture;
    static const struct span malformed[] = {
        {"", 0},
        {"\x01", 1}, /* not a map */
        {"\x91\x01", 2},
        {"\xa4type", 5},
        {"\x81\x01\x02", 3}, /* a key that is no str */
        {"\x81\xc4\x04type\xa4tick", 12},
        {"\x81\xa4type", 6},                  /* cut */
        {"\x80\x80", 2},                      /* something behind it */
        {"\xdd\x0f\xff\xff\xff", 5},          /* the bomb */
        {"\x81\xa1x\x91\x91\x91\x91\x01", 8}, /* too deep */
        {"\xc1", 1},
    };
    struct buffer raw = {0};
    struct event event;
    struct span field;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        event_draft_wrap_packed(&raw, malformed[i]);
        assert_int_equal(event_draft_decode_raw(buffer_span(&raw), &event, &field),
                         CODEC_MALFORMED);
        assert_true(span_is(field, "e"));
    }
    event_draft_wrap_packed(&raw, SPAN("\x80"));
    assert_int_equal(event_draft_decode_raw(buffer_span(&raw), &event, &field), CODEC_MISSING);
    assert_true(span_is(field, "type"));
    buffer_fini(&raw);
}

static void test_codec__e_beside_other_fields_is_flat(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    struct event event;
    event_draft_start(&draft, false);
    event_draft_put_text(&draft, "e", SPAN("\x80"));
    event_draft_put_text(&draft, "e", SPAN("\x80"));
    event_draft_assert_problem(&draft, CODEC_MISSING, "type");
    event_draft_start_type(&draft, false, EVENT_WORKER_LOST, F(WORKER), EXTREME_LEAST);
    event_draft_put_text(&draft, "e", SPAN("\x80"));
    event_draft_assert_decodes(&draft, &event);
    event_draft_fini(&draft);
}

static void test_codec__the_type_is_a_field_with_rules(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    for (unsigned form = 0; form < 2; form++) {
        event_draft_start(&draft, form == 1);
        event_draft_put_text(&draft, "worker", SPAN("w1"));
        event_draft_assert_problem(&draft, CODEC_MISSING, "type");
        event_draft_put_text(&draft, "type", SPAN("worker.hearbeat"));
        event_draft_assert_problem(&draft, CODEC_UNKNOWN_TYPE, "worker.hearbeat");
        event_draft_put_text(&draft, "type", SPAN("worker.heartbeat"));
        event_draft_assert_problem(&draft, CODEC_REPEATED, "type");
        event_draft_start(&draft, form == 1);
        event_draft_put_text(&draft, "type", SPAN(""));
        event_draft_assert_problem(&draft, CODEC_ILL_TYPED, "type");
        event_draft_start(&draft, form == 1);
        event_draft_put_text(&draft, "type", SPAN("tick\n"));
        event_draft_assert_problem(&draft, CODEC_ILL_TYPED, "type");
        event_draft_start(&draft, form == 1);
        event_draft_put_text(&draft, "type", event_draft_filler(ID_SIZE_MAX + 1));
        event_draft_assert_problem(&draft, CODEC_OVERSIZED, "type");
    }
    event_draft_start(&draft, true);
    event_draft_put_packed(&draft, "type", SPAN("\x05"));
    event_draft_assert_problem(&draft, CODEC_ILL_TYPED, "type");
    event_draft_fini(&draft);
}

static void test_codec__the_first_problem_is_the_one_reported(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    for (unsigned form = 0; form < 2; form++) {
        bool is_packed = form == 1;
        /* The type before the fields, wherever it stands. */
        event_draft_start(&draft, is_packed);
        event_draft_put_text(&draft, "job", SPAN(""));
        event_draft_put_text(&draft, "type", SPAN("no.such"));
        event_draft_assert_problem(&draft, CODEC_UNKNOWN_TYPE, "no.such");
        /* The entry's order among the fields; what is there before what is missing. */
        event_draft_start(&draft, is_packed);
        event_draft_put_text(&draft, "type", SPAN("job.failed"));
        event_draft_put_text(&draft, "error", event_draft_filler(TEXT_SIZE_MAX + 1));
        event_draft_put_text(&draft, "worker", SPAN(""));
        event_draft_assert_problem(&draft, CODEC_OVERSIZED, "error");
        event_draft_start(&draft, is_packed);
        event_draft_put_text(&draft, "type", SPAN("job.failed"));
        event_draft_put_text(&draft, "worker", SPAN("w1"));
        event_draft_put_text(&draft, "worker", SPAN(""));
        event_draft_put_text(&draft, "error", event_draft_filler(TEXT_SIZE_MAX + 1));
        event_draft_assert_problem(&draft, CODEC_REPEATED, "worker");
        /* The table's order among what is missing. */
        event_draft_start(&draft, is_packed);
        event_draft_put_text(&draft, "type", SPAN("job.started"));
        event_draft_assert_problem(&draft, CODEC_MISSING, "worker");
        event_draft_put_text(&draft, "worker", SPAN("w1"));
        event_draft_assert_problem(&draft, CODEC_MISSING, "job");
        event_draft_put_text(&draft, "job", SPAN("j1"));
        event_draft_assert_problem(&draft, CODEC_MISSING, "attempt");
    }
    event_draft_fini(&draft);
}

static void test_codec__fields_are_counted(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    struct event event;
    for (unsigned form = 0; form < 2; form++) {
        event_draft_start_type(&draft, form == 1, EVENT_WORKER_LOST, F(WORKER), EXTREME_LEAST);
        while (draft.count < ENTRY_FIELDS_MAX) {
            event_draft_put_text(&draft, "more", SPAN(""));
        }
        event_draft_assert_decodes(&draft, &event);
        event_draft_put_text(&draft, "more", SPAN(""));
        event_draft_assert_problem(&draft, CODEC_TOO_MANY_FIELDS, form == 1 ? "e" : "");
    }
    event_draft_fini(&draft);
}

static void test_codec__entries_have_a_largest_size(void **fixture)
{
    (void)fixture;
    static char padding[ENTRY_RAW_MAX];
    struct event_draft draft = {0};
    struct event event;
    struct span field;
    for (size_t excess = 0; excess < 2; excess++) {
        event_draft_start_type(&draft, false, EVENT_WORKER_LOST, F(WORKER), EXTREME_LEAST);
        /* Around the padding: the count, its sized name, and three bytes of its own size. */
        size_t rest = ENTRY_RAW_MAX + excess - (1 + draft.pairs.size + 5 + 3);
        event_draft_put_text(&draft, "more", (struct span){padding, rest});
        enum codec_problem problem = event_draft_decode(&draft, &event, &field);
        assert_int_equal(draft.raw.size, ENTRY_RAW_MAX + excess);
        assert_int_equal(problem, excess == 0 ? CODEC_NONE : CODEC_OVERSIZED);
    }
    assert_int_equal(field.size, 0);
    event_draft_fini(&draft);
}

static void test_codec__raw_forms_are_read_whole_or_not_at_all(void **fixture)
{
    (void)fixture;
    const struct span names[] = {SPAN("type"), SPAN("worker"), SPAN("")};
    const struct span values[] = {SPAN("worker.lost"), SPAN("w1"), SPAN("\x00\xff")};
    struct span read_names[ENTRY_FIELDS_MAX], read_values[ENTRY_FIELDS_MAX];
    struct buffer raw = {0};
    struct event event;
    struct span field;
    uint32_t count = 0;
    codec_put_raw(&raw, names, values, 3);
    assert_true(codec_read_raw(buffer_span(&raw), read_names, read_values, &count));
    assert_int_equal(count, 3);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(span_equal(read_names[i], names[i]));
        assert_true(span_equal(read_values[i], values[i]));
    }
    for (size_t size = 0; size < raw.size; size++) {
        struct span part = {raw.data, size};
        assert_false(codec_read_raw(part, read_names, read_values, &count));
        assert_int_equal(event_draft_decode_raw(part, &event, &field), CODEC_MALFORMED);
        assert_int_equal(field.size, 0);
    }
    buffer_put_byte(&raw, 0);
    assert_false(codec_read_raw(buffer_span(&raw), read_names, read_values, &count));
    assert_int_equal(event_draft_decode_raw(buffer_span(&raw), &event, &field), CODEC_MALFORMED);

    struct span many[ENTRY_FIELDS_MAX + 1] = {SPAN_NONE};
    for (uint32_t excess = 0; excess < 2; excess++) {
        buffer_reset(&raw);
        codec_put_raw(&raw, many, many, ENTRY_FIELDS_MAX + excess);
        assert_int_equal(codec_read_raw(buffer_span(&raw), read_names, read_values, &count),
                         excess == 0);
    }
    buffer_fini(&raw);
}

static void test_codec__decoded_texts_borrow_from_the_entry(void **fixture)
{
    (void)fixture;
    struct event_draft draft = {0};
    struct event event;
    for (unsigned form = 0; form < 2; form++) {
        event_draft_start_type(&draft, form == 1, EVENT_JOB_COMPLETED,
                               event_draft_fields_of(EVENT_JOB_COMPLETED), EXTREME_LARGEST);
        event_draft_assert_decodes(&draft, &event);
        const char *end = draft.raw.data + draft.raw.size;
        const char *text = event_text(&event, FIELD_RESULT).data;
        assert_true(text > draft.raw.data);
        assert_true(text + TEXT_SIZE_MAX <= end);
    }
    event_draft_fini(&draft);
}

static void test_codec__problems_have_distinct_codes(void **fixture)
{
    (void)fixture;
    for (unsigned i = CODEC_NONE; i <= CODEC_UNKNOWN_TYPE; i++) {
        for (unsigned k = CODEC_NONE; k < i; k++) {
            assert_string_not_equal(codec_problem_text(i), codec_problem_text(k));
        }
    }
    assert_string_equal(codec_problem_text(CODEC_ILL_TYPED), "ill_typed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec__each_type_decodes_with_all_and_with_the_required_fields),
        cmocka_unit_test(test_codec__packing_and_decoding_give_the_same_event),
        cmocka_unit_test(test_codec__packing_is_compact_and_in_order),
        cmocka_unit_test(test_codec__packed_bytes_that_are_no_map_of_names),
        cmocka_unit_test(test_codec__e_beside_other_fields_is_flat),
        cmocka_unit_test(test_codec__the_type_is_a_field_with_rules),
        cmocka_unit_test(test_codec__the_first_problem_is_the_one_reported),
        cmocka_unit_test(test_codec__fields_are_counted),
        cmocka_unit_test(test_codec__entries_have_a_largest_size),
        cmocka_unit_test(test_codec__raw_forms_are_read_whole_or_not_at_all),
        cmocka_unit_test(test_codec__decoded_texts_borrow_from_the_entry),
        cmocka_unit_test(test_codec__problems_have_distinct_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
