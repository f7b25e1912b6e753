/* SPDX-License-Identifier: MIT
 * Verification: the chain is computed again from the stored columns, whatever they hold, so that it
 * also covers words which this program does not know. */
#include "base/check.h"
#include "store/audit_prune.h"
#include "store/audit_rows.h"

/* What must hold beside the chain. */
struct rule {
    const char *sql; /* gives the first bad row's name, or none */
    const char *problem;
};

/* Where rows are gone, a row of the chain tells so; and as far as it let them go, what is still
 * there, or the hash that the chain begins with, is what it saw. */
#define THROUGH_SEQ "(d.evidence ->> '$.through_seq')"

static const struct rule rules[] = {
    {"SELECT 'decision ' || id FROM decision WHERE seq <= (SELECT seq FROM pruned)"
     " ORDER BY seq LIMIT 1",
     "stands before what was pruned"},
    {"SELECT 'rows up to seq ' || seq FROM pruned WHERE NOT EXISTS"
     " (SELECT 1 FROM decision AS d WHERE d.action = 'prune' AND d.superseded_by IS NULL"
     " AND " THROUGH_SEQ " >= pruned.seq AND d.evidence ->> '$.through_hash' ="
     " iif(" THROUGH_SEQ " = pruned.seq, pruned.hash,"
     " (SELECT hash FROM decision AS last WHERE last.seq = " THROUGH_SEQ ")))",
     "were removed, and no row of the chain tells of it"},
    {"SELECT 'decision ' || id FROM decision WHERE superseded_by IS NULL"
     " GROUP BY id HAVING count(*) > 1 ORDER BY min(seq) LIMIT 1",
     "stands twice"},
    {"SELECT 'effect ' || e.id FROM effect AS e WHERE"
     " NOT EXISTS (SELECT 1 FROM decision AS d WHERE d.id = e.decision AND superseded_by IS NULL)"
     " AND"
     " NOT EXISTS (SELECT 1 FROM decision AS d WHERE d.id = e.decision AND superseded_by IS NOT"
     " NULL) ORDER BY e.seq LIMIT 1",
     "belongs to no decision"},
    {"SELECT 'snapshot at ordinal ' || ordinal FROM snapshot_chunk"
     " WHERE ordinal NOT IN (SELECT ordinal FROM snapshot) LIMIT 1",
     "has chunks but no row"},
};

/* The file as SQLite sees it: pages, indexes, types. */
static bool check_integrity(struct audit *audit, struct error *error)
{
    struct statement *row = statement_prepare(audit->database, "PRAGMA integrity_check(1)", error);
    if (row == NULL) {
        return false;
    }
    bool is_sound = statement_step(row, error) == STATEMENT_ROW;
    if (is_sound && !span_is(statement_text(row, 0), "ok")) {
        is_sound = error_set(error, ERROR_CORRUPT, "the file is damaged: %.*s",
                             SPAN_FORMAT(statement_text(row, 0)));
    }
    statement_finish(row);
    return is_sound;
}

static bool check_rule(struct audit *audit, const struct rule *rule, struct error *error)
{
    struct statement *row = statement_prepare(audit->database, rule->sql, error);
    if (row == NULL) {
        return false;
    }
    enum statement_next next = statement_step(row, error);
    if (next == STATEMENT_ROW) {
        error_set(error, ERROR_DIFFERENT, "%.*s %s", SPAN_FORMAT(statement_text(row, 0)),
                  rule->problem);
    }
    statement_finish(row);
    return next == STATEMENT_DONE;
}

/* The canonical bytes of decision_put_canonical, from the row as it is stored. */
static void put_row(struct buffer *buffer, struct statement *row)
{
    buffer_reset(buffer);
    for (int column = 0; column < DECISION_COLUMN_COUNT; column++) {
        if (statement_is_number(row, column)) {
            buffer_put_byte(buffer, 'n');
            buffer_put_varint(buffer, statement_number(row, column));
        } else {
            buffer_put_byte(buffer, 't');
            buffer_put_sized(buffer, statement_text(row, column));
        }
    }
}

