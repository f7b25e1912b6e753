/* SPDX-License-Identifier: MIT */
#include "tests/lib/redis_proxy.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "tests/lib/tree.h"

#define PIECE_SIZE 4096

struct redis_proxy {
    pid_t pid;
    char folder[TREE_PATH_SIZE];
    char socket[TREE_PATH_SIZE + 16];
    char url[TREE_PATH_SIZE + 32];
};

/* How the connections are served. */
struct service {
    const char *upstream; /* NULL: `reply` is said */
    size_t reply_bytes;
    struct span reply;
};

static int open_socket(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(descriptor >= 0);
    return descriptor;
}

static bool send_all(int descriptor, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(descriptor, data, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

static void pass_on(int client, const struct service *service)
{
    struct sockaddr_un address;
    int server = open_socket(service->upstream, &address);
    CHECK(connect(server, (struct sockaddr *)&address, sizeof(address)) == 0);
    size_t left = service->reply_bytes;
    char piece[PIECE_SIZE];
    while (left > 0) {
        struct pollfd waits[] = {{.fd = client, .events = POLLIN},
                                 {.fd = server, .events = POLLIN}};
        CHECK(poll(waits, 2, -1) > 0);
        bool is_reply = waits[1].revents != 0;
        size_t room = is_reply && left < sizeof(piece) ? left : sizeof(piece);
        ssize_t size = recv(is_reply ? server : client, piece, room, 0);
        if (size <= 0 || !send_all(is_reply ? client : server, piece, (size_t)size)) {
            return;
        }
        left -= is_reply ? (size_t)size : 0;
    }
}

static void say(int client, const struct service *service)
{
    char piece[PIECE_SIZE];
    if (recv(client, piece, sizeof(piece), 0) > 0) {
        send_all(client, service->reply.data, service->reply.size);
    }
}

/* A process a connection, so that none waits for another. Never returns. */
static void serve(int listener, const struct service *service)
{
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client >= 0 && fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (service->upstream != NULL) {
                pass_on(client, service);
            } else {
                say(client, service);
            }
            _exit(0);
        }
        close(client);
    }
}

static struct redis_proxy *start(const struct service *service)
{
    struct redis_proxy *proxy = mem_zero(sizeof(*proxy));
    tree_make(proxy->folder);
    snprintf(proxy->socket, sizeof(proxy->socket), "%s/redis.sock", proxy->folder);
    snprintf(proxy->url, sizeof(proxy->url), "unix://%s", proxy->socket);
    struct sockaddr_un address;
    int listener = open_socket(proxy->socket, &address);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(listener, 16) == 0);
    proxy->pid = fork();
    CHECK(proxy->pid >= 0);
    if (proxy->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(listener, service);
    }
    close(listener);
    return proxy;
}

struct redis_proxy *redis_proxy_cutting(const char *socket, size_t reply_bytes)
{
    return start(&(struct service){.upstream = socket, .reply_bytes = reply_bytes});
}

struct redis_proxy *redis_proxy_saying(struct span reply)
{
    return start(&(struct service){.reply = reply});
}

const char *redis_proxy_url(const struct redis_proxy *proxy)
{
    return proxy->url;
}

void redis_proxy_remove(struct redis_proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    kill(proxy->pid, SIGKILL);
    CHECK(waitpid(proxy->pid, NULL, 0) == proxy->pid);
    tree_remove(proxy->folder);
    mem_free(proxy);
}
