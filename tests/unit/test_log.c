/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"

#define LINE_MAX_EXPECTED 4096

struct capture {
    int saved, reading;
    char text[3 * LINE_MAX_EXPECTED];
};

/* Stands between the log and the terminal: fd 2 is a pipe until capture_end. */
static void capture_begin(struct capture *capture)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    capture->saved = dup(STDERR_FILENO);
    assert_true(capture->saved >= 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    capture->reading = ends[0];
}

static void capture_end(struct capture *capture)
{
    assert_int_equal(dup2(capture->saved, STDERR_FILENO), STDERR_FILENO);
    close(capture->saved);
    size_t size = 0;
    ssize_t got;
    while ((got = read(capture->reading, capture->text + size, sizeof(capture->text) - 1 - size)) >
           0) {
        size += (size_t)got;
    }
    close(capture->reading);
    capture->text[size] = '\0';
}

static void test_log__one_logfmt_line_a_fact(void **fixture)
{
    (void)fixture;
    struct capture capture;
    log_configure(LOG_INFO, LOG_FORMAT_LOGFMT);
    capture_begin(&capture);
    log_fact(LOG_DEBUG, "not_shown", NULL);
    log_fact(LOG_WARNING, "took_over", "partition", log_number(0), "plain", "a/b:c", "empty", "",
             "blank", "two words", "hostile", "x\nlevel=error \"q\" \\ a=b\x1b", "nothing",
             (const char *)NULL, NULL);
    capture_end(&capture);
    /* time=2026-01-31T12:00:00.000Z */
    assert_memory_equal(capture.text, "time=2", 6);
    assert_int_equal(capture.text[28], 'Z');
    assert_string_equal(
        capture.text + 29,
        " level=warning event=took_over partition=0 plain=a/b:c empty=\"\""
        " blank=\"two words\""
        " hostile=\"x\\u000alevel=error \\\"q\\\" \\\\ a=b\\u001b\" nothing=\"\"\n");
}

static void test_log__json_lines_are_json(void **fixture)
{
    (void)fixture;
    struct capture capture;
    log_configure(LOG_DEBUG, LOG_FORMAT_JSON);
    capture_begin(&capture);
    log_fact(LOG_DEBUG, "fact", "key", "a\"b\xff", "count", log_number(18446744073709551615ULL),
             NULL);
    capture_end(&capture);
    struct error error = {0};
    struct json *line = json_parse(span_of(capture.text), &error);
    assert_non_null(line);
    assert_int_equal(json_count(line), 5);
    assert_true(span_is(json_text(json_find(line, SPAN("/level"))), "debug"));
    assert_true(span_is(json_text(json_find(line, SPAN("/event"))), "fact"));
    assert_true(span_is(json_text(json_find(line, SPAN("/key"))), "a\"b\xc3\xbf"));
    assert_non_null(strstr(capture.text, ",\"count\":18446744073709551615}\n"));
    assert_int_equal(strchr(capture.text, '\n') - capture.text, strlen(capture.text) - 1);
    json_destroy(line);
}

static void test_log__long_lines_say_that_they_were_cut(void **fixture)
{
    (void)fixture;
    char long_value[1500];
    memset(long_value, 'v', sizeof(long_value) - 1);
    long_value[sizeof(long_value) - 1] = '\0';
    for (enum log_format format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
        struct capture capture;
        log_configure(LOG_INFO, format);
        capture_begin(&capture);
        log_fact(LOG_INFO, "long", "a", long_value, "b", long_value, "c", long_value, "d", "x",
                 NULL);
        capture_end(&capture);
        const char *end = format == LOG_FORMAT_JSON ? "v\",\"cut\":\"true\"}\n" : "v cut=true\n";
        size_t size = strlen(capture.text);
        assert_true(size <= LINE_MAX_EXPECTED);
        assert_string_equal(capture.text + size - strlen(end), end);
    }
}

static void test_log__numbers_do_not_overwrite_each_other(void **fixture)
{
    (void)fixture;
    const char *first = log_number(1);
    const char *second = log_number(2);
    assert_string_equal(first, "1");
    assert_string_equal(second, "2");
}

static void test_log__a_broken_stderr_is_survived(void **fixture)
{
    (void)fixture;
    log_configure(LOG_INFO, LOG_FORMAT_LOGFMT);
    int saved = dup(STDERR_FILENO);
    int full = open("/dev/full", O_WRONLY);
    assert_true(saved >= 0 && full >= 0);
    assert_int_equal(dup2(full, STDERR_FILENO), STDERR_FILENO);
    log_fact(LOG_INFO, "lost", NULL);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(full);
    close(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__one_logfmt_line_a_fact),
        cmocka_unit_test(test_log__json_lines_are_json),
        cmocka_unit_test(test_log__long_lines_say_that_they_were_cut),
        cmocka_unit_test(test_log__numbers_do_not_overwrite_each_other),
        cmocka_unit_test(test_log__a_broken_stderr_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
