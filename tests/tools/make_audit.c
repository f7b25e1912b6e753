/* SPDX-License-Identifier: MIT
 * make_audit FILE: an audit database with a realistic story, for trying out queries: a fleet of a
 * few workers, some lost, some late; one job of every kind of end. */
#include <stdio.h>

#include "base/check.h"
#include "store/audit_prune.h"

#define BEGIN_MS 1763899200000 /* 2025-11-23 12:00:00 */
#define POLICY   "52673288e004d56595705922bad67a0bcb187644646b6012126106fa70adea95"
#define OBSERVE  "30796b1ee3c5cf7b052db754604b1a35156011f6e0c19240b065dbb9fd04c76e"
#define OWNER    "c9f0f895fb98ab91"

struct row {
    uint64_t after_ms; /* from BEGIN_MS */
    const char *job, *worker, *service;
    uint64_t attempt;
    enum action action;
    enum reason reason;
    const char *evidence;
    enum effect_kind effect; /* NONE: nothing wanted */
    enum effect_outcome outcome;
    uint64_t settled_after_ms; /* from the request */
    const char *found;
};

#define LOST                                                                                       \
    "{\"event\":\"tick\",\"facts\":{\"claimed\":\"1763899195000-0\",\"lost\":\"1763899260000-1\"}" \
    ","                                                                                            \
    "\"measures\":{\"silent_ms\":60000,\"limit_ms\":60000},\"did_not_match\":[]}"
#define ANSWERED                                                                                   \
    "{\"event\":\"service.answered\",\"facts\":{\"answered\":\"1763899260400-0\"},\"measures\":{}" \
    ","                                                                                            \
    "\"did_not_match\":[],\"said\":\"success\"}"
#define GUESSED                                                                                \
    "{\"event\":\"tick\",\"facts\":{\"lost\":\"1763899260000-1\"},\"measures\":{\"losses\":1," \
    "\"possible_duplicate\":1},\"did_not_match\":[\"losses_and_failures_above_max_retries\"]}"
#define NOTED "{\"event\":\"job.completed\",\"facts\":{},\"measures\":{},\"did_not_match\":[]}"
#define BAD   "{\"problem\":\"missing\",\"field\":\"worker\"}"

#define MASS                                                                             \
    "{\"event\":\"tick\",\"facts\":{},\"measures\":{\"silent_workers\":5,\"workers\":8," \
    "\"percent\":50},\"did_not_match\":[]}"
#define HELD \
    "{\"event\":\"tick\",\"facts\":{},\"measures\":{},\"did_not_match\":[],\"held\":\"requeue\"}"

