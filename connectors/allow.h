/* SPDX-License-Identifier: MIT
 * The hosts that a service may be asked on: names, addresses and CIDR blocks. A reply or an event
 * can name a URL; this list decides whether anything is sent there. */
#ifndef SALVOR_CONNECTORS_ALLOW_H
#define SALVOR_CONNECTORS_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sockaddr;
struct allow_entry;

/* Zero-initialise with {0}. */
struct allow {
    struct allow_entry *entries; /* owned */
    size_t count;
};

#define ALLOW_ENTRIES_MAX 256

/* Adds "gpu7.example", "10.0.0.7", "::1" or "10.0.0.0/8"; with a port, "gpu7.example:8188",
 * "[::1]:8188" or "10.0.0.0/8:8188", no other port of those hosts is. */
__attribute__((warn_unused_result)) bool allow_add(struct allow *list, const char *text,
                                                   struct error *error);
void allow_fini(struct allow *list);

/* Before sending: false when this host (of a URL; an IPv6 address may stand in brackets) can not be
 * on the list. A name that is not listed passes when there are blocks: its address decides then. */
bool allow_host(const struct allow *list, const char *host, uint16_t port);
/* True when an entry names the host, or the block that it is an address of, together with its port:
 * somebody meant just this place. */
bool allow_place(const struct allow *list, const char *host, uint16_t port);
/* Before connecting and before each request: whether `peer`, the address and port that `host`
 * turned out to have, is on the list: in a block, or the host itself is listed by name and the
 * address is none that only an attack would give it (link-local, multicast, unspecified). */
bool allow_peer(const struct allow *list, const char *host, const struct sockaddr *peer);

#endif
