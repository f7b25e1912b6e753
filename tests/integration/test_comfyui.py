#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Jobs that overrun their time at a ComfyUI, by either of its interfaces: what waits and what runs
there is stopped, and nobody else's job is."""
import contextlib
import json

from harness import check, check_equal, claim, main, rescue, submit, wait_until
from test_mass_loss import FAILURES, ComfyService

# What waits goes first: it would begin to run as soon as the place is free.
TIMEOUT_MS = {"runs": 1500, "waits": 300}


@contextlib.contextmanager
def overrun(has_jobs, **settings):
    """Two jobs of ours: `runs` runs in the only place there, `waits` behind it. Both have overrun
    their time here when it goes on; the audit's word on each cancel comes with it."""
    service = None

    def config(place):
        nonlocal service
        service = ComfyService(place, "--slots", "1")
        service.ask("POST", "/control/set", {"jobs": has_jobs})
        return {"queue": FAILURES, "services": {"comfyui": {**service.config["comfyui"],
                                                            **settings}}}

    with rescue(config) as (_, redis, salvor):
        for job in ("runs", "waits"):
            service.ask("POST", "/prompt", {"prompt": {"duration_ms": 600000}, "prompt_id": job})
            submit(redis, job)
            claim(redis, job, f"w-{job}", timeout_ms=TIMEOUT_MS[job])
            redis.xadd("job.handed_off", job=job, worker=f"w-{job}", attempt=1, service="comfyui",
                       service_job=job)
        check_equal(["runs"], [entry[1] for entry in queue(service)["queue_running"]])
        wait_until(lambda: {redis.hash(f"job:{job}")["status"] for job in ("runs", "waits")} ==
                   {"timeout"}, "both are timed out")
        check_equal([], redis.pending())
        cancels = {row["job"]: json.loads(row["evidence"])["cancel"]
                   for row in salvor.decisions(action="time_out")}
        asked = [(request["method"], request["path"])
                 for request in service.ask("GET", "/control/journal")]
        yield service, cancels, asked


def queue(service):
    return service.ask("GET", "/queue")


def test_what_runs_and_what_waits_is_cancelled_by_its_id():
    with overrun(has_jobs=True) as (service, cancels, asked):
        check_equal({"runs": "confirmed", "waits": "confirmed"}, cancels)
        check_equal("cancelled", service.ask("GET", "/api/jobs/runs")["status"])
        check_equal({"queue_running": [], "queue_pending": []}, queue(service))
        check(("POST", "/api/jobs/runs/cancel") in asked, asked)
        check(("POST", "/interrupt") not in asked, asked)


def test_an_older_build_that_is_ours_alone_is_interrupted():
    with overrun(has_jobs=False, exclusive=True) as (service, cancels, asked):
        check_equal({"runs": "confirmed", "waits": "confirmed"}, cancels)
        messages = service.ask("GET", "/history/runs")["runs"]["status"]["messages"]
        check_equal("execution_interrupted", messages[-1][0])
        check_equal({"queue_running": [], "queue_pending": []}, queue(service))


def test_an_older_build_that_others_use_too_is_not_interrupted():
    with overrun(has_jobs=False) as (service, cancels, asked):
        check_equal({"runs": "unsupported", "waits": "confirmed"}, cancels)
        check_equal(["runs"], [entry[1] for entry in queue(service)["queue_running"]])
        check_equal([], queue(service)["queue_pending"])
        check(("POST", "/interrupt") not in asked, asked)


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
