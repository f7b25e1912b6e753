#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every row of the policy that needs no outside service, under both presets; the holding of a mass
loss, and the roll-out of what a policy does."""
import json
import os

from harness import SALVOR, check, check_equal, claim, main, run, submit, wait_until
from rows import PRESETS, QUICK, Row, Stage, completed, failed, lost, ordered, play, restarted, \
    same, silent, stays, stopped
from services import Service

# Per service, by the service that a claim names; none of these jobs was handed off.
POLICY = {"services": {
    "retries": {"on_timeout": "retry"},
    "untimed": {"timeouts_percent": 0},
    "observed": {"effects": "observe"},
    "held-back": {"requeue_percent": 0},
    "patient": {"max_retries": 0},
}}
SHORT = {"timeout_ms": 500}


def row(name, wanted, went=lost, **options):
    return Row(name, wanted["safe"], wanted["seed"], went, **options)


def requeued(reason):
    return same("requeue", reason, "pending")


def never(stage, row):
    """Nothing happens to it."""


def takes_three_workers(stage, row):
    """Each that takes it dies of it; the first one holds it already."""
    for attempt in (1, 2, 3):
        worker = f"{row.worker}-{attempt}" if attempt > 1 else row.worker
        if attempt > 1:
            wait_until(lambda: stage.status(row.name) == "pending", f"{row.name} {attempt}")
            claim(stage.redis, row.name, worker, attempt)
        stage.redis.xadd("worker.lost", worker=worker)


def fails_then_is_lost(stage, row):
    """A failure of its own, then two losses: together more than two retries."""
    failed(stage, row)
    for attempt in (2, 3):
        wait_until(lambda: stage.status(row.name) == "pending", f"{row.name} {attempt}")
        claim(stage.redis, row.name, f"{row.worker}-{attempt}", attempt)
        stage.redis.xadd("worker.lost", worker=f"{row.worker}-{attempt}")


def is_final(stage, row):
    failed(stage, row, retryable="false")


def ends_then_is_lost(stage, row):
    completed(stage, row)
    lost(stage, row)


def fails_twice(stage, row):
    """The same event again, and the word of an attempt that is over."""
    failed(stage, row)
    wait_until(lambda: stage.status(row.name) == "pending", row.name)
    claim(stage.redis, row.name, f"{row.worker}-2", 2)
    failed(stage, row)
    stage.redis.xadd("job.started", job=row.name, worker=row.worker, attempt=1)


def queue_says(status):
    def changes(stage, row):
        if status is None:
            stage.redis.call("DEL", f"job:{row.name}")
        else:
            stage.redis.call("HSET", f"job:{row.name}", "status", status)
        lost(stage, row)
    return changes


def is_held(stage, row):
    ordered("hold")(stage, row)
    lost(stage, row)


def copy_runs_and_completes(stage, row):
    claim(stage.redis, row.name, f"{row.worker}-2", 2)
    completed(stage, row)


COMPLETED_LATE = same("complete", "late_completion", "completed")
ROWS = [
    row("silent", requeued("worker_silent"), silent),
    row("stopped", requeued("worker_stopped"), stopped),
    row("lost", requeued("worker_lost")),
    row("restarted", requeued("worker_restarted"), restarted, held={"incarnation": 1}),
    row("kept", {"safe": None, "seed": None}, stays),

    row("exhausted", same("fail", "retries_exhausted", "failed"), held={"max_retries": 0},
        evidence={"losses": 1, "max_retries": 0}),
    row("exhausted-by-policy", same("fail", "retries_exhausted", "failed"),
        held={"service": "patient"}),
    row("exhausted-by-both", same("fail", "retries_exhausted", "failed"), fails_then_is_lost,
        held={"max_retries": 2}, evidence={"losses": 2, "failures": 1}),
    row("poison", {"safe": ("fail", "poison", "failed"),
                   "seed": ("requeue", "worker_lost", "pending")}, takes_three_workers,
        held={"max_retries": 9}, evidence={"safe": {"deaths": 3, "poison_after": 3},
                                           "seed": {"losses": 3}}),

    row("failed", requeued("job_failed"), failed, evidence={"failures": 1, "losses": 0}),
    row("failed-for-good", same("fail", "not_retryable", "failed"), is_final),
    row("failed-twice", same("requeue", "job_failed", "in_progress"), fails_twice),

    row("never-started", {"safe": ("requeue", "claim_timed_out", "pending"), "seed": None}, stays,
        start=False),

    row("overran", same("time_out", "deadline_passed", "timeout"), stays, held=SHORT,
        evidence={"timeout_ms": 500}),
    row("overran-retried", requeued("deadline_passed"), stays,
        held={**SHORT, "service": "retries"}, evidence={"failures": 1}),
    row("overran-untimed", {"safe": None, "seed": None}, stays,
        held={**SHORT, "service": "untimed"}),

    row("ended", {"safe": None, "seed": None}, ends_then_is_lost),
    row("late-while-queued", requeued("worker_lost"), then=(completed, COMPLETED_LATE)),
    row("late-while-running", requeued("worker_lost"),
        then=(copy_runs_and_completes, COMPLETED_LATE)),

    row("queue-ended-it", same("wait", "adopted", "failed"), queue_says("failed")),
    row("queue-says-strange", same("park", "stale_twice", "being looked at"),
        queue_says("being looked at")),
    row("queue-lost-it", same("park", "job_gone", None), queue_says(None)),

    row("observed", same("requeue", "worker_lost", "in_progress"), held={"service": "observed"}),
    row("held-back", same("requeue", "worker_lost", "in_progress"), held={"service": "held-back"}),

    row("operator-requeues", same("requeue", "operator", "pending"), ordered("requeue")),
    row("operator-completes", same("complete", "operator", "completed"), ordered("complete")),
    row("operator-fails", same("fail", "operator", "failed"), ordered("fail")),
    row("operator-cancels", same("fail", "operator", "failed"), ordered("cancel")),
    row("operator-holds", same("hold", "operator", "in_progress"), is_held,
        then=(ordered("resume"), requeued("worker_lost"))),
]


def play_quick(preset):
    claims = {"claim_timeout_ms": 400} if preset == "safe" else {}
    play(preset, ROWS, policy={**POLICY, **claims})


def test_safe_decides_each_situation_as_the_table_says():
    play_quick("safe")


def test_seed_decides_each_situation_as_the_table_says():
    play_quick("seed")


# --- many fall silent at once ---

def fall_silent(stage, handed):
    """Eight of ten workers are heard no more; the first few of them had handed their job off."""
    redis = stage.redis
    for number in range(10):
        worker, job = f"w{number}", f"j{number}"
        submit(redis, job)
        claim(redis, job, worker)
        if number < handed:
            redis.xadd("job.handed_off", job=job, worker=worker, attempt=1, service="render",
                       service_job=f"of-{job}")
    for number in (8, 9):
        redis.xadd("worker.registered", worker=f"w{number}", heartbeat_ms=60000)
    # In one transaction, so that they fall silent within one tick.
    redis.call("MULTI")
    for number in range(8):
        redis.xadd("worker.registered", worker=f"w{number}", heartbeat_ms=100)
    redis.call("EXEC")


def held_scene(preset, **policy):
    def services(place):
        service = Service(place)
        service.states.update({"of-j0": "completed", "of-j1": "completed"})
        return {"render": service}
    return Stage(preset, [], services=services, policy={"missed_heartbeats": 2, **policy})


def test_what_rests_on_the_silence_of_many_is_held_and_let_go_at_a_pace():
    with held_scene("safe", backoff_ms=0, hold_max_ms=1500, hold_pace=2) as stage:
        fall_silent(stage, handed=3)
        hold = stage.salvor.wait_decision(action="hold", reason="mass_loss")
        told = json.loads(hold["evidence"])["measures"]
        check_equal((8, 10, 50), (told["silent_workers"], told["workers"], told["percent"]))
        # Asking goes on: what is completed there is completed here, what is unknown goes back.
        for job in ("j0", "j1"):
            wait_until(lambda: stage.status(job) == "completed", f"{job} is completed")
        wait_until(lambda: stage.status("j2") == "pending", "j2 is not known there")
        check_equal([], stage.salvor.decisions(action="resume"))
        check_equal(["j2"], stage.redis.pending())

        resume = stage.salvor.wait_decision(action="resume", reason="hold_expired")
        held = json.loads(resume["evidence"])["measures"]
        check_equal(5, held["held_jobs"])
        for number in range(3, 8):
            wait_until(lambda: stage.status(f"j{number}") == "pending", f"j{number}")
        requeues = [row for row in stage.salvor.decisions(action="requeue")
                    if row["reason"] == "worker_silent"]
        check_equal([f"j{number}" for number in range(3, 8)], [row["job"] for row in requeues])
        paces = [row["stream_id"] for row in requeues]
        check_equal([2, 2, 1], [paces.count(tick) for tick in dict.fromkeys(paces)], "a tick")
        for number in (8, 9):
            check_equal("in_progress", stage.status(f"j{number}"))


def test_a_hold_ends_when_enough_of_them_are_heard_again():
    with held_scene("safe", hold_max_ms=600000) as stage:
        fall_silent(stage, handed=0)
        stage.salvor.wait_decision(action="hold", reason="mass_loss")
        wait_until(lambda: all(stage.last(f"j{number}") for number in range(8)), "all are judged")

        def heard():
            for number in range(4):
                stage.redis.xadd("worker.registered", worker=f"w{number}", heartbeat_ms=60000)
            return stage.salvor.decisions(action="resume", reason="workers_heard")
        wait_until(heard, "four of eight are heard again")
        for number in range(4, 8):
            wait_until(lambda: stage.status(f"j{number}") == "pending", f"j{number}")
        for number in (0, 1, 2, 3, 8, 9):
            check_equal("in_progress", stage.status(f"j{number}"))


def test_seed_doubts_nobody():
    with held_scene("seed") as stage:
        fall_silent(stage, handed=3)
        for job in ("j0", "j1"):
            wait_until(lambda: stage.status(job) == "completed", f"{job} is completed")
        for number in range(2, 8):
            wait_until(lambda: stage.status(f"j{number}") == "pending", f"j{number}")
        check_equal([], stage.salvor.decisions(action="hold"))


def test_an_operator_holds_and_resumes_what_rests_on_silence():
    with held_scene("seed") as stage:
        stage.redis.xadd("operator.hold", who="ada", why="the network is being repaired")
        stage.salvor.wait_decision(action="hold", reason="operator")
        fall_silent(stage, handed=1)
        wait_until(lambda: stage.status("j0") == "completed", "asking goes on")
        stage.wait_ticks(5)
        check_equal([], stage.redis.pending())
        stage.redis.xadd("operator.resume", who="ada", why="it is repaired")
        stage.salvor.wait_decision(action="resume", reason="operator")
        for number in range(1, 8):
            wait_until(lambda: stage.status(f"j{number}") == "pending", f"j{number}")


# --- rolling a policy out ---

def send_policy(stage, **policy):
    path = os.path.join(stage.place.folder, "next.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"policy": {"preset": stage.preset, **QUICK[stage.preset], **policy},
                   "queue": {"failures": "salvor"}}, file)
    run(SALVOR, "send", "policy", path, "-c", stage.salvor.config)


def test_what_a_roll_out_leaves_owed_is_judged_anew_when_it_goes_on():
    jobs = [f"part-{number}" for number in range(40)]
    for preset in PRESETS:
        with Stage(preset, [], policy={"requeue_percent": 30}) as stage:
            for job in jobs:
                submit(stage.redis, job)
                claim(stage.redis, job, "w1")
            stage.redis.xadd("worker.lost", worker="w1")
            wait_until(lambda: len(stage.salvor.decisions(action="requeue")) == len(jobs),
                       "all are decided")
            first = {row["effect_target"] for row in stage.salvor.query(
                "SELECT target AS effect_target FROM effect WHERE kind = 'requeue' AND "
                "outcome != 'observed'")}
            check(0 < len(first) < len(jobs), "some are carried out:", len(first))
            wait_until(lambda: len(stage.redis.pending()) == len(first), "they are in the queue")
            before = set(stage.redis.pending())

            send_policy(stage, requeue_percent=70)
            stage.wait_ticks()
            stage.salvor.wait_folded(stage.redis)
            wait_until(lambda: len(stage.redis.pending()) > len(before), "more are carried out")
            check(before < set(stage.redis.pending()) < set(jobs), preset, "who is in stays in")

            send_policy(stage)
            wait_until(lambda: set(stage.redis.pending()) == set(jobs), "all are carried out")


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
