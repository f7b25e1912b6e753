/* SPDX-License-Identifier: MIT
 * Alarms: a binary heap; each alarm knows its place, so that it can be moved and taken out. */
#include "connectors/alarms.h"

#include "base/alloc.h"
#include "base/check.h"

#define CAPACITY_LEAST 64

static void place(struct alarms *alarms, struct alarm *alarm, size_t at)
{
    alarms->heap[at] = alarm;
    alarm->place = at;
}

/* Brings the alarm, which may go to `at`, to where its time belongs. */
static void sift(struct alarms *alarms, struct alarm *alarm, size_t at)
{
    while (at > 1 && alarms->heap[at / 2]->due_ms > alarm->due_ms) {
        place(alarms, alarms->heap[at / 2], at);
        at /= 2;
    }
    for (size_t child; (child = at * 2) <= alarms->count; at = child) {
        if (child < alarms->count &&
            alarms->heap[child + 1]->due_ms < alarms->heap[child]->due_ms) {
            child++;
        }
        if (alarms->heap[child]->due_ms >= alarm->due_ms) {
            break;
        }
        place(alarms, alarms->heap[child], at);
    }
    place(alarms, alarm, at);
}

void alarms_set(struct alarms *alarms, struct alarm *alarm, uint64_t due_ms)
{
    CHECK(alarm->ring != NULL);
    alarm->due_ms = due_ms;
    if (alarm->place == 0) {
        if (alarms->count + 1 >= alarms->capacity) {
            alarms->capacity = alarms->capacity == 0 ? CAPACITY_LEAST : alarms->capacity * 2;
            alarms->heap = mem_resize(alarms->heap, alarms->capacity * sizeof(*alarms->heap));
        }
        alarm->place = ++alarms->count;
    }
    sift(alarms, alarm, alarm->place);
}

void alarms_clear(struct alarms *alarms, struct alarm *alarm)
{
    size_t hole = alarm->place;
    if (hole == 0) {
        return;
    }
    CHECK(alarms->heap[hole] == alarm);
    struct alarm *last = alarms->heap[alarms->count--];
    alarm->place = 0;
    if (last != alarm) {
        sift(alarms, last, hole);
    }
}

bool alarms_ring(struct alarms *alarms, uint64_t now_ms, void *context)
{
    size_t left = alarms->count;
    bool was_due = false;
    while (left-- > 0 && alarms->count > 0 && alarms->heap[1]->due_ms <= now_ms) {
        struct alarm *alarm = alarms->heap[1];
        alarms_clear(alarms, alarm);
        alarm->ring(context, alarm->owner);
        was_due = true;
    }
    return was_due;
}

uint64_t alarms_wait_ms(const struct alarms *alarms, uint64_t now_ms, uint64_t max_ms)
{
    if (alarms->count == 0 || alarms->heap[1]->due_ms >= now_ms + max_ms) {
        return max_ms;
    }
    return alarms->heap[1]->due_ms > now_ms ? alarms->heap[1]->due_ms - now_ms : 0;
}

void alarms_fini(struct alarms *alarms)
{
    mem_free(alarms->heap);
    *alarms = (struct alarms){0};
}
