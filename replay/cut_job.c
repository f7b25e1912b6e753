/* SPDX-License-Identifier: MIT
 * All that touches one job. A pass over the capture finds who belongs to it; what a later entry
 * adds makes another pass, until nobody is added.
 *
 * Who belongs to it: the job, and every worker that is named together with it or holds it. A
 * decision's id counts the decisions of its entry, and effects are named by it; so those who are
 * decided about before the job in the same entry belong to it too. Where that does not give the
 * same decisions, all jobs of those workers are taken, too. */
#include <inttypes.h>

#include "base/alloc.h"
#include "reducers/codec.h"
#include "reducers/narrow.h"
#include "replay/cut_parts.h"

static bool holds(const struct table *set, struct span id)
{
    return id.size > 0 && table_find(set, id) != NULL;
}

static void include(struct cutting *cutting, struct table *set, struct span id)
{
    if (id.size > 0 && table_find(set, id) == NULL) {
        table_add(set, id, set->arrivals.count);
        cutting->has_grown = true;
    }
}

static bool is_operators(enum event_type type)
{
    return type >= EVENT_OPERATOR_REQUEUE && type <= EVENT_OPERATOR_RESUME;
}

/* `job` and `worker` are whom the event tells of, through an effect or by name. */
static bool touches(const struct cutting *cutting, const struct event *event, struct span *job,
                    struct span *worker)
{
    *job = event_text(event, FIELD_JOB);
    *worker = event_text(event, FIELD_WORKER);
    switch (event->type) {
    case EVENT_TICK:
    case EVENT_EPOCH:
    case EVENT_STREAM_LOST:
    case EVENT_POLICY:
    case EVENT_SERVICE_PROBED:
        return true;
    case EVENT_EFFECT_SETTLED:
        (void)state_effect_subject(cutting->state, event_text(event, FIELD_EFFECT), job, worker);
        break;
    case EVENT_SERVICE_ANSWERED:
        (void)state_effect_subject(cutting->state, event_text(event, FIELD_QUESTION), job, worker);
        break;
    default:
        break;
    }
    bool is_of_all = is_operators(event->type) && job->size == 0 && worker->size == 0;
    return is_of_all || holds(&cutting->jobs, *job) || holds(&cutting->workers, *worker);
}

static void include_named(struct cutting *cutting, struct span job, struct span worker)
{
    if (holds(&cutting->jobs, job) || cutting->is_wide) {
        include(cutting, &cutting->jobs, job);
    }
    include(cutting, &cutting->workers, worker);
    cutting->is_job_seen = cutting->is_job_seen || span_is(job, cutting->config->job);
}

/* The range begins with a state in which the job may be held already. */
static void include_holders(struct cutting *cutting)
{
    const struct table_node *job = table_oldest(&cutting->jobs);
    for (; job != NULL; job = table_next(job)) {
        include(cutting, &cutting->workers, state_job_holder(cutting->state, job->key));
    }
}

static bool find_before(struct cutting *cutting, const struct entry *entry, bool is_first,
                        struct error *error)
{
    struct event event;
    struct span field, job, worker;
    (void)error;
    if (is_first) {
        include_holders(cutting);
    }
    buffer_reset(&cutting->touched);
    if (codec_decode(entry, &event, &field) == CODEC_NONE &&
        touches(cutting, &event, &job, &worker)) {
        buffer_put_span(&cutting->touched, job);
        include_named(cutting, job, worker);
    }
    return true;
}

/* Whoever was decided about before a member in the same entry gives its decision its number. */
static void include_earlier(struct cutting *cutting)
{
    const struct fold_output *output = &cutting->output;
    for (uint32_t i = output->decision_count; i > 0; i--) {
        if (holds(&cutting->jobs, output->decisions[i - 1].job)) {
            for (uint32_t k = 0; k + 1 < i; k++) {
                include(cutting, &cutting->jobs, output->decisions[k].job);
                include(cutting, &cutting->workers, output->decisions[k].worker);
            }
            return;
        }
    }
}

