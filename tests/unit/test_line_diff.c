/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replay/line_diff.h"

static void assert_hunks(const char *before, const char *after, const char *wanted)
{
    struct buffer out = {0};
    line_diff_put(&out, span_of(before), span_of(after));
    buffer_put_byte(&out, '\0');
    assert_string_equal(out.data, wanted);
    buffer_fini(&out);
}

static void test_line_diff__equal_texts_give_nothing(void **fixture)
{
    (void)fixture;
    assert_hunks("", "", "");
    assert_hunks("a\nb\n", "a\nb\n", "");
}

static void test_line_diff__shows_what_was_added_and_removed(void **fixture)
{
    (void)fixture;
    assert_hunks("", "a\n", "@@ -0,0 +1,1 @@\n+a\n");
    assert_hunks("a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b\n");
    assert_hunks("a\nb\nc\n", "a\nX\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+X\n c\n");
    assert_hunks("a\nb\nc\n", "b\nc\nd\n", "@@ -1,3 +1,3 @@\n-a\n b\n c\n+d\n");
}

static void test_line_diff__keeps_three_lines_of_context_and_parts_far_changes(void **fixture)
{
    (void)fixture;
    assert_hunks("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n",
                 "1\n2\n3\n4\nX\n6\n7\n8\n9\n10\n11\n12\nY\n14\n",
                 "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+X\n 6\n 7\n 8\n"
                 "@@ -10,5 +10,5 @@\n 10\n 11\n 12\n-13\n+Y\n 14\n");
    /* Six equal lines between them: one hunk. */
    assert_hunks("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
                 "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n");
}

static void test_line_diff__tells_very_long_changes_whole(void **fixture)
{
    (void)fixture;
    struct buffer before = {0}, after = {0}, out = {0};
    for (int i = 0; i < 3000; i++) {
        buffer_put_text(&before, "a\nb\n");
        buffer_put_text(&after, "b\nc\n");
    }
    buffer_put_text(&before, "a\n");
    line_diff_put(&out, buffer_span(&before), buffer_span(&after));
    assert_true(span_holds(buffer_span(&out), SPAN("@@ -1,6001 +1,6000 @@\n-a\n-b\n")));
    assert_true(span_holds(buffer_span(&out), SPAN("-a\n+b\n+c\n")));
    buffer_fini(&out);
    buffer_fini(&after);
    buffer_fini(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_diff__equal_texts_give_nothing),
        cmocka_unit_test(test_line_diff__shows_what_was_added_and_removed),
        cmocka_unit_test(test_line_diff__keeps_three_lines_of_context_and_parts_far_changes),
        cmocka_unit_test(test_line_diff__tells_very_long_changes_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
