/* SPDX-License-Identifier: MIT */
#include "store/audit_policy.h"

#include "store/audit_rows.h"

bool audit_load_policy(struct audit *audit, struct stream_id *stream_id, struct buffer *text,
                       struct error *error)
{
    struct statement *statement = statement_prepare(
        audit->database, "SELECT stream_id, text FROM policy ORDER BY seq DESC LIMIT 1", error);
    if (statement == NULL) {
        return false;
    }
    bool is_row = statement_step(statement, error) == STATEMENT_ROW;
    bool is_fine = is_row && stream_id_parse(statement_text(statement, 0), stream_id);
    if (is_fine) {
        buffer_put_span(text, statement_text(statement, 1));
    } else if (is_row) {
        error_set(error, ERROR_CORRUPT, "%s: policy: no stream id", database_name(audit->database));
    }
    statement_finish(statement);
    return is_fine;
}
