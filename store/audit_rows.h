/* SPDX-License-Identifier: MIT
 * What the parts of the audit share: the connection, its writing statements, the chain's head. */
#ifndef SALVOR_STORE_AUDIT_ROWS_H
#define SALVOR_STORE_AUDIT_ROWS_H

#include "store/audit.h"
#include "store/database.h"

/* The columns of a decision in SQL, as a list that a comma ends: "id, timeline, … mode, ". */
#define AUDIT_DECISION_COLUMN(name, text) text ", "
#define AUDIT_DECISION_COLUMNS            DECISION_COLUMNS(AUDIT_DECISION_COLUMN)

enum audit_statement {
    AUDIT_STATEMENT_DECISION,
    AUDIT_STATEMENT_REQUEST,
    AUDIT_STATEMENT_SETTLE,
    AUDIT_STATEMENT_POLICY,
    AUDIT_STATEMENT_LEADERSHIP,
    AUDIT_STATEMENT_QUARANTINE,
    AUDIT_STATEMENT_CHECKPOINT,
    AUDIT_STATEMENT_POSITION,
    AUDIT_STATEMENT_SNAPSHOT,
    AUDIT_STATEMENT_CHUNK,
    AUDIT_STATEMENT_FORGET_CHUNKS,
    AUDIT_STATEMENT_FORGET_SNAPSHOTS,
    AUDIT_STATEMENT_DATA_VERSION,
    AUDIT_STATEMENT_COUNT
};

struct audit {
    struct database *database; /* owned */
    enum audit_mode mode;
    uint32_t partition;
    struct statement *statements[AUDIT_STATEMENT_COUNT]; /* owned; NULL when reading */
    struct sha256 head;                                  /* of the open transaction */
    struct sha256 committed_head;                        /* what a rollback goes back to */
    uint64_t data_version;   /* changes when another connection has committed */
    bool is_position_due;    /* rows were appended since the position was put */
    struct buffer stream_id; /* a stream id's text, for binding */
    struct buffer scratch;   /* for the columns of a decision */
    struct buffer canonical;
};

/* Prepares the writing statements. */
bool audit_prepare_statements(struct audit *audit, struct error *error);
/* The statement, ready for binding; a transaction must be open. */
struct statement *audit_statement(struct audit *audit, enum audit_statement which);
/* Runs it. A failure rolls the transaction back: nothing of a batch is kept in part. */
bool audit_run(struct audit *audit, struct statement *statement, struct error *error);

#define AUDIT_POSITION_COLUMNS "timeline, stream_id, ordinal, epoch, entry_sha256, audit_head"
enum { AUDIT_POSITION_COLUMN_COUNT = 6 };
struct audit_position_texts {
    struct sha256_text entry, head;
};
/* Binds them as the first parameters, with the chain's head as it stands; `texts` must live until
 * the statement was run. */
void audit_bind_position(struct audit *audit, struct statement *statement,
                         const struct audit_position *position, struct audit_position_texts *texts);
/* Reads them from `column` on. False: they are no position. */
bool audit_read_position(struct statement *statement, int column, struct audit_position *out);

/* False: not 64 lower-case hexadecimal digits. */
bool audit_read_digest(struct span text, struct sha256 *out);

#endif
