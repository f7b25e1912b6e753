/* SPDX-License-Identifier: MIT
 * The input is a scenario file. Whatever it holds, it is played or refused with its line; the work
 * is bounded by the number of entries. */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "reducers/state.h"
#include "replay/scenario.h"

#define ENTRIES_MAX 64

static void keep_rows(struct scenario *scenario)
{
    scenario_put_rows(scenario->user, &scenario->output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct span events = SPAN_NONE, wanted = SPAN_NONE;
    struct buffer rows = {0};
    struct error error = {0};
    struct scenario scenario;
    scenario_init(&scenario, "input", keep_rows);
    scenario.user = &rows;
    scenario.entry_max = ENTRIES_MAX;
    if (scenario_play(&scenario, text, &events, &wanted, &error)) {
        CHECK(events.size + wanted.size <= size);
    } else {
        CHECK(error.code == ERROR_USAGE && scenario.line > 0);
    }
    CHECK(scenario.entry_count <= ENTRIES_MAX);
    CHECK(state_summary(scenario.state).ordinal == scenario.entry_count);
    scenario_fini(&scenario);
    buffer_fini(&rows);
    return 0;
}
