/* SPDX-License-Identifier: MIT */
#include "store/audit_prune.h"

#include <stdio.h>

#include "base/check.h"
#include "base/json.h"
#include "store/audit_rows.h"

#define ROW_ID_SIZE  32 /* "prune." and a number */
#define SQL_SIZE_MAX 64

/* --- what was removed, and what is to be --- */

static bool load_pruned(struct audit *audit, struct audit_pruned *out, bool *is_there,
                        struct error *error)
{
    *out = (struct audit_pruned){.hash = audit_genesis(audit->partition)};
    struct statement *row = statement_prepare(
        audit->database, "SELECT seq, stream_id, ordinal, hash FROM pruned", error);
    if (row == NULL) {
        return false;
    }
    enum statement_next next = statement_step(row, error);
    *is_there = next == STATEMENT_ROW;
    bool is_fine = next != STATEMENT_FAILED;
    if (*is_there) {
        out->seq = statement_number(row, 0);
        out->ordinal = statement_number(row, 2);
        is_fine = (stream_id_parse(statement_text(row, 1), &out->stream_id) &&
                   audit_read_digest(statement_text(row, 3), &out->hash)) ||
                  error_set(error, ERROR_CORRUPT, "%s: the row of what was pruned makes no sense",
                            database_name(audit->database));
    }
    statement_finish(row);
    return is_fine;
}

bool audit_load_pruned(struct audit *audit, struct audit_pruned *out, struct error *error)
{
    bool is_there = false;
    error->code = ERROR_NONE;
    return load_pruned(audit, out, &is_there, error) && is_there;
}

bool audit_is_pruned(struct audit *audit, struct span id, bool *out, struct error *error)
{
    struct audit_pruned pruned;
    struct stream_id stream_id;
    bool is_there = false;
    *out = false;
    if (!load_pruned(audit, &pruned, &is_there, error)) {
        return false;
    }
    /* partition.timeline.ms-seq.n */
    (void)span_cut(&id, '.');
    (void)span_cut(&id, '.');
    *out = is_there && stream_id_parse(span_cut(&id, '.'), &stream_id) &&
           stream_id_compare(stream_id, pruned.stream_id) <= 0;
    return true;
}

/* How far the chain says that rows may go: the newest of its rows that tell so; 0: none does. */
static bool load_announced(struct audit *audit, uint64_t *through_seq, struct error *error)
{
    return database_number(audit->database,
                           "SELECT evidence ->> '$.through_seq' FROM decision"
                           " WHERE action = 'prune' AND superseded_by IS NULL"
                           " ORDER BY seq DESC LIMIT 1",
                           through_seq, error);
}

/* --- how far it may go --- */

/* Rows of entries before both. */
struct reach {
    struct stream_id stream_id;
    uint64_t ordinal;
};

/* The last valid row within reach, from `*seq` on, which is within it. In the chain's order neither
 * ordinals nor stream ids ever fall, so it is searched by halves. */
static bool find_through(struct audit *audit, const struct reach *reach, uint64_t *seq,
                         struct error *error)
{
    uint64_t last;
    if (!database_number(audit->database, "SELECT max(seq) FROM decision", &last, error)) {
        return false;
    }
    struct statement *row = statement_prepare(
        audit->database,
        "SELECT seq, ordinal, stream_id FROM decision WHERE seq >= ? AND superseded_by IS NULL"
        " ORDER BY seq LIMIT 1",
        error);
    if (row == NULL) {
        return false;
    }
    bool is_fine = true;
    for (uint64_t end = last + 1; is_fine && *seq + 1 < end;) {
        uint64_t middle = *seq + (end - *seq) / 2;
        struct stream_id id = {0};
        statement_bind_number(row, 1, middle);
        enum statement_next next = statement_step(row, error);
        uint64_t found = next == STATEMENT_ROW ? statement_number(row, 0) : end;
        if (found >= end) {
            end = middle;
        } else if (!stream_id_parse(statement_text(row, 2), &id)) {
            is_fine = error_set(error, ERROR_CORRUPT, "decision (seq %llu): no stream id",
                                (unsigned long long)found);
        } else if (statement_number(row, 1) < reach->ordinal &&
                   stream_id_compare(id, reach->stream_id) < 0) {
            *seq = found;
        } else {
            end = middle;
        }
        is_fine = is_fine && next != STATEMENT_FAILED;
        if (next == STATEMENT_ROW) {
            statement_reset(row);
        }
    }
    statement_finish(row);
    return is_fine;
}

