/* SPDX-License-Identifier: MIT
 * `salvor why JOB`: a job's story, or how it stood at one moment of it. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/color.h"
#include "cli/config.h"
#include "cli/interrupt.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "replay/why.h"
#include "store/capture.h"

#define PATH_SIZE 1024

extern char **environ;

enum { AUDIT, CAPTURE, CONFIG, AT, COLOR, JSON };

static const struct option_rule rules[] = {
    [AUDIT] = {.name = "--audit", .value = "DB", .help = "tell the decisions from this audit"},
    [CAPTURE] = {.name = "--capture",
                 .value = "FILE|DIR",
                 .help = "tell the events too, and without --audit the decisions, from this one"},
    [CONFIG] = {.name = "--config",
                .brief = "-c",
                .value = "FILE",
                .help = "without both: those in the data directory that it names (salvor.yaml)"},
    [AT] = {.name = "--at", .value = "PLACE", .help = "how the job stood then"},
    [COLOR] = COLOR_OPTION,
    [JSON] = {.name = "--json", .help = "print JSON: one object a partition"},
};

static enum status why_verb(const struct options *options);

const struct verb verb_why = {
    .name = "why",
    .arguments = "JOB",
    .summary = "Tell what happened to a job, what was decided about it, and why.",
    .argument_min = 1,
    .argument_max = 1,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = why_verb,
    .help_more = place_help,
};

/* --- one partition after the other --- */

struct asking {
    struct why_config why;
    struct progress progress;
    struct buffer near;   /* ids that come near, one a line */
    struct buffer unread; /* why it may have been known before */
    uint32_t told_count, looked_count;
};

static bool step(void *payload, uint64_t entries)
{
    struct asking *asking = payload;
    progress_step(&asking->progress, entries);
    return !interrupt_is_asked();
}

/* For the progress alone: what is wrong with the capture is told when it is read. */
static uint64_t entries_of(const char *capture)
{
    struct capture_range range = {0};
    struct error error = {0};
    return capture != NULL && capture_range(capture, &range, &error) ? range.entries : 0;
}

static enum status tell(struct asking *asking)
{
    struct buffer story = {0};
    struct error error = {0};
    bool is_known = false;
    enum status status = STATUS_FINE;
    asking->looked_count++;
    asking->progress = progress_begin("why", entries_of(asking->why.capture));
    buffer_reset(&asking->unread);
    bool is_told = why_tell(&asking->why, &story, &asking->near, &is_known, &error);
    progress_end(&asking->progress);
    if (!is_told) {
        status = verb_fail(&verb_why, &error);
    } else if (is_known) {
        asking->told_count++;
        fwrite(story.data, 1, story.size, stdout);
    }
    buffer_fini(&story);
    return status;
}

/* DATA's audit and capture of a partition, as far as they are there. */
static enum status tell_partition(struct asking *asking, const char *data, uint64_t partition)
{
    char audit[PATH_SIZE], capture[PATH_SIZE];
    int audit_size = snprintf(audit, sizeof(audit), "%s/audit-%" PRIu64 ".db", data, partition);
    int capture_size = snprintf(capture, sizeof(capture), "%s/capture-%" PRIu64, data, partition);
    if (audit_size >= PATH_SIZE || capture_size >= PATH_SIZE) {
        fprintf(stderr, "salvor why: %s: the path is too long\n", data);
        return STATUS_FAILED;
    }
    asking->why.audit = access(audit, F_OK) == 0 ? audit : NULL;
    asking->why.capture = access(capture, F_OK) == 0 ? capture : NULL;
    if (asking->why.audit == NULL && asking->why.capture == NULL) {
        return STATUS_FINE;
    }
    return tell(asking);
}

static enum status tell_data(struct asking *asking, const char *file)
{
    struct config config;
    enum status status = STATUS_FINE;
    if (!config_load(&config, file, environ)) {
        fwrite(config.problems.data, 1, config.problems.size, stderr);
        status = STATUS_USAGE;
    }
    for (uint64_t i = 0; status == STATUS_FINE && i < config.partitions; i++) {
        status = tell_partition(asking, config.data, i);
    }
    if (status == STATUS_FINE && asking->looked_count == 0) {
        fprintf(stderr,
                "salvor why: needs --audit DB, --capture FILE|DIR or a configuration whose data "
                "directory holds them (-c FILE, or salvor.yaml here): nothing is in \"%s\"\n",
                config.data);
        status = STATUS_USAGE;
    }
    config_fini(&config);
    return status;
}

static void tell_near(const struct asking *asking, const char *job)
{
    fprintf(stderr, "salvor why: no decision%s names the job \"%s\"%s",
            asking->why.capture != NULL ? " and no event" : "", job,
            asking->why.at.kind != PLACE_NONE ? " up to then" : "");
    if (asking->unread.size > 0) {
        fprintf(stderr, " in what was read: %.*s", SPAN_FORMAT(buffer_span(&asking->unread)));
    }
    struct span rest = buffer_span(&asking->near);
    const char *before = "; known are:";
    while (rest.size > 0) {
        struct span id = span_cut(&rest, '\n');
        fprintf(stderr, "%s %.*s", before, SPAN_FORMAT(id));
        before = "";
    }
    fputc('\n', stderr);
}

static enum status why_verb(const struct options *options)
{
    struct asking asking = {
        .why =
            {
                .job = span_of(options->arguments[0]),
                .audit = options->value[AUDIT],
                .capture = options->value[CAPTURE],
                .is_json = options->value[JSON] != NULL,
                .palette = options_palette(&verb_why, options, COLOR),
                .unread = &asking.unread,
                .step = step,
                .payload = &asking,
            },
    };
    bool is_given = asking.why.audit != NULL || asking.why.capture != NULL;
    if (asking.why.palette == NULL || !options_place(&verb_why, options, AT, &asking.why.at)) {
        return STATUS_USAGE;
    }
    if (asking.why.at.kind == PLACE_ORDINAL && is_given && asking.why.capture == NULL) {
        fprintf(stderr, "salvor why: --at %s: an ordinal needs --capture FILE|DIR\n",
                options->value[AT]);
        return STATUS_USAGE;
    }
    interrupt_catch();
    enum status status = is_given ? tell(&asking) : tell_data(&asking, options->value[CONFIG]);
    if (status == STATUS_FINE && asking.told_count == 0) {
        tell_near(&asking, options->arguments[0]);
        status = STATUS_DIFFERENT;
    }
    buffer_fini(&asking.near);
    buffer_fini(&asking.unread);
    return status;
}
