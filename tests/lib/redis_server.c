/* SPDX-License-Identifier: MIT */
#include "tests/lib/redis_server.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "tests/lib/tree.h"

#define ARGUMENTS_MAX 24
#define START_MS      10000

struct redis_server {
    pid_t pid; /* 0: not running */
    char folder[TREE_PATH_SIZE];
    char socket[TREE_PATH_SIZE + 16];
    char url[TREE_PATH_SIZE + 32];
    char *arguments[ARGUMENTS_MAX]; /* owned copies, closed by NULL */
};

static void run_server(const struct redis_server *server, pid_t parent)
{
    const char *words[ARGUMENTS_MAX + 20] = {"redis-server",
                                             "--port",
                                             "0",
                                             "--unixsocket",
                                             server->socket,
                                             "--dir",
                                             server->folder,
                                             "--logfile",
                                             "redis.log",
                                             "--save",
                                             "",
                                             "--enable-debug-command",
                                             "local",
                                             "--repl-diskless-sync-delay",
                                             "0"};
    size_t count = 15;
    for (size_t i = 0; server->arguments[i] != NULL; i++) {
        words[count++] = server->arguments[i];
    }
    /* The server goes when the test does, whatever way the test ends. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
        execvp("redis-server", (char *const *)words);
        perror("redis-server");
    }
    _exit(127);
}

static bool answers_ping(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(descriptor >= 0);
    char answer[8] = "";
    bool is_up = connect(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                 send(descriptor, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
                 recv(descriptor, answer, sizeof(answer) - 1, 0) == 7 &&
                 strcmp(answer, "+PONG\r\n") == 0;
    close(descriptor);
    return is_up;
}

void redis_server_restart(struct redis_server *server)
{
    CHECK(server->pid == 0);
    unlink(server->socket);
    pid_t parent = getpid();
    server->pid = fork();
    CHECK(server->pid >= 0);
    if (server->pid == 0) {
        run_server(server, parent);
    }
    uint64_t deadline_ms = clock_boot_ms() + START_MS;
    while (!answers_ping(server->socket)) {
        if (clock_boot_ms() > deadline_ms || waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            fprintf(stderr, "redis-server did not come up in %s\n", server->folder);
            abort();
        }
        poll(NULL, 0, 5);
    }
}

struct redis_server *redis_server_start(const char *const *arguments)
{
    struct redis_server *server = mem_zero(sizeof(*server));
    tree_make(server->folder);
    snprintf(server->socket, sizeof(server->socket), "%s/redis.sock", server->folder);
    snprintf(server->url, sizeof(server->url), "unix://%s", server->socket);
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++) {
        CHECK(i + 1 < ARGUMENTS_MAX);
        server->arguments[i] = strdup(arguments[i]);
        CHECK(server->arguments[i] != NULL);
    }
    redis_server_restart(server);
    return server;
}

const char *redis_server_url(const struct redis_server *server)
{
    return server->url;
}

const char *redis_server_socket(const struct redis_server *server)
{
    return server->socket;
}

const char *redis_server_folder(const struct redis_server *server)
{
    return server->folder;
}

pid_t redis_server_pid(const struct redis_server *server)
{
    return server->pid;
}

static void end_server(struct redis_server *server, int signal_number)
{
    CHECK(server->pid > 0);
    kill(server->pid, signal_number);
    /* A stopped server does not see a signal other than SIGKILL before it goes on. */
    kill(server->pid, SIGCONT);
    CHECK(waitpid(server->pid, NULL, 0) == server->pid);
    server->pid = 0;
}

void redis_server_kill(struct redis_server *server)
{
    end_server(server, SIGKILL);
}

void redis_server_stop(struct redis_server *server)
{
    end_server(server, SIGTERM);
}

void redis_server_remove(struct redis_server *server)
{
    if (server == NULL) {
        return;
    }
    if (server->pid > 0) {
        redis_server_kill(server);
    }
    tree_remove(server->folder);
    for (size_t i = 0; server->arguments[i] != NULL; i++) {
        free(server->arguments[i]);
    }
    mem_free(server);
}
