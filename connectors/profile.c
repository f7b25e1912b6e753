/* SPDX-License-Identifier: MIT
 * Profiles, from YAML. */
#include "connectors/profile.h"

#include <string.h>

#include "base/alloc.h"
#include "base/yaml.h"

#define PROFILE_KEYS "profile, volatile, status, result, word"
#define PROBE_KEYS   "request, body, rules"

/* Puts the line before a message that knows none. */
static bool at_line(const struct yaml_node *node, struct error *error)
{
    return error_wrap(error, "line %zu", node->line);
}

static bool complain(const struct yaml_node *node, struct error *error, const char *what)
{
    return error_set(error, ERROR_USAGE, "line %zu: %s", node->line, what);
}

/* Every key of the mapping must be one of `allowed`, which is a list "a, b, c". */
static bool check_keys(const struct yaml_node *node, const char *allowed, struct error *error)
{
    if (node->kind != YAML_KIND_MAPPING) {
        return error_set(error, ERROR_USAGE, "line %zu: expected a mapping with the keys %s",
                         node->line, allowed);
    }
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        bool is_known = false;
        for (struct span rest = span_of(allowed); rest.data != NULL;) {
            struct span key = span_cut(&rest, ',');
            is_known = is_known || span_equal(child->key, key);
            rest = rest.size > 0 ? (struct span){rest.data + 1, rest.size - 1} : rest;
        }
        if (!is_known) {
            return error_set(error, ERROR_USAGE, "line %zu: unknown key \"%.60s\"; allowed: %s",
                             child->line, child->key.data, allowed);
        }
    }
    return true;
}

/* The child, which must be there and of this kind; NULL after an error. */
static const struct yaml_node *need(const struct yaml_node *node, const char *key,
                                    enum yaml_kind kind, const char *allowed, struct error *error)
{
    const struct yaml_node *child = yaml_get(node, key);
    if (child == NULL) {
        error_set(error, ERROR_USAGE, "line %zu: \"%s\" is missing: %s", node->line, key, allowed);
        return NULL;
    }
    if (child->kind != kind || (kind != YAML_KIND_SCALAR && child->count == 0)) {
        error_set(error, ERROR_USAGE, "line %zu: \"%s\" must be %s", child->line, key, allowed);
        return NULL;
    }
    return child;
}

static bool starts_with(struct span text, const char *start)
{
    size_t size = strlen(start);
    return text.size >= size && memcmp(text.data, start, size) == 0;
}

/* "GET /queue", "POST /status", "GET {status_url}". */
static bool read_request(struct arena *arena, const struct yaml_node *node, struct probe *probe,
                         struct error *error)
{
    struct span target = node->text;
    struct span method = span_cut(&target, ' ');
    probe->is_post = span_is(method, "POST");
    probe->is_absolute = starts_with(target, "{status_url}") || starts_with(target, "{result_url}");
    bool is_target = (probe->is_absolute || starts_with(target, "/")) && target.size > 0 &&
                     memchr(target.data, ' ', target.size) == NULL;
    if ((!probe->is_post && !span_is(method, "GET")) || !is_target) {
        return complain(node, error,
                        "a request is \"GET\" or \"POST\", a blank, and a path that begins with "
                        "/, {status_url} or {result_url}");
    }
    probe->target = arena_copy(arena, target);
    return template_check(probe->target, TEMPLATE_URL, error) || at_line(node, error);
}

/* Where a restart makes the service forget, its ids can come back as somebody else's. */
static bool check_proof(const struct profile *profile, const struct rule *rule,
                        const struct yaml_node *node, struct error *error)
{
    bool is_proved =
        rule->verdict != ANSWER_COMPLETED || !profile->is_volatile || rule_names_job(rule);
    return is_proved ||
           complain(node, error,
                    "completed of a volatile service needs a proof of whose job it is: a term with "
                    "{id} or {tag}");
}

static bool read_rules(struct profile *profile, const struct yaml_node *list, struct probe *probe,
                       struct error *error)
{
    if (list->count > PROFILE_RULES_MAX) {
        return error_set(error, ERROR_USAGE, "line %zu: more than %d rules", list->line,
                         PROFILE_RULES_MAX);
    }
    probe->rules = arena_take(&profile->arena, list->count * sizeof(*probe->rules));
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        if (node->kind != YAML_KIND_SCALAR) {
            return complain(node, error, "a rule is one line: HTTP [& term]... => VERDICT [flags]");
        }
        struct rule *rule = &probe->rules[probe->rule_count++];
        if (!rule_parse(&profile->arena, node->text, rule, error)) {
            return at_line(node, error);
        }
        if (!check_proof(profile, rule, node, error)) {
            return false;
        }
    }
    return true;
}

