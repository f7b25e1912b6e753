/* SPDX-License-Identifier: MIT
 * questions SALVOR: a thousand workers fall silent in the same tick, each with a job that it handed
 * off; the service takes 20 ms to answer. Prints how long each question waited for its answer, and
 * the same for the same requests sent by libcurl alone, in the same run. Exit code 1 when something
 * broke or a job was not completed, never because of a time. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>
#include <sqlite3.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "tests/lib/bench_place.h"
#include "tests/lib/http_service.h"

#define WORKERS       1000
#define ROUNDS        5
#define ROUNDS_MAX    25
#define ANSWER_MS     20
#define PER_HOST      16 /* questions at the same time, as Salvor sends them */
#define HEARTBEAT_MS  200
#define LINE_MAX_SIZE 4096
#define REQUESTS_MAX  (3 * WORKERS)
#define URL_SIZE      512
#define SETTLE_MAX_MS 10000

/* From the tick that wanted the question, in us: to its answer's event, to the settled completion
 * that followed; and by libcurl alone, from the beginning of all. */
enum row { ROW_ANSWERED, ROW_COMPLETED, ROW_BARE, ROW_COUNT };

static const char *const row_names[ROW_COUNT] = {
    [ROW_ANSWERED] = "f  from the question's tick to its answer",
    [ROW_COMPLETED] = "   to the completion, carried out",
    [ROW_BARE] = "g  the same requests by libcurl alone",
};

struct round {
    uint64_t took_us[ROW_COUNT][REQUESTS_MAX];
    size_t count[ROW_COUNT];
};

static struct http_service *service;

static void stop_service(void)
{
    http_service_stop(service);
}

static void tell_service(const char *path, const char *json)
{
    if (http_service_send(service, path, json, NULL) != 200) {
        bench_give_up("the service refused", path);
    }
}

/* --- the fleet --- */

/* Each worker holds one job in the queue and in the stream; the service has completed it. */
static void fill(void)
{
    char json[128];
    bench_command("FLUSHALL");
    tell_service("/control/restart", "{}");
    tell_service("/control/set", "{\"delay_ms\":0}");
    for (int i = 0; i < WORKERS; i++) {
        snprintf(json, sizeof(json), "{\"prompt\":{},\"prompt_id\":\"of-j%d\"}", i);
        tell_service("/prompt", json);
        bench_send("HSET job:j%d id j%d status in_progress worker_id w%d retry_count 0 "
                   "assigned_at c1 priority 50 created_at 2026-01-01T00:00:00.000Z",
                   i, i, i);
        bench_send("HSET jobs:active:w%d j%d {}", i, i);
        bench_send("HSET worker:w%d status busy current_job_id j%d", i, i);
        bench_send("XADD bench:{0}:events * type worker.registered worker w%d heartbeat_ms %d", i,
                   HEARTBEAT_MS);
        bench_send("XADD bench:{0}:events * type job.started job j%d worker w%d attempt 1 claim c1",
                   i, i);
        bench_send("XADD bench:{0}:events * type job.handed_off job j%d worker w%d attempt 1 "
                   "service comfyui service_job of-j%d",
                   i, i, i);
        bench_replies(6);
    }
    snprintf(json, sizeof(json), "{\"delay_ms\":%d}", ANSWER_MS);
    tell_service("/control/set", json);
}

