#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From a worker's death to a recorded, applied and replayable decision, on real servers."""
import json
import os
import threading

from harness import (SALVOR, Client, check, check_equal, claim, main, rescue, run, submit,
                     wait_until)
from services import Comfy, Service

# Salvor decides about failures too, and nobody waits longer than needed.
POLICY = {"backoff_ms": 0, "ask_backoff_ms": 10}
FAILURES = {"failures": "salvor"}


def scene(**policy):
    return rescue({"policy": {**POLICY, **policy}, "queue": FAILURES})


class Asked:
    """A rescue with an outside service: `with Asked(...) as (redis, salvor, service)`."""

    def __init__(self, kind=Service, states=None, policy=None, **options):
        def config(place):
            self.service = kind(place, **options)
            self.service.states.update(states or {})
            return {"policy": {**POLICY, **(policy or {})}, "queue": FAILURES,
                    "services": self.service.config}
        self.scene = rescue(config)

    def __enter__(self):
        _, redis, salvor = self.scene.__enter__()
        return redis, salvor, self.service

    def __exit__(self, *trace):
        return self.scene.__exit__(*trace)


def hold(redis, job, worker="w1", attempt=1, service=None, **fields):
    """The worker holds the job; with `service`, it has handed it off as `of-JOB`."""
    if attempt == 1:
        submit(redis, job)
    claim(redis, job, worker, attempt, **fields)
    if service:
        redis.xadd("job.handed_off", job=job, worker=worker, attempt=attempt, service=service.name,
                   service_job=f"of-{job}")


def told(salvor, job):
    return [(row["action"], row["reason"]) for row in salvor.decisions(job)
            if row["action"] != "release"]


def evidence(decision):
    return json.loads(decision["evidence"])


def measures(decision):
    return evidence(decision)["measures"]


def wait_status(redis, job, status):
    wait_until(lambda: redis.hash(f"job:{job}").get("status") == status,
               lambda: f"{job} is {status}: {redis.hash(f'job:{job}')}")
    return redis.hash(f"job:{job}")


class Members:
    """Hears, from a connection of its own, every member that comes into or leaves a sorted set."""

    def __init__(self, redis):
        redis.call("CONFIG", "SET", "notify-keyspace-events", "Ez")
        self.client = Client(redis.path)
        self.client.call("PSUBSCRIBE", "__keyevent@0__:*")
        self.heard = []
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        try:
            while True:
                _, _, channel, key = self.client.reply()
                self.heard.append((channel.split(":")[1], key))
        except (OSError, ValueError):
            pass

    def close(self):
        self.client.socket.shutdown(2)
        self.thread.join()
        self.client.close()


# --- the worker is gone ---

def test_a_silent_workers_job_goes_back_to_the_queue_after_a_back_off():
    with rescue() as (_, redis, salvor):
        redis.xadd("worker.registered", worker="w1", heartbeat_ms=100)
        hold(redis, "j1")
        salvor.wait_decision("j1", action="requeue", reason="worker_silent")
        held = wait_status(redis, "j1", "pending")
        check_equal(["j1"], redis.pending())
        check_equal(("1", "", "w1"),
                    (held["retry_count"], held["worker_id"], held["last_failed_worker"]))
        check_equal({}, redis.hash("jobs:active:w1"))
        check_equal([("wait", "worker_silent"), ("requeue", "worker_silent")], told(salvor, "j1"))
        backoff = measures(salvor.decisions("j1", action="wait")[0])["backoff_ms"]
        check(500 <= backoff <= 1000, backoff)
        wait_until(lambda: salvor.query("SELECT 1 FROM effect WHERE kind = 'requeue' AND "
                                        "outcome = 'applied'"), "the effect is settled")


