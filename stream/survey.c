/* SPDX-License-Identifier: MIT */
#include "stream/survey.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "stream/survey_parts.h"

#define TEXT_SIZE  1024
#define GROUPS_MAX 64

/* --- telling --- */

void surveyor_tell(struct surveyor *surveyor, const struct setting_rule *rule, const char *format,
                   ...)
{
    char what[TEXT_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof(what), format, values);
    va_end(values);
    struct finding finding = {
        .area = "redis",
        .subject = rule->name,
        .level = rule->level,
        .what = what,
        .means = rule->means,
        .forbids = rule->forbids,
    };
    if (rule->forbids != ERROR_NONE && surveyor->error->code == ERROR_NONE) {
        error_set(surveyor->error, rule->forbids, "%s: %s; %s", rule->name, what, rule->means);
    }
    surveyor->survey->sink.take(surveyor->survey->sink.self, &finding);
}

void surveyor_fail(struct surveyor *surveyor, const char *command, const struct error *error)
{
    if (error->code == ERROR_DENIED) {
        return;
    }
    struct setting_rule rule = {.name = command,
                                .level = FINDING_PROBLEM,
                                .means = "the answer is needed",
                                .forbids = error->code};
    if (error->code == ERROR_UNREACHABLE || error->code == ERROR_BUSY) {
        rule.means = "nothing more was looked at";
        surveyor->is_over = true;
        surveyor->error->code = ERROR_NONE; /* what was found before may have another reason */
    }
    surveyor_tell(surveyor, &rule, "%s", error->message);
}

/* --- keys --- */

struct key_rule {
    const char *key; /* with a mark */
    const char *type;
    const char *means; /* of another type */
    enum error_code forbids;
};

#define OURS  "another program uses the key: choose another salvor.prefix, or remove it"
#define QUEUE "effects on the queue come back as `failed`: is queue.prefix right?"

static const struct key_rule key_rules[KEY_COUNT] = {
    [KEY_CONTROL] = {"@ctl", "hash", OURS, ERROR_REFUSED},
    [KEY_STREAM] = {"@stream", "stream", OURS, ERROR_REFUSED},
    [KEY_META] = {"@meta", "hash", OURS, ERROR_REFUSED},
    [KEY_PENDING] = {"@queuejobs:pending", "zset", QUEUE, ERROR_NONE},
    [KEY_COMPLETED] = {"@queuejobs:completed", "hash", QUEUE, ERROR_NONE},
    [KEY_FAILED] = {"@queuejobs:failed", "hash", QUEUE, ERROR_NONE},
};

void surveyor_put_key(const struct surveyor *surveyor, struct span word, struct buffer *out)
{
    const struct {
        struct span mark;
        const char *text;
    } marks[] = {{SPAN("@ctl"), surveyor->control.text},
                 {SPAN("@stream"), surveyor->stream.text},
                 {SPAN("@meta"), surveyor->meta.text},
                 {SPAN("@queue"), surveyor->survey->queue_prefix}};
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        size_t size = marks[i].mark.size;
        if (word.size >= size && memcmp(word.data, marks[i].mark.data, size) == 0) {
            buffer_put_text(out, marks[i].text);
            word = (struct span){word.data + size, word.size - size};
            break;
        }
    }
    buffer_put_span(out, word);
}

static void look_at_key(struct surveyor *surveyor, enum survey_key which, const char *key)
{
    const struct key_rule *rule = &key_rules[which];
    struct error error;
    const struct redis_reply *reply = redis_ask(surveyor->redis, &error, "TYPE", key, NULL);
    if (reply == NULL) {
        surveyor_fail(surveyor, "TYPE", &error);
        return;
    }
    struct span found = redis_reply_text(reply);
    surveyor->is_there[which] = span_is(found, rule->type);
    struct setting_rule told = {.name = "key", .level = FINDING_OK, .means = ""};
    if (span_is(found, "none")) {
        surveyor_tell(surveyor, &told, "%s is not there yet", key);
    } else if (surveyor->is_there[which]) {
        surveyor_tell(surveyor, &told, "%s is a %s", key, rule->type);
    } else {
        told.level = FINDING_PROBLEM;
        told.means = rule->means;
        told.forbids = rule->forbids;
        surveyor_tell(surveyor, &told, "%s is a %.*s, not a %s", key, SPAN_FORMAT(found),
                      rule->type);
    }
}

static void survey_keys(struct surveyor *surveyor)
{
    struct buffer key = {0};
    for (enum survey_key which = 0; which < KEY_COUNT && !surveyor->is_over; which++) {
        buffer_reset(&key);
        surveyor_put_key(surveyor, span_of(key_rules[which].key), &key);
        buffer_put_byte(&key, '\0');
        look_at_key(surveyor, which, key.data);
    }
    buffer_fini(&key);
}

