/* SPDX-License-Identifier: MIT */
#include "stream/redis.h"

#include <hiredis/hiredis.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "stream/redis_url.h"

#define SCRIPTS_MAX    8
#define SHA1_TEXT_SIZE 40
#define TEXTS_MAX      40 /* of redis_ask */

#if HIREDIS_MAJOR >= 1
typedef size_t array_count;
#else
typedef int array_count;
#endif

/* A script's digest is asked from the server, once a connection. */
struct known_script {
    const struct redis_script *script;
    char sha1[SHA1_TEXT_SIZE + 1];
};

struct redis {
    redisContext *context; /* owned */
    redisReply *reply;     /* owned; what the last call lent */
    struct known_script scripts[SCRIPTS_MAX];
    uint32_t script_count;
    const char **texts; /* owned; the arguments as hiredis wants them */
    size_t *sizes;      /* owned */
    uint32_t capacity;
    struct redis_visitor *visitor; /* borrowed */
    struct buffer refusal;         /* an error reply met while visiting */
    bool is_broken;
};

struct error_class {
    const char *words; /* the first of the reply */
    enum error_code code;
    bool is_end_of_connection;
};

static const struct error_class error_classes[] = {
    {"LOADING", ERROR_BUSY, false},
    {"OOM", ERROR_BUSY, false},
    {"BUSY", ERROR_BUSY, false},
    {"MISCONF", ERROR_BUSY, false},
    {"NOREPLICAS", ERROR_BUSY, false},
    {"TRYAGAIN", ERROR_BUSY, false},
    {"MASTERDOWN", ERROR_BUSY, true},
    {"LEASED", ERROR_BUSY, false},
    {"READONLY", ERROR_UNREACHABLE, true},
    {"UNBLOCKED", ERROR_UNREACHABLE, true},
    {"ERR max number of clients", ERROR_UNREACHABLE, true},
    {"NOAUTH", ERROR_DENIED, true},
    {"WRONGPASS", ERROR_DENIED, true},
    {"NOPERM", ERROR_DENIED, false},
    /* What Redis 7.0 says for NOPERM inside a script. */
    {"ERR The user executing the script can't", ERROR_DENIED, false},
    {"NOGROUP", ERROR_FENCED, false},
    {"FENCED", ERROR_FENCED, false},
    {"HISTORY", ERROR_HISTORY, false},
};

static bool begins_with_words(struct span text, const char *words)
{
    size_t size = strlen(words);
    return text.size >= size && memcmp(text.data, words, size) == 0 &&
           (text.size == size || text.data[size] == ' ');
}

static bool set_reply_error(struct redis *redis, struct span text, struct error *error)
{
    for (size_t i = 0; i < sizeof(error_classes) / sizeof(error_classes[0]); i++) {
        if (begins_with_words(text, error_classes[i].words)) {
            redis->is_broken = redis->is_broken || error_classes[i].is_end_of_connection;
            return error_set(error, error_classes[i].code, "%.*s", SPAN_FORMAT(text));
        }
    }
    return error_set(error, ERROR_REFUSED, "%.*s", SPAN_FORMAT(text));
}

bool redis_is_for_now(const struct error *error)
{
    return error->code == ERROR_UNREACHABLE || error->code == ERROR_BUSY ||
           error->code == ERROR_DENIED;
}

static bool set_connection_error(struct redis *redis, struct error *error)
{
    redis->is_broken = true;
    bool is_timeout = redis->context->err == REDIS_ERR_IO && errno == EAGAIN;
    return error_set(error, ERROR_UNREACHABLE, "redis: %s",
                     is_timeout ? "no reply in time" : redis->context->errstr);
}

static struct timeval timeval_of_ms(uint64_t time_ms)
{
    return (struct timeval){.tv_sec = (time_t)(time_ms / 1000),
                            .tv_usec = (suseconds_t)(time_ms % 1000 * 1000)};
}

static bool log_in(struct redis *redis, const struct redis_url *url, struct error *error)
{
    if (url->password[0] != '\0' &&
        (url->user[0] != '\0' ? redis_ask(redis, error, "AUTH", url->user, url->password, NULL)
                              : redis_ask(redis, error, "AUTH", url->password, NULL)) == NULL) {
        return false;
    }
    return strcmp(url->database, "0") == 0 ||
           redis_ask(redis, error, "SELECT", url->database, NULL) != NULL;
}

struct redis *redis_open(const char *url, uint64_t timeout_ms, struct error *error)
{
    struct redis_url parts;
    if (!redis_url_parse(url, &parts, error)) {
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN);
    struct timeval timeout = timeval_of_ms(timeout_ms);
    redisContext *context = parts.path[0] != '\0'
                                ? redisConnectUnixWithTimeout(parts.path, timeout)
                                : redisConnectWithTimeout(parts.host, parts.port, timeout);
    CHECK(context != NULL);
    struct redis *redis = mem_zero(sizeof(*redis));
    redis->context = context;
    if (context->err != 0) {
        error_set(error, ERROR_UNREACHABLE, "redis: %s", context->errstr);
        goto close;
    }
    /* The time-out of the connect does not hold for the commands. */
    if (redisSetTimeout(context, timeout) != REDIS_OK) {
        set_connection_error(redis, error);
        goto close;
    }
    if (!log_in(redis, &parts, error)) {
        goto close;
    }
    return redis;
close:
    redis_close(redis);
    return NULL;
}

