/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"

static void break_condition(void)
{
    CHECK(1 + 1 == 2);
    CHECK(1 + 1 == 3);
}

static void outgrow_buffer(void)
{
    struct buffer buffer = {.limit = 8};
    buffer_put_text(&buffer, "12345678");
    buffer_put_byte(&buffer, '9');
}

/* Runs `act` in a child; it must abort after a line on stderr that holds `text`. */
static void assert_aborts(void (*act)(void), const char *text)
{
    int errors[2];
    assert_int_equal(pipe(errors), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* cmocka's own handler would turn the signal into a failed test. */
        signal(SIGABRT, SIG_DFL);
        dup2(errors[1], STDERR_FILENO);
        act();
        _exit(0);
    }
    close(errors[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    char line[512] = {0};
    assert_true(read(errors[0], line, sizeof(line) - 1) > 0);
    close(errors[0]);
    assert_non_null(strstr(line, text));
}

static void test_check__a_bug_is_named_and_ends_the_process(void **fixture)
{
    (void)fixture;
    assert_aborts(break_condition, "condition=\"1 + 1 == 3\" at=tests/unit/test_check.c:");
}

static void test_check__a_buffer_never_outgrows_its_limit(void **fixture)
{
    (void)fixture;
    assert_aborts(outgrow_buffer, "at=base/bytes.c:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check__a_bug_is_named_and_ends_the_process),
        cmocka_unit_test(test_check__a_buffer_never_outgrows_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
