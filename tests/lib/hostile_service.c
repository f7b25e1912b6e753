/* SPDX-License-Identifier: MIT */
#include "tests/lib/hostile_service.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"

#define REQUEST_MAX 8192

struct hostile_service {
    enum hostile_manner manner;
    const char *reply; /* borrowed */
    pthread_t thread;
    int listener, stop_fd, kept_fd; /* -1: no connection is kept */
    unsigned port;
    char url[64];
    pthread_mutex_t mutex; /* guards what follows */
    size_t count;
    char request[REQUEST_MAX];
};

/* Waits for the socket, for `timeout_ms` (-1: for ever); false when the test wants to stop. */
static bool wait_for(struct hostile_service *service, int fd, short events, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events},
                            {.fd = service->stop_fd, .events = POLLIN}};
    int ready = poll(fds, 2, timeout_ms);
    return ready >= 0 && fds[1].revents == 0;
}

static bool is_gone(int fd)
{
    struct pollfd peer = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&peer, 1, 0) > 0 && recv(fd, &byte, 1, MSG_PEEK) <= 0;
}

static bool send_text(int fd, const char *text)
{
    for (size_t size = strlen(text); size > 0;) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        text += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool read_request(struct hostile_service *service, int fd)
{
    char request[REQUEST_MAX];
    size_t size = 0;
    do {
        if (!wait_for(service, fd, POLLIN, -1)) {
            return false;
        }
        ssize_t got = recv(fd, request + size, sizeof(request) - 1 - size, 0);
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
        request[size] = 0;
    } while (strstr(request, "\r\n\r\n") == NULL && size < sizeof(request) - 1);
    pthread_mutex_lock(&service->mutex);
    service->count++;
    memcpy(service->request, request, size + 1);
    pthread_mutex_unlock(&service->mutex);
    return true;
}

static void misbehave(struct hostile_service *service, int fd)
{
    static const char endless[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n";
    static const char promise[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                  "Content-Length: 1000\r\n\r\n";
    switch (service->manner) {
    case HOSTILE_SILENT:
        break;
    case HOSTILE_HEADERS_ONLY:
        send_text(fd, promise);
        break;
    case HOSTILE_DRIP:
        for (bool is_open = send_text(fd, promise); is_open && !is_gone(fd);) {
            is_open = wait_for(service, -1, 0, 1000) && send_text(fd, " ");
        }
        return;
    case HOSTILE_ENDLESS:
        for (bool is_open = send_text(fd, endless); is_open;) {
            is_open = send_text(fd, "10\r\n\"aaaaaaaaaaaaa\",\r\n");
        }
        return;
    case HOSTILE_REPLY:
        send_text(fd, service->reply);
        shutdown(fd, SHUT_WR);
        return;
    case HOSTILE_ONCE:
        send_text(fd, service->reply);
        return;
    case HOSTILE_NONE:
        CHECK(!"a manner is needed");
    }
    while (!is_gone(fd) && wait_for(service, fd, POLLIN, -1)) {
    }
}

/* The connection that something happens on: a new one, or the kept one; -1 at the end. */
static int next_connection(struct hostile_service *service)
{
    struct pollfd fds[3] = {{.fd = service->listener, .events = POLLIN},
                            {.fd = service->stop_fd, .events = POLLIN},
                            {.fd = service->kept_fd, .events = POLLIN}};
    int ready = poll(fds, 3, -1);
    if (ready < 0 || fds[1].revents != 0) {
        return -1;
    }
    return fds[2].revents != 0 ? service->kept_fd : accept(service->listener, NULL, NULL);
}

static void *thread_main(void *argument)
{
    struct hostile_service *service = argument;
    for (int fd; (fd = next_connection(service)) >= 0;) {
        bool is_kept = fd == service->kept_fd;
        bool is_read = read_request(service, fd);
        if (is_read && !is_kept) {
            misbehave(service, fd);
        }
        if (is_read && !is_kept && service->manner == HOSTILE_ONCE && service->kept_fd < 0) {
            service->kept_fd = fd;
            continue;
        }
        close(fd);
        service->kept_fd = is_kept ? -1 : service->kept_fd;
    }
    return NULL;
}

static struct hostile_service *start(const struct sockaddr *address, socklen_t size,
                                     enum hostile_manner manner, const char *reply)
{
    struct hostile_service *service = mem_zero(sizeof(*service));
    service->manner = manner;
    service->reply = reply;
    service->kept_fd = -1;
    service->stop_fd = eventfd(0, EFD_CLOEXEC);
    service->listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(service->listener >= 0);
    CHECK(bind(service->listener, address, size) == 0);
    CHECK(listen(service->listener, 16) == 0);
    pthread_mutex_init(&service->mutex, NULL);
    CHECK(pthread_create(&service->thread, NULL, thread_main, service) == 0);
    return service;
}

struct hostile_service *hostile_service_start(enum hostile_manner manner, const char *reply)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    struct hostile_service *service = start((const struct sockaddr *)&address, size, manner, reply);
    CHECK(getsockname(service->listener, (struct sockaddr *)&address, &size) == 0);
    service->port = ntohs(address.sin_port);
    snprintf(service->url, sizeof(service->url), "http://127.0.0.1:%u", service->port);
    return service;
}

struct hostile_service *hostile_service_start_at(const char *path, enum hostile_manner manner,
                                                 const char *reply)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return start((const struct sockaddr *)&address, sizeof(address), manner, reply);
}

const char *hostile_service_url(const struct hostile_service *service)
{
    return service->url;
}

unsigned hostile_service_port(const struct hostile_service *service)
{
    return service->port;
}

size_t hostile_service_count(struct hostile_service *service)
{
    pthread_mutex_lock(&service->mutex);
    size_t count = service->count;
    pthread_mutex_unlock(&service->mutex);
    return count;
}

const char *hostile_service_last_request(struct hostile_service *service)
{
    return service->request;
}

void hostile_service_stop(struct hostile_service *service)
{
    if (service == NULL) {
        return;
    }
    CHECK(eventfd_write(service->stop_fd, 1) == 0);
    pthread_join(service->thread, NULL);
    close(service->listener);
    if (service->kept_fd >= 0) {
        close(service->kept_fd);
    }
    close(service->stop_fd);
    pthread_mutex_destroy(&service->mutex);
    mem_free(service);
}
