/* SPDX-License-Identifier: MIT
 * The shipped profiles against replies of the services: ours in tests/fixtures, and, where
 * SALVOR_FIXTURES names a folder, those recorded there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/profile.h"

#define JSON_TYPE SPAN("application/json; charset=utf-8")
#define TEXT_TYPE SPAN("text/plain; charset=utf-8") /* what rclone says of its JSON */

enum part { PART_NONE, STATUS, CANCEL, PROBE, HEALTH };

struct row {
    const char *file;
    uint64_t http;
    const char *profile, *variant;
    enum part part;
    size_t index; /* of the request in its list */
    const char *id;
    const char *expected; /* the verdict and its flags; the outcome; ok, absent or neither */
};

static const struct row own_rows[] = {
    {"comfyui/job_pending", 200, "comfyui", "jobs", STATUS, 0, "job-1", "pending"},
    {"comfyui/job_running", 200, "comfyui", "jobs", STATUS, 0, "job-1", "running"},
    {"comfyui/job_completed", 200, "comfyui", "jobs", STATUS, 0, "job-1", "completed"},
    {"comfyui/job_completed_beside_error", 200, "comfyui", "jobs", STATUS, 0, "job-1", "failed"},
    {"comfyui/job_completed_without_message", 200, "comfyui", "jobs", STATUS, 0, "job-1",
     "inconclusive"},
    {"comfyui/job_failed", 200, "comfyui", "jobs", STATUS, 0, "job-1", "failed"},
    {"comfyui/job_interrupted", 200, "comfyui", "jobs", STATUS, 0, "job-1", "cancelled"},
    {"comfyui/job_cancelled", 200, "comfyui", "jobs", STATUS, 0, "job-1", "cancelled"},
    {"comfyui/job_of_another", 200, "comfyui", "jobs", STATUS, 0, "job-1", "another job's"},
    {"comfyui/job_not_found", 404, "comfyui", "jobs", STATUS, 0, "job-1", "not_found"},
    {"comfyui/history_empty", 404, "comfyui", "jobs", STATUS, 0, "job-1", "inconclusive"},
    {"comfyui/cancel_true", 200, "comfyui", "jobs", CANCEL, 0, "job-1", "accepted"},
    {"comfyui/cancel_false", 200, "comfyui", "jobs", CANCEL, 0, "job-1", "already_final"},
    {"comfyui/job_not_found", 404, "comfyui", "jobs", CANCEL, 0, "job-1", "unknown"},
    {"comfyui/job_not_found", 404, "comfyui", "jobs", PROBE, 0, "", "ok"},
    {"comfyui/history_empty", 404, "comfyui", "jobs", PROBE, 0, "", "absent"},
    {"comfyui/history_empty", 200, "comfyui", "jobs", PROBE, 0, "", "neither"},
    {"comfyui/queue", 200, "comfyui", "legacy", STATUS, 0, "job-1", "running"},
    {"comfyui/queue", 200, "comfyui", "legacy", STATUS, 0, "job-2", "pending"},
    {"comfyui/queue", 200, "comfyui", "legacy", STATUS, 0, "job-3", "not_found"},
    {"comfyui/queue_null", 200, "comfyui", "legacy", STATUS, 0, "job-1", "inconclusive"},
    {"comfyui/queue_empty", 200, "comfyui", "legacy", STATUS, 0, "job-1", "not_found"},
    {"comfyui/history_empty", 200, "comfyui", "legacy", STATUS, 0, "job-1", "inconclusive"},
    {"comfyui/history_success", 200, "comfyui", "legacy", STATUS, 1, "job-1", "completed"},
    {"comfyui/history_cached", 200, "comfyui", "legacy", STATUS, 1, "job-1", "completed"},
    {"comfyui/history_error", 200, "comfyui", "legacy", STATUS, 1, "job-1", "failed"},
    {"comfyui/history_interrupted", 200, "comfyui", "legacy", STATUS, 1, "job-1", "cancelled"},
    {"comfyui/history_success_beside_error", 200, "comfyui", "legacy", STATUS, 1, "job-1",
     "failed"},
    {"comfyui/history_success_without_message", 200, "comfyui", "legacy", STATUS, 1, "job-1",
     "inconclusive"},
    {"comfyui/history_other_job", 200, "comfyui", "legacy", STATUS, 1, "job-1", "inconclusive"},
    {"comfyui/history_empty", 200, "comfyui", "legacy", STATUS, 1, "job-1", "not_found"},
    {"comfyui/history_empty", 200, "comfyui", "legacy", CANCEL, 1, "job-1", "accepted"},
    {"comfyui/system_stats", 200, "comfyui", "legacy", HEALTH, 0, "", "ok"},
    {"rclone/running", 200, "rclone", "", STATUS, 0, "7", "running"},
    {"rclone/completed", 200, "rclone", "", STATUS, 0, "7", "completed"},
    {"rclone/failed", 200, "rclone", "", STATUS, 0, "7", "failed"},
    {"rclone/stopped", 200, "rclone", "", STATUS, 0, "7", "cancelled"},
    {"rclone/of_another_group", 200, "rclone", "", STATUS, 0, "7", "another job's"},
    {"rclone/without_group", 200, "rclone", "", STATUS, 0, "7", "nobody's"},
    {"rclone/not_found", 500, "rclone", "", STATUS, 0, "7", "not_found expired"},
    {"rclone/not_found", 404, "rclone", "", STATUS, 0, "7", "inconclusive"},
    {"rclone/other_error", 500, "rclone", "", STATUS, 0, "7", "inconclusive"},
    {"comfyui/history_empty", 200, "rclone", "", CANCEL, 0, "7", "accepted"},
    {"rclone/not_found", 500, "rclone", "", CANCEL, 0, "7", "already_final"},
    {"rclone/version", 200, "rclone", "", HEALTH, 0, "", "ok"},
    {"rest/running", 200, "rest_async", "", STATUS, 0, "job-1", "running"},
    {"rest/empty", 202, "rest_async", "", STATUS, 0, "job-1", "running"},
    {"rest/completed", 200, "rest_async", "", STATUS, 0, "job-1", "completed"},
    {"rest/completed_of_another", 200, "rest_async", "", STATUS, 0, "job-1", "inconclusive"},
    {"rest/completed_of_another_job_id", 200, "rest_async", "", STATUS, 0, "job-1", "inconclusive"},
    {"rest/completed_without_result", 200, "rest_async", "", STATUS, 0, "job-1", "completed"},
    {"rest/failed", 200, "rest_async", "", STATUS, 0, "job-1", "failed"},
    {"rest/unknown_word", 200, "rest_async", "", STATUS, 0, "job-1", "inconclusive"},
    {"rest/empty", 200, "rest_async", "", STATUS, 0, "job-1", "inconclusive"},
    {"rest/result_alone", 200, "rest_async", "", STATUS, 0, "job-1", "inconclusive"},
    {"rest/empty", 303, "rest_async", "", STATUS, 0, "job-1", "inconclusive"},
    {"rest/not_found", 404, "rest_async", "", STATUS, 0, "job-1", "not_found expired"},
    {"rest/empty", 204, "rest_async", "", CANCEL, 0, "job-1", "accepted"},
    {"rest/empty", 405, "rest_async", "", CANCEL, 0, "job-1", "unsupported"},
    {"rest/empty", 401, "rest_async", "", CANCEL, 0, "job-1", "refused"},
    {"rest/running", 200, "rest_token", "", STATUS, 0, "job-1", "running"},
    {"rest/completed", 200, "rest_token", "", STATUS, 0, "job-1", "completed"},
    {"rest/completed_number", 200, "rest_token", "", STATUS, 0, "17", "completed"},
    {"rest/completed_number", 200, "rest_token", "", STATUS, 0, "18", "inconclusive"},
    {"rest/completed_without_result", 200, "rest_token", "", STATUS, 0, "job-1", "inconclusive"},
    {"rest/completed_of_another", 200, "rest_token", "", STATUS, 0, "job-1", "inconclusive"},
    {"rest/completed_of_another_job_id", 200, "rest_token", "", STATUS, 0, "job-1", "inconclusive"},
    {"rest/failed", 200, "rest_token", "", STATUS, 0, "job-1", "failed"},
    {"rest/unknown_word", 200, "rest_token", "", STATUS, 0, "job-1", "inconclusive"},
    {"rest/not_found", 404, "rest_token", "", STATUS, 0, "job-1", "not_found expired"},
};

