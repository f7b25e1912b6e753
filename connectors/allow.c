/* SPDX-License-Identifier: MIT
 * The hosts that a service may be asked on. */
#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/check.h"
#include "connectors/allow.h"

#define NAME_SIZE_MAX 253

/* Every address is kept as IPv6; IPv4 ones as ::ffff:a.b.c.d, so that one comparison does. */
struct address {
    unsigned char bytes[16];
};

struct allow_entry {
    char name[NAME_SIZE_MAX + 1]; /* empty: a block */
    struct address address;
    unsigned prefix; /* bits of the block, counted in IPv6 */
    uint16_t port;   /* 0: any */
};

#define IPV4_BITS_BEFORE 96

static bool address_parse(const char *text, struct address *out, bool *is_ipv4)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct in_addr ipv4;
    *is_ipv4 = inet_pton(AF_INET, text, &ipv4) == 1;
    if (*is_ipv4) {
        memcpy(out->bytes, mapped, sizeof(mapped));
        memcpy(out->bytes + sizeof(mapped), &ipv4, sizeof(ipv4));
        return true;
    }
    return inet_pton(AF_INET6, text, out->bytes) == 1;
}

/* The address in a URL's host: without the brackets and without a zone. */
static bool address_of_host(const char *host, struct address *out)
{
    char text[NAME_SIZE_MAX + 1];
    bool is_ipv4;
    size_t size = strlen(host);
    bool is_bracketed = size > 2 && host[0] == '[' && host[size - 1] == ']';
    if (is_bracketed) {
        host++;
        size -= 2;
    }
    if (size >= sizeof(text)) {
        return false;
    }
    memcpy(text, host, size);
    text[size] = 0;
    return address_parse(text, out, &is_ipv4);
}

static bool address_in_block(const struct address *address, const struct address *block,
                             unsigned prefix)
{
    size_t whole = prefix / 8;
    unsigned rest = prefix % 8;
    if (memcmp(address->bytes, block->bytes, whole) != 0) {
        return false;
    }
    unsigned mask = (0xff00u >> rest) & 0xffu;
    return rest == 0 || ((address->bytes[whole] ^ block->bytes[whole]) & mask) == 0;
}

static bool has_port(const struct allow_entry *entry, uint16_t port)
{
    return entry->port == 0 || entry->port == port;
}

static bool is_in_block(const struct allow_entry *entry, const struct address *address)
{
    return entry->name[0] == 0 && address_in_block(address, &entry->address, entry->prefix);
}

static bool blocks_hold(const struct allow *list, const struct address *address, uint16_t port)
{
    for (size_t i = 0; i < list->count; i++) {
        if (has_port(&list->entries[i], port) && is_in_block(&list->entries[i], address)) {
            return true;
        }
    }
    return false;
}

static bool is_name(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size <= NAME_SIZE_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
               size;
}

/* Cuts ":port" off the end. An IPv6 address has colons of its own, so there it follows a bracket or
 * a block's size. False when it is no port. */
static bool cut_port(struct span *text, uint16_t *port)
{
    size_t colons = 0, last = 0;
    bool is_bracketed = text->size > 0 && text->data[0] == '[';
    for (size_t i = 0; i < text->size; i++) {
        is_bracketed = is_bracketed && text->data[i] != ']';
        if (text->data[i] == ':' && !is_bracketed) {
            colons++;
            last = i;
        }
    }
    if (colons != 1) {
        return true;
    }
    uint64_t number = 0;
    struct span digits = {text->data + last + 1, text->size - last - 1};
    text->size = last;
    *port = span_to_number(digits, UINT16_MAX, &number) ? (uint16_t)number : 0;
    return *port > 0;
}

