/* SPDX-License-Identifier: MIT */
#include "replay/what_if_compare.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

struct what_if_item {
    struct what_if_item *next; /* in its queue */
    struct what_if_decision told;
    bool is_backoff; /* a wait that only delays the retry behind it */
};

/* --- items --- */

/* A wait of the retry rules, which alone tell the counts with it; the other waits are for a service
 * or for the queue. Texts inside JSON have their quotes escaped, so the key can be no producer's.
 */
static bool is_backoff(const struct what_if_decision *decision)
{
    return decision->action == ACTION_WAIT && span_holds(decision->evidence, SPAN("\"losses\":"));
}

static struct span keep(char **place, struct span text)
{
    struct span kept = {*place, text.size};
    if (text.size > 0) {
        memcpy(*place, text.data, text.size);
    }
    *place += text.size;
    return text.size == 0 ? SPAN_NONE : kept;
}

/* One block holds the texts too. */
static struct what_if_item *make_item(const struct what_if_decision *decision)
{
    size_t size = decision->worker.size + decision->service.size + decision->evidence.size;
    struct what_if_item *item = mem_zero(sizeof(*item) + size);
    char *place = (char *)(item + 1);
    item->told = *decision;
    item->told.is_there = true;
    item->told.worker = keep(&place, decision->worker);
    item->told.service = keep(&place, decision->service);
    item->told.evidence = keep(&place, decision->evidence);
    item->is_backoff = is_backoff(decision);
    return item;
}

static struct what_if_item *pop(struct what_if_queue *queue)
{
    struct what_if_item *item = queue->first;
    queue->first = item->next;
    queue->last = queue->first == NULL ? NULL : queue->last;
    queue->count--;
    return item;
}

static void empty(struct what_if_queue *queue)
{
    while (queue->first != NULL) {
        mem_free(pop(queue));
    }
}

/* --- counting --- */

static const enum what_if_total total_of[ACTION_COUNT] = {
    [ACTION_ASK] = WHAT_IF_ASK,         [ACTION_WAIT] = WHAT_IF_WAIT,
    [ACTION_REQUEUE] = WHAT_IF_REQUEUE, [ACTION_COMPLETE] = WHAT_IF_COMPLETE,
    [ACTION_FAIL] = WHAT_IF_FAIL,       [ACTION_TIME_OUT] = WHAT_IF_TIME_OUT,
    [ACTION_CANCEL] = WHAT_IF_CANCEL,   [ACTION_PARK] = WHAT_IF_PARK,
    [ACTION_RELEASE] = WHAT_IF_RELEASE, [ACTION_HOLD] = WHAT_IF_HOLD,
    [ACTION_RESUME] = WHAT_IF_RESUME,
};

static void note_trial(struct what_if_subject *subject, enum what_if_side side,
                       const struct what_if_decision *decision)
{
    if (subject->trial_count == subject->trial_capacity) {
        subject->trial_capacity = subject->trial_capacity == 0 ? 2 : subject->trial_capacity * 2;
        subject->trials =
            mem_resize(subject->trials, subject->trial_capacity * sizeof(*subject->trials));
    }
    subject->trials[subject->trial_count++] = (struct what_if_trial){.side = side,
                                                                     .action = decision->action,
                                                                     .attempt = decision->attempt,
                                                                     .ordinal = decision->ordinal};
}

static void count(struct what_if_compare *compare, struct what_if_subject *subject,
                  enum what_if_side side, const struct what_if_decision *decision)
{
    uint64_t(*total)[WHAT_IF_SIDE_COUNT] = compare->report->total;
    bool is_end = decision->action == ACTION_FAIL || decision->action == ACTION_TIME_OUT;
    total[total_of[decision->action]][side]++;
    total[WHAT_IF_OBSERVED][side] += decision->is_observed;
    total[WHAT_IF_UNKNOWN][side] += decision->is_unknown;
    total[WHAT_IF_POSSIBLE_DUPLICATE][side] += decision->is_possible_duplicate;
    if (!decision->is_observed && (is_end || decision->action == ACTION_REQUEUE)) {
        note_trial(subject, side, decision);
    }
}

