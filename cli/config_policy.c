/* SPDX-License-Identifier: MIT
 * The settings of `policy`: its keys are those of the reducers' table, and one with a dot names the
 * section it stands in. */
#include <stdio.h>
#include <string.h>

#include "cli/config_rules.h"
#include "cli/policy_text.h"

/* The policy key that section and key mean; POLICY_KEY_COUNT: none. */
static enum policy_key policy_key_of(const char *section, struct span key)
{
    char name[96];
    bool is_policy = strcmp(section, "policy") == 0;
    int size = snprintf(name, sizeof(name), "%s%s%.*s", is_policy ? "" : section,
                        is_policy ? "" : ".", SPAN_FORMAT(key));
    if (size < 0 || (size_t)size >= sizeof(name) || memchr(key.data, '.', key.size) != NULL) {
        return POLICY_KEY_COUNT;
    }
    return policy_key_named(span_of(name));
}

/* False (and a problem) when the key does not take the value. */
static bool take_policy_value(struct config *config, const struct setting *setting,
                              enum policy_key key, uint64_t *out)
{
    if (policy_value_parse(key, setting->value, out)) {
        return true;
    }
    struct buffer allowed = {0};
    policy_text_put_allowed(&allowed, key);
    config_problem(config, setting->where, "%s: \"%.*s\"; allowed: %.*s",
                   setting_path(config, setting), SPAN_FORMAT(setting->value), (int)allowed.size,
                   allowed.data);
    buffer_fini(&allowed);
    return false;
}

void setting_put_policy_keys(struct buffer *out, const char *section)
{
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        struct span name = span_of(policy_key_rule(key)->key);
        bool is_dotted = memchr(name.data, '.', name.size) != NULL;
        struct span head = is_dotted ? span_cut(&name, '.') : SPAN("policy");
        if (span_is(head, section)) {
            setting_put_listed(out, name);
        }
    }
}

void setting_apply_service_policy(struct config *config, const struct setting *setting)
{
    enum policy_key key = policy_key_named(setting->key);
    uint64_t value = 0;
    if (key == POLICY_KEY_COUNT) {
        setting_unknown(config, setting);
    } else if (policy_key_rule(key)->scope == POLICY_SCOPE_FLEET) {
        config_problem(config, setting->where,
                       "%s: this key holds for the whole fleet; allowed: policy.%s",
                       setting_path(config, setting), policy_key_rule(key)->key);
    } else if (take_policy_value(config, setting, key, &value) &&
               !policy_set_service(&config->policy, span_of(setting->service), key, value)) {
        config_problem(config, setting->where, "%s: more than %d services",
                       setting_path(config, setting), POLICY_SERVICES_MAX);
    }
}

bool setting_apply_policy(struct config *config, const struct setting *setting)
{
    enum policy_key key = policy_key_of(setting->section, setting->key);
    if (key != POLICY_KEY_COUNT) {
        (void)take_policy_value(config, setting, key, &config->policy.value[key]);
    }
    return key != POLICY_KEY_COUNT;
}