static const struct row recorded_rows[] = {
    {"comfyui/history_success", 200, "comfyui", "legacy", STATUS, 1, "prompt-456", "completed"},
    {"comfyui/history_error", 200, "comfyui", "legacy", STATUS, 1, "prompt-789", "failed"},
    {"comfyui/history_interrupted", 200, "comfyui", "legacy", STATUS, 1, "prompt-cancelled",
     "cancelled"},
    {"comfyui/history_unknown_or_running", 200, "comfyui", "legacy", STATUS, 1, "prompt-456",
     "not_found"},
    {"comfyui/DERIVED_history_stale_success_flag", 200, "comfyui", "legacy", STATUS, 1,
     "prompt-cycle", "failed"},
    /* Success without its message, as early builds wrote it, proves nothing. */
    {"comfyui/history_success_with_outputs", 200, "comfyui", "legacy", STATUS, 1, "prompt-123",
     "inconclusive"},
    {"comfyui/history_success", 200, "comfyui", "legacy", STATUS, 1, "another-id", "inconclusive"},
    {"comfyui/job_404", 200, "comfyui", "legacy", STATUS, 1, "prompt-456", "inconclusive"},
    {"comfyui/DERIVED_queue", 200, "comfyui", "legacy", STATUS, 0, "prompt-running", "running"},
    {"comfyui/DERIVED_queue", 200, "comfyui", "legacy", STATUS, 0, "prompt-pending", "pending"},
    {"comfyui/DERIVED_queue", 200, "comfyui", "legacy", STATUS, 0, "prompt-456", "not_found"},
    {"comfyui/history_unknown_or_running", 200, "comfyui", "legacy", STATUS, 0, "prompt-456",
     "inconclusive"},
    {"comfyui/job_completed", 200, "comfyui", "jobs", STATUS, 0, "prompt-456", "completed"},
    {"comfyui/job_completed", 200, "comfyui", "jobs", STATUS, 0, "prompt-1", "another job's"},
    {"comfyui/job_in_progress", 200, "comfyui", "jobs", STATUS, 0, "prompt-running", "running"},
    {"comfyui/job_pending", 200, "comfyui", "jobs", STATUS, 0, "prompt-pending", "pending"},
    {"comfyui/job_404", 404, "comfyui", "jobs", STATUS, 0, "prompt-456", "not_found"},
    {"comfyui/job_404", 404, "comfyui", "jobs", PROBE, 0, "", "ok"},
    {"comfyui/job_cancel_done", 200, "comfyui", "jobs", CANCEL, 0, "prompt-456", "accepted"},
    {"comfyui/job_cancel_noop", 200, "comfyui", "jobs", CANCEL, 0, "prompt-456", "already_final"},
    {"comfyui/prompt_400_no_prompt", 400, "comfyui", "jobs", STATUS, 0, "p", "inconclusive"},
    {"comfyui/prompt_409_duplicate", 409, "comfyui", "jobs", STATUS, 0, "p", "inconclusive"},
    {"rclone/DERIVED_job_not_found_http500", 500, "rclone", "", STATUS, 0, "99",
     "not_found expired"},
    {"rclone/job_status_finished", 200, "rclone", "", STATUS, 0, "2", "nobody's"},
    {"rclone/async_submit", 200, "rclone", "", STATUS, 0, "2", "inconclusive"},
    {"rclone/job_list", 200, "rclone", "", STATUS, 0, "2", "inconclusive"},
    {"replicate/prediction_created_starting", 200, "replicate", "", STATUS, 0,
     "hdwst0bb05rgp0cf0p29mzk2am", "pending"},
    {"replicate/prediction_cancel_reply", 200, "replicate", "", STATUS, 0,
     "hdwst0bb05rgp0cf0p29mzk2am", "cancelled"},
    {"replicate/prediction_cancel_reply", 200, "replicate", "", CANCEL, 0,
     "hdwst0bb05rgp0cf0p29mzk2am", "accepted"},
    {"replicate/prediction_succeeded_openapi_example", 200, "replicate", "", STATUS, 0,
     "gm3qorzdhgbfurvjtvhg6dckhu", "completed"},
    {"replicate/prediction_succeeded_openapi_example", 200, "replicate", "", STATUS, 0, "other",
     "another job's"},
    {"replicate/training_processing", 200, "replicate", "", STATUS, 0, "medrnz3bm5dd6ultvad2tejrte",
     "running"},
    {"replicate/error_401", 401, "replicate", "", STATUS, 0, "x", "inconclusive"},
    {"replicate/error_429", 429, "replicate", "", STATUS, 0, "x", "unreachable"},
    {"openai/response_completed", 200, "openai_responses", "", STATUS, 0,
     "resp_67cb71b351908190a308f3859487620d06981a8637e6bc44", "completed"},
    {"openai/response_cancelled", 200, "openai_responses", "", STATUS, 0,
     "resp_67cb71b351908190a308f3859487620d06981a8637e6bc44", "cancelled"},
    {"openai/response_completed", 200, "openai_responses", "", CANCEL, 0,
     "resp_67cb71b351908190a308f3859487620d06981a8637e6bc44", "already_final"},
    {"openai/batch_completed", 200, "openai_responses", "", STATUS, 0, "resp_1", "another job's"},
    {"azure_lro/initial_202", 202, "rest_async", "", STATUS, 0, "22", "running"},
    {"azure_lro/running", 200, "rest_async", "", STATUS, 0, "22", "running"},
    {"azure_lro/succeeded", 200, "rest_async", "", STATUS, 0, "22", "completed"},
    {"azure_lro/succeeded", 200, "rest_async", "", STATUS, 0, "23", "inconclusive"},
    {"azure_lro/DERIVED_failed", 200, "rest_async", "", STATUS, 0, "22", "failed"},
    {"azure_lro/DERIVED_canceled", 200, "rest_async", "", STATUS, 0, "22", "cancelled"},
};

