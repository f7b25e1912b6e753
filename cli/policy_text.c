/* SPDX-License-Identifier: MIT */
#include "cli/policy_text.h"

#include <string.h>

#define SERVICE_PREFIX SPAN("service.")
#define SHOWN_MAX      80 /* bytes of a key or a value in a message */
#define BRIEF_MAX      6  /* settings told in one line */

struct policy_text policy_text_make(const struct policy *policy)
{
    struct policy_text made = {0};
    policy_put_text(&made.text, policy);
    struct sha256 digest = sha256_of(buffer_span(&made.text));
    made.hash = sha256_text(&digest);
    return made;
}

void policy_text_fini(struct policy_text *text)
{
    buffer_fini(&text->text);
}

/* --- what is wrong with a text --- */

void policy_text_put_allowed(struct buffer *out, enum policy_key key)
{
    const struct policy_key_rule *rule = policy_key_rule(key);
    if (rule->words == NULL) {
        buffer_put_text(out, "a whole number from 0 to ");
        buffer_put_decimal(out, rule->max);
        return;
    }
    struct span words = span_of(rule->words);
    while (words.size > 0) {
        buffer_put_span(out, span_cut(&words, ' '));
        buffer_put_text(out, words.size > 0 ? ", " : "");
    }
}

static void put_keys(struct buffer *out, bool is_of_service)
{
    buffer_put_text(out, is_of_service ? "volatile, retention_ms" : "service.NAME.KEY");
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        if (!is_of_service || policy_key_rule(key)->scope == POLICY_SCOPE_JOB) {
            buffer_put_text(out, ", ");
            buffer_put_text(out, policy_key_rule(key)->key);
        }
    }
}

/* One problem is one line, whatever bytes a file holds. */
static void put_shown(struct buffer *out, struct span text)
{
    for (size_t i = 0; i < text.size && i < SHOWN_MAX; i++) {
        buffer_put_byte(out, (uint8_t)((unsigned char)text.data[i] < ' ' ? '?' : text.data[i]));
    }
}

static void put_value(struct buffer *out, struct span value)
{
    buffer_put_byte(out, '"');
    put_shown(out, value);
    buffer_put_text(out, "\"; allowed: ");
}

static bool ends_with(struct span text, const char *end)
{
    size_t size = strlen(end);
    return text.size > size && memcmp(text.data + text.size - size, end, size) == 0;
}

static bool begins_with(struct span text, struct span start)
{
    return text.size >= start.size && memcmp(text.data, start.data, start.size) == 0;
}

/* The key of "service.NAME.KEY"; POLICY_KEY_COUNT: none. */
static enum policy_key key_at_end(struct span name)
{
    enum policy_key key = 0;
    for (; key < POLICY_KEY_COUNT; key++) {
        const char *text = policy_key_rule(key)->key;
        size_t size = strlen(text);
        if (ends_with(name, text) && name.data[name.size - size - 1] == '.') {
            break;
        }
    }
    return key;
}

/* Of a line "service.NAME.KEY=VALUE". */
static void put_service_cause(struct buffer *out, struct span name, struct span value)
{
    enum policy_key key = key_at_end(name);
    uint64_t number;
    if (ends_with(name, ".volatile") && !span_is(value, "true") && !span_is(value, "false")) {
        put_value(out, value);
        buffer_put_text(out, "true, false");
    } else if (ends_with(name, ".retention_ms") &&
               (!span_to_number(value, MS_MAX, &number) || number == 0)) {
        put_value(out, value);
        buffer_put_text(out, "a whole number from 1 to ");
        buffer_put_decimal(out, MS_MAX);
    } else if (ends_with(name, ".volatile") || ends_with(name, ".retention_ms") ||
               (key != POLICY_KEY_COUNT && policy_key_rule(key)->scope == POLICY_SCOPE_JOB &&
                policy_value_parse(key, value, &number))) {
        buffer_put_text(out, "allowed: a service's name of 1 to 128 bytes");
    } else if (key == POLICY_KEY_COUNT) {
        buffer_put_text(out, "unknown key of a service; allowed: ");
        put_keys(out, true);
    } else if (policy_key_rule(key)->scope == POLICY_SCOPE_FLEET) {
        buffer_put_text(out, "this key holds for the whole fleet; allowed: ");
        buffer_put_text(out, policy_key_rule(key)->key);
    } else {
        put_value(out, value);
        policy_text_put_allowed(out, key);
    }
}

