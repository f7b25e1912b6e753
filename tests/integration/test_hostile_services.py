#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Services that lie, break off, change their minds or can not be trusted, one of each kind: no wrong
`completed`, the right verdict in the stream, an end in time, and nobody else waits."""
import gzip
import json
import os
import threading
import time
import zlib

from harness import Place, Redis, Salvor, check, check_equal, claim, main, submit, wait_until
from services import Authority, Service, Trap, reply
from test_rescue import Members
from test_service_faults import HEAD, drip, endless, finish, hang, hand_off, raw, says

QUESTION_MS = 5000  # from sending to the end
SLACK_MS = 1500     # two cores, and other tests beside this one

META_DATA = "http://169.254.169.254/latest/meta-data/"


def told(name, **fields):
    """What the service would say of a completed job."""
    return {"id": f"of-{name}", "state": "completed", "result": "wrong", **fields}


def bytes_of(name, **fields):
    return json.dumps(told(name, **fields)).encode()


def huge(handler):
    """Ten gigabytes are announced, and they come."""
    handler.wfile.write(HEAD + b"Content-Length: 10000000000\r\n\r\n" + b'{"id":"of-huge",')
    try:
        while True:
            handler.wfile.write(b" " * 65536)
    except OSError:
        pass
    handler.close_connection = True


def zipped(data):
    return raw(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(data) + data)


def bomb():
    """128 megabytes of blanks in as many kilobytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * (1 << 24)) for _ in range(8)) + packer.flush()


def redirect(place):
    return raw(b"HTTP/1.1 302 Found\r\nLocation: " + place.encode() +
               b"\r\nContent-Length: 0\r\n\r\n")


# Of each kind of fault: what is said of the job of that name, the verdict and the words that the
# stream may tell of it. Each is a service of its own: none of them opens another's breaker.
UNREACHABLE, INCONCLUSIVE = "unreachable", "inconclusive"
FAULTS = {
    "silent": (hang, UNREACHABLE, "timeout"),
    "hangs-after-headers": (raw(HEAD + b"Content-Length: 99\r\n\r\n", ends=False),
                            UNREACHABLE, "timeout"),
    "byte-by-byte": (drip, UNREACHABLE, "timeout"),
    "endless-chunks": (endless, INCONCLUSIVE, "too_large"),
    "huge": (huge, INCONCLUSIVE, "too_large"),
    "gzip-bomb": (zipped(bomb()), INCONCLUSIVE, "bad_json"),
    "gzip": (zipped(gzip.compress(bytes_of("gzip"))), INCONCLUSIVE, "bad_json"),
    "html": (says(200, b"<!doctype html><p>" + bytes_of("html"), "text/html"), INCONCLUSIVE,
             "html"),
    "cut-in-half": (says(200, bytes_of("cut-in-half")[:-9]), INCONCLUSIVE, "bad_json"),
    "duplicate-keys": (says(200, b'{"id":"of-duplicate-keys","state":"failed",'
                                 b'"state":"completed"}'), INCONCLUSIVE, "bad_json"),
    "not-a-number": (says(200, bytes_of("not-a-number", load=float("nan"))), INCONCLUSIVE,
                     "bad_json"),
    "deep": (says(200, bytes_of("deep", deep=0).replace(b'"deep": 0', b'"deep": ' + b"[" * 1000 +
                                                        b"]" * 1000)), INCONCLUSIVE, "bad_json"),
    "another-job": (says(200, told("somebody")), INCONCLUSIVE, "unmapped"),
    "to-a-file": (redirect("file:///etc/passwd"), INCONCLUSIVE, "redirect"),
    "to-the-cloud": (redirect(META_DATA), INCONCLUSIVE, "redirect"),
    "never-resolves": (None, UNREACHABLE, "no_such_host timeout"),
    "expired": (None, UNREACHABLE, "tls"),
    "untrusted": (None, UNREACHABLE, "tls"),
}
COMPLETIONS = {
    "trusted": says(200, told("trusted")),
    "without-a-result": says(200, {"id": "of-without-a-result", "state": "completed"}),
}


