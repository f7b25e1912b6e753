#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A thousand workers fall silent at once: who was handed off is asked about and decided, who rests
on silence alone is held until our own eyes are trusted again, and nobody else waits."""
import contextlib
import http.client
import json
import os
import subprocess
import threading
import time

from harness import (BUILD, DEADLINE_S, STREAM, Client, check, check_equal, claim, main, rescue,
                     submit, wait_until)

ANSWER_MS = 20
PER_HOST = 16
HEARTBEAT_MS = 400  # three missed ones are silence
PACE = 20
POLICY = {"backoff_ms": 0, "ask_backoff_ms": 100, "backoff_max_ms": 200, "hold_pace": PACE}
FAILURES = {"failures": "salvor"}
LIVE = [f"live-{i}" for i in range(20)]
# What the service knows of the jobs that it was handed, how many of each there are, and what has to
# become of them.
DONE, FAILED, RUNNING, LOST, AGAIN = "done", "failed", "running", "lost", "again"
HANDED_OFF = {DONE: 700, FAILED: 100, RUNNING: 20, LOST: 120, AGAIN: 60}
WANTED = {DONE: ("complete", "service_completed"), FAILED: ("requeue", "service_failed"),
          RUNNING: ("complete", "service_completed"), LOST: ("park", "service_forgot"),
          AGAIN: ("requeue", "service_forgot")}
BARE = 200
ENDS = "('complete', 'requeue', 'park', 'fail', 'time_out', 'hold')"

# One script, so that no tick can part them: they fall silent in the same one.
LAST_WORD = """
for _, worker in ipairs(ARGV) do
    redis.call('XADD', KEYS[1], '*', 'type', 'worker.registered', 'worker', worker,
               'heartbeat_ms', '%d')
end
""" % HEARTBEAT_MS

# The beginning and the end of each hold, and of how many workers and jobs.
HOLDS = """
SELECT strftime('%Y-%m-%d %H:%M:%f', at_ms / 1000.0, 'unixepoch') AS at, action, reason,
       evidence ->> '$.measures.silent_workers' AS silent_workers,
       evidence ->> '$.measures.workers' AS workers,
       evidence ->> '$.measures.percent' AS percent,
       evidence ->> '$.measures.held_ms' AS held_ms,
       evidence ->> '$.measures.held_jobs' AS held_jobs
  FROM decision
 WHERE action IN ('hold', 'resume') AND job = '' AND superseded_by IS NULL
 ORDER BY seq
"""
# Each job that was held, for what, and what came next.
HELD_JOBS = """
SELECT held.job, held.worker, held.evidence ->> '$.held' AS wanted, later.action, later.reason,
       later.at_ms - held.at_ms AS held_ms
  FROM decision AS held
  LEFT JOIN decision AS later
    ON later.seq = (SELECT min(seq) FROM decision AS next
                     WHERE next.job = held.job AND next.seq > held.seq AND next.superseded_by IS NULL
                       AND next.action NOT IN ('ignore', 'release'))
 WHERE held.action = 'hold' AND held.job <> '' AND held.superseded_by IS NULL
 ORDER BY held.seq