/* Why a line is refused that is wrong on its own. */
static void put_cause(struct buffer *out, struct span line)
{
    struct span value = line;
    struct span name = span_cut(&value, '=');
    if (value.data == NULL) {
        put_value(out, line);
        buffer_put_text(out, "KEY=VALUE");
        return;
    }
    put_shown(out, name);
    buffer_put_text(out, ": ");
    enum policy_key key = policy_key_named(name);
    if (begins_with(name, SERVICE_PREFIX)) {
        put_service_cause(out, name, value);
    } else if (key == POLICY_KEY_COUNT) {
        buffer_put_text(out, "unknown key; allowed: ");
        put_keys(out, false);
    } else {
        put_value(out, value);
        policy_text_put_allowed(out, key);
    }
}

/* The line of `text` that names the key first, from 1. */
static unsigned line_naming(struct span text, struct span name)
{
    unsigned number = 0;
    bool is_found = false;
    while (text.size > 0 && !is_found) {
        struct span line = span_cut(&text, '\n');
        is_found = span_equal(span_cut(&line, '='), name);
        number++;
    }
    return number;
}

static void begin_problem(struct buffer *problems, const char *where, unsigned number)
{
    buffer_put_text(problems, where);
    buffer_put_text(problems, ": line ");
    buffer_put_decimal(problems, number);
    buffer_put_text(problems, ": ");
}

/* People write such lines, and sqlite3 ends its output with one. */
static bool says_nothing(struct span line)
{
    size_t blanks = 0;
    while (blanks < line.size && strchr(" \t\r", line.data[blanks]) != NULL) {
        blanks++;
    }
    return blanks == line.size || line.data[0] == '#';
}

/* Each line is held against the reducers' own parser; then lines against each other. */
static void put_problems(struct buffer *problems, const char *where, struct span text)
{
    struct policy policy;
    struct span bad = SPAN_NONE;
    struct span rest = text;
    size_t before = problems->size;
    for (unsigned number = 1; rest.size > 0; number++) {
        struct span line = span_cut(&rest, '\n');
        struct span name = line;
        name = span_cut(&name, '=');
        unsigned first = line_naming(text, name);
        if (says_nothing(line)) {
            continue;
        }
        if (!policy_parse_text(line, &policy, &bad)) {
            begin_problem(problems, where, number);
            put_cause(problems, line);
            buffer_put_byte(problems, '\n');
        } else if (first < number) {
            begin_problem(problems, where, number);
            put_shown(problems, name);
            buffer_put_text(problems, ": stands in line ");
            buffer_put_decimal(problems, first);
            buffer_put_text(problems, " already; allowed: once\n");
        }
    }
    if (problems->size == before) {
        (void)policy_parse_text(text, &policy, &bad);
        begin_problem(problems, where, line_naming(text, span_cut(&bad, '=')));
        buffer_put_text(problems, "one service too many; allowed: ");
        buffer_put_decimal(problems, POLICY_SERVICES_MAX);
        buffer_put_byte(problems, '\n');
    }
}

static uint64_t unnamed_keys(struct span text)
{
    uint64_t unnamed = (UINT64_C(1) << POLICY_KEY_COUNT) - 1;
    while (text.size > 0) {
        struct span line = span_cut(&text, '\n');
        enum policy_key key = policy_key_named(span_cut(&line, '='));
        unnamed &= key < POLICY_KEY_COUNT ? ~(UINT64_C(1) << key) : UINT64_MAX;
    }
    return unnamed;
}

