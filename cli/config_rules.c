/* SPDX-License-Identifier: MIT */
#include "cli/config_rules.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "stream/redis_url.h"

#define LINE_SIZE_MAX 2048

enum key_kind {
    KEY_NONE,
    KEY_NUMBER, /* uint64_t */
    KEY_NAME,   /* 1 to 64 letters, digits, '-', '_', '.' */
    KEY_TEXT,
    KEY_WORD,   /* one of `words` */
    KEY_SECRET, /* the address of a Redis: as it is, env:NAME or file:PATH */
};

struct key_rule {
    const char *section, *key;
    enum key_kind kind;
    size_t offset; /* in struct config */
    uint64_t least, most;
    const char *words; /* parted by blanks; or, for texts, what is allowed */
    const char *initial;
    bool is_without_effect; /* nothing in this build reads it */
};

#define AT(member) offsetof(struct config, member)

static const struct key_rule key_rules[] = {
    {.section = "salvor",
     .key = "partitions",
     .kind = KEY_NUMBER,
     .offset = AT(partitions),
     .least = 1,
     .most = 1,
     .initial = "1"},
    {.section = "salvor",
     .key = "prefix",
     .kind = KEY_NAME,
     .offset = AT(prefix),
     .initial = "salvor"},
    {.section = "salvor",
     .key = "data",
     .kind = KEY_TEXT,
     .offset = AT(data),
     .words = "a directory",
     .initial = "salvor-data"},
    {.section = "salvor",
     .key = "tick_ms",
     .kind = KEY_NUMBER,
     .offset = AT(tick_ms),
     .least = 10,
     .most = 1000,
     .initial = "250"},
    {.section = "salvor",
     .key = "lease_ms",
     .kind = KEY_NUMBER,
     .offset = AT(lease_ms),
     .least = 100,
     .most = 600000,
     .initial = "5000"},
    {.section = "redis",
     .key = "url",
     .kind = KEY_SECRET,
     .offset = AT(redis_url),
     .words = "redis://[user:password@]host[:port][/db], unix:///path[?db=n], env:NAME, file:PATH",
     .initial = "redis://127.0.0.1:6379/0"},
    {.section = "queue",
     .key = "layout",
     .kind = KEY_WORD,
     .offset = AT(queue_layout),
     .words = "emprops",
     .initial = "emprops"},
    {.section = "queue",
     .key = "prefix",
     .kind = KEY_TEXT,
     .offset = AT(queue_prefix),
     .words = "what stands before the queue's own keys",
     .initial = ""},
    {.section = "capture",
     .key = "rotate_bytes",
     .kind = KEY_NUMBER,
     .offset = AT(capture_rotate_bytes),
     .least = 4096,
     .most = (uint64_t)1 << 40,
     .initial = "268435456"},
    {.section = "capture",
     .key = "rotate_ms",
     .kind = KEY_NUMBER,
     .offset = AT(capture_rotate_ms),
     .least = 1000,
     .most = 86400000,
     .initial = "600000"},
    {.section = "capture",
     .key = "keep_ms",
     .kind = KEY_NUMBER,
     .offset = AT(capture_keep_ms),
     .least = 0,
     .most = MS_MAX,
     .initial = "604800000"},
    {.section = "capture",
     .key = "keep_bytes",
     .kind = KEY_NUMBER,
     .offset = AT(capture_keep_bytes),
     .least = 0,
     .most = (uint64_t)1 << 60,
     .initial = "0"},
    {.section = "audit",
     .key = "keep_ms",
     .kind = KEY_NUMBER,
     .offset = AT(audit_keep_ms),
     .most = MS_MAX,
     .initial = "0"},
    {.section = "monitor",
     .key = "listen",
     .kind = KEY_TEXT,
     .offset = AT(monitor_listen),
     .words = "host:port",
     .is_without_effect = true},
};

#define KEY_COUNT (sizeof(key_rules) / sizeof(key_rules[0]))

static const char *const sections[] = {"salvor",   "redis",   "queue", "policy",
                                       "services", "capture", "audit", "monitor"};

bool section_exists(struct span section)
{
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (span_is(section, sections[i])) {
            return true;
        }
    }
    return false;
}

void setting_put_listed(struct buffer *out, struct span name)
{
    if (out->size > 0) {
        buffer_put_text(out, ", ");
    }
    buffer_put_span(out, name);
}

void section_put_names(struct buffer *out)
{
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        setting_put_listed(out, span_of(sections[i]));
    }
}

void config_problem(struct config *config, const char *where, const char *format, ...)
{
    char line[LINE_SIZE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    for (char *at = line; *at != '\0'; at++) { /* one problem, one line */
        if ((unsigned char)*at < ' ') {
            *at = '?';
        }
    }
    buffer_put_text(&config->problems, where);
    buffer_put_text(&config->problems, ": ");
    buffer_put_text(&config->problems, line);
    buffer_put_byte(&config->problems, '\n');
}

const char *config_text(struct config *config, const char *format, ...)
{
    char line[LINE_SIZE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    return arena_copy(&config->arena, span_of(line)).data;
}

const char *setting_path(struct config *config, const struct setting *setting)
{
    const char *service = setting->service;
    return config_text(config, "%s%s%s.%.*s", setting->section, service != NULL ? "." : "",
                       service != NULL ? service : "", SPAN_FORMAT(setting->key));
}

/* --- plain keys --- */

static const struct key_rule *rule_of(const char *section, struct span key)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(key_rules[i].section, section) == 0 && span_is(key, key_rules[i].key)) {
            return &key_rules[i];
        }
    }
    return NULL;
}

