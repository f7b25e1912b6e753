#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many questions at once, and services that are down beside others that are not: everybody gets the
right decision in time, and nobody pays for somebody else's service."""
import statistics
import threading

from harness import Place, Redis, Salvor, check, check_equal, claim, main, submit, wait_until
from services import BlackHole, Comfy, Service
from test_service_faults import finish, hand_off

QUESTION_MS = 5000  # from sending to the end


class Pipeline:
    """Takes the calls of a Redis without waiting for each reply."""

    def __init__(self, redis):
        self.client = redis.client
        self.count = 0

    def call(self, *words):
        self.client.send(*words)
        self.count += 1
        if self.count == 500:
            self.flush()

    def xadd(self, type, **fields):
        self.call("XADD", "salvor:{0}:events", "*", "type", type,
                  *[part for pair in fields.items() for part in pair])

    def flush(self):
        for _ in range(self.count):
            self.client.reply()
        self.count = 0


# --- two thousand questions ---

JOBS, WORKERS = 2000, 100
STATES = ("completed", "completed", "completed", "failed", "running", None)


def state_of(number):
    return STATES[number % len(STATES)]


def test_two_thousand_questions_at_once_are_all_answered_and_the_queue_is_read_for_many():
    with Place() as place:
        redis = Redis(place)
        comfy = Comfy(place)
        jobs = {f"j{number}": state_of(number) for number in range(JOBS)}
        comfy.states.update({f"of-{job}": state for job, state in jobs.items() if state})
        salvor = Salvor(place, redis, {"services": comfy.config, "policy": {
            "backoff_ms": 0, "ask_backoff_ms": 500}})
        salvor.wait_log("in_charge")
        pipeline = Pipeline(redis)
        for number, job in enumerate(jobs):
            worker = f"w{number % WORKERS}"
            submit(pipeline, job)
            claim(pipeline, job, worker)
            pipeline.xadd("job.handed_off", job=job, worker=worker, attempt=1, service="comfyui",
                          service_job=f"of-{job}")
        for number in range(WORKERS):
            pipeline.xadd("worker.lost", worker=f"w{number}")
        pipeline.flush()

        wanted = {"completed": ("complete", "service_completed"),
                  "failed": ("requeue", "service_failed"),
                  "running": ("wait", "service_running"),
                  None: ("park", "service_forgot")}

        def decided():
            last = {row["job"]: (row["action"], row["reason"]) for row in salvor.decisions()
                    if row["action"] in ("complete", "requeue", "wait", "park")}
            return last if len(last) == JOBS else None
        last = wait_until(decided, "all are decided", 40)
        for job, state in jobs.items():
            check_equal(wanted[state], last[job], job)
        fetched = comfy.asked.count("/queue")
        check(0 < fetched < JOBS / 4, "/queue was fetched", fetched, "times")

        # Those that were running have completed since.
        comfy.states.update({f"of-{job}": "completed" for job, state in jobs.items()
                             if state == "running"})
        completed = {job for job, state in jobs.items() if state in ("completed", "running")}
        wait_until(lambda: redis.call("HLEN", "jobs:completed") == len(completed),
                   "those that were running are completed", 40)
        wait_until(lambda: redis.call("ZCARD", "jobs:pending") ==
                   sum(state == "failed" for state in jobs.values()), "the failed ones wait")
        check_equal(completed, set(redis.hash("jobs:completed")))
        check_equal({job for job, state in jobs.items() if state == "failed"},
                    set(redis.pending()))
        for job, state in jobs.items():
            check_equal(1, redis.call("HEXISTS", f"job:{job}", "status"))
            status = {"failed": "pending", None: "in_progress"}.get(state, "completed")
            check_equal(status, redis.call("HGET", f"job:{job}", "status"), job)
        check_equal(0, salvor.query("SELECT count(*) AS open FROM effect WHERE outcome = ''")[0]
                    ["open"])
        finish(redis, salvor, comfy)


# --- services that are down ---

ASK_LIMIT, ASK_BACKOFF_MS = 2, 100
PROMISED_MS = ASK_LIMIT * (QUESTION_MS + 2 * ASK_BACKOFF_MS)
SLACK_MS = 2000


def breaker(redis, service):
    return [fields["breaker"] for _, fields in redis.entries()
            if fields["type"] == "service.probed" and fields["service"] == service.name]


def lose(redis, worker, *services, count=8):
    """The worker is lost with so many jobs of each service; their names, by service."""
    jobs = {}
    for service in services:
        jobs[service] = [f"{worker}-{service.name}-{number}" for number in range(count)]
        for job in jobs[service]:
            service.states[f"of-{job}"] = "completed"
            hand_off(redis, job, service, worker=worker)
    redis.xadd("worker.lost", worker=worker)
    return jobs


def took_ms(salvor, job, action):
    """From the question to the decision."""
    rows = {row["action"]: row["at_ms"] for row in reversed(salvor.decisions(job))}
    return rows[action] - rows["ask"]


