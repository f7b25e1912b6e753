/* SPDX-License-Identifier: MIT
 * Events: what a stream entry says once it is decoded. The two tables below are the whole
 * vocabulary; the codec, the documentation's test and the inspection tools walk them. */
#ifndef SALVOR_REDUCERS_EVENT_H
#define SALVOR_REDUCERS_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/check.h"

/* A Redis stream id: order, never time. */
struct stream_id {
    uint64_t ms;
    uint64_t seq;
};

#define STREAM_ID_TEXT_MAX 41 /* "18446744073709551615-18446744073709551615" */

int stream_id_compare(struct stream_id a, struct stream_id b);
bool stream_id_is_zero(struct stream_id id);
/* "ms-seq" */
void stream_id_put(struct buffer *buffer, struct stream_id id);
/* Accepts "ms-seq" alone. */
bool stream_id_parse(struct span text, struct stream_id *out);

/* One entry as it stood in the stream. `raw` is the canonical form of its fields: a varint of the
 * field count, then name and value of each, both sized (buffer_put_sized). Entry hashes, the
 * capture and the codec all rest on these bytes. Borrowed from the batch. */
struct entry {
    struct stream_id id;
    struct span raw;
};

#define ENTRY_RAW_MAX    65536  /* more: quarantined as oversized */
#define ENTRY_KEPT_MAX   131072 /* so much of an oversized entry's raw form is kept, everywhere */
#define ENTRY_FIELDS_MAX 64
#define ID_SIZE_MAX      128
#define TEXT_SIZE_MAX    1024
#define POLICY_SIZE_MAX  32768

/* The raw form as it is folded, hashed and captured: an entry that is quarantined for its size
 * anyway is cut, so that nobody's memory or disk is a producer's to fill. */
struct span entry_kept(struct span raw);

