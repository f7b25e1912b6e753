-- SPDX-License-Identifier: MIT
-- The audit database, schema version 1. A public contract: people query it with sqlite3, best as
-- `sqlite3 -readonly FILE`, also beside a running process.
--
-- One file holds one partition as one instance folded it. Times are the stream's: ms since 1970 in
-- the id of the entry that caused the row, never a clock of this machine. `stream_id` is text,
-- "ms-seq"; to order rows take seq or ordinal, never stream_id. A text that does not apply is '',
-- never NULL; NULL stands only where the schema says what it means.
--
-- To change the schema: leave this file as it is, add a numbered migration to audit_schema.c, and
-- describe the new tables there and in docs/audit.md.

PRAGMA application_id = 0x53414c56; -- 'SALV'

-- What the chain of decisions begins with. One row.
CREATE TABLE origin (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    partition INTEGER NOT NULL,
    genesis   TEXT NOT NULL -- the hash before the first decision
) STRICT;

-- Every decision, in the order of the chain. Rows are never changed, but for superseded_by, which is
-- not part of the hash, and leave the file only from the oldest on, by `salvor audit prune` and
-- `audit.keep_ms`. A row with action `prune` tells of that: it is this file's own (ids `prune.SEQ`,
-- position of the file at that time), chained like all others, and no fold gives it.
CREATE TABLE decision (
    seq           INTEGER PRIMARY KEY, -- of this file alone; another instance may count otherwise
    id            TEXT NOT NULL,       -- partition.timeline.ms-seq.n: the same on every instance
    timeline      INTEGER NOT NULL,
    stream_id     TEXT NOT NULL,       -- of the entry that caused it
    ordinal       INTEGER NOT NULL,    -- of that entry: how many had been added up to it
    at_ms         INTEGER NOT NULL,    -- ms of stream_id
    job           TEXT NOT NULL,       -- '' when it is about a worker or an entry
    worker        TEXT NOT NULL,
    service       TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    action        TEXT NOT NULL,
    reason        TEXT NOT NULL,
    policy        TEXT NOT NULL,       -- policy.hash; '' before the first policy
    reducers      INTEGER NOT NULL,    -- version of the rules
    evidence      TEXT NOT NULL,       -- JSON: the facts it rests on, with their stream ids
    trace         TEXT NOT NULL,       -- W3C traceparent of the cause
    mode          TEXT NOT NULL,       -- the policy's `effects`: apply or observe
    superseded_by INTEGER,             -- NULL: valid; else the timeline that replaced it
    hash          TEXT NOT NULL        -- SHA-256 of the hash before and of the columns id to mode
) STRICT;
CREATE UNIQUE INDEX decision_id ON decision (id) WHERE superseded_by IS NULL;
CREATE INDEX decision_id_superseded ON decision (id) WHERE superseded_by IS NOT NULL;
CREATE INDEX decision_ordinal ON decision (ordinal);
CREATE INDEX decision_job ON decision (job) WHERE job <> '';
CREATE INDEX decision_prune ON decision (seq) WHERE action = 'prune';

-- Up to where decisions were removed, their effects and what stood beside them included. One row
-- once any was. The chain of the decisions that remain begins with `hash`; the newest decision with
-- action `prune` tells how far it was to go (evidence: through_seq, through_hash).
CREATE TABLE pruned (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    seq       INTEGER NOT NULL, -- of the last decision removed
    stream_id TEXT NOT NULL,
    ordinal   INTEGER NOT NULL,
    hash      TEXT NOT NULL
) STRICT;

-- What a decision wanted done outside, and what came of it.
CREATE TABLE effect (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE, -- id of the decision, then .k
    decision        TEXT NOT NULL,        -- decision.id
    kind            TEXT NOT NULL,        -- ask cancel requeue complete fail time_out release
    target          TEXT NOT NULL,        -- job:ID, worker:ID or SERVICE/SERVICE_JOB
    requested_at_ms INTEGER NOT NULL,
    settled_at_ms   INTEGER,              -- NULL: open
    outcome         TEXT NOT NULL,        -- '' while open
    found           TEXT NOT NULL         -- what the queue or the service said
) STRICT;
CREATE INDEX effect_decision ON effect (decision);
CREATE INDEX effect_open ON effect (seq) WHERE settled_at_ms IS NULL;

