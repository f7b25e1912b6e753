/* SPDX-License-Identifier: MIT
 * One connection to Redis. It is never mended in place: after an error of the connection its owner
 * closes it and opens another, since what is known about the server is then void. */
#ifndef SALVOR_STREAM_REDIS_H
#define SALVOR_STREAM_REDIS_H

#include "base/bytes.h"
#include "base/error.h"

/* How long a connect or a reply may take. */
#define REDIS_COMMAND_MS 2000

struct redis;
/* A reply, borrowed from its connection until the next call there. */
struct redis_reply;

/* Connects, sets the time-outs, authenticates, selects the database. `url`:
 * redis://[[user]:password@]host[:port][/db] or unix:///path[?db=n]; user and password may hold
 * %XX. NULL on error: USAGE (the url), UNREACHABLE, BUSY, DENIED (password), REFUSED. The caller
 * owns it. The process ignores SIGPIPE from then on, since hiredis writes to sockets that may be
 * closed. */
struct redis *redis_open(const char *url, uint64_t timeout_ms, struct error *error);
/* Accepts NULL. */
void redis_close(struct redis *redis);
/* True after an error of the connection itself: every later call fails. */
bool redis_is_broken(const struct redis *redis);

/* Sends a command and waits for its reply. NULL on error. Codes: UNREACHABLE (the connection is
 * broken, the outcome unknown; also READONLY and UNBLOCKED, after which this is the wrong server),
 * BUSY (LOADING, OOM, MISCONF, … : not done, try again later), DENIED (user, password or right:
 * not done), FENCED (also NOGROUP), HISTORY, REFUSED (anything else). */
const struct redis_reply *redis_call(struct redis *redis, const struct span *arguments,
                                     uint32_t count, struct error *error);
/* The same for a few texts, closed by NULL. */
__attribute__((sentinel)) const struct redis_reply *redis_ask(struct redis *redis,
                                                              struct error *error, ...);

/* True when the same may go well later: UNREACHABLE, BUSY, and DENIED, since whoever took a right
 * away may give it back. */
bool redis_is_for_now(const struct error *error);

/* A script, in static storage. */
struct redis_script {
    const char *text;
    size_t size;
};

/* Runs a script: by its digest, by its text when the server forgot it. `arguments` are the keys,
 * then the rest. */
const struct redis_reply *redis_run(struct redis *redis, const struct redis_script *script,
                                    uint32_t key_count, const struct span *arguments,
                                    uint32_t count, struct error *error);

/* A look at a reply. Each accepts any reply: what it is not gives the empty span, 0 or NULL. */
struct span redis_reply_text(const struct redis_reply *reply);
uint64_t redis_reply_number(const struct redis_reply *reply); /* negative ones too give 0 */
uint32_t redis_reply_count(const struct redis_reply *reply);
const struct redis_reply *redis_reply_at(const struct redis_reply *reply, uint32_t index);

/* --- for a reader that keeps a request under way --- */

/* Told of each element of a reply while it comes off the wire, outermost first: `depth` 0 is the
 * reply itself, `index` the place within its array. Bytes are lent for the call alone. */
struct redis_visitor {
    void *self; /* borrowed */
    void (*array)(void *self, uint32_t depth, uint32_t index, uint64_t count);
    /* Strings, and numbers as they stood. */
    void (*text)(void *self, uint32_t depth, uint32_t index, struct span text);
    void (*nil)(void *self, uint32_t depth, uint32_t index);
};

/* From here on replies go to the visitor; redis_call must not be used any more. Borrowed until the
 * connection is closed. */
void redis_set_visitor(struct redis *redis, struct redis_visitor *visitor);
/* Sends without waiting. */
bool redis_send(struct redis *redis, const struct span *arguments, uint32_t count,
                struct error *error);
/* The socket, for poll(). */
int redis_descriptor(const struct redis *redis);
/* Takes what already waits on the socket (blocks when nothing does: poll first). `*is_whole` says
 * whether a reply is complete. False on an error of the connection or an error reply. */
bool redis_receive(struct redis *redis, bool *is_whole, struct error *error);

#endif