/* X(NAME, "name", kind, largest size of text or largest number) */
#define EVENT_FIELDS(X)                                  \
    X(WORKER, "worker", ID, ID_SIZE_MAX)                 \
    X(MACHINE, "machine", ID, ID_SIZE_MAX)               \
    X(SERVICES, "services", TEXT, TEXT_SIZE_MAX)         \
    X(HEARTBEAT_MS, "heartbeat_ms", NUMBER, MS_MAX)      \
    X(INCARNATION, "incarnation", NUMBER, INT64_MAX)     \
    X(JOB, "job", ID, ID_SIZE_MAX)                       \
    X(REASON, "reason", TEXT, TEXT_SIZE_MAX)             \
    X(SERVICE, "service", ID, ID_SIZE_MAX)               \
    X(MAX_RETRIES, "max_retries", NUMBER, COUNT_MAX)     \
    X(TIMEOUT_MS, "timeout_ms", NUMBER, MS_MAX)          \
    X(PRIORITY, "priority", NUMBER, INT64_MAX)           \
    X(WORKFLOW, "workflow", ID, ID_SIZE_MAX)             \
    X(IDEMPOTENT, "idempotent", BOOLEAN, 1)              \
    X(ATTEMPT, "attempt", NUMBER, COUNT_MAX)             \
    X(CLAIM, "claim", ID, ID_SIZE_MAX)                   \
    X(LOSSES, "losses", NUMBER, COUNT_MAX)               \
    X(FAILURES, "failures", NUMBER, COUNT_MAX)           \
    X(SERVICE_JOB, "service_job", ID, ID_SIZE_MAX)       \
    X(TAG, "tag", ID, ID_SIZE_MAX)                       \
    X(SUBMITTED_AT, "submitted_at", NUMBER, INT64_MAX)   \
    X(STATUS_URL, "status_url", URL, TEXT_SIZE_MAX)      \
    X(CANCEL_URL, "cancel_url", URL, TEXT_SIZE_MAX)      \
    X(RESULT_URL, "result_url", URL, TEXT_SIZE_MAX)      \
    X(PROGRESS, "progress", NUMBER, 100)                 \
    X(RESULT, "result", TEXT, TEXT_SIZE_MAX)             \
    X(ERROR, "error", TEXT, TEXT_SIZE_MAX)               \
    X(RETRYABLE, "retryable", BOOLEAN, 1)                \
    X(ELAPSED_MS, "elapsed_ms", NUMBER, MS_MAX)          \
    X(GAP_MS, "gap_ms", NUMBER, MS_MAX)                  \
    X(WALL_MS, "wall_ms", NUMBER, INT64_MAX)             \
    X(HASH_ORDINAL, "hash_ordinal", NUMBER, INT64_MAX)   \
    X(STATE_HASH, "state_hash", ID, ID_SIZE_MAX)         \
    X(EPOCH, "epoch", NUMBER, EPOCH_MAX)                 \
    X(OWNER, "owner", ID, ID_SIZE_MAX)                   \
    X(TIMELINE, "timeline", NUMBER, EPOCH_MAX)           \
    X(REDUCERS, "reducers", NUMBER, COUNT_MAX)           \
    X(ORDINAL, "ordinal", NUMBER, INT64_MAX)             \
    X(LOST_COUNT, "count", NUMBER, INT64_MAX)            \
    X(TEXT, "text", TEXT, POLICY_SIZE_MAX)               \
    X(ORIGIN, "origin", ID, ID_SIZE_MAX)                 \
    X(HASH, "hash", ID, ID_SIZE_MAX)                     \
    X(QUESTION, "question", ID, ID_SIZE_MAX)             \
    X(VERDICT, "verdict", ID, ID_SIZE_MAX)               \
    X(FLAGS, "flags", TEXT, TEXT_SIZE_MAX)               \
    X(HTTP, "http", NUMBER, 999)                         \
    X(LATENCY_MS, "latency_ms", NUMBER, MS_MAX)          \
    X(WORD, "word", TEXT, TEXT_SIZE_MAX)                 \
    X(BODY_SHA256, "body_sha256", ID, ID_SIZE_MAX)       \
    X(ENDPOINT, "endpoint", URL, TEXT_SIZE_MAX)          \
    X(CAPABILITIES, "capabilities", TEXT, TEXT_SIZE_MAX) \
    X(BREAKER, "breaker", ID, ID_SIZE_MAX)               \
    X(EFFECT, "effect", ID, ID_SIZE_MAX)                 \
    X(OUTCOME, "outcome", ID, ID_SIZE_MAX)               \
    X(FOUND, "found", TEXT, TEXT_SIZE_MAX)               \
    X(WHO, "who", ID, ID_SIZE_MAX)                       \
    X(WHY, "why", TEXT, TEXT_SIZE_MAX)                   \
    X(STATUS, "status", ID, ID_SIZE_MAX)                 \
    X(AGE_MS, "age_ms", NUMBER, INT64_MAX)               \
    X(SILENT_MS, "silent_ms", NUMBER, INT64_MAX)         \
    X(TRACE, "trace", ID, ID_SIZE_MAX)                   \
    X(AT, "at", NUMBER, INT64_MAX)                       \
    X(ID, "id", ID, ID_SIZE_MAX)

#define MS_MAX    INT64_C(31536000000000) /* a thousand years: sums of two clocks stay in range */
#define COUNT_MAX 1000000
#define EPOCH_MAX \
    INT64_C(9007199254740991) /* 2^53 - 1: what the scripts of the queue count exactly */

#define X(name, text, kind, max) FIELD_##name,
enum event_field { EVENT_FIELDS(X) EVENT_FIELD_COUNT };
#undef X
_Static_assert(EVENT_FIELD_COUNT <= 64, "the set of present fields is one 64-bit word");

#define F(name)       (UINT64_C(1) << FIELD_##name)
#define FIELDS_ON_ALL (F(TRACE) | F(AT) | F(ID))
#define FIELDS_LEADER (F(OWNER) | F(EPOCH))
#define FIELDS_TOKEN  (F(JOB) | F(WORKER) | F(ATTEMPT))

