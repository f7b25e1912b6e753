/* SPDX-License-Identifier: MIT
 * A circuit breaker: what does not answer is left alone for a while, then tried with one request.
 *
 *             BREAKER_FAILURES in a row                 cool-down over
 *    closed ────────────────────────────► open ◄──────────────────────► half_open
 *       ▲                                   │    the trial failed           │
 *       └───────────────────────────────────┴───────────────────────────────┘
 *                     any reply that was under way, or the trial's
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
    bool is_tried;       /* half open: the trial is under way */
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
/* A request is sent: true when it is the trial. */
bool breaker_send(struct breaker *breaker);
/* What came of a request, which may have been the trial. */
void breaker_succeed(struct breaker *breaker);
void breaker_fail(struct breaker *breaker, bool is_trial, uint64_t now_ms);
/* Nothing came of the trial, neither well nor ill: another one may be sent. */
void breaker_untry(struct breaker *breaker);

#endif
