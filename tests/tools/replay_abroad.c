/* SPDX-License-Identifier: MIT
 * `salvor replay` in a process that really is in the locale and time zone of its environment:
 * prints a line that proves both, then replays.
 *
 *   replay_abroad CAPTURE [--audit DB] [--batch N] [--decisions] */
#include <locale.h>
#include <stdio.h>
#include <time.h>

#include "cli/verb.h"

int main(int argc, char **argv)
{
    struct tm date = {0};
    time_t summer = 1751371200; /* 2025-07-01 12:00:00 UTC */
    if (setlocale(LC_ALL, "") == NULL || localtime_r(&summer, &date) == NULL) {
        fprintf(stderr, "replay_abroad: no such locale or time zone\n");
        return STATUS_FAILED;
    }
    printf("abroad: %.1f at %02d:%02d\n", 1.5, date.tm_hour, date.tm_min);
    struct options options;
    if (!options_parse(&verb_replay, argc - 1, argv + 1, &options)) {
        return STATUS_USAGE;
    }
    enum status status = verb_replay.run(&options);
    return fflush(stdout) == 0 ? (int)status : (int)STATUS_FAILED;
}
