/* SPDX-License-Identifier: MIT
 * Rules: judging a reply. */
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "connectors/rules.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool names_job(struct span text, bool are_ids_reused)
{
    return template_uses(text, "tag") || (!are_ids_reused && template_uses(text, "id"));
}

bool rule_term_proves(const struct rule_term *term, bool are_ids_reused)
{
    /* That something is absent or different says nothing about whose job it is. */
    if (term->kind == TERM_ABSENT || term->kind == TERM_DIFFERS) {
        return false;
    }
    return names_job(term->pointer, are_ids_reused) ||
           (term->kind == TERM_EQUALS && names_job(term->values[0].text, are_ids_reused));
}

bool rule_proves(const struct rule *rule, bool are_ids_reused)
{
    for (size_t i = 0; i < rule->term_count; i++) {
        if (rule_term_proves(&rule->terms[i], are_ids_reused)) {
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
static enum reply_form form_of(struct span type, struct span body)
{
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

static bool has_members(const struct json *json)
{
    return json_kind(json) == JSON_KIND_OBJECT || json_kind(json) == JSON_KIND_ARRAY;
}

struct reply reply_open(uint64_t http, struct span content_type, struct span body)
{
    struct span type = span_cut(&content_type, ';');
    while (type.size > 0 && type.data[type.size - 1] == ' ') {
        type.size--;
    }
    struct reply reply = {.http = http, .form = form_of(type, body)};
    /* A server that sets no type may have one guessed, such as rclone's: JSON is then text. */
    bool is_guess = reply.form == REPLY_OTHER && media_type_is(type, "text/plain");
    if (reply.form == REPLY_JSON || is_guess) {
        struct error error = {0};
        reply.json = json_parse(body, &error);
        if (reply.json == NULL && error.code == ERROR_REFUSED) {
            reply.form = REPLY_TOO_LARGE;
        } else if (is_guess && !has_members(reply.json)) {
            json_destroy(reply.json);
            reply.json = NULL;
        } else {
            reply.form = reply.json != NULL ? REPLY_JSON : REPLY_BAD_JSON;
        }
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

/* True when all variables of the value were told. */
static bool is_told(const struct rule_value *value, const struct template_variables *variables)
{
    struct buffer text = {0};
    bool is_filled = value->kind != VALUE_TEXT || fill_text(value->text, variables, &text);
    buffer_fini(&text);
    return is_filled;
}

/* Events know ids as texts alone; a service may know the same id as a number. */
static bool text_equals(const struct json *found, const struct rule_value *value,
                        const struct template_variables *variables)
{
    struct buffer wanted = {0}, number = {0};
    struct span text = json_text(found);
    bool is_text = json_kind(found) == JSON_KIND_TEXT;
    if (json_kind(found) == JSON_KIND_INTEGER && template_names_job(value->text)) {
        json_write(found, &number);
        text = buffer_span(&number);
        is_text = true;
    }
    bool is_equal = is_text && fill_text(value->text, variables, &wanted) &&
                    span_equal(text, buffer_span(&wanted));
    buffer_fini(&wanted);
    buffer_fini(&number);
    return is_equal;
}

static bool value_equals(const struct json *found, const struct rule_value *value,
                         const struct template_variables *variables)
{
    int64_t number;
    switch (value->kind) {
    case VALUE_TEXT:
        return text_equals(found, value, variables);
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

static bool text_contains(const struct json *found, const struct rule_value *value,
                          const struct template_variables *variables)
{
    struct buffer part = {0};
    bool is_held = json_kind(found) == JSON_KIND_TEXT && fill_text(value->text, variables, &part) &&
                   span_holds(json_text(found), buffer_span(&part));
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
    case TERM_LIST:
        return json_kind(found) == JSON_KIND_ARRAY;
    case TERM_OBJECT:
        return json_kind(found) == JSON_KIND_OBJECT;
    case TERM_DIFFERS:
        return found != NULL && is_told(&term->values[0], variables) &&
               !value_equals(found, &term->values[0], variables);
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

enum reply_owner reply_owner(const struct reply *reply, const struct rule_term *identity,
                             const struct template_variables *variables)
{
    if (term_holds(identity, reply, variables)) {
        return REPLY_OURS;
    }
    const struct json *found = reply_find(reply, identity->pointer, variables);
    bool is_name = json_kind(found) == JSON_KIND_INTEGER ||
                   (json_kind(found) == JSON_KIND_TEXT && json_text(found).size > 0);
    bool is_compared = identity->kind == TERM_EQUALS && names_job(identity->values[0].text, false);
    return is_name && is_compared && is_told(&identity->values[0], variables) ? REPLY_ANOTHERS
                                                                              : REPLY_NOBODYS;
}

/* The first row that holds the status tells. A cancel that was not understood may still have
 * worked, so only who was not let in knows that it did not. */
static const struct status_default {
    uint16_t least, most;
    enum answer_verdict verdict;
    enum effect_outcome outcome;
    const char *word;
} status_defaults[] = {
    {300, 399, ANSWER_INCONCLUSIVE, OUTCOME_UNKNOWN, "redirect"},
    {401, 401, ANSWER_INCONCLUSIVE, OUTCOME_REFUSED, "auth"},
    {403, 403, ANSWER_INCONCLUSIVE, OUTCOME_REFUSED, "auth"},
    {404, 404, ANSWER_INCONCLUSIVE, OUTCOME_UNKNOWN, "bare_404"},
    {410, 410, ANSWER_INCONCLUSIVE, OUTCOME_UNKNOWN, "bare_410"},
    {408, 408, ANSWER_UNREACHABLE, OUTCOME_UNKNOWN, "unavailable"},
    {425, 425, ANSWER_UNREACHABLE, OUTCOME_UNKNOWN, "unavailable"},
    {429, 429, ANSWER_UNREACHABLE, OUTCOME_UNKNOWN, "unavailable"},
    {502, 504, ANSWER_UNREACHABLE, OUTCOME_UNKNOWN, "unavailable"},
    {500, 599, ANSWER_INCONCLUSIVE, OUTCOME_UNKNOWN, "server_error"},
};

static const char *const form_words[] = {
    [REPLY_FORM_NONE] = "unmapped",  [REPLY_EMPTY] = "unmapped", [REPLY_JSON] = "unmapped",
    [REPLY_BAD_JSON] = "bad_json",   [REPLY_HTML] = "html",      [REPLY_OTHER] = "wrong_type",
    [REPLY_TOO_LARGE] = "too_large",
};

/* Only what the purpose may say: the rest stays NONE. */
static struct judgement judgement_of(enum rule_purpose purpose, enum answer_verdict verdict,
                                     enum effect_outcome outcome, const char *word)
{
    return (struct judgement){
        .verdict = purpose == RULE_OF_STATUS ? verdict : ANSWER_NONE,
        .outcome = purpose == RULE_OF_CANCEL ? outcome : OUTCOME_NONE,
        .word = word,
    };
}

struct judgement rules_judge(enum rule_purpose purpose, const struct rule *rules, size_t count,
                             const struct reply *reply, const struct template_variables *variables)
{
    bool is_redirect = reply->http >= 300 && reply->http <= 399; /* its body is decoration */
    bool is_readable = reply->form != REPLY_HTML && reply->form != REPLY_BAD_JSON &&
                       reply->form != REPLY_TOO_LARGE;
    for (size_t i = 0; (is_readable || is_redirect) && i < count; i++) {
        const struct rule *rule = &rules[i];
        if (rule_matches(rule, reply, variables)) {
            struct judgement judgement =
                judgement_of(purpose, rule->verdict, rule->outcome, rule->word);
            judgement.is_ok = purpose == RULE_OF_PROBE && !rule->is_absent;
            judgement.is_absent = purpose == RULE_OF_PROBE && rule->is_absent;
            judgement.flags = rule->flags;
            return judgement;
        }
    }
    for (size_t i = 0; i < LENGTH(status_defaults); i++) {
        const struct status_default *row = &status_defaults[i];
        if (reply->http >= row->least && reply->http <= row->most) {
            return judgement_of(purpose, row->verdict, row->outcome, row->word);
        }
    }
    return judgement_of(purpose, ANSWER_INCONCLUSIVE, OUTCOME_UNKNOWN, form_words[reply->form]);
}