static bool find_after(struct cutting *cutting, const struct entry *entry, struct error *error)
{
    (void)entry;
    struct span touched = buffer_span(&cutting->touched);
    if (holds(&cutting->jobs, touched)) {
        include(cutting, &cutting->workers, state_job_holder(cutting->state, touched));
    }
    for (uint32_t i = 0; i < cutting->output.decision_count; i++) {
        const struct decision *decision = &cutting->output.decisions[i];
        if (holds(&cutting->jobs, decision->job)) {
            include(cutting, &cutting->workers, decision->worker);
        }
    }
    include_earlier(cutting);
    return cut_keep_decisions(cutting, error);
}

static bool find_all(struct cutting *cutting, struct error *error)
{
    static const struct cut_visitor visitor = {
        .before = find_before, .after = find_after, .folds_range = true};
    do {
        cutting->has_grown = false;
        cut_forget_decisions(cutting);
        if (!cut_walk(cutting, &visitor, error)) {
            return false;
        }
    } while (cutting->has_grown && cutting->pass < CUT_PASSES_MAX);
    if (cutting->has_grown) {
        return error_set(error, ERROR_REFUSED,
                         "%s: all that touches it was not found in %d passes: cut by --from and "
                         "--until instead",
                         cutting->config->job, CUT_PASSES_MAX);
    }
    const struct excerpt_range *range = &cutting->config->range;
    bool has_range = range->from.kind != PLACE_NONE || range->until.kind != PLACE_NONE;
    return cutting->is_job_seen ||
           error_set(error, ERROR_USAGE, "%s: no event%s names this job", cutting->config->job,
                     has_range ? " between --from and --until" : "");
}

/* --- writing --- */

static bool keeps_job(void *payload, struct span id)
{
    const struct cutting *cutting = payload;
    return holds(&cutting->jobs, id);
}

static bool keeps_worker(void *payload, struct span id)
{
    const struct cutting *cutting = payload;
    return holds(&cutting->workers, id);
}

static bool begin_narrowed(struct cutting *cutting, struct error *error)
{
    struct buffer bytes = {0};
    state_encode(cutting->state, &bytes);
    struct state *narrowed = state_decode(buffer_span(&bytes));
    struct narrowing narrowing = {keeps_job, keeps_worker, cutting};
    state_narrow(narrowed, &narrowing);
    bool is_begun = excerpt_begin(&cutting->excerpt, narrowed, error);
    state_destroy(narrowed);
    buffer_fini(&bytes);
    return is_begun;
}

static bool write_before(struct cutting *cutting, const struct entry *entry, bool is_first,
                         struct error *error)
{
    struct event event;
    struct span field, job, worker;
    if (is_first && !begin_narrowed(cutting, error)) {
        return false;
    }
    bool is_touching = codec_decode(entry, &event, &field) == CODEC_NONE &&
                       touches(cutting, &event, &job, &worker);
    return !is_touching || excerpt_add(&cutting->excerpt, entry, error);
}

static bool write_all(struct cutting *cutting, struct error *error)
{
    static const struct cut_visitor visitor = {.before = write_before, .folds_range = true};
    return cut_walk(cutting, &visitor, error) && excerpt_end(&cutting->excerpt, error);
}

static bool try(struct cutting *cutting, struct error *error)
{
    return find_all(cutting, error) && write_all(cutting, error) && cut_prove(cutting, error);
}

bool cut_job(struct cutting *cutting, struct error *error)
{
    table_init(&cutting->jobs, sizeof(struct table_node));
    table_init(&cutting->workers, sizeof(struct table_node));
    include(cutting, &cutting->jobs, span_of(cutting->config->job));
    bool is_cut = try(cutting, error);
    if (!is_cut && error->code == ERROR_DIFFERENT) {
        excerpt_drop(&cutting->excerpt);
        cutting->is_wide = true;
        is_cut = try(cutting, error);
    }
    cutting->report->jobs = cutting->jobs.arrivals.count;
    cutting->report->workers = cutting->workers.arrivals.count;
    cut_forget_decisions(cutting);
    mem_free(cutting->decisions);
    arena_fini(&cutting->arena);
    buffer_fini(&cutting->touched);
    table_fini(&cutting->jobs);
    table_fini(&cutting->workers);
    return is_cut;
}
