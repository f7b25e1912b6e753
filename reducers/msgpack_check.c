/* SPDX-License-Identifier: MIT
 * One pass over the heads of msgpack values, without a byte of memory but a stack of counts. */
#include "reducers/msgpack_check.h"

#include <stdint.h>

/* What follows a head byte of 0xc0 to 0xdf. */
struct head_rule {
    bool is_invalid;
    uint8_t count_bytes; /* of a big-endian count */
    uint8_t body_bytes;  /* of a body whose size does not depend on a count */
    uint8_t values_each; /* values for each one counted; 0: bytes are counted */
};

static const struct head_rule head_rules[] = {
    [0x00] = {0}, /* nil */
    [0x01] = {.is_invalid = true},
    [0x02] = {0}, /* false, true */
    [0x03] = {0},
    [0x04] = {.count_bytes = 1}, /* bin */
    [0x05] = {.count_bytes = 2},
    [0x06] = {.count_bytes = 4},
    [0x07] = {.count_bytes = 1, .body_bytes = 1}, /* ext: a type beside the counted bytes */
    [0x08] = {.count_bytes = 2, .body_bytes = 1},
    [0x09] = {.count_bytes = 4, .body_bytes = 1},
    [0x0a] = {.body_bytes = 4}, /* float */
    [0x0b] = {.body_bytes = 8},
    [0x0c] = {.body_bytes = 1}, /* uint */
    [0x0d] = {.body_bytes = 2},
    [0x0e] = {.body_bytes = 4},
    [0x0f] = {.body_bytes = 8},
    [0x10] = {.body_bytes = 1}, /* int */
    [0x11] = {.body_bytes = 2},
    [0x12] = {.body_bytes = 4},
    [0x13] = {.body_bytes = 8},
    [0x14] = {.body_bytes = 2}, /* fixext: a type and 1 to 16 bytes */
    [0x15] = {.body_bytes = 3},
    [0x16] = {.body_bytes = 5},
    [0x17] = {.body_bytes = 9},
    [0x18] = {.body_bytes = 17},
    [0x19] = {.count_bytes = 1}, /* str */
    [0x1a] = {.count_bytes = 2},
    [0x1b] = {.count_bytes = 4},
    [0x1c] = {.count_bytes = 2, .values_each = 1}, /* array */
    [0x1d] = {.count_bytes = 4, .values_each = 1},
    [0x1e] = {.count_bytes = 2, .values_each = 2}, /* map */
    [0x1f] = {.count_bytes = 4, .values_each = 2},
};

/* One value's head: how many bytes belong to it and how many values stand in it. */
struct head {
    bool is_container;
    uint64_t bytes;
    uint64_t values;
};

static bool skip_bytes(struct span *rest, uint64_t size)
{
    if (size > rest->size) {
        return false;
    }
    rest->data += size;
    rest->size -= (size_t)size;
    return true;
}

static bool read_counted(struct span *rest, const struct head_rule *rule, struct head *out)
{
    const unsigned char *bytes = (const unsigned char *)rest->data;
    if (rule->is_invalid || !skip_bytes(rest, rule->count_bytes)) {
        return false;
    }
    uint64_t count = 0;
    for (unsigned i = 0; i < rule->count_bytes; i++) {
        count = count << 8 | bytes[i];
    }
    out->is_container = rule->values_each > 0;
    out->bytes = out->is_container ? 0 : count + rule->body_bytes;
    out->values = count * rule->values_each;
    return true;
}

static bool read_head(struct span *rest, struct head *out)
{
    const char *at = rest->data;
    *out = (struct head){0};
    if (!skip_bytes(rest, 1)) {
        return false;
    }
    uint8_t byte = (uint8_t)*at;
    if (byte < 0x80 || byte >= 0xe0) { /* a small integer */
        return true;
    }
    if (byte >= 0xc0) {
        return read_counted(rest, &head_rules[byte - 0xc0], out);
    }
    if (byte >= 0xa0) {
        out->bytes = byte & 0x1f;
        return true;
    }
    out->is_container = true;
    out->values = byte & 0x0f;
    if (byte < 0x90) { /* a map: keys and values */
        out->values *= 2;
    }
    return true;
}

bool msgpack_check(struct span bytes)
{
    uint64_t missing[MSGPACK_DEPTH_MAX + 1] = {1}; /* values still to come, level by level */
    unsigned depth = 0;
    for (unsigned nodes = 0; nodes < MSGPACK_NODES_MAX; nodes++) {
        struct head head;
        if (!read_head(&bytes, &head) || !skip_bytes(&bytes, head.bytes)) {
            return false;
        }
        missing[depth]--;
        if (head.is_container) {
            if (depth == MSGPACK_DEPTH_MAX) {
                return false;
            }
            missing[++depth] = head.values;
        }
        while (depth > 0 && missing[depth] == 0) {
            depth--;
        }
        if (missing[depth] == 0) {
            return bytes.size == 0;
        }
    }
    return false;
}