/* The first ordinal whose rows must stay, and why. */
static bool find_limit(struct audit *audit, struct audit_prune_plan *plan, struct error *error)
{
    /* Rows behind the older snapshot; without one a restart folds from the beginning. */
    uint64_t snapshots, snapshot, effects, effect;
    if (!database_number(audit->database, "SELECT count(*) FROM snapshot", &snapshots, error) ||
        !database_number(audit->database, "SELECT min(ordinal) FROM snapshot", &snapshot, error) ||
        !database_number(audit->database, "SELECT count(*) FROM effect WHERE settled_at_ms IS NULL",
                         &effects, error) ||
        !database_number(audit->database,
                         "SELECT min(d.ordinal) FROM effect AS e JOIN decision AS d"
                         " ON d.id = e.decision AND d.superseded_by IS NULL"
                         " WHERE e.settled_at_ms IS NULL",
                         &effect, error)) {
        return false;
    }
    plan->limit = AUDIT_PRUNE_SNAPSHOT;
    plan->kept_ordinal = snapshots > 0 ? snapshot + 1 : 0;
    if (effects > 0 && effect < plan->kept_ordinal) {
        plan->limit = AUDIT_PRUNE_OPEN_EFFECT;
        plan->kept_ordinal = effect;
    }
    return true;
}

static bool make_plan(struct audit *audit, const struct audit_prune_place *place,
                      struct audit_prune_plan *plan, struct error *error)
{
    struct audit_pruned pruned;
    bool is_there;
    if (!load_pruned(audit, &pruned, &is_there, error) || !find_limit(audit, plan, error)) {
        return false;
    }
    struct reach asked = {.stream_id = place->stream_id, .ordinal = place->ordinal};
    struct reach reach = asked;
    if (plan->kept_ordinal < reach.ordinal) {
        reach.ordinal = plan->kept_ordinal;
    }
    uint64_t wanted = pruned.seq;
    plan->through_before = plan->through_seq = pruned.seq;
    if (!find_through(audit, &asked, &wanted, error) ||
        !find_through(audit, &reach, &plan->through_seq, error)) {
        return false;
    }
    if (wanted == plan->through_seq) {
        plan->limit = AUDIT_PRUNE_AS_ASKED;
    }
    return true;
}

/* --- telling the chain --- */

static bool load_hash(struct audit *audit, uint64_t seq, struct sha256 *out, struct error *error)
{
    struct statement *row =
        statement_prepare(audit->database, "SELECT hash FROM decision WHERE seq = ?", error);
    if (row == NULL) {
        return false;
    }
    statement_bind_number(row, 1, seq);
    enum statement_next next = statement_step(row, error);
    bool is_fine =
        next == STATEMENT_ROW &&
        (audit_read_digest(statement_text(row, 0), out) ||
         error_set(error, ERROR_CORRUPT, "decision (seq %llu): no hash", (unsigned long long)seq));
    CHECK(next != STATEMENT_DONE);
    statement_finish(row);
    return is_fine;
}

static void put_evidence(struct buffer *out, const struct audit_prune_place *place,
                         const struct audit_prune_plan *plan, const struct sha256 *hash)
{
    struct sha256_text text = sha256_text(hash);
    buffer_put_byte(out, '{');
    json_put_text(out, "before", place->text);
    json_put_number(out, "through_seq", plan->through_seq);
    json_put_text(out, "through_hash", span_of(text.text));
    json_put_number(out, "rows", plan->through_seq - plan->through_before);
    buffer_put_byte(out, '}');
}

