/* SPDX-License-Identifier: MIT
 * Profiles, from YAML. */
#include "connectors/profile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "connectors/bucket.h"
#include "connectors/profile_reader.h"

#define PROFILE_KEYS                                                              \
    "profile, volatile, ids, id_characters, retention_ms, rate_per_s, max_body, " \
    "headers, health, result, word, variants, status, cancel"
#define VARIANT_KEYS     "name, probe, status, cancel, result, word"
#define NAME_SIZE_MAX    128
#define NAME_ALLOWED     "1 to 128 printable characters without blanks"
#define RETENTION_MS_MAX (UINT64_C(10) * 365 * 24 * 3600 * 1000)

/* Salvor sends these itself, or must not send them: they would move the request or its end. */
static const char *const headers_kept[] = {
    "host",    "connection", "content-length", "transfer-encoding", "te",
    "trailer", "expect",     "upgrade",        "accept-encoding",   "origin",
    "cookie",
};

void profile_problem(struct profile_reader *reader, const struct yaml_node *node,
                     const char *format, ...)
{
    char text[512];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    for (char *c = text; *c != 0; c++) {
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c; /* one line, whatever was found */
    }
    if (++reader->problem_count > PROFILE_PROBLEMS_MAX) {
        return;
    }
    buffer_put_text(&reader->problems, reader->file);
    buffer_put_text(&reader->problems, ": line ");
    buffer_put_decimal(&reader->problems, node->line);
    buffer_put_text(&reader->problems, ": ");
    buffer_put_text(&reader->problems, text);
    buffer_put_byte(&reader->problems, '\n');
}

bool profile_check_keys(struct profile_reader *reader, const struct yaml_node *node,
                        const char *allowed)
{
    if (node->kind != YAML_KIND_MAPPING) {
        profile_problem(reader, node, "expected a mapping with the keys %s", allowed);
        return false;
    }
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        bool is_known = false;
        for (struct span rest = span_of(allowed); rest.data != NULL;) {
            struct span key = span_cut(&rest, ',');
            is_known = is_known || span_equal(child->key, key);
            rest = rest.size > 0 ? (struct span){rest.data + 1, rest.size - 1} : rest;
        }
        if (!is_known) {
            profile_problem(reader, child, "unknown key \"%.60s\"; allowed: %s", child->key.data,
                            allowed);
        }
    }
    return true;
}

const struct yaml_node *profile_child(struct profile_reader *reader, const struct yaml_node *node,
                                      const char *key, enum yaml_kind kind, const char *allowed)
{
    const struct yaml_node *child = yaml_get(node, key);
    bool is_good =
        child == NULL || (child->kind == kind && (kind == YAML_KIND_SCALAR || child->count > 0));
    if (!is_good) {
        profile_problem(reader, child, "\"%s\" must be %s", key, allowed);
    }
    return is_good ? child : NULL;
}

const struct yaml_node *profile_need(struct profile_reader *reader, const struct yaml_node *node,
                                     const char *key, enum yaml_kind kind, const char *allowed)
{
    if (yaml_get(node, key) == NULL) {
        profile_problem(reader, node, "\"%s\" is missing: %s", key, allowed);
    }
    return profile_child(reader, node, key, kind, allowed);
}

void profile_read_number(struct profile_reader *reader, const struct yaml_node *node,
                         const char *key, uint64_t least, uint64_t most, uint64_t *out)
{
    uint64_t number;
    const struct yaml_node *child =
        profile_child(reader, node, key, YAML_KIND_SCALAR, "a whole number");
    if (child == NULL) {
        return;
    }
    if (!span_to_number(child->text, most, &number) || number < least) {
        struct number_text from = number_text(least), to = number_text(most);
        profile_problem(reader, child, "\"%.60s\" is no %s; allowed: a whole number from %s to %s",
                        child->text.data, key, from.text, to.text);
        return;
    }
    *out = number;
}

void profile_read_template(struct profile_reader *reader, const struct yaml_node *node,
                           struct span text, enum template_place place, struct span *out)
{
    struct error error = {0};
    *out = arena_copy(&reader->profile->arena, text);
    if (!template_check(text, place, &error)) {
        profile_problem(reader, node, "%s", error.message);
    }
}

static bool read_truth(struct profile_reader *reader, const struct yaml_node *node, const char *key,
                       const char *no, const char *yes)
{
    bool is_yes = node != NULL && span_is(node->text, yes);
    if (node != NULL && !is_yes && !span_is(node->text, no)) {
        profile_problem(reader, node, "%s is %s or %s", key, yes, no);
    }
    return is_yes;
}

static void read_pointer(struct profile_reader *reader, const struct yaml_node *node,
                         const char *key, struct span *out, bool *has)
{
    struct error error = {0};
    const struct yaml_node *child =
        profile_child(reader, node, key, YAML_KIND_SCALAR, "a pointer such as /result, or body");
    if (child == NULL) {
        return;
    }
    *has = true;
    if (!rule_parse_pointer(&reader->profile->arena, child->text, out, &error)) {
        profile_problem(reader, child, "%s", error.message);
    }
}

