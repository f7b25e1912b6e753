/* SPDX-License-Identifier: MIT
 * `salvor why JOB`: a job's story. */
#include <stdio.h>

#include "cli/verb.h"
#include "replay/why.h"

enum { AUDIT, CAPTURE, JSON };

static const struct option_rule rules[] = {
    [AUDIT] = {.name = "--audit", .value = "DB", .help = "the audit database (required)"},
    [CAPTURE] = {.name = "--capture",
                 .value = "FILE|DIR",
                 .help = "tell the events too, from this capture"},
    [JSON] = {.name = "--json", .help = "print one JSON object"},
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
};

static enum status why_verb(const struct options *options)
{
    if (options->value[AUDIT] == NULL) {
        fprintf(stderr, "salvor why: needs --audit DB\n");
        return STATUS_USAGE;
    }
    struct why_config config = {
        .job = span_of(options->arguments[0]),
        .audit = options->value[AUDIT],
        .capture = options->value[CAPTURE],
        .is_json = options->value[JSON] != NULL,
    };
    struct buffer story = {0};
    struct error error = {0};
    bool is_known = false;
    enum status status = STATUS_FINE;
    if (!why_tell(&config, &story, &is_known, &error)) {
        status = verb_fail(&verb_why, &error);
    } else if (!is_known) {
        fprintf(stderr, "salvor why: no decision%s names the job \"%s\"\n",
                config.capture != NULL ? " and no event" : "", options->arguments[0]);
        status = STATUS_DIFFERENT;
    } else {
        fwrite(story.data, 1, story.size, stdout);
    }
    buffer_fini(&story);
    return status;
}