-- Each time that a policy came into force.
CREATE TABLE policy (
    seq       INTEGER PRIMARY KEY,
    hash      TEXT NOT NULL, -- SHA-256 of the text, as the event told it
    stream_id TEXT NOT NULL,
    at_ms     INTEGER NOT NULL,
    text      TEXT NOT NULL  -- one key=value a line
) STRICT;

-- Who led, from which entry on.
CREATE TABLE leadership (
    epoch     INTEGER PRIMARY KEY,
    timeline  INTEGER NOT NULL,
    owner     TEXT NOT NULL, -- random id of the instance
    stream_id TEXT NOT NULL,
    at_ms     INTEGER NOT NULL
) STRICT;

-- Entries that could not be decoded or were refused, with their bytes.
CREATE TABLE quarantine (
    seq       INTEGER PRIMARY KEY,
    stream_id TEXT NOT NULL,
    at_ms     INTEGER NOT NULL,
    reason    TEXT NOT NULL, -- decision.reason, then which field and what is wrong with it
    raw       BLOB NOT NULL  -- a varint of the field count, then each name and value, sized;
                             -- of an oversized entry the first 128 KiB
) STRICT;

-- How far this file goes. One row once anything was committed.
CREATE TABLE position (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    timeline     INTEGER NOT NULL,
    stream_id    TEXT NOT NULL,
    ordinal      INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    entry_sha256 TEXT NOT NULL, -- of the raw bytes of the entry at stream_id
    audit_head   TEXT NOT NULL  -- hash of the last decision
) STRICT;

-- The state of the reducers, written down whole; the two newest.
CREATE TABLE snapshot (
    ordinal      INTEGER PRIMARY KEY,
    timeline     INTEGER NOT NULL,
    stream_id    TEXT NOT NULL,
    epoch        INTEGER NOT NULL,
    entry_sha256 TEXT NOT NULL,
    audit_head   TEXT NOT NULL,
    size         INTEGER NOT NULL,
    sha256       TEXT NOT NULL
) STRICT;
CREATE TABLE snapshot_chunk (
    ordinal INTEGER NOT NULL, -- snapshot.ordinal
    number  INTEGER NOT NULL, -- from 0
    bytes   BLOB NOT NULL,    -- at most 1 MiB
    PRIMARY KEY (ordinal, number)
) STRICT;

-- The hash of the state now and then, to be held against other instances and replays.
CREATE TABLE checkpoint (
    ordinal    INTEGER PRIMARY KEY,
    stream_id  TEXT NOT NULL,
    state_hash TEXT NOT NULL
) STRICT;

-- What happened to a job, decision by decision: SELECT * FROM job_story WHERE job = 'j1'.
CREATE VIEW job_story AS
SELECT d.job, d.seq,
       strftime('%Y-%m-%d %H:%M:%f', d.at_ms / 1000.0, 'unixepoch') AS at,
       d.attempt, d.worker, d.service, d.action, d.reason,
       coalesce((SELECT group_concat(
                            e.kind || ' ' || e.target || ': ' ||
                            iif(e.settled_at_ms IS NULL, 'open',
                                e.outcome || ' after ' || (e.settled_at_ms - e.requested_at_ms) ||
                                ' ms') ||
                            iif(e.found = '', '', ' (' || replace(e.found, char(10), ' ') || ')'),
                            '; ')
                   FROM effect AS e WHERE e.decision = d.id), '') AS effects,
       d.evidence, d.mode, d.policy, d.stream_id, d.id
  FROM decision AS d
 WHERE d.job <> '' AND d.superseded_by IS NULL
 ORDER BY d.job, d.seq;

-- How jobs were recovered or given up, and why. A decision counts once, by its queue effect.
CREATE VIEW recovery_by_reason AS
SELECT d.action, d.reason, count(*) AS decisions, count(DISTINCT d.job) AS jobs,
       count(*) FILTER (WHERE e.outcome IN ('applied', 'published')) AS applied,
       count(*) FILTER (WHERE e.outcome = 'observed') AS observed,
       count(*) FILTER (WHERE e.outcome IN ('stale', 'gone', 'failed')) AS refused,
       count(*) FILTER (WHERE e.outcome = 'withdrawn') AS withdrawn,
       count(*) FILTER (WHERE e.id IS NOT NULL AND e.settled_at_ms IS NULL) AS open,
       strftime('%Y-%m-%d %H:%M:%f', min(d.at_ms) / 1000.0, 'unixepoch') AS first_at,
       strftime('%Y-%m-%d %H:%M:%f', max(d.at_ms) / 1000.0, 'unixepoch') AS last_at
  FROM decision AS d
  LEFT JOIN effect AS e ON e.decision = d.id AND e.kind = d.action
 WHERE d.action IN ('requeue', 'complete', 'fail', 'time_out', 'park') AND d.job <> ''
   AND d.superseded_by IS NULL
 GROUP BY d.action, d.reason
 ORDER BY decisions DESC, d.action, d.reason;

