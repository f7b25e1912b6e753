/* SPDX-License-Identifier: MIT
 * A capture that can be given to strangers: other ids, no payloads, the same decisions. */
#ifndef SALVOR_REPLAY_ANONYMIZE_H
#define SALVOR_REPLAY_ANONYMIZE_H

#include "base/bytes.h"
#include "base/error.h"

#define ANONYMIZE_KEY_MIN 16

struct anonymize_config {
    const char *capture; /* a file or a directory */
    const char *out;     /* a directory that does not exist yet, or is empty */
    struct span key;     /* of the pseudonyms; at least ANONYMIZE_KEY_MIN bytes */
    /* Called now and then with the entries written and those proved, together; false ends the work
     * with ERROR_STOPPED. May be NULL. */
    bool (*step)(void *payload, uint64_t passed);
    void *payload;
};

struct anonymize_report {
    uint64_t entries, ids, decisions;
    uint64_t undecodable; /* entries of which nothing was kept: no event, or of no known type */
    bool is_torn;         /* the capture ends in an incomplete frame, which was left out */
};

/* Writes OUT and proves it before it gets that name: what is at OUT is proved. On failure nothing
 * is left behind. False with ERROR_DIFFERENT when the proof failed. */
__attribute__((warn_unused_result)) bool anonymize_run(const struct anonymize_config *config,
                                                       struct anonymize_report *report,
                                                       struct error *error);

#endif
