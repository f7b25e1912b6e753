/* SPDX-License-Identifier: MIT */
#include "reducers/policy.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "reducers/lot.h"

#define SERVICE_PREFIX   "service."
#define VOLATILE_SUFFIX  ".volatile"
#define RETENTION_SUFFIX ".retention_ms"

static const struct policy_key_rule key_rules[POLICY_KEY_COUNT] = {
#define X(name, text, whose, list, largest, of_safe, of_seed) \
    [POLICY_##name] = {.key = (text),                         \
                       .words = (list),                       \
                       .scope = POLICY_SCOPE_##whose,         \
                       .max = (largest),                      \
                       .safe = (of_safe),                     \
                       .seed = (of_seed)},
    POLICY_KEYS(X)
#undef X
};

const struct policy_key_rule *policy_key_rule(enum policy_key key)
{
    CHECK(key < POLICY_KEY_COUNT);
    return &key_rules[key];
}

enum policy_key policy_key_named(struct span name)
{
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        if (span_is(name, key_rules[key].key)) {
            return key;
        }
    }
    return POLICY_KEY_COUNT;
}

bool policy_value_parse(enum policy_key key, struct span text, uint64_t *out)
{
    const struct policy_key_rule *rule = policy_key_rule(key);
    if (rule->words == NULL) {
        return span_to_number(text, rule->max, out);
    }
    struct span words = span_of(rule->words);
    for (uint64_t place = 1; words.size > 0; place++) {
        if (span_equal(span_cut(&words, ' '), text)) {
            *out = place;
            return true;
        }
    }
    return false;
}

void policy_value_put(struct buffer *buffer, enum policy_key key, uint64_t value)
{
    const struct policy_key_rule *rule = policy_key_rule(key);
    if (rule->words == NULL) {
        buffer_put_decimal(buffer, value);
        return;
    }
    struct span words = span_of(rule->words);
    struct span word = span_cut(&words, ' ');
    for (uint64_t place = 1; place < value; place++) {
        word = span_cut(&words, ' ');
    }
    CHECK(word.size > 0);
    buffer_put_span(buffer, word);
}

void policy_preset(enum policy_preset preset, struct policy *out)
{
    CHECK(preset == PRESET_SAFE || preset == PRESET_SEED);
    memset(out, 0, sizeof *out);
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        out->value[key] = preset == PRESET_SEED ? key_rules[key].seed : key_rules[key].safe;
    }
}

static const struct policy_service *find_service(const struct policy *policy, struct span name)
{
    for (uint32_t i = 0; i < policy->service_count; i++) {
        const struct policy_service *service = &policy->services[i];
        if (span_equal(name, (struct span){service->name, service->name_size})) {
            return service;
        }
    }
    return NULL;
}

uint64_t policy_value(const struct policy *policy, struct span service, enum policy_key key)
{
    const struct policy_service *own = find_service(policy, service);
    bool is_told = own != NULL && (own->told & (UINT64_C(1) << key)) != 0;
    return is_told ? own->value[key] : policy->value[key];
}

bool policy_applies(const struct policy *policy)
{
    bool applies = policy->value[POLICY_EFFECTS] == EFFECTS_APPLY;
    for (uint32_t i = 0; i < policy->service_count; i++) {
        struct span name = {policy->services[i].name, policy->services[i].name_size};
        applies = applies || policy_value(policy, name, POLICY_EFFECTS) == EFFECTS_APPLY;
    }
    return applies;
}

bool policy_is_rolled_out(uint64_t percent, struct span job)
{
    return percent >= 100 || job_lot(job) < percent;
}

struct policy_facts policy_facts(const struct policy *policy, struct span service)
{
    const struct policy_service *own = find_service(policy, service);
    return own == NULL ? (struct policy_facts){0} : own->facts;
}

/* The service of this name, added when it is new; NULL: it can not be. */
static struct policy_service *keep_service(struct policy *policy, struct span name)
{
    struct policy_service *service = (struct policy_service *)find_service(policy, name);
    bool is_id = name.size > 0 && name.size <= ID_SIZE_MAX;
    if (service != NULL || !is_id || policy->service_count == POLICY_SERVICES_MAX) {
        return service;
    }
    service = &policy->services[policy->service_count++];
    memcpy(service->name, name.data, name.size);
    service->name_size = (uint8_t)name.size;
    return service;
}

bool policy_set_facts(struct policy *policy, struct span service, struct policy_facts facts)
{
    struct policy_service *own = keep_service(policy, service);
    if (own != NULL) {
        own->facts = facts;
        own->has_facts = true;
    }
    return own != NULL;
}

bool policy_set_service(struct policy *policy, struct span service, enum policy_key key,
                        uint64_t value)
{
    struct policy_service *own =
        key_rules[key].scope == POLICY_SCOPE_JOB ? keep_service(policy, service) : NULL;
    if (own != NULL) {
        own->told |= UINT64_C(1) << key;
        own->value[key] = value;
    }
    return own != NULL;
}

/* --- the text --- */

static void put_service_key(struct buffer *line, const struct policy_service *service)
{
    buffer_put_text(line, SERVICE_PREFIX);
    buffer_put_span(line, (struct span){service->name, service->name_size});
}

