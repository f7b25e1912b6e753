/* SPDX-License-Identifier: MIT */
#include "replay/what_if_compare.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

struct what_if_item {
    struct what_if_item *next; /* in its queue */
    struct what_if_decision told;
};

/* What a worker told of an attempt: the key is job, attempt, worker. Ordinals and times. */
struct completion {
    struct table_node node;
    uint64_t claimed; /* that it took the job, last */
    /* That it completed it, first and last, and what `claimed` was then; 0: it did not. */
    struct told {
        uint64_t ordinal, at_ms, claimed;
    } first, last;
};

/* --- items --- */

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
    size_t size = decision->worker.size + decision->service.size + decision->evidence.size +
                  decision->service_job.size;
    struct what_if_item *item = mem_zero(sizeof(*item) + size);
    char *place = (char *)(item + 1);
    item->told = *decision;
    item->told.is_there = true;
    item->told.worker = keep(&place, decision->worker);
    item->told.service = keep(&place, decision->service);
    item->told.evidence = keep(&place, decision->evidence);
    item->told.service_job = keep(&place, decision->service_job);
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
    mem_free(queue->passed);
    queue->passed = NULL;
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
    struct what_if_decision brief = *decision;
    brief.evidence = SPAN_NONE;
    subject->trials[subject->trial_count++] =
        (struct what_if_trial){.side = side, .item = make_item(&brief)};
}

/* A completion of the attempt speaks against it. */
static bool is_trial(const struct what_if_decision *decision)
{
    bool is_end = decision->action == ACTION_FAIL || decision->action == ACTION_TIME_OUT;
    return !decision->is_observed && (is_end || decision->action == ACTION_REQUEUE);
}

static void count(struct what_if_compare *compare, struct what_if_subject *subject,
                  enum what_if_side side, const struct what_if_decision *decision)
{
    uint64_t(*total)[WHAT_IF_SIDE_COUNT] = compare->report->total;
    total[total_of[decision->action]][side]++;
    total[WHAT_IF_OBSERVED][side] += decision->is_observed;
    total[WHAT_IF_UNKNOWN][side] += decision->is_unknown;
    total[WHAT_IF_POSSIBLE_DUPLICATE][side] += decision->is_possible_duplicate;
    if (is_trial(decision)) {
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

/* True when the other side decided before this one's next decision. */
static bool is_behind(const struct what_if_item *item, const struct what_if_queue *other)
{
    return other->first != NULL &&
           (item == NULL || item->told.ordinal > other->first->told.ordinal);
}

/* What a side did at the time of the first difference: the first of its queue, which is counted;
 * or, where the other side was first, what it was asking or waiting for then. */
static struct what_if_item *take_different(struct what_if_compare *compare,
                                           struct what_if_subject *subject, enum what_if_side side,
                                           bool is_waiting)
{
    struct what_if_queue *queue = &subject->queue[side];
    struct what_if_item *item = NULL;
    if (is_waiting && queue->passed != NULL && !subject->is_unanswered[side]) {
        item = queue->passed;
        queue->passed = NULL;
    } else if (queue->first != NULL) {
        item = pop(queue);
        count(compare, subject, side, &item->told);
    }
    return item;
}

static void end_here(struct what_if_compare *compare, struct what_if_subject *subject,
                     enum what_if_end end)
{
    struct what_if_queue *queues = subject->queue;
    bool is_waiting[WHAT_IF_SIDE_COUNT] = {
        [WHAT_IF_CAPTURED] = is_behind(queues[WHAT_IF_CAPTURED].first, &queues[WHAT_IF_OTHER]),
        [WHAT_IF_OTHER] = is_behind(queues[WHAT_IF_OTHER].first, &queues[WHAT_IF_CAPTURED]),
    };
    subject->end = end;
    for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
        subject->told[side] = take_different(compare, subject, side, is_waiting[side]);
        empty(&queues[side]);
    }
}

/* Questions and waits only lead to a decision. */
static bool is_on_the_way(const struct what_if_decision *decision)
{
    bool is_poll = decision->action == ACTION_ASK ||
                   (decision->action == ACTION_WAIT && decision->reason == REASON_SERVICE_RUNNING);
    return decision->is_backoff || (is_poll && !decision->is_unknown && !decision->is_observed);
}

/* What only leads to a decision is counted and passed over. */
static void pass_over(struct what_if_compare *compare, struct what_if_subject *subject,
                      enum what_if_side side)
{
    struct what_if_queue *queue = &subject->queue[side];
    const struct what_if_queue *other =
        &subject->queue[side == WHAT_IF_CAPTURED ? WHAT_IF_OTHER : WHAT_IF_CAPTURED];
    while (queue->first != NULL && is_on_the_way(&queue->first->told)) {
        struct what_if_item *item = pop(queue);
        if (is_behind(item, other)) {
            queue->late_asks += item->told.action == ACTION_ASK;
            queue->late_waits += item->told.action == ACTION_WAIT;
            mem_free(item);
            continue;
        }
        count(compare, subject, side, &item->told);
        mem_free(queue->passed);
        queue->backs_off = item->told.is_backoff ? item->told.reason : REASON_NONE;
        queue->passed = item->told.is_backoff ? NULL : item;
        if (item->told.is_backoff) {
            mem_free(item);
        }
    }
}

/* Both sides go on behind equal decisions. */
static void go_on(struct what_if_compare *compare, enum what_if_side side,
                  struct what_if_queue *queue)
{
    compare->report->total[WHAT_IF_ASK][side] += queue->late_asks;
    compare->report->total[WHAT_IF_WAIT][side] += queue->late_waits;
    mem_free(pop(queue));
    mem_free(queue->passed);
    queue->passed = NULL;
    queue->late_asks = queue->late_waits = 0;
    queue->backs_off = REASON_NONE;
}

static void match(struct what_if_compare *compare, struct what_if_subject *subject)
{
    struct what_if_queue *captured = &subject->queue[WHAT_IF_CAPTURED];
    struct what_if_queue *other = &subject->queue[WHAT_IF_OTHER];
    while (subject->end == WHAT_IF_END_NONE) {
        pass_over(compare, subject, WHAT_IF_CAPTURED);
        pass_over(compare, subject, WHAT_IF_OTHER);
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
            go_on(compare, WHAT_IF_CAPTURED, captured);
            go_on(compare, WHAT_IF_OTHER, other);
        }
    }
}

