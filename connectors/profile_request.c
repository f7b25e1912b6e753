/* SPDX-License-Identifier: MIT
 * Profiles: one request and what its reply means. */
#include <string.h>

#include "connectors/profile_reader.h"

#define TARGET_ALLOWED "a path that begins with /, {status_url}, {cancel_url} or {result_url}"

static const char *const request_keys[] = {
    [RULE_OF_STATUS] = "request, body, rules, pointer, words, identity, confirm",
    [RULE_OF_CANCEL] = "request, body, rules, pointer, words, scope, only_if",
    [RULE_OF_PROBE] = "request, body, rules, pointer, words",
};

static bool starts_with(struct span text, const char *start)
{
    size_t size = strlen(start);
    return text.size >= size && memcmp(text.data, start, size) == 0;
}

static enum http_method method_named(struct span text)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE"};
    for (size_t i = HTTP_GET; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_is(text, names[i])) {
            return (enum http_method)i;
        }
    }
    return HTTP_NONE;
}

/* "GET /queue", "POST /status", "DELETE {cancel_url}". */
static void read_target(struct profile_reader *reader, const struct yaml_node *node,
                        enum rule_purpose purpose, struct profile_request *request)
{
    struct span target = node->text;
    request->method = method_named(span_cut(&target, ' '));
    request->is_absolute = starts_with(target, "{status_url}") ||
                           starts_with(target, "{cancel_url}") ||
                           starts_with(target, "{result_url}");
    bool is_good =
        target.size > 0 && span_is_solid(target) && (request->is_absolute || target.data[0] == '/');
    if (request->method == HTTP_NONE || !is_good) {
        profile_problem(reader, node,
                        "\"%.60s\" is no request; allowed: GET, POST, PUT or DELETE, a blank, "
                        "and " TARGET_ALLOWED,
                        node->text.data);
        return;
    }
    profile_read_template(reader, node, target, TEMPLATE_URL, &request->target);
    if (purpose == RULE_OF_PROBE && template_names_job(target)) {
        profile_problem(reader, node, "this request is about no job; allowed: {env:NAME}");
    }
    request->is_shared = request->method == HTTP_GET && !template_names_job(target);
}

static void read_body(struct profile_reader *reader, const struct yaml_node *node,
                      enum rule_purpose purpose, struct profile_request *request)
{
    const struct yaml_node *body =
        profile_child(reader, node, "body", YAML_KIND_SCALAR,
                      "one text: JSON in single quotes, such as '{\"id\": \"{id:json}\"}'");
    if (body == NULL) {
        return;
    }
    if (request->method == HTTP_GET || request->method == HTTP_DELETE) {
        profile_problem(reader, body, "a body goes with POST and PUT alone");
    }
    profile_read_template(reader, body, body->text, TEMPLATE_BODY, &request->body);
    if (purpose == RULE_OF_PROBE && template_names_job(body->text)) {
        profile_problem(reader, body, "this request is about no job; allowed: no variable");
    }
}

/* Where ids can come back as other jobs', "completed" may be about one of those. */
static void check_proof(struct profile_reader *reader, const struct yaml_node *node,
                        const struct profile_request *request, const struct rule *rule)
{
    const struct profile *profile = reader->profile;
    bool are_ids_reused = profile->are_ids_reused;
    bool is_proved =
        rule->verdict != ANSWER_COMPLETED || (!profile->is_volatile && !are_ids_reused) ||
        rule_proves(rule, are_ids_reused) ||
        (request->identity != NULL && rule_term_proves(request->identity, are_ids_reused));
    if (!is_proved) {
        profile_problem(reader, node,
                        "completed of a service that %s needs a proof of whose job it is; allowed: "
                        "a term or an identity with %s",
                        are_ids_reused ? "uses ids again" : "forgets",
                        are_ids_reused ? "{tag}" : "{id} or {tag}");
    }
}

