/* SPDX-License-Identifier: MIT
 * `salvor run`: live work. Joins what is remembered (the journal), the stream (live) and the
 * services (connectors), and runs the loop until it is asked to stop. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/config.h"
#include "cli/policy_text.h"
#include "cli/services.h"
#include "cli/tell.h"
#include "cli/verb.h"
#include "replay/journal.h"
#include "replay/owner.h"
#include "stream/live.h"

extern char **environ;

enum { CONFIG, LOG_FORMAT, LOG_LEVEL };

static const struct option_rule rules[] = {
    [CONFIG] = {.name = "--config",
                .brief = "-c",
                .value = "FILE",
                .help = "configuration (salvor.yaml if it is there)"},
    [LOG_FORMAT] = {.name = "--log-format", .value = "FORMAT", .help = "logfmt (default) or json"},
    [LOG_LEVEL] = {.name = "--log-level",
                   .value = "LEVEL",
                   .help = "debug, info (default), warning or error"},
};

static enum status run_verb(const struct options *options);

const struct verb verb_run = {
    .name = "run",
    .arguments = "",
    .summary = "Watch a fleet: read its events, decide, record, act, until SIGTERM or SIGINT.",
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = run_verb,
};

/* --- stopping --- */

static volatile sig_atomic_t stop_asked;
static int wake_fd = -1; /* written when a stop is asked or an answer waits */

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    int cause = errno;
    const uint64_t one = 1;
    stop_asked = 1;
    ssize_t written = write(wake_fd, &one, sizeof(one));
    (void)written; /* a full counter wakes as well */
    errno = cause;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

/* The connectors' thread is made with these signals blocked: they come to the loop's thread. */
static void block_signals(int how)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(how, &signals, NULL);
}

/* --- questions and answers --- */

static bool ask_connectors(void *self, const struct effect_request *request)
{
    return connectors_ask(self, request);
}

static bool take_report(void *self, struct service_report *out)
{
    return connectors_take_report(self, out);
}

/* --- the parts of one run, in the order in which they are opened --- */

struct run {
    struct config config;
    struct connectors *connectors;
    struct policy_text policy;
    struct owner owner;
    struct state *state;
    struct journal *journal;
    struct live *live;
    struct teller *teller;
};

static const char *effects_text(bool applies)
{
    return applies ? "apply" : "observe";
}

/* The policy in force is that of the stream, as far as it was folded; the file's may come into
 * force later, or never. */
static void log_start(const struct run *run)
{
    struct state_summary summary = state_summary(run->state);
    struct buffer url = {0};
    struct buffer position = {0};
    struct policy in_force;
    struct span bad;
    char hash[sizeof(struct sha256_text)] = "none";
    bool applies = summary.policy_hash.size > 0 &&
                   policy_parse_text(summary.policy_text, &in_force, &bad) &&
                   policy_applies(&in_force);
    if (summary.policy_hash.size > 0) {
        snprintf(hash, sizeof(hash), "%.*s", SPAN_FORMAT(summary.policy_hash));
    }
    verb_put_public_url(&url, run->config.redis_url);
    buffer_put_byte(&url, '\0');
    stream_id_put(&position, summary.position);
    buffer_put_byte(&position, '\0');
    log_fact(LOG_INFO, "started", "partition", log_number(summary.partition), "owner",
             run->owner.id, "data", run->config.data, "redis", url.data, "prefix",
             run->config.prefix, "queue", run->config.queue_layout, "reducers",
             log_number(REDUCERS_VERSION), "ordinal", log_number(summary.ordinal), "position",
             position.data, "epoch", log_number(summary.epoch), "policy", hash, "effects",
             effects_text(applies), "file_policy", run->policy.hash.text, "file_effects",
             effects_text(policy_applies(&run->config.policy)), "services",
             log_number(run->config.service_count), NULL);
    buffer_fini(&url);
    buffer_fini(&position);
}

static void log_notes(const struct run *run)
{
    struct span rest = buffer_span(&run->config.notes);
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        char text[512];
        snprintf(text, sizeof(text), "%.*s", SPAN_FORMAT(line));
        log_fact(LOG_WARNING, "setting_without_effect", "setting", text, "why",
                 "nothing in this build reads it", NULL);
    }
}

static bool open_live(struct run *run, struct error *error)
{
    struct live_config config = {
        .url = run->config.redis_url,
        .prefix = run->config.prefix,
        .queue_prefix = run->config.queue_prefix,
        .partition = 0,
        .partitions = (uint32_t)run->config.partitions,
        .tick_ms = run->config.tick_ms,
        .lease_ms = run->config.lease_ms,
        .owner = run->owner.id,
        .policy_text = buffer_span(&run->policy.text),
        .policy_hash = run->policy.hash.text,
        .applies = policy_applies(&run->config.policy),
        .asker = {.self = run->connectors, .ask = ask_connectors, .take_report = take_report},
        .wake_fd = wake_fd,
        .stop = &stop_asked,
    };
    run->live = live_open(&config, error);
    if (run->live == NULL) {
        return false;
    }
    struct sha256 anchor = journal_anchor(run->journal);
    live_resume(run->live, journal_position(run->journal).ordinal, &anchor);
    return true;
}