def hostile_service(place, name, authority):
    if name == "expired" or name == "trusted":
        days = -1 if name == "expired" else 2
        return Service(place, name, tls=authority.context(name, days), ca_file=authority.file)
    if name == "untrusted":
        return Service(place, name, tls=authority.context(name, 2))
    return Service(place, name)


def answers_of(redis):
    return {fields["job"]: fields for _, fields in redis.entries()
            if fields["type"] == "service.answered"}


def hold_many(redis, services):
    for name, service in services.items():
        hand_off(redis, name, service, worker=f"w-{name}")


def test_no_kind_of_fault_is_taken_for_a_completion_and_nobody_else_waits_for_it():
    with Place() as place:
        redis = Redis(place)
        authority, trap = Authority(place), Trap(place)
        services = {name: hostile_service(place, name, authority)
                    for name in [*FAULTS, *COMPLETIONS, "to-another-port"]}
        for name, (answer, _, _) in FAULTS.items():
            services[name].states[f"of-{name}"] = answer or "completed"
        for name, answer in COMPLETIONS.items():
            services[name].states[f"of-{name}"] = answer
        services["to-another-port"].states["of-to-another-port"] = redirect(
            f"http://127.0.0.1:{trap.port}/jobs/of-to-another-port")
        faults = {**FAULTS, "to-another-port": (None, INCONCLUSIVE, "redirect")}
        configured = {name: part for service in services.values()
                      for name, part in service.config.items()}
        configured["never-resolves"]["base"] = "http://nobody.invalid:8188"
        salvor = Salvor(place, redis, {"services": configured,
                                       "policy": {"ask_limit": 1, "on_unreachable": "park"}})
        salvor.wait_log("in_charge")
        hold_many(redis, services)
        held = {name: redis.hash(f"job:{name}") for name in faults}
        for name in services:
            redis.xadd("worker.lost", worker=f"w-{name}")

        # Other workers' events are folded while questions are open.
        wait_until(lambda: services["silent"].asked, "the silent service is asked")
        for number in range(200):
            redis.xadd("worker.heartbeat", worker=f"other{number % 10}")
        submit(redis, "other")
        claim(redis, "other", "other1")
        redis.xadd("worker.lost", worker="other1")
        salvor.wait_decision("other", action="wait", reason="worker_lost")
        check("silent" not in answers_of(redis), "it was decided while a question was open")

        wait_until(lambda: len(answers_of(redis)) == len(services),
                   lambda: f"answers of {set(services) - set(answers_of(redis))}")
        salvor.wait_folded(redis)
        answers = answers_of(redis)
        given = {name: (answer["verdict"], answer.get("word")) for name, answer in answers.items()}
        for name, (_, verdict, words) in faults.items():
            check_equal(verdict, given[name][0], name, given[name])
            check(given[name][1] in words.split(), name, given[name], words)
            took = int(answers[name]["latency_ms"])
            check(took < QUESTION_MS + SLACK_MS, name, "took", took, "ms")
            check_equal([("ask", "worker_lost"), ("park", "service_" + verdict)],
                        [(row["action"], row["reason"]) for row in salvor.decisions(name)
                         if row["action"] != "release"], name)
            check_equal(held[name], redis.hash(f"job:{name}"), name)
        for name in set(FAULTS) - {"never-resolves", "expired", "untrusted"}:
            check_equal([f"/jobs/of-{name}"], services[name].asked, "the fault happened")
        for name in ("expired", "untrusted"):
            check(services[name].connections > 0, name, "was connected to")
            check_equal([], services[name].asked, name, "was asked nothing")
        check_equal(0, trap.visits)
        trap.visit()
        wait_until(lambda: trap.visits == 1, "the trap counts")

        # A proved completion is one, with a result or without.
        for name in COMPLETIONS:
            wait_until(lambda: redis.hash(f"job:{name}")["status"] == "completed", name)
        check("result_lost" in answers["without-a-result"].get("flags", ""),
              answers["without-a-result"])
        check_equal(set(COMPLETIONS), set(redis.hash("jobs:completed")))
        wait_until(lambda: redis.pending() == ["other"], "only the other job is in the queue")
        finish(redis, salvor, *services.values())