def test_a_heartbeating_worker_keeps_its_job():
    with scene() as (_, redis, salvor):
        redis.xadd("worker.registered", worker="w1", heartbeat_ms=300)
        redis.xadd("worker.registered", worker="w2", heartbeat_ms=300)
        hold(redis, "j1")
        hold(redis, "j2", "w2")

        def lost():
            redis.xadd("worker.heartbeat", worker="w1", job="j1")
            return salvor.decisions("j2", action="requeue")
        wait_until(lost, "w2 is given up while w1 heartbeats")
        check_equal([], salvor.decisions("j1"))
        wait_status(redis, "j2", "pending")
        check_equal(["j2"], redis.pending())


def test_stopped_and_lost_workers_give_their_jobs_back_at_once_and_a_stopping_one_does_not():
    with scene() as (_, redis, salvor):
        for job, worker in (("j1", "w1"), ("j2", "w2"), ("j3", "w3")):
            hold(redis, job, worker)
        redis.xadd("worker.stopping", worker="w3")
        redis.xadd("worker.stopped", worker="w1")
        redis.xadd("worker.lost", worker="w2", reason="its machine is gone")
        wait_status(redis, "j1", "pending")
        wait_status(redis, "j2", "pending")
        salvor.wait_folded(redis)
        check_equal([("requeue", "worker_stopped")], told(salvor, "j1"))
        check_equal([("requeue", "worker_lost")], told(salvor, "j2"))
        check_equal([], told(salvor, "j3"))
        check_equal("in_progress", redis.hash("job:j3")["status"])
        check_equal(("offline", "offline", "busy"),
                    tuple(redis.hash(f"worker:w{n}")["status"] for n in (1, 2, 3)))


def test_a_restarted_workers_jobs_of_before_are_orphans_and_no_others():
    with scene() as (_, redis, salvor):
        redis.xadd("worker.registered", worker="w1", incarnation=7)
        hold(redis, "old", incarnation=7)
        redis.xadd("worker.registered", worker="w1", incarnation=8)
        hold(redis, "new", incarnation=8)
        redis.xadd("worker.heartbeat", worker="w1", incarnation=7)
        redis.xadd("worker.heartbeat", worker="w1", incarnation=8)
        wait_status(redis, "old", "pending")
        salvor.wait_folded(redis)
        check_equal([("requeue", "worker_restarted")], told(salvor, "old"))
        check_equal([], told(salvor, "new"))


def test_a_worker_that_is_heard_again_before_the_effect_keeps_its_job():
    with scene(backoff_ms=60000) as (_, redis, salvor):
        redis.xadd("worker.registered", worker="w1", heartbeat_ms=100)
        hold(redis, "j1")
        before = redis.hash("job:j1")
        salvor.wait_decision("j1", action="wait", reason="worker_silent")
        redis.xadd("worker.heartbeat", worker="w1", job="j1")
        salvor.wait_decision("j1", action="wait", reason="worker_heard_again")
        redis.xadd("job.completed", worker="w1", job="j1", attempt=1, result="here")
        redis.xadd("job.failed", worker="w1", job="j1", attempt=1)
        salvor.wait_decision("j1", action="ignore", reason="job_finished")
        check_equal(before, redis.hash("job:j1"))
        check_equal([], redis.pending())


def test_a_question_about_a_worker_that_is_heard_again_is_closed_unanswered():
    asked, answers = threading.Event(), threading.Event()

    def later(handler):
        asked.set()
        answers.wait(4)
        handler.close_connection = True

    with Asked(states={"of-j1": later}) as (redis, salvor, service):
        redis.xadd("worker.registered", worker="w1", heartbeat_ms=100)
        hold(redis, "j1", service=service)
        check(asked.wait(10), "the service was asked")
        redis.xadd("worker.heartbeat", worker="w1", job="j1")
        salvor.wait_decision("j1", reason="worker_heard_again")
        redis.xadd("job.completed", worker="w1", job="j1", attempt=1)
        answers.set()
        wait_until(lambda: [1 for _, fields in redis.entries()
                            if fields.get("type") == "service.answered"], "the answer is told")
        salvor.wait_folded(redis)
        check_equal([("ask", "worker_silent"), ("wait", "worker_heard_again")], told(salvor, "j1"))
        check_equal(["withdrawn"], [row["outcome"] for row in salvor.query(
            "SELECT outcome FROM effect WHERE kind = 'ask'")])
        check_equal([], redis.pending())