static bool read_probe(struct profile *profile, const struct yaml_node *node, struct probe *probe,
                       struct error *error)
{
    if (!check_keys(node, PROBE_KEYS, error)) {
        return false;
    }
    const struct yaml_node *request =
        need(node, "request", YAML_KIND_SCALAR, "\"GET /path\" or \"POST /path\"", error);
    const struct yaml_node *rules =
        request == NULL ? NULL
                        : need(node, "rules", YAML_KIND_SEQUENCE,
                               "a list of rules, each HTTP [& term]... => VERDICT [flags]", error);
    const struct yaml_node *body = yaml_get(node, "body");
    if (rules == NULL || !read_request(&profile->arena, request, probe, error)) {
        return false;
    }
    if (body != NULL) {
        if (body->kind != YAML_KIND_SCALAR || !probe->is_post) {
            return complain(body, error, "a body is one text, and goes with POST alone");
        }
        probe->body = arena_copy(&profile->arena, body->text);
        if (!template_check(probe->body, TEMPLATE_BODY, error)) {
            return at_line(body, error);
        }
    }
    return read_rules(profile, rules, probe, error);
}

static bool read_pointer(struct profile *profile, const struct yaml_node *root, const char *key,
                         struct span *out, bool *has, struct error *error)
{
    const struct yaml_node *node = yaml_get(root, key);
    *has = node != NULL;
    if (node == NULL) {
        return true;
    }
    if (node->kind != YAML_KIND_SCALAR) {
        return complain(node, error, "expected a pointer such as /result, or body");
    }
    return rule_parse_pointer(&profile->arena, node->text, out, error) || at_line(node, error);
}

static bool is_name(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
    }
    return text.size > 0 && text.size <= 128;
}

static bool read_head(struct profile *profile, const struct yaml_node *root, struct error *error)
{
    const char *name_allowed = "1 to 128 printable characters without blanks";
    const struct yaml_node *name = need(root, "profile", YAML_KIND_SCALAR, name_allowed, error);
    const struct yaml_node *forgets =
        name == NULL
            ? NULL
            : need(root, "volatile", YAML_KIND_SCALAR,
                   "true when a restart makes the service forget its jobs, else false", error);
    if (forgets == NULL) {
        return false;
    }
    if (!is_name(name->text)) {
        return error_set(error, ERROR_USAGE, "line %zu: a profile's name is %s", name->line,
                         name_allowed);
    }
    profile->name = arena_copy(&profile->arena, name->text);
    profile->is_volatile = span_is(forgets->text, "true");
    if (!profile->is_volatile && !span_is(forgets->text, "false")) {
        return complain(forgets, error, "volatile is true or false");
    }
    return read_pointer(profile, root, "result", &profile->result, &profile->has_result, error) &&
           read_pointer(profile, root, "word", &profile->word, &profile->has_word, error);
}

static bool read_profile(struct profile *profile, const struct yaml_node *root, struct error *error)
{
    if (!check_keys(root, PROFILE_KEYS, error) || !read_head(profile, root, error)) {
        return false;
    }
    const struct yaml_node *status = need(root, "status", YAML_KIND_SEQUENCE,
                                          "a list of requests, each with " PROBE_KEYS, error);
    if (status == NULL) {
        return false;
    }
    if (status->count > PROFILE_PROBES_MAX) {
        return error_set(error, ERROR_USAGE, "line %zu: more than %d requests", status->line,
                         PROFILE_PROBES_MAX);
    }
    size_t size = status->count * sizeof(*profile->probes);
    profile->probes = arena_take(&profile->arena, size);
    memset(profile->probes, 0, size);
    for (const struct yaml_node *node = status->first; node != NULL; node = node->next) {
        if (!read_probe(profile, node, &profile->probes[profile->probe_count++], error)) {
            return false;
        }
    }
    return true;
}

struct profile *profile_load(const char *file, struct span yaml, struct error *error)
{
    struct profile *profile = mem_zero(sizeof(*profile));
    struct arena tree = {0};
    const struct yaml_node *root = yaml_parse(&tree, yaml, error);
    if (root == NULL || !read_profile(profile, root, error)) {
        error_wrap(error, "%s", file);
        profile_destroy(profile);
        profile = NULL;
    }
    arena_fini(&tree);
    return profile;
}

void profile_destroy(struct profile *profile)
{
    if (profile != NULL) {
        arena_fini(&profile->arena);
        mem_free(profile);
    }
}
