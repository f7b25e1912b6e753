/* SPDX-License-Identifier: MIT
 * The simulated fleet, for tests and the demo: each worker is a process of its own, so that it can
 * truly be killed.
 *
 *   fleet --redis URL [--service URL] --workers N [--script FILE] [--heartbeat-ms N] [--prefix P]
 *         [--name W] [--failures queue|salvor]
 *   fleet submit --redis URL [--prefix P] [--count N] JOB PAYLOAD
 *
 * The first form starts workers W-1 … W-N (worker-1 …), says `W-i PID` for each and later what
 * becomes of it, and runs until SIGTERM or SIGINT, which the workers get too: they then leave by
 * plan. A worker that was killed stays dead. --failures says who retries failed jobs, as Salvor's
 * own queue.failures does (queue). FILE holds jobs to submit first: a line `JOB PAYLOAD`
 * each; empty lines and lines that begin with # are skipped. The second form submits one job, or N:
 * JOB-1 … JOB-N. What a payload can say stands in tests/lib/fleet_worker.h and fleet_queue.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "tests/lib/fleet_queue.h"
#include "tests/lib/fleet_worker.h"

#define WORKERS_MAX   4096
#define LINE_SIZE_MAX 65536
#define HEARTBEAT_MS  200

struct arguments {
    const char *redis, *service, *prefix, *script, *name, *failures;
    unsigned long workers, heartbeat_ms, count;
    const char *words[2]; /* JOB PAYLOAD */
    int word_count;
};

static int usage(void)
{
    fprintf(stderr, "usage: fleet --redis URL [--service URL] --workers N [--script FILE]\n"
                    "             [--heartbeat-ms N] [--prefix P] [--name W]\n"
                    "             [--failures queue|salvor]\n"
                    "       fleet submit --redis URL [--prefix P] [--count N] JOB PAYLOAD\n");
    return 2;
}

static bool parse(int argc, char **argv, struct arguments *out)
{
    const struct {
        const char *name;
        const char **text;
        unsigned long *number;
    } options[] = {
        {"--redis", &out->redis, NULL},
        {"--service", &out->service, NULL},
        {"--prefix", &out->prefix, NULL},
        {"--script", &out->script, NULL},
        {"--name", &out->name, NULL},
        {"--workers", NULL, &out->workers},
        {"--heartbeat-ms", NULL, &out->heartbeat_ms},
        {"--count", NULL, &out->count},
        {"--failures", &out->failures, NULL},
    };
    for (int i = 0; i < argc; i++) {
        size_t k = 0, count = sizeof(options) / sizeof(options[0]);
        while (k < count && strcmp(argv[i], options[k].name) != 0) {
            k++;
        }
        if (k < count && i + 1 < argc) {
            i++;
            if (options[k].text != NULL) {
                *options[k].text = argv[i];
            } else {
                *options[k].number = strtoul(argv[i], NULL, 10);
            }
        } else if (k == count && argv[i][0] != '-' && out->word_count < 2) {
            out->words[out->word_count++] = argv[i];
        } else {
            return false;
        }
    }
    return out->redis != NULL;
}

static int submit(const struct arguments *arguments)
{
    struct queue *queue = queue_open(arguments->redis, arguments->prefix, -1);
    if (arguments->count == 0) {
        queue_submit(queue, arguments->words[0], arguments->words[1]);
    }
    for (unsigned long i = 1; i <= arguments->count; i++) {
        char id[QUEUE_ID_MAX + 1];
        snprintf(id, sizeof(id), "%s-%lu", arguments->words[0], i);
        queue_submit(queue, id, arguments->words[1]);
    }
    queue_close(queue);
    return 0;
}

static bool submit_script(const struct arguments *arguments)
{
    static char line[LINE_SIZE_MAX];
    FILE *file = fopen(arguments->script, "r");
    if (file == NULL) {
        perror(arguments->script);
        return false;
    }
    struct queue *queue = queue_open(arguments->redis, arguments->prefix, -1);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        char *payload = strchr(line, ' ');
        if (line[0] != '#' && payload != NULL) {
            *payload = 0;
            queue_submit(queue, line, payload + 1);
        }
    }
    queue_close(queue);
    fclose(file);
    return true;
}

static pid_t start_worker(const struct arguments *arguments, unsigned long number, int signals)
{
    char id[64];
    pid_t parent = getpid();
    snprintf(id, sizeof(id), "%s-%lu", arguments->name, number);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) {
            _exit(0); /* the fleet died before the line above */
        }
        struct worker_config config = {.redis = arguments->redis,
                                       .prefix = arguments->prefix,
                                       .service = arguments->service,
                                       .id = id,
                                       .heartbeat_ms = arguments->heartbeat_ms,
                                       .leaves_failures =
                                           strcmp(arguments->failures, "salvor") == 0,
                                       .signals = signals};
        exit(worker_run(&config));
    }
    printf("%s %ld\n", id, (long)pid);
    fflush(stdout);
    return pid;
}

/* Takes the ends of workers in; returns how many ended. */
static unsigned long reap(const struct arguments *arguments, pid_t *pids)
{
    unsigned long ended = 0;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (unsigned long i = 0; i < arguments->workers; i++) {
            if (pids[i] == pid) {
                pids[i] = 0;
                ended++;
                printf("%s-%lu %s\n", arguments->name, i + 1,
                       WIFSIGNALED(status) ? "was killed" : "left");
                fflush(stdout);
            }
        }
    }
    return ended;
}

static int run_fleet(const struct arguments *arguments)
{
    if (arguments->script != NULL && !submit_script(arguments)) {
        return 3;
    }
    sigset_t watched, ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    watched = ending;
    sigaddset(&watched, SIGCHLD);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    int worker_signals = signalfd(-1, &ending, SFD_CLOEXEC);
    int signals = signalfd(-1, &watched, SFD_CLOEXEC);
    CHECK(worker_signals >= 0 && signals >= 0);
    pid_t *pids = mem_zero(arguments->workers * sizeof(*pids));
    for (unsigned long i = 0; i < arguments->workers; i++) {
        pids[i] = start_worker(arguments, i + 1, worker_signals);
    }
    bool is_ending = false;
    unsigned long alive = arguments->workers;
    while (alive > 0 || !is_ending) {
        struct signalfd_siginfo info;
        if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
            break;
        }
        if (info.ssi_signo == SIGCHLD) {
            alive -= reap(arguments, pids);
            continue;
        }
        is_ending = true;
        for (unsigned long i = 0; i < arguments->workers; i++) {
            if (pids[i] > 0) {
                kill(pids[i], SIGTERM);
            }
        }
    }
    mem_free(pids);
    close(signals);
    close(worker_signals);
    return 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .prefix = "salvor", .name = "worker", .failures = "queue", .heartbeat_ms = HEARTBEAT_MS};
    bool is_submit = argc > 1 && strcmp(argv[1], "submit") == 0;
    int skipped = is_submit ? 2 : 1;
    signal(SIGPIPE, SIG_IGN); /* a Redis that goes away is waited for */
    if (!parse(argc - skipped, argv + skipped, &arguments)) {
        return usage();
    }
    if (is_submit) {
        return arguments.word_count == 2 ? submit(&arguments) : usage();
    }
    bool is_good =
        arguments.workers > 0 && arguments.workers <= WORKERS_MAX && arguments.word_count == 0 &&
        arguments.heartbeat_ms > 0 &&
        (strcmp(arguments.failures, "queue") == 0 || strcmp(arguments.failures, "salvor") == 0);
    return is_good ? run_fleet(&arguments) : usage();
}