def completion_ms(salvor, jobs):
    for job in jobs:
        salvor.wait_decision(job, action="complete", reason="service_completed")
    return statistics.median(took_ms(salvor, job, "complete") for job in jobs)


def test_services_that_are_down_cost_their_own_jobs_a_promised_time_and_others_nothing():
    with Place() as place:
        redis = Redis(place)
        alpha, beta, dead, silent = (Service(place, name)
                                     for name in ("alpha", "beta", "dead", "silent"))
        dead.kill()
        silent.kill()
        hole = BlackHole(silent.port)
        services = (alpha, beta, dead, silent)
        salvor = Salvor(place, redis, {
            "policy": {"backoff_ms": 0, "ask_limit": ASK_LIMIT, "ask_backoff_ms": ASK_BACKOFF_MS,
                       "services": {"dead": {"on_unreachable": "park"}}},
            "services": {name: part for service in services
                         for name, part in service.config.items()}})
        salvor.wait_log("in_charge")
        jobs = lose(redis, "w0", alpha, beta)
        before_ms = completion_ms(salvor, jobs[alpha] + jobs[beta])

        jobs = lose(redis, "w1", dead, silent, alpha, beta)
        during_ms = completion_ms(salvor, jobs[alpha] + jobs[beta])
        check(not [row for job in jobs[silent] for row in salvor.decisions(job, action="requeue")],
              "the others were decided before the silent one was given up")
        check(during_ms <= 10 * before_ms + 1000, "median of the others:", before_ms, "ms before,",
              during_ms, "ms beside two that are down")
        for job in jobs[dead]:
            salvor.wait_decision(job, action="park", reason="service_unreachable")
            took = took_ms(salvor, job, "park")
            check(took < PROMISED_MS + SLACK_MS, job, "took", took)
            check_equal("in_progress", redis.hash(f"job:{job}")["status"])
        for job in jobs[silent]:
            decision = salvor.wait_decision(job, action="requeue", reason="service_unreachable")
            check('"possible_duplicate":1' in decision["evidence"], decision["evidence"])
            took = took_ms(salvor, job, "requeue")
            check(took < PROMISED_MS + SLACK_MS, job, "took", took)
            wait_until(lambda: redis.hash(f"job:{job}")["status"] == "pending", job)
        for service in (dead, silent):
            wait_until(lambda: "open" in breaker(redis, service), "an event tells of the breaker")
            fact = salvor.wait_log("breaker", service=service.name, state="open")
            check_equal("warning", fact["level"])
        check_equal(set(), set(breaker(redis, alpha)) & {"open", "half_open"})
        check_equal(set(jobs[silent]), set(redis.pending()))

        # The dead one comes back: the next questions find it.
        dead.start()
        returned = []

        def is_back():
            job = f"back-{len(returned)}"
            returned.append(job)
            dead.states[f"of-{job}"] = "completed"
            hand_off(redis, job, dead, worker=f"w-{job}")
            redis.xadd("worker.lost", worker=f"w-{job}")
            wait_until(lambda: salvor.decisions(job, action="park") or
                       salvor.decisions(job, action="complete"), f"{job} is decided")
            return salvor.decisions(job, action="complete")
        wait_until(is_back, "the service that is back is asked", 20)
        told = breaker(redis, dead)
        check_equal(["half_open", "closed"], told[-2:])
        salvor.wait_log("breaker", service="dead", state="closed")
        jobs = lose(redis, "w9", dead)
        completion_ms(salvor, jobs[dead])

        # What was parked goes on when an operator says so.
        parked = "w1-dead-0"
        redis.xadd("operator.resume", who="ada", why="the service is back", job=parked)
        salvor.wait_decision(parked, action="complete", reason="service_completed")
        wait_until(lambda: redis.hash(f"job:{parked}")["status"] == "completed", parked)
        hole.close()
        finish(redis, salvor, *services)


# --- a host that asks for a pause ---

def test_a_host_that_names_the_time_of_its_return_is_left_alone_till_then():
    with Place() as place:
        redis = Redis(place)
        service = Service(place)
        asked_at, refused = [], threading.Event()

        def answer(handler, job):
            asked_at.append(handler.path)
            if not refused.is_set():
                refused.set()
                handler.send_response(429)
                handler.send_header("Retry-After", "1")
                handler.send_header("Content-Length", "0")
                handler.end_headers()
            else:
                Service.answer(service, handler, job)
        service.answer = answer
        service.states["of-j1"] = "completed"
        salvor = Salvor(place, redis, {"services": service.config,
                                       "policy": {"ask_backoff_ms": 10, "ask_limit": 5}})
        salvor.wait_log("in_charge")
        hand_off(redis, "j1", service)
        redis.xadd("worker.lost", worker="w1")
        decision = salvor.wait_decision("j1", action="complete", reason="service_completed")
        check_equal(2, len(asked_at))
        first = salvor.wait_decision("j1", action="wait", reason="service_unreachable")
        check(decision["at_ms"] - first["at_ms"] >= 900, "it was left alone for a second")
        check_equal([], breaker(redis, service), "whoever asks for a pause is not down")
        finish(redis, salvor, service)


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
