/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/yaml.h"

static const struct yaml_node *parse(struct arena *arena, const char *text)
{
    struct error error = {0};
    const struct yaml_node *root = yaml_parse(arena, span_of(text), &error);
    if (root == NULL) {
        fail_msg("%s", error.message);
    }
    return root;
}

static void assert_refused(struct span text, const char *message)
{
    struct arena arena = {0};
    struct error error = {0};
    assert_null(yaml_parse(&arena, text, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    if (strncmp(error.message, message, strlen(message)) != 0) {
        fail_msg("expected \"%s\", got \"%s\"", message, error.message);
    }
    arena_fini(&arena);
}

static void test_yaml__a_tree_that_knows_its_lines(void **fixture)
{
    (void)fixture;
    struct arena arena = {0};
    const struct yaml_node *root = parse(&arena, "# comment\n"
                                                 "salvor:\n"
                                                 "  partitions: 1\n"
                                                 "  data: \"1\"\n"
                                                 "services:\n"
                                                 "  comfyui: {base: 'http://x:1', allow: [a, b]}\n"
                                                 "empty:\n"
                                                 "block: |\n"
                                                 "  two\n"
                                                 "  lines\n");
    assert_int_equal(root->kind, YAML_KIND_MAPPING);
    assert_int_equal(root->count, 4);
    assert_true(span_is(root->first->key, "salvor"));
    assert_int_equal(root->first->line, 2);
    assert_true(span_is(root->first->next->key, "services"));
    assert_int_equal(root->first->next->line, 5);

    const struct yaml_node *salvor = yaml_get(root, "salvor");
    const struct yaml_node *partitions = yaml_get(salvor, "partitions");
    assert_int_equal(partitions->kind, YAML_KIND_SCALAR);
    assert_int_equal(partitions->line, 3);
    assert_string_equal(partitions->text.data, "1");
    assert_false(partitions->is_quoted);
    assert_true(yaml_get(salvor, "data")->is_quoted);
    assert_null(yaml_get(salvor, "nothing"));
    assert_null(yaml_get(partitions, "nothing"));
    assert_null(yaml_get(NULL, "nothing"));

    const struct yaml_node *allow =
        yaml_get(yaml_get(yaml_get(root, "services"), "comfyui"), "allow");
    assert_int_equal(allow->kind, YAML_KIND_SEQUENCE);
    assert_int_equal(allow->count, 2);
    assert_true(span_is(allow->first->text, "a"));
    assert_int_equal(allow->first->key.size, 0);
    assert_true(span_is(allow->first->next->text, "b"));
    assert_null(allow->first->next->next);

    assert_int_equal(yaml_get(root, "empty")->text.size, 0);
    assert_false(yaml_get(root, "empty")->is_quoted);
    assert_true(span_is(yaml_get(root, "block")->text, "two\nlines\n"));
    assert_true(yaml_get(root, "block")->is_quoted);
    arena_fini(&arena);
}

static void test_yaml__an_empty_file_sets_nothing(void **fixture)
{
    (void)fixture;
    struct arena arena = {0};
    static const char *const texts[] = {"", "\n\n", "# only a comment\n", NULL};
    for (size_t index = 0; index < 4; index++) {
        const struct yaml_node *root = parse(&arena, texts[index]);
        assert_int_equal(root->kind, YAML_KIND_MAPPING);
        assert_int_equal(root->count, 0);
    }
    arena_fini(&arena);
}

static void test_yaml__mistakes_name_their_line(void **fixture)
{
    (void)fixture;
    assert_refused(SPAN("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n"),
                   "line 5: \"c\" was already given in line 3");
    assert_refused(SPAN("a: 1\n\"a\": 2\n"), "line 2: \"a\" was already given in line 1");
    assert_refused(SPAN("a: 1\nb: &x 2\n"), "line 2: anchors");
    assert_refused(SPAN("a: &x 1\nb: *x\n"), "line 1: anchors");
    assert_refused(SPAN("a: &x [1]\n"), "line 1: anchors");
    assert_refused(SPAN("a: 1\nb: &x {c: 1}\n"), "line 2: anchors");
    assert_refused(SPAN("a: 1\n\nb: !!int 2\n"), "line 3: tags");
    assert_refused(SPAN("a: !x [1]\n"), "line 1: tags");
    assert_refused(SPAN("a: !x {}\n"), "line 1: tags");
    assert_refused(SPAN("? [a, b]\n: 1\n"), "line 1: a key must be a word");
    assert_refused(SPAN("a: 1\n---\nb: 2\n"), "line 2: a second document");
    assert_refused(SPAN("a: 1\nb: [1, 2\n"), "line 3: ");
    assert_refused(SPAN("a: 1\n\tb: 2\n"), "line 2: ");
    assert_refused(SPAN("a: 1\n  b: 2\n"), "line 2: ");
    assert_refused(SPAN("a: 1\nb: *unknown\n"), "line 2: anchors");
    assert_refused(SPAN("a: \"unfinished\n"), "line ");
    assert_refused(SPAN("a: 1\nb: \xff\n"), "line ");
    assert_refused(SPAN("a: \0\n"), "line ");
}

static void test_yaml__depth_size_and_entries_are_bounded(void **fixture)
{
    (void)fixture;
    struct arena arena = {0};
    char nested[2 * (YAML_DEPTH_MAX + 1) + 1] = {0};
    memset(nested, '[', YAML_DEPTH_MAX);
    memset(nested + YAML_DEPTH_MAX, ']', YAML_DEPTH_MAX);
    parse(&arena, nested);
    memset(nested, '[', YAML_DEPTH_MAX + 1);
    memset(nested + YAML_DEPTH_MAX + 1, ']', YAML_DEPTH_MAX + 1);
    assert_refused(span_of(nested), "line 1: nested too deeply");
    arena_fini(&arena);

    struct buffer text = {0};
    for (unsigned entry = 0; entry <= YAML_ENTRIES_MAX; entry++) {
        buffer_put_text(&text, "k");
        buffer_put_decimal(&text, entry);
        buffer_put_text(&text, ": v\n");
    }
    assert_refused(buffer_span(&text), "line 4097: too many keys");
    buffer_reset(&text);
    memset(buffer_reserve(&text, YAML_SIZE_MAX + 1), '#', YAML_SIZE_MAX + 1);
    text.size = YAML_SIZE_MAX + 1;
    assert_refused(buffer_span(&text), "line 1: larger than 1048576 bytes");
    buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml__a_tree_that_knows_its_lines),
        cmocka_unit_test(test_yaml__an_empty_file_sets_nothing),
        cmocka_unit_test(test_yaml__mistakes_name_their_line),
        cmocka_unit_test(test_yaml__depth_size_and_entries_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