/* --- comparing --- */

static bool is_same(const struct what_if_decision *a, const struct what_if_decision *b)
{
    return a->action == b->action && a->reason == b->reason && a->attempt == b->attempt &&
           a->is_observed == b->is_observed;
}

static void note_delay(struct what_if_delay *delay, uint64_t captured_ms, uint64_t other_ms)
{
    uint64_t lost_ms = other_ms > captured_ms ? other_ms - captured_ms : 0;
    uint64_t won_ms = captured_ms > other_ms ? captured_ms - other_ms : 0;
    delay->count += lost_ms + won_ms > 0;
    delay->lost_ms += lost_ms;
    delay->won_ms += won_ms;
    delay->lost_max_ms = lost_ms > delay->lost_max_ms ? lost_ms : delay->lost_max_ms;
    delay->won_max_ms = won_ms > delay->won_max_ms ? won_ms : delay->won_max_ms;
}

static bool is_recovery(enum action action)
{
    return action == ACTION_REQUEUE || action == ACTION_COMPLETE || action == ACTION_FAIL ||
           action == ACTION_TIME_OUT || action == ACTION_PARK;
}

/* Counts the first of each queue and takes it out. */
static void end_here(struct what_if_compare *compare, struct what_if_subject *subject,
                     enum what_if_end end)
{
    subject->end = end;
    for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
        struct what_if_queue *queue = &subject->queue[side];
        if (queue->first != NULL) {
            subject->told[side] = pop(queue);
            count(compare, subject, side, &subject->told[side]->told);
        }
        empty(queue);
    }
}

/* A back-off is counted and passed over. */
static void pass_backoffs(struct what_if_compare *compare, struct what_if_subject *subject,
                          enum what_if_side side)
{
    struct what_if_queue *queue = &subject->queue[side];
    while (queue->first != NULL && queue->first->is_backoff) {
        struct what_if_item *item = pop(queue);
        count(compare, subject, side, &item->told);
        queue->backs_off = item->told.reason;
        mem_free(item);
    }
}

static void match(struct what_if_compare *compare, struct what_if_subject *subject)
{
    struct what_if_queue *captured = &subject->queue[WHAT_IF_CAPTURED];
    struct what_if_queue *other = &subject->queue[WHAT_IF_OTHER];
    while (subject->end == WHAT_IF_END_NONE) {
        pass_backoffs(compare, subject, WHAT_IF_CAPTURED);
        pass_backoffs(compare, subject, WHAT_IF_OTHER);
        if (captured->first == NULL || other->first == NULL) {
            break;
        }
        const struct what_if_decision *a = &captured->first->told, *b = &other->first->told;
        if (!is_same(a, b)) {
            end_here(compare, subject, WHAT_IF_END_DIFFERENT);
        } else if (a->is_unknown || b->is_unknown) {
            end_here(compare, subject, WHAT_IF_END_UNKNOWN);
        } else {
            if (is_recovery(a->action)) {
                note_delay(&compare->report->delay, a->at_ms, b->at_ms);
            }
            count(compare, subject, WHAT_IF_CAPTURED, a);
            count(compare, subject, WHAT_IF_OTHER, b);
            mem_free(pop(captured));
            mem_free(pop(other));
            captured->backs_off = other->backs_off = REASON_NONE;
        }
    }
}

void what_if_compare_init(struct what_if_compare *compare, const struct answers *answers,
                          struct what_if_report *report)
{
    *compare = (struct what_if_compare){.answers = answers, .report = report};
    table_init(&compare->subjects, sizeof(struct what_if_subject));
}

static struct what_if_subject *subject_of(struct what_if_compare *compare, struct span job)
{
    struct what_if_subject *subject = table_find(&compare->subjects, job);
    return subject != NULL ? subject
                           : table_add(&compare->subjects, job, compare->subjects.arrivals.count);
}

