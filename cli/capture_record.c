/* SPDX-License-Identifier: MIT
 * `salvor capture record`: a capture made from the stream in Redis, which is only read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/capture_parts.h"
#include "cli/config.h"
#include "cli/interrupt.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "replay/excerpt.h"
#include "replay/loop.h"
#include "stream/names.h"
#include "stream/range.h"

extern char **environ;

#define PARTITION_MAX   65535
#define ROTATE_BYTES    268435456
#define ROTATE_LEAST    4096
#define SETTLE_ENTRIES  500
#define PREFIX_SIZE_MAX 64

enum { REDIS, OUT, PARTITION, PREFIX, FROM, UNTIL, FOLLOW, ROTATE, CONFIG, JSON };

static const struct option_rule rules[] = {
    [REDIS] = {.name = "--redis", .value = "URL", .help = "Redis (that of the configuration)"},
    [OUT] = {.name = "--out", .value = "DIR", .help = "write here; holds no capture yet"},
    [PARTITION] = {.name = "--partition", .value = "P", .help = "partition to record (0)"},
    [PREFIX] = {.name = "--prefix",
                .value = "NAME",
                .help = "of Salvor's keys (that of the configuration, else salvor)"},
    [FROM] = PLACE_FROM_RULE,
    [UNTIL] = PLACE_UNTIL_RULE,
    [FOLLOW] = {.name = "--follow", .help = "go on with what comes, until Ctrl-C"},
    [ROTATE] = {.name = "--rotate-bytes",
                .value = "N",
                .help = "begin another file once this one holds so many (268435456)"},
    [CONFIG] = {.name = "--config",
                .brief = "-c",
                .value = "FILE",
                .help = "configuration (salvor.yaml if it is there and --redis is not)"},
    [JSON] = {.name = "--json", .help = "print one JSON object"},
};

static enum status record_verb(const struct options *options);

const struct verb verb_capture_record = {
    .name = "capture record",
    .arguments = "",
    .summary = "Make a capture from the stream in Redis, which is only read.",
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = record_verb,
    .help_more = place_help,
};

/* What the command line asks for, and how far it came; texts are borrowed. */
struct recording {
    struct config config;
    const char *url, *prefix;
    uint64_t partition;
    struct excerpt_range range;
    bool is_followed;
    struct excerpt excerpt;
    uint64_t rotate_bytes;
    struct state *state; /* owned: behind the entries read */
    struct fold_output output;
    uint64_t ordinal; /* entries read */
    bool is_over, is_interrupted;
};

static bool read_options(const struct options *options, struct recording *recording)
{
    const struct verb *verb = &verb_capture_record;
    if (options->value[OUT] == NULL) {
        fprintf(stderr, "salvor capture record: needs --out DIR\n");
        return false;
    }
    recording->excerpt.directory = options->value[OUT];
    recording->is_followed = options->value[FOLLOW] != NULL;
    if (!options_place(verb, options, FROM, &recording->range.from) ||
        !options_until(verb, options, UNTIL, &recording->range.until) ||
        !options_number(verb, options, ROTATE, ROTATE_LEAST, INT64_MAX, &recording->rotate_bytes) ||
        !options_number(verb, options, PARTITION, 0, PARTITION_MAX, &recording->partition)) {
        return false;
    }
    recording->url = options->value[REDIS];
    recording->prefix = options->value[PREFIX];
    if (recording->url == NULL || options->value[CONFIG] != NULL) {
        if (!config_load(&recording->config, options->value[CONFIG], environ)) {
            fwrite(recording->config.problems.data, 1, recording->config.problems.size, stderr);
            return false;
        }
        recording->url = recording->url != NULL ? recording->url : recording->config.redis_url;
        recording->prefix =
            recording->prefix != NULL ? recording->prefix : recording->config.prefix;
    }
    recording->prefix = recording->prefix != NULL ? recording->prefix : "salvor";
    size_t size = strlen(recording->prefix);
    if (size == 0 || size > PREFIX_SIZE_MAX || !span_is_solid(span_of(recording->prefix))) {
        fprintf(stderr,
                "salvor capture record: --prefix: allowed: up to %d printable characters "
                "without blanks\n",
                PREFIX_SIZE_MAX);
        return false;
    }
    return true;
}

/* --- the entries --- */

/* True when no entry behind this one can belong to the range. */
static bool ends_range(const struct recording *recording, const struct entry *entry)
{
    const struct place *until = &recording->range.until;
    return (until->kind == PLACE_ID || until->kind == PLACE_ORDINAL) &&
           place_compare(until, entry->id, recording->ordinal) == 0;
}

static bool take_entry(struct recording *recording, const struct entry *entry, struct error *error)
{
    enum excerpt_side side = excerpt_side(&recording->range, entry->id, ++recording->ordinal);
    if (side == EXCERPT_BEHIND) {
        recording->is_over = true;
        return true;
    }
    if (side == EXCERPT_INSIDE) {
        struct excerpt *excerpt = &recording->excerpt;
        bool is_begun = excerpt->writer != NULL || excerpt_begin(excerpt, recording->state, error);
        if (!is_begun || !excerpt_add(excerpt, entry, error)) {
            return false;
        }
        recording->is_over = ends_range(recording, entry);
    }
    return loop_fold_entry(recording->state, entry, &recording->output, error);
}

/* Makes what was taken readable for who follows, and begins another file where one is due. */
static bool settle(struct recording *recording, struct error *error)
{
    bool is_written = !recording->is_followed || excerpt_flush(&recording->excerpt, error);
    return is_written &&
           (recording->is_over ||
            excerpt_rotate(&recording->excerpt, recording->state, recording->rotate_bytes, error));
}