static bool open_journal(struct run *run, struct error *error)
{
    struct journal_config config = {
        .data = run->config.data,
        .partition = 0,
        .snapshot_entries = JOURNAL_SNAPSHOT_ENTRIES,
        .snapshot_ms = run->config.capture_rotate_ms,
        .rotate_bytes = run->config.capture_rotate_bytes,
        .keep_ms = run->config.capture_keep_ms,
        .keep_bytes = run->config.capture_keep_bytes,
        .audit_keep_ms = run->config.audit_keep_ms,
    };
    run->journal = journal_open(&config, &run->state, error);
    return run->journal != NULL;
}

static bool work(struct run *run, struct error *error)
{
    run->teller = teller_create();
    struct loop loop = {
        .state = run->state,
        .source = live_source(run->live),
        .sinks = {journal_sink(run->journal), teller_sink(run->teller), live_sink(run->live)},
        .sink_count = 3,
        .has_crash_points = true,
    };
    block_signals(SIG_BLOCK);
    bool is_started = connectors_start(run->connectors, wake_fd, error);
    block_signals(SIG_UNBLOCK);
    return is_started && loop_run(&loop, error) && journal_stop(run->journal, run->state, error);
}

static void close_all(struct run *run)
{
    live_close(run->live);
    teller_destroy(run->teller);
    connectors_destroy(run->connectors);
    journal_close(run->journal);
    if (run->state != NULL) {
        state_destroy(run->state);
    }
    owner_close(&run->owner);
    policy_text_fini(&run->policy);
    config_fini(&run->config);
}

/* A stop that was asked while something still waited for Redis is no failure. */
static enum status end(struct run *run, bool is_fine, const struct error *error)
{
    if (is_fine || (stop_asked && error->code == ERROR_STOPPED)) {
        struct state_summary summary = {0};
        if (run->state != NULL) {
            summary = state_summary(run->state);
        }
        log_fact(LOG_INFO, "stopped", "ordinal", log_number(summary.ordinal), "epoch",
                 log_number(summary.epoch), "effects_open", log_number(summary.effects_open), NULL);
        return STATUS_FINE;
    }
    log_fact(LOG_ERROR, "failed", "code", error_code_text(error->code), "message", error->message,
             NULL);
    return error->code == ERROR_USAGE ? STATUS_USAGE : STATUS_FAILED;
}

static bool configure_log(const struct options *options)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    const char *format = options->value[LOG_FORMAT];
    const char *level = options->value[LOG_LEVEL];
    enum log_level least = LOG_INFO;
    bool is_json = format != NULL && strcmp(format, "json") == 0;
    if (format != NULL && !is_json && strcmp(format, "logfmt") != 0) {
        fprintf(stderr, "salvor run: --log-format \"%s\": allowed: logfmt, json\n", format);
        return false;
    }
    bool is_known = level == NULL;
    for (size_t i = 0; !is_known && i < sizeof(levels) / sizeof(levels[0]); i++) {
        is_known = strcmp(level, levels[i]) == 0;
        least = (enum log_level)(LOG_DEBUG + i);
    }
    if (!is_known) {
        fprintf(stderr, "salvor run: --log-level \"%s\": allowed: debug, info, warning, error\n",
                level);
        return false;
    }
    log_configure(least, is_json ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT);
    return true;
}

static enum status run_verb(const struct options *options)
{
    if (!configure_log(options)) {
        return STATUS_USAGE;
    }
    struct run run = {.owner = {.fd = -1}};
    struct error error = {0};
    /* Both, so that every problem is named at once. */
    bool is_read = config_load(&run.config, options->value[CONFIG], environ);
    if (!services_open(&run.config, &run.connectors) || !is_read) {
        fwrite(run.config.problems.data, 1, run.config.problems.size, stderr);
        close_all(&run);
        return STATUS_USAGE;
    }
    run.policy = policy_text_make(&run.config.policy);
    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd < 0) {
        perror("salvor run: eventfd");
        close_all(&run);
        return STATUS_FAILED;
    }
    catch_signals();
    log_notes(&run);
    bool is_fine = owner_open(run.config.data, &run.owner, &error) && open_journal(&run, &error);
    if (is_fine) {
        log_start(&run);
        is_fine = open_live(&run, &error) && work(&run, &error);
    }
    enum status status = end(&run, is_fine, &error);
    close_all(&run);
    return status;
}