static void append(struct what_if_queue *queue, struct what_if_item *item)
{
    if (queue->last == NULL) {
        queue->first = item;
    } else {
        queue->last->next = item;
    }
    queue->last = item;
    queue->count++;
}

void what_if_compare_take(struct what_if_compare *compare, enum what_if_side side, struct span job,
                          const struct what_if_decision *decision)
{
    enum action action = decision->action;
    uint64_t(*total)[WHAT_IF_SIDE_COUNT] = compare->report->total;
    if (action == ACTION_RELEASE) {
        total[WHAT_IF_RELEASE][side]++;
    } else if (job.size == 0) {
        total[WHAT_IF_FLEET_HOLD][side] += action == ACTION_HOLD;
        total[WHAT_IF_FLEET_RESUME][side] += action == ACTION_RESUME;
    } else if (action != ACTION_IGNORE) {
        struct what_if_subject *subject = subject_of(compare, job);
        if (subject->end == WHAT_IF_END_NONE) {
            append(&subject->queue[side], make_item(decision));
            match(compare, subject);
        }
        if (subject->queue[side].count == WHAT_IF_AHEAD_MAX) {
            end_here(compare, subject, WHAT_IF_END_DIFFERENT);
        }
    }
}

void what_if_compare_unanswered(struct what_if_compare *compare, enum what_if_side side,
                                struct span job, const struct what_if_decision *question)
{
    struct what_if_subject *subject = subject_of(compare, job);
    subject->end = WHAT_IF_END_UNKNOWN;
    subject->told[side] = make_item(question);
    compare->report->total[WHAT_IF_UNKNOWN][side]++;
}

void what_if_compare_completed(struct what_if_compare *compare, const struct event *event,
                               uint64_t ordinal)
{
    struct what_if_subject *subject = table_find(&compare->subjects, event_text(event, FIELD_JOB));
    if (subject == NULL) {
        return;
    }
    if (subject->completion_count == subject->completion_capacity) {
        subject->completion_capacity =
            subject->completion_capacity == 0 ? 1 : subject->completion_capacity * 2;
        subject->completions = mem_resize(subject->completions, subject->completion_capacity *
                                                                    sizeof(*subject->completions));
    }
    subject->completions[subject->completion_count++] = (struct what_if_completion){
        .attempt = event_number(event, FIELD_ATTEMPT), .at_ms = event->id.ms, .ordinal = ordinal};
}

void what_if_compare_waits(struct what_if_compare *compare, enum what_if_side side, struct span job)
{
    struct what_if_subject *subject = table_find(&compare->subjects, job);
    if (subject != NULL) {
        subject->is_unanswered[side] = true;
    }
}

/* --- the end --- */

/* When the capture says that the attempt was completed; 0: it does not. What a worker told before
 * the decision was known to it. */
static uint64_t completed_ms(const struct what_if_compare *compare,
                             const struct what_if_subject *subject, uint64_t attempt,
                             uint64_t ordinal, bool *is_by_service)
{
    uint64_t at_ms = answers_completed_ms(compare->answers, subject->node.key, attempt);
    *is_by_service = at_ms > 0;
    for (uint32_t i = 0; at_ms == 0 && i < subject->completion_count; i++) {
        const struct what_if_completion *told = &subject->completions[i];
        if (told->attempt == attempt && told->ordinal > ordinal) {
            at_ms = told->at_ms;
        }
    }
    return at_ms;
}

static void prove(struct what_if_compare *compare, const struct what_if_subject *subject)
{
    for (uint32_t i = 0; i < subject->trial_count; i++) {
        const struct what_if_trial *trial = &subject->trials[i];
        bool is_by_service;
        if (completed_ms(compare, subject, trial->attempt, trial->ordinal, &is_by_service) > 0) {
            enum what_if_total total = trial->action == ACTION_REQUEUE ? WHAT_IF_PROVED_DUPLICATE
                                                                       : WHAT_IF_ENDED_COMPLETED;
            compare->report->total[total][trial->side]++;
        }
    }
}

