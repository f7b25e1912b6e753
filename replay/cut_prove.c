/* SPDX-License-Identifier: MIT
 * The proof of a job's cut: the decisions about the job are the whole's, column by column. Only the
 * ordinal is another, since the cut has fewer entries. */
#include <inttypes.h>

#include "base/alloc.h"
#include "base/check.h"
#include "replay/capture_source.h"
#include "replay/cut_parts.h"

#define SHOWN_MAX 60 /* bytes of a value in a message */

bool cut_keep_decisions(struct cutting *cutting, struct error *error)
{
    for (uint32_t i = 0; i < cutting->output.decision_count; i++) {
        struct decision decision = cutting->output.decisions[i];
        if (!span_is(decision.job, cutting->config->job)) {
            continue;
        }
        if (cutting->decision_count == CUT_DECISIONS_MAX) {
            return error_set(error, ERROR_REFUSED,
                             "%s: more than %d decisions: cut by --from and --until instead",
                             cutting->config->job, CUT_DECISIONS_MAX);
        }
        struct span *const texts[] = {&decision.id,      &decision.job,    &decision.worker,
                                      &decision.service, &decision.policy, &decision.evidence,
                                      &decision.trace,   &decision.mode};
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
            *texts[k] = arena_copy(&cutting->arena, *texts[k]);
        }
        if (cutting->decision_count == cutting->decision_capacity) {
            cutting->decision_capacity = cutting->decision_capacity * 2 + 16;
            cutting->decisions = mem_resize(cutting->decisions, cutting->decision_capacity *
                                                                    sizeof *cutting->decisions);
        }
        cutting->decisions[cutting->decision_count++] = decision;
    }
    return true;
}

void cut_forget_decisions(struct cutting *cutting)
{
    cutting->decision_count = 0;
    arena_reset(&cutting->arena);
}

static struct span shown(struct column_value value, struct number_text *number)
{
    if (value.is_number) {
        *number = number_text(value.number);
        return span_of(number->text);
    }
    value.text.size = value.text.size > SHOWN_MAX ? SHOWN_MAX : value.text.size;
    return value.text;
}

static bool is_same_value(struct column_value a, struct column_value b)
{
    return a.is_number ? a.number == b.number : span_equal(a.text, b.text);
}

static bool is_same(const struct decision *whole, const struct decision *cut, struct error *error)
{
    struct buffer whole_scratch = {0}, cut_scratch = {0};
    bool is_equal = true;
    for (enum decision_column column = 0; column < DECISION_COLUMN_COUNT && is_equal; column++) {
        struct column_value of_whole = decision_column(whole, column, &whole_scratch);
        struct column_value of_cut = decision_column(cut, column, &cut_scratch);
        is_equal = column == DECISION_COLUMN_ORDINAL || is_same_value(of_whole, of_cut);
        if (!is_equal) {
            struct number_text numbers[2];
            struct span there = shown(of_whole, &numbers[0]), here = shown(of_cut, &numbers[1]);
            error_set(error, ERROR_DIFFERENT,
                      "decision %.*s: %s is \"%.*s\" in the capture, \"%.*s\" in the cut",
                      SPAN_FORMAT(whole->id), decision_column_name(column), SPAN_FORMAT(there),
                      SPAN_FORMAT(here));
        }
    }
    buffer_fini(&cut_scratch);
    buffer_fini(&whole_scratch);
    return is_equal;
}

/* Holds the output's decisions about the job against the next ones that were kept. */
static bool compare_output(struct cutting *cutting, uint32_t *compared, struct error *error)
{
    for (uint32_t i = 0; i < cutting->output.decision_count; i++) {
        const struct decision *decision = &cutting->output.decisions[i];
        if (!span_is(decision->job, cutting->config->job)) {
            continue;
        }
        if (*compared == cutting->decision_count) {
            return error_set(error, ERROR_DIFFERENT,
                             "decision %.*s of the cut is not in the capture",
                             SPAN_FORMAT(decision->id));
        }
        if (!is_same(&cutting->decisions[(*compared)++], decision, error)) {
            return false;
        }
    }
    return true;
}

static bool prove_entries(struct cutting *cutting, struct capture_reader *reader,
                          struct error *error)
{
    struct entry entry;
    enum capture_next next;
    uint32_t compared = 0;
    while ((next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
        if (!loop_fold_entry(cutting->state, &entry, &cutting->output, error) ||
            !compare_output(cutting, &compared, error)) {
            return false;
        }
    }
    if (next == CAPTURE_END && compared < cutting->decision_count) {
        struct span id = cutting->decisions[compared].id;
        return error_set(error, ERROR_DIFFERENT, "decision %.*s of the capture is not in the cut",
                         SPAN_FORMAT(id));
    }
    cutting->report->decisions = compared;
    CHECK(next != CAPTURE_TORN);
    return next == CAPTURE_END;
}

bool cut_prove(struct cutting *cutting, struct error *error)
{
    struct capture_reader *reader = capture_open(cutting->config->directory, error);
    if (reader == NULL) {
        return false;
    }
    cutting->state = capture_state(capture_reader_header(reader), error);
    bool is_proved = cutting->state != NULL && prove_entries(cutting, reader, error);
    state_destroy(cutting->state);
    cutting->state = NULL;
    capture_reader_close(reader);
    return is_proved;
}
