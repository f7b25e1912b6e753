/* SPDX-License-Identifier: MIT
 * Which capture files and which rows of the audit a journal keeps. */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "replay/journal_parts.h"
#include "store/audit_prune.h"

/* Each file is looked at behind each snapshot. A week with the default settings makes a thousand.
 */
#define FILES_MAX 50000

/* The ids of the stream give order and may be made by anybody: one far ahead must not make
 * everything old. So the time is the earlier one of the last id's and the last tick's, which the
 * leader alone appends; without a tick nothing is old. */
static uint64_t stream_ms(const struct state *state)
{
    struct state_summary summary = state_summary(state);
    return summary.position.ms < summary.last_tick_wall_ms ? summary.position.ms
                                                           : summary.last_tick_wall_ms;
}

static void tell_removed(void *payload, const char *name, uint64_t bytes,
                         enum capture_excess excess)
{
    static const char *const keys[] = {
        [CAPTURE_TOO_OLD] = "capture.keep_ms",
        [CAPTURE_TOO_LARGE] = "capture.keep_bytes",
        [CAPTURE_TOO_MANY] = "capture.rotate_ms or capture.rotate_bytes: too many files",
    };
    const struct journal *journal = payload;
    log_fact(LOG_INFO, "capture_removed", "partition", log_number(journal->config.partition),
             "file", name, "bytes", log_number(bytes), "key", keys[excess], NULL);
}

void journal_remove_old(struct journal *journal, const struct state *state)
{
    const struct journal_config *config = &journal->config;
    uint64_t now_ms = stream_ms(state);
    struct capture_keep keep = {.bytes = config->keep_bytes, .files = FILES_MAX};
    struct error error = {0};
    if (config->keep_ms > 0 && now_ms > config->keep_ms) {
        keep.before_ms = now_ms - config->keep_ms;
    }
    if (config->keep_bytes == 0 && config->keep_ms == 0) {
        return;
    }
    if (!audit_older_snapshot(journal->audit, &keep.ordinal, &error) ||
        !capture_remove_old(journal->capture_path, &keep, tell_removed, journal, &error)) {
        log_fact(LOG_WARNING, "capture_not_removed", "partition", log_number(config->partition),
                 "problem", error.message, NULL);
    }
}

bool journal_begin_prune(struct journal *journal, const struct state *state, struct error *error)
{
    uint64_t now_ms = stream_ms(state), keep_ms = journal->config.audit_keep_ms;
    if (keep_ms == 0 || now_ms <= keep_ms) {
        return true;
    }
    char text[sizeof("@") + NUMBER_TEXT_SIZE];
    snprintf(text, sizeof(text), "@%" PRIu64, now_ms - keep_ms);
    struct audit_prune_place place = {
        .stream_id = {now_ms - keep_ms, 0}, .ordinal = UINT64_MAX, .text = span_of(text)};
    struct audit_prune_plan plan;
    if (!audit_prune_begin(journal->audit, &place, &plan, error)) {
        return false;
    }
    journal->is_pruning = plan.rows > 0;
    if (journal->is_pruning) {
        log_fact(LOG_INFO, "audit_pruned", "partition", log_number(journal->config.partition),
                 "before", text, "decisions", log_number(plan.rows), NULL);
    }
    return true;
}

bool journal_step_prune(struct journal *journal, bool is_caught_up, struct error *error)
{
    struct audit_prune_counts counts = {0};
    bool is_done = true;
    if (journal->is_pruning && is_caught_up && !journal->is_refolding) {
        if (!audit_prune_step(journal->audit, &is_done, &counts, error)) {
            return false;
        }
        journal->is_pruning = !is_done;
    }
    return true;
}
