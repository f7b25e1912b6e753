/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/verb.h"
#include "reducers/fold.h"

#ifndef SALVOR_VERSION
#define SALVOR_VERSION "0.1.0"
#endif

static const struct verb *const verbs[] = {
    &verb_run,   &verb_replay,  &verb_why,   &verb_send,
    &verb_audit, &verb_capture, &verb_check, &verb_diff,
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void print_usage(FILE *out)
{
    fprintf(out, "Usage: salvor VERB [options] …\n"
                 "       salvor VERB --help | --help | --version\n\nVerbs:\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        fprintf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
    }
}

static const struct verb *verb_named(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i]->name, name) == 0) {
            return verbs[i];
        }
    }
    return NULL;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

/* A reader that has seen enough, as `head` has, needs no complaint. */
static bool has_reader(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) != 1 || (output.revents & POLLERR) == 0;
}

/* What was printed must have arrived: a full disk behind a pipe is a failure too. */
static int finish(enum status status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (has_reader()) {
            perror("salvor: output");
        }
        return STATUS_FAILED;
    }
    return (int)status;
}

/* `part` may be NULL. */
static int help_of(const struct verb *verb, const char *part)
{
    verb = part != NULL && verb->part_count > 0 ? verb_part(verb, part) : verb;
    if (verb == NULL) {
        return STATUS_USAGE;
    }
    verb_help(verb);
    return finish(STATUS_FINE);
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    if (asks_for_help(argc, argv)) {
        return help_of(verb, NULL);
    }
    struct options options;
    if (!options_parse(verb, argc, argv, &options)) {
        return STATUS_USAGE;
    }
    if (verb->part_count > 0) {
        (void)verb_part(verb, argv[0]);
        return STATUS_USAGE;
    }
    return finish(verb->run(&options));
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_usage(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("salvor %s (reducers %d)\n", SALVOR_VERSION, REDUCERS_VERSION);
        return finish(STATUS_FINE);
    }
    bool is_help = strcmp(argv[1], "help") == 0 || strcmp(argv[1], "-h") == 0 ||
                   strcmp(argv[1], "--help") == 0;
    if (is_help && argc > 2 && verb_named(argv[2]) != NULL) {
        return help_of(verb_named(argv[2]), argv[3]);
    }
    if (is_help) {
        print_usage(stdout);
        return finish(STATUS_FINE);
    }
    const struct verb *verb = verb_named(argv[1]);
    if (verb == NULL) {
        fprintf(stderr, "salvor: unknown verb \"%s\"\n", argv[1]);
        print_usage(stderr);
        return STATUS_USAGE;
    }
    int used = 2;
    if (verb->part_count > 0 && (argc == 2 || argv[2][0] != '-')) {
        verb = verb_part(verb, argv[2]);
        if (verb == NULL) {
            return STATUS_USAGE;
        }
        used = 3;
    }
    return run_verb(verb, argc - used, argv + used);
}