"""


class ComfyService:
    """The simulated ComfyUI: a program of its own."""

    def __init__(self, place, *arguments):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tests/fleet/comfy_service"), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        place.servers.append(self)

    @property
    def config(self):
        return {"comfyui": {"profile": "comfyui", "base": f"http://127.0.0.1:{self.port}"}}

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body))
        reply = self.connection.getresponse()
        data = reply.read()
        check_equal(200, reply.status, method, path, data)
        return json.loads(data) if data else None

    def kill(self):
        self.connection.close()
        self.process.kill()
        self.process.wait(DEADLINE_S)
        self.process.stdin.close()
        self.process.stdout.close()


class Live:
    """Workers that live on meanwhile: they are heard, take jobs and complete them. A completion told
    twice is a decision (`ignore`), so its row tells when all before it was folded and committed."""

    def __init__(self, redis, salvor):
        self.redis = Client(redis.path)
        self.salvor = salvor
        self.took_ms = []
        self.failure = None
        self.is_ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def xadd(self, type, **fields):
        self.redis.call("XADD", STREAM, "*", "type", type,
                        *[part for pair in fields.items() for part in pair])

    def work(self, number):
        worker, job = LIVE[number % len(LIVE)], f"live-job-{number}"
        for other in LIVE:
            self.xadd("worker.heartbeat", worker=other)
        for type in ("job.claimed", "job.started", "job.completed"):
            self.xadd(type, job=job, worker=worker, attempt=1)
        began = time.monotonic()
        self.xadd("job.completed", job=job, worker=worker, attempt=1)
        wait_until(lambda: rows(self.salvor, job=job), f"the word about {job} is folded")
        self.took_ms.append((time.monotonic() - began) * 1000)

    def run(self):
        number = 0
        try:
            while not self.is_ending.is_set():
                self.work(number)
                number += 1
        except Exception as error:  # told by end(), in the test's own thread
            self.failure = error

    def end(self):
        """How long each of them waited, in ms, shortest first."""
        self.is_ending.set()
        self.thread.join(DEADLINE_S)
        self.redis.close()
        if self.failure:
            raise self.failure
        return sorted(self.took_ms)


def hold(redis, job, worker, **fields):
    submit(redis, job)
    claim(redis, job, worker, **fields)


def fall_silent(redis, workers):
    """The last that is heard of them."""
    redis.call("EVAL", LAST_WORD, 1, STREAM, *workers)


def rows(salvor, **columns):
    return salvor.query("SELECT * FROM decision WHERE superseded_by IS NULL AND " +
                        " AND ".join(f"{name} = ?" for name in columns) + " ORDER BY seq",
                        *columns.values())


def count(salvor, condition):
    return salvor.query(f"SELECT count(*) AS n FROM decision WHERE {condition}")[0]["n"]


def decided(salvor):
    """What became of each job: its last decision that is more than a step."""
    return {row["job"]: (row["action"], row["reason"]) for row in salvor.query(
        "SELECT job, action, reason FROM decision WHERE job <> '' AND superseded_by IS NULL AND "
        f"action IN {ENDS} ORDER BY seq")}


def fleet_of(redis, service):
    """Jobs by what the service knows of them; each is held by a worker of its own."""
    jobs = {kind: [f"{kind}-{i:03}" for i in range(many)] for kind, many in HANDED_OFF.items()}
    for kind, prompt in ((DONE, {}), (FAILED, {"fail": True}), (RUNNING, {"duration_ms": 600000})):
        for job in jobs[kind]:
            service.ask("POST", "/prompt", {"prompt": prompt, "prompt_id": f"of-{job}"})
    for kind, names in jobs.items():
        for job in names:
            hold(redis, job, f"w-{job}", idempotent="true" if kind == AGAIN else "false")
            redis.xadd("job.handed_off", job=job, worker=f"w-{job}", attempt=1, service="comfyui",
                       service_job=f"of-{job}")
    return jobs


def check_pace(salvor, jobs):
    """The held ones went on in the order in which they were held, so many a tick."""
    held = [row["job"] for row in rows(salvor, action="hold") if row["job"]]
    resumed = rows(salvor, action="requeue", reason="worker_silent")
    check_equal(jobs, held, "the order of arrival")
    check_equal(held, [row["job"] for row in resumed])
    ticks = list(dict.fromkeys(row["stream_id"] for row in resumed))
    by_tick = [sum(row["stream_id"] == tick for row in resumed) for tick in ticks]
    full, rest = divmod(len(jobs), PACE)
    check_equal([PACE] * full + [rest] * (rest > 0), by_tick, "so many a tick")


def test_a_thousand_jobs_are_asked_about_and_the_rest_is_held_until_workers_are_heard_again():
    service = None

    def config(place):
        nonlocal service
        service = ComfyService(place)
        return {"policy": {**POLICY, "hold_max_ms": 600000}, "queue": FAILURES,
                "services": service.config}

    with rescue(config) as (_, redis, salvor):
        jobs = fleet_of(redis, service)
        handed_off = [job for names in jobs.values() for job in names]
        bare = [f"bare-{i:03}" for i in range(BARE)]
        for job in bare:
            hold(redis, job, f"w-{job}")
        check_equal(1000, len(handed_off))
        for worker in LIVE:
            redis.xadd("worker.registered", worker=worker)
        asked_before = service.ask("GET", "/control/counters")["requests"]
        service.ask("POST", "/control/set", {"delay_ms": ANSWER_MS})
        salvor.wait_folded(redis)
        live = Live(redis, salvor)
        fall_silent(redis, [f"w-{job}" for job in (*handed_off, *bare)])

        # All that were handed off are decided, but those that run there still.
        wanted = {job: WANTED[kind] for kind, names in jobs.items() if kind != RUNNING
                  for job in names}
        wanted.update({job: ("hold", "mass_loss") for job in bare})
        wait_until(lambda: count(salvor, f"job <> '' AND action IN {ENDS}") >= len(wanted),
                   lambda: f"{len(wanted)} are decided, not {len(decided(salvor))}", 60)
        took_ms = live.end()
        given = decided(salvor)
        check_equal({}, {job: (end, given.get(job)) for job, end in wanted.items()
                         if given.get(job) != end}, "wanted and given")
        check_equal(len(wanted), len(given))
        fallen = rows(salvor, action="release", reason="worker_silent")
        check_equal(1000 + BARE, len(fallen))
        check(fallen[-1]["at_ms"] - fallen[0]["at_ms"] <= 1000, "within one second")
        counters = service.ask("GET", "/control/counters")
        check(counters["requests"] - asked_before >= 1000 - len(jobs[RUNNING]), counters)
        check(1 < counters["most_at_once"] <= PER_HOST, counters)

        # Nobody else waited for the thousand: not for their answers, not for their effects.
        asked = rows(salvor, action="ask", reason="worker_silent")
        last = max(row["at_ms"] for row in rows(salvor, action="complete"))
        took = last - asked[0]["at_ms"]
        meanwhile = [row for row in rows(salvor, action="ignore", reason="job_finished")
                     if asked[-1]["at_ms"] < row["at_ms"] < last]
        check(meanwhile, "the others went on while answers were outstanding")
        check(took_ms[-1] < took * 3 / 4, "the longest waits of the others:", took_ms[-5:], "of",
              took, "ms for the thousand")
        check_equal([], rows(salvor, action="release", worker=LIVE[0]))

        # What rests on silence alone was not touched, what is proved was carried out.
        wait_until(lambda: len(redis.pending()) == len(jobs[FAILED]) + len(jobs[AGAIN]),
                   lambda: f"the proved ones wait in the queue, not {len(redis.pending())} jobs")
        check_equal(sorted(jobs[FAILED] + jobs[AGAIN]), sorted(redis.pending()))
        for job in (*bare, *jobs[LOST]):
            check_equal("in_progress", redis.hash(f"job:{job}")["status"], job)
        wait_until(lambda: len(redis.hash("jobs:completed")) == len(jobs[DONE]), "all done are kept")
        for job in jobs[DONE]:
            held = redis.hash(f"job:{job}")
            check_equal(("completed", "0"), (held["status"], held["retry_count"]), job)
        for job in jobs[RUNNING]:
            service.ask("POST", "/control/finish", {"prompt_id": f"of-{job}"})
        wait_until(lambda: len(redis.hash("jobs:completed")) == len(jobs[DONE] + jobs[RUNNING]),
                   "what ran there is completed when it ends")
        check_equal(set(jobs[FAILED] + jobs[AGAIN]),
                    {row["job"] for row in rows(salvor, action="requeue")})

        # Half of the workers and more are heard again: the held jobs go on.
        for job in jobs[DONE]:
            redis.xadd("worker.heartbeat", worker=f"w-{job}")
        wait_until(lambda: count(salvor, "action = 'requeue' AND reason = 'worker_silent'") == BARE,
                   "the held jobs go on")
        check_pace(salvor, bare)
        wait_until(lambda: set(bare) < set(redis.pending()), "they wait in the queue")

        begin, end = salvor.query(HOLDS)
        everybody = 1000 + BARE + len(LIVE)
        check_equal(("hold", "mass_loss", 1000 + BARE, everybody, 50),
                    tuple(begin[key] for key in ("action", "reason", "silent_workers", "workers",
                                                 "percent")))
        check_equal(("resume", "workers_heard", BARE),
                    tuple(end[key] for key in ("action", "reason", "held_jobs")))
        check(end["silent_workers"] * 2 < end["workers"] == everybody, end)
        check_equal([(job, f"w-{job}", "requeue", "requeue", "worker_silent") for job in bare],
                    [tuple(row[key] for key in ("job", "worker", "wanted", "action", "reason"))
                     for row in salvor.query(HELD_JOBS)])


@contextlib.contextmanager
def bare_loss(policy, many=90):
    """So many workers fall silent at once; nobody outside could be asked about their jobs."""
    with rescue({"policy": {**POLICY, **policy}, "queue": FAILURES}) as (_, redis, salvor):
        jobs = [f"bare-{i:03}" for i in range(many)]
        for job in jobs:
            hold(redis, job, f"w-{job}")
        fall_silent(redis, [f"w-{job}" for job in jobs])
        yield redis, salvor, jobs


def test_a_hold_ends_by_itself_after_its_time():
    with bare_loss({"hold_max_ms": 1000}) as (redis, salvor, jobs):
        wait_until(lambda: count(salvor, "action = 'hold' AND job <> ''") == len(jobs), "all held")
        check_equal([], redis.pending())
        wait_until(lambda: sorted(redis.pending()) == jobs, "all go back to the queue")
        check_pace(salvor, jobs)
        begin, end = salvor.query(HOLDS)
        check_equal(("hold", "resume", "hold_expired", len(jobs)),
                    (begin["action"], end["action"], end["reason"], end["held_jobs"]))
        check(1000 <= end["held_ms"] < 5000, end)
        check_equal({"requeue"}, {row["action"] for row in salvor.query(HELD_JOBS)})


def test_a_worker_that_is_heard_again_during_a_hold_keeps_its_job():
    with bare_loss({"hold_max_ms": 1500}) as (redis, salvor, jobs):
        wait_until(lambda: count(salvor, "action = 'hold' AND job <> ''") == len(jobs), "all held")
        before = redis.hash(f"job:{jobs[3]}")
        redis.xadd("worker.registered", worker=f"w-{jobs[3]}", heartbeat_ms=60000)
        salvor.wait_decision(jobs[3], action="wait", reason="worker_heard_again")
        wait_until(lambda: len(redis.pending()) == len(jobs) - 1, "the others go on")
        check_equal(before, redis.hash(f"job:{jobs[3]}"))
        check(jobs[3] not in redis.pending())
        kept = [row for row in salvor.query(HELD_JOBS) if row["job"] == jobs[3]]
        check_equal([("wait", "worker_heard_again")],
                    [(row["action"], row["reason"]) for row in kept])


def test_the_seed_policy_holds_nothing():
    with bare_loss({"preset": "seed"}) as (redis, salvor, jobs):
        wait_until(lambda: sorted(redis.pending()) == jobs, "all are back in the queue")
        released = rows(salvor, action="release", reason="worker_silent")
        requeued = rows(salvor, action="requeue", reason="worker_silent")
        check_equal((len(jobs), len(jobs)), (len(released), len(requeued)))
        check_equal({released[0]["stream_id"]}, {row["stream_id"] for row in requeued},
                    "in the tick of their silence")
        check_equal([], salvor.query(HOLDS))
        check_equal([], salvor.query(HELD_JOBS))


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
