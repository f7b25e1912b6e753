/* SPDX-License-Identifier: MIT
 * A circuit breaker: what does not answer is left alone for a while, then tried with one request.
 *
 *    closed ── BREAKER_FAILURES in a row ──► open
 *    open ── cool-down over ──► half_open ── its trial failed ──► open, for twice as long
 *    open, half_open ── any reply, the trial's or one that was under way ──► closed
 */
#ifndef SALVOR_CONNECTORS_BREAKER_H
#define SALVOR_CONNECTORS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILURES    5
#define BREAKER_COOL_MS     UINT64_C(1000) /* the first cool-down; each further one is doubled */
#define BREAKER_COOL_MAX_MS UINT64_C(60000)

enum breaker_state { BREAKER_NONE, BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    enum breaker_state state;
    unsigned failures;   /* in a row, while closed */
    uint64_t cool_ms;    /* the cool-down under way, or the last one */
    uint64_t open_until; /* boot ms */
    uint32_t trials;     /* so far: each has a number, for one may end after a later one began */
    uint32_t trial;      /* half open: the one under way; 0: none */
};

/* Closed. */
struct breaker breaker_create(void);
/* "closed", "open", "half_open"; static. */
const char *breaker_text(const struct breaker *breaker);
/* False: nothing may wait for it, it is open and cools down. One whose time is over becomes half
 * open. */
bool breaker_admits(struct breaker *breaker, uint64_t now_ms);
/* False while open, and while half open beside the trial. */
bool breaker_may_send(const struct breaker *breaker);
/* A request is sent: the trial's number when it is one, else 0. */
uint32_t breaker_send(struct breaker *breaker);
/* What came of a request, which may have been a trial. */
void breaker_succeed(struct breaker *breaker);
void breaker_fail(struct breaker *breaker, uint32_t trial, uint64_t now_ms);
/* Nothing came of it, neither well nor ill: where it was the trial, another one may be sent. */
void breaker_untry(struct breaker *breaker, uint32_t trial);

#endif
