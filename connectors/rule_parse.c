/* SPDX-License-Identifier: MIT
 * Rules: reading one line. A cursor moves over it; what was found and what is allowed there is
 * told at the first mistake. */
#include <string.h>

#include "base/check.h"
#include "connectors/rules.h"

enum operands { OPERANDS_NONE, OPERANDS_ONE, OPERANDS_TEXT, OPERANDS_LIST };

static const struct operator_rule {
    const char *word;
    enum term_kind kind;
    enum operands operands;
} operator_rules[] = {
    {"=", TERM_EQUALS, OPERANDS_ONE},
    {"!=", TERM_DIFFERS, OPERANDS_ONE},
    {"in", TERM_IN, OPERANDS_LIST},
    {"contains", TERM_CONTAINS, OPERANDS_TEXT},
    {"exists", TERM_EXISTS, OPERANDS_NONE},
    {"absent", TERM_ABSENT, OPERANDS_NONE},
    {"nonempty", TERM_NONEMPTY, OPERANDS_NONE},
    {"empty", TERM_EMPTY, OPERANDS_NONE},
    {"list", TERM_LIST, OPERANDS_NONE},
    {"object", TERM_OBJECT, OPERANDS_NONE},
};
#define OPERATORS_ALLOWED "=, !=, in (…), contains, exists, absent, nonempty, empty, list, object"

