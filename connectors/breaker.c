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
    breaker->is_tried = false;
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
           (breaker->state == BREAKER_HALF_OPEN && !breaker->is_tried);
}

bool breaker_send(struct breaker *breaker)
{
    CHECK(breaker_may_send(breaker));
    breaker->is_tried = breaker->state == BREAKER_HALF_OPEN;
    return breaker->is_tried;
}

void breaker_succeed(struct breaker *breaker)
{
    *breaker = breaker_create();
}

void breaker_fail(struct breaker *breaker, bool is_trial, uint64_t now_ms)
{
    if (breaker->state == BREAKER_CLOSED && ++breaker->failures == BREAKER_FAILURES) {
        breaker_open(breaker, now_ms);
    } else if (breaker->state == BREAKER_HALF_OPEN && is_trial) {
        breaker_open(breaker, now_ms);
    }
}

void breaker_untry(struct breaker *breaker)
{
    breaker->is_tried = false;
}