/* Walks the chain; `*head` ends as the last row's hash. */
static bool walk_chain(struct audit *audit, struct statement *row, struct sha256 *head,
                       uint64_t *rows, struct error *error)
{
    enum { COLUMN_HASH = DECISION_COLUMN_COUNT, COLUMN_SEQ };
    enum statement_next next;
    while ((next = statement_step(row, error)) == STATEMENT_ROW) {
        put_row(&audit->canonical, row);
        *head = sha256_chain(head, buffer_span(&audit->canonical));
        struct sha256 stored;
        if (!audit_read_digest(statement_text(row, COLUMN_HASH), &stored) ||
            !sha256_equal(head, &stored)) {
            return error_set(error, ERROR_DIFFERENT,
                             "decision %.*s (seq %llu): its hash does not follow from its columns "
                             "and the row before it: one of them was changed, or a row between "
                             "them added, removed or moved",
                             SPAN_FORMAT(statement_text(row, DECISION_COLUMN_ID)),
                             (unsigned long long)statement_number(row, COLUMN_SEQ));
        }
        ++*rows;
    }
    return next == STATEMENT_DONE;
}

static bool check_chain(struct audit *audit, uint64_t *rows, struct error *error)
{
    struct statement *row =
        statement_prepare(audit->database,
                          "SELECT " AUDIT_DECISION_COLUMNS
                          "hash, seq FROM decision WHERE superseded_by IS NULL ORDER BY seq",
                          error);
    if (row == NULL) {
        return false;
    }
    struct audit_pruned pruned;
    struct sha256 head = audit_genesis(audit->partition);
    if (audit_load_pruned(audit, &pruned, error)) {
        head = pruned.hash;
    } else if (error->code != ERROR_NONE) {
        statement_finish(row);
        return false;
    }
    bool is_whole = walk_chain(audit, row, &head, rows, error);
    statement_finish(row);
    if (!is_whole) {
        return false;
    }
    struct audit_position position = {.audit_head = audit_genesis(audit->partition)};
    if (!audit_load_position(audit, &position, error) && error->code != ERROR_NONE) {
        return false;
    }
    struct sha256_text found = sha256_text(&head), wanted = sha256_text(&position.audit_head);
    return sha256_equal(&head, &position.audit_head) ||
           error_set(error, ERROR_DIFFERENT,
                     "the chain ends after %llu rows with %.16s…, the position tells %.16s…: rows "
                     "at the end were added or removed",
                     (unsigned long long)*rows, found.text, wanted.text);
}

/* The fold takes a policy's hash as its event told it; here it is held against the text. */
static bool check_policies(struct audit *audit, struct error *error)
{
    struct statement *row = statement_prepare(
        audit->database, "SELECT hash, text, seq FROM policy ORDER BY seq", error);
    if (row == NULL) {
        return false;
    }
    enum statement_next next;
    while ((next = statement_step(row, error)) == STATEMENT_ROW) {
        struct sha256 digest = sha256_of(statement_text(row, 1));
        struct sha256_text wanted = sha256_text(&digest);
        if (!span_is(statement_text(row, 0), wanted.text)) {
            error_set(
                error, ERROR_DIFFERENT,
                "policy (seq %llu): its hash is not that of its text: the event told another, "
                "or the row was changed",
                (unsigned long long)statement_number(row, 2));
            break;
        }
    }
    statement_finish(row);
    return next == STATEMENT_DONE;
}

bool audit_verify(struct audit *audit, uint64_t *rows, struct error *error)
{
    *rows = 0;
    CHECK(!database_has_transaction(audit->database));
    /* One transaction: a writer may go on meanwhile, we see one moment. */
    if (!database_run(audit->database, "BEGIN", error)) {
        return false;
    }
    bool is_whole = check_integrity(audit, error) && check_chain(audit, rows, error);
    for (size_t index = 0; is_whole && index < sizeof(rules) / sizeof(rules[0]); index++) {
        is_whole = check_rule(audit, &rules[index], error);
    }
    is_whole = is_whole && check_policies(audit, error);
    database_rollback(audit->database);
    return is_whole;
}
