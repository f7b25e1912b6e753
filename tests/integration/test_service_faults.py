#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Services that hang, drip, lie or talk rubbish: never a wrong `completed`, an end within the
promised time, and nobody else's jobs wait for it."""
import json
import os
import socket

from harness import (SALVOR, Place, Redis, Salvor, check, check_equal, claim, main, prove, run,
                     submit, wait_until)
from services import Comfy, Service, reply

QUESTION_MS = 5000  # from sending to the end
ASK_LIMIT = 2


def raw(data, ends=True):
    """Sends these bytes as the whole answer."""
    def answer(handler):
        handler.wfile.write(data)
        handler.wfile.flush()
        handler.close_connection = True
        if not ends:
            handler.server.service.is_closing.wait(30)
    return answer


def hang(handler):
    handler.server.service.is_closing.wait(30)
    handler.close_connection = True


def drip(handler):
    """One byte now and then: no single pause is long, the whole never ends."""
    service = handler.server.service
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        b"Content-Length: 1000\r\n\r\n{\"id\":")
    while not service.is_closing.wait(0.3):
        try:
            handler.wfile.write(b" ")
        except OSError:
            break
    handler.close_connection = True


def endless(handler):
    """More than anybody wants to hold, in chunks."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    try:
        for _ in range(2000):
            handler.wfile.write(chunk)
    except OSError:
        pass
    handler.close_connection = True


def closes(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def says(status, body, kind="application/json"):
    return lambda handler: reply(handler, status, body, kind)


def completed(job):
    return json.dumps({"id": job, "state": "completed", "result": "wrong"}).encode()


PAGE = b"<!doctype html><title>200 OK</title><p>{\"state\": \"completed\"}"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

# What is said of the job of that name; the service knows it as of-NAME.
FAULTS = {
    "hangs": hang,
    "hangs-after-the-head": raw(HEAD + b"Content-Length: 99\r\n\r\n", ends=False),
    "drips": drip,
    "endless": endless,
    "closes-at-once": closes,
    "closes-in-the-head": raw(b"HTTP/1.1 200 OK\r\nContent-Ty"),
    "closes-in-the-body": raw(HEAD + b"Content-Length: 500\r\n\r\n" +
                              completed("of-closes-in-the-body")),
    "is-not-http": raw(b"+PONG\r\n"),
    "html": says(200, PAGE, "text/html"),
    "html-as-json": says(200, PAGE),
    "error-500": says(500, completed("of-error-500")),
    "error-503": says(503, {"state": "busy"}),
    "bare-404": says(404, b"", "text/plain"),
    "unauthorized": says(401, completed("of-unauthorized")),
    "redirects": lambda handler: raw(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n"
                                     b"Content-Length: 0\r\n\r\n")(handler),
    "empty-object": says(200, {}),
    "empty": says(200, b""),
    "another-job": says(200, completed("of-somebody")),
    "a-list": says(200, b"[" + completed("of-a-list") + b"]"),
    "half-json": says(200, completed("of-half-json")[:-4]),
    "two-values": says(200, completed("of-two-values") + b" {}"),
    "not-utf-8": says(200, b'{"id":"of-not-utf-8","state":"completed","result":"\xff\xfe"}'),
    "deep": says(200, b'{"id":"of-deep","state":"completed","x":' + b"[" * 5000 + b"]" * 5000 +
                 b"}"),
    "id-twice": says(200, b'{"id":"of-somebody","id":"of-id-twice","state":"failed",'
                     b'"state":"completed"}'),
    "id-as-number": says(200, b'{"id":7,"state":"completed"}'),
    "state-in-the-wrong-place": says(200, {"job": {"id": "of-state-in-the-wrong-place",
                                                   "state": "completed"}}),
    "other-case": says(200, {"id": "of-other-case", "state": "COMPLETED"}),
}
FINE = [f"fine{i}" for i in range(5)]
MAY_TAKE_MS = ASK_LIMIT * QUESTION_MS + 1000


def hand_off(redis, job, service, worker="w1"):
    submit(redis, job)
    claim(redis, job, worker)
    redis.xadd("job.handed_off", job=job, worker=worker, attempt=1, service=service.name,
               service_job=f"of-{job}")


def config(*services):
    return {"policy": {"backoff_ms": 0, "ask_backoff_ms": 10, "ask_limit": ASK_LIMIT,
                       "on_unreachable": "park"},
            "services": {name: part for service in services
                         for name, part in service.config.items()}}


def is_decided(salvor, jobs, actions=("park", "complete", "requeue", "fail")):
    done = {row["job"]: row for row in salvor.decisions() if row["action"] in actions}
    return all(job in done for job in jobs) and done


def finish(redis, salvor, *services):
    check_equal(0, salvor.stop())
    redis.stop()
    for service in services:
        service.kill()
    prove(salvor)


def test_no_fault_of_a_service_is_taken_for_a_completion_and_each_ends_in_time():
    with Place() as place:
        redis = Redis(place)
        bad, good = Service(place, "bad"), Service(place, "good")
        bad.server.service = bad
        bad.states.update({f"of-{name}": fault for name, fault in FAULTS.items()})
        good.states.update({f"of-{name}": "completed" for name in FINE})
        salvor = Salvor(place, redis, config(bad, good))
        salvor.wait_log("in_charge")
        for name in FAULTS:
            hand_off(redis, name, bad)
        for name in FINE:
            hand_off(redis, name, good)
        held = {name: redis.hash(f"job:{name}") for name in FAULTS}
        redis.xadd("worker.lost", worker="w1")
        decided = wait_until(lambda: is_decided(salvor, [*FAULTS, *FINE]),
                             lambda: "all are decided but " + ", ".join(
                                 set([*FAULTS, *FINE]) -
                                 {row["job"] for row in salvor.decisions()
                                  if row["action"] in ("park", "complete")}), 30)
        asked = {row["job"]: row["at_ms"] for row in salvor.decisions(action="ask",
                                                                     reason="worker_lost")}
        for name in FINE:
            check_equal("service_completed", decided[name]["reason"])
            wait_until(lambda: redis.hash(f"job:{name}")["status"] == "completed", name)
            took = decided[name]["at_ms"] - asked[name]
            check(took < QUESTION_MS, "the other service's jobs do not wait", name, took)
        for name in FAULTS:
            check_equal("park", decided[name]["action"], name)
            check(decided[name]["reason"] in ("service_inconclusive", "service_unreachable"),
                  name, decided[name])
            check_equal(held[name], redis.hash(f"job:{name}"))
            # A few wait until one of the sixteen places at that host is free.
            took = decided[name]["at_ms"] - asked[name]
            check(took < 2 * MAY_TAKE_MS, name, "took", took, "ms")
        check_equal([], redis.pending())
        kept = redis.hash("jobs:completed")
        check_equal({name: f"s3://results/of-{name}.png" for name in FINE},
                    {name: json.loads(text)["data"] for name, text in kept.items()})
        finish(redis, salvor, bad, good)


def test_a_hanging_service_is_given_up_within_the_promised_time():
    with Place() as place:
        redis = Redis(place)
        service = Service(place)
        service.server.service = service
        service.states["of-j1"] = hang
        salvor = Salvor(place, redis, config(service))
        salvor.wait_log("in_charge")
        hand_off(redis, "j1", service)
        redis.xadd("worker.lost", worker="w1")
        parked = salvor.wait_decision("j1", action="park", reason="service_unreachable",
                                      deadline_s=30)
        took = parked["at_ms"] - salvor.decisions("j1", action="ask")[0]["at_ms"]
        check(QUESTION_MS < took < MAY_TAKE_MS, took)
        answers = [int(fields["latency_ms"]) for _, fields in redis.entries()
                   if fields["type"] == "service.answered"]
        check_equal(ASK_LIMIT, len(answers))
        check(all(latency < QUESTION_MS + 500 for latency in answers), answers)
        finish(redis, salvor, service)


def test_a_stop_does_not_wait_for_a_hanging_service_and_the_question_is_asked_again():
    with Place() as place:
        redis = Redis(place)
        service = Service(place)
        service.server.service = service
        service.states["of-j1"] = hang
        salvor = Salvor(place, redis, config(service))
        salvor.wait_log("in_charge")
        hand_off(redis, "j1", service)
        redis.xadd("worker.lost", worker="w1")
        wait_until(lambda: service.questions("of-j1") == 1, "the service is asked")
        check_equal(0, salvor.stop())
        check_equal([{"outcome": ""}], salvor.query("SELECT outcome FROM effect "
                                                    "WHERE kind = 'ask'"))
        service.states["of-j1"] = "completed"
        salvor.start()
        wait_until(lambda: redis.hash("job:j1")["status"] == "completed", "j1 is completed")
        check_equal(2, service.questions("of-j1"))
        check_equal(1, len(salvor.decisions("j1", action="ask")), "the same question")
        finish(redis, salvor, service)


def test_comfyui_answers_that_lie_or_forget_are_not_completions():
    with Place() as place:
        redis = Redis(place)
        comfy = Comfy(place)

        def history(job, status, outputs):
            return says(200, {job: {"outputs": outputs, "status": status}})

        fine = {"status_str": "success", "completed": True}
        entries = {
            "no-messages": history("of-no-messages", {**fine, "messages": []}, {"9": {}}),
            "success-flag-and-error": history(
                "of-success-flag-and-error",
                {**fine, "messages": [["execution_error", {}]]}, {}),
            "another-prompt": history("of-somebody", {**fine, "messages": [
                ["execution_success", {}]]}, {"9": {}}),
        }
        original = comfy.answer

        def answer(handler, job):
            fault = entries.get(job.removeprefix("of-"))
            fault(handler) if fault else original(handler, job)
        comfy.answer = answer
        salvor = Salvor(place, redis, config(comfy))
        salvor.wait_log("in_charge")
        for name in [*entries, "forgotten"]:
            hand_off(redis, name, comfy)
        redis.xadd("worker.lost", worker="w1")
        decided = wait_until(lambda: is_decided(salvor, [*entries, "forgotten"]), "all are decided")
        check_equal({"no-messages": ("park", "service_inconclusive"),
                     "success-flag-and-error": ("requeue", "service_failed"),
                     "another-prompt": ("park", "service_inconclusive"),
                     "forgotten": ("park", "service_forgot")},
                    {job: (row["action"], row["reason"]) for job, row in decided.items()})
        check_equal({}, redis.hash("jobs:completed"))
        finish(redis, salvor, comfy)


def test_only_allowed_places_are_asked():
    with Place() as place:
        redis = Redis(place)
        service, other = Service(place), Service(place, "other")
        other.states["of-j1"] = "completed"
        salvor = Salvor(place, redis, {**config(service), "services": {"render": {
            **service.config["render"], "base": "http://127.0.0.2:1"}}})
        salvor.wait_log("in_charge")
        # The worker says where its service is; nobody allowed that host.
        redis.xadd("worker.registered", worker="w1", services=f"render={other.base}")
        hand_off(redis, "j1", service)
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_decision("j1", action="park")
        check_equal([], other.asked)
        finish(redis, salvor, service, other)


def test_a_replay_asks_nobody():
    with Place() as place:
        redis = Redis(place)
        service = Service(place)
        service.states["of-j1"] = "completed"
        salvor = Salvor(place, redis, config(service))
        salvor.wait_log("in_charge")
        hand_off(redis, "j1", service)
        redis.xadd("worker.lost", worker="w1")
        wait_until(lambda: redis.hash("job:j1")["status"] == "completed", "j1 is completed")
        check_equal(0, salvor.stop())
        asked = len(service.asked)
        prove(salvor)
        check_equal(asked, len(service.asked))
        # A replay for which the kernel has no network at all, where the machine allows that.
        if os.system("unshare -rn true 2>/dev/null") == 0:
            run("unshare", "-rn", SALVOR, "replay", salvor.capture, "--audit", salvor.audit)


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
