/* SPDX-License-Identifier: MIT
 * A circuit breaker. */
#include "connectors/breaker.h"

#include "base/check.h"

struct breaker breaker_create(void)
{
    return (struct breaker){.state = BREAKER_CLOSED};
}

const char *breaker_text(const struct breaker *breaker)
{
    static const char *const texts[] = {[BREAKER_NONE] = "none",
                                        [BREAKER_CLOSED] = "closed",
                                        [BREAKER_OPEN] = "open",
                                        [BREAKER_HALF_OPEN] = "half_open"};
    return texts[breaker->state];
}

static void breaker_open(struct breaker *breaker, uint64_t now_ms)
{
    uint64_t doubled = breaker->cool_ms * 2;
    breaker->cool_ms = doubled == 0                    ? BREAKER_COOL_MS
                       : doubled < BREAKER_COOL_MAX_MS ? doubled
                                                       : BREAKER_COOL_MAX_MS;
    breaker->state = BREAKER_OPEN;
    breaker->open_until = now_ms + breaker->cool_ms;
    breaker->trial = 0;
}

bool breaker_admits(struct breaker *breaker, uint64_t now_ms)
{
    CHECK(breaker->state != BREAKER_NONE);
    if (breaker->state == BREAKER_OPEN && now_ms >= breaker->open_until) {
        breaker->state = BREAKER_HALF_OPEN;
    }
    return breaker->state != BREAKER_OPEN;
}

bool breaker_may_send(const struct breaker *breaker)
{
    return breaker->state == BREAKER_CLOSED ||
           (breaker->state == BREAKER_HALF_OPEN && breaker->trial == 0);
}

uint32_t breaker_send(struct breaker *breaker)
{
    CHECK(breaker_may_send(breaker));
    if (breaker->state == BREAKER_HALF_OPEN) {
        breaker->trials += breaker->trials == UINT32_MAX ? 2 : 1; /* never 0 */
        breaker->trial = breaker->trials;
    }
    return breaker->trial;
}

void breaker_succeed(struct breaker *breaker)
{
    uint32_t trials = breaker->trials;
    *breaker = breaker_create();
    breaker->trials = trials;
}

void breaker_fail(struct breaker *breaker, uint32_t trial, uint64_t now_ms)
{
    if (breaker->state == BREAKER_CLOSED && ++breaker->failures == BREAKER_FAILURES) {
        breaker_open(breaker, now_ms);
    } else if (trial != 0 && trial == breaker->trial) {
        breaker_open(breaker, now_ms);
    }
}

void breaker_untry(struct breaker *breaker, uint32_t trial)
{
    breaker->trial = trial == breaker->trial ? 0 : breaker->trial;
}
