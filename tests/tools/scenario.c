/* SPDX-License-Identifier: MIT
 * Runs scenario files: events above a line "----", the rows they must give below it.
 *
 *   scenario FILE…            compares, prints the differences; exit 1 when there are any
 *   scenario --rewrite FILE…  writes what was given below the line
 *
 * replay/scenario.h tells what a line above may be. What cannot be played ends the program with 2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "replay/scenario.h"

static void keep_rows(struct scenario *scenario)
{
    scenario_put_rows(scenario->user, &scenario->output);
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
    struct error error = {0};
    struct scenario scenario;
    struct span events, wanted;
    scenario_init(&scenario, path, keep_rows);
    scenario.user = &rows;
    scenario.restarts = true;
    if (!scenario_read_file(path, &text, &error) ||
        !scenario_play(&scenario, buffer_span(&text), &events, &wanted, &error)) {
        fprintf(stderr, "%s\n", error.message);
        exit(2);
    }
    bool is_equal = true;
    if (is_rewrite) {
        rewrite(path, events, buffer_span(&rows));
    } else {
        is_equal = compare(path, wanted, buffer_span(&rows));
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
