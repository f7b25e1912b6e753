/* SPDX-License-Identifier: MIT
 * Runs scenario files: events above a line "----", the rows they must give below it.
 *
 *   scenario FILE…            compares, prints the differences; exit 1 when there are any
 *   scenario --rewrite FILE…  writes what was given below the line
 *
 * tests/lib/scenario_play.h tells what a line above may be. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "tests/lib/scenario_play.h"

static void print_rows(struct scenario *scenario)
{
    struct fold_output *output = &scenario->output;
    struct buffer *rows = scenario->user;
    for (uint32_t i = 0; i < output->decision_count; i++) {
        const struct decision *decision = &output->decisions[i];
        buffer_put_span(rows, decision->id);
        buffer_put_byte(rows, ' ');
        buffer_put_text(rows, action_text(decision->action));
        buffer_put_byte(rows, ' ');
        buffer_put_text(rows, reason_code(decision->reason));
        const struct {
            const char *name;
            struct span value;
        } texts[] = {{" job=", decision->job},
                     {" worker=", decision->worker},
                     {" service=", decision->service},
                     {" trace=", decision->trace}};
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
            if (texts[k].value.size > 0) {
                buffer_put_text(rows, texts[k].name);
                buffer_put_span(rows, texts[k].value);
            }
        }
        if (decision->attempt > 0) {
            buffer_put_text(rows, " attempt=");
            buffer_put_decimal(rows, decision->attempt);
        }
        buffer_put_text(rows, span_is(decision->mode, "observe") ? " observe\n    " : "\n    ");
        buffer_put_span(rows, decision->evidence);
        buffer_put_byte(rows, '\n');
    }
    for (uint32_t i = 0; i < output->change_count; i++) {
        const struct effect_change *change = &output->changes[i];
        bool is_request = change->decision.size > 0;
        buffer_put_text(rows, is_request ? "  effect " : "  settled ");
        buffer_put_span(rows, change->id);
        buffer_put_byte(rows, ' ');
        buffer_put_text(rows, effect_kind_text(change->kind));
        if (is_request) {
            buffer_put_byte(rows, ' ');
            buffer_put_span(rows, change->target);
        }
        if (change->outcome != OUTCOME_NONE) {
            buffer_put_byte(rows, ' ');
            buffer_put_text(rows, effect_outcome_text(change->outcome));
        }
        buffer_put_byte(rows, '\n');
    }
}

static void rewrite(const char *path, struct span events, struct span rows)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    fprintf(file, "%.*s----\n%.*s", SPAN_FORMAT(events), SPAN_FORMAT(rows));
    CHECK(fclose(file) == 0);
}

static bool compare(const char *path, struct span wanted, struct span given)
{
    if (span_equal(wanted, given)) {
        return true;
    }
    printf("%s: the rows differ\n", path);
    for (int line = 1; wanted.size > 0 || given.size > 0; line++) {
        struct span want = span_cut(&wanted, '\n');
        struct span give = span_cut(&given, '\n');
        if (!span_equal(want, give)) {
            printf("  row line %d\n    wanted %.*s\n    given  %.*s\n", line, SPAN_FORMAT(want),
                   SPAN_FORMAT(give));
            break;
        }
    }
    return false;
}

static bool run_file(const char *path, bool is_rewrite)
{
    struct buffer text = {0};
    struct buffer rows = {0};
    struct scenario scenario;
    scenario_read_file(path, &text);
    scenario_init(&scenario, path, print_rows);
    scenario.user = &rows;
    struct span rest = buffer_span(&text);
    struct span line = SPAN_NONE;
    while (rest.data != NULL && rest.size > 0) {
        line = span_cut(&rest, '\n');
        scenario.line++;
        if (span_is(line, "----")) {
            break;
        }
        if (line.size > 0 && line.data[0] != '#') {
            scenario_run_line(&scenario, line);
        }
    }
    bool is_equal = true;
    if (is_rewrite) {
        size_t events_size = span_is(line, "----") ? (size_t)(line.data - text.data) : text.size;
        rewrite(path, (struct span){text.data, events_size}, buffer_span(&rows));
    } else {
        is_equal = compare(path, rest, buffer_span(&rows));
    }
    scenario_fini(&scenario);
    buffer_fini(&rows);
    buffer_fini(&text);
    return is_equal;
}

int main(int count, char **arguments)
{
    bool is_rewrite = count > 1 && strcmp(arguments[1], "--rewrite") == 0;
    int differences = 0;
    for (int i = is_rewrite ? 2 : 1; i < count; i++) {
        differences += run_file(arguments[i], is_rewrite) ? 0 : 1;
    }
    if (!is_rewrite) {
        printf("%d scenarios, %d differ\n", count - 1, differences);
    }
    return differences == 0 ? 0 : 1;
}
