/* SPDX-License-Identifier: MIT
 * bench SALVOR: measures the program at this path against bare loops over the same stream, in one
 * run, round after round, so that a machine's noise meets all alike. Prints a table; what it means
 * is said in docs/performance.md. BENCH_ENTRIES and BENCH_ROUNDS make it shorter. Exit code 1 when
 * something broke or two state hashes differ, never because of a time. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "reducers/codec.h"
#include "store/audit.h"
#include "tests/lib/bare_loop.h"
#include "tests/lib/bench_place.h"
#include "tests/lib/large_stream.h"

#define ENTRIES       1000000
#define ROUNDS        5
#define ROUNDS_MAX    25
#define PIPELINE      1000
#define OPEN_JOBS     100000
#define OPEN_ENTRIES  (OPEN_JOBS * 3)
#define LINE_MAX_SIZE 4096
#define MIXED_KEY     "mixed"
#define OPEN_KEY      "open"
#define HEARTBEAT_KEY "heartbeats"

struct bench {
    const char *salvor; /* borrowed: the program's path */
    uint64_t entries, rounds;
};

static struct bench bench;

/* --- the streams --- */

static void fill(const char *key, enum large_stream_kind kind, uint64_t count)
{
    struct large_stream *stream = mem_zero(sizeof(*stream));
    struct buffer packed = {0};
    struct event event;
    stream->kind = kind;
    while (stream->count < count) {
        uint64_t before = stream->count;
        while (stream->count < count && stream->count - before < PIPELINE) {
            large_stream_next(stream, &event);
            buffer_reset(&packed);
            codec_put_packed(&packed, &event);
            bench_send("XADD %s * e %b", key, packed.data, packed.size);
        }
        bench_replies(stream->count - before);
    }
    buffer_fini(&packed);
    mem_free(stream);
}

/* --- the program --- */

struct live_run {
    uint64_t took_ns;      /* from its start until it has caught up and committed */
    uint64_t stop_ns;      /* a clean stop behind that */
    uint64_t peak_kb;      /* of its memory when it had caught up */
    uint64_t last_peak_kb; /* the same at its end: with the snapshot of the stop */
    uint64_t ordinal;      /* where it stopped */
    struct sha256_text state_hash;
};

/* The hash that the program itself stored with its last snapshot. */
static void load_state_hash(struct live_run *run)
{
    char path[BENCH_PATH_SIZE];
    struct error error = {0};
    struct sha256 hash;
    bench_put_path(path, "/data/audit-0.db");
    struct audit *audit = audit_open(path, AUDIT_READ, 0, &error);
    uint64_t ordinal = 0;
    if (audit == NULL || !audit_next_checkpoint(audit, run->ordinal, &ordinal, &hash, &error) ||
        ordinal != run->ordinal) {
        bench_give_up("no state hash in the audit", error.message);
    }
    audit_close(audit);
    run->state_hash = sha256_text(&hash);
}

/* `salvor run` over a copy of the stream, from nothing until it has caught up, then a clean stop.
 * Its data stay until the next. */
static struct live_run run_live(const char *key)
{
    struct live_run run = {0};
    char data[BENCH_PATH_SIZE];
    char line[LINE_MAX_SIZE];
    unsigned long long ordinal = 0;
    FILE *log = NULL;
    const char *words[] = {bench.salvor, "run", "-c", "/dev/null", NULL};
    bench_put_path(data, "/data");
    bench_remove_folder(data);
    bench_command("COPY %s bench:{0}:events REPLACE", key);
    setenv("SALVOR_SALVOR_PREFIX", "bench", 1);
    setenv("SALVOR_SALVOR_DATA", data, 1);
    setenv("SALVOR_REDIS_URL", bench_redis_url(), 1);
    uint64_t start_ns = clock_boot_ns();
    bench_start(words, STDERR_FILENO, &log);
    while (fgets(line, sizeof(line), log) != NULL) {
        if (strstr(line, "event=caught_up ") != NULL) {
            run.took_ns = clock_boot_ns() - start_ns;
            run.peak_kb = bench_peak_kb();
            bench_signal(SIGTERM);
        } else if (strstr(line, "event=stopped ") != NULL) {
            sscanf(strstr(line, "ordinal="), "ordinal=%llu", &ordinal);
        } else if (strstr(line, "level=error") != NULL) {
            bench_give_up("salvor run", line);
        }
    }
    struct rusage used;
    int status = bench_wait_for_end(log, &used);
    run.last_peak_kb = (uint64_t)used.ru_maxrss;
    run.stop_ns = clock_boot_ns() - start_ns - run.took_ns;
    if (status != 0 || run.took_ns == 0) {
        bench_give_up("salvor run", "did not catch up and stop cleanly");
    }
    run.ordinal = ordinal;
    load_state_hash(&run);
    bench_command("DEL bench:{0}:events bench:{0}:ctl bench:meta");
    return run;
}

