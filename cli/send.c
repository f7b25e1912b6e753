/* SPDX-License-Identifier: MIT
 * `salvor send`: appends one event, checked before it leaves, and waits for what is decided. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/config.h"
#include "cli/send_policy.h"
#include "cli/send_wait.h"
#include "cli/verb.h"
#include "reducers/codec.h"
#include "stream/names.h"
#include "stream/redis.h"

extern char **environ;

#define REDIS_TIMEOUT_MS 5000
#define WAIT_MS_MAX      3600000

enum { CONFIG, WAIT, DRY_RUN, JSON };

static const struct option_rule rules[] = {
    [CONFIG] = {.name = "--config",
                .brief = "-c",
                .value = "FILE",
                .help = "configuration (salvor.yaml if it is there)"},
    [WAIT] = {.name = "--wait",
              .value = "MS",
              .help = "wait so long for the decisions, which the local audit then tells"},
    [DRY_RUN] = {.name = "--dry-run",
                 .help = "check, tell what a policy would change, send nothing"},
    [JSON] = {.name = "--json", .help = "print one JSON object"},
};

static enum status send_verb(const struct options *options);
static void print_help_more(void);

const struct verb verb_send = {
    .name = "send",
    .arguments = "TYPE [KEY=VALUE …] | policy FILE",
    .summary = "Append an event to the stream, or put a policy into force.",
    .argument_min = 1,
    .argument_max = ENTRY_FIELDS_MAX,
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = send_verb,
    .help_more = print_help_more,
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

static void print_types(FILE *out)
{
    fprintf(out, "policy");
    for (uint32_t i = 1; i < EVENT_TYPE_COUNT; i++) {
        const struct type_rule *rule = event_type_rule((enum event_type)i);
        if (rule->reach == REACH_ANYONE) {
            fprintf(out, " %s", rule->name);
        }
    }
    fprintf(out, "\n");
}

static void print_help_more(void)
{
    printf("\nTypes: ");
    print_types(stdout);
    printf("docs/events.md tells the fields of each; a mistake names those that are allowed.\n");
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
        fprintf(stderr, "allowed: ");
        print_types(stderr);
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

/* --- sending --- */

/* What the command line asks for; texts are borrowed. */
struct sending {
    struct config config;
    struct message message;
    struct send_policy policy; /* of a policy */
    bool is_policy, is_dry_run, is_json;
    uint64_t wait_ms;
};

static bool read_policy(struct sending *sending, const struct options *options)
{
    struct buffer problems = {0};
    if (options->argument_count != 2) {
        fprintf(stderr, "salvor send policy: needs FILE, a configuration or a policy's text\n");
        return false;
    }
    bool is_read =
        send_policy_read(&sending->policy, options->arguments[1], &sending->config, &problems);
    if (!is_read) {
        fwrite(problems.data, 1, problems.size, stderr);
    }
    buffer_fini(&problems);
    return is_read;
}

static bool message_append(const struct sending *sending, struct redis *redis, struct stream_id *id,
                           struct error *error)
{
    const struct message *message = &sending->message;
    struct key_name stream = names_stream(sending->config.prefix, 0);
    struct span arguments[3 + 2 * ENTRY_FIELDS_MAX] = {SPAN("XADD"), span_of(stream.text),
                                                       SPAN("*")};
    uint32_t count = 3;
    for (uint32_t i = 0; i < message->count; i++) {
        arguments[count++] = message->names[i];
        arguments[count++] = message->values[i];
    }
    const struct redis_reply *reply = redis_call(redis, arguments, count, error);
    if (reply != NULL && !stream_id_parse(redis_reply_text(reply), id)) {
        return error_set(error, ERROR_REFUSED, "XADD gave no id");
    }
    return reply != NULL;
}

