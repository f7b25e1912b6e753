/* SPDX-License-Identifier: MIT */
#include "replay/policy_facts.h"

#include <stddef.h>

static bool has_facts(const struct policy *policy, struct span name)
{
    bool is_found = false;
    for (uint32_t i = 0; i < policy->service_count; i++) {
        const struct policy_service *service = &policy->services[i];
        is_found |= service->has_facts &&
                    span_equal((struct span){service->name, service->name_size}, name);
    }
    return is_found;
}

bool policy_keep_facts(struct policy *policy, const struct policy *known, policy_facts_fn tell,
                       void *payload)
{
    bool is_fine = true;
    for (uint32_t i = 0; is_fine && i < known->service_count; i++) {
        const struct policy_service *service = &known->services[i];
        struct span name = {service->name, service->name_size};
        if (!service->has_facts || has_facts(policy, name)) {
            continue;
        }
        is_fine = policy_set_facts(policy, name, service->facts);
        if (tell != NULL) {
            tell(payload, service);
        }
    }
    return is_fine;
}
