/* SPDX-License-Identifier: MIT */
#include "tests/lib/reply.h"

#include <hiredis/hiredis.h>

bool reply_is_nil(const struct redis_reply *reply)
{
    return reply == NULL || ((const redisReply *)reply)->type == REDIS_REPLY_NIL;
}

int64_t reply_number(const struct redis_reply *reply)
{
    const redisReply *number = (const redisReply *)reply;
    return number != NULL && number->type == REDIS_REPLY_INTEGER ? number->integer : 0;
}