static sqlite3 *open_audit(void)
{
    char path[BENCH_PATH_SIZE];
    sqlite3 *database = NULL;
    bench_put_path(path, "/data/audit-0.db");
    CHECK(sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    sqlite3_busy_timeout(database, SETTLE_MAX_MS);
    return database;
}

static void wait_until_settled(void)
{
    sqlite3 *database = open_audit();
    uint64_t began_ms = clock_boot_ms();
    for (int count = 0; count < WORKERS;) {
        sqlite3_stmt *statement = NULL;
        CHECK(sqlite3_prepare_v2(
                  database,
                  "SELECT count(*) FROM effect WHERE kind = 'complete' AND outcome = 'applied'", -1,
                  &statement, NULL) == SQLITE_OK);
        CHECK(sqlite3_step(statement) == SQLITE_ROW);
        count = sqlite3_column_int(statement, 0);
        sqlite3_finalize(statement);
        if (clock_boot_ms() - began_ms > SETTLE_MAX_MS) {
            bench_give_up("salvor run", "did not carry all completions out");
        }
        (void)poll(NULL, 0, 10);
    }
    sqlite3_close(database);
}

/* Until every job is completed, then a clean stop. */
static void run_salvor(const char *salvor)
{
    char data[BENCH_PATH_SIZE];
    char line[LINE_MAX_SIZE];
    int completed = 0;
    FILE *log = NULL;
    struct rusage used;
    const char *words[] = {salvor, "run", "-c", "/dev/null", NULL};
    bench_put_path(data, "/data");
    bench_remove_folder(data);
    setenv("SALVOR_SALVOR_PREFIX", "bench", 1);
    setenv("SALVOR_SALVOR_DATA", data, 1);
    setenv("SALVOR_REDIS_URL", bench_redis_url(), 1);
    setenv("SALVOR_SERVICES_COMFYUI_PROFILE", "comfyui", 1);
    setenv("SALVOR_SERVICES_COMFYUI_BASE", http_service_url(service), 1);
    bench_start(words, STDERR_FILENO, &log);
    while (fgets(line, sizeof(line), log) != NULL) {
        bool is_completed = strstr(line, " action=complete ") != NULL;
        completed += is_completed;
        if (is_completed && completed == WORKERS) {
            wait_until_settled();
            bench_signal(SIGTERM);
        } else if (strstr(line, "level=error") != NULL) {
            bench_give_up("salvor run", line);
        }
    }
    if (bench_wait_for_end(log, &used) != 0 || completed != WORKERS) {
        bench_give_up("salvor run", "did not complete all and stop cleanly");
    }
}

/* The stream's times, from the audit. */
static void load_times(struct round *round)
{
    sqlite3 *database = open_audit();
    sqlite3_stmt *statement = NULL;
    CHECK(sqlite3_prepare_v2(
              database,
              "SELECT ask.settled_at_ms - ask.requested_at_ms,"
              "       complete.settled_at_ms - ask.requested_at_ms"
              "  FROM effect AS ask, effect AS complete, decision AS asked, decision AS done"
              " WHERE ask.kind = 'ask' AND ask.decision = asked.id AND complete.kind = 'complete'"
              "   AND complete.decision = done.id AND asked.job = done.job",
              -1, &statement, NULL) == SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        CHECK(round->count[ROW_ANSWERED] < WORKERS);
        for (enum row row = ROW_ANSWERED; row <= ROW_COMPLETED; row++) {
            round->took_us[row][round->count[row]++] =
                (uint64_t)sqlite3_column_int64(statement, (int)row) * 1000;
        }
    }
    sqlite3_finalize(statement);
    sqlite3_close(database);
    if (round->count[ROW_ANSWERED] != WORKERS) {
        bench_give_up("salvor run", "a job was not asked about exactly once");
    }
}

/* --- the same requests without Salvor --- */

static struct json *load_journal(void)
{
    struct buffer body = {0};
    struct error error = {0};
    CHECK(http_service_send(service, "/control/journal", NULL, &body) == 200);
    struct json *journal = json_parse(buffer_span(&body), &error);
    CHECK(journal != NULL);
    buffer_fini(&body);
    return journal;
}

static size_t ignore_body(char *data, size_t one, size_t size, void *closure)
{
    (void)data;
    (void)one;
    (void)closure;
    return size;
}

static void add_request(CURLM *multi, struct span path)
{
    char url[URL_SIZE];
    int size = snprintf(url, sizeof(url), "%s%.*s", http_service_url(service), SPAN_FORMAT(path));
    CHECK(size > 0 && (size_t)size < sizeof(url));
    CURL *easy = curl_easy_init();
    CHECK(easy != NULL);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore_body);
    CHECK(curl_multi_add_handle(multi, easy) == CURLM_OK);
}

static void take_replies(CURLM *multi, uint64_t began_ns, struct round *round)
{
    CURLMsg *message;
    int left = 0;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        if (message->data.result != CURLE_OK) {
            bench_give_up("libcurl", curl_easy_strerror(message->data.result));
        }
        CHECK(round->count[ROW_BARE] < REQUESTS_MAX);
        round->took_us[ROW_BARE][round->count[ROW_BARE]++] = (clock_boot_ns() - began_ns) / 1000;
        curl_multi_remove_handle(multi, easy);
        curl_easy_cleanup(easy);
    }
}

