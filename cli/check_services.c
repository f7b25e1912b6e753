/* SPDX-License-Identifier: MIT
 * The outside services: are they reached, and what do they say of a job that cannot exist. */
#include <stdio.h>

#include "cli/check_areas.h"

#define AREA            "services"
#define ASKED_ELSEWHERE "it is asked only where its jobs or workers say it is"

/* What an answer about a job that cannot exist would lead to: recovery rests on `not_found`. */
static const struct {
    enum finding_level level;
    const char *means;
} strangers[ANSWER_VERDICT_COUNT] = {
    [ANSWER_NONE] = {FINDING_OK, ASKED_ELSEWHERE},
    [ANSWER_PENDING] = {FINDING_PROBLEM, "jobs it never had would be waited for"},
    [ANSWER_RUNNING] = {FINDING_PROBLEM, "jobs it never had would be waited for"},
    [ANSWER_COMPLETED] = {FINDING_PROBLEM,
                          "jobs it never had would be marked completed: do not run with this; is "
                          "the profile that of the service?"},
    [ANSWER_FAILED] = {FINDING_PROBLEM, "jobs it never had would count as failed there"},
    [ANSWER_CANCELLED] = {FINDING_PROBLEM, "jobs it never had would count as cancelled there"},
    [ANSWER_NOT_FOUND] = {FINDING_OK, ""},
    [ANSWER_INCONCLUSIVE] = {FINDING_PROBLEM,
                             "nothing it says decides a lost job, so policy.on_unreachable would: "
                             "is base that of the service, and the profile its own?"},
    [ANSWER_UNREACHABLE] = {FINDING_PROBLEM,
                            "it did not answer in time: policy.on_unreachable would decide"},
    [ANSWER_NO_PROFILE] = {FINDING_PROBLEM, "nobody told how to ask it: give it a profile"},
};

/* Status codes by which a service says that it will not talk to us like that. */
static const struct {
    uint64_t least, most;
    const char *means;
} complaints[] = {
    {401, 401, "it wants a token, or another one"},
    {403, 403, "it wants a token, or another one"},
    {500, 599, "it is there and not well"},
};

static void tell_stranger(const char *name, const struct service_check *check,
                          struct check_report *report)
{
    struct finding finding = {
        AREA, name, strangers[check->stranger].level, "", strangers[check->stranger].means, 0};
    struct span word = check->stranger == ANSWER_NOT_FOUND ? SPAN_NONE : check->word;
    if (check->stranger == ANSWER_NONE) {
        check_report_tell(report, &finding, "nothing was sent about a job");
        return;
    }
    check_report_tell(report, &finding, "of a job that cannot exist it says %s%s%.*s",
                      answer_verdict_text(check->stranger), word.size > 0 ? ", " : "",
                      SPAN_FORMAT(word));
}

static void check_service(const char *name, struct connectors *connectors,
                          struct check_report *report)
{
    struct service_check check = {0};
    struct finding finding = {.area = AREA, .subject = name, .level = FINDING_OK};
    if (!connectors_check(connectors, name, &check)) {
        return; /* it could not be added, which is a problem of the configuration */
    }
    if (!check.is_reachable && check.word.size == 0) {
        finding.means = ASKED_ELSEWHERE;
        check_report_tell(report, &finding, "%snothing was sent",
                          check.endpoint.size == 0 ? "has no base: " : "");
        return;
    }
    if (!check.is_reachable) {
        finding.level = FINDING_PROBLEM;
        finding.means = "policy.on_unreachable decides about its jobs";
        check_report_tell(report, &finding, "%.*s does not answer: %.*s",
                          SPAN_FORMAT(check.endpoint), SPAN_FORMAT(check.word));
        return;
    }
    for (size_t i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++) {
        if (check.http >= complaints[i].least && check.http <= complaints[i].most) {
            finding.level = FINDING_WARNING;
            finding.means = complaints[i].means;
        }
    }
    check_report_tell(report, &finding, "%.*s answers with %llu after %llu ms%s%.*s",
                      SPAN_FORMAT(check.endpoint), (unsigned long long)check.http,
                      (unsigned long long)check.latency_ms,
                      check.variant.size > 0 ? ", variant " : "", SPAN_FORMAT(check.variant));
    tell_stranger(name, &check, report);
}

void check_services(const struct config *config, struct connectors *connectors,
                    struct check_report *report)
{
    for (uint32_t i = 0; i < config->service_count; i++) {
        check_service(config->services[i].name, connectors, report);
    }
    if (config->service_count == 0) {
        struct finding finding = {AREA,
                                  "none",
                                  FINDING_OK,
                                  "no service is configured",
                                  "policy decides about handed-off jobs without asking",
                                  0};
        check_report_sink(report).take(report, &finding);
    }
}