# --- what the outside service says ---

def test_a_job_that_the_service_completed_is_completed_and_never_waits_in_the_queue_again():
    with Asked(Comfy, {"of-j1": "completed"}) as (redis, salvor, service):
        members = Members(redis)
        redis.xadd("worker.registered", worker="w1", heartbeat_ms=100)
        hold(redis, "j1", service=service)
        held = wait_status(redis, "j1", "completed")
        check_equal(("0", "w1"), (held["retry_count"], held["worker_id"]))
        kept = json.loads(redis.hash("jobs:completed")["j1"])
        check(kept["success"] and "of-j1.png" in kept["data"], kept)
        check_equal([("ask", "worker_silent"), ("complete", "service_completed")],
                    told(salvor, "j1"))
        answer = [fields for _, fields in redis.entries()
                  if fields.get("type") == "service.answered"][0]
        check_equal(("completed", "200"), (answer["verdict"], answer["http"]))
        check("of-j1.png" in answer["result"], answer)
        # A mark behind everything: what came before it in the set was heard too.
        redis.call("ZADD", "mark", 1, "end")
        wait_until(lambda: ("zadd", "mark") in members.heard, "the mark is heard")
        check_equal([("zadd", "jobs:pending"), ("zrem", "jobs:pending"), ("zadd", "mark")],
                    members.heard)
        members.close()


def test_what_failed_or_was_cancelled_at_the_service_is_tried_again():
    states = {"of-j1": "failed", "of-j2": "cancelled"}
    with Asked(states=states) as (redis, salvor, service):
        hold(redis, "j1", service=service)
        hold(redis, "j2", service=service)
        redis.xadd("worker.lost", worker="w1")
        failed, cancelled = (wait_status(redis, job, "pending") for job in ("j1", "j2"))
        check_equal(("0", "1"), (failed["salvor_losses"], failed["salvor_failures"]))
        check_equal(("1", "0"), (cancelled["salvor_losses"], cancelled["salvor_failures"]))
        check_equal([("ask", "worker_lost"), ("requeue", "service_failed")], told(salvor, "j1"))
        check_equal([("ask", "worker_lost"), ("requeue", "service_cancelled")], told(salvor, "j2"))


def test_what_the_service_does_not_know_is_tried_again():
    with Asked() as (redis, salvor, service):
        hold(redis, "j1", service=service)
        redis.xadd("worker.lost", worker="w1")
        wait_status(redis, "j1", "pending")
        check_equal([("ask", "worker_lost"), ("requeue", "service_not_found")], told(salvor, "j1"))


def test_what_the_service_may_have_forgotten_is_parked_unless_it_is_idempotent():
    with Asked(is_volatile=True) as (redis, salvor, service):
        hold(redis, "j1", service=service)
        hold(redis, "j2", service=service, idempotent="true")
        before = redis.hash("job:j1")
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_decision("j1", action="park", reason="service_forgot")
        wait_status(redis, "j2", "pending")
        check_equal([("ask", "worker_lost"), ("requeue", "service_forgot")], told(salvor, "j2"))
        check_equal(before, redis.hash("job:j1"))
        check_equal(["j2"], redis.pending())


def test_what_the_service_still_runs_is_waited_for():
    states = {"of-j1": "running", "of-j2": "pending"}
    with Asked(states=states) as (redis, salvor, service):
        hold(redis, "j1", service=service)
        hold(redis, "j2", service=service)
        redis.xadd("worker.lost", worker="w1")
        wait_until(lambda: service.questions("of-j1") > 2 and service.questions("of-j2") > 2,
                   "the service is asked again and again")
        check_equal([], redis.pending())
        service.states.update({"of-j1": "completed", "of-j2": "completed"})
        wait_status(redis, "j1", "completed")
        wait_status(redis, "j2", "completed")
        check(("wait", "service_running") in told(salvor, "j1"), told(salvor, "j1"))
        check(("wait", "service_pending") in told(salvor, "j2"), told(salvor, "j2"))
        waits = [measures(row)["backoff_ms"] for row in salvor.decisions("j1", action="wait")]
        check(waits[:3] == [10, 20, 40], "each wait is twice the last", waits)