# --- services that change their minds ---

class Turning(Service):
    """Says one thing after another; the last one for ever."""

    def __init__(self, place, name, *says_next, **options):
        super().__init__(place, name, **options)
        self.says_next = list(says_next)

    def answer(self, handler, job):
        state = self.says_next.pop(0) if len(self.says_next) > 1 else self.says_next[0]
        if isinstance(state, int):
            reply(handler, state, {"id": job, "state": "completed"})
        else:
            reply(handler, 200, {"id": job, "state": state})


class Quick(Service):
    """Has completed the job a millisecond after it said that it was running."""

    def answer(self, handler, job):
        if job in self.states:
            super().answer(handler, job)
            return
        reply(handler, 200, {"id": job, "state": "running"})
        threading.Event().wait(0.001)
        self.states[job] = "completed"


def steps(salvor, job):
    return [(row["action"], row["reason"]) for row in salvor.decisions(job)
            if row["action"] != "release"]


def verdicts(redis, job):
    return [fields["verdict"] for _, fields in redis.entries()
            if fields["type"] == "service.answered" and fields["job"] == job]


def test_what_completes_right_after_it_was_running_is_completed_and_what_flaps_never_is():
    with Place() as place:
        redis = Redis(place)
        quick = Quick(place, "quick")
        flaps = Turning(place, "flaps", "running", "completed?", 500, "running", "COMPLETED", 503,
                        "running", answer_ttl_ms=0)
        services = {**quick.config, **flaps.config}
        salvor = Salvor(place, redis, {"services": services, "policy": {
            "ask_backoff_ms": 10, "backoff_max_ms": 50, "ask_limit": 9, "on_unreachable": "park"}})
        salvor.wait_log("in_charge")
        hand_off(redis, "quick", quick)
        submit(redis, "flaps")
        claim(redis, "flaps", "w2", timeout_ms=2500)
        redis.xadd("job.handed_off", job="flaps", worker="w2", attempt=1, service="flaps",
                   service_job="of-flaps")
        members = Members(redis)
        redis.xadd("worker.lost", worker="w1")
        redis.xadd("worker.lost", worker="w2")
        wait_until(lambda: redis.hash("job:quick")["status"] == "completed", "quick is completed")
        wait_until(lambda: redis.hash("job:flaps")["status"] == "timeout", "flaps is timed out")
        salvor.wait_folded(redis)
        # A mark behind everything: what came before it was heard too.
        redis.call("ZADD", "mark", 1, "end")
        wait_until(lambda: ("zadd", "mark") in members.heard, "the mark is heard")
        check_equal([("zadd", "mark")], members.heard, "nothing came into the queue again")
        members.close()
        # What it said first serves further questions for a while, as an answer that is not final.
        check_equal(2, quick.questions("of-quick"))
        heard = verdicts(redis, "quick")
        check_equal((["running"] * (len(heard) - 1), ["completed"]), (heard[:-1], heard[-1:]))
        check_equal([("ask", "worker_lost"), ("wait", "service_running"),
                     ("ask", "service_running")], steps(salvor, "quick")[:3])
        check_equal(("complete", "service_completed"), steps(salvor, "quick")[-1])
        heard = verdicts(redis, "flaps")
        check_equal(["running", "inconclusive", "inconclusive", "running", "inconclusive",
                     "unreachable"], heard[:6])
        check("completed" not in heard, heard)
        check_equal([], salvor.decisions("flaps", action="complete"))
        check_equal([], salvor.decisions(action="requeue"))
        finish(redis, salvor, quick, flaps)


REUSED = """\
profile: {name}
volatile: true
ids: reused
status:
  - request: GET /jobs/{id}
    identity: '/tag = "{tag}"'
    rules:
      - '200 & /state = "completed" => completed'
      - '200 & /state = "running" => running'
      - '404 & /unknown = "{id}" => not_found'
"""


