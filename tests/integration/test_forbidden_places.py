#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Events and profiles of an enemy: ids that climb out of their folder, lines that would end a header,
URLs to where nobody has any business. Nothing is sent there."""
import os

from harness import SALVOR, Place, Redis, Salvor, check, check_equal, claim, main, run, submit, \
    wait_until
from services import Service, Trap
from test_service_faults import finish

STORED = """\
profile: {name}
volatile: {volatile}
status:
  - request: GET {status_url}
    rules:
      - '200 & /id = "{id}" & /state = "completed" => completed'
      - '200 & /id = "{id}" & /state = "running" => running'
      - '404 & /unknown = "{id}" => not_found'
cancel:
  - request: POST {cancel_url}
    rules:
      - 200 => accepted
"""

# Ids as a worker may tell them, and under which path each may be asked about, if at all.
IDS = {
    "climbs": ("../../admin", None),
    "climbs-deep": ("a/../../admin", None),
    "climbs-backwards": ("..\\..\\admin", None),
    "dot": ("..", None),
    "encoded": ("%2e%2e/admin", "/jobs/%252e%252e%2Fadmin"),
    "encoded-slash": ("%2e%2e%2fadmin", "/jobs/%252e%252e%252fadmin"),
    "query": ("x?all=true&delete", "/jobs/x%3Fall%3Dtrue%26delete"),
    "fragment": ("x#y", "/jobs/x%23y"),
    "host": ("@evil.example", "/jobs/%40evil.example"),
    "line-in-letters": ("x%0d%0aX-Injected:%20yes", "/jobs/x%250d%250aX-Injected%3A%2520yes"),
    "semicolon": ("x;jsessionid=1", "/jobs/x%3Bjsessionid%3D1"),
    "json": ('"}],"state":"completed', "/jobs/%22%7D%5D%2C%22state%22%3A%22completed"),
}


def test_an_id_stays_in_its_place():
    with Place() as place:
        redis = Redis(place)
        service = Service(place)
        salvor = Salvor(place, redis, {"services": service.config, "policy": {
            "ask_limit": 1, "on_unreachable": "park", "on_not_found": "park"}})
        salvor.wait_log("in_charge")
        for job, (id, _) in IDS.items():
            submit(redis, job)
            claim(redis, job, "w1")
            redis.xadd("job.handed_off", job=job, worker="w1", attempt=1, service="render",
                       service_job=id)
        redis.xadd("worker.lost", worker="w1")
        for job, (_, path) in IDS.items():
            decision = salvor.wait_decision(job, action="park")
            if path is None:
                check_equal("service_inconclusive", decision["reason"], job)
        check_equal(sorted(path for _, path in IDS.values() if path), sorted(service.asked))
        for _, _, headers, _ in service.requests:
            check("X-Injected" not in headers, headers)
        words = {fields["job"]: fields.get("word") for _, fields in redis.entries()
                 if fields["type"] == "service.answered"}
        check_equal({job: "bad_id" for job, (_, path) in IDS.items() if path is None},
                    {job: word for job, word in words.items() if IDS[job][1] is None})
        check_equal({}, redis.hash("jobs:completed"))
        check_equal([], redis.pending())
        finish(redis, salvor, service)


def test_what_would_end_a_line_is_quarantined_before_anybody_is_asked():
    with Place() as place:
        redis = Redis(place)
        service = Service(place, profile=STORED)
        salvor = Salvor(place, redis, {"services": service.config, "policy": {
            "ask_limit": 1, "on_unreachable": "park"}})
        salvor.wait_log("in_charge")
        lines = {
            "id": {"service_job": "x HTTP/1.1\r\nX-Injected: yes\r\n\r\nGET /y"},
            "id-nul": {"service_job": "x\0y"},
            "url": {"service_job": "x", "status_url": service.base + "/jobs/x\r\nX-Injected: yes"},
            "url-tab": {"service_job": "x", "status_url": service.base + "/jobs/x\ty"},
            "tag": {"service_job": "x", "tag": "a\nb"},
        }
        for job, fields in lines.items():
            submit(redis, job)
            claim(redis, job, "w1")
            redis.xadd("job.handed_off", job=job, worker="w1", attempt=1, service="render",
                       **fields)
        wait_until(lambda: len(salvor.query("SELECT reason FROM quarantine")) == len(lines),
                   "each is quarantined")
        # As jobs of which nobody told that they were handed off, they go back.
        redis.xadd("worker.lost", worker="w1")
        for job in lines:
            salvor.wait_decision(job, action="requeue", reason="worker_lost")
        salvor.wait_folded(redis)
        check_equal(0, service.connections)
        check_equal([], salvor.decisions(action="ask"))
        finish(redis, salvor, service)


def test_stored_urls_lead_to_allowed_hosts_alone():
    with Place() as place:
        redis = Redis(place)
        service, trap = Service(place, profile=STORED), Trap(place, "127.0.0.2")
        for name in ("fine", "user", "password"):
            service.states[f"of-{name}"] = "completed"
        at = f"127.0.0.1:{service.port}"
        urls = {  # each with the word that tells why it was not asked; None: it is asked
            "fine": (f"http://{at}/jobs/of-fine", None),
            "user": (f"http://anybody@{at}/jobs/of-user", "bad_url"),
            "password": (f"http://user:s3cr3t@{at}/jobs/of-password", "bad_url"),
            "other-host": (f"http://127.0.0.2:{trap.port}/jobs/x", "host_not_allowed"),
            "disguised": (f"http://127.0.0.1@127.0.0.2:{trap.port}/jobs/x", "bad_url"),
            "backslash": (f"http://127.0.0.2:{trap.port}\\@127.0.0.1/jobs/x", "bad_url"),
            "link-local": ("http://169.254.169.254/latest/meta-data/", "host_not_allowed"),
            "name": (f"http://localhost:{trap.port}/jobs/x", "host_not_allowed"),
            "decimal": (f"http://2130706434:{trap.port}/jobs/x", "host_not_allowed"),
            "six": (f"http://[::ffff:127.0.0.2]:{trap.port}/jobs/x", "host_not_allowed"),
            "file": ("file:///etc/passwd", "bad_url"),
            "gopher": (f"gopher://127.0.0.2:{trap.port}/_GET", "bad_url"),
            "ftp": (f"ftp://127.0.0.2:{trap.port}/x", "bad_url"),
            "relative": ("/jobs/of-relative", "bad_url"),
        }
        salvor = Salvor(place, redis, {"services": service.config, "policy": {
            "ask_limit": 1, "on_unreachable": "park"}})
        salvor.wait_log("in_charge")
        for job, (url, _) in urls.items():
            submit(redis, job)
            claim(redis, job, "w1")
            redis.xadd("job.handed_off", job=job, worker="w1", attempt=1, service="render",
                       service_job=f"of-{job}", status_url=url, cancel_url=url)
        redis.xadd("worker.lost", worker="w1")
        wait_until(lambda: redis.hash("job:fine")["status"] == "completed", "fine is completed")
        for job in urls:
            if job != "fine":
                salvor.wait_decision(job, action="park")
        words = {fields["job"]: fields.get("word") for _, fields in redis.entries()
                 if fields["type"] == "service.answered"}
        for job, (_, word) in urls.items():
            if word is not None:
                check_equal(word, words[job], job)
        check_equal(["/jobs/of-fine"], service.asked)
        check_equal(0, trap.visits)
        trap.visit()
        wait_until(lambda: trap.visits == 1, "the trap counts")
        check_equal(["fine"], list(redis.hash("jobs:completed")))
        finish(redis, salvor, service)


BAD_PROFILES = {
    "a line in the request": ("request: GET /jobs/{id}",
                              'request: "GET /jobs/x HTTP/1.1\\r\\nX-Injected: yes"'),
    "a header that moves the request": ("volatile: false",
                                        "volatile: false\nheaders: {Host: evil.example}"),
    "a header that brings another": ("volatile: false",
                                     'volatile: false\nheaders: {X-A: "a\\r\\nX-Injected: b"}'),
    "a header that ends the body": ("volatile: false",
                                    'volatile: false\nheaders: {Transfer-Encoding: chunked}'),
    "a whole URL": ("GET /jobs/{id}", "GET http://evil.example/jobs/{id}"),
    "a file": ("GET /jobs/{id}", "GET file:///etc/passwd"),
    "a variable that is none": ("GET /jobs/{id}", "GET /jobs/{file:/etc/passwd}"),
}


def test_a_profile_that_would_break_out_is_refused_at_the_start():
    with Place() as place:
        service = Service(place)
        with open(service.profile, encoding="utf-8") as file:
            good = file.read()
        config = os.path.join(place.folder, "salvor.yaml")
        for what, (part, other) in BAD_PROFILES.items():
            check(part in good, what)
            with open(service.profile, "w", encoding="utf-8") as file:
                file.write(good.replace(part, other))
            with open(config, "w", encoding="utf-8") as file:
                file.write(f"salvor: {{data: {place.folder}/data}}\n"
                           f"redis: {{url: '{place.missing_url()}'}}\n"
                           f"services: {{render: {{profile: {service.profile}, "
                           f"base: '{service.base}'}}}}\n")
            done = run(SALVOR, "run", "-c", config, code=2, deadline_s=10)
            check("render.yaml: line " in done.stderr and "allowed" in done.stderr, what,
                  done.stderr)
        check_equal(0, service.connections)


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
