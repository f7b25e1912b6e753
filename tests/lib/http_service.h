/* SPDX-License-Identifier: MIT
 * The service that speaks ComfyUI's protocol (tests/fleet/comfy_service.c), started for a test. */
#ifndef SALVOR_TESTS_LIB_HTTP_SERVICE_H
#define SALVOR_TESTS_LIB_HTTP_SERVICE_H

#include "base/bytes.h"

struct http_service;

/* Starts the program, found beside the test's own, and waits until it listens. `slots`: how many
 * jobs run at the same time, 0 for any number. Ends the process with a message when it does not
 * come up. The caller owns the result. */
struct http_service *http_service_start(unsigned slots);
/* "http://127.0.0.1:PORT", borrowed. */
const char *http_service_url(const struct http_service *service);
/* Sends a request; `json` NULL makes it a GET, else a POST. Returns the HTTP status, 0 without a
 * reply; the reply's body goes to `body` unless that is NULL. */
unsigned http_service_send(const struct http_service *service, const char *path, const char *json,
                           struct buffer *body);
/* How often the service was asked `method` `path`, or paths that begin so where `path` ends in a
 * slash. */
size_t http_service_count(const struct http_service *service, const char *method, const char *path);
/* Ends the program and frees. Accepts NULL. */
void http_service_stop(struct http_service *service);

#endif
