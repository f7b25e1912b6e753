#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`salvor replay --policy`: what another policy would have decided, on a capture of a real run."""
import contextlib
import json
import os
import sqlite3

from harness import Place, Redis, SALVOR, Salvor, check, check_equal, main, run
from services import Service
from test_service_faults import finish, hand_off

DUPLICATE = "runs-on"     # its service says running, later completed
FORGOTTEN = "forgotten"   # its service, which forgets, does not know it


def write(place, name, text):
    path = os.path.join(place.folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def what_if(salvor, policy, *arguments):
    return run(SALVOR, "replay", salvor.capture, "--policy", policy, *arguments).stdout


def asked(salvor, policy, *arguments):
    return json.loads(what_if(salvor, policy, "--json", *arguments))


def incident(place):
    """Two jobs whose worker is lost; the captured policy waits for one and parks the other."""
    redis = Redis(place)
    service = Service(place, "render", is_volatile=True)
    salvor = Salvor(place, redis, {"policy": {"ask_backoff_ms": 10, "backoff_max_ms": 100},
                                   "services": service.config,
                                   "queue": {"failures": "salvor"}})
    salvor.wait_log("in_charge")
    service.states[f"of-{DUPLICATE}"] = "running"
    for job, worker in (DUPLICATE, "w1"), (FORGOTTEN, "w2"):
        hand_off(redis, job, service, worker)
        redis.xadd("worker.lost", worker=worker)
    salvor.wait_decision(DUPLICATE, action="wait")
    salvor.wait_decision(FORGOTTEN, action="park")
    service.states[f"of-{DUPLICATE}"] = "completed"
    salvor.wait_decision(DUPLICATE, action="complete")
    finish(redis, salvor, service)
    return salvor


def check_against_itself(salvor, place):
    same = write(place, "same.txt", salvor.query("SELECT text FROM policy")[0]["text"] + "\n")
    report = asked(salvor, same)
    check_equal([], report["policy"]["changes"])
    check_equal([], report["jobs"])
    check_equal((2, 0, 0), (report["jobs_compared"], report["jobs_different"],
                            report["jobs_unknown"]))
    for name, total in report["totals"].items():
        check_equal(total["captured"], total["other"], name)
    check_equal(1, report["totals"]["complete"]["other"])
    check("  the same\n" in what_if(salvor, same))


def check_seed(salvor, seed):
    report = asked(salvor, seed)
    changed = {change["key"] for change in report["policy"]["changes"]}
    check("on_running" in changed, changed)
    check("queue.failures" not in changed and not any("render" in key for key in changed), changed)
    check_equal(["render"], report["policy"]["facts_as_captured"])
    check_equal(["queue.failures"], report["policy"]["not_named"])
    jobs = {job["job"]: job for job in report["jobs"]}
    check_equal({DUPLICATE, FORGOTTEN}, set(jobs))
    told = jobs[DUPLICATE]
    check_equal(("wait", "service_running"),
                (told["captured"]["action"], told["captured"]["reason"]))
    check_equal(("requeue", "service_running", True, True),
                tuple(told["other"][key] for key in ("action", "reason", "possible_duplicate",
                                                     "proved")))
    check_equal("service", told["completed_says"])
    check_equal(1, told["other"]["evidence"]["measures"]["possible_duplicate"])
    check_equal("park", jobs[FORGOTTEN]["captured"]["action"])
    check(not jobs[FORGOTTEN]["other"]["proved"], "nothing proves it")
    check_equal({"captured": 0, "other": 1}, report["totals"]["proved_duplicate"])
    check_equal({"captured": 0, "other": 2}, report["totals"]["requeue"])


def check_text(salvor, seed):
    text = what_if(salvor, seed)
    for part in ("What this can not know", "  on_running: wait -> requeue\n",
                 "jobs compared: 2, decided differently: 2, unknown: 0\n", f"\n{DUPLICATE}\n",
                 "that attempt 1 was completed: the requeue of \"other\" repeats what was done\n"):
        check(part in text, part, "in", text)
    cut = what_if(salvor, seed, "--limit", "1")
    check("… and 1 more" in cut and cut.count("\n  captured  ") == 1, cut)


def check_tables(salvor, seed, place):
    path = os.path.join(place.folder, "out.db")
    what_if(salvor, seed, "--db", path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        check_equal([(DUPLICATE, 1), (FORGOTTEN, 0)], database.execute(
            "SELECT job, other_proved FROM what_if_job ORDER BY other_proved DESC").fetchall())
        check_equal([(0, 2)], database.execute(
            "SELECT captured, other FROM what_if_total WHERE name = 'requeue'").fetchall())


def check_refusals(salvor, seed, place):
    def told(*arguments, code=2):
        return run(SALVOR, "replay", salvor.capture, *arguments, code=code).stderr
    bad = write(place, "bad.yaml", "policy:\n  on_running: stop\n  backoff: 1\n")
    problems = told("--policy", bad)
    check(f"{bad}:2: policy.on_running" in problems and f"{bad}:3: policy.backoff" in problems,
          problems)
    text = write(place, "bad.txt", "on_running=stop\nask_limit=x\n")
    problems = told("--policy", text)
    check("line 1" in problems and "line 2" in problems, problems)
    check("No such file" in told("--policy", os.path.join(place.folder, "none.txt")))
    check("not --audit with --policy" in told("--policy", seed, "--audit", salvor.audit))
    check("whole number" in told("--policy", seed, "--limit", "many"))
    missing = os.path.join(place.folder, "nowhere", "out.db")
    check("out.db" in told("--policy", seed, "--db", missing, code=3))


def test_another_policy_on_the_capture_of_an_incident():
    with Place() as place:
        salvor = incident(place)
        seed = write(place, "seed.yaml", "policy: {preset: seed}\n")
        check_against_itself(salvor, place)
        check_seed(salvor, seed)
        check_text(salvor, seed)
        check_tables(salvor, seed, place)
        check_refusals(salvor, seed, place)


if __name__ == "__main__":
    main(test_another_policy_on_the_capture_of_an_incident)
