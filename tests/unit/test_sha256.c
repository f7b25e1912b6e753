/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/sha256.h"

/* The examples of FIPS 180-2. */
static void test_sha256__known_digests(void **fixture)
{
    (void)fixture;
    struct sha256 digest = sha256_of(SPAN("abc"));
    assert_string_equal(sha256_text(&digest).text,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest = sha256_of(SPAN("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"));
    assert_string_equal(sha256_text(&digest).text,
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    digest = sha256_of(SPAN_NONE);
    assert_string_equal(sha256_text(&digest).text,
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_sha256__chain_is_the_digest_of_both(void **fixture)
{
    (void)fixture;
    struct sha256 head = sha256_of(SPAN("abc"));
    char joined[SHA256_SIZE + 3];
    memcpy(joined, head.bytes, SHA256_SIZE);
    memcpy(joined + SHA256_SIZE, "row", 3);
    struct sha256 expected = sha256_of((struct span){joined, sizeof(joined)});
    struct sha256 linked = sha256_chain(&head, SPAN("row"));
    assert_true(sha256_equal(&linked, &expected));
    assert_false(sha256_equal(&linked, &head));
}

/* Examples 1, 2 and 6 of RFC 4231. */
static void test_sha256__known_hmacs(void **fixture)
{
    (void)fixture;
    char key[131];
    memset(key, 0x0b, 20);
    struct sha256 digest = sha256_hmac((struct span){key, 20}, SPAN("Hi There"));
    assert_string_equal(sha256_text(&digest).text,
                        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    digest = sha256_hmac(SPAN("Jefe"), SPAN("what do ya want for nothing?"));
    assert_string_equal(sha256_text(&digest).text,
                        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    digest = sha256_hmac((struct span){key, sizeof(key)},
                         SPAN("Test Using Larger Than Block-Size Key - Hash Key First"));
    assert_string_equal(sha256_text(&digest).text,
                        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256__known_digests),
        cmocka_unit_test(test_sha256__chain_is_the_digest_of_both),
        cmocka_unit_test(test_sha256__known_hmacs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
