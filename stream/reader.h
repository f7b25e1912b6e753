/* SPDX-License-Identifier: MIT
 * Reads the stream as the one consumer of a group, without acknowledgements, or as nobody's: the
 * position is ours. The next read is under way while the last one is worked on. */
#ifndef SALVOR_STREAM_READER_H
#define SALVOR_STREAM_READER_H

#include "base/error.h"
#include "replay/loop.h"

struct stream_reader;

struct stream_reader_config { /* all borrowed */
    const char *url;
    const char *stream;
    uint32_t count_max; /* entries a read; fewer while entries are large */
    uint64_t block_ms;  /* how long the server waits for an entry */
    size_t reply_goal;  /* bytes: a larger reply makes the next read ask for fewer entries */
};

#define READER_REPLY_GOAL ((size_t)16 << 20) /* for reply_goal */
/* How much longer than block_ms a reply may take. */
#define READER_PATIENCE_MS 2000

/* Result: a reader without a connection; the caller owns it. */
struct stream_reader *stream_reader_create(const struct stream_reader_config *config);
/* Accepts NULL. */
void stream_reader_destroy(struct stream_reader *reader);

/* Connects and sends the first read of `group` (copied). A connection that is still there is
 * dropped, and with it what it had under way. */
__attribute__((warn_unused_result)) bool
stream_reader_start(struct stream_reader *reader, const char *group, struct error *error);
/* The same for what stands behind `behind`, as nobody's consumer (XREAD): Redis is only read. */
__attribute__((warn_unused_result)) bool
stream_reader_follow(struct stream_reader *reader, struct stream_id behind, struct error *error);

enum stream_reader_next {
    READER_BATCH = 1, /* the batch was filled, or the server had nothing within block_ms */
    READER_WOKEN,     /* wake_fd is readable */
    READER_TIME,      /* until_ms has come */
    READER_FAILED,    /* the connection was dropped; FENCED: the group is gone */
};

/* Waits for the first of these. `wake_fd` may be -1; `until_ms` is on clock_boot_ms. Before the
 * batch is handed over the next read is sent. */
enum stream_reader_next stream_reader_wait(struct stream_reader *reader, int wake_fd,
                                           uint64_t until_ms, struct batch *batch,
                                           struct error *error);

#endif
