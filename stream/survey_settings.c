/* SPDX-License-Identifier: MIT
 * What the server is and how it is set, and what each setting means for the promises. */
#include "stream/survey_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define VERSION_LEAST     7
#define REPLICA_LAG_MAX_S 10
#define REPLICAS_MAX      16

static const struct setting_rule rules[] = {
    {"version", "fit", FINDING_OK, "", ERROR_NONE},
    {"version", NULL, FINDING_PROBLEM, "7.0 or newer is needed, or Valkey", ERROR_REFUSED},

    {"cluster_enabled", "0", FINDING_OK, "", ERROR_NONE},
    {"cluster_enabled", NULL, FINDING_PROBLEM,
     "cluster mode is not supported: use one server, or one with replicas", ERROR_REFUSED},

    {"maxmemory-policy", "noeviction", FINDING_OK,
     "when memory runs short, writes are refused and Salvor waits", ERROR_NONE},
    {"maxmemory-policy", "volatile-*", FINDING_WARNING,
     "evicts keys that expire: finished jobs are forgotten early; set noeviction", ERROR_NONE},
    {"maxmemory-policy", NULL, FINDING_PROBLEM,
     "an evicted job is a lost one, an evicted stream or control hash ends every lead: set "
     "noeviction",
     ERROR_NONE},

    {"appendonly", "1", FINDING_OK, "", ERROR_NONE},
    {"appendonly", "0", FINDING_WARNING,
     "a crash of Redis loses the jobs, events and effects since its last snapshot, and Salvor then "
     "stops with `history`; set appendonly yes",
     ERROR_NONE},
    {"appendfsync", "always", FINDING_OK, "no acknowledged job, event or effect is lost",
     ERROR_NONE},
    {"appendfsync", "everysec", FINDING_WARNING,
     "a crash of the machine loses up to two seconds of jobs, events and effects, and Salvor then "
     "stops with `history`; only `always` loses none",
     ERROR_NONE},
    {"appendfsync", NULL, FINDING_WARNING,
     "a crash of the machine loses what its kernel had not written yet, often 30 seconds, and "
     "Salvor then stops with `history`; only `always` loses none",
     ERROR_NONE},
    {"save", "", FINDING_PROBLEM,
     "nothing is kept on disk: a restart of Redis loses every job and event, and Salvor then stops "
     "with `history`; set appendonly yes",
     ERROR_NONE},
    {"save", NULL, FINDING_OK, "", ERROR_NONE},
    {"aof_last_write_status", "ok", FINDING_OK, "", ERROR_NONE},
    {"aof_last_write_status", NULL, FINDING_PROBLEM,
     "Redis could not write its log and refuses writes: look at its disk", ERROR_NONE},
    {"rdb_last_bgsave_status", "ok", FINDING_OK, "", ERROR_NONE},
    {"rdb_last_bgsave_status", NULL, FINDING_PROBLEM,
     "Redis could not write its last snapshot and refuses writes while it keeps "
     "stop-writes-on-bgsave-error: look at its disk",
     ERROR_NONE},

    {"role", "master", FINDING_OK, "", ERROR_NONE},
    {"role", NULL, FINDING_PROBLEM,
     "a replica takes no writes: redis.url has to name the master; until then Salvor waits",
     ERROR_NONE},
    {"replica", "fresh", FINDING_OK,
     "a failover loses what it has not received yet, and Salvor then stops with `history`",
     ERROR_NONE},
    {"replica", NULL, FINDING_WARNING,
     "a failover to it would lose more than the moment: see why it lags", ERROR_NONE},

    {"CONFIG GET", NULL, FINDING_WARNING,
     "how often Redis writes to disk, and with it what a crash loses, cannot be seen from here",
     ERROR_NONE},
};

static bool value_matches(const char *wanted, struct span value)
{
    size_t size = wanted == NULL ? 0 : strlen(wanted);
    if (size == 0 || wanted[size - 1] != '*') {
        return wanted == NULL || span_is(value, wanted);
    }
    return value.size >= size - 1 && memcmp(value.data, wanted, size - 1) == 0;
}

static const struct setting_rule *rule_of(const char *name, struct span value)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strcmp(rules[i].name, name) == 0 && value_matches(rules[i].value, value)) {
            return &rules[i];
        }
    }
    CHECK(false); /* every name has a last rule for any value */
}

/* The value of `name:` in the reply of INFO; the empty span when it is not told. */
static struct span info_value(const struct surveyor *surveyor, const char *name)
{
    struct span info = buffer_span(&surveyor->info);
    while (info.data != NULL) {
        struct span line = span_cut(&info, '\n');
        struct span value = line;
        if (span_is(span_cut(&value, ':'), name) && value.size > 0) {
            value.size -= value.data[value.size - 1] == '\r' ? 1 : 0;
            return value;
        }
    }
    return SPAN_NONE;
}

