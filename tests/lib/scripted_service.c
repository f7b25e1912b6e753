/* SPDX-License-Identifier: MIT */
#include "tests/lib/scripted_service.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"

#define REQUEST_MAX  8192
#define LINES_MAX    32
#define REQUESTS_MAX 8192
#define SILENT_MAX   2048

struct line {
    char request[128];
    unsigned status;
    char headers[256], *body; /* owned by the service */
};

struct scripted_service {
    pthread_t thread;
    int listener, stop_fd;
    unsigned port;
    char url[64];
    int silent[SILENT_MAX]; /* connections that nothing is said on; the thread's alone */
    size_t silent_count;
    pthread_mutex_t mutex; /* guards what follows */
    struct line lines[LINES_MAX];
    size_t line_count;
    unsigned delay_ms;
    char *requests[REQUESTS_MAX]; /* owned */
    size_t request_count;
};

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* False when the test wants to stop. */
static bool wait_for(struct scripted_service *service, int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                            {.fd = service->stop_fd, .events = POLLIN}};
    return poll(fds, 2, -1) >= 0 && fds[1].revents == 0;
}

/* Head and body are there. */
static bool is_whole(const char *request, size_t size)
{
    const char *end = strstr(request, "\r\n\r\n");
    const char *length = strstr(request, "Content-Length: ");
    unsigned body = 0;
    if (end == NULL || (length != NULL && sscanf(length + 16, "%u", &body) != 1)) {
        return false;
    }
    return size >= (size_t)(end - request) + 4 + body;
}

static bool read_request(struct scripted_service *service, int fd, char *request)
{
    size_t size = 0;
    do {
        ssize_t got =
            wait_for(service, fd) ? recv(fd, request + size, REQUEST_MAX - 1 - size, 0) : 0;
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
        request[size] = 0;
    } while (!is_whole(request, size) && size < REQUEST_MAX - 1);
    return true;
}

/* What is to be said, after the request was noted. */
static struct line note_request(struct scripted_service *service, const char *request)
{
    struct line line = {.status = 404, .body = ""};
    size_t size = strlen(request) + 1;
    pthread_mutex_lock(&service->mutex);
    CHECK(service->request_count < REQUESTS_MAX);
    service->requests[service->request_count++] = memcpy(mem_zero(size), request, size);
    for (size_t i = service->line_count; i > 0; i--) {
        if (starts_with(request, service->lines[i - 1].request)) {
            line = service->lines[i - 1];
            break;
        }
    }
    pthread_mutex_unlock(&service->mutex);
    return line;
}

/* False when the test wants to stop. */
static bool take_time(struct scripted_service *service)
{
    pthread_mutex_lock(&service->mutex);
    int delay_ms = (int)service->delay_ms;
    pthread_mutex_unlock(&service->mutex);
    struct pollfd stop = {.fd = service->stop_fd, .events = POLLIN};
    return delay_ms == 0 || poll(&stop, 1, delay_ms) == 0;
}

/* True when the connection is to be kept. */
static bool answer(struct scripted_service *service, int fd)
{
    char request[REQUEST_MAX], head[512];
    if (!read_request(service, fd, request)) {
        return false;
    }
    struct line line = note_request(service, request);
    if (line.status == SCRIPTED_SILENCE) {
        CHECK(service->silent_count < SILENT_MAX);
        service->silent[service->silent_count++] = fd;
        return true;
    }
    if (line.status == SCRIPTED_HANG_UP || !take_time(service)) {
        return false;
    }
    int size = snprintf(head, sizeof(head),
                        "HTTP/1.1 %u X\r\nContent-Type: application/json\r\nConnection: close\r\n"
                        "Content-Length: %zu\r\n%s\r\n",
                        line.status, strlen(line.body), line.headers);
    CHECK(size > 0 && (size_t)size < sizeof(head));
    bool is_sent = send(fd, head, (size_t)size, MSG_NOSIGNAL) == size &&
                   send(fd, line.body, strlen(line.body), MSG_NOSIGNAL) >= 0;
    if (is_sent) {
        shutdown(fd, SHUT_WR);
    }
    return false;
}

static void *thread_main(void *argument)
{
    struct scripted_service *service = argument;
    while (wait_for(service, service->listener)) {
        int fd = accept(service->listener, NULL, NULL);
        if (fd >= 0 && !answer(service, fd)) {
            close(fd);
        }
    }
    return NULL;
}

struct scripted_service *scripted_service_start(void)
{
    struct scripted_service *service = mem_zero(sizeof(*service));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t size = sizeof(address);
    service->stop_fd = eventfd(0, EFD_CLOEXEC);
    service->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(service->listener >= 0);
    CHECK(bind(service->listener, (struct sockaddr *)&address, size) == 0);
    CHECK(listen(service->listener, 4096) == 0);
    CHECK(getsockname(service->listener, (struct sockaddr *)&address, &size) == 0);
    service->port = ntohs(address.sin_port);
    snprintf(service->url, sizeof(service->url), "http://127.0.0.1:%u", service->port);
    pthread_mutex_init(&service->mutex, NULL);
    CHECK(pthread_create(&service->thread, NULL, thread_main, service) == 0);
    return service;
}

unsigned scripted_service_port(const struct scripted_service *service)
{
    return service->port;
}

void scripted_service_delay(struct scripted_service *service, unsigned delay_ms)
{
    pthread_mutex_lock(&service->mutex);
    service->delay_ms = delay_ms;
    pthread_mutex_unlock(&service->mutex);
}

const char *scripted_service_url(const struct scripted_service *service)
{
    return service->url;
}

void scripted_service_on(struct scripted_service *service, const char *request, unsigned status,
                         const char *headers, const char *body)
{
    pthread_mutex_lock(&service->mutex);
    CHECK(service->line_count < LINES_MAX);
    struct line *line = &service->lines[service->line_count++];
    line->status = status;
    snprintf(line->request, sizeof(line->request), "%s", request);
    snprintf(line->headers, sizeof(line->headers), "%s", headers != NULL ? headers : "");
    size_t size = strlen(body) + 1;
    line->body = memcpy(mem_zero(size), body, size);
    pthread_mutex_unlock(&service->mutex);
}

size_t scripted_service_count(struct scripted_service *service, const char *request)
{
    size_t count = 0;
    pthread_mutex_lock(&service->mutex);
    for (size_t i = 0; i < service->request_count; i++) {
        count += starts_with(service->requests[i], request);
    }
    pthread_mutex_unlock(&service->mutex);
    return count;
}

bool scripted_service_heard(struct scripted_service *service, const char *text)
{
    bool is_heard = false;
    pthread_mutex_lock(&service->mutex);
    for (size_t i = 0; i < service->request_count; i++) {
        is_heard = is_heard || strstr(service->requests[i], text) != NULL;
    }
    pthread_mutex_unlock(&service->mutex);
    return is_heard;
}

void scripted_service_stop(struct scripted_service *service)
{
    if (service == NULL) {
        return;
    }
    CHECK(eventfd_write(service->stop_fd, 1) == 0);
    pthread_join(service->thread, NULL);
    for (size_t i = 0; i < service->request_count; i++) {
        mem_free(service->requests[i]);
    }
    for (size_t i = 0; i < service->line_count; i++) {
        mem_free(service->lines[i].body);
    }
    for (size_t i = 0; i < service->silent_count; i++) {
        close(service->silent[i]);
    }
    close(service->listener);
    close(service->stop_fd);
    pthread_mutex_destroy(&service->mutex);
    mem_free(service);
}
