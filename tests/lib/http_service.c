/* SPDX-License-Identifier: MIT */
#include "tests/lib/http_service.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/json.h"

struct http_service {
    pid_t pid;
    int stdin_fd; /* its end is the service's end, should the test die */
    char url[64];
};

static void program_path(char *out, size_t size)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
    CHECK(length > 0);
    own[length] = 0;
    int written = snprintf(out, size, "%s/../fleet/comfy_service", dirname(own));
    CHECK(written > 0 && (size_t)written < size);
}

static void run_program(unsigned slots, int stdin_fd, int stdout_fd)
{
    char program[PATH_MAX], number[16];
    program_path(program, sizeof(program));
    snprintf(number, sizeof(number), "%u", slots);
    dup2(stdin_fd, STDIN_FILENO);
    dup2(stdout_fd, STDOUT_FILENO);
    execl(program, program, "--slots", number, (char *)NULL);
    perror(program);
    _exit(127);
}

struct http_service *http_service_start(unsigned slots)
{
    struct http_service *service = mem_zero(sizeof(*service));
    int input[2], output[2];
    CHECK(pipe(input) == 0);
    CHECK(pipe(output) == 0);
    fcntl(input[1], F_SETFD, FD_CLOEXEC); /* no sibling may keep it open */
    service->pid = fork();
    CHECK(service->pid >= 0);
    if (service->pid == 0) {
        run_program(slots, input[0], output[1]);
    }
    close(input[0]);
    close(output[1]);
    service->stdin_fd = input[1];
    FILE *lines = fdopen(output[0], "r");
    unsigned port = 0;
    if (lines == NULL || fscanf(lines, "%u", &port) != 1) {
        fprintf(stderr, "comfy_service did not start\n");
        exit(1);
    }
    fclose(lines);
    snprintf(service->url, sizeof(service->url), "http://127.0.0.1:%u", port);
    return service;
}

const char *http_service_url(const struct http_service *service)
{
    return service->url;
}

static size_t on_body(char *data, size_t one, size_t size, void *closure)
{
    (void)one;
    if (closure != NULL) {
        buffer_put(closure, data, size);
    }
    return size;
}

unsigned http_service_send(const struct http_service *service, const char *path, const char *json,
                           struct buffer *body)
{
    char url[512];
    long status = 0;
    int written = snprintf(url, sizeof(url), "%s%s", service->url, path);
    CHECK(written > 0 && (size_t)written < sizeof(url));
    CURL *easy = curl_easy_init();
    CHECK(easy != NULL);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 10L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
    if (json != NULL) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, json);
    }
    if (curl_easy_perform(easy) == CURLE_OK) {
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    }
    curl_easy_cleanup(easy);
    return (unsigned)status;
}

static bool is_path(struct span path, const char *wanted)
{
    size_t size = strlen(wanted);
    bool is_folder = wanted[size - 1] == '/';
    return span_is(path, wanted) ||
           (is_folder && path.size > size && memcmp(path.data, wanted, size) == 0);
}

size_t http_service_count(const struct http_service *service, const char *method, const char *path)
{
    struct buffer body = {0};
    struct error error = {0};
    size_t count = 0;
    CHECK(http_service_send(service, "/control/journal", NULL, &body) == 200);
    struct json *journal = json_parse(buffer_span(&body), &error);
    CHECK(journal != NULL);
    for (size_t i = 0; i < json_count(journal); i++) {
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/%zu", i);
        const struct json *entry = json_find(journal, span_of(pointer));
        count += span_is(json_text(json_find(entry, SPAN("/method"))), method) &&
                 is_path(json_text(json_find(entry, SPAN("/path"))), path);
    }
    json_destroy(journal);
    buffer_fini(&body);
    return count;
}

void http_service_stop(struct http_service *service)
{
    if (service != NULL) {
        close(service->stdin_fd);
        kill(service->pid, SIGTERM);
        waitpid(service->pid, NULL, 0);
        mem_free(service);
    }
}
