/* SPDX-License-Identifier: MIT
 * The table says only what the reducers do: each sentence names what they compared, and what they
 * would have done had it been otherwise. */
#include "replay/otherwise_rules.h"

#include <stddef.h>

/* --- when a sentence holds --- */

static bool is_tried(const struct told_decision *told, enum rule rule)
{
    return (told->evidence.tried & (UINT32_C(1) << rule)) != 0;
}

uint64_t otherwise_counted(const struct told_decision *told)
{
    return told->evidence.measure[MEASURE_LOSSES] + told->evidence.measure[MEASURE_FAILURES];
}

static bool when_counted(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return evidence_has(&told->evidence, MEASURE_LOSSES);
}

static bool when_not_counted(const struct story *story, const struct told_decision *told)
{
    return !when_counted(story, told);
}

static bool when_retries_left(const struct story *story, const struct told_decision *told)
{
    return when_counted(story, told) &&
           otherwise_counted(told) <= told->evidence.measure[MEASURE_MAX_RETRIES];
}

static bool when_retries_gone(const struct story *story, const struct told_decision *told)
{
    return when_counted(story, told) &&
           otherwise_counted(told) > told->evidence.measure[MEASURE_MAX_RETRIES];
}

static bool when_asks_used(const struct story *story, const struct told_decision *told)
{
    (void)story;
    const struct evidence *evidence = &told->evidence;
    return evidence_has(evidence, MEASURE_ASK_LIMIT) &&
           evidence->measure[MEASURE_ASKS] >= evidence->measure[MEASURE_ASK_LIMIT];
}

static bool when_cancelled(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return told->evidence.cancel != JOB_CANCEL_NONE;
}

static bool when_not_cancelled(const struct story *story, const struct told_decision *told)
{
    return !when_cancelled(story, told);
}

static bool when_already_final(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return told->evidence.cancel == JOB_CANCEL_ALREADY_FINAL;
}

static bool when_not_already_final(const struct story *story, const struct told_decision *told)
{
    return !when_already_final(story, told);
}

static bool when_ended_by_worker(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return evidence_is_ended_by_worker(&told->evidence);
}

static bool when_not_ended_by_worker(const struct story *story, const struct told_decision *told)
{
    return !when_ended_by_worker(story, told);
}

static bool when_of_job(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return told->row.job.size > 0;
}

static bool when_of_fleet(const struct story *story, const struct told_decision *told)
{
    return !when_of_job(story, told);
}

static bool when_not_idempotent(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return is_tried(told, RULE_IDEMPOTENT);
}

/* A service would have been asked of the job, had one had it. */
static bool when_not_handed_off(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return is_tried(told, RULE_HANDED_OFF) && told->policy != NULL &&
           policy_is_rolled_out(
               policy_value(told->policy, told->row.service, POLICY_SERVICE_CHECK_PERCENT),
               told->row.job);
}

static bool when_not_rolled_out(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return is_tried(told, RULE_SERVICE_CHECK);
}

static struct policy_facts facts_of(const struct told_decision *told)
{
    return told->policy == NULL ? (struct policy_facts){0}
                                : policy_facts(told->policy, told->row.service);
}

static bool when_volatile(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return facts_of(told).is_volatile;
}

static bool when_retentive(const struct story *story, const struct told_decision *told)
{
    return !when_volatile(story, told) && facts_of(told).retention_ms > 0;
}

static bool when_lasting(const struct story *story, const struct told_decision *told)
{
    return !when_volatile(story, told) && !when_retentive(story, told);
}

/* The limit of its silence is not that of the fleet, so the worker told a heartbeat. */
static bool when_limit_is_own(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return told->policy != NULL && told->silent_limit_ms > 0 &&
           told->silent_limit_ms != told->policy->value[POLICY_WORKER_SILENT_MS];
}

static bool when_limit_is_common(const struct story *story, const struct told_decision *told)
{
    return !when_limit_is_own(story, told);
}