static const struct verdict_rule {
    enum rule_purpose purpose;
    const char *word;
    enum answer_verdict verdict;
    enum effect_outcome outcome;
    bool is_absent;
    const char *answer_word;
} verdict_rules[] = {
#define STATUS(word, verdict, answer)                                       \
    {                                                                       \
        RULE_OF_STATUS, word, ANSWER_##verdict, OUTCOME_NONE, false, answer \
    }
#define CANCEL(word, outcome)                                             \
    {                                                                     \
        RULE_OF_CANCEL, word, ANSWER_NONE, OUTCOME_##outcome, false, NULL \
    }
#define PROBE(word, is_absent)                                          \
    {                                                                   \
        RULE_OF_PROBE, word, ANSWER_NONE, OUTCOME_NONE, is_absent, NULL \
    }
    STATUS("pending", PENDING, NULL),
    STATUS("running", RUNNING, NULL),
    STATUS("completed", COMPLETED, NULL),
    STATUS("failed", FAILED, NULL),
    STATUS("cancelled", CANCELLED, NULL),
    STATUS("not_found", NOT_FOUND, NULL),
    STATUS("inconclusive", INCONCLUSIVE, "inconclusive"),
    STATUS("retry", UNREACHABLE, "retry"),
    STATUS("auth", INCONCLUSIVE, "auth"),
    CANCEL("accepted", ACCEPTED),
    CANCEL("already_final", ALREADY_FINAL),
    CANCEL("refused", REFUSED),
    CANCEL("unsupported", UNSUPPORTED),
    CANCEL("unknown", UNKNOWN),
    PROBE("ok", false),
    PROBE("absent", true),
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* As `allowed` says it: each word with a comma before it, which is skipped. */
#define X(name, text) ", " text
static const char flags_allowed[] = ANSWER_FLAGS(X);
#undef X

void answer_flags_put(struct buffer *out, unsigned flags)
{
    const char *separator = "";
    for (unsigned i = 0; i < ANSWER_FLAG_COUNT; i++) {
        if ((flags & (1u << i)) != 0) {
            buffer_put_text(out, separator);
            buffer_put_text(out, answer_flag_text((enum answer_flag)i));
            separator = " ";
        }
    }
}

static void skip_blanks(struct span *rest)
{
    while (rest->size > 0 && rest->data[0] == ' ') {
        *rest = (struct span){rest->data + 1, rest->size - 1};
    }
}

/* The next run of bytes that are in none of `ends`, which then begins `*rest`. */
static struct span cut_until(struct span *rest, const char *ends)
{
    size_t size = 0;
    while (size < rest->size && strchr(ends, rest->data[size]) == NULL) {
        size++;
    }
    struct span part = {rest->data, size};
    *rest = (struct span){rest->data + size, rest->size - size};
    return part;
}

static struct span next_word(struct span *rest)
{
    skip_blanks(rest);
    return cut_until(rest, " ");
}

static bool eat(struct span *rest, char byte)
{
    skip_blanks(rest);
    if (rest->size == 0 || rest->data[0] != byte) {
        return false;
    }
    *rest = (struct span){rest->data + 1, rest->size - 1};
    return true;
}

static bool refuse(struct error *error, struct span found, const char *what, const char *allowed)
{
    if (found.size > 60) {
        found.size = 60;
    }
    return error_set(error, ERROR_USAGE, "\"%.*s\" is no %s; allowed: %s", SPAN_FORMAT(found), what,
                     allowed);
}

/* "200", "2xx" or "any". */
static bool parse_status(struct span text, struct rule_status *out)
{
    uint64_t number;
    if (span_is(text, "any")) {
        *out = (struct rule_status){.least = 100, .most = 599};
        return true;
    }
    if (text.size == 3 && text.data[0] >= '1' && text.data[0] <= '5' && text.data[1] == 'x' &&
        text.data[2] == 'x') {
        uint16_t hundred = (uint16_t)((text.data[0] - '0') * 100);
        *out = (struct rule_status){.least = hundred, .most = (uint16_t)(hundred + 99)};
        return true;
    }
    if (!span_to_number(text, 599, &number) || number < 100) {
        return false;
    }
    *out = (struct rule_status){.least = (uint16_t)number, .most = (uint16_t)number};
    return true;
}

static bool parse_statuses(struct span *rest, struct rule *rule, struct error *error)
{
    struct span list = next_word(rest);
    for (struct span all = list; all.data != NULL; rule->status_count++) {
        struct span one = span_cut(&all, ',');
        if (rule->status_count == RULE_STATUSES_MAX ||
            !parse_status(one, &rule->statuses[rule->status_count])) {
            return refuse(error, list, "list of HTTP statuses to begin a rule with",
                          "200, 2xx, any, or up to 8 without blanks: 200,202");
        }
    }
    return rule->status_count > 0 || error_set(error, ERROR_USAGE, "the rule is empty");
}

/* A quoted text, `\"` and `\\` inside. */
static bool parse_quoted(struct arena *arena, struct span *rest, struct span *out,
                         struct error *error)
{
    char *copy = arena_take(arena, rest->size + 1);
    size_t size = 0;
    for (size_t i = 1; i < rest->size; i++) {
        char byte = rest->data[i];
        if (byte == '"') {
            *out = (struct span){copy, size};
            *rest = (struct span){rest->data + i + 1, rest->size - i - 1};
            return template_check(*out, TEMPLATE_TEXT, error);
        }
        if (byte == '\\' && i + 1 < rest->size) {
            byte = rest->data[++i];
        }
        copy[size++] = byte;
    }
    return refuse(error, *rest, "closed text", "\"…\" with \\\" and \\\\ inside");
}

static bool parse_integer(struct span text, int64_t *out)
{
    bool is_negative = text.size > 1 && text.data[0] == '-';
    struct span digits = is_negative ? (struct span){text.data + 1, text.size - 1} : text;
    uint64_t number;
    if (!span_to_number(digits, INT64_MAX, &number)) {
        return false;
    }
    *out = is_negative ? -(int64_t)number : (int64_t)number;
    return true;
}

static bool parse_value(struct arena *arena, struct span *rest, struct rule_value *out,
                        struct error *error)
{
    skip_blanks(rest);
    if (rest->size > 0 && rest->data[0] == '"') {
        out->kind = VALUE_TEXT;
        return parse_quoted(arena, rest, &out->text, error);
    }
    struct span word = cut_until(rest, " ,)");
    if (span_is(word, "true") || span_is(word, "false")) {
        *out = (struct rule_value){.kind = VALUE_BOOLEAN, .number = word.size == 4};
        return true;
    }
    if (span_is(word, "null")) {
        out->kind = VALUE_NULL;
        return true;
    }
    out->kind = VALUE_NUMBER;
    return parse_integer(word, &out->number) ||
           refuse(error, word, "value", "\"text\", a whole number, true, false, null");
}

static bool parse_list(struct arena *arena, struct span *rest, struct rule_term *term,
                       struct error *error)
{
    if (!eat(rest, '(')) {
        return refuse(error, *rest, "list", "(value, value, …)");
    }
    do {
        if (term->value_count == RULE_VALUES_MAX) {
            return error_set(error, ERROR_USAGE, "more than %d values in one list",
                             RULE_VALUES_MAX);
        }
        if (!parse_value(arena, rest, &term->values[term->value_count++], error)) {
            return false;
        }
    } while (eat(rest, ','));
    return eat(rest, ')') || refuse(error, *rest, "end of a list", ", and )");
}

bool rule_parse_pointer(struct arena *arena, struct span text, struct span *out,
                        struct error *error)
{
    if (span_is(text, "body")) {
        *out = arena_copy(arena, SPAN(""));
        return true;
    }
    if (text.size == 0 || text.data[0] != '/') {
        return refuse(error, text, "pointer", "/name/0/[key=value]/… or body for the whole reply");
    }
    *out = arena_copy(arena, text);
    return template_check(*out, TEMPLATE_POINTER, error);
}

static bool parse_term(struct arena *arena, struct span *rest, struct rule_term *term,
                       struct error *error)
{
    if (!rule_parse_pointer(arena, next_word(rest), &term->pointer, error)) {
        return false;
    }
    skip_blanks(rest);
    struct span word = cut_until(rest, " (");
    const struct operator_rule *found = NULL;
    for (size_t i = 0; i < LENGTH(operator_rules); i++) {
        if (span_is(word, operator_rules[i].word)) {
            found = &operator_rules[i];
        }
    }
    if (found == NULL) {
        return refuse(error, word, "test of a value", OPERATORS_ALLOWED);
    }
    term->kind = found->kind;
    if (found->operands == OPERANDS_NONE) {
        return true;
    }
    term->values = arena_take(arena, RULE_VALUES_MAX * sizeof(*term->values));
    memset(term->values, 0, RULE_VALUES_MAX * sizeof(*term->values));
    if (found->operands == OPERANDS_LIST) {
        return parse_list(arena, rest, term, error);
    }
    struct span operand = *rest;
    term->value_count = 1;
    if (!parse_value(arena, rest, &term->values[0], error)) {
        return false;
    }
    return found->operands != OPERANDS_TEXT || term->values[0].kind == VALUE_TEXT ||
           refuse(error, operand, "value for contains", "\"text\"");
}

bool rule_parse_term(struct arena *arena, struct span text, struct rule_term *out,
                     struct error *error)
{
    *out = (struct rule_term){0};
    if (!parse_term(arena, &text, out, error)) {
        return false;
    }
    skip_blanks(&text);
    return text.size == 0 ||
           refuse(error, text, "end of a single term", "nothing more: one term alone");
}

static bool refuse_verdict(enum rule_purpose purpose, struct span word, struct error *error)
{
    struct buffer allowed = {0};
    for (size_t i = 0; i < LENGTH(verdict_rules); i++) {
        if (verdict_rules[i].purpose == purpose) {
            buffer_put_text(&allowed, allowed.size == 0 ? "" : ", ");
            buffer_put_text(&allowed, verdict_rules[i].word);
        }
    }
    buffer_put_byte(&allowed, 0);
    refuse(error, word, "verdict", allowed.data);
    buffer_fini(&allowed);
    return false;
}

static bool parse_verdict(enum rule_purpose purpose, struct span *rest, struct rule *rule,
                          struct error *error)
{
    struct span word = next_word(rest);
    bool is_found = false;
    for (size_t i = 0; i < LENGTH(verdict_rules); i++) {
        const struct verdict_rule *row = &verdict_rules[i];
        if (row->purpose == purpose && span_is(word, row->word)) {
            is_found = true;
            rule->verdict = row->verdict;
            rule->outcome = row->outcome;
            rule->is_absent = row->is_absent;
            rule->word = row->answer_word;
        }
    }
    if (!is_found) {
        return refuse_verdict(purpose, word, error);
    }
    for (word = next_word(rest); word.size > 0; word = next_word(rest)) {
        unsigned flag = 0;
        while (flag < ANSWER_FLAG_COUNT &&
               !span_is(word, answer_flag_text((enum answer_flag)flag))) {
            flag++;
        }
        if (flag == ANSWER_FLAG_COUNT || purpose != RULE_OF_STATUS) {
            return refuse(error, word, "flag behind the verdict",
                          purpose == RULE_OF_STATUS ? flags_allowed + 2 : "none");
        }
        rule->flags |= 1u << flag;
    }
    return true;
}

bool rule_parse(struct arena *arena, enum rule_purpose purpose, struct span text, struct rule *out,
                struct error *error)
{
    CHECK(purpose != RULE_PURPOSE_NONE);
    struct rule_term *terms = arena_take(arena, RULE_TERMS_MAX * sizeof(*terms));
    memset(terms, 0, RULE_TERMS_MAX * sizeof(*terms));
    *out = (struct rule){.terms = terms};
    if (!parse_statuses(&text, out, error)) {
        return false;
    }
    while (eat(&text, '&')) {
        if (out->term_count == RULE_TERMS_MAX) {
            return error_set(error, ERROR_USAGE, "more than %d terms in one rule", RULE_TERMS_MAX);
        }
        if (!parse_term(arena, &text, &terms[out->term_count++], error)) {
            return false;
        }
    }
    struct span arrow = next_word(&text);
    if (!span_is(arrow, "=>")) {
        return refuse(error, arrow, "continuation of the rule", "& term, or => verdict");
    }
    return parse_verdict(purpose, &text, out, error);
}