static struct profile *load_shipped(const char *name)
{
    struct error error = {0};
    size_t count;
    const struct profile_shipped *all = profile_shipped(&count);
    for (size_t i = 0; i < count; i++) {
        struct profile *profile = profile_load(all[i].file, all[i].yaml, NULL, &error);
        if (profile == NULL) {
            fail_msg("%s", error.message);
            return NULL;
        }
        if (span_is(profile->name, name)) {
            return profile;
        }
        profile_destroy(profile);
    }
    fail_msg("no profile %s", name);
    return NULL;
}

static const struct profile_request *find_request(const struct profile *profile,
                                                  const struct row *row)
{
    for (size_t i = 0; i < profile->variant_count; i++) {
        const struct profile_variant *variant = &profile->variants[i];
        if (!span_is(variant->name, row->variant)) {
            continue;
        }
        const struct profile_requests *list =
            row->part == STATUS ? &variant->status : &variant->cancel;
        return row->part == PROBE    ? variant->probe
               : row->part == HEALTH ? profile->health
                                     : &list->list[row->index];
    }
    fail_msg("%s has no variant %s", row->profile, row->variant);
    return NULL;
}

static void read_file(const char *folder, const char *name, struct buffer *out)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.json", folder, name);
    FILE *stream = fopen(path, "r");
    if (stream == NULL) {
        fail_msg("cannot open %s", path);
        return;
    }
    out->size = fread(buffer_reserve(out, 65536), 1, 65536, stream);
    fclose(stream);
    assert_true(out->size > 0);
}

