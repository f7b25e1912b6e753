/* SPDX-License-Identifier: MIT */
#include "tests/lib/audit_rows.h"

#include <stdio.h>

#include "base/check.h"

void decision_numbered(uint64_t number, struct numbered_decision *out)
{
    unsigned long long n = number;
    uint64_t ms = 1763899200000 + number;
    snprintf(out->id, sizeof(out->id), "3.1.%llu-0.0", (unsigned long long)ms);
    snprintf(out->job, sizeof(out->job), "j%llu", n % 10);
    snprintf(out->worker, sizeof(out->worker), "w%llu", n % 3);
    snprintf(out->evidence, sizeof(out->evidence), "{\"lost\":\"%llu-0\"}",
             (unsigned long long)ms - 5);
    out->decision = (struct decision){
        .id = span_of(out->id),
        .timeline = 1,
        .stream_id = {ms, 0},
        .ordinal = 10 * number,
        .at_ms = ms,
        .job = span_of(out->job),
        .worker = span_of(out->worker),
        .service = SPAN("comfyui"),
        .attempt = 1 + number / 10,
        .action = ACTION_REQUEUE,
        .reason = number % 2 == 0 ? REASON_WORKER_SILENT : REASON_SERVICE_NOT_FOUND,
        .policy = SPAN("aa11"),
        .reducers = 1,
        .evidence = span_of(out->evidence),
        .mode = SPAN("apply"),
    };
}

struct audit_position position_numbered(uint64_t number)
{
    return (struct audit_position){
        .timeline = 1,
        .stream_id = {1763899200000 + number, 7},
        .ordinal = 10 * number + 5,
        .epoch = 4,
        .entry_sha256 = sha256_of((struct span){(const char *)&number, sizeof(number)}),
    };
}

void audit_write_numbered(struct audit *audit, uint64_t first, uint64_t count)
{
    struct error error = {0};
    CHECK(audit_begin(audit, &error));
    for (uint64_t number = first; number < first + count; number++) {
        struct numbered_decision row;
        decision_numbered(number, &row);
        CHECK(audit_append(audit, &row.decision, &error));
        char id[DECISION_ID_MAX + 2];
        snprintf(id, sizeof(id), "%s.0", row.id);
        struct effect_change change = {
            .id = span_of(id),
            .decision = row.decision.id,
            .kind = EFFECT_REQUEUE,
            .target = row.decision.job,
            .at_ms = row.decision.at_ms,
        };
        CHECK(audit_change_effect(audit, &change, &error));
    }
    struct audit_position position = position_numbered(first + count - 1);
    CHECK(audit_put_position(audit, &position, &error));
    CHECK(audit_commit(audit, &error));
}

struct audit *audit_open_checked(const char *path, enum audit_mode mode)
{
    struct error error = {0};
    struct audit *audit = audit_open(path, mode, 3, &error);
    if (audit == NULL) {
        fprintf(stderr, "%s\n", error.message);
    }
    CHECK(audit != NULL);
    return audit;
}