static void add_rule(struct profile_reader *reader, const struct yaml_node *node,
                     enum rule_purpose purpose, struct span text, struct profile_request *request)
{
    struct error error = {0};
    if (request->rule_count == PROFILE_RULES_MAX) {
        profile_problem(reader, node, "more than %d rules", PROFILE_RULES_MAX);
        return;
    }
    struct rule *rule = &request->rules[request->rule_count];
    if (!rule_parse(&reader->profile->arena, purpose, text, rule, &error)) {
        profile_problem(reader, node, "%s", error.message);
        return;
    }
    request->rule_count++;
    check_proof(reader, node, request, rule);
}

static void put_quoted(struct buffer *out, struct span text)
{
    buffer_put_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            buffer_put_byte(out, '\\');
        }
        buffer_put_byte(out, (uint8_t)text.data[i]);
    }
    buffer_put_byte(out, '"');
}

/* `words: {done: completed}` is `2xx & POINTER = "done" => completed`, behind all rules. */
static void read_words(struct profile_reader *reader, const struct yaml_node *node,
                       enum rule_purpose purpose, struct profile_request *request)
{
    const struct yaml_node *pointer = profile_child(
        reader, node, "pointer", YAML_KIND_SCALAR, "a pointer to the status word, such as /status");
    const struct yaml_node *words =
        profile_child(reader, node, "words", YAML_KIND_MAPPING,
                      "a mapping from the service's words to verdicts: {done: completed}");
    if ((pointer == NULL) != (words == NULL)) {
        profile_problem(reader, pointer == NULL ? words : pointer,
                        "pointer and words go together: where the service's word stands, and what "
                        "each means");
        return;
    }
    for (const struct yaml_node *word = words == NULL ? NULL : words->first; word != NULL;
         word = word->next) {
        if (word->kind != YAML_KIND_SCALAR) {
            profile_problem(reader, word, "expected a verdict, with its flags");
            continue;
        }
        struct buffer rule = {0};
        buffer_put_text(&rule, "2xx & ");
        buffer_put_span(&rule, pointer->text);
        buffer_put_text(&rule, " = ");
        put_quoted(&rule, word->key);
        buffer_put_text(&rule, " => ");
        buffer_put_span(&rule, word->text);
        add_rule(reader, word, purpose, buffer_span(&rule), request);
        buffer_fini(&rule);
    }
}

static void read_rules(struct profile_reader *reader, const struct yaml_node *node,
                       enum rule_purpose purpose, struct profile_request *request)
{
    const char *allowed = "a list of rules, each HTTP [& term]... => VERDICT [flags]";
    const struct yaml_node *list =
        profile_child(reader, node, "rules", YAML_KIND_SEQUENCE, allowed);
    if (yaml_get(node, "rules") == NULL && yaml_get(node, "words") == NULL) {
        profile_problem(reader, node, "\"rules\" is missing: %s", allowed);
    }
    request->rules = arena_take(&reader->profile->arena, PROFILE_RULES_MAX * sizeof(struct rule));
    for (const struct yaml_node *rule = list == NULL ? NULL : list->first; rule != NULL;
         rule = rule->next) {
        if (rule->kind == YAML_KIND_SCALAR) {
            add_rule(reader, rule, purpose, rule->text, request);
        } else {
            profile_problem(reader, rule,
                            "a rule is one line, HTTP [& term]... => VERDICT [flags]; one that "
                            "holds \": \" goes in single quotes");
        }
    }
    read_words(reader, node, purpose, request);
}

static void read_identity(struct profile_reader *reader, const struct yaml_node *node,
                          struct profile_request *request)
{
    struct error error = {0};
    const struct yaml_node *identity =
        profile_child(reader, node, "identity", YAML_KIND_SCALAR, "one term: /id = \"{id}\"");
    if (identity == NULL) {
        return;
    }
    struct rule_term *term = arena_take(&reader->profile->arena, sizeof(*term));
    if (!rule_parse_term(&reader->profile->arena, identity->text, term, &error)) {
        profile_problem(reader, identity, "%s", error.message);
        return;
    }
    if (!rule_term_proves(term, reader->profile->are_ids_reused)) {
        profile_problem(
            reader, identity, "an identity says whose job it is; allowed: a term with %s",
            reader->profile->are_ids_reused ? "{tag}, since ids are reused" : "{id} or {tag}");
    }
    request->identity = term;
}