/* Tells of one line of INFO, as far as Redis tells of it. */
static void look_at_info(struct surveyor *surveyor, const char *name)
{
    struct span value = info_value(surveyor, name);
    if (value.size > 0) {
        surveyor_tell(surveyor, rule_of(name, value), "%.*s", SPAN_FORMAT(value));
    }
}

void survey_server(struct surveyor *surveyor)
{
    struct error error;
    const struct redis_reply *reply = redis_ask(surveyor->redis, &error, "INFO", NULL);
    if (reply == NULL) {
        surveyor_fail(surveyor, "INFO", &error);
        return;
    }
    buffer_put_span(&surveyor->info, redis_reply_text(reply));
    struct span valkey = info_value(surveyor, "valkey_version");
    struct span version = info_value(surveyor, "redis_version");
    struct span rest = version;
    uint64_t major = 0;
    bool is_fit = span_to_number(span_cut(&rest, '.'), UINT32_MAX, &major) &&
                  (major >= VERSION_LEAST || valkey.size > 0);
    const struct setting_rule *rule = rule_of("version", is_fit ? SPAN("fit") : SPAN_NONE);
    if (valkey.size > 0) {
        surveyor_tell(surveyor, rule, "Valkey %.*s", SPAN_FORMAT(valkey));
    } else {
        surveyor_tell(surveyor, rule, "Redis %.*s", SPAN_FORMAT(version));
    }
    look_at_info(surveyor, "cluster_enabled");
}

void survey_memory(struct surveyor *surveyor)
{
    struct span policy = info_value(surveyor, "maxmemory_policy");
    struct setting_rule rule = *rule_of("maxmemory-policy", policy);
    bool is_bounded = !span_is(info_value(surveyor, "maxmemory"), "0");
    if (policy.size == 0) {
        return;
    }
    if (rule.level == FINDING_PROBLEM && !is_bounded) {
        rule.level = FINDING_WARNING; /* it evicts nothing before somebody sets a bound */
    }
    surveyor_tell(surveyor, &rule, "%.*s%s", SPAN_FORMAT(policy),
                  is_bounded ? "" : " (maxmemory 0: without a bound)");
}

static void look_at_config(struct surveyor *surveyor, const char *name)
{
    struct error error;
    const struct redis_reply *reply =
        redis_ask(surveyor->redis, &error, "CONFIG", "GET", name, NULL);
    if (reply != NULL && redis_reply_count(reply) == 2) {
        struct span value = redis_reply_text(redis_reply_at(reply, 1));
        surveyor_tell(surveyor, rule_of(name, value), "\"%.*s\"", SPAN_FORMAT(value));
    } else if (reply == NULL && error.code != ERROR_DENIED && error.code != ERROR_REFUSED) {
        surveyor_fail(surveyor, "CONFIG GET", &error);
    } else {
        /* Not needed for live work, and withheld by some who host Redis. */
        surveyor_tell(surveyor, rule_of("CONFIG GET", SPAN_NONE), "%s: %s", name,
                      reply == NULL ? error.message : "not told");
    }
}

void survey_durability(struct surveyor *surveyor)
{
    struct span is_logged = info_value(surveyor, "aof_enabled");
    if (is_logged.size == 0) {
        return;
    }
    surveyor_tell(surveyor, rule_of("appendonly", is_logged), "%s",
                  span_is(is_logged, "1") ? "yes" : "no");
    look_at_config(surveyor, span_is(is_logged, "1") ? "appendfsync" : "save");
    look_at_info(surveyor, "aof_last_write_status");
    look_at_info(surveyor, "rdb_last_bgsave_status");
}

/* The value of `key` in a line of INFO such as ip=…,port=…,state=online,offset=…,lag=0 */
static struct span part_value(struct span line, const char *key)
{
    while (line.size > 0) {
        struct span value = span_cut(&line, ',');
        if (span_is(span_cut(&value, '='), key)) {
            return value;
        }
    }
    return SPAN_NONE;
}

void survey_replication(struct surveyor *surveyor)
{
    look_at_info(surveyor, "role");
    for (int i = 0; i < REPLICAS_MAX; i++) {
        char name[NUMBER_TEXT_SIZE];
        snprintf(name, sizeof(name), "slave%d", i);
        struct span line = info_value(surveyor, name);
        uint64_t lag_s = 0;
        bool is_fresh = span_is(part_value(line, "state"), "online") &&
                        span_to_number(part_value(line, "lag"), REPLICA_LAG_MAX_S, &lag_s);
        if (line.size > 0) {
            surveyor_tell(surveyor, rule_of("replica", is_fresh ? SPAN("fresh") : SPAN_NONE),
                          "%.*s", SPAN_FORMAT(line));
        }
    }
}
