/* SPDX-License-Identifier: MIT */
#include "stream/survey.h"

#include <stdio.h>

#include "base/check.h"
#include "base/log.h"
#include "stream/names.h"

#define VERSION_LEAST 7
#define WORDS_MAX     16

/* Every command that is sent or that a script uses, with a key of each kind it is used on: @ctl
 * @stream @meta are ours, @queue stands before the queue's. */
static const char *const stream_commands[] = {
    "INFO",
    "SCRIPT LOAD x",
    "EVAL x 1 @ctl",
    "EVALSHA x 1 @ctl",
    "TIME",
    "HSETNX @meta partitions 1",
    "HGET @meta partitions",
    "TYPE @ctl",
    "HGET @ctl epoch",
    "HMGET @ctl owner epoch",
    "HSET @ctl owner x",
    "TYPE @stream",
    "EXISTS @stream",
    "XINFO STREAM @stream",
    "XINFO GROUPS @stream",
    "XRANGE @stream - +",
    "XADD @stream * type x",
    "XGROUP DESTROY @stream x",
    "XGROUP CREATE @stream x 0-0 ENTRIESREAD 0",
    "XREADGROUP GROUP x leader COUNT 1 BLOCK 1 NOACK STREAMS @stream >",
    NULL,
};
/* Only for effects that are carried out. */
static const char *const queue_commands[] = {
    "TYPE @queuejob:x",
    "EXISTS @queuejob:x",
    "HMGET @queuejob:x status",
    "HSET @queuejob:x status x",
    "TYPE @queueworker:x",
    "EXISTS @queueworker:x",
    "HMGET @queueworker:x status",
    "HGET @queueworker:x current_job_id",
    "HSET @queueworker:x status x",
    "TYPE @queuejobs:active:x",
    "HDEL @queuejobs:active:x x",
    "TYPE @queuejobs:pending",
    "ZADD @queuejobs:pending 1 x",
    "ZREM @queuejobs:pending x",
    "TYPE @queuejobs:completed",
    "HSET @queuejobs:completed x x",
    "EXPIRE @queuejobs:completed 1",
    "TYPE @queuejobs:failed",
    "HSET @queuejobs:failed x x",
    "EXPIRE @queuejobs:failed 1",
    "PUBLISH complete_job x",
    "PUBLISH job_failed x",
    "PUBLISH cancel_job x",
    NULL,
};

/* The value of `name:` in the reply of INFO. */
static struct span info_value(struct span info, const char *name)
{
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

static bool survey_server(struct redis *redis, struct error *error)
{
    const struct redis_reply *reply = redis_ask(redis, error, "INFO", NULL);
    if (reply == NULL) {
        return false;
    }
    struct span info = redis_reply_text(reply);
    struct span version = info_value(info, "redis_version");
    struct span rest = version;
    uint64_t major = 0;
    bool is_valkey = info_value(info, "valkey_version").size > 0;
    if (!span_to_number(span_cut(&rest, '.'), UINT32_MAX, &major) ||
        (major < VERSION_LEAST && !is_valkey)) {
        return error_set(error, ERROR_REFUSED,
                         "Redis %.*s is too old: 7.0 or newer is needed (or Valkey)",
                         SPAN_FORMAT(version));
    }
    if (span_is(info_value(info, "cluster_enabled"), "1")) {
        return error_set(error, ERROR_REFUSED,
                         "Redis runs in cluster mode, which is not supported");
    }
    struct span eviction = info_value(info, "maxmemory_policy");
    if (!span_is(eviction, "noeviction")) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", SPAN_FORMAT(eviction));
        log_fact(LOG_WARNING, "redis_may_evict", "maxmemory_policy", name, "needed", "noeviction",
                 "because", "an evicted job or control hash is a lost one", NULL);
    }
    return true;
}

static void put_word(struct buffer *out, struct span word, const struct survey *survey,
                     const char *meta)
{
    const struct {
        struct span mark;
        const char *text;
    } marks[] = {{SPAN("@ctl"), survey->control},
                 {SPAN("@stream"), survey->stream},
                 {SPAN("@meta"), meta},
                 {SPAN("@queue"), survey->queue_prefix}};
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        struct span head = word;
        if (head.size >= marks[i].mark.size) {
            head.size = marks[i].mark.size;
            if (span_equal(head, marks[i].mark)) {
                buffer_put_text(out, marks[i].text);
                word = (struct span){word.data + head.size, word.size - head.size};
                break;
            }
        }
    }
    buffer_put_span(out, word);
}