static void read_confirm(struct profile_reader *reader, const struct yaml_node *node,
                         struct profile_request *request)
{
    uint64_t times = 0;
    const struct yaml_node *confirm =
        profile_child(reader, node, "confirm", YAML_KIND_MAPPING, "{times: 2, after_ms: 500}");
    if (confirm == NULL || !profile_check_keys(reader, confirm, "times, after_ms")) {
        return;
    }
    profile_need(reader, confirm, "times", YAML_KIND_SCALAR, "how often completed must be said");
    profile_read_number(reader, confirm, "times", 2, PROFILE_CONFIRM_MAX, &times);
    profile_read_number(reader, confirm, "after_ms", 1, PROFILE_CONFIRM_MS, &request->confirm_ms);
    request->confirm_count = (uint32_t)times;
}

/* True when the word is the second of the two allowed ones. */
static bool read_choice(struct profile_reader *reader, const struct yaml_node *node,
                        const char *first, const char *second)
{
    bool is_second = span_is(node->text, second);
    if (!is_second && !span_is(node->text, first)) {
        profile_problem(reader, node, "\"%.60s\" is not allowed here; allowed: %s, %s",
                        node->text.data, first, second);
    }
    return is_second;
}

static bool uses_tag(struct span text)
{
    return template_uses(text, "tag") || template_uses(text, "tag:path") ||
           template_uses(text, "tag:json");
}

static void read_reach(struct profile_reader *reader, const struct yaml_node *node,
                       struct profile_request *request)
{
    const struct yaml_node *scope =
        profile_child(reader, node, "scope", YAML_KIND_SCALAR, "job or global");
    const struct yaml_node *only_if =
        profile_child(reader, node, "only_if", YAML_KIND_SCALAR, "pending or running");
    request->is_global = scope != NULL && read_choice(reader, scope, "job", "global");
    request->only_running = only_if != NULL && read_choice(reader, only_if, "pending", "running");
    request->only_pending = only_if != NULL && !request->only_running;
    bool is_proved = uses_tag(request->target) || uses_tag(request->body);
    if (reader->profile->are_ids_reused && only_if == NULL && !is_proved) {
        profile_problem(reader, node,
                        "where ids are reused a cancel could hit another job; allowed: only_if, so "
                        "that the status proves first whose job it is, or {tag} in the request");
    }
}

void profile_read_request(struct profile_reader *reader, const struct yaml_node *node,
                          enum rule_purpose purpose, struct profile_request *out)
{
    *out = (struct profile_request){0};
    if (!profile_check_keys(reader, node, request_keys[purpose])) {
        return;
    }
    const struct yaml_node *request = profile_need(reader, node, "request", YAML_KIND_SCALAR,
                                                   "a method, a blank and " TARGET_ALLOWED);
    if (request != NULL) {
        read_target(reader, request, purpose, out);
    }
    read_body(reader, node, purpose, out);
    if (purpose == RULE_OF_STATUS) {
        read_identity(reader, node, out);
        read_confirm(reader, node, out);
    } else if (purpose == RULE_OF_CANCEL) {
        read_reach(reader, node, out);
    }
    read_rules(reader, node, purpose, out);
}

void profile_read_requests(struct profile_reader *reader, const struct yaml_node *node,
                           const char *key, enum rule_purpose purpose, struct profile_requests *out)
{
    const struct yaml_node *list =
        profile_child(reader, node, key, YAML_KIND_SEQUENCE, "a list of requests");
    if (list == NULL) {
        return;
    }
    if (list->count > PROFILE_REQUESTS_MAX) {
        profile_problem(reader, list, "more than %d requests", PROFILE_REQUESTS_MAX);
        return;
    }
    out->list = arena_take(&reader->profile->arena, list->count * sizeof(*out->list));
    for (const struct yaml_node *child = list->first; child != NULL; child = child->next) {
        profile_read_request(reader, child, purpose, &out->list[out->count++]);
    }
}