/* Written down by who takes the lead. */
static void survey_partitions(struct surveyor *surveyor)
{
    struct error error;
    const char *meta = surveyor->meta.text;
    if (!surveyor->is_there[KEY_META]) {
        return;
    }
    const struct redis_reply *reply =
        redis_ask(surveyor->redis, &error, "HGET", meta, "partitions", NULL);
    if (reply == NULL) {
        surveyor_fail(surveyor, "HGET", &error);
        return;
    }
    struct span told = redis_reply_text(reply);
    uint32_t ours = surveyor->survey->partitions;
    struct setting_rule rule = {.name = "partitions", .level = FINDING_OK, .means = ""};
    if (told.size > 0 && !span_is(told, number_text(ours).text)) {
        rule.level = FINDING_PROBLEM;
        rule.means = "all instances need the same salvor.partitions";
        rule.forbids = ERROR_REFUSED;
        surveyor_tell(surveyor, &rule, "%s says partitions=%.*s, the configuration says %u", meta,
                      SPAN_FORMAT(told), ours);
    } else {
        surveyor_tell(surveyor, &rule, "%u, as %s says", ours, meta);
    }
}

/* --- who leads, and what waits --- */

static void survey_lead(struct surveyor *surveyor)
{
    struct error error;
    struct setting_rule rule = {.name = "lead", .level = FINDING_OK, .means = ""};
    if (!surveyor->is_there[KEY_CONTROL]) {
        return;
    }
    const struct redis_reply *time = redis_ask(surveyor->redis, &error, "TIME", NULL);
    uint64_t now_s = 0;
    span_to_number(redis_reply_text(redis_reply_at(time, 0)), UINT32_MAX, &now_s);
    const struct redis_reply *held =
        time == NULL ? NULL
                     : redis_ask(surveyor->redis, &error, "HMGET", surveyor->control.text, "owner",
                                 "epoch", "exp", NULL);
    if (held == NULL) {
        surveyor_fail(surveyor, "HMGET", &error);
        return;
    }
    struct span owner = redis_reply_text(redis_reply_at(held, 0));
    struct span epoch = redis_reply_text(redis_reply_at(held, 1));
    uint64_t end_ms = 0;
    span_to_number(redis_reply_text(redis_reply_at(held, 2)), UINT64_MAX, &end_ms);
    if (end_ms > now_s * 1000) {
        surveyor_tell(surveyor, &rule, "%.*s leads partition %u in epoch %.*s", SPAN_FORMAT(owner),
                      surveyor->survey->partition, SPAN_FORMAT(epoch));
    } else {
        surveyor_tell(surveyor, &rule, "nobody leads partition %u; the last epoch was %.*s",
                      surveyor->survey->partition, SPAN_FORMAT(epoch));
    }
}

/* The number behind `name` in a flat list of names and values. */
static uint64_t named_number(const struct redis_reply *list, const char *name)
{
    for (uint32_t i = 0; i + 1 < redis_reply_count(list); i += 2) {
        if (span_is(redis_reply_text(redis_reply_at(list, i)), name)) {
            return redis_reply_number(redis_reply_at(list, i + 1));
        }
    }
    return 0;
}

/* The group of a leader has read up to where live work stands. */
static void survey_stream(struct surveyor *surveyor)
{
    struct error error;
    const char *stream = surveyor->stream.text;
    struct setting_rule rule = {.name = "stream", .level = FINDING_OK, .means = ""};
    if (!surveyor->is_there[KEY_STREAM]) {
        return;
    }
    const struct redis_reply *reply =
        redis_ask(surveyor->redis, &error, "XINFO", "STREAM", stream, NULL);
    if (reply == NULL) {
        surveyor_fail(surveyor, "XINFO STREAM", &error);
        return;
    }
    surveyor_tell(surveyor, &rule, "%" PRIu64 " entries of %" PRIu64 " ever added",
                  named_number(reply, "length"), named_number(reply, "entries-added"));
    reply = redis_ask(surveyor->redis, &error, "XINFO", "GROUPS", stream, NULL);
    if (reply == NULL) {
        surveyor_fail(surveyor, "XINFO GROUPS", &error);
        return;
    }
    rule.name = "group";
    for (uint32_t i = 0; i < redis_reply_count(reply) && i < GROUPS_MAX; i++) {
        const struct redis_reply *group = redis_reply_at(reply, i);
        surveyor_tell(surveyor, &rule, "%.*s has %" PRIu64 " entries left to read",
                      SPAN_FORMAT(redis_reply_text(redis_reply_at(group, 1))),
                      named_number(group, "lag"));
    }
}

bool survey_redis(struct redis *redis, const struct survey *survey, struct error *error)
{
    static void (*const looks[])(struct surveyor *) = {
        survey_server, survey_memory,     survey_durability, survey_replication, survey_rights,
        survey_keys,   survey_partitions, survey_lead,       survey_stream,
    };
    *error = (struct error){0};
    struct surveyor surveyor = {
        .redis = redis,
        .survey = survey,
        .control = names_control(survey->prefix, survey->partition),
        .stream = names_stream(survey->prefix, survey->partition),
        .meta = names_meta(survey->prefix),
        .error = error,
    };
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]) && !surveyor.is_over; i++) {
        looks[i](&surveyor);
    }
    buffer_fini(&surveyor.info);
    return error->code == ERROR_NONE;
}