def test_what_the_service_still_runs_is_requeued_where_the_policy_says_so():
    with Asked(states={"of-j1": "running"}, policy={"on_running": "requeue"}) as (redis, salvor,
                                                                                 service):
        hold(redis, "j1", service=service)
        redis.xadd("worker.lost", worker="w1")
        wait_status(redis, "j1", "pending")
        decision = salvor.wait_decision("j1", action="requeue", reason="service_running")
        check_equal(1, measures(decision)["possible_duplicate"])


def test_an_answer_that_proves_nothing_is_asked_for_again_up_to_the_limit():
    for then, action, reason in (("requeue", "requeue", "service_inconclusive"),
                                 ("park", "park", "service_inconclusive")):
        with Asked(states={"of-j1": "thinking"},
                   policy={"ask_limit": 3, "on_unreachable": then}) as (redis, salvor, service):
            hold(redis, "j1", service=service)
            redis.xadd("worker.lost", worker="w1")
            decision = salvor.wait_decision("j1", action=action, reason=reason)
            check_equal((3, 3), (measures(decision)["asks"], measures(decision)["ask_limit"]))
            check_equal(3, service.questions("of-j1"))
            check_equal(["ask", "wait", "ask", "wait", "ask", action],
                        [step for step, _ in told(salvor, "j1")])
            if then == "requeue":
                check_equal(1, measures(decision)["possible_duplicate"])
                wait_status(redis, "j1", "pending")
            else:
                check_equal("in_progress", redis.hash("job:j1")["status"])


def test_a_service_that_nobody_can_ask_is_as_unreachable_as_one_that_is_down():
    with Asked(policy={"ask_limit": 2}) as (redis, salvor, service):
        hold(redis, "j1", service=service)
        hold(redis, "j2")
        redis.xadd("job.handed_off", job="j2", worker="w1", attempt=1, service="nobodys",
                   service_job="x")
        service.kill()
        redis.xadd("worker.lost", worker="w1")
        wait_status(redis, "j1", "pending")
        wait_status(redis, "j2", "pending")
        check(("wait", "service_unreachable") in told(salvor, "j1"), told(salvor, "j1"))
        check_equal([("ask", "worker_lost"), ("requeue", "no_profile")], told(salvor, "j2"))


# --- time ---

def test_a_job_that_overruns_its_time_is_timed_out_and_its_worker_freed():
    with Asked(states={"of-j2": "running"}) as (redis, salvor, service):
        redis.xadd("worker.registered", worker="w1", heartbeat_ms=60000)
        hold(redis, "j1", "w1", timeout_ms=300)
        hold(redis, "j2", "w2", service=service, timeout_ms=500)
        redis.xadd("worker.lost", worker="w2")
        held = wait_status(redis, "j1", "timeout")
        check(held["error"] and held["failed_at"], held)
        check_equal({"status": "idle", "current_job_id": ""}, redis.hash("worker:w1"))
        check_equal({}, redis.hash("jobs:active:w1"))
        check("j1" in redis.hash("jobs:failed"))
        check_equal([("time_out", "deadline_passed")], told(salvor, "j1"))
        check_equal(300, measures(salvor.decisions("j1")[0])["timeout_ms"])
        wait_status(redis, "j2", "timeout")
        check(("wait", "service_running") in told(salvor, "j2"), "it was waited for till then")
        check_equal(("time_out", "deadline_passed"), told(salvor, "j2")[-1])
        check_equal([], redis.pending())


def test_a_job_that_overruns_its_time_is_tried_again_where_the_policy_says_so():
    with scene(on_timeout="retry") as (_, redis, salvor):
        redis.xadd("worker.registered", worker="w1", heartbeat_ms=60000)
        hold(redis, "j1", timeout_ms=200)
        held = wait_status(redis, "j1", "pending")
        check_equal("1", held["salvor_failures"])
        check_equal([("requeue", "deadline_passed")], told(salvor, "j1"))


