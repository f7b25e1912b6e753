/* SPDX-License-Identifier: MIT
 * The policy: every setting that a reducer reads, as numbers. Its text form, one `key=value` a
 * line, is what a `policy` event carries; the configuration writes it from the same table. */
#ifndef SALVOR_REDUCERS_POLICY_H
#define SALVOR_REDUCERS_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "reducers/event.h"

/* X(NAME, "key", words or NULL, largest number, safe, seed). A key with words takes one of them and
 * its number is the word's place, from 1; a key without takes a number from 0. */
#define POLICY_KEYS(X)                                                                         \
    X(EFFECTS, "effects", "observe apply", 0, EFFECTS_APPLY, EFFECTS_APPLY)                    \
    X(WORKER_SILENT_MS, "worker_silent_ms", NULL, MS_MAX, 60000, 60000)                        \
    X(MISSED_HEARTBEATS, "missed_heartbeats", NULL, 1000, 3, 3)                                \
    X(MAX_RETRIES, "max_retries", NULL, COUNT_MAX, 3, 3)                                       \
    X(JOB_TIMEOUT_MS, "job_timeout_ms", NULL, MS_MAX, 1800000, 1800000)                        \
    X(BACKOFF_MS, "backoff_ms", NULL, MS_MAX, 1000, 0)                                         \
    X(BACKOFF_MAX_MS, "backoff_max_ms", NULL, MS_MAX, 60000, 60000)                            \
    X(ON_RUNNING, "on_running", "wait requeue", 0, ON_RUNNING_WAIT, ON_RUNNING_REQUEUE)        \
    X(ON_NOT_FOUND, "on_not_found", "requeue park", 0, REQUEUE_OR_PARK_REQUEUE,                \
      REQUEUE_OR_PARK_REQUEUE)                                                                 \
    X(ON_FORGOTTEN, "on_forgotten", "requeue park", 0, REQUEUE_OR_PARK_PARK,                   \
      REQUEUE_OR_PARK_REQUEUE)                                                                 \
    X(ON_UNREACHABLE, "on_unreachable", "requeue park", 0, REQUEUE_OR_PARK_REQUEUE,            \
      REQUEUE_OR_PARK_REQUEUE)                                                                 \
    X(ASK_LIMIT, "ask_limit", NULL, 1000, 3, 1)                                                \
    X(ASK_BACKOFF_MS, "ask_backoff_ms", NULL, MS_MAX, 2000, 0)                                 \
    X(ON_TIMEOUT, "on_timeout", "time_out retry", 0, ON_TIMEOUT_TIME_OUT, ON_TIMEOUT_TIME_OUT) \
    X(GRACE_MS, "grace_ms", NULL, MS_MAX, 5000, 0)                                             \
    X(QUEUE_FAILURES, "queue.failures", "salvor queue", 0, QUEUE_FAILURES_QUEUE,               \
      QUEUE_FAILURES_QUEUE)                                                                    \
    X(REMEMBER, "remember", NULL, 1000000, 100000, 100000)

#define X(name, key, words, max, safe, seed) POLICY_##name,
enum policy_key { POLICY_KEYS(X) POLICY_KEY_COUNT };
#undef X

enum policy_effects { EFFECTS_OBSERVE = 1, EFFECTS_APPLY };
enum policy_on_running { ON_RUNNING_WAIT = 1, ON_RUNNING_REQUEUE };
enum policy_requeue_or_park { REQUEUE_OR_PARK_REQUEUE = 1, REQUEUE_OR_PARK_PARK };
enum policy_on_timeout { ON_TIMEOUT_TIME_OUT = 1, ON_TIMEOUT_RETRY };
enum policy_queue_failures { QUEUE_FAILURES_SALVOR = 1, QUEUE_FAILURES_QUEUE };
enum policy_preset { PRESET_NONE, PRESET_SAFE, PRESET_SEED };

#define POLICY_SERVICES_MAX 64

/* What a reducer must know of a service: `service.<name>.volatile=true` in the text. */
struct policy_service {
    char name[ID_SIZE_MAX];
    uint8_t name_size;
    bool is_volatile; /* a restart makes it forget its jobs */
};

struct policy {
    uint64_t value[POLICY_KEY_COUNT];
    struct policy_service services[POLICY_SERVICES_MAX];
    uint32_t service_count;
};

struct policy_key_rule {
    const char *key;   /* static */
    const char *words; /* static, parted by blanks; NULL: a number */
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
/* Adds or replaces a service's facts; false when POLICY_SERVICES_MAX are there or the name is not
 * an id. */
bool policy_set_service(struct policy *policy, struct span name, bool is_volatile);
/* True when the policy says that this service forgets its jobs in a restart. */
bool policy_service_is_volatile(const struct policy *policy, struct span name);

/* The canonical text: every key, lines sorted bytewise, each ended by a line feed. */
void policy_put_text(struct buffer *buffer, const struct policy *policy);
/* Reads such a text; keys may stand in any order, and one that is missing keeps its value of
 * `safe`. False on an unknown key, a value the key does not take, or a key that stands twice:
 * `*bad` is the line (borrowed from the text). */
bool policy_parse_text(struct span text, struct policy *out, struct span *bad);

#endif