static void read_name(struct profile_reader *reader, const struct yaml_node *node, const char *key,
                      struct span *out)
{
    const struct yaml_node *name = profile_need(reader, node, key, YAML_KIND_SCALAR, NAME_ALLOWED);
    if (name != NULL &&
        (name->text.size == 0 || name->text.size > NAME_SIZE_MAX || !span_is_solid(name->text))) {
        profile_problem(reader, name, "a name is " NAME_ALLOWED);
    } else if (name != NULL) {
        *out = arena_copy(&reader->profile->arena, name->text);
    }
}

static void read_id_characters(struct profile_reader *reader, const struct yaml_node *root)
{
    const struct yaml_node *node =
        profile_child(reader, root, "id_characters", YAML_KIND_SCALAR,
                      "what ids hold beyond letters and digits, such as \"-_\"");
    if (node == NULL) {
        return;
    }
    for (size_t i = 0; i < node->text.size; i++) {
        if (strchr(TEMPLATE_ID_CHARACTERS, node->text.data[i]) == NULL) {
            profile_problem(reader, node, "\"%.60s\" can not stand in ids; allowed: some of %s",
                            node->text.data, TEMPLATE_ID_CHARACTERS);
            return;
        }
    }
    reader->profile->id_characters = arena_copy(&reader->profile->arena, node->text);
}

static bool is_header_name(struct span name)
{
    bool is_token = name.size > 0 && name.size <= 128;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool is_alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        is_token = is_token && (is_alphanumeric || c == '-' || c == '_');
    }
    for (size_t i = 0; is_token && i < sizeof(headers_kept) / sizeof(headers_kept[0]); i++) {
        is_token = strlen(headers_kept[i]) != name.size ||
                   strncasecmp(headers_kept[i], name.data, name.size) != 0;
    }
    return is_token;
}

static void read_headers(struct profile_reader *reader, const struct yaml_node *root)
{
    struct profile *profile = reader->profile;
    const struct yaml_node *list =
        profile_child(reader, root, "headers", YAML_KIND_MAPPING,
                      "a mapping from names to values: {Authorization: \"Bearer {token}\"}");
    if (list != NULL && list->count > PROFILE_HEADERS_MAX) {
        profile_problem(reader, list, "more than %d headers", PROFILE_HEADERS_MAX);
        return;
    }
    for (const struct yaml_node *node = list == NULL ? NULL : list->first; node != NULL;
         node = node->next) {
        if (!is_header_name(node->key)) {
            profile_problem(reader, node,
                            "\"%.60s\" is no header that a profile may set; allowed: letters, "
                            "digits, - and _, and none that HTTP itself needs",
                            node->key.data);
        } else if (node->kind != YAML_KIND_SCALAR || node->text.size == 0) {
            profile_problem(reader, node,
                            "a header is one text; one that begins with { goes in quotes");
        } else if (!span_is_line(node->text)) {
            profile_problem(reader, node,
                            "a header holds a control byte; allowed: one line of text");
        } else {
            struct buffer line = {0};
            buffer_put_span(&line, node->key);
            buffer_put_text(&line, ": ");
            buffer_put_span(&line, node->text);
            profile_read_template(reader, node, buffer_span(&line), TEMPLATE_HEADER,
                                  &profile->headers[profile->header_count++]);
            buffer_fini(&line);
        }
    }
}

static void read_head(struct profile_reader *reader, const struct yaml_node *root)
{
    struct profile *profile = reader->profile;
    read_name(reader, root, "profile", &profile->name);
    const struct yaml_node *forgets =
        profile_need(reader, root, "volatile", YAML_KIND_SCALAR,
                     "true when a restart makes the service forget its jobs, else false");
    profile->is_volatile = read_truth(reader, forgets, "volatile", "false", "true");
    const struct yaml_node *ids =
        profile_child(reader, root, "ids", YAML_KIND_SCALAR, "unique or reused");
    profile->are_ids_reused = read_truth(reader, ids, "ids", "unique", "reused");
    read_id_characters(reader, root);
    profile_read_number(reader, root, "retention_ms", 1, RETENTION_MS_MAX, &profile->retention_ms);
    profile_read_number(reader, root, "rate_per_s", 1, BUCKET_RATE_MAX, &profile->rate_per_s);
    profile_read_number(reader, root, "max_body", 1, PROFILE_BODY_MAX, &profile->body_max);
    read_headers(reader, root);
}

static struct profile_request *read_probe(struct profile_reader *reader,
                                          const struct yaml_node *node, const char *key)
{
    const struct yaml_node *child =
        profile_child(reader, node, key, YAML_KIND_MAPPING, "one request");
    if (child == NULL) {
        return NULL;
    }
    struct profile_request *request = arena_take(&reader->profile->arena, sizeof(*request));
    profile_read_request(reader, child, RULE_OF_PROBE, request);
    return request;
}