/* Result: the time for reading and folding, as the replay itself measures it. */
static uint64_t run_replay(const char *option, uint64_t *entries, struct sha256_text *state_hash)
{
    char path[BENCH_PATH_SIZE];
    char text[LINE_MAX_SIZE];
    struct error error = {0};
    FILE *output = NULL;
    const char *words[] = {bench.salvor, "replay", path, "--json", option, NULL};
    bench_put_path(path, "/data/capture-0");
    bench_start(words, STDOUT_FILENO, &output);
    size_t size = fread(text, 1, sizeof(text), output);
    struct rusage used;
    int status = bench_wait_for_end(output, &used);
    struct json *report = json_parse((struct span){text, size}, &error);
    if (status != 0 || report == NULL) {
        bench_give_up("salvor replay", error.message);
    }
    int64_t took_ns = 0;
    int64_t count = 0;
    CHECK(json_number(json_find(report, SPAN("/elapsed_ns")), &took_ns));
    CHECK(json_number(json_find(report, SPAN("/entries")), &count));
    struct span hash = json_text(json_find(report, SPAN("/state_hash")));
    snprintf(state_hash->text, sizeof(state_hash->text), "%.*s", SPAN_FORMAT(hash));
    json_destroy(report);
    *entries = (uint64_t)count;
    return (uint64_t)took_ns;
}

/* --- the table --- */

enum row { ROW_BARE, ROW_ACKED, ROW_LIVE, ROW_STOP, ROW_REPLAY, ROW_DECODE, ROW_COUNT };

static const char *const row_names[ROW_COUNT] = {
    [ROW_BARE] = "a  XREADGROUP NOACK, decode",
    [ROW_ACKED] = "b  XREADGROUP + XACK, decode",
    [ROW_LIVE] = "c  salvor run, cold start to committed",
    [ROW_STOP] = "   its clean stop (snapshot)",
    [ROW_REPLAY] = "d  salvor replay of its capture",
    [ROW_DECODE] = "   salvor replay --decode-only",
};

struct samples {
    uint64_t took_ns[ROW_COUNT][ROUNDS_MAX];
    uint64_t entries[ROW_COUNT]; /* of one round */
};

static double rate_of(const struct samples *samples, enum row row, uint64_t rounds)
{
    return (double)samples->entries[row] * 1e9 / (double)samples->took_ns[row][rounds / 2];
}

static uint64_t run_bare(bool is_acked)
{
    uint64_t took_ns = 0;
    struct error error = {0};
    if (!bare_loop_drain(bench_redis_socket(), MIXED_KEY, bench.entries, is_acked, &took_ns,
                         &error)) {
        bench_give_up("bare loop", error.message);
    }
    return took_ns;
}