# --- failures and retries ---

def test_a_failed_job_is_tried_again_unless_the_failure_is_final():
    with scene() as (_, redis, salvor):
        hold(redis, "j1")
        hold(redis, "j2")
        redis.xadd("job.failed", job="j1", worker="w1", attempt=1, error="out of memory")
        redis.xadd("job.failed", job="j2", worker="w1", attempt=1, error="bad prompt",
                   retryable="false")
        check_equal("1", wait_status(redis, "j1", "pending")["salvor_failures"])
        check_equal("bad prompt", wait_status(redis, "j2", "failed")["error"])
        check_equal("bad prompt", json.loads(redis.hash("jobs:failed")["j2"])["error"])
        check_equal([("requeue", "job_failed")], told(salvor, "j1"))
        check_equal([("fail", "not_retryable")], told(salvor, "j2"))
        check_equal(["j1"], redis.pending())


def test_failures_are_only_watched_where_the_queue_retries_them_itself():
    with rescue({"policy": POLICY}) as (_, redis, salvor):
        hold(redis, "j1")
        redis.xadd("job.failed", job="j1", worker="w1", attempt=1)
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_folded(redis)
        check_equal([], told(salvor, "j1"))
        check_equal("in_progress", redis.hash("job:j1")["status"])


def test_losses_and_failures_together_use_up_the_retries():
    with scene() as (_, redis, salvor):
        hold(redis, "j1", "w1", max_retries=2)
        redis.xadd("worker.lost", worker="w1")
        wait_status(redis, "j1", "pending")
        hold(redis, "j1", "w2", attempt=2)
        redis.xadd("job.failed", job="j1", worker="w2", attempt=2, error="no")
        wait_status(redis, "j1", "pending")
        hold(redis, "j1", "w3", attempt=3)
        redis.xadd("worker.lost", worker="w3")
        held = wait_status(redis, "j1", "failed")
        check_equal(("2", "1"), (held["salvor_losses"], held["salvor_failures"]))
        check_equal([("requeue", "worker_lost"), ("requeue", "job_failed"),
                     ("fail", "retries_exhausted")], told(salvor, "j1"))
        check("j1" in redis.hash("jobs:failed"))
        check_equal([], redis.pending())


# --- completions that come late ---

def test_a_late_completion_takes_the_queued_copy_back():
    with scene() as (_, redis, salvor):
        hold(redis, "j1")
        redis.xadd("worker.lost", worker="w1")
        wait_until(lambda: redis.pending() == ["j1"], "j1 waits in the queue")
        redis.xadd("job.completed", job="j1", worker="w1", attempt=1, result="s3://late.png")
        wait_status(redis, "j1", "completed")
        check_equal([], redis.pending())
        check_equal("s3://late.png", json.loads(redis.hash("jobs:completed")["j1"])["data"])
        check_equal([("requeue", "worker_lost"), ("complete", "late_completion")],
                    told(salvor, "j1"))


def test_a_late_completion_takes_the_running_copy_back():
    with scene() as (_, redis, salvor):
        hold(redis, "j1")
        redis.xadd("worker.lost", worker="w1")
        wait_status(redis, "j1", "pending")
        hold(redis, "j1", "w2", attempt=2)
        redis.xadd("job.completed", job="j1", worker="w1", attempt=1)
        wait_status(redis, "j1", "completed")
        check_equal({}, redis.hash("jobs:active:w2"))
        redis.xadd("worker.lost", worker="w2")
        salvor.wait_folded(redis)
        check_equal([("requeue", "worker_lost"), ("complete", "late_completion")],
                    told(salvor, "j1"))
        check_equal([], redis.pending())


# --- the queue knows better ---