/* X(NAME, "name", who may append it, required fields, optional fields) */
#define EVENT_TYPES(X)                                                                             \
    X(WORKER_REGISTERED, "worker.registered", ANYONE, F(WORKER),                                   \
      F(MACHINE) | F(SERVICES) | F(HEARTBEAT_MS) | F(INCARNATION))                                 \
    X(WORKER_HEARTBEAT, "worker.heartbeat", ANYONE, F(WORKER), F(JOB) | F(INCARNATION))            \
    X(WORKER_STOPPING, "worker.stopping", ANYONE, F(WORKER), F(REASON))                            \
    X(WORKER_STOPPED, "worker.stopped", ANYONE, F(WORKER), F(REASON))                              \
    X(WORKER_LOST, "worker.lost", ANYONE, F(WORKER), F(REASON))                                    \
    X(JOB_SUBMITTED, "job.submitted", ANYONE, F(JOB),                                              \
      F(SERVICE) | F(MAX_RETRIES) | F(TIMEOUT_MS) | F(PRIORITY) | F(WORKFLOW) | F(IDEMPOTENT))     \
    X(JOB_CLAIMED, "job.claimed", ANYONE, FIELDS_TOKEN, FIELDS_HOLD)                               \
    X(JOB_STARTED, "job.started", ANYONE, FIELDS_TOKEN, FIELDS_HOLD)                               \
    X(JOB_HANDED_OFF, "job.handed_off", ANYONE, FIELDS_TOKEN | F(SERVICE) | F(SERVICE_JOB),        \
      F(TAG) | F(SUBMITTED_AT) | F(STATUS_URL) | F(CANCEL_URL) | F(RESULT_URL))                    \
    X(JOB_PROGRESS, "job.progress", ANYONE, FIELDS_TOKEN, F(PROGRESS))                             \
    X(JOB_COMPLETED, "job.completed", ANYONE, F(JOB) | F(ATTEMPT), F(WORKER) | F(RESULT))          \
    X(JOB_FAILED, "job.failed", ANYONE, F(JOB) | F(ATTEMPT), F(WORKER) | F(ERROR) | F(RETRYABLE))  \
    X(JOB_CANCELLED, "job.cancelled", ANYONE, F(JOB) | F(ATTEMPT), F(WORKER) | F(ERROR))           \
    X(TICK, "tick", LEADER, FIELDS_LEADER | F(ELAPSED_MS) | F(WALL_MS),                            \
      F(GAP_MS) | F(HASH_ORDINAL) | F(STATE_HASH))                                                 \
    X(EPOCH, "epoch", LEADER, FIELDS_LEADER | F(TIMELINE) | F(REDUCERS) | F(ORDINAL) | F(WALL_MS), \
      F(GAP_MS))                                                                                   \
    X(STREAM_LOST, "stream.lost", LEADER, FIELDS_LEADER | F(LOST_COUNT) | F(ORDINAL), 0)           \
    X(POLICY, "policy", LEADER_OR_OPERATOR, F(TEXT) | F(ORIGIN) | F(HASH), FIELDS_LEADER)          \
    X(SERVICE_ANSWERED, "service.answered", LEADER,                                                \
      FIELDS_LEADER | F(QUESTION) | F(JOB) | F(ATTEMPT) | F(VERDICT),                              \
      F(FLAGS) | F(HTTP) | F(LATENCY_MS) | F(WORD) | F(BODY_SHA256) | F(RESULT))                   \
    X(SERVICE_PROBED, "service.probed", LEADER, FIELDS_LEADER | F(SERVICE) | F(CAPABILITIES),      \
      F(ENDPOINT) | F(BREAKER))                                                                    \
    X(EFFECT_SETTLED, "effect.settled", LEADER, FIELDS_LEADER | F(EFFECT) | F(OUTCOME), F(FOUND))  \
    X(OPERATOR_REQUEUE, "operator.requeue", ANYONE, FIELDS_OPERATOR, FIELDS_TARGET)                \
    X(OPERATOR_COMPLETE, "operator.complete", ANYONE, FIELDS_OPERATOR, FIELDS_TARGET | F(RESULT))  \
    X(OPERATOR_FAIL, "operator.fail", ANYONE, FIELDS_OPERATOR, FIELDS_TARGET)                      \
    X(OPERATOR_CANCEL, "operator.cancel", ANYONE, FIELDS_OPERATOR, FIELDS_TARGET)                  \
    X(OPERATOR_HOLD, "operator.hold", ANYONE, FIELDS_OPERATOR, FIELDS_TARGET)                      \
    X(OPERATOR_RESUME, "operator.resume", ANYONE, FIELDS_OPERATOR, FIELDS_TARGET)                  \
    X(JOB_OBSERVED, "job.observed", LEADER, FIELDS_LEADER | F(JOB) | F(STATUS) | F(ATTEMPT),       \
      F(WORKER) | F(SERVICE) | F(SERVICE_JOB) | F(AGE_MS) | F(TIMEOUT_MS) | F(MAX_RETRIES))        \
    X(WORKER_OBSERVED, "worker.observed", LEADER, FIELDS_LEADER | F(WORKER) | F(SILENT_MS), 0)

