/* SPDX-License-Identifier: MIT
 * Rules: judging a reply. */
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "connectors/rules.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool names_job(struct span text)
{
    return template_uses(text, "id") || template_uses(text, "tag");
}

bool rule_names_job(const struct rule *rule)
{
    for (size_t i = 0; i < rule->term_count; i++) {
        const struct rule_term *term = &rule->terms[i];
        /* That something is absent or different says nothing about whose job it is. */
        if (term->kind == TERM_ABSENT || term->kind == TERM_DIFFERS) {
            continue;
        }
        bool is_named = names_job(term->pointer);
        for (size_t k = 0; k < term->value_count; k++) {
            is_named = is_named || (term->kind == TERM_EQUALS && names_job(term->values[k].text));
        }
        if (is_named) {
            return true;
        }
    }
    return false;
}

static bool media_type_is(struct span type, const char *wanted)
{
    return type.size == strlen(wanted) && strncasecmp(type.data, wanted, type.size) == 0;
}

static bool media_type_ends(struct span type, const char *ending)
{
    size_t size = strlen(ending);
    return type.size >= size && strncasecmp(type.data + type.size - size, ending, size) == 0;
}

/* A service that names no type is taken at its body. */
static enum reply_form form_of(struct span content_type, struct span body)
{
    struct span type = span_cut(&content_type, ';');
    while (type.size > 0 && type.data[type.size - 1] == ' ') {
        type.size--;
    }
    if (body.size == 0) {
        return REPLY_EMPTY;
    }
    if (media_type_is(type, "text/html") || media_type_is(type, "application/xhtml+xml")) {
        return REPLY_HTML;
    }
    bool is_json =
        type.size == 0 || media_type_ends(type, "/json") || media_type_ends(type, "+json");
    return is_json ? REPLY_JSON : REPLY_OTHER;
}

struct reply reply_open(uint64_t http, struct span content_type, struct span body)
{
    struct reply reply = {.http = http, .form = form_of(content_type, body)};
    if (reply.form == REPLY_JSON) {
        struct error ignored = {0};
        reply.json = json_parse(body, &ignored);
        reply.form = reply.json != NULL ? REPLY_JSON : REPLY_BAD_JSON;
    }
    return reply;
}

void reply_close(struct reply *reply)
{
    json_destroy(reply->json);
    *reply = (struct reply){0};
}

/* False when the pointer asks for a value that nobody told: then nothing is known, not even that
 * there is nothing. */
static bool find_value(const struct reply *reply, struct span pointer,
                       const struct template_variables *variables, const struct json **out)
{
    struct buffer filled = {0};
    struct error ignored = {0};
    bool is_filled = template_render(pointer, TEMPLATE_POINTER, variables, &filled, &ignored);
    *out = is_filled && reply->json != NULL ? json_find(reply->json, buffer_span(&filled)) : NULL;
    buffer_fini(&filled);
    return is_filled;
}

const struct json *reply_find(const struct reply *reply, struct span pointer,
                              const struct template_variables *variables)
{
    const struct json *found;
    return find_value(reply, pointer, variables, &found) ? found : NULL;
}

/* `out` is emptied first; false when a variable's value is missing. */
static bool fill_text(struct span text, const struct template_variables *variables,
                      struct buffer *out)
{
    struct error ignored = {0};
    buffer_reset(out);
    return template_render(text, TEMPLATE_TEXT, variables, out, &ignored);
}

static bool value_equals(const struct json *found, const struct rule_value *value,
                         const struct template_variables *variables)
{
    int64_t number;
    switch (value->kind) {
    case VALUE_TEXT: {
        struct buffer text = {0};
        bool is_equal = json_kind(found) == JSON_KIND_TEXT &&
                        fill_text(value->text, variables, &text) &&
                        span_equal(json_text(found), buffer_span(&text));
        buffer_fini(&text);
        return is_equal;
    }
    case VALUE_NUMBER:
        return json_number(found, &number) && number == value->number;
    case VALUE_BOOLEAN:
        return json_kind(found) == JSON_KIND_BOOLEAN && json_truth(found) == (value->number == 1);
    case VALUE_NULL:
        return json_kind(found) == JSON_KIND_NULL;
    case VALUE_NONE:
        break;
    }
    CHECK(!"a value without a kind");
    return false;
}

static bool holds_part(struct span text, struct span part)
{
    for (; text.size >= part.size; text = (struct span){text.data + 1, text.size - 1}) {
        if (span_equal((struct span){text.data, part.size}, part)) {
            return true;
        }
        if (text.size == 0) {
            break;
        }
    }
    return false;
}