static void end_line(struct arena *arena, struct buffer *line, struct span *lines, uint32_t *count)
{
    buffer_put_byte(line, '\n');
    lines[(*count)++] = arena_copy(arena, buffer_span(line));
    buffer_reset(line);
}

static void sort_lines(struct span *lines, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct span line = lines[i];
        uint32_t place = i;
        for (; place > 0 && span_compare(lines[place - 1], line) > 0; place--) {
            lines[place] = lines[place - 1];
        }
        lines[place] = line;
    }
}

void policy_put_text(struct buffer *buffer, const struct policy *policy)
{
    struct arena arena = {0};
    struct buffer line = {0};
    uint32_t count = 0;
    size_t most = POLICY_KEY_COUNT + (size_t)policy->service_count * (POLICY_KEY_COUNT + 2);
    struct span *lines = arena_take(&arena, most * sizeof *lines);
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        buffer_put_text(&line, key_rules[key].key);
        buffer_put_byte(&line, '=');
        policy_value_put(&line, key, policy->value[key]);
        end_line(&arena, &line, lines, &count);
    }
    for (uint32_t i = 0; i < policy->service_count; i++) {
        const struct policy_service *service = &policy->services[i];
        for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
            if ((service->told & (UINT64_C(1) << key)) != 0) {
                put_service_key(&line, service);
                buffer_put_byte(&line, '.');
                buffer_put_text(&line, key_rules[key].key);
                buffer_put_byte(&line, '=');
                policy_value_put(&line, key, service->value[key]);
                end_line(&arena, &line, lines, &count);
            }
        }
        if (service->has_facts) {
            put_service_key(&line, service);
            buffer_put_text(&line, VOLATILE_SUFFIX);
            buffer_put_text(&line, service->facts.is_volatile ? "=true" : "=false");
            end_line(&arena, &line, lines, &count);
        }
        if (service->facts.retention_ms > 0) {
            put_service_key(&line, service);
            buffer_put_text(&line, RETENTION_SUFFIX "=");
            buffer_put_decimal(&line, service->facts.retention_ms);
            end_line(&arena, &line, lines, &count);
        }
    }
    sort_lines(lines, count);
    for (uint32_t i = 0; i < count; i++) {
        buffer_put_span(buffer, lines[i]);
    }
    buffer_fini(&line);
    arena_fini(&arena);
}

/* Takes ".key" off the end of what stands between; false when it does not end so. */
static bool cut_suffix(struct span *text, const char *key, size_t size)
{
    if (text->size <= size || memcmp(text->data + text->size - size, key, size) != 0) {
        return false;
    }
    text->size -= size;
    return true;
}

static bool parse_volatile(struct span value, struct policy *policy, struct span name)
{
    struct policy_service *service = keep_service(policy, name);
    bool is_true = span_is(value, "true");
    if (service == NULL || service->has_facts || (!is_true && !span_is(value, "false"))) {
        return false;
    }
    service->has_facts = true;
    service->facts.is_volatile = is_true;
    return true;
}

static bool parse_retention(struct span value, struct policy *policy, struct span name)
{
    struct policy_service *service = keep_service(policy, name);
    return service != NULL && service->facts.retention_ms == 0 &&
           span_to_number(value, MS_MAX, &service->facts.retention_ms) &&
           service->facts.retention_ms > 0;
}

/* "service.<name>.<key>"; a name may hold dots, so the key is what the text ends with. */
static bool parse_service_line(struct span name, struct span value, struct policy *policy)
{
    struct span service = name;
    if (cut_suffix(&service, VOLATILE_SUFFIX, sizeof VOLATILE_SUFFIX - 1)) {
        return parse_volatile(value, policy, service);
    }
    if (cut_suffix(&service, RETENTION_SUFFIX, sizeof RETENTION_SUFFIX - 1)) {
        return parse_retention(value, policy, service);
    }
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        size_t size = span_of(key_rules[key].key).size;
        service = name;
        if (cut_suffix(&service, key_rules[key].key, size) && cut_suffix(&service, ".", 1)) {
            const struct policy_service *known = find_service(policy, service);
            bool is_new = known == NULL || (known->told & (UINT64_C(1) << key)) == 0;
            uint64_t number;
            return is_new && policy_value_parse(key, value, &number) &&
                   policy_set_service(policy, service, key, number);
        }
    }
    return false;
}

static bool parse_line(struct span line, struct policy *policy, bool *is_seen)
{
    struct span value = line;
    struct span name = span_cut(&value, '=');
    size_t prefix = sizeof SERVICE_PREFIX - 1;
    if (name.size > prefix && memcmp(name.data, SERVICE_PREFIX, prefix) == 0) {
        return parse_service_line((struct span){name.data + prefix, name.size - prefix}, value,
                                  policy);
    }
    enum policy_key key = policy_key_named(name);
    if (key == POLICY_KEY_COUNT || is_seen[key]) {
        return false;
    }
    is_seen[key] = true;
    return policy_value_parse(key, value, &policy->value[key]);
}

bool policy_parse_text(struct span text, struct policy *out, struct span *bad)
{
    bool is_seen[POLICY_KEY_COUNT] = {false};
    policy_preset(PRESET_SAFE, out);
    while (text.size > 0) {
        struct span line = span_cut(&text, '\n');
        if (!parse_line(line, out, is_seen)) {
            *bad = line;
            return false;
        }
    }
    return true;
}
