/* SPDX-License-Identifier: MIT
 * The input is a profile and, behind a 0 byte, the body of a reply. Whatever loads is judged
 * with, and what it would send keeps its place. */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "connectors/profile.h"

static const struct template_variables variables = {
    .id = {"7/..", 4},
    .tag = {"a\r\n\"b", 5},
    .submitted_at = 1700000000000,
    .status_url = {"http://h/s", 10},
};

static void render(struct span text, enum template_place place)
{
    struct buffer out = {0};
    struct error error = {0};
    if (template_render(text, place, &variables, &out, &error)) {
        for (size_t i = 0; i < out.size; i++) {
            CHECK(place != TEMPLATE_URL || (out.data[i] > ' ' && out.data[i] <= '~'));
        }
    }
    buffer_fini(&out);
}

static void judge(const struct profile_request *request, enum rule_purpose purpose,
                  const struct reply *reply)
{
    struct judgement judgement =
        rules_judge(purpose, request->rules, request->rule_count, reply, &variables);
    CHECK((judgement.verdict != ANSWER_NONE) == (purpose == RULE_OF_STATUS));
    CHECK((judgement.outcome != OUTCOME_NONE) == (purpose == RULE_OF_CANCEL));
    if (request->identity != NULL) {
        CHECK(reply_owner(reply, request->identity, &variables) != REPLY_OWNER_NONE);
    }
    render(request->target, TEMPLATE_URL);
    render(request->body, TEMPLATE_BODY);
}

static void judge_all(const struct profile *profile, const struct reply *reply)
{
    for (size_t i = 0; i < profile->variant_count; i++) {
        const struct profile_variant *variant = &profile->variants[i];
        for (size_t k = 0; k < variant->status.count; k++) {
            judge(&variant->status.list[k], RULE_OF_STATUS, reply);
        }
        for (size_t k = 0; k < variant->cancel.count; k++) {
            judge(&variant->cancel.list[k], RULE_OF_CANCEL, reply);
        }
        if (variant->probe != NULL) {
            judge(variant->probe, RULE_OF_PROBE, reply);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body = {(const char *)data, size};
    struct span yaml = span_cut(&body, 0);
    struct error error = {0};
    struct buffer problems = {0};
    struct profile *profile = profile_load("p", yaml, &problems, &error);
    CHECK((profile == NULL) == (problems.size > 0));
    if (profile != NULL) {
        struct reply reply = reply_open(200, SPAN("application/json"), body);
        judge_all(profile, &reply);
        reply_close(&reply);
        profile_destroy(profile);
    }
    buffer_fini(&problems);
    return 0;
}
