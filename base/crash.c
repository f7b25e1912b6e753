/* SPDX-License-Identifier: MIT */
#include "base/crash.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/log.h"

#define CRASH_VISITS_MAX UINT32_MAX

static pthread_once_t plan_once = PTHREAD_ONCE_INIT;
static enum crash_point planned_point; /* CRASH_NONE: no crash is planned */
static _Atomic uint64_t visits_left;

const char *crash_point_text(enum crash_point point)
{
#define X(name, text) [CRASH_##name] = text,
    static const char *const texts[] = { [CRASH_NONE] = "none", CRASH_POINTS(X) };
#undef X
    CHECK(point < CRASH_POINT_COUNT);
    return texts[point];
}

static void read_plan(void)
{
    struct span plan = span_of(getenv("SALVOR_CRASH_POINT"));
    if (plan.size == 0) {
        return;
    }
    struct span rest = plan;
    struct span name = span_cut(&rest, ':');
    uint64_t visits = 1;
    bool is_good = rest.data == NULL || span_to_number(rest, CRASH_VISITS_MAX, &visits);
    for (enum crash_point point = CRASH_NONE + 1; point < CRASH_POINT_COUNT; point++) {
        if (is_good && visits > 0 && span_is(name, crash_point_text(point))) {
            planned_point = point;
            visits_left = visits;
            return;
        }
    }
    log_fact(LOG_ERROR, "crash_point_unknown", "SALVOR_CRASH_POINT", plan.data, NULL);
}

void crash_point(enum crash_point point)
{
    CHECK(point > CRASH_NONE && point < CRASH_POINT_COUNT);
    CHECK(pthread_once(&plan_once, read_plan) == 0);
    if (point == planned_point && atomic_fetch_sub(&visits_left, 1) == 1) {
        log_fact(LOG_ERROR, "crash_point", "point", crash_point_text(point), NULL);
        raise(SIGKILL);
    }
}
