/* SPDX-License-Identifier: MIT */
#include "stream/names.h"

#include <stdio.h>

struct key_name names_stream(const char *prefix, uint32_t partition)
{
    struct key_name name;
    snprintf(name.text, sizeof(name.text), "%s:{%u}:events", prefix, partition);
    return name;
}

struct key_name names_control(const char *prefix, uint32_t partition)
{
    struct key_name name;
    snprintf(name.text, sizeof(name.text), "%s:{%u}:ctl", prefix, partition);
    return name;
}

struct key_name names_meta(const char *prefix)
{
    struct key_name name;
    snprintf(name.text, sizeof(name.text), "%s:meta", prefix);
    return name;
}