/* What a policy changes is told before it is sent. */
static bool message_from_policy(struct sending *sending, struct redis *redis, struct error *error)
{
    if (!send_policy_compare(&sending->policy, &sending->config, redis, error)) {
        return false;
    }
    struct message *message = &sending->message;
    const struct policy_text *policy = &sending->policy.policy;
    message_add(message, SPAN("type"), SPAN("policy"));
    message_add(message, SPAN("text"), buffer_span(&policy->text));
    message_add(message, SPAN("origin"), SPAN("operator"));
    message_add(message, SPAN("hash"), span_of(policy->hash.text));
    const struct buffer *text = &sending->policy.text;
    if (!sending->is_json) {
        fwrite(text->data, 1, text->size, stdout);
        fflush(stdout);
    }
    return true;
}

static bool send_and_wait(const struct sending *sending, struct redis *redis,
                          struct send_wait *wait, bool *is_decided, struct error *error)
{
    return (wait->wait_ms == 0 || send_wait_begin(wait, error)) &&
           message_append(sending, redis, &wait->id, error) &&
           (wait->wait_ms == 0 || send_wait_end(wait, is_decided, error));
}

static void print_not_sent(const struct sending *sending)
{
    struct buffer out = {0};
    if (sending->is_json) {
        buffer_put_byte(&out, '{');
        buffer_put_span(&out, buffer_span(&sending->policy.json));
        json_put_truth(&out, "sent", false);
        buffer_put_byte(&out, '}');
    } else {
        buffer_put_text(&out,
                        sending->policy.is_unchanged ? "unchanged; not sent" : "valid; not sent");
    }
    buffer_put_byte(&out, '\n');
    fwrite(out.data, 1, out.size, stdout);
    buffer_fini(&out);
}

static enum status message_send(struct sending *sending)
{
    struct error error = {0};
    struct redis *redis = NULL;
    bool needs_redis = sending->is_policy || !sending->is_dry_run;
    if (needs_redis) {
        redis = redis_open(sending->config.redis_url, REDIS_TIMEOUT_MS, &error);
    }
    bool is_fine = redis != NULL || !needs_redis;
    if (is_fine && sending->is_policy) {
        is_fine = message_from_policy(sending, redis, &error);
    }
    struct send_wait wait = {
        .data = sending->config.data,
        .wait_ms = sending->wait_ms,
        .json_head = buffer_span(&sending->policy.json),
        .no_decision = sending->is_policy ? "in force\n" : "folded; it led to no decision\n",
    };
    bool is_decided = true;
    bool is_sent = !sending->is_dry_run && !sending->policy.is_unchanged;
    if (is_fine && !is_sent) {
        print_not_sent(sending);
    } else if (is_fine) {
        is_fine = send_and_wait(sending, redis, &wait, &is_decided, &error);
    }
    if (is_fine && is_sent) {
        send_wait_print(&wait, sending->is_json);
    }
    redis_close(redis);
    send_wait_fini(&wait);
    if (!is_fine) {
        return verb_fail(&verb_send, &error);
    }
    return is_decided && !wait.is_refused ? STATUS_FINE : STATUS_DIFFERENT;
}

static enum status send_verb(const struct options *options)
{
    struct sending sending = {
        .is_policy = strcmp(options->arguments[0], "policy") == 0,
        .is_dry_run = options->value[DRY_RUN] != NULL,
        .is_json = options->value[JSON] != NULL,
    };
    if (!options_number(&verb_send, options, WAIT, 0, WAIT_MS_MAX, &sending.wait_ms)) {
        return STATUS_USAGE;
    }
    enum status status = STATUS_USAGE;
    const char *config = options->value[CONFIG];
    bool is_of_file = sending.is_policy && config == NULL && options->argument_count == 2 &&
                      send_policy_names_target(options->arguments[1]);
    config = is_of_file ? options->arguments[1] : config;
    /* What is wrong with FILE is told when it is read as a policy. */
    if (!config_load(&sending.config, config, environ) && !is_of_file) {
        fwrite(sending.config.problems.data, 1, sending.config.problems.size, stderr);
    } else if (sending.is_policy ? read_policy(&sending, options)
                                 : message_from_arguments(&sending.message, options)) {
        status = message_send(&sending);
    }
    send_policy_fini(&sending.policy);
    config_fini(&sending.config);
    return status;
}
