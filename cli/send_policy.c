/* SPDX-License-Identifier: MIT */
#include "cli/send_policy.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/config_rules.h"
#include "cli/policy_file.h"
#include "cli/policy_in_force.h"
#include "cli/services.h"
#include "cli/verb.h"
#include "replay/policy_facts.h"
#include "stream/names.h"

extern char **environ;

#define TOO_MANY_SERVICES "one service too many with those whose volatile and retention_ms are kept"

/* --- reading --- */

bool send_policy_names_target(const char *path)
{
    return policy_file_is_yaml(path) &&
           (policy_file_names(path, "redis", "url") || policy_file_names(path, "salvor", "prefix"));
}

/* Another fleet's policy is not changed by mistake. */
static void check_target(struct config *config, const struct config *own)
{
    static const char message[] = "%s: not that of %s; allowed: the same, or no -c";
    if (policy_file_names(config->file, "redis", "url") &&
        strcmp(config->redis_url, own->redis_url) != 0) {
        config_problem(config, config->file, message, "redis.url", own->file);
    }
    if (policy_file_names(config->file, "salvor", "prefix") &&
        strcmp(config->prefix, own->prefix) != 0) {
        config_problem(config, config->file, message, "salvor.prefix", own->file);
    }
}

static void tell_kept(void *payload, const struct policy_service *service)
{
    struct buffer *kept = payload;
    struct span name = {service->name, service->name_size};
    buffer_put_text(kept, kept->size > 0 ? " service." : "service.");
    buffer_put_span(kept, name);
    buffer_put_text(kept, service->facts.is_volatile ? ".volatile=true" : ".volatile=false");
    if (service->facts.retention_ms > 0) {
        buffer_put_text(kept, " service.");
        buffer_put_span(kept, name);
        buffer_put_text(kept, ".retention_ms=");
        buffer_put_decimal(kept, service->facts.retention_ms);
    }
}

static bool keep_facts(struct send_policy *sending, const struct policy *known)
{
    return policy_keep_facts(&sending->told, known, tell_kept, &sending->kept);
}

static void put_problem(struct buffer *problems, const char *path, const char *text)
{
    buffer_put_text(problems, path);
    buffer_put_text(problems, ": ");
    buffer_put_text(problems, text);
    buffer_put_byte(problems, '\n');
}

static bool keep_own_facts(struct send_policy *sending, struct config *own, const char *path,
                           struct buffer *problems)
{
    sending->keeps_facts = true;
    if (!services_load_facts(own)) {
        buffer_put_span(problems, buffer_span(&own->problems));
        return false;
    }
    if (!keep_facts(sending, &own->policy)) {
        put_problem(problems, path, TOO_MANY_SERVICES);
        return false;
    }
    return true;
}

static bool read_yaml(struct send_policy *sending, const char *path, struct config *own,
                      struct buffer *problems)
{
    struct config config;
    bool is_fine = config_load(&config, path, environ);
    is_fine = services_load_facts(&config) && is_fine;
    check_target(&config, own);
    is_fine = is_fine && config.problems.size == 0;
    sending->told = config.policy;
    if (is_fine && config.service_count == 0) {
        is_fine = keep_own_facts(sending, own, path, problems);
    }
    buffer_put_span(problems, buffer_span(&config.problems));
    config_fini(&config);
    return is_fine;
}

static bool read_text(struct send_policy *sending, const char *path, struct config *own,
                      struct buffer *problems)
{
    return policy_file_read_text(path, &sending->told, &sending->unnamed, problems) &&
           keep_own_facts(sending, own, path, problems);
}

bool send_policy_read(struct send_policy *sending, const char *path, struct config *own,
                      struct buffer *problems)
{
    return policy_file_is_yaml(path) ? read_yaml(sending, path, own, problems)
                                     : read_text(sending, path, own, problems);
}

/* --- what changes --- */

static bool is_fact(struct span key)
{
    struct span name = SPAN_NONE;
    while (key.data != NULL) {
        name = span_cut(&key, '.');
    }
    return span_is(name, "volatile") || span_is(name, "retention_ms");
}

static void put_value(struct buffer *out, struct span key, struct span value)
{
    if (value.size > 0) {
        buffer_put_span(out, value);
    } else {
        buffer_put_text(out, is_fact(key) ? "(not told)" : "(as the policy of all)");
    }
}

static void put_difference(void *self, struct span key, struct span before, struct span after)
{
    struct send_policy *sending = self;
    struct buffer *text = &sending->text, *json = &sending->json;
    buffer_put_span(text, key);
    buffer_put_text(text, ": ");
    put_value(text, key, before);
    buffer_put_text(text, " -> ");
    put_value(text, key, after);
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

static void put_kept(struct send_policy *sending)
{
    struct buffer *text = &sending->text, *json = &sending->json;
    struct span rest = buffer_span(&sending->kept);
    json_put_key(json, "kept");
    buffer_put_byte(json, '[');
    if (rest.size > 0) {
        buffer_put_text(text, "not told, so kept as known: ");
        buffer_put_span(text, rest);
        buffer_put_byte(text, '\n');
    }
    while (rest.size > 0) {
        buffer_put_text(json, json->data[json->size - 1] == '[' ? "" : ",");
        buffer_put_json_string(json, span_cut(&rest, ' '));
    }
    buffer_put_byte(json, ']');
}

/* Whose policy it is that changes. */
static void put_target(struct send_policy *sending, const struct config *own)
{
    struct buffer url = {0};
    struct key_name stream = names_stream(own->prefix, 0);
    verb_put_public_url(&url, own->redis_url);
    buffer_put_text(&sending->text, "to ");
    buffer_put_span(&sending->text, buffer_span(&url));
    buffer_put_text(&sending->text, ", stream ");
    buffer_put_text(&sending->text, stream.text);
    buffer_put_byte(&sending->text, '\n');
    json_put_text(&sending->json, "redis", buffer_span(&url));
    json_put_text(&sending->json, "stream", span_of(stream.text));
    buffer_fini(&url);
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
            sending->is_unchanged = true;
        }
        buffer_put_byte(json, ']');
    }
    put_unnamed(sending);
    put_kept(sending);
    buffer_put_byte(json, '}');
}

/* The facts of the policy in force, where FILE leaves them; then the text that is sent. */
static bool make_text(struct send_policy *sending, const struct policy_in_force *in_force,
                      struct error *error)
{
    struct policy known;
    struct span bad;
    if (sending->keeps_facts && in_force->is_known &&
        policy_parse_text(buffer_span(&in_force->text.text), &known, &bad) &&
        !keep_facts(sending, &known)) {
        return error_set(error, ERROR_USAGE, TOO_MANY_SERVICES);
    }
    sending->policy = policy_text_make(&sending->told);
    return sending->policy.text.size <= POLICY_SIZE_MAX ||
           error_set(error, ERROR_USAGE, "the policy's text has %zu bytes; allowed: %d",
                     sending->policy.text.size, POLICY_SIZE_MAX);
}

bool send_policy_compare(struct send_policy *sending, const struct config *own, struct redis *redis,
                         struct error *error)
{
    struct policy_in_force in_force = {0};
    bool is_read = policy_in_force_read(own, redis, &in_force, error);
    bool is_made = is_read && make_text(sending, &in_force, error);
    if (is_made) {
        put_target(sending, own);
        put_changes(sending, &in_force);
    }
    policy_in_force_fini(&in_force);
    return is_made;
}

void send_policy_fini(struct send_policy *sending)
{
    policy_text_fini(&sending->policy);
    buffer_fini(&sending->kept);
    buffer_fini(&sending->text);
    buffer_fini(&sending->json);
}
