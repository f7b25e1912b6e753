/* SPDX-License-Identifier: MIT
 * Live work on one partition: takes the lead, reads the stream as a consumer group of its epoch,
 * ticks, appends answers, and carries queue effects out. A source and a sink of the loop, both run
 * by the partition's one thread. */
#ifndef SALVOR_STREAM_LIVE_H
#define SALVOR_STREAM_LIVE_H

#include <signal.h>

#include "base/sha256.h"
#include "replay/loop.h"

struct live;

/* What live work asks of its owner (cli joins it to the connectors). */
struct live_asker {
    void *self; /* borrowed */
    /* Queues a question or a cancel; copies what it keeps. False: there is no room for it now, and
     * it is asked again in a moment. */
    bool (*ask)(void *self, const struct effect_request *request);
    /* The next report, borrowed until the next call; false when none waits. */
    bool (*take_report)(void *self, struct service_report *out);
};

struct live_config {
    const char *url;          /* redis://[user:password@]host:port/db or unix:///path[?db=n] */
    const char *prefix;       /* "salvor" */
    const char *queue_prefix; /* "" : what stands before the queue's own keys */
    uint32_t partition, partitions;
    uint64_t tick_ms, lease_ms;
    const char *owner;       /* this instance's random id */
    struct span policy_text; /* the file's policy, canonical; borrowed for the life of `live` */
    const char *policy_hash; /* its SHA-256, hexadecimal */
    struct live_asker asker;
    bool applies; /* that policy carries effects out: the rights on the queue are needed */
    int wake_fd;  /* eventfd: an answer waits, or stop was asked */
    /* Set by the signal handler: finish what is under way and end. */
    const volatile sig_atomic_t *stop;
};

/* Connects (waiting with back-off while Redis is absent or LOADING) and checks version, cluster
 * mode, eviction policy, types, rights (ACL DRYRUN) and the partition count. Nothing is read or
 * taken over yet. NULL on error, DENIED and REFUSED among them; STOPPED when *stop was set while
 * waiting. */
struct live *live_open(const struct live_config *config, struct error *error);
/* The source: its first reads close the gap to `committed_ordinal` (a torn capture) with XRANGE,
 * then it checks the anchor, takes over and reads as leader. Ends (SOURCE_END) when *stop is set.
 * SOURCE_ERROR: FENCED (somebody else leads), HISTORY (deficit of ordinals, rewritten or foreign
 * history: nothing was changed), REFUSED. Lost connections are mended inside. */
struct source live_source(struct live *live);
/* The sink: notes the anchor of each batch, holds ordinals against what the stream counted, and
 * starts effects once this instance's own epoch (and its policy, where due) is folded. */
struct sink live_sink(struct live *live);
/* What the journal knows: the committed ordinal that must be reached before taking over, and the
 * anchor at the state's position. Call once before the loop. */
void live_resume(struct live *live, uint64_t committed_ordinal, const struct sha256 *anchor);
/* Gives the lease back when it is still ours. Accepts NULL. */
void live_close(struct live *live);

#endif