-- For each loss of a worker's job: its first decision, the decision that ended it, and the ms from
-- there to the deciding and to the settled effect (NULL: none, or still open). It ends with what
-- was done first; where nothing was done, with what was decided last. Decisions that were only
-- observed end nothing.
CREATE VIEW recovery_latency AS
WITH ended AS (
    SELECT d.*,
           (SELECT min(l.seq) FROM decision AS l
             WHERE l.job = d.job AND l.job <> '' AND l.attempt = d.attempt AND l.seq <= d.seq
               AND l.superseded_by IS NULL
               AND (l.reason IN ('worker_silent', 'worker_stopped', 'worker_lost',
                                 'worker_restarted', 'claim_timed_out')
                    OR (l.action = 'hold' AND l.reason = 'mass_loss'))
               AND l.seq > coalesce((SELECT max(h.seq) FROM decision AS h
                                      WHERE h.job = d.job AND h.job <> '' AND h.seq < d.seq
                                        AND h.superseded_by IS NULL
                                        AND h.reason IN ('worker_heard_again', 'started_late')),
                                    0)) AS lost_seq,
           coalesce(e.outcome, '') AS outcome, e.settled_at_ms,
           coalesce(e.outcome, '') IN ('applied', 'published') AS is_done
      FROM decision AS d
      LEFT JOIN effect AS e ON e.decision = d.id AND e.kind = d.action
     WHERE d.action IN ('requeue', 'complete', 'fail', 'time_out', 'park') AND d.job <> ''
       AND d.superseded_by IS NULL
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY job, lost_seq
                                 ORDER BY is_done DESC, iif(is_done, seq, -seq)) AS place
      FROM ended WHERE outcome <> 'observed'
)
SELECT d.job, d.attempt, l.worker,
       strftime('%Y-%m-%d %H:%M:%f', l.at_ms / 1000.0, 'unixepoch') AS lost_at,
       l.reason AS lost_by, d.action, d.reason,
       d.at_ms - l.at_ms AS decided_ms,
       d.settled_at_ms - l.at_ms AS settled_ms, d.outcome
  FROM ranked AS d
  JOIN decision AS l ON l.seq = d.lost_seq
 WHERE d.place = 1
 ORDER BY d.seq;

-- Jobs that would have run twice: the service, or a late event, proved them done. An attempt counts
-- once, by what was decided last.
CREATE VIEW duplicates_prevented AS
SELECT d.job, d.attempt, d.worker, d.service,
       strftime('%Y-%m-%d %H:%M:%f', d.at_ms / 1000.0, 'unixepoch') AS at,
       d.reason, coalesce(e.outcome, '') AS outcome, d.evidence, d.id
  FROM decision AS d
  LEFT JOIN effect AS e ON e.decision = d.id AND e.kind = 'complete'
 WHERE d.action = 'complete' AND d.reason IN ('service_completed', 'late_completion')
   AND d.superseded_by IS NULL
   AND NOT EXISTS (SELECT 1 FROM decision AS later
                    WHERE later.job = d.job AND later.job <> '' AND later.attempt = d.attempt
                      AND later.seq > d.seq AND later.superseded_by IS NULL
                      AND later.action = 'complete'
                      AND later.reason IN ('service_completed', 'late_completion'))
 ORDER BY d.seq;

-- What was asked for and has no outcome yet; the age is measured in the stream's time.
CREATE VIEW open_effects AS
SELECT e.id, e.kind, e.target, d.job, d.attempt, d.worker, d.reason,
       strftime('%Y-%m-%d %H:%M:%f', e.requested_at_ms / 1000.0, 'unixepoch') AS requested_at,
       (SELECT CAST(p.stream_id AS INTEGER) FROM position AS p) - e.requested_at_ms AS age_ms
  FROM effect AS e
  LEFT JOIN decision AS d ON d.id = e.decision AND d.superseded_by IS NULL
 WHERE e.settled_at_ms IS NULL
 ORDER BY e.seq;
