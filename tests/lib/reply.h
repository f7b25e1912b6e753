/* SPDX-License-Identifier: MIT
 * What only tests ask of a reply of Redis. */
#ifndef SALVOR_TESTS_LIB_REPLY_H
#define SALVOR_TESTS_LIB_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "stream/redis.h"

bool reply_is_nil(const struct redis_reply *reply);
/* 0 when it is no number. */
int64_t reply_number(const struct redis_reply *reply);

#endif
