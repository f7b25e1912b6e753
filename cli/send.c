/* SPDX-License-Identifier: MIT
 * `salvor send`: appends one event, checked before it leaves, and waits for what is decided. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/config.h"
#include "cli/policy_text.h"
#include "cli/send_wait.h"
#include "cli/services.h"
#include "cli/verb.h"
#include "reducers/codec.h"
#include "stream/names.h"
#include "stream/redis.h"

extern char **environ;

#define REDIS_TIMEOUT_MS 5000
#define WAIT_MS_MAX      3600000

enum { CONFIG, WAIT, JSON };

static const struct option_rule rules[] = {
    [CONFIG] = {.name = "--config",
                .brief = "-c",
                .value = "FILE",
                .help = "configuration (salvor.yaml if it is there)"},
    [WAIT] = {.name = "--wait",
              .value = "MS",
              .help = "wait so long for the decisions, which the local audit then tells"},
    [JSON] = {.name = "--json", .help = "print one JSON object"},
};

static enum status send_verb(const struct options *options);

const struct verb verb_send = {
    .name = "send",
    .arguments = "TYPE [KEY=VALUE …] | policy FILE",
    .summary = "Append an event to the stream, or put a policy into force.",
    .argument_min = 1,
    .argument_max = ENTRY_FIELDS_MAX,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = send_verb,
};

/* The fields of the entry to append, `type` first; texts are borrowed. */
struct message {
    struct span names[ENTRY_FIELDS_MAX], values[ENTRY_FIELDS_MAX];
    uint32_t count;
};

static void message_add(struct message *message, struct span name, struct span value)
{
    if (message->count < ENTRY_FIELDS_MAX) {
        message->names[message->count] = name;
        message->values[message->count++] = value;
    }
}

/* --- an event from the command line --- */

static void print_types(void)
{
    fprintf(stderr, "allowed: policy");
    for (uint32_t i = 1; i < EVENT_TYPE_COUNT; i++) {
        const struct type_rule *rule = event_type_rule((enum event_type)i);
        if (rule->reach == REACH_ANYONE) {
            fprintf(stderr, " %s", rule->name);
        }
    }
    fprintf(stderr, "\n");
}

static void print_fields(const struct type_rule *rule)
{
    fprintf(stderr, "allowed for %s:", rule->name);
    for (uint32_t i = 0; i < EVENT_FIELD_COUNT; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if (((rule->required | rule->optional | FIELDS_ON_ALL) & bit) != 0) {
            fprintf(stderr, " %s%s", event_field_rule((enum event_field)i)->name,
                    (rule->required & bit) != 0 ? "*" : "");
        }
    }
    fprintf(stderr, " (* required)\n");
}

static bool message_take(struct message *message, const struct type_rule *rule,
                         const char *argument)
{
    struct span value = span_of(argument);
    struct span name = span_cut(&value, '=');
    if (value.data == NULL) {
        fprintf(stderr, "salvor send: \"%s\": allowed: KEY=VALUE\n", argument);
        return false;
    }
    enum event_field field = event_field_named(name);
    uint64_t allowed = rule->required | rule->optional | FIELDS_ON_ALL;
    if (field == EVENT_FIELD_COUNT || ((allowed >> field) & 1) == 0) {
        fprintf(stderr, "salvor send: %.*s: no such field; ", SPAN_FORMAT(name));
        print_fields(rule);
        return false;
    }
    message_add(message, name, value);
    return true;
}

/* The same check that the fold will make. */
static bool message_check(const struct message *message, const struct type_rule *rule)
{
    struct buffer raw = {0};
    struct event event;
    struct span field = SPAN_NONE;
    codec_put_raw(&raw, message->names, message->values, message->count);
    struct entry entry = {.id = {1, 0}, .raw = buffer_span(&raw)};
    enum codec_problem problem = codec_decode(&entry, &event, &field);
    if (problem != CODEC_NONE) {
        fprintf(stderr, "salvor send: %.*s: %s; ", SPAN_FORMAT(field), codec_problem_text(problem));
        print_fields(rule);
    }
    buffer_fini(&raw);
    return problem == CODEC_NONE;
}

static bool message_from_arguments(struct message *message, const struct options *options)
{
    struct span name = span_of(options->arguments[0]);
    enum event_type type = event_type_named(name);
    if (type == EVENT_NONE || event_type_rule(type)->reach != REACH_ANYONE) {
        fprintf(stderr, "salvor send: \"%s\": %s; ", options->arguments[0],
                type == EVENT_NONE ? "no such event" : "the leader alone appends it");
        print_types();
        return false;
    }
    const struct type_rule *rule = event_type_rule(type);
    message_add(message, SPAN("type"), name);
    for (uint32_t i = 1; i < options->argument_count; i++) {
        if (!message_take(message, rule, options->arguments[i])) {
            return false;
        }
    }
    return message_check(message, rule);
}

