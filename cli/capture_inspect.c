/* SPDX-License-Identifier: MIT
 * `salvor capture inspect FILE|DIR`: what a capture holds, and whether it is whole. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/sha256.h"
#include "cli/capture_parts.h"
#include "cli/policy_text.h"
#include "cli/progress.h"
#include "reducers/codec.h"
#include "replay/capture_source.h"
#include "replay/phrase.h"
#include "store/capture_files.h"
#include "store/capture_format.h"

#define PROBLEM_COUNT (CODEC_UNKNOWN_TYPE + 1)

enum { FRAMES, JSON };

static const struct option_rule rules[] = {
    [FRAMES] = {.name = "--frames", .help = "list every frame"},
    [JSON] = {.name = "--json", .help = "print one JSON object"},
};

static enum status inspect_verb(const struct options *options);

const struct verb verb_capture_inspect = {
    .name = "capture inspect",
    .arguments = "FILE|DIR",
    .summary = "Tell what a capture holds, and whether it is whole.",
    .argument_min = 1,
    .argument_max = 1,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = inspect_verb,
};

/* How a capture ends. */
enum ending { ENDING_NONE, ENDING_WHOLE, ENDING_TORN, ENDING_DAMAGED };

static const char *const ending_texts[] = {
    [ENDING_WHOLE] = "whole", [ENDING_TORN] = "torn", [ENDING_DAMAGED] = "damaged"};

/* What was read so far. */
struct inspection {
    const char *path;
    bool is_json, has_frames;
    struct capture_range range;
    struct capture_reader *reader;
    uint64_t entries, frames, stored_bytes, raw_bytes;
    struct stream_id first, last;
    uint64_t types[EVENT_TYPE_COUNT], problems[PROBLEM_COUNT];
    const char *frame_path; /* of the frame counted last */
    uint64_t frame_number;
    struct buffer out; /* JSON not printed yet */
    enum ending ending;
    uint64_t cut_bytes; /* of a torn frame */
};

static void print_out(struct inspection *inspection)
{
    fwrite(inspection->out.data, 1, inspection->out.size, stdout);
    buffer_reset(&inspection->out);
}

static void put_time(struct buffer *out, const char *key, uint64_t ms)
{
    struct buffer text = {0};
    phrase_put_time(&text, ms);
    json_put_text(out, key, buffer_span(&text));
    buffer_fini(&text);
}

static void put_id(struct buffer *out, const char *key, struct stream_id id)
{
    struct buffer text = {0};
    stream_id_put(&text, id);
    json_put_text(out, key, buffer_span(&text));
    buffer_fini(&text);
}

/* --- the beginning --- */

static void print_head(struct inspection *inspection)
{
    const struct capture_header *header = capture_reader_header(inspection->reader);
    struct buffer policy = {0};
    policy_text_put_brief(&policy, header->policy);
    printf("capture     %s\n", inspection->path);
    printf("format      %d, written by reducers %" PRIu64 "\n", CAPTURE_VERSION, header->reducers);
    printf("partition   %" PRIu32 ", timeline %" PRIu64 "\n", header->partition, header->timeline);
    printf("begins      behind ordinal %" PRIu64, header->ordinal);
    if (header->snapshot.size > 0) {
        printf(", with a snapshot of %zu bytes", header->snapshot.size);
    }
    printf("\npolicy      %.*s\n", (int)policy.size, policy.data);
    buffer_fini(&policy);
}

static void put_head(struct inspection *inspection)
{
    const struct capture_header *header = capture_reader_header(inspection->reader);
    struct buffer *out = &inspection->out;
    struct buffer policy = {0};
    policy_text_put_brief(&policy, header->policy);
    struct sha256 digest = sha256_of(header->policy);
    struct sha256_text hash = sha256_text(&digest);
    buffer_put_byte(out, '{');
    json_put_text(out, "capture", span_of(inspection->path));
    json_put_number(out, "format", CAPTURE_VERSION);
    json_put_number(out, "reducers", header->reducers);
    json_put_number(out, "partition", header->partition);
    json_put_number(out, "timeline", header->timeline);
    json_put_number(out, "begins_behind", header->ordinal);
    put_id(out, "position", header->position);
    json_put_number(out, "snapshot_bytes", header->snapshot.size);
    json_put_text(out, "policy", buffer_span(&policy));
    json_put_text(out, "policy_hash", header->policy.size > 0 ? span_of(hash.text) : SPAN_NONE);
    if (inspection->has_frames) {
        json_put_key(out, "frame_list");
        buffer_put_byte(out, '[');
    }
    buffer_fini(&policy);
}

/* --- frames and entries --- */