static const struct row rows[] = {
    /* Pruned when all is written. */
    {5, "j0", "w0", "", 1, ACTION_IGNORE, REASON_DUPLICATE, NOTED, EFFECT_NONE, OUTCOME_NONE, 0,
     ""},
    {6, "j0", "w0", "", 1, ACTION_IGNORE, REASON_JOB_FINISHED, NOTED, EFFECT_NONE, OUTCOME_NONE, 0,
     ""},
    {60000, "", "w1", "", 0, ACTION_RELEASE, REASON_WORKER_SILENT, LOST, EFFECT_RELEASE,
     OUTCOME_APPLIED, 3, ""},
    {60000, "j1", "w1", "comfyui", 1, ACTION_ASK, REASON_WORKER_SILENT, LOST, EFFECT_ASK,
     OUTCOME_ANSWERED, 400, "completed"},
    {60400, "j1", "w1", "comfyui", 1, ACTION_COMPLETE, REASON_SERVICE_COMPLETED, ANSWERED,
     EFFECT_COMPLETE, OUTCOME_APPLIED, 4, ""},
    {60500, "", "w2", "", 0, ACTION_RELEASE, REASON_WORKER_LOST, LOST, EFFECT_RELEASE,
     OUTCOME_APPLIED, 2, ""},
    {60500, "j2", "w2", "comfyui", 1, ACTION_ASK, REASON_WORKER_LOST, LOST, EFFECT_ASK,
     OUTCOME_ANSWERED, 5000, "unreachable"},
    {65500, "j2", "w2", "comfyui", 1, ACTION_WAIT, REASON_SERVICE_UNREACHABLE, GUESSED, EFFECT_NONE,
     OUTCOME_NONE, 0, ""},
    {66500, "j2", "w2", "comfyui", 1, ACTION_REQUEUE, REASON_SERVICE_UNREACHABLE, GUESSED,
     EFFECT_REQUEUE, OUTCOME_APPLIED, 3, ""},
    {90000, "j3", "w3", "openai", 2, ACTION_TIME_OUT, REASON_DEADLINE_PASSED, LOST, EFFECT_TIME_OUT,
     OUTCOME_STALE, 2, "status=completed\nattempt=2"},
    {91000, "j4", "w3", "", 4, ACTION_FAIL, REASON_RETRIES_EXHAUSTED, NOTED, EFFECT_FAIL,
     OUTCOME_APPLIED, 2, ""},
    {92000, "j5", "w4", "comfyui", 1, ACTION_ASK, REASON_WORKER_RESTARTED, LOST, EFFECT_ASK,
     OUTCOME_ANSWERED, 120, "not_found"},
    {92120, "j5", "w4", "comfyui", 1, ACTION_PARK, REASON_SERVICE_FORGOT, ANSWERED, EFFECT_NONE,
     OUTCOME_NONE, 0, ""},
    {95000, "j2", "w2", "comfyui", 1, ACTION_COMPLETE, REASON_LATE_COMPLETION, NOTED,
     EFFECT_COMPLETE, OUTCOME_APPLIED, 3, ""},
    {95500, "j2", "w5", "comfyui", 2, ACTION_IGNORE, REASON_JOB_FINISHED, NOTED, EFFECT_NONE,
     OUTCOME_NONE, 0, ""},
    {96000, "", "", "", 0, ACTION_QUARANTINE, REASON_BAD_FIELD, BAD, EFFECT_NONE, OUTCOME_NONE, 0,
     ""},
    {96200, "", "", "", 0, ACTION_HOLD, REASON_MASS_LOSS, MASS, EFFECT_NONE, OUTCOME_NONE, 0, ""},
    {96300, "j9", "w9", "", 1, ACTION_HOLD, REASON_MASS_LOSS, HELD, EFFECT_NONE, OUTCOME_NONE, 0,
     ""},
    {96900, "", "", "", 0, ACTION_RESUME, REASON_WORKERS_HEARD, MASS, EFFECT_NONE, OUTCOME_NONE, 0,
     ""},
    {96900, "j9", "w9", "", 1, ACTION_WAIT, REASON_WORKER_HEARD_AGAIN, NOTED, EFFECT_NONE,
     OUTCOME_NONE, 0, ""},
    /* First only observed, then carried out. */
    {96950, "j10", "w10", "comfyui", 1, ACTION_ASK, REASON_WORKER_LOST, LOST, EFFECT_ASK,
     OUTCOME_ANSWERED, 10, "completed"},
    {96960, "j10", "w10", "comfyui", 1, ACTION_COMPLETE, REASON_SERVICE_COMPLETED, ANSWERED,
     EFFECT_COMPLETE, OUTCOME_OBSERVED, 0, ""},
    {96990, "j10", "w10", "comfyui", 1, ACTION_COMPLETE, REASON_SERVICE_COMPLETED, ANSWERED,
     EFFECT_COMPLETE, OUTCOME_APPLIED, 2, ""},
    /* Asked for twice, once refused. */
    {96950, "j11", "w11", "", 1, ACTION_WAIT, REASON_CLAIM_TIMED_OUT, NOTED, EFFECT_NONE,
     OUTCOME_NONE, 0, ""},
    {96970, "j11", "w11", "", 1, ACTION_REQUEUE, REASON_CLAIM_TIMED_OUT, NOTED, EFFECT_REQUEUE,
     OUTCOME_STALE, 2, "status=assigned"},
    {96980, "j11", "w11", "", 1, ACTION_REQUEUE, REASON_CLAIM_TIMED_OUT, NOTED, EFFECT_REQUEUE,
     OUTCOME_APPLIED, 2, ""},
    {96995, "j12", "w12", "", 1, ACTION_REQUEUE, REASON_WORKER_LOST, LOST, EFFECT_REQUEUE,
     OUTCOME_OBSERVED, 0, ""},
    {97000, "j6", "w6", "", 1, ACTION_REQUEUE, REASON_WORKER_STOPPED, LOST, EFFECT_REQUEUE,
     OUTCOME_WITHDRAWN, 50, ""},
    {98000, "j7", "w7", "comfyui", 1, ACTION_ASK, REASON_WORKER_SILENT, LOST, EFFECT_ASK,
     OUTCOME_NONE, 0, ""},
    {99000, "j8", "w8", "", 1, ACTION_REQUEUE, REASON_WORKER_SILENT, LOST, EFFECT_REQUEUE,
     OUTCOME_NONE, 0, ""},
};

static struct stream_id id_after(uint64_t after_ms)
{
    return (struct stream_id){BEGIN_MS + after_ms, 0};
}

