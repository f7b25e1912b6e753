/* SPDX-License-Identifier: MIT
 * Plays situations under both presets and prints what each decides, as a table in Markdown.
 *
 *   situations FILE…               prints the table
 *   situations --into PAGE FILE…   puts it between PAGE's lines "<!-- table: begin -->" and "… end
 * -->"
 *
 * A situation is a scenario without rows (replay/scenario.h) about the job `j1` and its
 * worker `w1`; its name, behind a number that gives its place, is the sentence that the table
 * shows. Its `policy` line leaves the preset open. So that both presets can meet the same world,
 * what comes back from outside is told beforehand: tests/lib/standing_replies.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/lib/standing_replies.h"

#define ROUND_MAX 3 /* steps that are told once and counted */
#define STEPS_MAX 64
#define BEGIN     "<!-- table: begin -->\n"
#define END       "<!-- table: end -->\n"

struct story {
    struct standing_replies replies;
    struct span steps[STEPS_MAX]; /* what was decided, in order */
    struct span reason;           /* of the last step */
    struct span cancel_came_to;   /* by the last evidence that tells it */
    uint32_t step_count;
    bool is_duplicate, is_observed;
    struct arena arena;
};

static void fail_unless(bool is_done, const struct error *error)
{
    if (!is_done) {
        fprintf(stderr, "%s\n", error->message);
        exit(2);
    }
}

static struct span keep_text(struct story *story, const char *text, const char *more)
{
    struct buffer buffer = {0};
    buffer_put_text(&buffer, text);
    buffer_put_text(&buffer, more);
    struct span kept = arena_copy(&story->arena, buffer_span(&buffer));
    buffer_fini(&buffer);
    return kept;
}

/* The text behind `key` in an evidence, up to the next quote; empty when it is not there. */
static struct span evidence_text(struct span evidence, const char *key)
{
    struct span wanted = span_of(key);
    for (; evidence.size >= wanted.size; evidence.data++, evidence.size--) {
        if (memcmp(evidence.data, wanted.data, wanted.size) == 0) {
            evidence.data += wanted.size;
            evidence.size -= wanted.size;
            return span_cut(&evidence, '"');
        }
    }
    return SPAN_NONE;
}

static void note_rows(struct scenario *scenario)
{
    struct story *story = scenario->user;
    const struct fold_output *output = &scenario->output;
    for (uint32_t i = 0; i < output->decision_count; i++) {
        const struct decision *decision = &output->decisions[i];
        bool is_of_fleet = decision->job.size == 0 && decision->worker.size == 0;
        bool is_of_worker = decision->job.size == 0 && span_is(decision->worker, "w1");
        if (!is_of_fleet && !is_of_worker && !span_is(decision->job, "j1")) {
            continue;
        }
        CHECK(story->step_count < STEPS_MAX);
        story->steps[story->step_count++] =
            keep_text(story, action_text(decision->action), is_of_fleet ? " all" : "");
        story->reason = span_of(reason_code(decision->reason));
        struct span cancel = evidence_text(decision->evidence, "\"cancel\":\"");
        if (cancel.size > 0) {
            story->cancel_came_to = arena_copy(&story->arena, cancel);
        }
        story->is_observed = span_is(decision->mode, "observe");
        story->is_duplicate =
            story->is_duplicate ||
            evidence_text(decision->evidence, "\"possible_duplicate\":1").data != NULL;
    }
}

static void on_rows(struct scenario *scenario)
{
    struct story *story = scenario->user;
    note_rows(scenario);
    standing_replies_give(&story->replies, scenario);
}

/* How often the `size` steps at `place` stand there in a row. */
static uint32_t repeats(const struct story *story, uint32_t place, uint32_t size)
{
    uint32_t count = 1;
    for (;; count++) {
        uint32_t next = place + count * size;
        for (uint32_t i = 0; i < size; i++) {
            if (next + i >= story->step_count ||
                !span_equal(story->steps[place + i], story->steps[next + i])) {
                return count;
            }
        }
    }
}

