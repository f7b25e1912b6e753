/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define SHOW_MS   100
#define BAR_WIDTH 24

struct progress progress_begin(const char *what, uint64_t total)
{
    uint64_t now_ms = clock_boot_ms();
    return (struct progress){.what = what,
                             .unit = "entries",
                             .total = total,
                             .begun_ms = now_ms,
                             .shown_ms = now_ms,
                             .is_on = isatty(STDERR_FILENO) != 0};
}

static void show_share(const struct progress *progress, uint64_t done, uint64_t used_ms)
{
    uint64_t total = progress->total > done ? progress->total : done;
    int filled = (int)((double)done / (double)total * BAR_WIDTH);
    uint64_t left_ms = (uint64_t)((double)used_ms / (double)done * (double)(total - done));
    fprintf(stderr, " [%.*s%*s] %3d %%, %" PRIu64 ":%02" PRIu64 " left", filled,
            "########################", BAR_WIDTH - filled, "",
            (int)((double)done / (double)total * 100), left_ms / 60000, left_ms / 1000 % 60);
}

void progress_step(struct progress *progress, uint64_t done)
{
    if (!progress->is_on) {
        return;
    }
    uint64_t now_ms = clock_boot_ms(), used_ms = now_ms - progress->begun_ms;
    if (now_ms - progress->shown_ms < SHOW_MS || done == 0) {
        return;
    }
    progress->shown_ms = now_ms;
    progress->is_shown = true;
    fprintf(stderr, "\r%s: %" PRIu64 " %s, %" PRIu64 " a second", progress->what, done,
            progress->unit, done * 1000 / used_ms);
    if (progress->total > 0) {
        show_share(progress, done, used_ms);
    }
    fputs("\033[K", stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->is_shown) {
        fputs("\r\033[K", stderr);
        progress->is_shown = false;
    }
}