static void measure_speed(struct samples *samples)
{
    for (uint64_t round = 0; round < bench.rounds; round++) {
        struct sha256_text hash;
        struct sha256_text none;
        samples->took_ns[ROW_BARE][round] = run_bare(false);
        samples->took_ns[ROW_ACKED][round] = run_bare(true);
        struct live_run live = run_live(MIXED_KEY);
        samples->took_ns[ROW_LIVE][round] = live.took_ns;
        samples->took_ns[ROW_STOP][round] = live.stop_ns;
        samples->took_ns[ROW_REPLAY][round] =
            run_replay(NULL, &samples->entries[ROW_REPLAY], &hash);
        samples->took_ns[ROW_DECODE][round] =
            run_replay("--decode-only", &samples->entries[ROW_DECODE], &none);
        if (strcmp(hash.text, live.state_hash.text) != 0) {
            bench_give_up("the replay's state hash differs from that of the run", hash.text);
        }
        fprintf(stderr, "bench: round %" PRIu64 " of %" PRIu64 "\n", round + 1, bench.rounds);
    }
    samples->entries[ROW_BARE] = samples->entries[ROW_ACKED] = samples->entries[ROW_LIVE] =
        bench.entries;
}

static void print_speed(struct samples *samples)
{
    printf("%-42s %9s %9s %9s %12s\n", "", "median s", "min s", "max s", "entries/s");
    for (enum row row = 0; row < ROW_COUNT; row++) {
        uint64_t *took_ns = samples->took_ns[row];
        qsort(took_ns, bench.rounds, sizeof(*took_ns), bench_compare_numbers);
        printf("%-42s %9.3f %9.3f %9.3f", row_names[row], (double)took_ns[bench.rounds / 2] / 1e9,
               (double)took_ns[0] / 1e9, (double)took_ns[bench.rounds - 1] / 1e9);
        if (samples->entries[row] > 0) {
            printf(" %12.0f", rate_of(samples, row, bench.rounds));
        }
        printf("\n");
    }
    double live = rate_of(samples, ROW_LIVE, bench.rounds);
    printf("\n%-42s %9.2f  (0.5 wanted)\n", "c / a",
           live / rate_of(samples, ROW_BARE, bench.rounds));
    printf("%-42s %9.2f  (above 1 wanted)\n", "c / b",
           live / rate_of(samples, ROW_ACKED, bench.rounds));
    printf("%-42s %9.2f  (0.5 wanted)\n", "replay / decode-only",
           rate_of(samples, ROW_REPLAY, bench.rounds) / rate_of(samples, ROW_DECODE, bench.rounds));
    printf("the state hashes of run and replay were equal in each round\n");
}

static void print_memory(const char *name, uint64_t open_kb, uint64_t none_kb)
{
    printf("%-42s %9" PRIu64 " %9" PRIu64 " %12.0f\n", name, open_kb, none_kb,
           ((double)open_kb - (double)none_kb) * 1024 / OPEN_JOBS);
}

static void measure_memory(void)
{
    struct live_run open = run_live(OPEN_KEY);
    struct live_run none = run_live(HEARTBEAT_KEY);
    printf("\n%-42s %9s %9s %12s\n", "", "KiB", "no job", "bytes a job");
    print_memory("e  peak memory, 100,000 jobs in flight", open.peak_kb, none.peak_kb);
    print_memory("   with the snapshot of the clean stop", open.last_peak_kb, none.last_peak_kb);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    struct samples samples = {0};
    bench.salvor = arguments[1];
    bench.entries = bench_number("BENCH_ENTRIES", ENTRIES, 100 * ENTRIES);
    bench.rounds = bench_number("BENCH_ROUNDS", ROUNDS, ROUNDS_MAX);
    bench_begin();
    fprintf(stderr, "bench: filling %" PRIu64 " entries\n", bench.entries);
    fill(MIXED_KEY, LARGE_STREAM_MIXED, bench.entries);
    measure_speed(&samples);
    print_speed(&samples);
    bench_command("DEL %s", MIXED_KEY);
    fill(OPEN_KEY, LARGE_STREAM_OPEN_JOBS, OPEN_ENTRIES);
    fill(HEARTBEAT_KEY, LARGE_STREAM_HEARTBEATS, OPEN_ENTRIES);
    measure_memory();
    return 0;
}