bool policy_text_read(struct span text, const char *where, struct policy *out, uint64_t *unnamed,
                      struct buffer *problems)
{
    struct buffer lines = {0};
    struct span bad = SPAN_NONE, rest = text;
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        if (!says_nothing(line)) {
            buffer_put_span(&lines, line);
            buffer_put_byte(&lines, '\n');
        }
    }
    *unnamed = unnamed_keys(buffer_span(&lines));
    bool is_read = policy_parse_text(buffer_span(&lines), out, &bad);
    if (!is_read) {
        put_problems(problems, where, text);
    }
    buffer_fini(&lines);
    return is_read;
}

/* --- what changes --- */

/* Takes the first line off; the order of lines is that of their keys with the '=' behind them. */
static struct span take_line(struct span *text, struct span *key, struct span *value)
{
    *value = span_cut(text, '\n');
    struct span line = *value;
    *key = span_cut(value, '=');
    return (struct span){line.data, key->size + (value->data != NULL ? 1 : 0)};
}

uint32_t policy_text_compare(struct span before, struct span after, policy_difference_fn tell,
                             void *self)
{
    uint32_t count = 0;
    while (before.size > 0 || after.size > 0) {
        struct span old_rest = before, old_key = SPAN_NONE, old_value = SPAN_NONE;
        struct span new_rest = after, new_key = SPAN_NONE, new_value = SPAN_NONE;
        struct span old_place = take_line(&old_rest, &old_key, &old_value);
        struct span new_place = take_line(&new_rest, &new_key, &new_value);
        int order = before.size == 0  ? 1
                    : after.size == 0 ? -1
                                      : span_compare(old_place, new_place);
        bool is_equal = order == 0 && span_equal(old_value, new_value);
        if (!is_equal) {
            tell(self, order <= 0 ? old_key : new_key, order <= 0 ? old_value : SPAN_NONE,
                 order >= 0 ? new_value : SPAN_NONE);
            count++;
        }
        before = order <= 0 ? old_rest : before;
        after = order >= 0 ? new_rest : after;
    }
    return count;
}

/* --- in one line --- */

struct brief {
    struct buffer line;
    uint32_t count;
};

static void put_setting(void *self, struct span key, struct span before, struct span after)
{
    struct brief *brief = self;
    (void)before;
    if (++brief->count <= BRIEF_MAX) {
        buffer_put_byte(&brief->line, ' ');
        put_shown(&brief->line, key);
        buffer_put_byte(&brief->line, '=');
        put_shown(&brief->line, after);
    }
}

static struct brief brief_against(enum policy_preset preset, struct span text)
{
    struct brief brief = {0};
    struct policy policy = {0};
    policy_preset(preset, &policy);
    struct policy_text made = policy_text_make(&policy);
    policy_text_compare(buffer_span(&made.text), text, put_setting, &brief);
    policy_text_fini(&made);
    return brief;
}

void policy_text_put_brief(struct buffer *out, struct span text)
{
    if (text.size == 0) {
        buffer_put_text(out, "none yet: safe, and nothing is touched");
        return;
    }
    struct brief safe = brief_against(PRESET_SAFE, text), seed = brief_against(PRESET_SEED, text);
    bool is_safe = safe.count <= seed.count;
    const struct brief *nearer = is_safe ? &safe : &seed;
    buffer_put_text(out, is_safe ? "safe" : "seed");
    if (nearer->count > 0) {
        buffer_put_text(out, ", but");
        buffer_put_span(out, buffer_span(&nearer->line));
    }
    if (nearer->count > BRIEF_MAX) {
        buffer_put_text(out, " and ");
        buffer_put_decimal(out, nearer->count - BRIEF_MAX);
        buffer_put_text(out, " more");
    }
    buffer_fini(&safe.line);
    buffer_fini(&seed.line);
}
