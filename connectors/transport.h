/* SPDX-License-Identifier: MIT
 * HTTP requests through libcurl's multi interface: bounded in time (name resolution included), in
 * size and in where they may go. One thread uses it; only transport_wake may come from others. */
#ifndef SALVOR_CONNECTORS_TRANSPORT_H
#define SALVOR_CONNECTORS_TRANSPORT_H

#include "base/bytes.h"
#include "base/error.h"
#include "connectors/allow.h"

struct transport;

/* Bytes of all replies' bodies that are held at once. Who is asked may hold as much of it as stays
 * free: one greedy service gets half, two get a third each, and there is always room for others. */
#define TRANSPORT_BODIES_MAX ((uint64_t)128 << 20)
/* Whatever a service asks for, it is not left alone for longer. */
#define RETRY_AFTER_MS_MAX UINT64_C(30000)

enum http_method { HTTP_NONE, HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_DELETE };

struct transport_request {
    enum http_method method;
    struct span url;            /* absolute, http or https */
    struct span body;           /* JSON, for POST and PUT */
    const struct span *headers; /* whole lines "Name: value"; one with a control byte is refused */
    size_t header_count;
    bool has_secret;           /* in its headers or its URL */
    const char *base;          /* URL of the place that secrets are for; NULL: not told */
    const struct allow *allow; /* borrowed until the request has ended */
    const char *ca_file;       /* NULL: the system's certificates */
    const char *unix_socket;   /* NULL: the host of the URL */
    bool is_fresh;             /* on a connection of its own: it must not be sent twice */
    uint64_t body_max;         /* bytes of the reply; 0: the transport's */
    uint64_t *bodies;          /* bytes held of all replies of who is asked: counted here, borrowed
                                  until they are released; NULL: of this reply alone */
    uint64_t timeout_ms;       /* the whole request, from now */
    void *owner;               /* handed back when it ends */
};

enum transport_end {
    TRANSPORT_NONE,
    TRANSPORT_REPLIED,   /* a whole reply, whatever its status */
    TRANSPORT_NO_REPLY,  /* none, or not all of it, in time */
    TRANSPORT_TOO_LARGE, /* cut off, also where there was no room for more */
    TRANSPORT_REFUSED,   /* not sent: this list, or what a URL may be, forbids it */
};

struct transport_reply {
    enum transport_end end;
    uint64_t http; /* status; 0 without one */
    struct span content_type, body;
    uint64_t retry_after_ms; /* from Retry-After, seconds or a date; 0: not told, or at once */
    const char *word;        /* static: what went wrong, in one word; NULL when replied */
};

/* The reply is kept until transport_release. */
typedef void transport_done_fn(void *context, void *owner, const struct transport_reply *reply);

/* The result is the caller's, for transport_destroy. */
struct transport *transport_create(uint64_t body_max);
/* Drops what is under way and what was not released; never waits for a name that still resolves.
 * Accepts NULL. */
void transport_destroy(struct transport *transport);

/* Starts a request: it ends in one call of transport_run's `done`. False when it was refused at
 * once; then there is no call, and `word` tells why. The host of `url` must be on the list, and a
 * secret goes to the scheme, host and port of `base` alone, to a place that the list names with its
 * port, or, where no base is told, to the list's hosts over https (token_not_allowed). */
__attribute__((warn_unused_result)) bool transport_send(struct transport *transport,
                                                        const struct transport_request *request,
                                                        const char **word);
/* Moves requests on and tells which ended, waiting up to `wait_ms` for something to happen unless
 * something ended at once. `done` may send. */
void transport_run(struct transport *transport, uint64_t wait_ms, transport_done_fn *done,
                   void *context);
/* Gives a reply that `done` got back. */
void transport_release(struct transport *transport, const struct transport_reply *reply);
/* Ends the wait of transport_run; any thread. */
void transport_wake(struct transport *transport);

/* Adds the host of an http or https URL to a list. */
__attribute__((warn_unused_result)) bool transport_allow_url(struct allow *list, const char *url,
                                                             struct error *error);

#endif