static bool is_about_a_job(enum answer_verdict verdict)
{
    return verdict == ANSWER_PENDING || verdict == ANSWER_RUNNING || verdict == ANSWER_COMPLETED ||
           verdict == ANSWER_FAILED || verdict == ANSWER_CANCELLED;
}

/* What the reply says, in the words of the rows. */
static void put_judgement(struct buffer *out, const struct profile_request *request,
                          const struct row *row, struct span content_type, struct span body)
{
    const struct template_variables variables = {.id = span_of(row->id), .tag = SPAN("tag-1")};
    enum rule_purpose purpose = row->part == STATUS   ? RULE_OF_STATUS
                                : row->part == CANCEL ? RULE_OF_CANCEL
                                                      : RULE_OF_PROBE;
    struct reply reply = reply_open(row->http, content_type, body);
    struct judgement judgement =
        rules_judge(purpose, request->rules, request->rule_count, &reply, &variables);
    if (purpose == RULE_OF_CANCEL) {
        buffer_put_text(out, effect_outcome_text(judgement.outcome));
    } else if (purpose == RULE_OF_PROBE) {
        buffer_put_text(out, judgement.is_ok ? "ok" : judgement.is_absent ? "absent" : "neither");
    } else if (is_about_a_job(judgement.verdict) && request->identity != NULL &&
               reply_owner(&reply, request->identity, &variables) != REPLY_OURS) {
        bool is_told = reply_owner(&reply, request->identity, &variables) == REPLY_ANOTHERS;
        buffer_put_text(out, is_told ? "another job's" : "nobody's");
    } else {
        buffer_put_text(out, answer_verdict_text(judgement.verdict));
        buffer_put_text(out, judgement.flags != 0 ? " " : "");
        answer_flags_put(out, judgement.flags);
    }
    reply_close(&reply);
}

