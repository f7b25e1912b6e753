/* SPDX-License-Identifier: MIT
 * Whether the Redis user may do what is needed. */
#include "stream/survey_parts.h"

#include <stdio.h>

#include "base/check.h"

#define WORDS_MAX 16

/* Every command that is sent or that a script uses, with a key of each kind it is used on. */
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

static const struct setting_rule rights_rules[] = {
    {"rights", "all", FINDING_OK, "", ERROR_NONE},
    {"rights", "stream", FINDING_PROBLEM, "nothing can be read or led without it", ERROR_REFUSED},
    {"rights", "apply", FINDING_PROBLEM, "policy.effects = apply needs it", ERROR_REFUSED},
    {"rights", "observe", FINDING_WARNING, "a policy with effects = apply would need it",
     ERROR_NONE},
    {"rights", "unknown", FINDING_PROBLEM, "the rights of the Redis user cannot be looked at",
     ERROR_DENIED},
};
enum { ALL_ALLOWED, STREAM_FORBIDDEN, APPLY_FORBIDDEN, OBSERVE_FORBIDDEN, UNKNOWN };

/* Asks for one command; it is told when it is forbidden. False: nothing more can be asked. */
static bool look_at_command(struct surveyor *surveyor, const char *user, const char *command,
                            const struct setting_rule *forbidden, uint32_t *forbidden_count)
{
    struct span arguments[WORDS_MAX] = {SPAN("ACL"), SPAN("DRYRUN"), span_of(user)};
    size_t ends[WORDS_MAX];
    uint32_t count = 3;
    struct buffer words = {0};
    for (struct span rest = span_of(command); rest.data != NULL; count++) {
        CHECK(count < WORDS_MAX);
        surveyor_put_key(surveyor, span_cut(&rest, ' '), &words);
        ends[count] = words.size;
        buffer_put_byte(&words, ' ');
    }
    size_t begin = 0;
    for (uint32_t i = 3; i < count; i++) {
        arguments[i] = (struct span){words.data + begin, ends[i] - begin};
        begin = ends[i] + 1;
    }
    struct error error;
    const struct redis_reply *reply = redis_call(surveyor->redis, arguments, count, &error);
    struct span told = redis_reply_text(reply);
    if (reply == NULL && error.code == ERROR_DENIED) {
        surveyor_tell(surveyor, &rights_rules[UNKNOWN], "ACL DRYRUN: %s", error.message);
    } else if (reply == NULL) {
        surveyor_fail(surveyor, "ACL DRYRUN", &error);
    } else if (!span_is(told, "OK")) {
        ++*forbidden_count;
        surveyor_tell(surveyor, forbidden, "%s may not send %.*s: %.*s", user, (int)words.size - 1,
                      words.data, SPAN_FORMAT(told));
    }
    buffer_fini(&words);
    return reply != NULL;
}

static bool look_at_commands(struct surveyor *surveyor, const char *user,
                             const char *const *commands, const struct setting_rule *forbidden,
                             uint32_t *forbidden_count)
{
    bool is_answered = true;
    for (; is_answered && *commands != NULL; commands++) {
        is_answered = look_at_command(surveyor, user, *commands, forbidden, forbidden_count);
    }
    return is_answered;
}

void survey_rights(struct surveyor *surveyor)
{
    struct error error;
    const struct redis_reply *reply = redis_ask(surveyor->redis, &error, "ACL", "WHOAMI", NULL);
    if (reply == NULL && error.code == ERROR_DENIED) {
        surveyor_tell(surveyor, &rights_rules[UNKNOWN], "ACL WHOAMI: %s", error.message);
        return;
    }
    if (reply == NULL) {
        surveyor_fail(surveyor, "ACL WHOAMI", &error);
        return;
    }
    char user[256];
    snprintf(user, sizeof(user), "%.*s", SPAN_FORMAT(redis_reply_text(reply)));
    int on_queue = surveyor->survey->applies ? APPLY_FORBIDDEN : OBSERVE_FORBIDDEN;
    uint32_t forbidden = 0;
    if (look_at_commands(surveyor, user, stream_commands, &rights_rules[STREAM_FORBIDDEN],
                         &forbidden) &&
        look_at_commands(surveyor, user, queue_commands, &rights_rules[on_queue], &forbidden) &&
        forbidden == 0) {
        surveyor_tell(surveyor, &rights_rules[ALL_ALLOWED],
                      "%s may send all that live work and effects need", user);
    }
}
