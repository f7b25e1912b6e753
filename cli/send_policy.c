/* SPDX-License-Identifier: MIT */
#include "cli/send_policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/config_rules.h"
#include "cli/policy_in_force.h"
#include "cli/services.h"

extern char **environ;

/* --- reading --- */

static bool is_yaml(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* A file that tells a policy alone leaves what is known of the services as it is. */
static bool take_facts(struct config *config, struct config *own)
{
    bool is_own = config->service_count == 0;
    struct config *source = is_own ? own : config;
    bool is_fine = services_load_facts(source);
    if (!is_fine && is_own) {
        buffer_put_span(&config->problems, buffer_span(&own->problems));
    }
    for (uint32_t i = 0; is_fine && is_own && i < own->service_count; i++) {
        struct span name = span_of(own->services[i].name);
        if (!policy_set_facts(&config->policy, name, policy_facts(&own->policy, name))) {
            config_problem(config, config->file, "services.%s: one service too many",
                           own->services[i].name);
            is_fine = false;
        }
    }
    return is_fine;
}

static bool read_yaml(struct send_policy *sending, const char *path, struct config *own,
                      struct buffer *problems)
{
    struct config config;
    bool is_read = config_load(&config, path, environ);
    bool is_fine = take_facts(&config, own) && is_read;
    if (is_fine) {
        sending->policy = policy_text_make(&config.policy);
    }
    buffer_put_span(problems, buffer_span(&config.problems));
    config_fini(&config);
    return is_fine;
}

static void put_problem(struct buffer *problems, const char *path, const char *text)
{
    buffer_put_text(problems, path);
    buffer_put_text(problems, ": ");
    buffer_put_text(problems, text);
    buffer_put_byte(problems, '\n');
}

static bool read_text(struct send_policy *sending, const char *path, struct buffer *problems)
{
    struct buffer bytes = {0};
    bool is_fine = false;
    if (!config_read_file(path, &bytes)) {
        put_problem(problems, path, strerror(errno));
    } else if (bytes.size > POLICY_SIZE_MAX) {
        put_problem(problems, path, "allowed: a text of up to 32768 bytes");
    } else {
        is_fine = policy_text_read(buffer_span(&bytes), path, &sending->policy, &sending->unnamed,
                                   problems);
    }
    buffer_fini(&bytes);
    return is_fine;
}

_Static_assert(POLICY_SIZE_MAX == 32768, "the message of read_text says so");

bool send_policy_read(struct send_policy *sending, const char *path, struct config *own,
                      struct buffer *problems)
{
    return is_yaml(path) ? read_yaml(sending, path, own, problems)
                         : read_text(sending, path, problems);
}

/* --- what changes --- */

static void put_value(struct buffer *out, struct span value)
{
    if (value.size > 0) {
        buffer_put_span(out, value);
    } else {
        buffer_put_text(out, "(not told)");
    }
}

static void put_difference(void *self, struct span key, struct span before, struct span after)
{
    struct send_policy *sending = self;
    struct buffer *text = &sending->text, *json = &sending->json;
    buffer_put_span(text, key);
    buffer_put_text(text, ": ");
    put_value(text, before);
    buffer_put_text(text, " -> ");
    put_value(text, after);
    buffer_put_byte(text, '\n');
    buffer_put_text(json, json->data[json->size - 1] == '[' ? "{" : ",{");
    json_put_text(json, "key", key);
    if (before.size > 0) {
        json_put_text(json, "before", before);
    }
    if (after.size > 0) {
        json_put_text(json, "after", after);
    }
    buffer_put_byte(json, '}');
}

static void put_unnamed(struct send_policy *sending)
{
    struct buffer *text = &sending->text, *json = &sending->json;
    const char *before = "not named, so as in the preset safe: ";
    json_put_key(json, "not_named");
    buffer_put_byte(json, '[');
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        if ((sending->unnamed & (UINT64_C(1) << key)) != 0) {
            const char *name = policy_key_rule(key)->key;
            buffer_put_text(text, before);
            buffer_put_text(text, name);
            before = ", ";
            buffer_put_text(json, json->data[json->size - 1] == '[' ? "" : ",");
            buffer_put_json_string(json, span_of(name));
        }
    }
    buffer_put_byte(json, ']');
    if (sending->unnamed != 0) {
        buffer_put_byte(text, '\n');
    }
}

static void put_changes(struct send_policy *sending, const struct policy_in_force *in_force)
{
    struct buffer *text = &sending->text, *json = &sending->json;
    struct span hash = span_of(sending->policy.hash.text);
    json_put_key(json, "policy");
    buffer_put_byte(json, '{');
    json_put_text(json, "hash", hash);
    if (!in_force->is_known) {
        buffer_put_text(text, "what changes can not be told; the policy in force is not known: ");
        buffer_put_text(text, in_force->why_not);
        buffer_put_byte(text, '\n');
        json_put_text(json, "not_known", span_of(in_force->why_not));
    } else {
        json_put_text(json, "in_force", span_of(in_force->text.hash.text));
        json_put_key(json, "changes");
        buffer_put_byte(json, '[');
        if (policy_text_compare(buffer_span(&in_force->text.text),
                                buffer_span(&sending->policy.text), put_difference, sending) == 0) {
            buffer_put_text(text, "unchanged\n");
        }
        buffer_put_byte(json, ']');
    }
    put_unnamed(sending);
    buffer_put_byte(json, '}');
}

bool send_policy_compare(struct send_policy *sending, const struct config *own, struct redis *redis,
                         struct error *error)
{
    struct policy_in_force in_force = {0};
    bool is_read = policy_in_force_read(own, redis, &in_force, error);
    if (is_read) {
        put_changes(sending, &in_force);
    }
    policy_in_force_fini(&in_force);
    return is_read;
}

void send_policy_fini(struct send_policy *sending)
{
    policy_text_fini(&sending->policy);
    buffer_fini(&sending->text);
    buffer_fini(&sending->json);
}