static void judge_rows(const char *folder, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        struct buffer body = {0}, said = {0};
        struct profile *profile = load_shipped(row->profile);
        read_file(folder, row->file, &body);
        bool is_rclone = strcmp(row->profile, "rclone") == 0;
        put_judgement(&said, find_request(profile, row), row, is_rclone ? TEXT_TYPE : JSON_TYPE,
                      buffer_span(&body));
        if (!span_is(buffer_span(&said), row->expected)) {
            fail_msg("%s %llu by %s %s, id \"%s\": \"%.*s\" instead of \"%s\"", row->file,
                     (unsigned long long)row->http, row->profile, row->variant, row->id,
                     SPAN_FORMAT(buffer_span(&said)), row->expected);
        }
        buffer_fini(&body);
        buffer_fini(&said);
        profile_destroy(profile);
    }
}

static void test_fixtures__our_own_get_the_right_verdict(void **fixture)
{
    (void)fixture;
    judge_rows("tests/fixtures", own_rows, sizeof(own_rows) / sizeof(own_rows[0]));
}

static void test_fixtures__recorded_ones_get_the_right_verdict(void **fixture)
{
    (void)fixture;
    const char *folder = getenv("SALVOR_FIXTURES");
    if (folder == NULL) {
        print_message("SALVOR_FIXTURES is not set: recorded replies are skipped\n");
        skip();
    }
    judge_rows(folder, recorded_rows, sizeof(recorded_rows) / sizeof(recorded_rows[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures__our_own_get_the_right_verdict),
        cmocka_unit_test(test_fixtures__recorded_ones_get_the_right_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
