#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 at every crash point of base/crash.h, twice in a row, in the middle of the work: the rows
are those of a fresh fold of the final stream, every effect was applied once, and the end is that of
an undisturbed run."""
import concurrent.futures
import contextlib
import functools
import json
import os
import re
import signal

from harness import (ROOT, STREAM, Client, Place, Redis, Salvor, check, check_equal, claim,
                     fresh_fold_agrees, main, prove, submit, wait_until)
from services import Comfy

AT_ONCE = 2
# Which visit of the point kills, the first time and the time after. Where the events wait already
# when the process comes up it is the first: that of the batch which brings them all.
BACKLOG_VISITS = (1, 1)
LIVE_VISITS = ((1, 1), (2, 5), (9, 3))
LIVE_VISITS_OF = {
    "taken_over": ((1, 1),),
    "outcome_appended": ((1, 1), (2, 3), (6, 2)),
    "answer_appended": ((1, 1), (2, 1), (1, 2)),
}

TIMES_AND_IDS = {"failed_at", "completed_at", "salvor_effect"}
EXPECTED = {"silent": "completed", "done": "completed", "bad": "completed", "again": "completed",
            "forgotten": "in_progress", "final": "failed", "exhausted": "failed",
            "slow": "timeout", "late": "completed"}


def crash_points():
    with open(os.path.join(ROOT, "base/crash.h"), encoding="utf-8") as file:
        listed = re.search(r"#define CRASH_POINTS\(X\)(.*?[^\\])\n", file.read(), re.S)[1]
    points = re.findall(r'\bX\(\w+, "(\w+)"\)', listed)
    check_equal(listed.count("X("), len(points), "the header's list was read whole")
    check(len(points) > 9, "the header lists the crash points:", points)
    return points


class Trial:
    """One run of the scenario. `point` None: nothing disturbs it. `visits` are those that kill
    while the events come in; without them the events of each half are appended while the process is
    down, and it is killed when it finds them."""

    def __init__(self, place, point=None, visits=()):
        self.point = point
        self.has_backlog = point is not None and not visits
        self.plan = list(visits)  # visits of the kills still to come
        self.kills = 0
        self.redis = Redis(place)
        self.told = Client(self.redis.path)
        self.told.call("SUBSCRIBE", "complete_job", "job_failed", "end")
        for _ in range(2):
            self.told.reply()
        self.service = Comfy(place)
        self.length = 0  # of the stream when the process was started
        self.salvor = Salvor(place, self.redis, {
            "policy": {"backoff_ms": 0, "grace_ms": 100},
            "queue": {"failures": "salvor"},
            "services": self.service.config,
        }, environment=self.environment())

    def environment(self):
        self.is_stop_asked = False
        if not self.plan:
            return {"SALVOR_CRASH_POINT": ""}
        # A snapshot is taken once in a life, when the process is stopped.
        visit = 1 if self.point == "snapshot" else self.plan[0]
        return {"SALVOR_CRASH_POINT": f"{self.point}:{visit}"}

    def start(self):
        self.length = self.redis.call("XLEN", STREAM)
        self.salvor.start(self.environment())

    def tend(self):
        """Starts the process again when the point killed it; proves that it was that."""
        if self.plan and self.point == "snapshot" and not self.is_stop_asked:
            grown = self.redis.call("XLEN", STREAM) - self.length
            if grown >= self.plan[0] and self.salvor.log("in_charge"):
                self.is_stop_asked = True
                self.salvor.process.send_signal(signal.SIGTERM)
        if self.salvor.process.poll() is None:
            return
        code = self.salvor.wait_end()
        named = [fact["point"] for fact in self.salvor.log("crash_point")]
        check(self.plan, "the process ended by itself:", code, *self.salvor.lines[-5:])
        check_equal((-signal.SIGKILL, [self.point]), (code, named), "killed at its point")
        self.plan.pop(0)
        self.kills += 1
        self.start()

    def wait(self, condition, what):
        def tended():
            self.tend()
            return condition()
        return wait_until(tended, lambda: f"{what() if callable(what) else what}\n" +
                          "\n".join(self.salvor.lines[-10:]))

    def feed(self, act):
        """Queue and stream change at one stroke, so that no tick comes between."""
        if self.has_backlog:
            self.salvor.kill()
        self.redis.call("MULTI")
        act()
        check(len(self.redis.call("EXEC")) > 0, "the transaction was run")
        if self.has_backlog:
            self.plan = list(BACKLOG_VISITS)
            self.start()
            self.wait(lambda: not self.plan, f"killed at {self.point}")

    def status(self, job):
        return self.redis.call("HGET", f"job:{job}", "status")

    def statuses(self):
        return {job: self.status(job) for job in EXPECTED}

    def is_policy_there(self):
        return any(fields["type"] == "policy" for _, fields in self.redis.entries())


def hand_off(redis, job, worker, attempt, service_job):
    redis.xadd("job.handed_off", job=job, worker=worker, attempt=attempt, service="comfyui",
               service_job=service_job)


def first_half(trial):
    redis, service = trial.redis, trial.service
    for job in EXPECTED:
        submit(redis, job)
    # One is only silent.
    redis.xadd("worker.registered", worker="w1", heartbeat_ms=100)
    claim(redis, "silent", "w1")
    # One is lost with four jobs that the service had.
    for job, extra in {"done": {}, "bad": {}, "again": {"idempotent": "true"},
                       "forgotten": {}}.items():
        claim(redis, job, "w2", **extra)
        hand_off(redis, job, "w2", 1, job + "-1")
    service.states.update({"done-1": "completed", "bad-1": "failed"})
    redis.xadd("worker.lost", worker="w2", reason="power")
    # Two fail for good, one overruns its time, one is lost and told as completed later.
    claim(redis, "final", "w3")
    redis.xadd("job.failed", job="final", worker="w3", attempt=1, error="bad graph",
               retryable="false")
    claim(redis, "exhausted", "w4", max_retries=0)
    redis.xadd("job.failed", job="exhausted", worker="w4", attempt=1, error="out of memory")
    claim(redis, "slow", "w5", timeout_ms=300)
    claim(redis, "late", "w6")
    redis.xadd("worker.stopped", worker="w6")


def second_half(trial):
    redis, service = trial.redis, trial.service
    claim(redis, "silent", "w7", attempt=2)
    redis.call("HSET", "job:silent", "status", "completed")
    redis.call("HDEL", "jobs:active:w7", "silent")
    redis.xadd("job.completed", job="silent", worker="w7", attempt=2)
    for job in ("bad", "again"):
        claim(redis, job, "w8", attempt=2)
        hand_off(redis, job, "w8", 2, job + "-2")
        service.states[job + "-2"] = "completed"
    redis.xadd("worker.lost", worker="w8", reason="power")
    redis.xadd("job.completed", job="late", worker="w6", attempt=1, result="s3://late")


def is_settled(trial):
    salvor = trial.salvor
    return (not trial.plan and salvor.log("in_charge") and trial.statuses() == EXPECTED and
            salvor.decisions("forgotten", action="park") and
            salvor.query("SELECT count(*) AS open FROM effect WHERE settled_at_ms IS NULL"
                         )[0]["open"] == 0)


def play(trial):
    trial.wait(trial.is_policy_there, "the policy is in the stream")
    trial.feed(lambda: first_half(trial))
    trial.wait(lambda: set(trial.redis.pending()) == {"silent", "bad", "again", "late"},
               lambda: f"four jobs wait again, not {trial.redis.pending()}")
    trial.feed(lambda: second_half(trial))
    trial.wait(lambda: is_settled(trial), lambda: f"everything is settled, not {trial.statuses()}")
    check_equal(0, trial.salvor.stop(), "a clean stop")


def without(fields, names=TIMES_AND_IDS):
    return {name: value for name, value in fields.items() if name not in names}


def queue_end(redis):
    """The queue as it was left, without times and ids."""
    def results(key):
        return {job: without(json.loads(text)) for job, text in redis.hash(key).items()}
    hashes = {key: without(redis.hash(key))
              for key in sorted(redis.call("KEYS", "job:*") + redis.call("KEYS", "worker:*"))}
    active = {key: redis.call("HKEYS", key) for key in sorted(redis.call("KEYS", "jobs:active:*"))}
    return {"pending": redis.call("ZRANGE", "jobs:pending", 0, -1, "WITHSCORES"),
            "completed": results("jobs:completed"), "failed": results("jobs:failed"),
            "hashes": hashes, "active": active}


def messages(trial):
    """What was published while it ran: a script that ran twice would have told it twice."""
    trial.redis.call("PUBLISH", "end", "")
    told = []
    while True:
        _, channel, text = trial.told.reply()
        if channel == "end":
            return sorted(told)
        message = json.loads(text)
        told.append((channel, message["job_id"], message["status"]))


def outcome_of(trial):
    decided = {}
    for row in trial.salvor.decisions():
        if row["job"] and row["action"] not in ("wait", "ignore"):
            decided.setdefault(row["job"], []).append(
                (row["attempt"], row["action"], row["reason"]))
    return {"decided": decided, "queue": queue_end(trial.redis), "messages": messages(trial)}


def prove_effects_once(trial):
    applied = {}
    for _, fields in trial.redis.entries():
        if fields["type"] == "effect.settled" and fields["outcome"] == "applied":
            applied[fields["effect"]] = applied.get(fields["effect"], 0) + 1
    check_equal({}, {id: count for id, count in applied.items() if count > 1}, "applied twice")
    effects = {row["id"]: row for row in trial.salvor.query("SELECT * FROM effect")}
    check(len(applied) > 8, "effects were applied:", len(applied))
    check_equal(set(), set(applied) - set(effects), "every applied effect was recorded")
    for id, row in effects.items():
        check(row["settled_at_ms"] is not None and row["outcome"] != "", id, "is open")
        if row["kind"] != "ask":
            check_equal(row["outcome"] == "applied", id in applied, "stream and row agree on", id)


def run_trial(point=None, visits=()):
    with Place() as place:
        trial = Trial(place, point, visits)
        with contextlib.closing(trial.told):
            play(trial)
            check_equal(0 if point is None else len(visits) or 4, trial.kills, "kills")
            prove_effects_once(trial)
            prove(trial.salvor)
            fresh_fold_agrees(place, trial.redis, trial.salvor)
            return outcome_of(trial)


@functools.cache
def undisturbed():
    return run_trial()


def run_trials(trials):
    """`trials`: pairs of a point and the visits that kill."""
    wanted = undisturbed()
    check_equal({"release", "ask", "requeue", "complete", "park", "fail", "time_out"},
                {action for rows in wanted["decided"].values() for _, action, _ in rows},
                "the scenario has every kind of decision")
    failed = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        under_way = [(point, visits, pool.submit(run_trial, point, visits))
                     for point, visits in trials]
        for point, visits, future in under_way:
            try:
                given = future.result()
                for name, part in wanted.items():
                    check_equal(part, given[name], name)
                print(f"{point} {visits or BACKLOG_VISITS}: ended alike", flush=True)
            except Exception as error:  # the other points are still of interest
                failed.append(f"{point} {visits}")
                print(f"{point} {visits}: {type(error).__name__}: {error}", flush=True)
    check(not failed, "not as undisturbed:", *failed)


def test_killed_while_the_events_come_in():
    run_trials([(point, visits) for point in crash_points()
                for visits in LIVE_VISITS_OF.get(point, LIVE_VISITS)])


def test_killed_over_a_backlog():
    run_trials([(point, ()) for point in crash_points()])


if __name__ == "__main__":
    main(test_killed_while_the_events_come_in, test_killed_over_a_backlog)
