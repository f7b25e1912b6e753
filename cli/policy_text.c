/* SPDX-License-Identifier: MIT */
#include "cli/policy_text.h"

struct policy_text policy_text_make(const struct policy *policy)
{
    struct policy_text made = {0};
    policy_put_text(&made.text, policy);
    struct sha256 digest = sha256_of(buffer_span(&made.text));
    made.hash = sha256_text(&digest);
    return made;
}

/* The number of the line that `bad` is. */
static unsigned line_of(struct span text, struct span bad)
{
    unsigned line = 1;
    for (const char *at = text.data; at < bad.data; at++) {
        line += *at == '\n';
    }
    return line;
}

static bool refuse(struct span text, struct span bad, struct error *error)
{
    struct span rest = bad;
    enum policy_key key = policy_key_named(span_cut(&rest, '='));
    unsigned line = line_of(text, bad);
    int shown = bad.size < 60 ? (int)bad.size : 60;
    if (key == POLICY_KEY_COUNT) {
        return error_set(error, ERROR_USAGE,
                         "line %u: \"%.*s\"; allowed: key=value, each policy key once", line, shown,
                         bad.data);
    }
    const struct policy_key_rule *rule = policy_key_rule(key);
    if (rule->words != NULL) {
        return error_set(error, ERROR_USAGE, "line %u: \"%.*s\"; allowed: one of %s, once", line,
                         shown, bad.data, rule->words);
    }
    return error_set(error, ERROR_USAGE,
                     "line %u: \"%.*s\"; allowed: a whole number from 0 to %llu, once", line, shown,
                     bad.data, (unsigned long long)rule->max);
}

bool policy_text_read(struct span text, struct policy_text *out, struct error *error)
{
    struct policy policy;
    struct span bad = SPAN_NONE;
    if (!policy_parse_text(text, &policy, &bad)) {
        return refuse(text, bad, error);
    }
    *out = policy_text_make(&policy);
    return true;
}

void policy_text_fini(struct policy_text *text)
{
    buffer_fini(&text->text);
}
