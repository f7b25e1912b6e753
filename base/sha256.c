/* SPDX-License-Identifier: MIT */
#include "base/sha256.h"

#include <pthread.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/check.h"

/* Fetched once: libcrypto's implicit look-up costs more than the digest of a short text. */
static EVP_MD *algorithm;
static pthread_once_t algorithm_once = PTHREAD_ONCE_INIT;

static void fetch_algorithm(void)
{
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(algorithm != NULL);
}

static struct sha256 digest_of(struct span first, struct span second)
{
    CHECK(pthread_once(&algorithm_once, fetch_algorithm) == 0);
    struct sha256 result;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(context != NULL);
    CHECK(EVP_DigestInit_ex(context, algorithm, NULL) == 1);
    CHECK(EVP_DigestUpdate(context, first.data, first.size) == 1);
    CHECK(EVP_DigestUpdate(context, second.data, second.size) == 1);
    CHECK(EVP_DigestFinal_ex(context, result.bytes, NULL) == 1);
    EVP_MD_CTX_free(context);
    return result;
}

struct sha256 sha256_of(struct span span)
{
    return digest_of(span, SPAN_NONE);
}

struct sha256 sha256_chain(const struct sha256 *head, struct span span)
{
    return digest_of((struct span){(const char *)head->bytes, sizeof(head->bytes)}, span);
}

struct sha256 sha256_hmac(struct span key, struct span text)
{
    enum { BLOCK_SIZE = 64, INNER = 0x36, OUTER = 0x5c };
    char inner[BLOCK_SIZE] = {0}, outer[BLOCK_SIZE];
    struct sha256 digest = sha256_of(key);
    bool is_short = key.size <= BLOCK_SIZE;
    if (key.size > 0) {
        memcpy(inner, is_short ? key.data : (const char *)digest.bytes,
               is_short ? key.size : SHA256_SIZE);
    }
    for (size_t index = 0; index < BLOCK_SIZE; index++) {
        outer[index] = (char)(inner[index] ^ OUTER);
        inner[index] = (char)(inner[index] ^ INNER);
    }
    digest = digest_of((struct span){inner, BLOCK_SIZE}, text);
    return digest_of((struct span){outer, BLOCK_SIZE},
                     (struct span){(const char *)digest.bytes, SHA256_SIZE});
}

struct sha256_text sha256_text(const struct sha256 *digest)
{
    static const char digits[] = "0123456789abcdef";
    struct sha256_text text = {.text = {0}};
    for (size_t index = 0; index < SHA256_SIZE; index++) {
        text.text[2 * index] = digits[digest->bytes[index] >> 4];
        text.text[2 * index + 1] = digits[digest->bytes[index] & 15];
    }
    return text;
}

bool sha256_equal(const struct sha256 *a, const struct sha256 *b)
{
    return memcmp(a->bytes, b->bytes, SHA256_SIZE) == 0;
}