static bool text_contains(const struct json *found, const struct rule_value *value,
                          const struct template_variables *variables)
{
    struct buffer part = {0};
    bool is_held = json_kind(found) == JSON_KIND_TEXT && fill_text(value->text, variables, &part) &&
                   holds_part(json_text(found), buffer_span(&part));
    buffer_fini(&part);
    return is_held;
}

static bool is_empty(const struct json *found)
{
    enum json_kind kind = json_kind(found);
    bool has_content = kind == JSON_KIND_BOOLEAN || kind == JSON_KIND_INTEGER ||
                       kind == JSON_KIND_REAL || json_count(found) > 0;
    return !has_content;
}

static bool term_holds(const struct rule_term *term, const struct reply *reply,
                       const struct template_variables *variables)
{
    const struct json *found;
    if (!find_value(reply, term->pointer, variables, &found)) {
        return false;
    }
    switch (term->kind) {
    case TERM_EXISTS:
        return found != NULL;
    case TERM_ABSENT:
        return found == NULL;
    case TERM_NONEMPTY:
        return !is_empty(found);
    case TERM_EMPTY:
        return found != NULL && is_empty(found);
    case TERM_DIFFERS:
        return found != NULL && !value_equals(found, &term->values[0], variables);
    case TERM_CONTAINS:
        return text_contains(found, &term->values[0], variables);
    case TERM_EQUALS:
    case TERM_IN:
        for (size_t i = 0; i < term->value_count; i++) {
            if (value_equals(found, &term->values[i], variables)) {
                return true;
            }
        }
        return false;
    case TERM_NONE:
        break;
    }
    CHECK(!"a term without a kind");
    return false;
}

static bool rule_matches(const struct rule *rule, const struct reply *reply,
                         const struct template_variables *variables)
{
    bool is_status = false;
    for (size_t i = 0; i < rule->status_count; i++) {
        is_status = is_status || (reply->http >= rule->statuses[i].least &&
                                  reply->http <= rule->statuses[i].most);
    }
    if (!is_status || (rule->term_count > 0 && reply->json == NULL)) {
        return false;
    }
    for (size_t i = 0; i < rule->term_count; i++) {
        if (!term_holds(&rule->terms[i], reply, variables)) {
            return false;
        }
    }
    return true;
}

/* The first row that holds the status tells. */
static const struct status_default {
    uint16_t least, most;
    enum answer_verdict verdict;
    const char *word;
} status_defaults[] = {
    {300, 399, ANSWER_INCONCLUSIVE, "redirect"},   {401, 401, ANSWER_INCONCLUSIVE, "auth"},
    {403, 403, ANSWER_INCONCLUSIVE, "auth"},       {404, 404, ANSWER_INCONCLUSIVE, "bare_404"},
    {410, 410, ANSWER_INCONCLUSIVE, "bare_410"},   {408, 408, ANSWER_UNREACHABLE, "unavailable"},
    {425, 425, ANSWER_UNREACHABLE, "unavailable"}, {429, 429, ANSWER_UNREACHABLE, "unavailable"},
    {502, 504, ANSWER_UNREACHABLE, "unavailable"}, {500, 599, ANSWER_INCONCLUSIVE, "server_error"},
};

static const char *const form_words[] = {
    [REPLY_FORM_NONE] = "unmapped", [REPLY_EMPTY] = "unmapped", [REPLY_JSON] = "unmapped",
    [REPLY_BAD_JSON] = "bad_json",  [REPLY_HTML] = "html",      [REPLY_OTHER] = "wrong_type",
};

struct judgement rules_judge(const struct rule *rules, size_t count, const struct reply *reply,
                             const struct template_variables *variables)
{
    bool is_redirect = reply->http >= 300 && reply->http <= 399; /* its body is decoration */
    bool is_readable = reply->form != REPLY_HTML && reply->form != REPLY_BAD_JSON;
    for (size_t i = 0; (is_readable || is_redirect) && i < count; i++) {
        if (rule_matches(&rules[i], reply, variables)) {
            return (struct judgement){rules[i].verdict, rules[i].flags, rules[i].word};
        }
    }
    for (size_t i = 0; i < LENGTH(status_defaults); i++) {
        if (reply->http >= status_defaults[i].least && reply->http <= status_defaults[i].most) {
            return (struct judgement){status_defaults[i].verdict, 0, status_defaults[i].word};
        }
    }
    return (struct judgement){ANSWER_INCONCLUSIVE, 0, form_words[reply->form]};
}
