/* SPDX-License-Identifier: MIT
 * A copy of an audit database as it is at one moment, taken beside the process that writes. */
#ifndef SALVOR_STORE_AUDIT_BACKUP_H
#define SALVOR_STORE_AUDIT_BACKUP_H

#include "store/audit.h"
#include "store/database.h"

struct audit_backup {
    uint64_t rows; /* decisions, verified in the copy */
    uint64_t bytes;
    bool has_position; /* false: nothing was ever committed */
    struct audit_position position;
};

/* Makes the file `path`, which must not exist yet, without write-ahead logging; it is verified and
 * synced before it has this name. `each` as in database_copy. A failure leaves nothing behind; a
 * process that is killed leaves `path`.new, which the next one removes unless somebody is writing
 * it (ERROR_REFUSED). */
__attribute__((warn_unused_result)) bool audit_backup(struct audit *audit, const char *path,
                                                      database_copy_fn each, void *payload,
                                                      struct audit_backup *out,
                                                      struct error *error);

#endif
