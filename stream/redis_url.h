/* SPDX-License-Identifier: MIT
 * The address of a Redis, as people write it. */
#ifndef SALVOR_STREAM_REDIS_URL_H
#define SALVOR_STREAM_REDIS_URL_H

#include "base/error.h"

#define REDIS_URL_PART_SIZE 256

/* Texts are 0-terminated; empty when not told. */
struct redis_url {
    char host[REDIS_URL_PART_SIZE];
    char path[108]; /* of a unix socket, at most what the address can hold; then `host` is empty */
    char user[REDIS_URL_PART_SIZE];
    char password[REDIS_URL_PART_SIZE];
    char database[8]; /* a number; "0" when not told */
    int port;         /* 6379 when not told */
};

/* redis://[[user]:password@]host[:port][/db] or unix:///path[?db=n]; an IPv6 address stands in
 * brackets; user and password may hold %XX. False: USAGE; the message never shows the password. */
__attribute__((warn_unused_result)) bool redis_url_parse(const char *text, struct redis_url *out,
                                                         struct error *error);

#endif