/* The position stays where it is, but for the chain's head. */
static bool append_row(struct audit *audit, struct span evidence, struct error *error)
{
    struct audit_position position;
    uint64_t last;
    if (!audit_load_position(audit, &position, error) ||
        !database_number(audit->database, "SELECT max(seq) FROM decision", &last, error)) {
        return false;
    }
    char id[ROW_ID_SIZE];
    snprintf(id, sizeof(id), "prune.%llu", (unsigned long long)last + 1);
    struct decision decision = {
        .id = span_of(id),
        .timeline = position.timeline,
        .stream_id = position.stream_id,
        .ordinal = position.ordinal,
        .at_ms = position.stream_id.ms,
        .action = ACTION_PRUNE,
        .reason = REASON_PRUNED,
        .evidence = evidence,
    };
    return audit_append(audit, &decision, error) && audit_put_position(audit, &position, error);
}

static bool announce(struct audit *audit, const struct audit_prune_place *place,
                     const struct audit_prune_plan *plan, struct error *error)
{
    struct sha256 hash;
    if (!load_hash(audit, plan->through_seq, &hash, error)) {
        return false;
    }
    struct buffer evidence = {0};
    put_evidence(&evidence, place, plan, &hash);
    bool is_appended = append_row(audit, buffer_span(&evidence), error);
    buffer_fini(&evidence);
    return is_appended;
}

bool audit_prune_begin(struct audit *audit, const struct audit_prune_place *place,
                       struct audit_prune_plan *plan, struct error *error)
{
    uint64_t announced;
    *plan = (struct audit_prune_plan){0};
    if (!audit_begin(audit, error)) {
        return false;
    }
    bool is_fine = load_announced(audit, &announced, error) && make_plan(audit, place, plan, error);
    if (is_fine && plan->through_seq > announced && plan->through_seq > plan->through_before) {
        is_fine = announce(audit, place, plan, error) && audit_commit(audit, error);
    } else if (is_fine && announced > plan->through_seq) {
        plan->through_seq = announced; /* an earlier prune that was cut short */
    }
    plan->rows = plan->through_seq - plan->through_before;
    audit_rollback(audit);
    return is_fine;
}

/* --- removing --- */

/* Runs one statement; its parameters are the first of these, in order. */
struct change {
    const char *sql;
    int parameters;
};

static bool run_change(struct audit *audit, struct change change, const uint64_t *numbers,
                       struct error *error)
{
    struct statement *statement = statement_prepare(audit->database, change.sql, error);
    if (statement == NULL) {
        return false;
    }
    for (int i = 0; i < change.parameters; i++) {
        statement_bind_number(statement, i + 1, numbers[i]);
    }
    bool is_run = statement_run(statement, error);
    statement_finish(statement);
    return is_run;
}

/* ?1 the last seq that goes, ?2 and ?3 the stream id of its entry, ?4 its ordinal, ?5 rows a step
 */
#define IS_BEFORE                    \
    "(at_ms < ?2 OR (at_ms = ?2 AND" \
    " CAST(substr(stream_id, instr(stream_id, '-') + 1) AS INTEGER) <= ?3))"

static const struct change remove_effects = {
    "DELETE FROM effect WHERE decision IN (SELECT id FROM decision WHERE seq <= ?1)", 1};
static const struct change remove_decisions = {"DELETE FROM decision WHERE seq <= ?1", 1};
/* As many at the most as decisions went: each stands for one of them. */
static const struct change remove_quarantine = {
    "DELETE FROM quarantine WHERE seq IN (SELECT seq FROM quarantine ORDER BY seq LIMIT ?5)"
    " AND " IS_BEFORE,
    5};
/* Few rows, all at once behind the last decision. What was in force there, and who led, stays. */
static const struct change remove_others[] = {
    {"DELETE FROM policy WHERE seq < (SELECT max(seq) FROM policy WHERE " IS_BEFORE ")", 3},
    {"DELETE FROM leadership WHERE epoch <"
     " (SELECT max(epoch) FROM leadership WHERE " IS_BEFORE ")",
     3},
    {"DELETE FROM checkpoint WHERE ordinal <= ?4", 4},
};