void what_if_compare_init(struct what_if_compare *compare, const struct answers *answers,
                          struct what_if_report *report)
{
    *compare = (struct what_if_compare){.answers = answers, .report = report};
    table_init(&compare->subjects, sizeof(struct what_if_subject));
    table_init(&compare->completions, sizeof(struct completion));
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

/* Ids are printable, so that a line feed parts them. */
static void put_token(struct buffer *key, struct span job, uint64_t attempt, struct span worker)
{
    buffer_put_span(key, job);
    buffer_put_byte(key, '\n');
    buffer_put_decimal(key, attempt);
    buffer_put_byte(key, '\n');
    buffer_put_span(key, worker);
}

void what_if_compare_worker(struct what_if_compare *compare, const struct event *event,
                            uint64_t ordinal)
{
    struct span job = event_text(event, FIELD_JOB);
    struct buffer key = {0};
    if (table_find(&compare->subjects, job) == NULL) {
        return;
    }
    put_token(&key, job, event_number(event, FIELD_ATTEMPT), event_text(event, FIELD_WORKER));
    struct completion *known = table_find(&compare->completions, buffer_span(&key));
    if (known == NULL) {
        known = table_add(&compare->completions, buffer_span(&key),
                          compare->completions.arrivals.count);
    }
    if (event->type == EVENT_JOB_CLAIMED) {
        known->claimed = ordinal;
    } else {
        known->last = (struct told){ordinal, event->id.ms, known->claimed};
        known->first = known->first.ordinal == 0 ? known->last : known->first;
    }
    buffer_fini(&key);
}

void what_if_compare_waits(struct what_if_compare *compare, enum what_if_side side, struct span job)
{
    struct what_if_subject *subject = table_find(&compare->subjects, job);
    if (subject != NULL) {
        subject->is_unanswered[side] = true;
    }
}

/* --- the end --- */

/* It came behind the decision, whose attempt nobody took anew between them. */
static bool is_of(const struct told *told, uint64_t ordinal)
{
    return told->ordinal > ordinal && told->claimed <= ordinal;
}

/* The word of the worker that held the attempt. It tells no claim: a second claim of the same
 * worker and attempt is known by its job.claimed. What it told before the decision was known to
 * that. */
static uint64_t completed_by_worker_ms(const struct what_if_compare *compare, struct span job,
                                       const struct what_if_decision *decision)
{
    struct buffer key = {0};
    put_token(&key, job, decision->attempt, decision->worker);
    const struct completion *known = table_find(&compare->completions, buffer_span(&key));
    buffer_fini(&key);
    if (known == NULL || decision->worker.size == 0) {
        return 0;
    }
    return is_of(&known->first, decision->ordinal)  ? known->first.at_ms
           : is_of(&known->last, decision->ordinal) ? known->last.at_ms
                                                    : 0;
}

/* When the capture says that the very attempt that the decision gives up was completed; 0: it does
 * not. */
static uint64_t completed_ms(const struct what_if_compare *compare, struct span job,
                             const struct what_if_decision *decision, bool *is_by_service)
{
    uint64_t at_ms = 0;
    if (is_trial(decision) && decision->service_job.size > 0) {
        at_ms =
            answers_completed_ms(compare->answers, job, decision->attempt, decision->service_job);
    }
    *is_by_service = at_ms > 0;
    return at_ms > 0 || !is_trial(decision) ? at_ms
                                            : completed_by_worker_ms(compare, job, decision);
}

static void prove(struct what_if_compare *compare, const struct what_if_subject *subject)
{
    for (uint32_t i = 0; i < subject->trial_count; i++) {
        const struct what_if_decision *decision = &subject->trials[i].item->told;
        bool is_by_service;
        if (completed_ms(compare, subject->node.key, decision, &is_by_service) > 0) {
            enum what_if_total total = decision->action == ACTION_REQUEUE ? WHAT_IF_PROVED_DUPLICATE
                                                                          : WHAT_IF_ENDED_COMPLETED;
            compare->report->total[total][subject->trials[i].side]++;
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
        uint64_t at_ms = completed_ms(compare, subject->node.key, &item->told, &is_by_service);
        job->side[side] = item->told;
        job->is_proved[side] = at_ms > 0;
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
        for (uint32_t i = 0; i < subject->trial_count; i++) {
            mem_free(subject->trials[i].item);
        }
        mem_free(subject->trials);
    }
    table_fini(&compare->subjects);
    table_fini(&compare->completions);
}
