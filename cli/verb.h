/* SPDX-License-Identifier: MIT
 * What a verb of the command line is: one file each with a const entry at its top, all in main.c's
 * table. */
#ifndef SALVOR_CLI_VERB_H
#define SALVOR_CLI_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

/* What the process says at its end. */
enum status {
    STATUS_FINE = 0,
    STATUS_DIFFERENT = 1, /* a difference, or a negative answer */
    STATUS_USAGE = 2,
    STATUS_FAILED = 3, /* an operating failure */
};

struct option_rule {
    const char *name;  /* "--batch" */
    const char *brief; /* "-c"; NULL: none */
    const char *value; /* what stands behind it, for the help; NULL: a flag */
    const char *help;
};

#define OPTIONS_MAX   16
#define ARGUMENTS_MAX 64

/* A parsed command line; texts are borrowed from argv. */
struct options {
    const char *value[OPTIONS_MAX]; /* by place in the verb's rules; NULL: absent; a flag: "" */
    const char *arguments[ARGUMENTS_MAX];
    uint32_t argument_count;
};

struct verb {
    const char *name;      /* "replay"; of a part: "audit verify" */
    const char *arguments; /* for the help: "JOB"; of a verb with parts: "PART" */
    const char *summary;   /* one line */
    uint32_t argument_min, argument_max;
    const struct option_rule *options;
    uint32_t option_count;
    enum status (*run)(const struct options *options);
    void (*help_more)(void); /* prints what stands behind the options in the help; NULL: nothing */
    /* A verb of several parts has these and a name, arguments and a summary alone. */
    const struct verb *const *parts;
    uint32_t part_count;
};

/* Prints what is wrong and what is allowed, and returns false. */
bool options_parse(const struct verb *verb, int argc, char **argv, struct options *out);
/* Reads a number of an option; absent: `*out` stays. Prints and returns false when it is none
 * between `least` and `most`. */
bool options_number(const struct verb *verb, const struct options *options, uint32_t option,
                    uint64_t least, uint64_t most, uint64_t *out);
void verb_help(const struct verb *verb);
/* The part that `word` names ("verify"); NULL, and says what is allowed, when there is none. */
const struct verb *verb_part(const struct verb *verb, const char *word);
/* Appends a url of Redis without user and password. */
void verb_put_public_url(struct buffer *out, const char *url);
/* Prints "salvor VERB: message" and returns the status that belongs to the error's code. */
enum status verb_fail(const struct verb *verb, const struct error *error);

extern const struct verb verb_run, verb_replay, verb_why, verb_send, verb_audit, verb_capture,
    verb_check, verb_diff;

#endif
