/* SPDX-License-Identifier: MIT
 * The policy: every setting that a reducer reads, as numbers. Its text form, one `key=value` a
 * line, is what a `policy` event carries; the configuration writes it from the same table. */
#ifndef SALVOR_REDUCERS_POLICY_H
#define SALVOR_REDUCERS_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "reducers/event.h"

/* X(NAME, "key", whose, words or NULL, largest number, safe, seed). A key of JOB can be told for
 * one service alone, one of FLEET holds for all. A key with words takes one of them and its number
 * is the word's place, from 1; a key without takes a number from 0. */
#define POLICY_KEYS(X)                                                                   \
    X(EFFECTS, "effects", JOB, "observe apply", 0, EFFECTS_APPLY, EFFECTS_APPLY)         \
    X(WORKER_SILENT_MS, "worker_silent_ms", FLEET, NULL, MS_MAX, 60000, 60000)           \
    X(MISSED_HEARTBEATS, "missed_heartbeats", FLEET, NULL, 1000, 3, 3)                   \
    X(MAX_RETRIES, "max_retries", JOB, NULL, COUNT_MAX, 3, 3)                            \
    X(POISON_AFTER, "poison_after", JOB, NULL, COUNT_MAX, 3, 0)                          \
    X(JOB_TIMEOUT_MS, "job_timeout_ms", JOB, NULL, MS_MAX, 1800000, 1800000)             \
    X(CLAIM_TIMEOUT_MS, "claim_timeout_ms", JOB, NULL, MS_MAX, 300000, 0)                \
    X(BACKOFF_MS, "backoff_ms", JOB, NULL, MS_MAX, 1000, 0)                              \
    X(BACKOFF_MAX_MS, "backoff_max_ms", JOB, NULL, MS_MAX, 60000, 60000)                 \
    X(ON_RUNNING, "on_running", JOB, "wait requeue cancel", 0, ON_RUNNING_WAIT,          \
      ON_RUNNING_REQUEUE)                                                                \
    X(ON_NOT_FOUND, "on_not_found", JOB, "requeue park", 0, REQUEUE_OR_PARK_REQUEUE,     \
      REQUEUE_OR_PARK_REQUEUE)                                                           \
    X(ON_FORGOTTEN, "on_forgotten", JOB, "requeue park", 0, REQUEUE_OR_PARK_PARK,        \
      REQUEUE_OR_PARK_REQUEUE)                                                           \
    X(ON_UNREACHABLE, "on_unreachable", JOB, "requeue park", 0, REQUEUE_OR_PARK_REQUEUE, \
      REQUEUE_OR_PARK_REQUEUE)                                                           \
    X(ASK_LIMIT, "ask_limit", JOB, NULL, 1000, 3, 1)                                     \
    X(ASK_BACKOFF_MS, "ask_backoff_ms", JOB, NULL, MS_MAX, 2000, 0)                      \
    X(ASK_WAIT_MS, "ask_wait_ms", JOB, NULL, 3600000, 60000, 60000)                      \
    X(ON_TIMEOUT, "on_timeout", JOB, "time_out retry", 0, ON_TIMEOUT_TIME_OUT,           \
      ON_TIMEOUT_TIME_OUT)                                                               \
    X(GRACE_MS, "grace_ms", JOB, NULL, MS_MAX, 5000, 0)                                  \
    X(MASS_LOSS_PERCENT, "mass_loss_percent", FLEET, NULL, 100, 50, 0)                   \
    X(MASS_LOSS_MIN, "mass_loss_min", FLEET, NULL, COUNT_MAX, 5, 5)                      \
    X(HOLD_MAX_MS, "hold_max_ms", FLEET, NULL, MS_MAX, 120000, 120000)                   \
    X(HOLD_PACE, "hold_pace", FLEET, NULL, COUNT_MAX, 100, 100)                          \
    X(SERVICE_CHECK_PERCENT, "service_check_percent", JOB, NULL, 100, 100, 100)          \
    X(TIMEOUTS_PERCENT, "timeouts_percent", JOB, NULL, 100, 100, 100)                    \
    X(REQUEUE_PERCENT, "requeue_percent", JOB, NULL, 100, 100, 100)                      \
    X(QUEUE_FAILURES, "queue.failures", JOB, "salvor queue", 0, QUEUE_FAILURES_QUEUE,    \
      QUEUE_FAILURES_QUEUE)                                                              \
    X(REMEMBER, "remember", FLEET, NULL, 1000000, 100000, 100000)