bool allow_add(struct allow *list, const char *text, struct error *error)
{
    struct allow_entry entry = {0};
    struct span rest = span_of(text);
    bool is_good = cut_port(&rest, &entry.port);
    struct span name = rest, head = span_cut(&rest, '/');
    char address[NAME_SIZE_MAX + 1] = "";
    bool is_ipv4 = false;
    if (list->count == ALLOW_ENTRIES_MAX) {
        return error_set(error, ERROR_USAGE, "more than %d allowed hosts", ALLOW_ENTRIES_MAX);
    }
    if (is_good && head.size < sizeof(address)) {
        memcpy(address, head.data, head.size);
    }
    if (address_of_host(address, &entry.address)) {
        is_ipv4 = inet_pton(AF_INET, address, &(struct in_addr){0}) == 1;
        uint64_t bits = is_ipv4 ? 32 : 128;
        if (rest.data != NULL && !span_to_number(rest, bits, &bits)) {
            return error_set(error, ERROR_USAGE,
                             "\"%s\": the block's size is a number from 0 to %d", text,
                             is_ipv4 ? 32 : 128);
        }
        entry.prefix = (unsigned)bits + (is_ipv4 ? IPV4_BITS_BEFORE : 0);
    } else if (rest.data == NULL && is_name(address)) {
        memcpy(entry.name, name.data, name.size);
    } else {
        return error_set(error, ERROR_USAGE,
                         "\"%s\" is no host; allowed: a name, an address, or a block such as "
                         "10.0.0.0/8, with :port behind it or not",
                         text);
    }
    list->entries = mem_resize(list->entries, (list->count + 1) * sizeof(*list->entries));
    list->entries[list->count++] = entry;
    return true;
}

void allow_fini(struct allow *list)
{
    mem_free(list->entries);
    *list = (struct allow){0};
}

static bool is_named(const struct allow_entry *entry, const char *host)
{
    return entry->name[0] != 0 && strcasecmp(entry->name, host) == 0;
}

static bool names_hold(const struct allow *list, const char *host, uint16_t port)
{
    for (size_t i = 0; i < list->count; i++) {
        if (has_port(&list->entries[i], port) && is_named(&list->entries[i], host)) {
            return true;
        }
    }
    return false;
}

bool allow_host(const struct allow *list, const char *host, uint16_t port)
{
    struct address address;
    if (address_of_host(host, &address)) {
        return blocks_hold(list, &address, port);
    }
    bool has_blocks = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct allow_entry *entry = &list->entries[i];
        has_blocks = has_blocks || (entry->name[0] == 0 && has_port(entry, port));
    }
    return has_blocks || names_hold(list, host, port);
}

bool allow_place(const struct allow *list, const char *host, uint16_t port)
{
    struct address address;
    bool is_address = address_of_host(host, &address);
    for (size_t i = 0; i < list->count; i++) {
        const struct allow_entry *entry = &list->entries[i];
        if (port > 0 && entry->port == port &&
            (is_address ? is_in_block(entry, &address) : is_named(entry, host))) {
            return true;
        }
    }
    return false;
}

/* Addresses that no service lives on; a name that leads there was made to. */
static bool is_suspect(const struct address *address)
{
    static const char *const blocks[] = {"0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",  "::/128",
                                         "fe80::/10", "ff00::/8",       "fd00:ec2::254"};
    struct allow suspects = {0};
    struct error ignored;
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        CHECK(allow_add(&suspects, blocks[i], &ignored));
    }
    bool is_held = blocks_hold(&suspects, address, 0);
    allow_fini(&suspects);
    return is_held;
}

bool allow_peer(const struct allow *list, const char *host, const struct sockaddr *peer)
{
    struct address address = {{[10] = 0xff, [11] = 0xff}};
    uint16_t port;
    if (peer->sa_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const void *)peer;
        memcpy(address.bytes + 12, &ipv4->sin_addr, 4);
        port = ntohs(ipv4->sin_port);
    } else if (peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const void *)peer;
        memcpy(address.bytes, &ipv6->sin6_addr, 16);
        port = ntohs(ipv6->sin6_port);
    } else {
        return false;
    }
    return blocks_hold(list, &address, port) ||
           (names_hold(list, host, port) && !is_suspect(&address));
}