static void put_allowed_keys(struct buffer *out, const char *section)
{
    bool is_policy = strcmp(section, "policy") == 0;
    if (is_policy) {
        setting_put_listed(out, SPAN("preset"));
        setting_put_listed(out, SPAN("services"));
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(key_rules[i].section, section) == 0) {
            setting_put_listed(out, span_of(key_rules[i].key));
        }
    }
    setting_put_policy_keys(out, section);
}

void setting_unknown(struct config *config, const struct setting *setting)
{
    struct buffer allowed = {0};
    if (setting->service != NULL) {
        setting_put_service_keys(&allowed, setting->section);
    } else {
        put_allowed_keys(&allowed, setting->section);
    }
    config_problem(config, setting->where, "%s: unknown key; allowed: %.*s",
                   setting_path(config, setting), (int)allowed.size, allowed.data);
    buffer_fini(&allowed);
}

bool config_is_name(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool is_fine = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.';
        if (!is_fine) {
            return false;
        }
    }
    return text.size > 0 && text.size <= 64;
}

static bool is_one_of(struct span text, const char *words)
{
    struct span rest = span_of(words);
    while (rest.size > 0) {
        if (span_equal(span_cut(&rest, ' '), text)) {
            return true;
        }
    }
    return false;
}

static void apply_number(struct config *config, const struct setting *setting,
                         const struct key_rule *rule)
{
    uint64_t number = 0;
    if (!span_to_number(setting->value, rule->most, &number) || number < rule->least) {
        const char *path = setting_path(config, setting);
        if (rule->least == rule->most) {
            config_problem(config, setting->where, "%s: \"%.*s\"; allowed: %" PRIu64, path,
                           SPAN_FORMAT(setting->value), rule->least);
        } else {
            config_problem(config, setting->where,
                           "%s: \"%.*s\"; allowed: a whole number from %" PRIu64 " to %" PRIu64,
                           path, SPAN_FORMAT(setting->value), rule->least, rule->most);
        }
        return;
    }
    *(uint64_t *)((char *)config + rule->offset) = number;
}

static void apply_text(struct config *config, const struct setting *setting,
                       const struct key_rule *rule)
{
    bool may_be_empty = rule->initial != NULL && rule->initial[0] == '\0';
    const char *allowed = rule->words;
    bool is_fine = setting->value.size > 0 || may_be_empty;
    if (rule->kind == KEY_NAME) {
        allowed = "1 to 64 letters, digits, '-', '_' and '.'";
        is_fine = config_is_name(setting->value);
    } else if (rule->kind == KEY_WORD) {
        is_fine = is_one_of(setting->value, rule->words);
    }
    if (!is_fine || strlen(setting->value.data) != setting->value.size) {
        struct span shown = rule->kind == KEY_SECRET ? SPAN_NONE : setting->value;
        config_problem(config, setting->where, "%s: \"%.*s\"; allowed: %s",
                       setting_path(config, setting), SPAN_FORMAT(shown), allowed);
        return;
    }
    bool is_url = rule->kind == KEY_SECRET;
    const char *value = is_url ? setting_secret(config, setting) : setting->value.data;
    struct redis_url url;
    struct error error = {0};
    if (value != NULL && is_url && !redis_url_parse(value, &url, &error)) {
        config_problem(config, setting->where, "%s: %s; allowed: %s", setting_path(config, setting),
                       error.message, allowed);
    } else if (value != NULL) {
        *(const char **)((char *)config + rule->offset) = value;
    }
}

static void without_effect(struct config *config, const struct setting *setting)
{
    buffer_put_text(&config->notes, setting->where);
    buffer_put_text(&config->notes, ": ");
    buffer_put_text(&config->notes, setting_path(config, setting));
    buffer_put_byte(&config->notes, '\n');
}

/* --- the doors --- */

void setting_apply(struct config *config, const struct setting *setting)
{
    if (setting->service != NULL) {
        if (strcmp(setting->section, "services") == 0) {
            setting_apply_service(config, setting);
        } else {
            setting_apply_service_policy(config, setting);
        }
        return;
    }
    if (strcmp(setting->section, "policy") == 0 && span_is(setting->key, "preset")) {
        return; /* taken before all others */
    }
    if (setting_apply_policy(config, setting)) {
        return;
    }
    const struct key_rule *rule = rule_of(setting->section, setting->key);
    if (rule == NULL) {
        setting_unknown(config, setting);
    } else if (rule->kind == KEY_NUMBER) {
        apply_number(config, setting, rule);
    } else {
        apply_text(config, setting, rule);
    }
    if (rule != NULL && rule->is_without_effect) {
        without_effect(config, setting);
    }
}

void setting_defaults(struct config *config)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct key_rule *rule = &key_rules[i];
        if (rule->initial != NULL) {
            struct setting setting = {
                .where = "default",
                .section = rule->section,
                .key = span_of(rule->key),
                .value = span_of(rule->initial),
            };
            setting_apply(config, &setting);
        }
    }
    policy_preset(PRESET_SAFE, &config->policy);
    CHECK(config->problems.size == 0);
}

void setting_check_all(struct config *config)
{
    if (config->lease_ms < 4 * config->tick_ms) {
        config_problem(config, config->file,
                       "salvor.lease_ms: %" PRIu64
                       "; allowed: at least four times tick_ms (%" PRIu64
                       "), or a lease ends between two ticks",
                       config->lease_ms, config->tick_ms);
    }
    setting_check_services(config);
}