/* The release of its worker, just before, has said it already. */
static bool when_not_told_beside(const struct story *story, const struct told_decision *told)
{
    const struct decision *before = told > story->decisions ? &(told - 1)->row : NULL;
    return before == NULL || before->action != ACTION_RELEASE ||
           before->reason != told->row.reason ||
           stream_id_compare(before->stream_id, told->row.stream_id) != 0;
}

static bool when_not_release(const struct story *story, const struct told_decision *told)
{
    (void)story;
    return told->row.action != ACTION_RELEASE;
}

/* It had fallen silent before, and was not heard since. */
static bool when_silent_before(const struct story *story, const struct told_decision *told)
{
    struct stream_id heard_id = told->evidence.fact[JOB_FACT_WORKER_HEARD];
    for (const struct told_decision *at = told; at-- > story->decisions;) {
        if (at->row.action == ACTION_RELEASE && at->row.reason == REASON_WORKER_SILENT &&
            span_equal(at->row.worker, told->row.worker)) {
            return stream_id_compare(at->evidence.fact[JOB_FACT_WORKER_HEARD], heard_id) == 0;
        }
    }
    return false;
}

static bool when_not_silent_before(const struct story *story, const struct told_decision *told)
{
    return !when_silent_before(story, told);
}

/* The release of its worker by which the attempt was lost; NULL: it was not, or that is not told.
 */
static const struct told_decision *find_loss(const struct story *story,
                                             const struct told_decision *told)
{
    struct stream_id lost_id = told->evidence.fact[JOB_FACT_LOST];
    for (const struct told_decision *at = told; at-- > story->decisions;) {
        if (at->row.action == ACTION_RELEASE && span_equal(at->row.worker, told->row.worker) &&
            stream_id_compare(at->row.stream_id, lost_id) == 0) {
            return at;
        }
    }
    return NULL;
}

/* A retry that rests on silence alone waits while the fleet is held. What proves more than silence:
 * the service's word that the attempt is over, the worker's, or a cancel that arrived. */
static bool rests_on_silence(const struct story *story, const struct told_decision *told)
{
    static const bool is_unproved[REASON_COUNT] = {
        [REASON_WORKER_SILENT] = true,       [REASON_NO_PROFILE] = true,
        [REASON_SERVICE_UNREACHABLE] = true, [REASON_SERVICE_INCONCLUSIVE] = true,
        [REASON_SERVICE_PENDING] = true,     [REASON_SERVICE_RUNNING] = true,
    };
    enum job_cancel cancel = told->evidence.cancel;
    const struct told_decision *loss = find_loss(story, told);
    return is_unproved[told->row.reason] && cancel != JOB_CANCEL_ACCEPTED &&
           cancel != JOB_CANCEL_ALREADY_FINAL && loss != NULL &&
           loss->row.reason == REASON_WORKER_SILENT;
}

static bool when_held_beside(const struct story *story, const struct told_decision *told)
{
    const struct told_decision *loss = find_loss(story, told);
    return rests_on_silence(story, told) && loss->evidence.held != EFFECT_NONE &&
           stream_id_compare(loss->row.stream_id, told->row.stream_id) == 0;
}

/* Nobody told whether the fleet is held by then. */
static bool when_perhaps_held(const struct story *story, const struct told_decision *told)
{
    return rests_on_silence(story, told) && told->row.reason != REASON_WORKER_SILENT;
}

static bool when_not_held(const struct story *story, const struct told_decision *told)
{
    return !when_held_beside(story, told) && !when_perhaps_held(story, told);
}

static bool when_observed(const struct story *story, const struct told_decision *told)
{
    const struct told_effect *effects = story_effects(story, told);
    return effects != NULL &&
           span_is(effects[0].row.outcome, effect_outcome_text(OUTCOME_OBSERVED));
}

/* --- the sentences --- */