#define X(name, key, whose, words, max, safe, seed) POLICY_##name,
enum policy_key { POLICY_KEYS(X) POLICY_KEY_COUNT };
#undef X
_Static_assert(POLICY_KEY_COUNT <= 64, "the set of a service's own keys is one 64-bit word");

enum policy_scope { POLICY_SCOPE_NONE, POLICY_SCOPE_JOB, POLICY_SCOPE_FLEET };
enum policy_effects { EFFECTS_OBSERVE = 1, EFFECTS_APPLY };
enum policy_on_running { ON_RUNNING_WAIT = 1, ON_RUNNING_REQUEUE, ON_RUNNING_CANCEL };
enum policy_requeue_or_park { REQUEUE_OR_PARK_REQUEUE = 1, REQUEUE_OR_PARK_PARK };
enum policy_on_timeout { ON_TIMEOUT_TIME_OUT = 1, ON_TIMEOUT_RETRY };
enum policy_queue_failures { QUEUE_FAILURES_SALVOR = 1, QUEUE_FAILURES_QUEUE };
enum policy_preset { PRESET_NONE, PRESET_SAFE, PRESET_SEED };

#define POLICY_SERVICES_MAX 64

/* What a reducer must know of a service, from its profile; a line each in the text. */
struct policy_facts {
    bool is_volatile;      /* service.<name>.volatile=true: a restart makes it forget its jobs */
    uint64_t retention_ms; /* service.<name>.retention_ms=…: how long it remembers; 0: not told */
};

/* One service's own settings: `service.<name>.<key>=<value>` in the text. */
struct policy_service {
    char name[ID_SIZE_MAX];
    uint8_t name_size;
    struct policy_facts facts;
    bool has_facts; /* they were told */
    uint64_t told;  /* set of 1 << POLICY_…; the other keys are those of the policy */
    uint64_t value[POLICY_KEY_COUNT];
};

struct policy {
    uint64_t value[POLICY_KEY_COUNT];
    struct policy_service services[POLICY_SERVICES_MAX];
    uint32_t service_count;
};

struct policy_key_rule {
    const char *key;   /* static */
    const char *words; /* static, parted by blanks; NULL: a number */
    enum policy_scope scope;
    uint64_t max;
    uint64_t safe, seed;
};

const struct policy_key_rule *policy_key_rule(enum policy_key key);
/* POLICY_KEY_COUNT when there is no such key. */
enum policy_key policy_key_named(struct span name);
/* True when `text` is a value that the key takes; `*out` is its number. */
bool policy_value_parse(enum policy_key key, struct span text, uint64_t *out);
/* The inverse: a word or a decimal number. */
void policy_value_put(struct buffer *buffer, enum policy_key key, uint64_t value);

void policy_preset(enum policy_preset preset, struct policy *out);
/* The value in force for the jobs of a service; empty: of none. */
uint64_t policy_value(const struct policy *policy, struct span service, enum policy_key key);
/* True when effects on the queue may be carried out, for one service at least. */
bool policy_applies(const struct policy *policy);
/* True when a roll-out to so many percent of all jobs includes this one, by its lot: whoever is in
 * at a percentage is in at every higher one. */
bool policy_is_rolled_out(uint64_t percent, struct span job);
/* All false and 0 when the policy does not know the service. */
struct policy_facts policy_facts(const struct policy *policy, struct span service);
/* Each: false when POLICY_SERVICES_MAX are there or the name is not an id; set_service also when
 * the key is one of the fleet's. */
bool policy_set_facts(struct policy *policy, struct span service, struct policy_facts facts);
bool policy_set_service(struct policy *policy, struct span service, enum policy_key key,
                        uint64_t value);

/* The canonical text: every key, and of each service its facts and its own keys; lines sorted
 * bytewise, each ended by a line feed. */
void policy_put_text(struct buffer *buffer, const struct policy *policy);
/* Reads such a text; keys may stand in any order, and one that is missing keeps its value of
 * `safe`. False on an unknown key, a value the key does not take, or a key that stands twice:
 * `*bad` is the line (borrowed from the text). */
bool policy_parse_text(struct span text, struct policy *out, struct span *bad);

#endif