#define FIELDS_HOLD                                                                            \
    (F(CLAIM) | F(INCARNATION) | F(SERVICE) | F(MAX_RETRIES) | F(TIMEOUT_MS) | F(IDEMPOTENT) | \
     F(LOSSES) | F(FAILURES))
#define FIELDS_OPERATOR (F(WHO) | F(WHY))
#define FIELDS_TARGET   (F(JOB) | F(WORKER))

#define X(name, text, reach, required, optional) EVENT_##name,
enum event_type { EVENT_NONE, EVENT_TYPES(X) EVENT_TYPE_COUNT };
#undef X

enum event_reach { REACH_NONE, REACH_ANYONE, REACH_LEADER, REACH_LEADER_OR_OPERATOR };

enum field_kind {
    FIELD_KIND_NONE,
    FIELD_KIND_ID,   /* 1 to 128 bytes of printable ASCII */
    FIELD_KIND_TEXT, /* any bytes up to the maximum */
    FIELD_KIND_URL,  /* 1 to 1,024 bytes of printable ASCII without blanks */
    FIELD_KIND_NUMBER,
    FIELD_KIND_BOOLEAN,
};

struct field_rule {
    const char *name; /* static */
    enum field_kind kind;
    uint64_t max;
};

struct type_rule {
    const char *name; /* static */
    enum event_reach reach;
    uint64_t required; /* set of F(…) */
    uint64_t optional;
};

/* `field` and `type` must be in range (CHECK). Static storage. */
const struct field_rule *event_field_rule(enum event_field field);
const struct type_rule *event_type_rule(enum event_type type);
/* EVENT_NONE when there is no such type. */
enum event_type event_type_named(struct span name);
/* EVENT_FIELD_COUNT when there is no such field. */
enum event_field event_field_named(struct span name);

/* A decoded event, by value. The texts are borrowed from the entry's raw bytes. */
struct event {
    enum event_type type;
    struct stream_id id;
    uint64_t present; /* set of F(…); a value without its bit is not to be read */
    union event_value {
        struct span text;
        uint64_t number; /* booleans: 0 or 1 */
    } value[EVENT_FIELD_COUNT];
};

/* Here, since every fold asks dozens of times: with the field known they are one test of a bit. */
static inline bool event_has(const struct event *event, enum event_field field)
{
    CHECK(field < EVENT_FIELD_COUNT);
    return (event->present >> field & 1) != 0;
}

/* The empty span when absent. */
static inline struct span event_text(const struct event *event, enum event_field field)
{
    return event_has(event, field) ? event->value[field].text : SPAN_NONE;
}

/* 0 when absent. */
static inline uint64_t event_number(const struct event *event, enum event_field field)
{
    return event_has(event, field) ? event->value[field].number : 0;
}

#endif
