/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash.h"

#define VISITS 3

/* Runs a child with this plan that visits `committed` VISITS times, each time after `read`. Result:
 * its wait status; `text` gets its stderr, `*visits` how many it survived. */
static int run_child(const char *plan, char *text, size_t text_size, size_t *visits)
{
    int errors[2], marks[2];
    assert_int_equal(pipe(errors), 0);
    assert_int_equal(pipe(marks), 0);
    fflush(NULL); /* The child ends by exit, so that its coverage is written. */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(errors[1], STDERR_FILENO);
        setenv("SALVOR_CRASH_POINT", plan, 1);
        for (int visit = 0; visit < VISITS; visit++) {
            crash_point(CRASH_READ);
            crash_point(CRASH_COMMITTED);
            if (write(marks[1], "v", 1) != 1) {
                exit(1);
            }
        }
        exit(0);
    }
    close(errors[1]);
    close(marks[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    ssize_t size = read(errors[0], text, text_size - 1);
    assert_true(size >= 0);
    text[size] = '\0';
    char survived[VISITS + 1];
    size = read(marks[0], survived, sizeof(survived));
    assert_true(size >= 0);
    *visits = (size_t)size;
    close(errors[0]);
    close(marks[0]);
    return status;
}

static void test_crash__kills_at_the_named_visit(void **fixture)
{
    (void)fixture;
    for (size_t wanted = 1; wanted <= VISITS; wanted++) {
        char plan[64], text[512];
        size_t visits;
        snprintf(plan, sizeof(plan), "committed:%zu", wanted);
        int status = run_child(plan, text, sizeof(text), &visits);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGKILL);
        assert_int_equal(visits, wanted - 1);
        assert_non_null(strstr(text, "event=crash_point point=committed\n"));
    }
}

static void test_crash__default_is_the_first_visit(void **fixture)
{
    (void)fixture;
    char text[512];
    size_t visits;
    int status = run_child("committed", text, sizeof(text), &visits);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(visits, 0);
}

static void test_crash__other_plans_kill_nobody(void **fixture)
{
    (void)fixture;
    static const struct {
        const char *plan;
        bool is_known;
    } plans[] = {
        {"", true},        {"snapshot", true},    {"committed:4", true},
        {"commit", false}, {"committed:", false}, {"committed:0", false},
        {"none", false},   {":1", false},
    };
    for (size_t index = 0; index < sizeof(plans) / sizeof(plans[0]); index++) {
        char text[512];
        size_t visits;
        int status = run_child(plans[index].plan, text, sizeof(text), &visits);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(visits, VISITS);
        assert_int_equal(strstr(text, "event=crash_point_unknown") == NULL, plans[index].is_known);
    }
}

static void test_crash__names_follow_the_order_contract(void **fixture)
{
    (void)fixture;
    assert_string_equal(crash_point_text(CRASH_READ), "read");
    assert_string_equal(crash_point_text(CRASH_ANSWER_APPENDED), "answer_appended");
    for (enum crash_point point = CRASH_NONE; point < CRASH_POINT_COUNT; point++) {
        assert_non_null(crash_point_text(point));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash__kills_at_the_named_visit),
        cmocka_unit_test(test_crash__default_is_the_first_visit),
        cmocka_unit_test(test_crash__other_plans_kill_nobody),
        cmocka_unit_test(test_crash__names_follow_the_order_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
