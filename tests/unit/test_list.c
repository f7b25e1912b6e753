/* SPDX-License-Identifier: MIT
 * The intrusive list against an array that holds the same elements. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "reducers/list.h"

#define ELEMENTS   32
#define OPERATIONS 20000

struct element {
    int number;
    struct link link;
};

static void assert_holds(const struct list *list, const struct element *const *expected,
                         size_t count)
{
    assert_int_equal(list->count, count);
    const struct link *link = list->first;
    for (size_t i = 0; i < count; i++, link = link->next) {
        assert_ptr_equal(LIST_ELEMENT(link, const struct element, link), expected[i]);
        assert_true(link->is_linked);
        assert_ptr_equal(link->previous, i == 0 ? NULL : &expected[i - 1]->link);
    }
    assert_null(link);
    assert_ptr_equal(list->last, count == 0 ? NULL : &expected[count - 1]->link);
}

static void test_list__behaves_as_an_array(void **fixture)
{
    (void)fixture;
    struct element elements[ELEMENTS];
    const struct element *expected[ELEMENTS];
    struct list list = {0};
    size_t count = 0;
    memset(elements, 0, sizeof elements);
    for (uint64_t step = 0; step < OPERATIONS; step++) {
        struct element *element = &elements[hash_number(1, step) % ELEMENTS];
        if (!element->link.is_linked) {
            list_append(&list, &element->link);
            expected[count++] = element;
        } else {
            size_t place = 0;
            while (expected[place] != element) {
                place++;
            }
            list_remove(&list, &element->link);
            memmove(&expected[place], &expected[place + 1],
                    (count - place - 1) * sizeof expected[0]);
            count--;
        }
        assert_holds(&list, expected, count);
    }
}

static void test_list__removing_what_is_not_linked_changes_nothing(void **fixture)
{
    (void)fixture;
    struct element first = {.number = 1};
    struct element second = {.number = 2};
    struct list list = {0};
    list_append(&list, &first.link);
    list_remove(&list, &second.link);
    assert_int_equal(list.count, 1);
    assert_int_equal(LIST_ELEMENT(list.first, struct element, link)->number, 1);
}

static void test_list__no_link_is_no_element(void **fixture)
{
    (void)fixture;
    struct link *none = NULL;
    assert_null(LIST_ELEMENT(none, struct element, link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list__behaves_as_an_array),
        cmocka_unit_test(test_list__removing_what_is_not_linked_changes_nothing),
        cmocka_unit_test(test_list__no_link_is_no_element),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
