/* SPDX-License-Identifier: MIT
 * A stream from its first entry on, only read: no group, no lock, nothing that anybody else would
 * see. Every entry is counted against what Redis says it ever held before it is handed over, so
 * that a gap is never taken for a whole and nothing behind it is given. */
#ifndef SALVOR_STREAM_RANGE_H
#define SALVOR_STREAM_RANGE_H

#include "base/error.h"
#include "replay/loop.h"

struct stream_range;

struct stream_range_config { /* all borrowed */
    const char *url;
    const char *stream;
    bool is_followed; /* goes on behind the last entry, until nobody asks any more */
};

/* Connects and looks at the stream. NULL on error: HISTORY when its beginning, or entries between,
 * are gone (how many, and what to do instead), REFUSED when there is no such stream, which
 * is waited for when it is followed. The caller
 * owns it. */
struct stream_range *stream_range_open(const struct stream_range_config *config,
                                       struct error *error);
/* Accepts NULL. */
void stream_range_close(struct stream_range *range);
/* Entries that the stream held when it was opened. */
uint64_t stream_range_total(const struct stream_range *range);

enum stream_range_next {
    RANGE_BATCH = 1, /* perhaps empty: nothing was counted for a moment */
    RANGE_END,       /* all that was there when it was opened is read; never when followed */
    RANGE_ERROR,     /* HISTORY: entries were lost before they were read */
};

/* The next entries, borrowed from the batch, which comes emptied. Waits a moment at most. */
enum stream_range_next stream_range_read(struct stream_range *range, struct batch *batch,
                                         struct error *error);

#endif
