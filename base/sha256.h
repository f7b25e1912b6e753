/* SPDX-License-Identifier: MIT
 * SHA-256 through libcrypto. */
#ifndef SALVOR_BASE_SHA256_H
#define SALVOR_BASE_SHA256_H

#include "base/bytes.h"

#define SHA256_SIZE      32
#define SHA256_TEXT_SIZE 64

struct sha256 {
    unsigned char bytes[SHA256_SIZE];
};

struct sha256_text {
    char text[SHA256_TEXT_SIZE + 1]; /* lower-case hexadecimal, 0-terminated */
};

struct sha256 sha256_of(struct span span);
/* The digest of `head`'s bytes followed by `span`: one link of a chain. */
struct sha256 sha256_chain(const struct sha256 *head, struct span span);
/* HMAC-SHA-256 (RFC 2104): what nobody can compute, or tell the text of, without the key. */
struct sha256 sha256_hmac(struct span key, struct span text);
struct sha256_text sha256_text(const struct sha256 *digest);
bool sha256_equal(const struct sha256 *a, const struct sha256 *b);

#endif