static bool put_effect(struct audit *audit, const struct row *row, struct span decision,
                       struct error *error)
{
    char id[DECISION_ID_MAX], target[64];
    snprintf(id, sizeof(id), "%.*s.0", SPAN_FORMAT(decision));
    bool is_about_job = row->job[0] != '\0';
    snprintf(target, sizeof(target), "%s:%s", is_about_job ? "job" : "worker",
             is_about_job ? row->job : row->worker);
    struct effect_change change = {
        .id = span_of(id),
        .decision = decision,
        .kind = row->effect,
        .target = span_of(target),
        .at_ms = BEGIN_MS + row->after_ms,
    };
    if (!audit_change_effect(audit, &change, error) || row->outcome == OUTCOME_NONE) {
        return error->code == ERROR_NONE;
    }
    struct effect_change settled = {
        .id = change.id,
        .outcome = row->outcome,
        .found = span_of(row->found),
        .at_ms = change.at_ms + row->settled_after_ms,
    };
    return audit_change_effect(audit, &settled, error);
}

static bool put_row(struct audit *audit, const struct row *row, uint64_t number,
                    struct error *error)
{
    char id[DECISION_ID_MAX];
    snprintf(id, sizeof(id), "0.1.%llu-0.%llu", (unsigned long long)(BEGIN_MS + row->after_ms),
             (unsigned long long)number);
    struct decision decision = {
        .id = span_of(id),
        .timeline = 1,
        .stream_id = id_after(row->after_ms),
        .ordinal = 1000 + number,
        .at_ms = BEGIN_MS + row->after_ms,
        .job = span_of(row->job),
        .worker = span_of(row->worker),
        .service = span_of(row->service),
        .attempt = row->attempt,
        .action = row->action,
        .reason = row->reason,
        .policy = SPAN(POLICY),
        .reducers = 1,
        .evidence = span_of(row->evidence),
        .trace = SPAN("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        .mode = row->outcome == OUTCOME_OBSERVED ? SPAN("observe") : SPAN("apply"),
    };
    return audit_append(audit, &decision, error) &&
           (row->effect == EFFECT_NONE || put_effect(audit, row, decision.id, error));
}

static bool write_story(struct audit *audit, struct error *error)
{
    struct sha256 state_hash = sha256_of(SPAN("state"));
    bool is_written =
        audit_begin(audit, error) &&
        audit_put_leadership(audit, 1, 1, SPAN(OWNER), id_after(0), error) &&
        audit_put_policy(audit, SPAN(OBSERVE), id_after(1), SPAN("effects=observe\n"), error) &&
        audit_put_policy(audit, SPAN(POLICY), id_after(10), SPAN("effects=apply\n"), error) &&
        audit_put_checkpoint(audit, 1002, id_after(50000), &state_hash, error) &&
        audit_put_leadership(audit, 2, 1, SPAN("another" OWNER), id_after(93000), error) &&
        audit_put_quarantine(audit, id_after(96000), SPAN("bad_field: missing \"job\""),
                             SPAN("\1\4type\20worker.heartbeat"), error);
    uint64_t number = 0;
    for (; is_written && number < sizeof(rows) / sizeof(rows[0]); number++) {
        is_written = put_row(audit, &rows[number], number, error);
    }
    struct audit_position position = {
        .timeline = 1,
        .stream_id = id_after(100000),
        .ordinal = 1000 + number,
        .epoch = 2,
        .entry_sha256 = sha256_of(SPAN("entry")),
    };
    return is_written && audit_put_snapshot(audit, &position, SPAN("state"), error) &&
           audit_put_position(audit, &position, error) && audit_commit(audit, error);
}

static bool prune_first(struct audit *audit, struct error *error)
{
    struct audit_prune_place place = {
        .stream_id = id_after(60000), .ordinal = UINT64_MAX, .text = SPAN("2025-11-23T12:01")};
    struct audit_prune_plan plan;
    struct audit_prune_counts counts = {0};
    bool is_done;
    return audit_prune_begin(audit, &place, &plan, error) &&
           audit_prune_step(audit, &is_done, &counts, error);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_audit FILE\n");
        return 2;
    }
    struct error error = {0};
    struct audit *audit = audit_open(argv[1], AUDIT_WRITE, 0, &error);
    bool is_written = audit != NULL && write_story(audit, &error) && prune_first(audit, &error);
    audit_close(audit);
    if (!is_written) {
        fprintf(stderr, "make_audit: %s\n", error.message);
        return 3;
    }
    return 0;
}
