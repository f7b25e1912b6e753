/* SPDX-License-Identifier: MIT
 * Schema versions of the audit database: recognising a file, creating it, migrating it. */
#ifndef SALVOR_STORE_AUDIT_SCHEMA_H
#define SALVOR_STORE_AUDIT_SCHEMA_H

#include "store/database.h"

#define AUDIT_APPLICATION_ID 0x53414c56 /* 'SALV' */

/* Makes sure that the file is an audit database of the present version. With DATABASE_WRITE an
 * empty file becomes one and an older one is migrated, in one transaction; a foreign or newer file
 * is refused before anything is written to it. */
bool audit_schema_prepare(struct database *database, enum database_mode mode, struct error *error);

#endif