static void put_frame(struct inspection *inspection, const struct capture_stand *stand)
{
    struct buffer *out = &inspection->out;
    const struct capture_frame *frame = &stand->frame;
    buffer_put_text(out, inspection->frames > 1 ? ",{" : "{");
    json_put_text(out, "file", span_of(capture_file_name(stand->path)));
    json_put_number(out, "frame", stand->number);
    json_put_number(out, "byte", stand->offset);
    json_put_number(out, "entries", frame->count);
    json_put_number(out, "first_ordinal", frame->ordinal + 1);
    json_put_number(out, "first_ms", frame->first_ms);
    json_put_number(out, "last_ms", frame->last_ms);
    json_put_number(out, "stored_bytes", frame->body_size);
    json_put_number(out, "raw_bytes", frame->raw_size);
    buffer_put_byte(out, '}');
    print_out(inspection);
}

static void print_frame(const struct capture_stand *stand)
{
    const struct capture_frame *frame = &stand->frame;
    struct buffer time = {0};
    phrase_put_time(&time, frame->first_ms);
    printf("frame       %s %" PRIu64 " at byte %" PRIu64 ": %" PRIu32 " entries from #%" PRIu64
           " %.*s, %" PRIu32 " bytes of %" PRIu32 "\n",
           capture_file_name(stand->path), stand->number, stand->offset, frame->count,
           frame->ordinal + 1, (int)time.size, time.data, frame->body_size, frame->raw_size);
    buffer_fini(&time);
}

/* Called with every entry: it may be the first of a frame. */
static void count_frame(struct inspection *inspection)
{
    struct capture_stand stand = capture_reader_stand(inspection->reader);
    if (stand.path == inspection->frame_path && stand.number == inspection->frame_number) {
        return;
    }
    inspection->frame_path = stand.path;
    inspection->frame_number = stand.number;
    inspection->frames++;
    inspection->stored_bytes += stand.frame.body_size;
    inspection->raw_bytes += stand.frame.raw_size;
    if (inspection->has_frames && inspection->is_json) {
        put_frame(inspection, &stand);
    } else if (inspection->has_frames) {
        print_frame(&stand);
    }
}

static void count_entry(struct inspection *inspection, const struct entry *entry)
{
    struct event event;
    struct span field;
    enum codec_problem problem = codec_decode(entry, &event, &field);
    if (problem == CODEC_NONE) {
        inspection->types[event.type]++;
    } else {
        inspection->problems[problem]++;
    }
    inspection->first = inspection->entries == 0 ? entry->id : inspection->first;
    inspection->last = entry->id;
    inspection->entries++;
}

/* Whether a fold can begin with it; rules that are unknown here are no damage. */
static bool begins_well(const struct inspection *inspection, struct error *error)
{
    struct state *state = capture_state(capture_reader_header(inspection->reader), error);
    bool is_well = state != NULL || error->code != ERROR_CORRUPT;
    state_destroy(state);
    return is_well;
}

/* Reads to the end or to the damage, of which `*error` tells. */
static void read_all(struct inspection *inspection, struct error *error)
{
    struct progress progress = progress_begin("inspect", inspection->range.entries);
    struct entry entry;
    enum capture_next next;
    while ((next = capture_next(inspection->reader, &entry, error)) == CAPTURE_ENTRY) {
        count_frame(inspection);
        count_entry(inspection, &entry);
        progress_step(&progress, inspection->entries);
    }
    progress_end(&progress);
    inspection->ending = next == CAPTURE_END    ? ENDING_WHOLE
                         : next == CAPTURE_TORN ? ENDING_TORN
                                                : ENDING_DAMAGED;
    if (next != CAPTURE_ERROR && !begins_well(inspection, error)) {
        inspection->ending = ENDING_DAMAGED;
    }
    struct stat status;
    if (next == CAPTURE_TORN && stat(capture_reader_stand(inspection->reader).path, &status) == 0) {
        inspection->cut_bytes =
            (uint64_t)status.st_size - capture_reader_offset(inspection->reader);
    }
}

/* --- the end --- */

static void print_counts(const char *label, const char *name, uint64_t count)
{
    if (count > 0) {
        printf("%-11s %-20s %" PRIu64 "\n", label, name, count);
    }
}

static void print_entries(const struct inspection *inspection)
{
    if (inspection->entries == 0) {
        return;
    }
    uint64_t before = capture_reader_ordinal(inspection->reader) - inspection->entries;
    struct buffer ids = {0}, times = {0};
    stream_id_put(&ids, inspection->first);
    buffer_put_text(&ids, " to ");
    stream_id_put(&ids, inspection->last);
    phrase_put_time(&times, inspection->first.ms);
    buffer_put_text(&times, " to ");
    phrase_put_time(&times, inspection->last.ms);
    printf("ordinals    %" PRIu64 " to %" PRIu64 "\n", before + 1, before + inspection->entries);
    printf("ids         %.*s\ntimes       %.*s\n", (int)ids.size, ids.data, (int)times.size,
           times.data);
    buffer_fini(&ids);
    buffer_fini(&times);
}

