/* SPDX-License-Identifier: MIT
 * replay SALVOR: replays captures of a million events and more, and the largest (ten million) also
 * decode-only, round after round in one run. Prints rates, their ratio, and the peak memory at each
 * size. BENCH_EVENTS and BENCH_PASSES make it shorter. Exit code 1 when something broke, never
 * because of a time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/json.h"
#include "reducers/codec.h"
#include "reducers/fold.h"
#include "store/capture.h"
#include "tests/lib/bench_place.h"
#include "tests/lib/large_stream.h"

#define EVENTS         10000000
#define EVENTS_MAX     (100 * (uint64_t)EVENTS)
#define PASSES         3
#define PASSES_MAX     25
#define FLUSH_EVERY    1000
#define FIRST_MS       UINT64_C(1767225600000)
#define EVENT_SIZE_MAX 100 /* of one in the file, by far */
#define REPORT_SIZE    4096

/* Captures of a tenth, a fifth and all of the events. */
static const struct size {
    const char *folder;
    uint64_t part;
} sizes[] = {{"/tenth", 10}, {"/fifth", 5}, {"/all", 1}};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* --- the captures --- */

static void append_event(struct capture_writer *writer, struct large_stream *stream,
                         struct buffer *packed, struct buffer *raw)
{
    static const struct span name = {"e", 1};
    struct event event;
    uint64_t number = stream->count;
    large_stream_next(stream, &event);
    buffer_reset(packed);
    buffer_reset(raw);
    codec_put_packed(packed, &event);
    struct span value = buffer_span(packed);
    codec_put_raw(raw, &name, &value, 1);
    struct entry entry = {.id = {.ms = FIRST_MS + 3 * number}, .raw = buffer_span(raw)};
    capture_append(writer, &entry);
}

static void write_capture(const char *path, uint64_t count)
{
    struct error error = {0};
    struct buffer packed = {0};
    struct buffer raw = {0};
    struct large_stream *stream = mem_zero(sizeof(*stream));
    struct capture_header header = {.reducers = REDUCERS_VERSION};
    struct capture_writer *writer = capture_create(path, &header, &error);
    stream->kind = LARGE_STREAM_LED;
    bool is_fine = writer != NULL;
    while (is_fine && stream->count < count) {
        append_event(writer, stream, &packed, &raw);
        bool is_full = stream->count % FLUSH_EVERY == 0 || stream->count == count;
        is_fine = !is_full || capture_flush(writer, &error);
    }
    if (!is_fine) {
        bench_give_up("a capture", error.message);
    }
    capture_close(writer);
    buffer_fini(&packed);
    buffer_fini(&raw);
    mem_free(stream);
}

static void check_room(const char *path, uint64_t events)
{
    struct statvfs disk;
    CHECK(statvfs(path, &disk) == 0);
    if ((uint64_t)disk.f_bavail * disk.f_frsize < 2 * events * EVENT_SIZE_MAX) {
        bench_give_up(path, "too little room for the captures; BENCH_EVENTS makes them smaller");
    }
}

/* --- the program --- */

struct pass {
    uint64_t took_ns; /* reading and folding, as the replay itself measures it */
    uint64_t peak_kb;
};

static struct pass run_replay(const char *salvor, const char *capture, const char *option,
                              uint64_t count)
{
    char text[REPORT_SIZE];
    struct error error = {0};
    FILE *output = NULL;
    const char *words[] = {salvor, "replay", capture, "--json", option, NULL};
    bench_start(words, STDOUT_FILENO, &output);
    size_t size = fread(text, 1, sizeof(text), output);
    struct rusage used;
    int status = bench_wait_for_end(output, &used);
    struct json *report = json_parse((struct span){text, size}, &error);
    int64_t took_ns = 0;
    int64_t entries = 0;
    if (status != 0 || report == NULL ||
        !json_number(json_find(report, SPAN("/elapsed_ns")), &took_ns) ||
        !json_number(json_find(report, SPAN("/entries")), &entries) || (uint64_t)entries != count) {
        bench_give_up("salvor replay", error.message);
    }
    json_destroy(report);
    return (struct pass){.took_ns = (uint64_t)took_ns, .peak_kb = (uint64_t)used.ru_maxrss};
}

static double rate_of(uint64_t *took_ns, uint64_t passes, uint64_t events, const char *name)
{
    qsort(took_ns, passes, sizeof(*took_ns), bench_compare_numbers);
    double rate = (double)events * 1e9 / (double)took_ns[passes / 2];
    printf("%-42s %9.3f %9.3f %9.3f %12.0f\n", name, (double)took_ns[passes / 2] / 1e9,
           (double)took_ns[0] / 1e9, (double)took_ns[passes - 1] / 1e9, rate);
    return rate;
}

static void measure_speed(const char *salvor, const char *capture, uint64_t events, uint64_t passes)
{
    uint64_t fold_ns[PASSES_MAX];
    uint64_t decode_ns[PASSES_MAX];
    for (uint64_t i = 0; i < passes; i++) {
        fold_ns[i] = run_replay(salvor, capture, NULL, events).took_ns;
        decode_ns[i] = run_replay(salvor, capture, "--decode-only", events).took_ns;
        fprintf(stderr, "bench: pass %" PRIu64 " of %" PRIu64 "\n", i + 1, passes);
    }
    printf("\n%" PRIu64 " events%*s %9s %9s %9s %12s\n", events, 27, "", "median s", "min s",
           "max s", "events/s");
    double fold = rate_of(fold_ns, passes, events, "h  salvor replay");
    double decode = rate_of(decode_ns, passes, events, "   salvor replay --decode-only");
    printf("%-42s %9.2f  (0.6 wanted)\n", "replay / decode-only", fold / decode);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    char paths[SIZES][BENCH_PATH_SIZE];
    uint64_t peak_kb[SIZES];
    uint64_t events = bench_number("BENCH_EVENTS", EVENTS, EVENTS_MAX);
    uint64_t passes = bench_number("BENCH_PASSES", PASSES, PASSES_MAX);
    bench_begin();
    bench_put_path(paths[0], "");
    check_room(paths[0], events);
    for (size_t i = 0; i < SIZES; i++) {
        fprintf(stderr, "bench: writing a capture of %" PRIu64 " events\n", events / sizes[i].part);
        bench_put_path(paths[i], sizes[i].folder);
        write_capture(paths[i], events / sizes[i].part);
    }
    measure_speed(arguments[1], paths[SIZES - 1], events, passes);
    printf("\n%-42s %9s\n", "peak memory of a replay", "KiB");
    for (size_t i = 0; i < SIZES; i++) {
        uint64_t part = events / sizes[i].part;
        peak_kb[i] = run_replay(arguments[1], paths[i], NULL, part).peak_kb;
        printf("i  of %10" PRIu64 " events %19s %9" PRIu64 "\n", part, "", peak_kb[i]);
    }
    return 0;
}