class Recycling(Service):
    """Counts its jobs from 1, and from 1 again after a restart."""

    def __init__(self, place):
        self.tags = []
        super().__init__(place, "recycling", profile=REUSED)

    def submit(self, tag):
        self.tags.append(tag)
        return str(len(self.tags))

    def answer(self, handler, job):
        if int(job) > len(self.tags):
            reply(handler, 404, {"unknown": job})
        else:
            reply(handler, 200, {"id": job, "tag": self.tags[int(job) - 1], "state": "completed"})


def test_an_id_that_came_back_as_another_job_completes_nothing():
    with Place() as place:
        redis = Redis(place)
        service = Recycling(place)
        salvor = Salvor(place, redis, {"services": service.config,
                                       "policy": {"ask_backoff_ms": 10}})
        salvor.wait_log("in_charge")
        for number in range(3):
            submit(redis, f"j{number}")
            claim(redis, f"j{number}", "w1")
            redis.xadd("job.handed_off", job=f"j{number}", worker="w1", attempt=1,
                       service="recycling", service_job=service.submit(f"tag-{number}"),
                       tag=f"tag-{number}")
        # The first job's id stays its own; the second one's is somebody else's after the restart,
        # the third one's has not come back yet.
        service.kill()
        service.tags = ["tag-0", "tag-of-somebody"]
        service.start()
        redis.xadd("worker.lost", worker="w1")
        wait_until(lambda: redis.hash("job:j0")["status"] == "completed", "j0 is completed")
        salvor.wait_decision("j1", action="park", reason="service_forgot")
        salvor.wait_decision("j2", action="park", reason="service_forgot")
        check_equal(["not_found"], verdicts(redis, "j1"))
        check_equal("id_reused", answers_of(redis)["j1"].get("word"))
        check_equal(["not_found"], verdicts(redis, "j2"))
        check_equal(["j0"], list(redis.hash("jobs:completed")))
        check_equal("in_progress", redis.hash("job:j1")["status"])
        finish(redis, salvor, service)


# --- a resolver that never answers ---

# In a network and a mount namespace of its own: the resolver is a socket that nobody reads. What the
# program needs besides is a unix socket, which reaches across.
NEVER_RESOLVES = """
import fcntl, os, socket, struct, subprocess, sys
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x49))
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.bind(("127.0.0.1", 53))
os.set_inheritable(resolver.fileno(), True)
with open(sys.argv[1], "w") as file:
    file.write("nameserver 127.0.0.1\\n")
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/resolv.conf"], check=True)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def test_a_resolver_that_never_answers_keeps_neither_the_question_nor_the_stop():
    if os.system("unshare -rmn true 2>/dev/null") != 0:
        print("skip  a resolver that never answers: no namespaces here")
        return
    with Place() as place:
        redis = Redis(place)
        service = Service(place)
        configured = {"render": {**service.config["render"], "base": "http://render.example:8188"}}
        salvor = Salvor(place, redis,
                        {"services": configured,
                         "policy": {"ask_limit": 1, "on_unreachable": "park"}},
                        wrapper=("unshare", "-rmn", "python3", "-c", NEVER_RESOLVES,
                                 os.path.join(place.folder, "resolv.conf")))
        salvor.wait_log("in_charge")
        hand_off(redis, "j1", service)
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_decision("j1", action="park", reason="service_unreachable")
        answer = answers_of(redis)["j1"]
        check_equal("timeout", answer["word"])
        took = int(answer["latency_ms"])
        check(took < QUESTION_MS + SLACK_MS, took)
        redis.xadd("worker.registered", worker="w2")
        hand_off(redis, "j2", service, worker="w2")
        redis.xadd("worker.lost", worker="w2")
        wait_until(lambda: salvor.query("SELECT 1 FROM effect WHERE kind = 'ask' AND outcome = ''"),
                   "the second question is open")
        began = time.monotonic()
        check_equal(0, salvor.stop())
        check(time.monotonic() - began < 4, "the stop waits for no resolver")
        finish(redis, salvor, service)


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