static void print_end(const struct inspection *inspection)
{
    printf("files       %" PRIu64 " of %" PRIu64 " bytes\n", inspection->range.files,
           inspection->range.bytes);
    printf("frames      %" PRIu64 " of %" PRIu64 " bytes, %" PRIu64 " unpacked\n",
           inspection->frames, inspection->stored_bytes, inspection->raw_bytes);
    printf("entries     %" PRIu64 "\n", inspection->entries);
    print_entries(inspection);
    for (uint32_t type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        print_counts("events", event_type_rule(type)->name, inspection->types[type]);
    }
    for (uint32_t problem = CODEC_NONE + 1; problem < PROBLEM_COUNT; problem++) {
        print_counts("undecodable", codec_problem_text(problem), inspection->problems[problem]);
    }
    printf("ends        %s", ending_texts[inspection->ending]);
    if (inspection->ending == ENDING_TORN) {
        printf(": %" PRIu64 " bytes of an incomplete frame are left out", inspection->cut_bytes);
    } else if (inspection->ending == ENDING_DAMAGED) {
        printf(": what is told above stands before the damage");
    }
    putchar('\n');
}

static void put_counts(struct inspection *inspection)
{
    struct buffer *out = &inspection->out;
    json_put_key(out, "events");
    buffer_put_byte(out, '{');
    for (uint32_t type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        if (inspection->types[type] > 0) {
            json_put_number(out, event_type_rule(type)->name, inspection->types[type]);
        }
    }
    buffer_put_byte(out, '}');
    json_put_key(out, "undecodable");
    buffer_put_byte(out, '{');
    for (uint32_t problem = CODEC_NONE + 1; problem < PROBLEM_COUNT; problem++) {
        if (inspection->problems[problem] > 0) {
            json_put_number(out, codec_problem_text(problem), inspection->problems[problem]);
        }
    }
    buffer_put_byte(out, '}');
}

static void put_end(struct inspection *inspection, const struct error *error)
{
    struct buffer *out = &inspection->out;
    if (inspection->has_frames) {
        buffer_put_byte(out, ']');
    }
    json_put_number(out, "files", inspection->range.files);
    json_put_number(out, "bytes", inspection->range.bytes);
    json_put_number(out, "frames", inspection->frames);
    json_put_number(out, "stored_bytes", inspection->stored_bytes);
    json_put_number(out, "raw_bytes", inspection->raw_bytes);
    json_put_number(out, "entries", inspection->entries);
    if (inspection->entries > 0) {
        json_put_number(out, "last_ordinal", capture_reader_ordinal(inspection->reader));
        put_id(out, "first_id", inspection->first);
        put_id(out, "last_id", inspection->last);
        put_time(out, "first_at", inspection->first.ms);
        put_time(out, "last_at", inspection->last.ms);
    }
    put_counts(inspection);
    json_put_text(out, "ends", span_of(ending_texts[inspection->ending]));
    if (inspection->ending == ENDING_TORN) {
        json_put_number(out, "cut_bytes", inspection->cut_bytes);
    } else if (inspection->ending == ENDING_DAMAGED) {
        json_put_text(out, "damage", span_of(error->message));
    }
    buffer_put_text(out, "}\n");
    print_out(inspection);
}

/* --- the verb --- */

/* Damage is an answer, and a negative one. */
static enum status fail(const struct error *error)
{
    enum status status = verb_fail(&verb_capture_inspect, error);
    return error->code == ERROR_CORRUPT ? STATUS_DIFFERENT : status;
}

static enum status inspect_verb(const struct options *options)
{
    struct error error = {0};
    struct inspection inspection = {
        .path = options->arguments[0],
        .is_json = options->value[JSON] != NULL,
        .has_frames = options->value[FRAMES] != NULL,
    };
    inspection.reader = capture_open(inspection.path, &error);
    if (inspection.reader == NULL) {
        return fail(&error);
    }
    struct error unused = {0}; /* what is damaged is found again, and told, by reading */
    (void)capture_range(inspection.path, &inspection.range, &unused);
    if (inspection.is_json) {
        put_head(&inspection);
    } else {
        print_head(&inspection);
    }
    read_all(&inspection, &error);
    if (inspection.is_json) {
        put_end(&inspection, &error);
    } else {
        print_end(&inspection);
    }
    enum status status = inspection.ending == ENDING_DAMAGED ? fail(&error) : STATUS_FINE;
    capture_reader_close(inspection.reader);
    buffer_fini(&inspection.out);
    return status;
}
