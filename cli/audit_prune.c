/* SPDX-License-Identifier: MIT
 * `salvor audit prune --before PLACE DB`: removes the oldest rows, beside the process that writes.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/audit_parts.h"
#include "cli/interrupt.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "store/audit_prune.h"

/* The other process must get in between two steps: we pause as long as the step took. */
#define PAUSE_MS_MIN 10
#define PAUSE_MS_MAX 1000
#define BUSY_MAX     15 /* times that the file was held for as long as SQLite waits, in a row */
#define VACUUM_PAGES 1000

enum { BEFORE, JSON };

static const struct option_rule rules[] = {
    [BEFORE] = {.name = "--before", .value = "PLACE", .help = "remove what lies before (required)"},
    [JSON] = {.name = "--json", .help = "print one JSON object"},
};

static enum status prune(const struct options *options);

static void help_more(void)
{
    place_help();
    printf(
        "What a restart may need stays: rows behind the older of the two snapshots, and from the\n"
        "first effect without an outcome on.\n");
}

const struct verb verb_audit_prune = {
    .name = "audit prune",
    .arguments = "DB",
    .summary = "Remove the oldest decisions and all that belongs to them; the chain tells of it.",
    .argument_min = 1,
    .argument_max = 1,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = prune,
    .help_more = help_more,
};

static struct audit_prune_place place_before(const struct place *place, const char *text)
{
    struct audit_prune_place before = {
        .stream_id = {UINT64_MAX, UINT64_MAX},
        .ordinal = UINT64_MAX,
        .text = span_of(text),
    };
    if (place->kind == PLACE_ORDINAL) {
        before.ordinal = place->ordinal;
    } else if (place->kind == PLACE_ID) {
        before.stream_id = place->id;
    } else {
        before.stream_id = (struct stream_id){place->time_ms, 0};
    }
    return before;
}

/* One prune, as it goes on. */
struct work {
    struct audit *audit;
    struct audit_prune_plan plan;
    struct audit_prune_counts counts;
    uint32_t busy_count;
};

/* True: the file was only held by somebody else for a while, and the step is to be tried again. */
static bool may_try_again(struct work *work, const struct error *error)
{
    return error->code == ERROR_BUSY && ++work->busy_count < BUSY_MAX;
}

static void pause_for(uint64_t used_ms)
{
    uint64_t pause_ms = used_ms < PAUSE_MS_MIN ? PAUSE_MS_MIN : used_ms;
    poll(NULL, 0, (int)(pause_ms < PAUSE_MS_MAX ? pause_ms : PAUSE_MS_MAX));
}

typedef bool (*step_fn)(struct work *work, bool *is_done, struct error *error);

static bool remove_rows(struct work *work, bool *is_done, struct error *error)
{
    return audit_prune_step(work->audit, is_done, &work->counts, error);
}

static bool give_back(struct work *work, bool *is_done, struct error *error)
{
    return audit_give_back(work->audit, VACUUM_PAGES, is_done, error);
}

static bool run_steps(struct work *work, step_fn step, struct error *error)
{
    struct progress progress = progress_begin("prune", work->plan.rows);
    progress.unit = "decisions";
    bool is_done = false, is_fine = true;
    while (is_fine && !is_done) {
        uint64_t begun_ms = clock_boot_ms();
        *error = (struct error){0};
        is_fine = step(work, &is_done, error);
        if (is_fine) {
            work->busy_count = 0;
        } else {
            is_fine = may_try_again(work, error);
        }
        progress_step(&progress, work->counts.decisions);
        if (is_fine && !is_done && interrupt_is_asked()) {
            is_fine = error_set(error, ERROR_STOPPED,
                                "asked to stop: %" PRIu64 " of %" PRIu64
                                " decisions are removed, the next prune goes on",
                                work->counts.decisions, work->plan.rows);
        } else if (is_fine && !is_done) {
            pause_for(clock_boot_ms() - begun_ms);
        }
    }
    progress_end(&progress);
    return is_fine;
}

static const char *const limit_texts[] = {
    [AUDIT_PRUNE_SNAPSHOT] = "a restart may need them: the older snapshot stands before",
    [AUDIT_PRUNE_OPEN_EFFECT] = "an effect of the first has no outcome yet",
};

static void print_text(const struct work *work, const char *path)
{
    printf("%s: %" PRIu64 " decisions and %" PRIu64 " effects removed\n", path,
           work->counts.decisions, work->counts.effects);
    if (work->plan.limit == AUDIT_PRUNE_SNAPSHOT && work->plan.kept_ordinal == 0) {
        printf("kept: all others; there is no snapshot yet, so a restart may need them\n");
    } else if (work->plan.limit != AUDIT_PRUNE_AS_ASKED) {
        printf("kept: those from ordinal %" PRIu64 " on; %s\n", work->plan.kept_ordinal,
               limit_texts[work->plan.limit]);
    }
}

static void print_json(const struct work *work)
{
    static const char *const words[] = {
        [AUDIT_PRUNE_AS_ASKED] = "",
        [AUDIT_PRUNE_SNAPSHOT] = "snapshot",
        [AUDIT_PRUNE_OPEN_EFFECT] = "open_effect",
    };
    struct buffer out = {0};
    buffer_put_byte(&out, '{');
    json_put_number(&out, "decisions", work->counts.decisions);
    json_put_number(&out, "effects", work->counts.effects);
    json_put_number(&out, "through_seq", work->plan.through_seq);
    json_put_text(&out, "kept_for", span_of(words[work->plan.limit]));
    json_put_number(&out, "kept_ordinal", work->plan.kept_ordinal);
    buffer_put_text(&out, "}\n");
    fwrite(out.data, 1, out.size, stdout);
    buffer_fini(&out);
}

static bool begin(struct work *work, const struct audit_prune_place *before, struct error *error)
{
    bool is_begun = false;
    do {
        *error = (struct error){0};
        is_begun = audit_prune_begin(work->audit, before, &work->plan, error);
    } while (!is_begun && may_try_again(work, error));
    return is_begun;
}

static enum status prune(const struct options *options)
{
    struct place place;
    if (!options_place(&verb_audit_prune, options, BEFORE, &place)) {
        return STATUS_USAGE;
    }
    if (place.kind == PLACE_NONE) {
        fprintf(stderr, "salvor audit prune: needs --before PLACE\n");
        return STATUS_USAGE;
    }
    struct audit_prune_place before = place_before(&place, options->value[BEFORE]);
    struct error error = {0};
    struct work work = {
        .audit = audit_open(options->arguments[0], AUDIT_PRUNE, AUDIT_ANY_PARTITION, &error)};
    if (work.audit == NULL) {
        return verb_fail(&verb_audit_prune, &error);
    }
    interrupt_catch();
    bool is_fine = begin(&work, &before, &error) && run_steps(&work, remove_rows, &error) &&
                   run_steps(&work, give_back, &error);
    if (is_fine && options->value[JSON] != NULL) {
        print_json(&work);
    } else if (is_fine) {
        print_text(&work, options->arguments[0]);
    }
    audit_close(work.audit);
    return is_fine ? STATUS_FINE : verb_fail(&verb_audit_prune, &error);
}