static bool take_batch(struct recording *recording, const struct batch *batch, struct error *error)
{
    for (uint32_t i = 0; i < batch->count && !recording->is_over; i++) {
        if (!take_entry(recording, &batch->entries[i], error) ||
            ((i + 1) % SETTLE_ENTRIES == 0 && !settle(recording, error))) {
            return false;
        }
    }
    return settle(recording, error);
}

static bool take_all(struct recording *recording, struct stream_range *range, struct error *error)
{
    struct progress progress = progress_begin("record", stream_range_total(range));
    struct batch batch = {0};
    enum stream_range_next next = RANGE_BATCH;
    bool is_fine = true;
    while (is_fine && next == RANGE_BATCH && !recording->is_over) {
        batch_reset(&batch);
        next = stream_range_read(range, &batch, error);
        is_fine = next != RANGE_ERROR && take_batch(recording, &batch, error);
        progress_step(&progress, recording->ordinal);
        recording->is_interrupted = !recording->is_over && interrupt_is_asked();
        recording->is_over = recording->is_over || recording->is_interrupted;
    }
    progress_end(&progress);
    batch_fini(&batch);
    return is_fine;
}

/* --- the end --- */

static void put_places(const struct recording *recording, struct buffer *first, struct buffer *last)
{
    stream_id_put(first, recording->excerpt.first);
    stream_id_put(last, recording->excerpt.last);
}

static void print_text(const struct recording *recording)
{
    const struct excerpt *excerpt = &recording->excerpt;
    struct buffer first = {0}, last = {0};
    put_places(recording, &first, &last);
    printf("%s: %" PRIu64 " entries, ordinals %" PRIu64 " to %" PRIu64 ", ids %.*s to %.*s\n",
           excerpt->directory, excerpt->entries, excerpt->ordinal + 1,
           excerpt->ordinal + excerpt->entries, SPAN_FORMAT(buffer_span(&first)),
           SPAN_FORMAT(buffer_span(&last)));
    if (recording->is_interrupted) {
        printf("stopped there; the capture is whole up to it\n");
    }
    buffer_fini(&last);
    buffer_fini(&first);
}

static void print_json(const struct recording *recording)
{
    const struct excerpt *excerpt = &recording->excerpt;
    struct buffer out = {0}, first = {0}, last = {0};
    put_places(recording, &first, &last);
    buffer_put_byte(&out, '{');
    json_put_text(&out, "directory", span_of(excerpt->directory));
    json_put_number(&out, "partition", recording->partition);
    json_put_number(&out, "entries", excerpt->entries);
    json_put_number(&out, "begins_behind", excerpt->ordinal);
    json_put_number(&out, "last_ordinal", excerpt->ordinal + excerpt->entries);
    json_put_text(&out, "first", buffer_span(&first));
    json_put_text(&out, "last", buffer_span(&last));
    json_put_truth(&out, "stopped", recording->is_interrupted);
    buffer_put_text(&out, "}\n");
    fwrite(out.data, 1, out.size, stdout);
    buffer_fini(&last);
    buffer_fini(&first);
    buffer_fini(&out);
}

/* What was written before a failure is a whole capture too. */
static void tell_rest(const struct recording *recording)
{
    struct buffer last = {0};
    stream_id_put(&last, recording->excerpt.last);
    fprintf(stderr, "%s ends at %.*s, ordinal %" PRIu64 "; it is whole up to there\n",
            recording->excerpt.directory, SPAN_FORMAT(buffer_span(&last)),
            recording->excerpt.ordinal + recording->excerpt.entries);
    buffer_fini(&last);
}

static enum status record(struct recording *recording, bool is_json)
{
    struct error error = {0};
    struct key_name stream = names_stream(recording->prefix, (uint32_t)recording->partition);
    struct stream_range_config config = {
        .url = recording->url, .stream = stream.text, .is_followed = recording->is_followed};
    struct stream_range *range = NULL;
    recording->state = state_create((uint32_t)recording->partition);
    interrupt_catch();
    bool is_fine = excerpt_check_directory(recording->excerpt.directory, &error);
    if (is_fine) {
        range = stream_range_open(&config, &error);
        is_fine = range != NULL && take_all(recording, range, &error);
    }
    bool has_file = recording->excerpt.writer != NULL;
    struct error unwritten = {0};
    if (has_file && !excerpt_end(&recording->excerpt, &unwritten) && is_fine) {
        error = unwritten;
        is_fine = false;
    }
    if (is_fine && !has_file) {
        bool is_ranged =
            recording->range.from.kind != PLACE_NONE || recording->range.until.kind != PLACE_NONE;
        is_fine = error_set(&error, ERROR_USAGE, "%s: %s%s", stream.text,
                            is_ranged ? "no entry lies between --from and --until"
                                      : "the stream holds no entry",
                            recording->is_interrupted ? " yet: stopped" : "");
    }
    enum status status = is_fine ? STATUS_FINE : verb_fail(&verb_capture_record, &error);
    if (is_fine) {
        (is_json ? print_json : print_text)(recording);
    } else if (has_file) {
        tell_rest(recording);
    }
    stream_range_close(range);
    return status;
}

static enum status record_verb(const struct options *options)
{
    struct recording recording = {.rotate_bytes = ROTATE_BYTES};
    enum status status = STATUS_USAGE;
    if (read_options(options, &recording)) {
        status = record(&recording, options->value[JSON] != NULL);
    }
    state_destroy(recording.state);
    fold_output_fini(&recording.output);
    config_fini(&recording.config);
    return status;
}