/* --- a policy from a file: a configuration (.yaml, .yml) or a canonical text --- */

static bool is_yaml(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static bool policy_from_yaml(const char *path, struct policy_text *out)
{
    struct config config;
    struct connectors *connectors = NULL;
    bool is_read = config_load(&config, path, environ);
    bool is_fine = services_open(&config, &connectors) && is_read;
    if (is_fine) {
        *out = policy_text_make(&config.policy);
    } else {
        fwrite(config.problems.data, 1, config.problems.size, stderr);
    }
    connectors_destroy(connectors);
    config_fini(&config);
    return is_fine;
}

static bool policy_from_text(const char *path, struct policy_text *out)
{
    char text[POLICY_SIZE_MAX + 1];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t size = fread(text, 1, sizeof(text), file);
    bool is_read = ferror(file) == 0 && size <= POLICY_SIZE_MAX;
    fclose(file);
    struct error error = {0};
    if (!is_read) {
        error_set(&error, ERROR_USAGE, "allowed: a text of up to %d bytes", POLICY_SIZE_MAX);
    } else if (policy_text_read((struct span){text, size}, out, &error)) {
        return true;
    }
    fprintf(stderr, "salvor send: %s: %s\n", path, error.message);
    return false;
}

static bool message_from_policy(struct message *message, const struct options *options,
                                struct policy_text *policy)
{
    if (options->argument_count != 2) {
        fprintf(stderr, "salvor send policy: needs FILE, a configuration or a policy's text\n");
        return false;
    }
    const char *path = options->arguments[1];
    if (!(is_yaml(path) ? policy_from_yaml(path, policy) : policy_from_text(path, policy))) {
        return false;
    }
    message_add(message, SPAN("type"), SPAN("policy"));
    message_add(message, SPAN("text"), buffer_span(&policy->text));
    message_add(message, SPAN("origin"), SPAN("operator"));
    message_add(message, SPAN("hash"), span_of(policy->hash.text));
    return true;
}

/* --- sending --- */

static bool message_append(const struct message *message, const struct config *config,
                           struct stream_id *id, struct error *error)
{
    struct key_name stream = names_stream(config->prefix, 0);
    struct span arguments[3 + 2 * ENTRY_FIELDS_MAX] = {SPAN("XADD"), span_of(stream.text),
                                                       SPAN("*")};
    uint32_t count = 3;
    for (uint32_t i = 0; i < message->count; i++) {
        arguments[count++] = message->names[i];
        arguments[count++] = message->values[i];
    }
    struct redis *redis = redis_open(config->redis_url, REDIS_TIMEOUT_MS, error);
    if (redis == NULL) {
        return false;
    }
    const struct redis_reply *reply = redis_call(redis, arguments, count, error);
    bool is_sent = reply != NULL;
    if (is_sent && !stream_id_parse(redis_reply_text(reply), id)) {
        is_sent = error_set(error, ERROR_REFUSED, "XADD gave no id");
    }
    redis_close(redis);
    return is_sent;
}

static enum status message_send(const struct message *message, const struct config *config,
                                const struct options *options, uint64_t wait_ms)
{
    struct error error = {0};
    struct send_wait wait = {.data = config->data, .wait_ms = wait_ms};
    if (wait_ms > 0 && !send_wait_begin(&wait, &error)) {
        return verb_fail(&verb_send, &error);
    }
    enum status status = STATUS_FINE;
    if (!message_append(message, config, &wait.id, &error)) {
        status = verb_fail(&verb_send, &error);
    } else {
        bool is_decided = true;
        if (wait_ms > 0 && !send_wait_end(&wait, &is_decided, &error)) {
            status = verb_fail(&verb_send, &error);
        } else {
            send_wait_print(&wait, options->value[JSON] != NULL);
            status = is_decided && !wait.is_refused ? STATUS_FINE : STATUS_DIFFERENT;
        }
    }
    send_wait_fini(&wait);
    return status;
}

static enum status send_verb(const struct options *options)
{
    uint64_t wait_ms = 0;
    if (!options_number(&verb_send, options, WAIT, 0, WAIT_MS_MAX, &wait_ms)) {
        return STATUS_USAGE;
    }
    struct config config;
    struct policy_text policy = {0};
    struct message message = {.count = 0};
    enum status status = STATUS_USAGE;
    if (!config_load(&config, options->value[CONFIG], environ)) {
        fwrite(config.problems.data, 1, config.problems.size, stderr);
    } else if (strcmp(options->arguments[0], "policy") == 0
                   ? message_from_policy(&message, options, &policy)
                   : message_from_arguments(&message, options)) {
        status = message_send(&message, &config, options, wait_ms);
    }
    policy_text_fini(&policy);
    config_fini(&config);
    return status;
}
