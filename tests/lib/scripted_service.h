/* SPDX-License-Identifier: MIT
 * An HTTP server that says just what the test told it to: a thread of the test. */
#ifndef SALVOR_TESTS_LIB_SCRIPTED_SERVICE_H
#define SALVOR_TESTS_LIB_SCRIPTED_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

/* As a status: */
#define SCRIPTED_HANG_UP 0 /* the connection is closed without a reply */
#define SCRIPTED_SILENCE 1 /* it is kept, and nothing is said */

struct scripted_service;

/* Answers everything with a bare 404 until it is told more. The caller owns the result. */
struct scripted_service *scripted_service_start(void);
/* "http://127.0.0.1:PORT", borrowed; all other loopback addresses lead there, too. */
const char *scripted_service_url(const struct scripted_service *service);
/* From here on, requests that begin with `request` ("GET /jobs/", "POST /stop") are answered so;
 * what was told last is looked at first. The body is JSON; `headers` are whole lines, each with its
 * line end, or NULL. */
void scripted_service_on(struct scripted_service *service, const char *request, unsigned status,
                         const char *headers, const char *body);
/* From here on, each answer takes so long. */
void scripted_service_delay(struct scripted_service *service, unsigned delay_ms);
unsigned scripted_service_port(const struct scripted_service *service);
/* Requests so far that began so. */
size_t scripted_service_count(struct scripted_service *service, const char *request);
/* Whether some request held this text, in its head or its body. */
bool scripted_service_heard(struct scripted_service *service, const char *text);
/* Accepts NULL. */
void scripted_service_stop(struct scripted_service *service);

#endif
