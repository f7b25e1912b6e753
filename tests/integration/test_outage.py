#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An outage of three silence limits, of Redis or of Salvor itself: nobody is given up for a silence
that nobody could hear, time-outs that passed meanwhile are enforced after their grace, and the
watch goes on. The lengths are the scenario's own; everything else is waited for."""
import contextlib
import json
import threading
import time

from harness import (STREAM, Client, Place, Redis, ReplyError, Salvor, check, check_equal,
                     check_ordinals, claim, key_of, main, prove, submit, wait_until)

HEARTBEAT_MS = 600
LIMIT_MS = 3 * HEARTBEAT_MS
GRACE_MS = 700
CONFIG = {"policy": {"backoff_ms": 0, "grace_ms": GRACE_MS}}
WORKERS = [f"w{i}" for i in range(10)]


class Fleet:
    """Workers that heartbeat, each from its own point of view always in time, while they may."""

    def __init__(self, redis):
        self.redis = redis
        self.workers = set(WORKERS)
        self.ends = threading.Event()
        self.may = threading.Event()
        self.may.set()
        self.beats = 0
        self.thread = threading.Thread(target=self.beat)
        self.thread.start()

    def beat(self):
        client = None
        while not self.ends.wait(0.05):
            if not self.may.is_set():
                continue
            try:
                client = client or Client(self.redis.path)
                for worker in sorted(self.workers):
                    client.call("XADD", STREAM, "*", "type", "worker.heartbeat", "worker", worker)
                self.beats += 1
            except (OSError, ReplyError):
                client = None

    def end(self):
        self.ends.set()
        self.thread.join()


def let_pass(milliseconds):
    """So long lasts what the test is about."""
    threading.Event().wait(milliseconds / 1000)


@contextlib.contextmanager
def fleet_at_work():
    """Ten workers with a job each, and one job whose time ends within the outage."""
    with Place() as place:
        redis = Redis(place, "--appendonly", "yes", "--appendfsync", "always")
        salvor = Salvor(place, redis, CONFIG)
        salvor.wait_log("in_charge")
        for i, worker in enumerate(WORKERS):
            redis.xadd("worker.registered", worker=worker, heartbeat_ms=HEARTBEAT_MS)
            submit(redis, f"j{i}")
            claim(redis, f"j{i}", worker, timeout_ms=LIMIT_MS if i == 1 else 600000)
        fleet = Fleet(redis)
        try:
            wait_until(lambda: fleet.beats > 3, "the fleet heartbeats")
            salvor.wait_folded(redis)
            yield redis, salvor, fleet
        finally:
            fleet.end()
        check_equal(0, salvor.stop())
        check_ordinals(redis, salvor)
        redis.stop()
        prove(salvor)


def passed(redis, type):
    """elapsed_ms and gap_ms that the events of this type tell."""
    return [(int(fields.get("elapsed_ms", 0)), int(fields.get("gap_ms", 0)))
            for _, fields in redis.entries() if fields["type"] == type]


def check_after(redis, salvor, fleet, beats):
    """The fleet is back: w0 stays away, w1's job was overdue, all others just work on."""
    decision = salvor.wait_decision("j1", action="time_out", reason="deadline_passed")
    measures = json.loads(decision["evidence"])["measures"]
    check_equal(GRACE_MS, measures.get("grace_ms"), "it had its grace", measures)
    wait_until(lambda: redis.hash("job:j1")["status"] == "timeout", "the queue says so")
    check_equal(("idle", ""), (redis.hash("worker:w1")["status"],
                               redis.hash("worker:w1")["current_job_id"]))
    # The watch goes on: who really is gone is given up one silence limit after the outage.
    lost = salvor.wait_decision("j0", action="requeue", reason="worker_silent")
    heard = json.loads(lost["evidence"])["facts"]["worker_heard_last"]
    watched_ms = sum(int(fields["elapsed_ms"]) for id, fields in redis.entries()
                     if fields["type"] == "tick" and
                     key_of(heard) < key_of(id) <= key_of(lost["stream_id"]))
    check(LIMIT_MS <= watched_ms < LIMIT_MS + 1000, "watched in silence", watched_ms)
    wait_until(lambda: redis.pending() == ["j0"], "j0 waits in the queue")
    wait_until(lambda: fleet.beats > beats + 60, "the fleet goes on for more than a limit")
    salvor.wait_folded(redis)
    check_equal({"j0", "j1"}, {row["job"] for row in salvor.decisions() if row["job"]})
    check_equal(["j0"], redis.pending())


def test_an_outage_of_redis_requeues_nothing():
    with fleet_at_work() as (redis, salvor, fleet):
        fleet.workers.discard("w0")
        began = time.monotonic()
        redis.kill()
        let_pass(3 * LIMIT_MS)
        check_equal([], [row for row in salvor.decisions() if row["job"]])
        redis.start()
        outage_ms = (time.monotonic() - began) * 1000
        salvor.wait_log("connection_mended")
        beats = fleet.beats
        check_after(redis, salvor, fleet, beats)
        # The clocks: one tick carries the outage, cut; the rest of it is its gap.
        elapsed, gap = max(passed(redis, "tick"), key=lambda tick: tick[1])
        check(elapsed <= 1000 and outage_ms - 2000 < gap < outage_ms + 6000, elapsed, gap,
              outage_ms)
        check_equal(1, len(passed(redis, "epoch")), "nobody took over")


def outage_of_salvor(end):
    with fleet_at_work() as (redis, salvor, fleet):
        fleet.may.clear()
        fleet.workers.discard("w0")
        salvor.wait_folded(redis)
        end(salvor)
        began = time.monotonic()
        let_pass(3 * LIMIT_MS)
        outage_ms = (time.monotonic() - began) * 1000
        salvor.start()
        fleet.may.set()
        salvor.wait_log("in_charge")
        beats = fleet.beats
        check_after(redis, salvor, fleet, beats)
        gaps = [gap for _, gap in passed(redis, "epoch")]
        check_equal(2, len(gaps), "one take-over more")
        check(outage_ms - 100 <= gaps[1] < outage_ms + 6000, "the gap", gaps, outage_ms)
        check(all(elapsed <= 1000 for elapsed, _ in passed(redis, "tick")))
        check_equal([1, 2], [row["epoch"] for row in salvor.query(
            "SELECT epoch FROM leadership ORDER BY epoch")])


def test_an_outage_of_a_stopped_salvor_requeues_nothing():
    outage_of_salvor(lambda salvor: check_equal(0, salvor.stop()))


def test_an_outage_of_a_killed_salvor_requeues_nothing():
    outage_of_salvor(lambda salvor: salvor.kill())


if __name__ == "__main__":
    main(test_an_outage_of_redis_requeues_nothing,
         test_an_outage_of_a_stopped_salvor_requeues_nothing,
         test_an_outage_of_a_killed_salvor_requeues_nothing)
