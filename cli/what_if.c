/* SPDX-License-Identifier: MIT */
#include "cli/what_if.h"

#include <stdio.h>

#include "base/alloc.h"
#include "cli/interrupt.h"
#include "cli/policy_file.h"
#include "cli/progress.h"

/* Two passes, two lines of progress: only the second one knows how far it is. */
struct shown {
    struct progress progress;
    bool has_total;
};

static bool step(void *payload, uint64_t done, uint64_t total)
{
    struct shown *shown = payload;
    if (total > 0 && !shown->has_total) {
        progress_end(&shown->progress);
        shown->progress = progress_begin("what if", total);
        shown->has_total = true;
    }
    progress_step(&shown->progress, done);
    return !interrupt_is_asked();
}

static bool run(const struct what_if_call *call, const struct policy *policy, uint64_t unnamed,
                struct what_if_report *report, struct error *error)
{
    struct shown shown = {.progress = progress_begin("answers", 0)};
    struct what_if_config config = {
        .capture = call->capture,
        .policy = policy,
        .has_queue_failures = (unnamed & (UINT64_C(1) << POLICY_QUEUE_FAILURES)) == 0,
        .step = step,
        .payload = &shown,
    };
    interrupt_catch();
    bool is_fine = what_if_run(&config, report, error);
    progress_end(&shown.progress);
    return is_fine && (call->database == NULL || what_if_record(report, call->database, error));
}

enum status what_if_call(const struct what_if_call *call)
{
    struct buffer problems = {0}, out = {0};
    struct what_if_report report = {0};
    struct what_if_told told = {.call = call};
    struct error error = {0};
    enum status status = STATUS_FINE;
    struct policy *policy = mem_zero(sizeof(*policy));
    if (!policy_file_read(call->policy, policy, &told.unnamed, &problems)) {
        fwrite(problems.data, 1, problems.size, stderr);
        status = STATUS_USAGE;
    } else if (!run(call, policy, told.unnamed, &report, &error)) {
        status = verb_fail(call->verb, &error);
    } else {
        (call->is_json ? what_if_put_json : what_if_put_text)(&out, &report, &told);
        fwrite(out.data, 1, out.size, stdout);
    }
    what_if_report_fini(&report);
    mem_free(policy);
    buffer_fini(&problems);
    buffer_fini(&out);
    return status;
}
