/* SPDX-License-Identifier: MIT
 * `salvor diff A B`: where two captures, or two audits, part, and by how much. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/diff_report.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/verb.h"

#define DATABASE_MARK "SQLite format 3"

enum { JSON };

static const struct option_rule rules[] = {
    [JSON] = {.name = "--json", .help = "print one JSON object"},
};

static enum status diff_verb(const struct options *options);

const struct verb verb_diff = {
    .name = "diff",
    .arguments = "A B",
    .summary = "Compare two captures, or two audit databases: where they part, and by how much.",
    .argument_min = 2,
    .argument_max = 2,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = diff_verb,
};

static bool step(void *payload, uint64_t done)
{
    progress_step(payload, done);
    return !interrupt_is_asked();
}

/* Whatever else it is, the reader of captures says. */
static bool is_database(const char *path)
{
    char bytes[sizeof(DATABASE_MARK)] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_read = fd >= 0 && read(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes);
    if (fd >= 0) {
        close(fd);
    }
    return is_read && memcmp(bytes, DATABASE_MARK, sizeof(DATABASE_MARK)) == 0;
}

static enum status status_of(bool is_interrupted, bool is_equal, bool has_compared)
{
    if (is_interrupted) {
        return STATUS_FAILED;
    }
    if (!is_equal) {
        return STATUS_DIFFERENT;
    }
    return has_compared ? STATUS_FINE : STATUS_USAGE;
}

static enum status diff_captures(const struct diff_config *config, bool is_json)
{
    struct diff_captures diff = {0};
    struct error error = {0};
    enum status status;
    if (diff_captures_run(config, &diff, &error)) {
        progress_end(config->payload);
        diff_report_captures(config, &diff, is_json);
        status = status_of(diff.is_interrupted, diff_captures_are_equal(&diff),
                           diff_captures_overlap(&diff));
    } else {
        progress_end(config->payload);
        status = verb_fail(&verb_diff, &error);
    }
    diff_captures_fini(&diff);
    return status;
}

static enum status diff_audits(const struct diff_config *config, bool is_json)
{
    struct diff_audits diff = {0};
    struct error error = {0};
    enum status status;
    if (diff_audits_run(config, &diff, &error)) {
        progress_end(config->payload);
        diff_report_audits(config, &diff, is_json);
        status = status_of(diff.is_interrupted, diff_audits_are_equal(&diff),
                           diff_audits_overlap(&diff));
    } else {
        progress_end(config->payload);
        status = verb_fail(&verb_diff, &error);
    }
    diff_audits_fini(&diff);
    return status;
}

static enum status diff_verb(const struct options *options)
{
    const char *a = options->arguments[0], *b = options->arguments[1];
    bool is_json = options->value[JSON] != NULL;
    struct progress progress = progress_begin("diff", 0);
    struct diff_config config = {.path = {a, b}, .step = step, .payload = &progress};
    if (is_database(a) != is_database(b)) {
        const char *audit = is_database(a) ? a : b, *capture = is_database(a) ? b : a;
        fprintf(stderr,
                "salvor diff: %s is an audit database and the other is none: "
                "salvor replay %s --audit %s\n",
                audit, capture, audit);
        return STATUS_USAGE;
    }
    interrupt_catch();
    return is_database(a) ? diff_audits(&config, is_json) : diff_captures(&config, is_json);
}