static void put_steps(struct buffer *cell, const struct story *story)
{
    for (uint32_t place = 0; place < story->step_count;) {
        uint32_t size = 1;
        while (size < ROUND_MAX && repeats(story, place, size) == 1) {
            size++;
        }
        uint32_t count = repeats(story, place, size);
        size = count > 1 ? size : 1;
        buffer_put_text(cell, place == 0 ? "" : " → ");
        buffer_put_text(cell, size > 1 ? "(" : "");
        for (uint32_t i = 0; i < size; i++) {
            buffer_put_text(cell, i == 0 ? "" : " → ");
            buffer_put_span(cell, story->steps[place + i]);
        }
        buffer_put_text(cell, size > 1 ? ")" : "");
        if (count > 1) {
            buffer_put_text(cell, " × ");
            buffer_put_decimal(cell, count);
        }
        place += size * count;
    }
}

/* "ask → wait → requeue (`service_running`), possible duplicate" */
static void put_cell(struct buffer *table, const char *path, struct span text,
                     enum policy_preset preset)
{
    struct story story = {.replies = standing_replies_init()};
    struct scenario scenario;
    scenario_init(&scenario, path, on_rows);
    scenario.user = &story;
    scenario.restarts = true;
    scenario.preset = preset;
    while (text.size > 0) {
        struct span line = span_cut(&text, '\n');
        scenario.line++;
        if (line.size > 0 && line.data[0] != '#') {
            standing_replies_line(&story.replies, &scenario, line);
        }
    }
    put_steps(table, &story);
    buffer_put_text(table, story.step_count == 0 ? "nothing" : " (`");
    if (story.step_count > 0) {
        buffer_put_span(table, story.reason);
        buffer_put_text(table, "`)");
    }
    if (story.cancel_came_to.size > 0) {
        buffer_put_text(table, ", cancel ");
        buffer_put_span(table, story.cancel_came_to);
    }
    buffer_put_text(table, story.is_duplicate ? ", possible duplicate" : "");
    buffer_put_text(table, story.is_observed ? ", only observed" : "");
    scenario_fini(&scenario);
    arena_fini(&story.arena);
}

/* "tests/situations/110_a_worker_is_lost.txt" gives "a worker is lost". */
static void put_sentence(struct buffer *table, const char *path)
{
    const char *name = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
    for (name += strspn(name, "0123456789_"); *name != '\0' && *name != '.'; name++) {
        buffer_put_byte(table, *name == '_' ? ' ' : (uint8_t)*name);
    }
}

static void put_row(struct buffer *table, const char *path)
{
    struct buffer text = {0};
    struct error error = {0};
    fail_unless(scenario_read_file(path, &text, &error), &error);
    buffer_put_text(table, "| [");
    put_sentence(table, path);
    buffer_put_text(table, "](../");
    buffer_put_text(table, path);
    buffer_put_text(table, ") | ");
    put_cell(table, path, buffer_span(&text), PRESET_SAFE);
    buffer_put_text(table, " | ");
    put_cell(table, path, buffer_span(&text), PRESET_SEED);
    buffer_put_text(table, " |\n");
    buffer_fini(&text);
}

/* Puts the table between the two lines of the page; false when they are not there. */
static bool put_into(const char *path, struct span table)
{
    struct buffer page = {0};
    struct error error = {0};
    fail_unless(scenario_read_file(path, &page, &error), &error);
    buffer_put_byte(&page, '\0');
    const char *text = (const char *)page.data;
    const char *begin = strstr(text, BEGIN);
    const char *end = begin == NULL ? NULL : strstr(begin, END);
    bool is_there = end != NULL;
    FILE *file = is_there ? fopen(path, "wb") : NULL;
    if (file != NULL) {
        int head = (int)(begin - text) + (int)strlen(BEGIN);
        fprintf(file, "%.*s%.*s%s", head, text, SPAN_FORMAT(table), end);
        is_there = fclose(file) == 0;
    }
    buffer_fini(&page);
    return is_there && file != NULL;
}

int main(int count, char **arguments)
{
    bool has_page = count > 2 && strcmp(arguments[1], "--into") == 0;
    struct buffer table = {0};
    buffer_put_text(&table, "| situation | `safe` | `seed` |\n|---|---|---|\n");
    for (int i = has_page ? 3 : 1; i < count; i++) {
        put_row(&table, arguments[i]);
    }
    bool is_done = true;
    if (has_page) {
        is_done = put_into(arguments[2], buffer_span(&table));
    } else {
        printf("%.*s", SPAN_FORMAT(buffer_span(&table)));
    }
    if (!is_done) {
        fprintf(stderr, "%s: no place for the table, or it cannot be written\n", arguments[2]);
    }
    buffer_fini(&table);
    return is_done ? 0 : 1;
}
