/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/allow.h"

static struct allow list_of(const char *const *entries)
{
    struct allow list = {0};
    struct error error = {0};
    for (; *entries != NULL; entries++) {
        assert_true(allow_add(&list, *entries, &error));
    }
    return list;
}

static bool peer_passes(const struct allow *list, const char *host, const char *address)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &ipv4.sin_addr) == 1) {
        return allow_peer(list, host, (const struct sockaddr *)&ipv4);
    }
    assert_int_equal(inet_pton(AF_INET6, address, &ipv6.sin6_addr), 1);
    return allow_peer(list, host, (const struct sockaddr *)&ipv6);
}

static void test_allow__names_and_addresses_are_compared(void **fixture)
{
    (void)fixture;
    struct allow list = list_of((const char *const[]){"gpu7.example", "10.0.0.7", "[::1]", NULL});
    assert_true(allow_host(&list, "GPU7.example", 80));
    assert_true(allow_host(&list, "10.0.0.7", 80));
    assert_false(allow_host(&list, "10.0.0.8", 80));
    assert_true(allow_host(&list, "[::1]", 80));
    assert_true(allow_host(&list, "[::ffff:10.0.0.7]", 80));
    assert_false(allow_host(&list, "[::2]", 80));
    allow_fini(&list);
    list = list_of((const char *const[]){"gpu7.example", NULL});
    assert_false(allow_host(&list, "gpu8.example", 80));
    assert_false(allow_host(&list, "10.0.0.7", 80));
    allow_fini(&list);
    assert_false(allow_host(&list, "anything", 80));
}

static void test_allow__blocks_hold_addresses(void **fixture)
{
    (void)fixture;
    struct allow list =
        list_of((const char *const[]){"10.0.0.0/8", "192.168.4.0/22", "fd00::/9", NULL});
    assert_true(allow_host(&list, "10.255.1.2", 80));
    assert_false(allow_host(&list, "11.0.0.0", 80));
    assert_true(allow_host(&list, "192.168.7.255", 80));
    assert_false(allow_host(&list, "192.168.8.0", 80));
    assert_true(allow_host(&list, "[fd7f::1]", 80));
    assert_false(allow_host(&list, "[fd80::1]", 80));
    assert_true(peer_passes(&list, "a.name", "10.1.2.3"));
    assert_true(peer_passes(&list, "a.name", "::ffff:10.1.2.3"));
    assert_false(peer_passes(&list, "a.name", "127.0.0.1"));
    allow_fini(&list);
    list = list_of((const char *const[]){"0.0.0.0/0", NULL});
    assert_true(peer_passes(&list, "a.name", "8.8.8.8"));
    assert_false(peer_passes(&list, "a.name", "2001::1"));
    allow_fini(&list);
}

static void test_allow__a_name_is_judged_by_its_address(void **fixture)
{
    (void)fixture;
    struct allow list = list_of((const char *const[]){"gpu7.example", "10.0.0.0/8", NULL});
    assert_true(allow_host(&list, "other.example", 80)); /* its address will tell */
    assert_false(peer_passes(&list, "other.example", "127.0.0.1"));
    assert_true(peer_passes(&list, "other.example", "10.0.0.1"));
    assert_true(peer_passes(&list, "gpu7.example", "192.0.2.1"));
    static const char *const suspects[] = {"169.254.169.254", "0.0.0.0",      "224.0.0.1",
                                           "255.255.255.255", "::",           "fe80::1",
                                           "ff02::1",         "fd00:ec2::254"};
    for (size_t i = 0; i < sizeof(suspects) / sizeof(suspects[0]); i++) {
        assert_false(peer_passes(&list, "gpu7.example", suspects[i]));
    }
    struct sockaddr unix_peer = {.sa_family = AF_UNIX};
    assert_false(allow_peer(&list, "gpu7.example", &unix_peer));
    allow_fini(&list);
}

static void test_allow__an_entry_with_a_port_is_that_port_alone(void **fixture)
{
    (void)fixture;
    struct allow list =
        list_of((const char *const[]){"gpu7.example:8188", "10.0.0.0/8:8188", "[::1]:8188",
                                      "[fd00::]/9:1", "any.example", "192.0.2.1", NULL});
    static const struct {
        const char *host;
        uint16_t port;
        bool is_allowed, is_meant;
    } rows[] = {
        {"GPU7.example", 8188, true, true},   {"10.9.9.9", 8188, true, true},
        {"10.9.9.9", 443, false, false},      {"[::1]", 8188, true, true},
        {"[::1]", 80, false, false},          {"[fd7f::1]", 1, true, true},
        {"any.example", 8188, true, false},   {"192.0.2.1", 8188, true, false},
        {"other.example", 8188, true, false}, /* its address will tell */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(allow_host(&list, rows[i].host, rows[i].port), rows[i].is_allowed);
        assert_int_equal(allow_place(&list, rows[i].host, rows[i].port), rows[i].is_meant);
    }
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(8188)};
    assert_int_equal(inet_pton(AF_INET, "10.1.2.3", &peer.sin_addr), 1);
    assert_true(allow_peer(&list, "other.example", (const struct sockaddr *)&peer));
    peer.sin_port = htons(8189);
    assert_false(allow_peer(&list, "other.example", (const struct sockaddr *)&peer));
    assert_false(allow_peer(&list, "gpu7.example", (const struct sockaddr *)&peer));
    allow_fini(&list);
}

static void test_allow__what_is_no_host_is_refused(void **fixture)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "is no host"},
        {"a b", "is no host; allowed: a name, an address, or a block such as 10.0.0.0/8"},
        {"http://x", "is no host"},
        {"name/8", "is no host"},
        {"name:0", "is no host"},
        {"name:65536", "is no host"},
        {"name:", "is no host"},
        {":80", "is no host"},
        {"10.0.0.0/33", "a number from 0 to 32"},
        {"10.0.0.0/", "a number from 0 to 32"},
        {"::/129", "a number from 0 to 128"},
    };
    (void)fixture;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct allow list = {0};
        struct error error = {0};
        assert_false(allow_add(&list, rows[i].text, &error));
        assert_non_null(strstr(error.message, rows[i].message));
        allow_fini(&list);
    }
}

static void test_allow__the_list_is_bounded(void **fixture)
{
    (void)fixture;
    struct allow list = {0};
    struct error error = {0};
    for (int i = 0; i < ALLOW_ENTRIES_MAX; i++) {
        assert_true(allow_add(&list, "10.0.0.1", &error));
    }
    assert_false(allow_add(&list, "10.0.0.1", &error));
    allow_fini(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allow__names_and_addresses_are_compared),
        cmocka_unit_test(test_allow__blocks_hold_addresses),
        cmocka_unit_test(test_allow__a_name_is_judged_by_its_address),
        cmocka_unit_test(test_allow__an_entry_with_a_port_is_that_port_alone),
        cmocka_unit_test(test_allow__what_is_no_host_is_refused),
        cmocka_unit_test(test_allow__the_list_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
