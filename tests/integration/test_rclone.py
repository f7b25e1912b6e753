#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A real rclone, started here, runs the jobs: what became of them there decides what becomes of
them here. Its job numbers begin at 1 again with each start, and every call takes one."""
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys

from harness import (DEADLINE_S, Place, Redis, Salvor, check, check_equal, claim, main, prove,
                     submit, wait_until)

SIZE = 2_000_000
SLOW = "100k"  # a second: a copy of one file takes twenty of them
POLICY = {"backoff_ms": 0, "ask_backoff_ms": 50, "backoff_max_ms": 100}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Rclone:
    """`rclone rcd` with folders of its own; `remembers` is how long it knows a job that ended."""

    def __init__(self, place, remembers):
        self.folder = os.path.join(place.folder, "rclone")
        self.source = os.path.join(self.folder, "source")
        os.makedirs(self.source)
        with open(os.path.join(self.source, "file"), "wb") as file:
            file.write(os.urandom(SIZE))
        self.port = free_port()
        self.command = [
            "rclone", "rcd", "--rc-addr", f"127.0.0.1:{self.port}", "--rc-no-auth",
            "--rc-job-expire-duration", remembers, "--rc-job-expire-interval", "100ms",
            "--config", os.path.join(self.folder, "rclone.conf"),
            "--cache-dir", os.path.join(self.folder, "cache")]
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.folder}
        self.process = None
        place.servers.append(self)
        self.start()

    @property
    def config(self):
        """For the section `services` of the configuration."""
        return {"rclone": {"profile": "rclone", "base": f"http://127.0.0.1:{self.port}"}}

    def start(self):
        path = os.path.join(self.folder, "log")
        with open(path, "ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log,
                                            stderr=log)

        def answers():
            check(self.process.poll() is None, "rclone ended:", open(path, encoding="utf-8").read())
            with contextlib.suppress(OSError):
                return self.ask("rc/noop")[0] == 200
        wait_until(answers, "rclone answers")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
            self.process = None

    def ask(self, command, **body):
        """HTTP status and reply."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port,
                                                           timeout=DEADLINE_S)) as connection:
            connection.request("POST", "/" + command, json.dumps(body),
                               {"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())

    def call(self, command, **body):
        status, told = self.ask(command, **body)
        check_equal(200, status, command, told)
        return told

    def target(self, tag):
        return os.path.join(self.folder, "target", tag)

    def copied(self, tag):
        """How much of the file is at the copy's target, under its own name."""
        path = os.path.join(self.target(tag), "file")
        return os.path.getsize(path) if os.path.exists(path) else 0

    def copy(self, tag, source=None):
        """Begins a copy; its number."""
        return self.call("sync/copy", srcFs=source or self.source, dstFs=self.target(tag),
                         _async=True, _group=tag)["jobid"]

    def slow(self, rate=SLOW):
        self.call("core/bwlimit", rate=rate)

    def status(self, number):
        """None when it is not known."""
        status, told = self.ask("job/status", jobid=number)
        check(status == 200 or (status == 500 and told["error"] == "job not found"), status, told)
        return told if status == 200 else None

    def is_running(self, number):
        told = self.status(number)
        return told is not None and not told["finished"]

    def wait_end(self, number):
        wait_until(lambda: not self.is_running(number), f"rclone's job {number} ends")
        return self.status(number)


@contextlib.contextmanager
def scene(remembers="60s", **policy):
    """A Redis, an rclone and a Salvor that leads; at the end a replay that can ask nobody."""
    with Place() as place:
        redis, rclone = Redis(place), Rclone(place, remembers)
        salvor = Salvor(place, redis, {"policy": {**POLICY, **policy},
                                       "queue": {"failures": "salvor"},
                                       "services": rclone.config})
        salvor.wait_log("in_charge")
        yield redis, salvor, rclone
        check_equal(0, salvor.stop(), "the stop's exit code")
        redis.stop()
        rclone.kill()
        prove(salvor)


def hand_off(redis, job, number, tag, worker="w1", attempt=1, **fields):
    """The worker took the job and gave it to rclone, which runs it under this number."""
    if attempt == 1:
        submit(redis, job)
    claim(redis, job, worker, attempt, **fields)
    redis.xadd("job.handed_off", job=job, worker=worker, attempt=attempt, service="rclone",
               service_job=number, tag=tag)


def told(salvor, job):
    return [(row["action"], row["reason"]) for row in salvor.decisions(job)
            if row["action"] != "release"]


def wait_status(redis, salvor, job, status):
    return wait_until(lambda: redis.hash(f"job:{job}").get("status") == status and
                      redis.hash(f"job:{job}"),
                      lambda: f"{job} is {status}: {redis.hash(f'job:{job}')} {told(salvor, job)}"
                              "\nlog:\n" + "\n".join(salvor.lines[-15:]))


def answers(redis, job):
    return [fields["verdict"] for _, fields in redis.entries()
            if fields["type"] == "service.answered" and fields["job"] == job]


def take_numbers(rclone, *numbers):
    """Other calls come by these numbers, and succeed."""
    for number in numbers:
        other = wait_until(lambda: rclone.call("core/version") and
                           not rclone.is_running(number) and rclone.status(number),
                           f"number {number} is taken again")
        check_equal((True, f"job/{number}"), (other["success"], other["group"]))


def test_what_rclone_completed_is_completed_and_never_run_again():
    with scene() as (redis, salvor, rclone):
        done = rclone.copy("of-j1")
        check(rclone.wait_end(done)["success"], rclone.status(done))
        listed = rclone.call("operations/list", fs=rclone.target("of-j1"), remote="", _async=True,
                             _group="of-j2")["jobid"]
        check(rclone.wait_end(listed)["success"], rclone.status(listed))
        rclone.slow()
        late = rclone.copy("of-j3")
        for job, number in (("j1", done), ("j2", listed), ("j3", late)):
            hand_off(redis, job, number, f"of-{job}")
        check(rclone.is_running(late), "j3 is being copied when its worker is lost")
        redis.xadd("worker.lost", worker="w1")
        kept = {job: wait_status(redis, salvor, job, "completed") for job in ("j1", "j2")}
        check_equal({"0"}, {job["retry_count"] for job in kept.values()})
        for job in kept:
            check_equal([("ask", "worker_lost"), ("complete", "service_completed")],
                        told(salvor, job))
        wait_until(lambda: answers(redis, "j3").count("running") >= 2, "j3 is asked about again")
        check_equal("in_progress", redis.hash("job:j3")["status"])
        rclone.slow("off")
        wait_status(redis, salvor, "j3", "completed")
        check_equal(("complete", "service_completed"), told(salvor, "j3")[-1])
        check_equal((SIZE, SIZE), (rclone.copied("of-j1"), rclone.copied("of-j3")))
        results = {job: json.loads(json.loads(text)["data"])
                   for job, text in redis.hash("jobs:completed").items()}
        check_equal([("file", SIZE)],
                    [(item["Name"], item["Size"]) for item in results["j2"]["list"]])
        check_equal(({}, {}), (results["j1"], results["j3"]), "a copy has no output")
        check_equal([], redis.pending())
        check_equal([], salvor.decisions(action="requeue"))


def test_what_failed_at_rclone_is_tried_again_up_to_the_limit():
    with scene() as (redis, salvor, rclone):
        for attempt, worker in ((1, "w1"), (2, "w2")):
            number = rclone.copy("of-j1", source=os.path.join(rclone.folder, "nowhere"))
            check_equal((False, "directory not found"),
                        (rclone.wait_end(number)["success"], rclone.status(number)["error"]))
            hand_off(redis, "j1", number, "of-j1", worker, attempt, max_retries=1)
            redis.xadd("worker.lost", worker=worker)
            held = wait_status(redis, salvor, "j1", "pending" if attempt == 1 else "failed")
            check_equal(("0", str(attempt)), (held["salvor_losses"], held["salvor_failures"]))
        check_equal([("ask", "worker_lost"), ("requeue", "service_failed"),
                     ("ask", "worker_lost"), ("fail", "retries_exhausted")], told(salvor, "j1"))
        check_equal([], redis.pending())


def test_a_job_that_overruns_its_time_is_stopped_at_rclone_and_timed_out():
    with scene() as (redis, salvor, rclone):
        rclone.slow()
        number = rclone.copy("of-j1")
        hand_off(redis, "j1", number, "of-j1", timeout_ms=500)
        check(rclone.is_running(number), "it runs when its time passes")
        wait_status(redis, salvor, "j1", "timeout")
        check_equal((True, False, "context canceled"), tuple(
            rclone.status(number)[key] for key in ("finished", "success", "error")))
        check_equal(0, rclone.copied("of-j1"))
        steps = [action for action, _ in told(salvor, "j1") if action != "wait"]
        check_equal(["cancel", "ask", "time_out"], list(dict.fromkeys(steps)))
        check_equal({"deadline_passed"}, {reason for _, reason in told(salvor, "j1")})
        # It may still show the job right after; then it is cancelled once more.
        check_equal("accepted", salvor.query(
            "SELECT outcome FROM effect WHERE kind = 'cancel'")[0]["outcome"])
        check_equal("cancelled", answers(redis, "j1")[-1])
        decision = salvor.decisions("j1", action="time_out")[0]
        check_equal("confirmed", json.loads(decision["evidence"])["cancel"])
        check_equal({"status": "idle", "current_job_id": ""}, redis.hash("worker:w1"))
        check_equal([], redis.pending())


def test_a_job_that_had_ended_at_rclone_when_its_time_passed_is_completed():
    with scene() as (redis, salvor, rclone):
        number = rclone.copy("of-j1")
        rclone.wait_end(number)
        hand_off(redis, "j1", number, "of-j1", timeout_ms=300)
        wait_status(redis, salvor, "j1", "completed")
        check_equal([("cancel", "deadline_passed"), ("ask", "deadline_passed"),
                     ("complete", "service_completed")], told(salvor, "j1"))
        check_equal(["already_final"], [row["outcome"] for row in salvor.query(
            "SELECT outcome FROM effect WHERE kind = 'cancel'")])
        check_equal(SIZE, rclone.copied("of-j1"))


def test_what_rclone_has_forgotten_is_parked_unless_it_is_idempotent():
    with scene(remembers="200ms") as (redis, salvor, rclone):
        numbers = {job: rclone.copy(f"of-{job}") for job in ("j1", "j2")}
        for job, number in numbers.items():
            wait_until(lambda: rclone.status(number) is None, f"rclone forgets {number}")
            check_equal(SIZE, rclone.copied(f"of-{job}"))
        hand_off(redis, "j1", numbers["j1"], "of-j1")
        hand_off(redis, "j2", numbers["j2"], "of-j2", idempotent="true")
        before = redis.hash("job:j1")
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_decision("j1", action="park", reason="service_forgot")
        wait_status(redis, salvor, "j2", "pending")
        check_equal([("ask", "worker_lost"), ("park", "service_forgot")], told(salvor, "j1"))
        check_equal([("ask", "worker_lost"), ("requeue", "service_forgot")], told(salvor, "j2"))
        check_equal(before, redis.hash("job:j1"))
        check_equal(["j2"], redis.pending())
        check_equal({}, redis.hash("jobs:completed"))


def test_a_number_that_rclone_gave_to_another_call_after_a_restart_completes_nothing():
    with scene() as (redis, salvor, rclone):
        rclone.slow()
        numbers = [rclone.copy(f"of-{job}") for job in ("j1", "j2")]
        hand_off(redis, "j1", numbers[0], "of-j1")
        hand_off(redis, "j2", numbers[1], "of-j2", idempotent="true")
        check(all(rclone.is_running(number) for number in numbers), "both run")
        before = redis.hash("job:j1")
        rclone.kill()
        rclone.start()
        take_numbers(rclone, *numbers)
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_decision("j1", action="park", reason="service_forgot")
        wait_status(redis, salvor, "j2", "pending")
        check_equal([("ask", "worker_lost"), ("park", "service_forgot")], told(salvor, "j1"))
        check_equal([("ask", "worker_lost"), ("requeue", "service_forgot")], told(salvor, "j2"))
        check_equal(before, redis.hash("job:j1"))
        check_equal({}, redis.hash("jobs:completed"))
        check("completed" not in answers(redis, "j1") + answers(redis, "j2"))


def test_a_deadline_stops_nobody_elses_job_that_runs_under_the_same_number():
    with scene() as (redis, salvor, rclone):
        for _ in range(10):
            rclone.call("rc/noop")
        rclone.slow()
        number = rclone.copy("of-j1")
        check(rclone.is_running(number), "it runs")
        rclone.kill()
        rclone.start()
        rclone.slow()
        while (taken := rclone.copy("of-somebody")) < number:
            pass
        check_equal(number, taken)
        hand_off(redis, "j1", number, "of-j1", timeout_ms=300)
        wait_status(redis, salvor, "j1", "timeout")
        check(rclone.is_running(number), rclone.status(number))
        check_equal("of-somebody", rclone.status(number)["group"])
        check_equal(["unknown"], [row["outcome"] for row in salvor.query(
            "SELECT outcome FROM effect WHERE kind = 'cancel'")])


if __name__ == "__main__":
    if shutil.which("rclone") is None:
        print("rclone is not installed; tools/install-packages test does that")
        sys.exit(77)
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
