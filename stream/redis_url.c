/* SPDX-License-Identifier: MIT */
#include "stream/redis_url.h"

#include <string.h>

#include "base/bytes.h"

#define PORT_DEFAULT 6379
#define PORT_MAX     65535
#define DATABASE_MAX 99999

static bool take_prefix(struct span *rest, struct span prefix)
{
    if (rest->size < prefix.size || memcmp(rest->data, prefix.data, prefix.size) != 0) {
        return false;
    }
    *rest = (struct span){rest->data + prefix.size, rest->size - prefix.size};
    return true;
}

static bool copy_text(struct span text, char *out, size_t size)
{
    if (text.size >= size || (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)) {
        return false;
    }
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
    return true;
}

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);
    return found == NULL ? -1 : (int)(found - digits) % 16;
}

static bool copy_decoded(struct span text, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (used + 1 == size) {
            return false;
        }
        char byte = text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.size ? hex_value(text.data[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) {
                return false;
            }
            byte = (char)(high * 16 + low);
            i += 2;
        }
        out[used++] = byte;
    }
    out[used] = '\0';
    return true;
}

static bool take_database(struct span text, struct redis_url *out)
{
    uint64_t number = 0;
    return text.size == 0 || (span_to_number(text, DATABASE_MAX, &number) &&
                              copy_text(text, out->database, sizeof(out->database)));
}

static bool parse_unix(struct span rest, struct redis_url *out)
{
    struct span path = span_cut(&rest, '?');
    if (rest.data != NULL && !take_prefix(&rest, SPAN("db="))) {
        return false;
    }
    return path.size > 1 && path.data[0] == '/' && copy_text(path, out->path, sizeof(out->path)) &&
           take_database(rest, out);
}

static bool parse_host(struct span place, struct redis_url *out)
{
    struct span host = place;
    struct span port = SPAN_NONE;
    if (place.size > 0 && place.data[0] == '[') {
        struct span rest = {place.data + 1, place.size - 1};
        host = span_cut(&rest, ']');
        if (rest.data == NULL || (rest.size > 0 && !take_prefix(&rest, SPAN(":")))) {
            return false;
        }
        port = rest;
    } else {
        host = span_cut(&place, ':');
        port = place;
    }
    uint64_t number = PORT_DEFAULT;
    if (port.size > 0 && (!span_to_number(port, PORT_MAX, &number) || number == 0)) {
        return false;
    }
    out->port = (int)number;
    return host.size > 0 && copy_text(host, out->host, sizeof(out->host));
}

static bool parse_tcp(struct span rest, struct redis_url *out)
{
    /* The last @ ends the credentials: a password may hold one. */
    for (size_t i = rest.size; i > 0; i--) {
        if (rest.data[i - 1] == '@') {
            struct span password = {rest.data, i - 1};
            struct span user = span_cut(&password, ':');
            if (password.data == NULL || !copy_decoded(user, out->user, sizeof(out->user)) ||
                !copy_decoded(password, out->password, sizeof(out->password))) {
                return false;
            }
            rest = (struct span){rest.data + i, rest.size - i};
            break;
        }
    }
    struct span place = span_cut(&rest, '/');
    return parse_host(place, out) && take_database(rest, out);
}

bool redis_url_parse(const char *text, struct redis_url *out, struct error *error)
{
    struct span rest = span_of(text);
    *out = (struct redis_url){.database = "0", .port = PORT_DEFAULT};
    bool is_good = take_prefix(&rest, SPAN("unix://"))    ? parse_unix(rest, out)
                   : take_prefix(&rest, SPAN("redis://")) ? parse_tcp(rest, out)
                                                          : false;
    return is_good || error_set(error, ERROR_USAGE,
                                "the Redis url is not redis://[[user]:password@]host[:port][/db] "
                                "or unix:///path[?db=n]");
}
