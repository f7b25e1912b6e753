/* SPDX-License-Identifier: MIT */
#include "cli/verb.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

static void print_allowed(const struct verb *verb)
{
    fprintf(stderr, "; allowed:");
    for (uint32_t i = 0; i < verb->option_count; i++) {
        fprintf(stderr, " %s", verb->options[i].name);
    }
    fprintf(stderr, " --help\n");
}

/* The place of the option that `word` names (up to '='), or option_count. */
static uint32_t option_find(const struct verb *verb, const char *word, size_t size)
{
    uint32_t i = 0;
    for (; i < verb->option_count; i++) {
        const struct option_rule *rule = &verb->options[i];
        struct span name = {word, size};
        if (span_is(name, rule->name) || (rule->brief != NULL && span_is(name, rule->brief))) {
            break;
        }
    }
    return i;
}

/* Takes the option at argv[*at] with its value. */
static bool option_take(const struct verb *verb, int argc, char **argv, int *at,
                        struct options *out)
{
    const char *word = argv[*at];
    const char *equals = strchr(word, '=');
    size_t size = equals == NULL ? strlen(word) : (size_t)(equals - word);
    uint32_t place = option_find(verb, word, size);
    if (place == verb->option_count) {
        fprintf(stderr, "salvor %s: unknown option %.*s", verb->name, (int)size, word);
        print_allowed(verb);
        return false;
    }
    const struct option_rule *rule = &verb->options[place];
    if (rule->value == NULL && equals != NULL) {
        fprintf(stderr, "salvor %s: %s takes no value\n", verb->name, rule->name);
        return false;
    }
    if (rule->value != NULL && equals == NULL && *at + 1 == argc) {
        fprintf(stderr, "salvor %s: %s needs %s\n", verb->name, rule->name, rule->value);
        return false;
    }
    if (rule->value == NULL) {
        out->value[place] = "";
    } else {
        out->value[place] = equals != NULL ? equals + 1 : argv[++*at];
    }
    return true;
}

bool options_parse(const struct verb *verb, int argc, char **argv, struct options *out)
{
    CHECK(verb->option_count <= OPTIONS_MAX && verb->argument_max <= ARGUMENTS_MAX);
    *out = (struct options){0};
    bool has_ended = false; /* behind "--" */
    for (int i = 0; i < argc; i++) {
        if (!has_ended && strcmp(argv[i], "--") == 0) {
            has_ended = true;
        } else if (!has_ended && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!option_take(verb, argc, argv, &i, out)) {
                return false;
            }
        } else if (out->argument_count < verb->argument_max) {
            out->arguments[out->argument_count++] = argv[i];
        } else {
            fprintf(stderr, "salvor %s: \"%s\" is one argument too many; allowed: %s\n", verb->name,
                    argv[i], verb->argument_max > 0 ? verb->arguments : "none");
            return false;
        }
    }
    if (out->argument_count < verb->argument_min) {
        fprintf(stderr, "salvor %s: needs %s\n", verb->name, verb->arguments);
        return false;
    }
    return true;
}

bool options_number(const struct verb *verb, const struct options *options, uint32_t option,
                    uint64_t least, uint64_t most, uint64_t *out)
{
    const char *text = options->value[option];
    if (text == NULL) {
        return true;
    }
    uint64_t number;
    if (!span_to_number(span_of(text), most, &number) || number < least) {
        fprintf(stderr, "salvor %s: %s \"%s\": allowed: a whole number from %llu to %llu\n",
                verb->name, verb->options[option].name, text, (unsigned long long)least,
                (unsigned long long)most);
        return false;
    }
    *out = number;
    return true;
}

void verb_help(const struct verb *verb)
{
    printf("Usage: salvor %s%s%s%s\n%s\n", verb->name, verb->option_count > 0 ? " [options]" : "",
           verb->arguments[0] != '\0' ? " " : "", verb->arguments, verb->summary);
    if (verb->option_count > 0) {
        printf("\nOptions:\n");
    }
    for (uint32_t i = 0; i < verb->option_count; i++) {
        const struct option_rule *rule = &verb->options[i];
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s%s%s", rule->brief != NULL ? rule->brief : "",
                 rule->brief != NULL ? ", " : "", rule->name, rule->value != NULL ? " " : "",
                 rule->value != NULL ? rule->value : "");
        printf("  %-24s %s\n", left, rule->help);
    }
    if (verb->part_count > 0) {
        printf("\nParts, each with a --help of its own:\n");
    }
    for (uint32_t i = 0; i < verb->part_count; i++) {
        printf("  salvor %-20s %s\n", verb->parts[i]->name, verb->parts[i]->summary);
    }
    if (verb->help_more != NULL) {
        verb->help_more();
    }
    printf("\nExit: 0 fine, 1 a difference or a negative answer, 2 usage, 3 operating failure.\n");
}

/* "verify" of "audit verify". */
static const char *part_name(const struct verb *part)
{
    const char *blank = strchr(part->name, ' ');
    CHECK(blank != NULL);
    return blank + 1;
}

const struct verb *verb_part(const struct verb *verb, const char *word)
{
    for (uint32_t i = 0; word != NULL && i < verb->part_count; i++) {
        if (strcmp(part_name(verb->parts[i]), word) == 0) {
            return verb->parts[i];
        }
    }
    fprintf(stderr, "salvor %s: ", verb->name);
    if (word == NULL) {
        fprintf(stderr, "needs a part; allowed:");
    } else {
        fprintf(stderr, "unknown part \"%s\"; allowed:", word);
    }
    for (uint32_t i = 0; i < verb->part_count; i++) {
        fprintf(stderr, " %s", part_name(verb->parts[i]));
    }
    fputc('\n', stderr);
    return NULL;
}

void verb_put_public_url(struct buffer *out, const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *secret_end = strrchr(url, '@');
    if (scheme == NULL || secret_end == NULL || strncmp(url, "unix:", 5) == 0) {
        buffer_put_text(out, url);
        return;
    }
    buffer_put(out, url, (size_t)(scheme - url) + 3);
    buffer_put_text(out, "***");
    buffer_put_text(out, secret_end);
}

enum status verb_fail(const struct verb *verb, const struct error *error)
{
    fprintf(stderr, "salvor %s: %s\n", verb->name, error->message);
    switch (error->code) {
    case ERROR_USAGE:
        return STATUS_USAGE;
    case ERROR_DIFFERENT:
        return STATUS_DIFFERENT;
    default:
        return STATUS_FAILED;
    }
}