static bool survey_command(struct redis *redis, const char *user, const char *command,
                           const struct survey *survey, const char *meta, struct error *error)
{
    struct span arguments[WORDS_MAX] = {SPAN("ACL"), SPAN("DRYRUN"), span_of(user)};
    size_t ends[WORDS_MAX];
    uint32_t count = 3;
    struct buffer words = {0};
    for (struct span rest = span_of(command); rest.data != NULL; count++) {
        CHECK(count < WORDS_MAX);
        put_word(&words, span_cut(&rest, ' '), survey, meta);
        ends[count] = words.size;
    }
    size_t begin = 0;
    for (uint32_t i = 3; i < count; i++) {
        arguments[i] = (struct span){words.data + begin, ends[i] - begin};
        begin = ends[i];
    }
    const struct redis_reply *reply = redis_call(redis, arguments, count, error);
    bool is_allowed = reply != NULL && span_is(redis_reply_text(reply), "OK");
    if (reply == NULL) {
        error_wrap(error, "ACL DRYRUN for %s", command);
    } else if (!is_allowed) {
        error_set(error, ERROR_REFUSED, "%s: %.*s", command, SPAN_FORMAT(redis_reply_text(reply)));
    }
    buffer_fini(&words);
    return is_allowed;
}

static bool survey_commands(struct redis *redis, const char *user, const char *const *commands,
                            const struct survey *survey, const char *meta, struct error *error)
{
    for (; *commands != NULL; commands++) {
        if (!survey_command(redis, user, *commands, survey, meta, error)) {
            return false;
        }
    }
    return true;
}

static bool survey_rights(struct redis *redis, const struct survey *survey, const char *meta,
                          struct error *error)
{
    const struct redis_reply *reply = redis_ask(redis, error, "ACL", "WHOAMI", NULL);
    if (reply == NULL) {
        return error_wrap(error, "ACL WHOAMI");
    }
    char user[256];
    snprintf(user, sizeof(user), "%.*s", SPAN_FORMAT(redis_reply_text(reply)));
    bool may_read = survey_commands(redis, user, stream_commands, survey, meta, error);
    bool may_act = may_read && survey_commands(redis, user, queue_commands, survey, meta, error);
    if (may_act) {
        return true;
    }
    if (error->code != ERROR_REFUSED) {
        return false;
    }
    if (may_read && !survey->applies) {
        log_fact(LOG_WARNING, "effects_forbidden", "user", user, "because", error->message,
                 "needed_for", "a policy with effects=apply", NULL);
        return true;
    }
    return error_wrap(error, "the Redis user \"%s\" may not do what is needed", user);
}

static bool survey_type(struct redis *redis, const char *key, const char *wanted,
                        struct error *error)
{
    const struct redis_reply *reply = redis_ask(redis, error, "TYPE", key, NULL);
    if (reply == NULL) {
        return false;
    }
    struct span found = redis_reply_text(reply);
    return span_is(found, wanted) || span_is(found, "none") ||
           error_set(error, ERROR_REFUSED, "%s is a %.*s, not a %s", key, SPAN_FORMAT(found),
                     wanted);
}

/* Written down by who takes the lead. */
static bool survey_partitions(struct redis *redis, const char *meta, uint32_t partitions,
                              struct error *error)
{
    const struct redis_reply *reply = redis_ask(redis, error, "HGET", meta, "partitions", NULL);
    if (reply == NULL) {
        return false;
    }
    struct span told = redis_reply_text(reply);
    return told.size == 0 || span_is(told, number_text(partitions).text) ||
           error_set(error, ERROR_REFUSED, "%s says partitions=%.*s, the configuration says %u",
                     meta, SPAN_FORMAT(told), partitions);
}

bool survey_redis(struct redis *redis, const struct survey *survey, struct error *error)
{
    struct key_name meta = names_meta(survey->prefix);
    return survey_server(redis, error) && survey_rights(redis, survey, meta.text, error) &&
           survey_type(redis, survey->control, "hash", error) &&
           survey_type(redis, survey->stream, "stream", error) &&
           survey_type(redis, meta.text, "hash", error) &&
           survey_partitions(redis, meta.text, survey->partitions, error);
}
