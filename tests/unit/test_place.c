/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/place.h"

static void test_place__a_time_is_read_from_the_day_to_the_ms(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *text;
        uint64_t ms;
    } times[] = {
        {"1970-01-01", 0},
        {"2026-11-23", 1795392000000},
        {"2026-11-23T11:58", 1795435080000},
        {"2026-11-23T11:58:41", 1795435121000},
        {"2026-11-23 11:58:41Z", 1795435121000},
        {"2026-11-23T11:58:41.123Z", 1795435121123},
        {"2028-02-29", 1835395200000},
        {"@1700000000000", 1700000000000},
    };
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct place place;
        assert_true(place_read(span_of(times[i].text), &place));
        assert_int_equal(place.kind, PLACE_TIME);
        assert_int_equal(place.time_ms, times[i].ms);
    }
}

static void test_place__an_id_and_an_ordinal_are_told_apart(void **fixture)
{
    (void)fixture;
    struct place place;
    assert_true(place_read(SPAN("1700000000000-7"), &place));
    assert_int_equal(place.kind, PLACE_ID);
    assert_int_equal(place.id.seq, 7);
    assert_true(place_read(SPAN("#17"), &place));
    assert_int_equal(place.kind, PLACE_ORDINAL);
    assert_int_equal(place.ordinal, 17);
}

static void test_place__what_is_no_place_is_refused(void **fixture)
{
    (void)fixture;
    static const char *const texts[] = {
        "",
        "17",
        "yesterday",

        "2026-11-23T11",
        "2026-13-01",
        "2026-02-29",
        "2026-02-30",
        "1969-12-31",
        "2026-11-23T24:00",
        "#0",
        "#",
        "@",
        "@-1",
        "2026-11-23T11:58:41.12",
        "17-",
        "17-x",
        "2026-11-23T11:5x",
        "2026-11-23T11:",
        "2026-11-23x11:58",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct place place;
        if (place_read(span_of(texts[i]), &place)) {
            fail_msg("\"%s\" is taken for a place", texts[i]);
        }
    }
}

static void test_place__entries_lie_before_at_or_behind_it(void **fixture)
{
    (void)fixture;
    struct place place;
    assert_true(place_read(SPAN("@1000"), &place));
    assert_true(place_compare(&place, (struct stream_id){999, 9}, 1) < 0);
    assert_true(place_compare(&place, (struct stream_id){1000, 9}, 1) == 0);
    assert_true(place_compare(&place, (struct stream_id){1001, 0}, 1) > 0);
    assert_true(place_read(SPAN("1000-5"), &place));
    assert_true(place_compare(&place, (struct stream_id){1000, 4}, 1) < 0);
    assert_true(place_compare(&place, (struct stream_id){1000, 5}, 1) == 0);
    assert_true(place_read(SPAN("#3"), &place));
    assert_true(place_compare(&place, (struct stream_id){0, 0}, 2) < 0);
    assert_true(place_compare(&place, (struct stream_id){0, 0}, 3) == 0);
    assert_true(place_compare(&place, (struct stream_id){0, 0}, 4) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place__a_time_is_read_from_the_day_to_the_ms),
        cmocka_unit_test(test_place__an_id_and_an_ordinal_are_told_apart),
        cmocka_unit_test(test_place__what_is_no_place_is_refused),
        cmocka_unit_test(test_place__entries_lie_before_at_or_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
