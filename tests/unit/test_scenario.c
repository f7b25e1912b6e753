/* SPDX-License-Identifier: MIT
 * What a scenario's lines mean, and how a line that means nothing is refused. That scenarios give
 * their rows is tested by tests/scenarios. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reducers/state.h"
#include "replay/scenario.h"

static void keep_rows(struct scenario *scenario)
{
    scenario_put_rows(scenario->user, &scenario->output);
}

/* Plays the text; the rows it gives, 0-terminated, in `rows`. */
static bool play(const char *text, struct buffer *rows, struct error *error)
{
    struct scenario scenario;
    buffer_reset(rows);
    scenario_init(&scenario, "file.txt", keep_rows);
    scenario.user = rows;
    scenario.entry_max = 100;
    bool is_played = scenario_play(&scenario, span_of(text), NULL, NULL, error);
    scenario_fini(&scenario);
    buffer_put_byte(rows, '\0');
    return is_played;
}

static void test_scenario__a_bad_line_is_refused_with_what_is_allowed(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"# fine\n\njob.submitted job", "file.txt:3: \"job\": allowed here: name=value"},
        {"x a=\\q", "file.txt:1: \"\\\\q\": an unknown escape; allowed behind a backslash: n"},
        {"x a=\\x0g", "an unknown escape"},
        {"x a=\"b", "the quote is not closed before a blank"},
        {"x a=\"b\"c", "the quote is not closed before a blank"},
        {"run 5s", "\"5s\": allowed: run MS, up to 86400000"},
        {"run 86400001", "allowed: run MS"},
        {"epoch\nrun 26000", "file.txt:2: \"\": too many entries; allowed: up to 100"},
        {"answer j1 verdict=failed", "\"j1\": no question is open about it here"},
        {"settle \"w 1\" applied", "\"w 1\": no effect is open about it here"},
        {"settle \"w 1", "the quote is not closed"},
        {"policy preset=wild", "\"wild\": no such preset; allowed: safe, seed"},
        {"policy backoff=1", "\"backoff\": no such key; allowed: preset=safe"},
        {"policy backoff_ms=soon", "\"soon\": no value of backoff_ms; allowed: a number up to "},
        {"policy on_running=run", "\"run\": no value of on_running; allowed: wait requeue"},
        {"policy volatile=", "allowed: volatile=NAME"},
        {"wrong_bytes c", "\"c\": allowed: pairs of hexadecimal digits"},
        {"wrong_entry C0", "\"C0\": allowed: pairs of hexadecimal digits"},
    };
    struct buffer rows = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error error = {0};
        assert_false(play(cases[i].text, &rows, &error));
        assert_int_equal(error.code, ERROR_USAGE);
        if (strstr(error.message, cases[i].message) == NULL) {
            fail_msg("%s: %s", cases[i].text, error.message);
        }
    }
    buffer_fini(&rows);
}

static void test_scenario__too_many_fields_are_refused(void **fixture)
{
    (void)fixture;
    struct buffer text = {0}, rows = {0};
    struct error error = {0};
    buffer_put_text(&text, "x");
    for (int i = 0; i < 100; i++) {
        buffer_put_text(&text, " a=b");
    }
    buffer_put_byte(&text, '\0');
    assert_false(play(text.data, &rows, &error));
    assert_non_null(strstr(error.message, "too many fields"));
    buffer_fini(&rows);
    buffer_fini(&text);
}

static void test_scenario__words_may_be_quoted_and_escaped(void **fixture)
{
    (void)fixture;
    struct buffer rows = {0};
    struct error error = {0};
    assert_true(play("epoch\n"
                     "policy text=\"effects=apply\\nbackoff_ms=0\\n\" origin=operator\n"
                     "job.claimed worker=\"w \\\"1\\\"\" job=\\x6a\\\\ attempt=1 claim=c\n"
                     "worker.lost worker=\"w \\x221\\x22\"\n"
                     "settle  \"w \\\"1\\\"\"   applied found=\"a\\nb\"\n"
                     "settle j\\\\ applied\n----\nnot played",
                     &rows, &error));
    assert_non_null(strstr(rows.data, "requeue worker_lost job=j\\ worker=w \"1\" attempt=1\n"));
    assert_non_null(strstr(rows.data, "  settled 0.1.4-0.1.1 release applied\n"));
    assert_non_null(strstr(rows.data, "  settled 0.1.4-0.2.1 requeue applied\n"));
    buffer_fini(&rows);
}

static void test_scenario__any_entry_can_be_written(void **fixture)
{
    (void)fixture;
    struct buffer rows = {0};
    struct error error = {0};
    /* type=tick twice; then a field e that is no map */
    assert_true(play("wrong_entry 02047479706504746963"
                     "6b0474797065047469636b\nwrong_bytes c0",
                     &rows, &error));
    assert_non_null(strstr(rows.data, "{\"problem\":\"repeated\",\"field\":\"type\"}"));
    assert_non_null(strstr(rows.data, "{\"problem\":\"malformed\",\"field\":\"e\"}"));
    buffer_fini(&rows);
}

static void test_scenario__a_file_that_is_not_there_is_told(void **fixture)
{
    (void)fixture;
    struct buffer text = {0};
    struct error error = {0};
    assert_false(scenario_read_file("/nowhere/file.txt", &text, &error));
    assert_int_equal(error.code, ERROR_IO);
    assert_false(scenario_read_file("/dev/zero", &text, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    assert_non_null(strstr(error.message, "larger than a scenario may be"));
    buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenario__a_bad_line_is_refused_with_what_is_allowed),
        cmocka_unit_test(test_scenario__too_many_fields_are_refused),
        cmocka_unit_test(test_scenario__words_may_be_quoted_and_escaped),
        cmocka_unit_test(test_scenario__any_entry_can_be_written),
        cmocka_unit_test(test_scenario__a_file_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
