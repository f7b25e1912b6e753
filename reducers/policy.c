/* SPDX-License-Identifier: MIT */
#include "reducers/policy.h"

#include <string.h>

#include "base/check.h"

#define SERVICE_PREFIX  "service."
#define VOLATILE_SUFFIX ".volatile"

static const struct policy_key_rule key_rules[POLICY_KEY_COUNT] = {
#define X(name, text, list, largest, of_safe, of_seed) \
    [POLICY_##name] = {                                \
        .key = (text), .words = (list), .max = (largest), .safe = (of_safe), .seed = (of_seed)},
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

static struct policy_service *find_service(struct policy *policy, struct span name)
{
    for (uint32_t i = 0; i < policy->service_count; i++) {
        struct policy_service *service = &policy->services[i];
        if (span_equal(name, (struct span){service->name, service->name_size})) {
            return service;
        }
    }
    return NULL;
}

bool policy_set_service(struct policy *policy, struct span name, bool is_volatile)
{
    if (name.size == 0 || name.size > ID_SIZE_MAX) {
        return false;
    }
    struct policy_service *service = find_service(policy, name);
    if (service == NULL) {
        if (policy->service_count == POLICY_SERVICES_MAX) {
            return false;
        }
        service = &policy->services[policy->service_count++];
        memcpy(service->name, name.data, name.size);
        service->name_size = (uint8_t)name.size;
    }
    service->is_volatile = is_volatile;
    return true;
}

bool policy_service_is_volatile(const struct policy *policy, struct span name)
{
    for (uint32_t i = 0; i < policy->service_count; i++) {
        const struct policy_service *service = &policy->services[i];
        if (span_equal(name, (struct span){service->name, service->name_size})) {
            return service->is_volatile;
        }
    }
    return false;
}

/* The lines of the text are few: the next one in byte order is looked for each time. */
static void put_service_line(struct buffer *buffer, const struct policy_service *service)
{
    buffer_put_text(buffer, SERVICE_PREFIX);
    buffer_put_span(buffer, (struct span){service->name, service->name_size});
    buffer_put_text(buffer, VOLATILE_SUFFIX);
    buffer_put_text(buffer, service->is_volatile ? "=true\n" : "=false\n");
}

static void put_key_line(struct buffer *buffer, const struct policy *policy, enum policy_key key)
{
    buffer_put_text(buffer, key_rules[key].key);
    buffer_put_byte(buffer, '=');
    policy_value_put(buffer, key, policy->value[key]);
    buffer_put_byte(buffer, '\n');
}

void policy_put_text(struct buffer *buffer, const struct policy *policy)
{
    struct buffer last = {0};
    struct buffer line = {0};
    struct buffer least = {0};
    uint32_t line_count = POLICY_KEY_COUNT + policy->service_count;
    for (uint32_t written = 0; written < line_count; written++) {
        buffer_reset(&least);
        for (uint32_t i = 0; i < line_count; i++) {
            buffer_reset(&line);
            if (i < POLICY_KEY_COUNT) {
                put_key_line(&line, policy, (enum policy_key)i);
            } else {
                put_service_line(&line, &policy->services[i - POLICY_KEY_COUNT]);
            }
            bool is_behind = span_compare(buffer_span(&line), buffer_span(&last)) > 0;
            if (is_behind &&
                (least.size == 0 || span_compare(buffer_span(&line), buffer_span(&least)) < 0)) {
                buffer_reset(&least);
                buffer_put_span(&least, buffer_span(&line));
            }
        }
        CHECK(least.size > 0);
        buffer_put_span(buffer, buffer_span(&least));
        buffer_reset(&last);
        buffer_put_span(&last, buffer_span(&least));
    }
    buffer_fini(&least);
    buffer_fini(&line);
    buffer_fini(&last);
}

/* "service.<name>.volatile": false when the key is not of that form. */
static bool service_of_key(struct span key, struct span *name)
{
    struct span prefix = SPAN(SERVICE_PREFIX);
    struct span suffix = SPAN(VOLATILE_SUFFIX);
    if (key.size <= prefix.size + suffix.size || memcmp(key.data, prefix.data, prefix.size) != 0 ||
        memcmp(key.data + key.size - suffix.size, suffix.data, suffix.size) != 0) {
        return false;
    }
    *name = (struct span){key.data + prefix.size, key.size - prefix.size - suffix.size};
    return true;
}

static bool parse_line(struct span line, struct policy *policy, bool *is_seen)
{
    struct span value = line;
    struct span key = span_cut(&value, '=');
    struct span service;
    if (service_of_key(key, &service)) {
        bool is_true = span_is(value, "true");
        return (is_true || span_is(value, "false")) && find_service(policy, service) == NULL &&
               policy_set_service(policy, service, is_true);
    }
    enum policy_key known = policy_key_named(key);
    if (known == POLICY_KEY_COUNT || is_seen[known]) {
        return false;
    }
    is_seen[known] = true;
    return policy_value_parse(known, value, &policy->value[known]);
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