def test_a_refused_requeue_adopts_what_the_queue_holds():
    with scene() as (_, redis, salvor):
        hold(redis, "j1")
        claim(redis, "j1", "w2", 2, event=False)
        redis.xadd("worker.lost", worker="w1")
        adopted = salvor.wait_decision("j1", action="wait", reason="adopted")
        check("worker=w2" in adopted["evidence"], adopted["evidence"])
        check_equal("w2", redis.hash("job:j1")["worker_id"])
        redis.xadd("worker.lost", worker="w2")
        held = wait_status(redis, "j1", "pending")
        check_equal("2", held["retry_count"])
        salvor.wait_folded(redis)
        check_equal(["stale", "applied"], [row["outcome"] for row in salvor.query(
            "SELECT outcome FROM effect WHERE kind = 'requeue' ORDER BY seq")])


def test_a_refused_requeue_of_a_finished_job_ends_it():
    with scene() as (_, redis, salvor):
        hold(redis, "j1")
        redis.call("HSET", "job:j1", "status", "completed")
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_decision("j1", action="wait", reason="adopted")
        redis.xadd("job.failed", job="j1", worker="w1", attempt=1)
        salvor.wait_decision("j1", action="ignore", reason="job_finished")
        check_equal("completed", redis.hash("job:j1")["status"])
        check_equal([], redis.pending())


def test_a_belief_that_the_queue_refuses_twice_is_parked_and_so_is_a_job_that_it_has_not():
    with scene() as (_, redis, salvor):
        hold(redis, "j1")
        hold(redis, "j2")
        redis.call("HSET", "job:j1", "status", "being looked at")
        redis.call("DEL", "job:j2")
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_decision("j1", action="park", reason="stale_twice")
        salvor.wait_decision("j2", action="park", reason="job_gone")
        check_equal({"stale": 2, "gone": 1}, {row["outcome"]: row["count"] for row in salvor.query(
            "SELECT outcome, count(*) AS count FROM effect WHERE kind = 'requeue' GROUP BY 1")})
        check_equal([], redis.pending())
        check_equal(0, redis.call("EXISTS", "job:j2"))


# --- observing ---

def test_observing_touches_nothing_and_applying_judges_the_owed_jobs_anew():
    states = {"of-j2": "completed"}
    with Asked(states=states, policy={"effects": "observe"}) as (redis, salvor, service):
        hold(redis, "j1")
        hold(redis, "j2", service=service)
        hold(redis, "j3", "w3", timeout_ms=200)
        hold(redis, "j4", "w4")
        before = redis.dump(but="salvor:")
        redis.xadd("worker.lost", worker="w1")
        redis.xadd("job.failed", job="j4", worker="w4", attempt=1, retryable="false", error="no")
        wanted = {"j1": ("requeue", "worker_lost"), "j2": ("complete", "service_completed"),
                  "j3": ("time_out", "deadline_passed"), "j4": ("fail", "not_retryable")}
        for job, (action, reason) in wanted.items():
            salvor.wait_decision(job, action=action, reason=reason, mode="observe")
        check_equal(before, redis.dump(but="salvor:"))
        check_equal({"observed", "answered"}, {row["outcome"] for row in salvor.query(
            "SELECT outcome FROM effect")})

        applying = os.path.join(salvor.data, "applying.yaml")
        with open(applying, "w", encoding="utf-8") as file:
            json.dump({"policy": {**POLICY, "effects": "apply"}, "queue": FAILURES,
                       "services": service.config}, file)
        run(SALVOR, "send", "policy", applying, "-c", salvor.config)
        for job, status in (("j1", "pending"), ("j2", "completed"), ("j3", "timeout"),
                            ("j4", "failed")):
            wait_status(redis, job, status)
        for job, (action, reason) in wanted.items():
            check_equal(1, len(salvor.decisions(job, action=action, reason=reason, mode="apply")))
        check_equal(["j1"], redis.pending())

        # An operator's policy survives a restart with a file that says otherwise.
        check_equal(0, salvor.stop())
        salvor.start()
        salvor.wait_log("in_charge")
        hold(redis, "j5", "w5")
        redis.xadd("worker.lost", worker="w5")
        wait_status(redis, "j5", "pending")


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
