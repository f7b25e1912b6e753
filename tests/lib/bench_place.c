/* SPDX-License-Identifier: MIT */
#include "tests/lib/bench_place.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "base/bytes.h"
#include "base/check.h"
#include "tests/lib/redis_server.h"

static struct {
    struct redis_server *server;
    redisContext *redis;
    pid_t child; /* 0: none runs */
} place;

static volatile sig_atomic_t is_stop_asked;

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    is_stop_asked = 1;
}

static void clean_up(void)
{
    if (place.child > 0) {
        kill(place.child, SIGKILL);
        waitpid(place.child, NULL, 0);
    }
    if (place.redis != NULL) {
        redisFree(place.redis);
    }
    redis_server_remove(place.server);
}

void bench_begin(void)
{
    struct sigaction stop = {.sa_handler = ask_to_stop, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    atexit(clean_up);
    place.server = redis_server_start(NULL);
    place.redis = redisConnectUnix(redis_server_socket(place.server));
    CHECK(place.redis != NULL && place.redis->err == 0);
}

void bench_give_up(const char *what, const char *detail)
{
    fprintf(stderr, "bench: %s: %s\n", what, detail);
    exit(1);
}

uint64_t bench_number(const char *name, uint64_t initial, uint64_t max)
{
    const char *text = getenv(name);
    uint64_t number = initial;
    if (text != NULL && (!span_to_number(span_of(text), max, &number) || number == 0)) {
        bench_give_up(name, "a whole number is wanted");
    }
    return number;
}

int bench_compare_numbers(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a;
    uint64_t second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

const char *bench_redis_url(void)
{
    return redis_server_url(place.server);
}

const char *bench_redis_socket(void)
{
    return redis_server_socket(place.server);
}

static void check_reply(void *reply)
{
    redisReply *got = reply;
    if (is_stop_asked) {
        bench_give_up("stopped", "by a signal");
    }
    if (got == NULL || got->type == REDIS_REPLY_ERROR) {
        bench_give_up("redis", got == NULL ? place.redis->errstr : got->str);
    }
    freeReplyObject(got);
}

void bench_command(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    check_reply(redisvCommand(place.redis, format, arguments));
    va_end(arguments);
}

void bench_send(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    CHECK(redisvAppendCommand(place.redis, format, arguments) == REDIS_OK);
    va_end(arguments);
}

void bench_replies(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *reply = NULL;
        redisGetReply(place.redis, &reply);
        check_reply(reply);
    }
}

void bench_put_path(char out[BENCH_PATH_SIZE], const char *rest)
{
    int size = snprintf(out, BENCH_PATH_SIZE, "%s%s", redis_server_folder(place.server), rest);
    CHECK(size > 0 && size < BENCH_PATH_SIZE);
}

void bench_remove_folder(const char *path)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        execlp("rm", "rm", "-rf", path, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(child, NULL, 0) == child);
}

void bench_start(const char *const *words, int output_number, FILE **output)
{
    int ends[2];
    pid_t parent = getpid();
    CHECK(pipe(ends) == 0);
    place.child = fork();
    CHECK(place.child >= 0);
    if (place.child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(127);
        }
        dup2(ends[1], output_number);
        close(ends[0]);
        close(ends[1]);
        execv(words[0], (char *const *)words);
        _exit(127);
    }
    close(ends[1]);
    *output = fdopen(ends[0], "r");
    CHECK(*output != NULL);
}

void bench_signal(int number)
{
    CHECK(place.child > 0);
    kill(place.child, number);
}

uint64_t bench_peak_kb(void)
{
    char path[BENCH_PATH_SIZE];
    char line[BENCH_PATH_SIZE];
    unsigned long long peak_kb = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)place.child);
    FILE *status = fopen(path, "r");
    CHECK(status != NULL);
    while (fgets(line, sizeof(line), status) != NULL &&
           sscanf(line, "VmHWM: %llu", &peak_kb) != 1) {
    }
    fclose(status);
    return peak_kb;
}

int bench_wait_for_end(FILE *output, struct rusage *used)
{
    int status = 0;
    fclose(output);
    CHECK(wait4(place.child, &status, 0, used) == place.child);
    place.child = 0;
    return status;
}
