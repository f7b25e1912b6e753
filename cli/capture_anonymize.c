/* SPDX-License-Identifier: MIT
 * `salvor capture anonymize FILE|DIR --out DIR`: a capture that can be given to strangers. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/capture_parts.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "replay/anonymize.h"
#include "store/capture.h"

#define KEY_SIZE_RANDOM 32
#define KEY_SIZE_MAX    65536

enum { OUT, KEY, JSON };

static const struct option_rule rules[] = {
    [OUT] = {.name = "--out", .value = "DIR", .help = "where to; new, or empty (required)"},
    [KEY] = {.name = "--key",
             .value = "FILE",
             .help = "its bytes choose the names, 16 and more: the same in every capture"},
    [JSON] = {.name = "--json", .help = "print one JSON object"},
};

static enum status anonymize_verb(const struct options *options);
static void help_more(void);

const struct verb verb_capture_anonymize = {
    .name = "capture anonymize",
    .arguments = "FILE|DIR",
    .summary = "Write a capture under other names, without payloads, and prove its decisions.",
    .argument_min = 1,
    .argument_max = 1,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = anonymize_verb,
    .help_more = help_more,
};

static void help_more(void)
{
    printf(
        "\nIds of jobs, workers, machines, workflows, claims, tags, jobs at services, owners,\n"
        "operators and producers get other names, and so do services whose names are not made of\n"
        "a-z, 0-9, _ and -. Times, numbers, policies and the protocol's own words stay.\n"
        "Results, errors, reasons, urls, traces and every other text are dropped. The original\n"
        "and what was written are folded side by side before DIR gets its name. Every id is\n"
        "kept in memory: about 300 bytes each.\n"
        "Keep the key to yourself: who has it can tell whether an id is in the capture.\n");
}

/* The file's bytes, behind those of `key`. */
static bool read_key(const char *path, struct buffer *key, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set(error, ERROR_USAGE, "--key %s: %s", path, strerror(errno));
    }
    ssize_t got = 1;
    while (got > 0 && key->size <= KEY_SIZE_MAX) {
        got = read(fd, buffer_reserve(key, KEY_SIZE_MAX), KEY_SIZE_MAX);
        key->size += got > 0 ? (size_t)got : 0;
    }
    bool is_read = got >= 0 || error_set(error, ERROR_USAGE, "--key %s: %s", path, strerror(errno));
    close(fd);
    if (is_read && (key->size < ANONYMIZE_KEY_MIN || key->size > KEY_SIZE_MAX)) {
        return error_set(error, ERROR_USAGE, "--key %s: %s bytes than allowed; allowed: %d to %d",
                         path, key->size > KEY_SIZE_MAX ? "more" : "fewer", ANONYMIZE_KEY_MIN,
                         KEY_SIZE_MAX);
    }
    return is_read;
}

/* For this run alone; nobody keeps it. */
static bool make_key(struct buffer *key, struct error *error)
{
    char *bytes = buffer_reserve(key, KEY_SIZE_RANDOM);
    if (getrandom(bytes, KEY_SIZE_RANDOM, 0) != KEY_SIZE_RANDOM) {
        return error_set(error, ERROR_IO, "getrandom: %s", strerror(errno));
    }
    key->size += KEY_SIZE_RANDOM;
    return true;
}

static bool step(void *payload, uint64_t passed)
{
    progress_step(payload, passed);
    return !interrupt_is_asked();
}

static void print_text(const char *out, const struct anonymize_report *report)
{
    printf("%s: %" PRIu64 " entries, %" PRIu64 " ids renamed\n", out, report->entries, report->ids);
    if (report->undecodable > 0) {
        printf("nothing kept of %" PRIu64 " entries that are no event or of no known type\n",
               report->undecodable);
    }
    if (report->is_torn) {
        printf("torn: the capture ends in an incomplete frame, which was left out\n");
    }
    printf("proved: folded side by side, all %" PRIu64
           " decisions and the state at the end are the same but for names\n",
           report->decisions);
}

static void print_json(const struct anonymize_report *report)
{
    struct buffer out = {0};
    buffer_put_byte(&out, '{');
    json_put_number(&out, "entries", report->entries);
    json_put_number(&out, "ids", report->ids);
    json_put_number(&out, "undecodable", report->undecodable);
    json_put_number(&out, "decisions", report->decisions);
    json_put_truth(&out, "torn", report->is_torn);
    buffer_put_text(&out, "}\n");
    fwrite(out.data, 1, out.size, stdout);
    buffer_fini(&out);
}

/* Each entry is passed twice: written, then proved. */
static uint64_t total_of(const char *path)
{
    struct capture_range range = {0};
    struct error unused = {0}; /* what is damaged is told by reading it */
    return capture_range(path, &range, &unused) ? 2 * range.entries : 0;
}

static enum status anonymize_verb(const struct options *options)
{
    if (options->value[OUT] == NULL) {
        fprintf(stderr, "salvor capture anonymize: needs --out DIR\n");
        return STATUS_USAGE;
    }
    struct error error = {0};
    struct buffer key = {0};
    struct anonymize_report report = {0};
    bool is_fine = options->value[KEY] != NULL ? read_key(options->value[KEY], &key, &error)
                                               : make_key(&key, &error);
    if (is_fine) {
        struct progress progress = progress_begin("anonymize", total_of(options->arguments[0]));
        struct anonymize_config config = {
            .capture = options->arguments[0],
            .out = options->value[OUT],
            .key = buffer_span(&key),
            .step = step,
            .payload = &progress,
        };
        interrupt_catch();
        is_fine = anonymize_run(&config, &report, &error);
        progress_end(&progress);
    }
    buffer_fini(&key);
    if (!is_fine) {
        return verb_fail(&verb_capture_anonymize, &error);
    }
    if (options->value[JSON] != NULL) {
        print_json(&report);
    } else {
        print_text(options->value[OUT], &report);
    }
    return STATUS_FINE;
}