void redis_close(struct redis *redis)
{
    if (redis == NULL) {
        return;
    }
    if (redis->reply != NULL) {
        freeReplyObject(redis->reply);
    }
    redisFree(redis->context);
    mem_free(redis->texts);
    mem_free(redis->sizes);
    buffer_fini(&redis->refusal);
    mem_free(redis);
}

bool redis_is_broken(const struct redis *redis)
{
    return redis->is_broken;
}

/* Puts `count` arguments behind `*used` ones. */
static void add_arguments(struct redis *redis, uint32_t *used, const struct span *arguments,
                          uint32_t count)
{
    if (*used + count > redis->capacity) {
        redis->capacity = (*used + count) * 2;
        redis->texts = mem_resize(redis->texts, redis->capacity * sizeof(*redis->texts));
        redis->sizes = mem_resize(redis->sizes, redis->capacity * sizeof(*redis->sizes));
    }
    for (uint32_t i = 0; i < count; i++) {
        redis->texts[*used] = arguments[i].data == NULL ? "" : arguments[i].data;
        redis->sizes[(*used)++] = arguments[i].size;
    }
}

static bool append_command(struct redis *redis, uint32_t count, struct error *error)
{
    if (redis->is_broken) {
        return error_set(error, ERROR_UNREACHABLE, "redis: the connection is broken");
    }
    if (redisAppendCommandArgv(redis->context, (int)count, redis->texts, redis->sizes) !=
        REDIS_OK) {
        return set_connection_error(redis, error);
    }
    return true;
}

/* The arguments stand in `texts`. Result: any reply, an error reply too; NULL when the connection
 * broke. */
static const redisReply *exchange(struct redis *redis, uint32_t count, struct error *error)
{
    CHECK(redis->visitor == NULL);
    if (redis->reply != NULL) {
        freeReplyObject(redis->reply);
        redis->reply = NULL;
    }
    if (!append_command(redis, count, error)) {
        return NULL;
    }
    void *reply = NULL;
    if (redisGetReply(redis->context, &reply) != REDIS_OK) {
        set_connection_error(redis, error);
        return NULL;
    }
    redis->reply = reply;
    return redis->reply;
}

static struct span text_of(const redisReply *reply)
{
    return (struct span){reply->str, (size_t)reply->len};
}

static const struct redis_reply *lend(struct redis *redis, const redisReply *reply,
                                      struct error *error)
{
    if (reply == NULL) {
        return NULL;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        set_reply_error(redis, text_of(reply), error);
        return NULL;
    }
    return (const struct redis_reply *)reply;
}

const struct redis_reply *redis_call(struct redis *redis, const struct span *arguments,
                                     uint32_t count, struct error *error)
{
    CHECK(count > 0);
    uint32_t used = 0;
    add_arguments(redis, &used, arguments, count);
    return lend(redis, exchange(redis, used, error), error);
}

const struct redis_reply *redis_ask(struct redis *redis, struct error *error, ...)
{
    struct span arguments[TEXTS_MAX];
    uint32_t count = 0;
    va_list texts;
    va_start(texts, error);
    for (const char *text = va_arg(texts, const char *); text != NULL;
         text = va_arg(texts, const char *)) {
        CHECK(count < TEXTS_MAX);
        arguments[count++] = span_of(text);
    }
    va_end(texts);
    return redis_call(redis, arguments, count, error);
}

/* NULL on error. */
static const char *script_sha1(struct redis *redis, const struct redis_script *script,
                               struct error *error)
{
    for (uint32_t i = 0; i < redis->script_count; i++) {
        if (redis->scripts[i].script == script) {
            return redis->scripts[i].sha1;
        }
    }
    CHECK(redis->script_count < SCRIPTS_MAX);
    struct span load[] = {SPAN("SCRIPT"), SPAN("LOAD"), {script->text, script->size}};
    const struct redis_reply *reply = redis_call(redis, load, 3, error);
    if (reply == NULL) {
        return NULL;
    }
    struct span sha1 = redis_reply_text(reply);
    if (sha1.size != SHA1_TEXT_SIZE) {
        error_set(error, ERROR_REFUSED, "SCRIPT LOAD gave no digest");
        return NULL;
    }
    struct known_script *known = &redis->scripts[redis->script_count++];
    known->script = script;
    memcpy(known->sha1, sha1.data, sha1.size);
    return known->sha1;
}