/* The last valid row up to `seq` becomes what the chain begins with. */
static bool move_beginning(struct audit *audit, uint64_t seq, struct audit_pruned *pruned,
                           struct error *error)
{
    struct statement *row =
        statement_prepare(audit->database,
                          "SELECT stream_id, ordinal, hash FROM decision"
                          " WHERE seq <= ? AND superseded_by IS NULL ORDER BY seq DESC LIMIT 1",
                          error);
    if (row == NULL) {
        return false;
    }
    statement_bind_number(row, 1, seq);
    enum statement_next next = statement_step(row, error);
    bool is_fine = next != STATEMENT_FAILED;
    if (next == STATEMENT_ROW) {
        pruned->ordinal = statement_number(row, 1);
        is_fine = (stream_id_parse(statement_text(row, 0), &pruned->stream_id) &&
                   audit_read_digest(statement_text(row, 2), &pruned->hash)) ||
                  error_set(error, ERROR_CORRUPT, "decision at or before seq %llu makes no sense",
                            (unsigned long long)seq);
    }
    statement_finish(row);
    pruned->seq = seq;
    return is_fine;
}

static bool put_beginning(struct audit *audit, const struct audit_pruned *pruned,
                          struct error *error)
{
    struct statement *statement = statement_prepare(
        audit->database,
        "INSERT OR REPLACE INTO pruned (one, seq, stream_id, ordinal, hash) VALUES (1, ?, ?, ?, ?)",
        error);
    if (statement == NULL) {
        return false;
    }
    struct sha256_text hash = sha256_text(&pruned->hash);
    buffer_reset(&audit->stream_id);
    stream_id_put(&audit->stream_id, pruned->stream_id);
    statement_bind_number(statement, 1, pruned->seq);
    statement_bind_text(statement, 2, buffer_span(&audit->stream_id));
    statement_bind_number(statement, 3, pruned->ordinal);
    statement_bind_text(statement, 4, span_of(hash.text));
    bool is_put = statement_run(statement, error);
    statement_finish(statement);
    return is_put;
}

static bool remove_through(struct audit *audit, uint64_t seq, bool is_last,
                           struct audit_pruned *pruned, struct audit_prune_counts *counts,
                           struct error *error)
{
    if (!move_beginning(audit, seq, pruned, error) || !put_beginning(audit, pruned, error)) {
        return false;
    }
    const uint64_t numbers[] = {seq, pruned->stream_id.ms, pruned->stream_id.seq, pruned->ordinal,
                                AUDIT_PRUNE_STEP};
    struct audit_prune_counts gone = {0};
    bool is_fine = run_change(audit, remove_effects, numbers, error);
    gone.effects = database_changes(audit->database);
    is_fine = is_fine && run_change(audit, remove_decisions, numbers, error);
    gone.decisions = database_changes(audit->database);
    is_fine = is_fine && run_change(audit, remove_quarantine, numbers, error);
    for (size_t i = 0; is_last && is_fine && i < sizeof(remove_others) / sizeof(remove_others[0]);
         i++) {
        is_fine = run_change(audit, remove_others[i], numbers, error);
    }
    if (!is_fine || !audit_commit(audit, error)) {
        return false;
    }
    counts->decisions += gone.decisions;
    counts->effects += gone.effects;
    return true;
}

bool audit_prune_step(struct audit *audit, bool *is_done, struct audit_prune_counts *counts,
                      struct error *error)
{
    struct audit_pruned pruned;
    uint64_t through;
    bool is_there;
    *is_done = false;
    if (!audit_begin(audit, error)) {
        return false;
    }
    bool is_fine =
        load_pruned(audit, &pruned, &is_there, error) && load_announced(audit, &through, error);
    if (is_fine && pruned.seq >= through) {
        *is_done = true;
    } else if (is_fine) {
        uint64_t left = through - pruned.seq;
        bool is_last = left <= AUDIT_PRUNE_STEP;
        uint64_t seq = pruned.seq + (is_last ? left : AUDIT_PRUNE_STEP);
        is_fine = remove_through(audit, seq, is_last, &pruned, counts, error);
        *is_done = is_fine && is_last;
    }
    audit_rollback(audit);
    return is_fine;
}

bool audit_give_back(struct audit *audit, uint64_t pages, bool *is_done, struct error *error)
{
    uint64_t before, after;
    char sql[SQL_SIZE_MAX];
    snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%llu)", (unsigned long long)pages);
    if (!database_number(audit->database, "PRAGMA freelist_count", &before, error) ||
        !database_run(audit->database, sql, error) ||
        !database_number(audit->database, "PRAGMA freelist_count", &after, error)) {
        return false;
    }
    *is_done = after == 0 || after >= before;
    return true;
}