/* Sends again, all at once, what Salvor has sent since the journal had `first` requests. */
static void run_bare(size_t first, struct round *round)
{
    struct json *journal = load_journal();
    CURLM *multi = curl_multi_init();
    int running = 0;
    CHECK(multi != NULL);
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)PER_HOST);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)PER_HOST);
    uint64_t began_ns = clock_boot_ns();
    for (size_t i = first; i < json_count(journal); i++) {
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/%zu/path", i);
        struct span path = json_text(json_find(journal, span_of(pointer)));
        add_request(multi, path);
    }
    do {
        CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
        take_replies(multi, began_ns, round);
        CHECK(running == 0 || curl_multi_poll(multi, NULL, 0, 1000, NULL) == CURLM_OK);
    } while (running > 0);
    curl_multi_cleanup(multi);
    json_destroy(journal);
    if (round->count[ROW_BARE] < WORKERS) {
        bench_give_up("the service", "was not asked about each job");
    }
}

/* --- the table --- */

static uint64_t percentile_us(const struct round *round, enum row row, size_t percent)
{
    return round->took_us[row][(round->count[row] - 1) * percent / 100];
}

/* Of each round's figure the median, and the least and the most of the p99. */
static void print_table(const struct round *rounds, size_t count)
{
    static const size_t percents[] = {50, 99, 100};
    double p99_ms[ROW_COUNT] = {0};
    printf("\n%d questions at once, %zu requests, %d ms an answer, %d at a time\n", WORKERS,
           rounds[0].count[ROW_BARE], ANSWER_MS, PER_HOST);
    printf("%-42s %9s %9s %9s %12s\n", "", "p50 ms", "p99 ms", "most ms", "p99 of rounds");
    for (enum row row = 0; row < ROW_COUNT; row++) {
        uint64_t of_rounds[ROUNDS_MAX];
        printf("%-42s", row_names[row]);
        for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
            for (size_t k = 0; k < count; k++) {
                of_rounds[k] = percentile_us(&rounds[k], row, percents[i]);
            }
            qsort(of_rounds, count, sizeof(*of_rounds), bench_compare_numbers);
            double median_ms = (double)of_rounds[count / 2] / 1e3;
            printf(" %9.0f", median_ms);
            p99_ms[row] = percents[i] == 99 ? median_ms : p99_ms[row];
        }
        for (size_t k = 0; k < count; k++) {
            of_rounds[k] = percentile_us(&rounds[k], row, 99);
        }
        qsort(of_rounds, count, sizeof(*of_rounds), bench_compare_numbers);
        printf(" %6.0f-%.0f\n", (double)of_rounds[0] / 1e3, (double)of_rounds[count - 1] / 1e3);
    }
    printf("%-42s %9s %9zu\n", "   arithmetic: requests x answer / places", "",
           rounds[0].count[ROW_BARE] * ANSWER_MS / PER_HOST);
    printf("\n%-42s %9.2f  (p99; below 5,000 ms wanted)\n", "f / g",
           p99_ms[ROW_ANSWERED] / p99_ms[ROW_BARE]);
    printf("%-42s %9.2f\n", "f to the completion / g", p99_ms[ROW_COMPLETED] / p99_ms[ROW_BARE]);
}

int main(int count, char **arguments)
{
    static struct round rounds[ROUNDS_MAX];
    CHECK(count == 2);
    bench_begin();
    atexit(stop_service);
    service = http_service_start(0);
    size_t round_count = bench_number("BENCH_ROUNDS", ROUNDS, ROUNDS_MAX);
    for (size_t i = 0; i < round_count; i++) {
        fill();
        struct json *journal = load_journal();
        size_t first = json_count(journal);
        json_destroy(journal);
        run_salvor(arguments[1]);
        load_times(&rounds[i]);
        run_bare(first, &rounds[i]);
        for (enum row row = 0; row < ROW_COUNT; row++) {
            qsort(rounds[i].took_us[row], rounds[i].count[row], sizeof(uint64_t),
                  bench_compare_numbers);
        }
        fprintf(stderr, "bench: questions, round %zu of %zu\n", i + 1, round_count);
    }
    print_table(rounds, round_count);
    return 0;
}