/* What a variant does not say itself, the profile says for all. */
static void read_variant(struct profile_reader *reader, const struct yaml_node *root,
                         const struct yaml_node *node, struct profile_variant *out)
{
    profile_need(reader, node, "status", YAML_KIND_SEQUENCE, "a list of requests");
    profile_read_requests(reader, node, "status", RULE_OF_STATUS, &out->status);
    profile_read_requests(reader, node, "cancel", RULE_OF_CANCEL, &out->cancel);
    const struct yaml_node *has_result = yaml_get(node, "result") != NULL ? node : root;
    const struct yaml_node *has_word = yaml_get(node, "word") != NULL ? node : root;
    read_pointer(reader, has_result, "result", &out->result, &out->has_result);
    read_pointer(reader, has_word, "word", &out->word, &out->has_word);
}

/* Each must be known by its name, and all but the last by their probes. */
static void check_variants(struct profile_reader *reader, const struct yaml_node *list)
{
    const struct profile *profile = reader->profile;
    size_t i = 0;
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next, i++) {
        if (profile->variants[i].probe == NULL && node->next != NULL) {
            profile_problem(reader, node,
                            "\"probe\" is missing: only the last variant, taken when "
                            "no other is, needs none");
        }
        for (size_t k = 0; k < i; k++) {
            if (span_equal(profile->variants[k].name, profile->variants[i].name)) {
                profile_problem(reader, node, "two variants of one name");
            }
        }
    }
}

static void read_variants(struct profile_reader *reader, const struct yaml_node *root)
{
    struct profile *profile = reader->profile;
    const struct yaml_node *list =
        profile_child(reader, root, "variants", YAML_KIND_SEQUENCE, "a list of variants");
    size_t count = list == NULL ? 1 : list->count;
    if (count > PROFILE_VARIANTS_MAX) {
        profile_problem(reader, list, "more than %d variants", PROFILE_VARIANTS_MAX);
        return;
    }
    size_t size = count * sizeof(*profile->variants);
    profile->variants = arena_take(&profile->arena, size);
    memset(profile->variants, 0, size);
    profile->variant_count = count;
    if (yaml_get(root, "variants") == NULL) {
        read_variant(reader, root, root, &profile->variants[0]);
        return;
    }
    if (yaml_get(root, "status") != NULL || yaml_get(root, "cancel") != NULL) {
        profile_problem(reader, yaml_get(root, "variants"),
                        "status and cancel stand in each variant, not beside them");
    }
    size_t i = 0;
    for (const struct yaml_node *node = list == NULL ? NULL : list->first; node != NULL;
         node = node->next, i++) {
        struct profile_variant *variant = &profile->variants[i];
        if (profile_check_keys(reader, node, VARIANT_KEYS)) {
            read_name(reader, node, "name", &variant->name);
            variant->probe = read_probe(reader, node, "probe");
            read_variant(reader, root, node, variant);
        }
    }
    if (list != NULL) {
        check_variants(reader, list);
    }
}

static void read_profile(struct profile_reader *reader, struct span yaml)
{
    struct arena tree = {0};
    struct error error = {0};
    const struct yaml_node *root = yaml_parse(&tree, yaml, &error);
    if (root == NULL) {
        reader->problem_count++;
        buffer_put_text(&reader->problems, reader->file);
        buffer_put_text(&reader->problems, ": ");
        buffer_put_text(&reader->problems, error.message);
        buffer_put_byte(&reader->problems, '\n');
    } else if (profile_check_keys(reader, root, PROFILE_KEYS)) {
        read_head(reader, root);
        reader->profile->health = read_probe(reader, root, "health");
        read_variants(reader, root);
    }
    arena_fini(&tree);
}

struct profile *profile_load(const char *file, struct span yaml, struct buffer *problems,
                             struct error *error)
{
    struct profile_reader reader = {.profile = mem_zero(sizeof(struct profile)), .file = file};
    read_profile(&reader, yaml);
    if (reader.problem_count > 0) {
        struct span rest = buffer_span(&reader.problems);
        struct span first = span_cut(&rest, '\n');
        struct number_text more = number_text(reader.problem_count - 1);
        int room = (int)sizeof(error->message) - 40;
        if (reader.problem_count == 1) {
            error_set(error, ERROR_USAGE, "%.*s", SPAN_FORMAT(first));
        } else {
            error_set(error, ERROR_USAGE, "%.*s (and %s more)",
                      (int)first.size < room ? (int)first.size : room, first.data, more.text);
        }
        if (problems != NULL) {
            buffer_put_span(problems, buffer_span(&reader.problems));
        }
        profile_destroy(reader.profile);
        reader.profile = NULL;
    }
    buffer_fini(&reader.problems);
    return reader.profile;
}

void profile_destroy(struct profile *profile)
{
    if (profile != NULL) {
        arena_fini(&profile->arena);
        mem_free(profile);
    }
}