const struct redis_reply *redis_run(struct redis *redis, const struct redis_script *script,
                                    uint32_t key_count, const struct span *arguments,
                                    uint32_t count, struct error *error)
{
    const char *sha1 = script_sha1(redis, script, error);
    if (sha1 == NULL) {
        return NULL;
    }
    char keys[16];
    snprintf(keys, sizeof(keys), "%u", key_count);
    struct span head[] = {SPAN("EVALSHA"), span_of(sha1), span_of(keys)};
    uint32_t used = 0;
    add_arguments(redis, &used, head, 3);
    add_arguments(redis, &used, arguments, count);
    const redisReply *reply = exchange(redis, used, error);
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR &&
        strncmp(reply->str, "NOSCRIPT", strlen("NOSCRIPT")) == 0) {
        head[0] = SPAN("EVAL");
        head[1] = (struct span){script->text, script->size};
        used = 0;
        add_arguments(redis, &used, head, 3);
        add_arguments(redis, &used, arguments, count);
        reply = exchange(redis, used, error);
    }
    return lend(redis, reply, error);
}

static const redisReply *of_opaque(const struct redis_reply *reply)
{
    return (const redisReply *)reply;
}

struct span redis_reply_text(const struct redis_reply *reply)
{
    bool is_text = reply != NULL && (of_opaque(reply)->type == REDIS_REPLY_STRING ||
                                     of_opaque(reply)->type == REDIS_REPLY_STATUS);
    return is_text ? text_of(of_opaque(reply)) : SPAN_NONE;
}

uint64_t redis_reply_number(const struct redis_reply *reply)
{
    bool is_number = reply != NULL && of_opaque(reply)->type == REDIS_REPLY_INTEGER &&
                     of_opaque(reply)->integer > 0;
    return is_number ? (uint64_t)of_opaque(reply)->integer : 0;
}

uint32_t redis_reply_count(const struct redis_reply *reply)
{
    bool is_array = reply != NULL && of_opaque(reply)->type == REDIS_REPLY_ARRAY;
    return is_array ? (uint32_t)of_opaque(reply)->elements : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *reply, uint32_t index)
{
    return index < redis_reply_count(reply)
               ? (const struct redis_reply *)of_opaque(reply)->element[index]
               : NULL;
}

/* The functions below stand in for hiredis' own makers of reply objects. They make none: their
 * result only has to be a pointer that is not NULL. */

static uint32_t depth_of(const redisReadTask *task)
{
    uint32_t depth = 0;
    for (; task->parent != NULL; task = task->parent) {
        depth++;
    }
    return depth;
}

static void *visit_text(const redisReadTask *task, char *text, size_t size)
{
    struct redis *redis = task->privdata;
    if (task->type == REDIS_REPLY_ERROR) {
        buffer_reset(&redis->refusal);
        buffer_put(&redis->refusal, text, size);
    } else {
        redis->visitor->text(redis->visitor->self, depth_of(task), (uint32_t)task->idx,
                             (struct span){text, size});
    }
    return redis;
}

static void *visit_array(const redisReadTask *task, array_count count)
{
    struct redis *redis = task->privdata;
    redis->visitor->array(redis->visitor->self, depth_of(task), (uint32_t)task->idx,
                          (uint64_t)count);
    return redis;
}

static void *visit_number(const redisReadTask *task, long long number)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%lld", number);
    return visit_text(task, text, (size_t)size);
}

static void *visit_nil(const redisReadTask *task)
{
    struct redis *redis = task->privdata;
    redis->visitor->nil(redis->visitor->self, depth_of(task), (uint32_t)task->idx);
    return redis;
}

static void free_nothing(void *object)
{
    (void)object;
}

/* Not const: hiredis takes it so, but only reads it. Members that newer versions add belong to a
 * protocol that is never asked for. */
static redisReplyObjectFunctions visiting = {
    .createString = visit_text,
    .createArray = visit_array,
    .createInteger = visit_number,
    .createNil = visit_nil,
    .freeObject = free_nothing,
};

void redis_set_visitor(struct redis *redis, struct redis_visitor *visitor)
{
    redis->visitor = visitor;
    redis->context->reader->fn = &visiting;
    redis->context->reader->privdata = redis;
}

bool redis_send(struct redis *redis, const struct span *arguments, uint32_t count,
                struct error *error)
{
    uint32_t used = 0;
    add_arguments(redis, &used, arguments, count);
    if (!append_command(redis, used, error)) {
        return false;
    }
    int is_sent = 0;
    while (!is_sent) {
        if (redisBufferWrite(redis->context, &is_sent) != REDIS_OK) {
            return set_connection_error(redis, error);
        }
    }
    return true;
}

int redis_descriptor(const struct redis *redis)
{
    return redis->context->fd;
}

bool redis_receive(struct redis *redis, bool *is_whole, struct error *error)
{
    CHECK(redis->visitor != NULL);
    void *reply = NULL;
    if (redis->is_broken) {
        return error_set(error, ERROR_UNREACHABLE, "redis: the connection is broken");
    }
    if (redisBufferRead(redis->context) != REDIS_OK ||
        redisGetReplyFromReader(redis->context, &reply) != REDIS_OK) {
        return set_connection_error(redis, error);
    }
    *is_whole = reply != NULL;
    if (*is_whole && redis->refusal.size > 0) {
        return set_reply_error(redis, buffer_span(&redis->refusal), error);
    }
    return true;
}