const struct sentence otherwise_sentences[] = {
#define ANY          ACTION_NONE
#define ROW(a, r, t) .action = (a), .reason = REASON_##r, .text = (t)
    /* whatever was decided */
    {ROW(ANY, NONE,
         "with effects=apply, and the job within requeue_percent, it would have been carried out"),
     .when = when_observed},
    /* the worker */
    {ROW(ACTION_RELEASE, WORKER_SILENT,
         "had {worker} been heard within {limit_ms}, it would have kept its job")},
    {ROW(ACTION_RELEASE, WORKER_SILENT,
         "with a missed_heartbeats above {=missed_heartbeats} it would have been waited for "
         "longer: "
         "its limit is that many of the heartbeat_ms that it told"),
     .when = when_limit_is_own},
    {ROW(ACTION_RELEASE, WORKER_SILENT,
         "with a longer limit it would have been waited for longer: worker_silent_ms "
         "({=worker_silent_ms}) or, of a worker that tells its heartbeat_ms, missed_heartbeats "
         "({=missed_heartbeats}) times that"),
     .when = when_limit_is_common},
    {ROW(ANY, WORKER_SILENT,
         "had {worker} been heard within its limit, it would have kept the job"),
     .when = when_not_told_beside, .and = when_not_release},
    {ROW(ANY, WORKER_STOPPED,
         "had {worker} not said that it stopped, it would have kept the job until it fell silent"),
     .when = when_not_told_beside, .and = when_not_silent_before},
    {ROW(ANY, WORKER_STOPPED,
         "had {worker} not said that it stopped, what its silence had led to would have gone on"),
     .when = when_not_told_beside, .and = when_silent_before},
    {ROW(ANY, WORKER_LOST,
         "had nobody declared {worker} lost, it would have kept the job until it fell silent"),
     .when = when_not_told_beside, .and = when_not_silent_before},
    {ROW(ANY, WORKER_LOST,
         "had nobody declared {worker} lost, what its silence had led to would have gone on"),
     .when = when_not_told_beside, .and = when_silent_before},
    {ROW(ANY, WORKER_RESTARTED,
         "had {worker} not come back as a later incarnation, it would have kept the job")},
    {ROW(ANY, CLAIM_TIMED_OUT,
         "had it been started in time, its worker would have kept it; with claim_timeout_ms=0 "
         "(it is {=claim_timeout_ms}) a claim has no limit")},
    {ROW(ANY, WORKER_HEARD_AGAIN,
         "had {worker} stayed silent, what its silence had led to would have gone on")},
    {ROW(ANY, STARTED_LATE,
         "had nothing been heard of its work, the claim would have stayed given up")},
    /* the service is asked */
    {ROW(ACTION_ASK, SERVICE_PENDING,
         "with on_running=cancel it would have been cancelled there, with on_running=requeue "
         "tried again without another question"),
     .when = when_not_cancelled, .key = POLICY_ON_RUNNING, .value = ON_RUNNING_WAIT},
    {ROW(ACTION_ASK, SERVICE_RUNNING,
         "with on_running=cancel it would have been cancelled there, with on_running=requeue "
         "tried again without another question"),
     .when = when_not_cancelled, .key = POLICY_ON_RUNNING, .value = ON_RUNNING_WAIT},
    {ROW(ACTION_ASK, SERVICE_UNREACHABLE,
         "with an ask_limit of {asks} it would not have been asked again: on_unreachable "
         "({=on_unreachable}) would have decided")},
    {ROW(ACTION_ASK, SERVICE_INCONCLUSIVE,
         "with an ask_limit of {asks} it would not have been asked again: on_unreachable "
         "({=on_unreachable}) would have decided")},
    {ROW(ACTION_ASK, NONE,
         "had the cancel not reached the service, what it was for would have been done at once"),
     .when = when_cancelled},
    {ROW(ACTION_ASK, NONE,
         "had it not been handed off to {service}, or with service_check_percent=0, nobody would "
         "have been asked: the retry rules would have decided"),
     .when = when_not_cancelled},
    /* what it says */
    {ROW(ACTION_COMPLETE, SERVICE_COMPLETED,
         "had the service said failed, cancelled or not_found, what the cancel was for would have "
         "been done"),
     .when = when_cancelled, .and = when_not_already_final},
    {ROW(ACTION_COMPLETE, SERVICE_COMPLETED,
         "had the service said failed, cancelled or not_found, it would not have been completed"),
     .when = when_already_final},
    {ROW(ACTION_COMPLETE, SERVICE_COMPLETED,
         "had the service not known it (not_found, not expired), on_not_found={=on_not_found} "
         "would have decided"),
     .when = when_lasting, .and = when_not_cancelled},
    {ROW(ACTION_COMPLETE, SERVICE_COMPLETED,
         "had the service not known it (not_found, not expired), on_not_found={=on_not_found} "
         "would have decided within the {retention_ms} that it keeps its jobs, "
         "on_forgotten={=on_forgotten} after that"),
     .when = when_retentive, .and = when_not_cancelled},
    {ROW(ACTION_COMPLETE, SERVICE_COMPLETED,
         "had the service not known it (not_found), on_forgotten={=on_forgotten} would have "
         "decided, since {service} may forget its jobs"),
     .when = when_volatile, .and = when_not_cancelled},
    {ROW(ACTION_COMPLETE, SERVICE_COMPLETED,
         "had nobody asked (no hand-off, or service_check_percent=0), the retry rules would have "
         "decided, and it might have run twice"),
     .when = when_not_cancelled},
    {ROW(ACTION_PARK, SERVICE_FORGOT,
         "were the job idempotent, or with on_forgotten=requeue, the retry rules would have "
         "decided"),
     .when = when_not_idempotent},
    {ROW(ACTION_PARK, SERVICE_FORGOT,
         "were {service} one that does not forget (volatile=false, its retention_ms not told or "
         "not over), and its answer without the flag expired, on_not_found={=on_not_found} would "
         "have decided")},
    {ROW(ANY, SERVICE_FORGOT,
         "were the job not idempotent, it would have been parked (on_forgotten=park)"),
     .when = when_counted, .key = POLICY_ON_FORGOTTEN, .value = REQUEUE_OR_PARK_PARK},
    {ROW(ANY, SERVICE_FORGOT,
         "with on_forgotten=park it would have been parked, unless it is idempotent"),
     .when = when_counted, .key = POLICY_ON_FORGOTTEN, .value = REQUEUE_OR_PARK_REQUEUE},
    {ROW(ACTION_PARK, SERVICE_NOT_FOUND,
         "with on_not_found=requeue the retry rules would have decided")},
    {ROW(ANY, SERVICE_NOT_FOUND, "with on_not_found=park it would have been parked"),
     .when = when_counted},
    {ROW(ANY, SERVICE_NOT_FOUND,
         "had the service said completed, the job would have been completed")},
    {ROW(ANY, SERVICE_FAILED, "had the service said completed, the job would have been completed")},
    {ROW(ANY, SERVICE_CANCELLED,
         "had the service said completed, the job would have been completed"),
     .when = when_not_ended_by_worker},
    {ROW(ANY, SERVICE_CANCELLED,
         "had its worker not told that it ended, the cancel would have gone on"),
     .when = when_ended_by_worker},
    {ROW(ACTION_PARK, SERVICE_UNREACHABLE,
         "with on_unreachable=requeue the retry rules would have decided")},
    {ROW(ACTION_PARK, SERVICE_INCONCLUSIVE,
         "with on_unreachable=requeue the retry rules would have decided")},
    {ROW(ACTION_PARK, NO_PROFILE,
         "with on_unreachable=requeue the retry rules would have decided")},
    {ROW(ANY, SERVICE_UNREACHABLE, "with on_unreachable=park it would have been parked"),
     .when = when_counted},
    {ROW(ANY, SERVICE_INCONCLUSIVE, "with on_unreachable=park it would have been parked"),
     .when = when_counted},
    {ROW(ANY, NO_PROFILE, "with on_unreachable=park it would have been parked"),
     .when = when_counted},
    {ROW(ANY, NO_PROFILE, "with a profile that says how, {service} would have been asked")},
    {ROW(ACTION_WAIT, SERVICE_UNREACHABLE,
         "with an ask_limit of {asks}, on_unreachable={=on_unreachable} would have decided"),
     .when = when_not_counted},
    {ROW(ACTION_WAIT, SERVICE_INCONCLUSIVE,
         "with an ask_limit of {asks}, on_unreachable={=on_unreachable} would have decided"),
     .when = when_not_counted},
    {ROW(ANY, SERVICE_UNREACHABLE, "with an ask_limit above {asks} it would have been asked again"),
     .when = when_asks_used},
    {ROW(ANY, SERVICE_INCONCLUSIVE,
         "with an ask_limit above {asks} it would have been asked again"),
     .when = when_asks_used},
    {ROW(ACTION_WAIT, SERVICE_RUNNING,
         "with on_running=cancel it would have been cancelled there, with on_running=requeue tried "
         "again at once or after its back-off"),
     .when = when_not_counted, .and = when_not_cancelled, .key = POLICY_ON_RUNNING,
     .value = ON_RUNNING_WAIT},
    {ROW(ACTION_WAIT, SERVICE_PENDING,
         "with on_running=cancel it would have been cancelled there, with on_running=requeue tried "
         "again at once or after its back-off"),
     .when = when_not_counted, .and = when_not_cancelled, .key = POLICY_ON_RUNNING,
     .value = ON_RUNNING_WAIT},
    {ROW(ACTION_WAIT, SERVICE_RUNNING,
         "were the silence of so many workers not doubted, it would have been cancelled there "
         "(on_running=cancel)"),
     .when = when_not_counted, .and = when_not_cancelled, .key = POLICY_ON_RUNNING,
     .value = ON_RUNNING_CANCEL},
    {ROW(ACTION_WAIT, SERVICE_PENDING,
         "were the silence of so many workers not doubted, it would have been cancelled there "
         "(on_running=cancel)"),
     .when = when_not_counted, .and = when_not_cancelled, .key = POLICY_ON_RUNNING,
     .value = ON_RUNNING_CANCEL},
    {ROW(ANY, SERVICE_RUNNING,
         "with on_running=wait it would have been asked again until its deadline"),
     .key = POLICY_ON_RUNNING, .value = ON_RUNNING_REQUEUE},
    {ROW(ANY, SERVICE_PENDING,
         "with on_running=wait it would have been asked again until its deadline"),
     .key = POLICY_ON_RUNNING, .value = ON_RUNNING_REQUEUE},
    {ROW(ACTION_CANCEL, SERVICE_RUNNING,
         "with on_running=wait it would have been asked again until its deadline")},
    {ROW(ACTION_CANCEL, SERVICE_PENDING,
         "with on_running=wait it would have been asked again until its deadline")},
    {ROW(ANY, SERVICE_RUNNING, "had the service said that it is over, that would have decided")},
    {ROW(ANY, SERVICE_PENDING, "had the service said that it is over, that would have decided")},
    /* its time */
    {ROW(ACTION_TIME_OUT, DEADLINE_PASSED,
         "had the service said completed, the job would have been completed"),
     .when = when_cancelled},
    {ROW(ACTION_TIME_OUT, DEADLINE_PASSED,
         "had its completion come within the {grace_ms} of grace, it would have been completed")},
    {ROW(ANY, DEADLINE_PASSED,
         "with a time-out above {ran} (timeout_ms of the job, else job_timeout_ms) it would still "
         "have had time")},
    {ROW(ACTION_CANCEL, DEADLINE_PASSED,
         "had it not been handed off to {service}, or with service_check_percent=0, "
         "on_timeout={=on_timeout} would have decided at once")},
    {ROW(ACTION_TIME_OUT, DEADLINE_PASSED,
         "with on_timeout=retry the retry rules would have decided"),
     .key = POLICY_ON_TIMEOUT, .value = ON_TIMEOUT_TIME_OUT},
    {ROW(ACTION_WAIT, DEADLINE_PASSED,
         "with on_timeout=time_out it would have been timed out for good"),
     .when = when_counted},
    {ROW(ACTION_REQUEUE, DEADLINE_PASSED,
         "with on_timeout=time_out it would have been timed out for good")},
    {ROW(ANY, DEADLINE_PASSED,
         "with a longer time-out (timeout_ms of the job, else job_timeout_ms) it would have had "
         "more time"),
     .when = when_not_counted},
    {ROW(ACTION_WAIT, NONE,
         "had the service shown that it stopped the job, what the cancel was for would have been "
         "done at once"),
     .when = when_cancelled, .and = when_not_counted},
    /* how it ended */
    {ROW(ACTION_COMPLETE, LATE_COMPLETION,
         "had this word not come, what was decided before would have stood")},
    {ROW(ACTION_COMPLETE, LATE_COMPLETION,
         "had it come before the attempt was given up, nothing would have had to be taken back")},
    {ROW(ACTION_FAIL, NOT_RETRYABLE, "without retryable=false the retry rules would have decided")},
    {ROW(ACTION_HOLD, NOT_RETRYABLE,
         "were it not held by an operator, it would have been failed at once")},
    {ROW(ACTION_HOLD, JOB_FAILED,
         "were it not held by an operator, the retry rules would have decided at once")},
    {ROW(ANY, JOB_FAILED, "with retryable=false it would have been failed for good"),
     .when = when_counted},
    {ROW(ANY, NOT_RETRYABLE, "with queue.failures=queue it would have been left to the queue"),
     .key = POLICY_QUEUE_FAILURES, .value = QUEUE_FAILURES_SALVOR},
    {ROW(ANY, JOB_FAILED, "with queue.failures=queue it would have been left to the queue"),
     .key = POLICY_QUEUE_FAILURES, .value = QUEUE_FAILURES_SALVOR},
    {ROW(ACTION_FAIL, RETRIES_EXHAUSTED,
         "with a max_retries of {counted} or more (the job's own, else the policy's) it would have "
         "gone back to the queue")},
    {ROW(ACTION_FAIL, POISON,
         "with a poison_after above {deaths}, or 0 (off), it would have gone back to the queue"),
     .when = when_retries_left},
    {ROW(ACTION_FAIL, POISON,
         "with a poison_after above {deaths} it would have failed all the same: its retries are "
         "used up"),
     .when = when_retries_gone},
    {ROW(ACTION_FAIL, POISON,
         "had fewer workers been lost while they ran it, it would have been tried again")},
    /* what the queue says */
    {ROW(ACTION_WAIT, ADOPTED,
         "had the queue held what was believed here, the effect would have been tried once more")},
    {ROW(ANY, ADOPTED,
         "had the queue named another end, worker or claim, that would have been adopted; refused "
         "once more, it is parked (stale_twice)")},
    {ROW(ACTION_PARK, STALE_TWICE,
         "had the queue named another end, worker or claim, that would have been adopted")},
    {ROW(ACTION_PARK, JOB_GONE,
         "had the queue still known the job, the effect would have been tried on it")},
    {ROW(ACTION_PARK, EFFECT_FAILED,
         "had the queue been able to apply the effect, it would have been done")},
    /* the retry rules, for whatever reason they are tried */
    {ROW(ACTION_WAIT, NONE,
         "had it been handed off to a service, that would have been asked first"),
     .when = when_not_handed_off},
    {ROW(ACTION_REQUEUE, NONE,
         "had it been handed off to a service, that would have been asked first"),
     .when = when_not_handed_off},
    {ROW(ANY, NONE,
         "were service_check_percent ({=service_check_percent}) to include the job, its service "
         "would have been asked first"),
     .when = when_not_rolled_out},
    {ROW(ACTION_WAIT, NONE, "with backoff_ms=0 it would have gone back to the queue at once"),
     .when = when_counted, .and = when_not_held},
    {ROW(ACTION_WAIT, NONE, "with backoff_ms=0 it would have been held with the fleet at once"),
     .when = when_counted, .and = when_held_beside},
    {ROW(ACTION_WAIT, NONE,
         "with backoff_ms=0 it would have gone back to the queue at once, unless the fleet is "
         "held"),
     .when = when_counted, .and = when_perhaps_held},
    {ROW(ACTION_WAIT, NONE,
         "with a max_retries below {counted} (the job's own, else the policy's) it would have been "
         "failed"),
     .when = when_counted, .and = when_not_held},
    {ROW(ACTION_REQUEUE, NONE,
         "with a max_retries below {counted} (the job's own, else the policy's) it would have been "
         "failed"),
     .when = when_counted},
    /* the fleet */
    {ROW(ACTION_HOLD, MASS_LOSS,
         "had fewer workers fallen silent at once, it would have gone on to {held}"),
     .when = when_of_job},
    {ROW(ACTION_HOLD, MASS_LOSS,
         "with mass_loss_percent=0 (it is {=mass_loss_percent}) nothing is held"),
     .when = when_of_job},
    {ROW(ACTION_HOLD, MASS_LOSS,
         "with mass_loss_percent=0, or a mass_loss_min above {silent_workers}, nothing would have "
         "been held"),
     .when = when_of_fleet},
    {ROW(ACTION_RESUME, HOLD_EXPIRED,
         "with a hold_max_ms above {held_ms} (it is {=hold_max_ms}) the hold would have gone on")},
    {ROW(ACTION_RESUME, WORKERS_HEARD,
         "had they stayed silent, the hold would have lasted up to hold_max_ms={=hold_max_ms}")},
    {ROW(ACTION_RESUME, POLICY_CHANGED,
         "with a mass_loss_percent above 0 the hold would have gone on")},
    /* commands */
    {ROW(ACTION_HOLD, OPERATOR, "had nobody held the fleet, it would have gone on to {held}")},
    {ROW(ANY, OPERATOR, "without the operator's command this would not have been decided")},
    {ROW(ACTION_PARK, NONE,
         "it waits for an operator: operator.requeue, complete, fail or cancel decides, "
         "operator.resume judges it anew")},
    /* what is passed over */
    {ROW(ACTION_IGNORE, DUPLICATE, "told once or twice, the outcome is the same")},
    {ROW(ACTION_IGNORE, OLDER_ATTEMPT, "of the attempt in hand it would have been taken")},
    {ROW(ACTION_IGNORE, OTHER_HOLDER,
         "from the worker and claim that hold the attempt it would have been taken")},
    {ROW(ACTION_IGNORE, JOB_FINISHED,
         "had it come before the job ended, it would have been taken")},
    {ROW(ACTION_IGNORE, IN_RECOVERY,
         "had it come before the attempt began to be recovered, it would have been taken")},
    {ROW(ACTION_IGNORE, NOT_HELD, "had something been held or parked, it would have been resumed")},
    {ROW(ACTION_IGNORE, NO_TARGET,
         "with a job, or a worker that holds one, it would have been carried out")},
    {ROW(ACTION_IGNORE, UNKNOWN_JOB, "had the job been told of before, it would have been taken")},
    {ROW(ACTION_IGNORE, UNKNOWN_WORKER,
         "had the worker been told of before, it would have been taken")},
    {ROW(ACTION_QUARANTINE, BAD_FIELD,
         "with the field as docs/events.md wants it, it would have been taken")},
    {ROW(ACTION_QUARANTINE, BAD_POLICY,
         "without the line that is refused, the policy would be in force")},
    {ROW(ACTION_QUARANTINE, FORGED, "from the leader of this epoch it would have been taken")},
#undef ROW
#undef ANY
};

const uint32_t otherwise_sentence_count =
    sizeof(otherwise_sentences) / sizeof(otherwise_sentences[0]);