static void end_open(struct what_if_compare *compare, struct what_if_subject *subject)
{
    bool is_captured_ahead = subject->queue[WHAT_IF_CAPTURED].first != NULL;
    bool is_other_ahead = subject->queue[WHAT_IF_OTHER].first != NULL;
    CHECK(!is_captured_ahead || !is_other_ahead);
    enum what_if_side lacking = is_captured_ahead ? WHAT_IF_OTHER : WHAT_IF_CAPTURED;
    if (is_captured_ahead || is_other_ahead) {
        if (subject->is_unanswered[lacking]) {
            compare->report->total[WHAT_IF_UNKNOWN][lacking]++;
        }
        end_here(compare, subject,
                 subject->is_unanswered[lacking] ? WHAT_IF_END_UNKNOWN : WHAT_IF_END_DIFFERENT);
    }
}

static void tell(struct what_if_compare *compare, const struct what_if_subject *subject,
                 struct what_if_job *job)
{
    *job = (struct what_if_job){.job = subject->node.key, .end = subject->end};
    for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
        const struct what_if_item *item = subject->told[side];
        if (item == NULL) {
            job->backs_off[side] = subject->queue[side].backs_off;
            continue;
        }
        bool is_by_service;
        uint64_t at_ms =
            completed_ms(compare, subject, item->told.attempt, item->told.ordinal, &is_by_service);
        enum action action = item->told.action;
        job->side[side] = item->told;
        job->is_proved[side] =
            at_ms > 0 && !item->told.is_observed &&
            (action == ACTION_REQUEUE || action == ACTION_FAIL || action == ACTION_TIME_OUT);
        if (at_ms > 0) {
            job->completed_ms = at_ms;
            job->is_completed_by_service = is_by_service;
        }
    }
}

static uint64_t time_of(const struct what_if_job *job)
{
    const struct what_if_decision *a = &job->side[WHAT_IF_CAPTURED], *b = &job->side[WHAT_IF_OTHER];
    return !b->is_there || (a->is_there && a->at_ms < b->at_ms) ? a->at_ms : b->at_ms;
}

static int compare_times(const void *left, const void *right)
{
    const struct what_if_job *a = left, *b = right;
    uint64_t a_ms = time_of(a), b_ms = time_of(b);
    return a_ms < b_ms ? -1 : a_ms > b_ms ? 1 : span_compare(a->job, b->job);
}

void what_if_compare_finish(struct what_if_compare *compare)
{
    struct what_if_report *report = compare->report;
    struct what_if_subject *subject = table_oldest(&compare->subjects);
    for (; subject != NULL; subject = table_next(subject)) {
        end_open(compare, subject);
        prove(compare, subject);
        report->jobs_compared++;
        report->jobs_different += subject->end == WHAT_IF_END_DIFFERENT;
        report->jobs_unknown += subject->end == WHAT_IF_END_UNKNOWN;
    }
    size_t most = report->jobs_different + report->jobs_unknown;
    report->jobs = mem_zero((most + 1) * sizeof(*report->jobs));
    for (subject = table_oldest(&compare->subjects); subject != NULL;
         subject = table_next(subject)) {
        if (subject->end != WHAT_IF_END_NONE) {
            tell(compare, subject, &report->jobs[report->job_count++]);
        }
    }
    qsort(report->jobs, report->job_count, sizeof(*report->jobs), compare_times);
}

void what_if_compare_fini(struct what_if_compare *compare)
{
    struct what_if_subject *subject = table_oldest(&compare->subjects);
    for (; subject != NULL; subject = table_next(subject)) {
        for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
            empty(&subject->queue[side]);
            mem_free(subject->told[side]);
        }
        mem_free(subject->trials);
        mem_free(subject->completions);
    }
    table_fini(&compare->subjects);
}
