#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every row of the policy in which an outside service has a word, under both presets."""
from harness import check, check_equal, main
from rows import Row, completed, lost, ordered, play, restarted, same, silent, stays, stopped
from services import Service, reply

# How the services of the rows can be asked. `completed` of the one that forgets is proved by the id.
STATUS = """\
status:
  - request: GET /jobs/{id}
    rules:
      - '200 & /id = "{id}" & /state = "completed" => completed'
      - '200 & /id = "{id}" & /state = "failed" => failed'
      - '200 & /id = "{id}" & /state = "cancelled" => cancelled'
      - '200 & /id = "{id}" & /state = "pending" => pending'
      - '200 & /id = "{id}" & /state = "running" => running'
      - '410 & /unknown = "{id}" => not_found expired'
      - '404 & /unknown = "{id}" => not_found'
"""
CANCEL = """\
cancel:
  - request: POST /jobs/{id}/cancel
    rules:
      - '200 & /will = "stop" => accepted'
      - '200 & /will = "nothing: it has ended" => already_final'
      - '403 => refused'
"""
REST = "result: /result\nword: /state\n"


def profile(is_volatile=False, cancel=CANCEL, head=""):
    return (f"profile: {{name}}\nvolatile: {str(is_volatile).lower()}\n{head}" + STATUS + cancel +
            REST)


class Farm(Service):
    """`states` may hold a list: what it says one after another, the last for ever. `cancels` holds
    what becomes of a cancel: the state it leads to, or a function."""

    def answer(self, handler, job):
        if handler.command == "POST":
            self.cancel(handler, handler.path.split("/")[2])
            return
        state = self.states.get(job)
        if isinstance(state, list):
            self.states[job] = state[1:] if len(state) > 1 else state
            state = state[0]
            reply(handler, 200, {"id": job, "state": state, "result": "made"})
        elif state == "expired":
            reply(handler, 410, {"unknown": job})
        else:
            super().answer(handler, job)

    def cancel(self, handler, job):
        cancels[job.removeprefix("of-")](self, handler, job)  # of no other is one asked for


def stops(service, handler, job):
    service.states[job] = "cancelled"
    reply(handler, 200, {"will": "stop"})


def stops_later(service, handler, job):
    """Asked again meanwhile, it goes on stopping."""
    if service.states[job] == "running":
        service.states[job] = ["running", "running", "cancelled"]
    reply(handler, 200, {"will": "stop"})


def never_stops(service, handler, job):
    reply(handler, 200, {"will": "stop"})


def ends_meanwhile(service, handler, job):
    service.states[job] = "completed"
    reply(handler, 200, {"will": "stop"})


def has_ended(service, handler, job):
    service.states[job] = "completed"
    reply(handler, 200, {"will": "nothing: it has ended"})


def refuses(service, handler, job):
    reply(handler, 403, {"error": "not yours"})


def shows_a_page(service, handler, job):
    reply(handler, 200, b"<!doctype html>{\"will\": \"stop\"}", "text/html")


def says_nothing(service, handler, job):
    service.is_closing.wait(30)
    handler.close_connection = True


cancels = {
    "deadline-cancelled": stops,
    "deadline-cancelled-later": stops_later,
    "deadline-never-stops": never_stops,
    "deadline-refused": refuses,
    "deadline-already-final": has_ended,
    "deadline-completed-meanwhile": ends_meanwhile,
    "deadline-unanswered": says_nothing,
    "deadline-page": shows_a_page,
    "deadline-exclusive": stops,
    "deadline-retried": stops,
    "deadline-late-completion": stops,
    "waited-till-the-deadline": stops,
    "running-cancelled": stops,
    "running-cancel-refused": refuses,
    "running-cancel-too-late": has_ended,
    "operator-cancels": stops,
}


def services(place):
    made = [
        Farm(place, "farm", profile=profile()),
        Farm(place, "forgets", profile=profile(is_volatile=True)),
        Farm(place, "retains", profile=profile(head="retention_ms: 1\n")),
        Farm(place, "cannot-cancel", profile=profile(cancel="")),
        # Its cancel hits whatever runs there.
        Farm(place, "shared", profile=profile(cancel=CANCEL + "    scope: global\n")),
        Farm(place, "exclusive", profile=profile(cancel=CANCEL + "    scope: global\n"),
             exclusive=True),
        Farm(place, "down", profile=profile()),
        # The same again, each with a policy of its own.
        Farm(place, "cancels", profile=profile()),
        Farm(place, "retries", profile=profile()),
        Farm(place, "parks", profile=profile()),
        Farm(place, "unchecked", profile=profile()),
        Farm(place, "observed", profile=profile()),
    ]
    named = {service.name: service for service in made}
    named["down"].kill()
    return named


POLICY = {"services": {
    "cancels": {"on_running": "cancel"},
    "retries": {"on_timeout": "retry"},
    "parks": {"on_not_found": "park", "on_unreachable": "park"},
    "unchecked": {"service_check_percent": 0},
    "observed": {"effects": "observe"},
}}

COMPLETED = same("complete", "service_completed", "completed")
TIMED_OUT = same("time_out", "deadline_passed", "timeout")
SHORT = {"timeout_ms": 600}
DUPLICATE = {"possible_duplicate": 1}


def row(name, says, wanted, went=lost, service="farm", **options):
    return Row(name, wanted["safe"], wanted["seed"], went, service=service, says=says, **options)


def either(safe, seed):
    return {"safe": safe, "seed": seed}


def requeued(reason):
    return ("requeue", reason, "pending")


def parked(reason):
    return ("park", reason, "in_progress")


def cancelled_and_lost(stage, row):
    stage.redis.call("HSET", f"job:{row.name}", "status", "cancelled")
    lost(stage, row)


ROWS = [
    # Who is gone is asked about first, whatever tells of it.
    row("silent", "completed", COMPLETED, silent),
    row("stopped", "completed", COMPLETED, stopped),
    row("lost", "completed", COMPLETED, lost),
    row("restarted", "completed", COMPLETED, restarted, held={"incarnation": 1}),
    row("unchecked", "completed", same(*requeued("worker_lost")), service="unchecked"),

    # What ended there.
    row("failed", "failed", same(*requeued("service_failed")),
        evidence={"failures": 1, "losses": 0}),
    row("cancelled", "cancelled", same(*requeued("service_cancelled")),
        evidence={"failures": 0, "losses": 1}),
    row("failed-for-good", "failed", same("fail", "retries_exhausted", "failed"),
        held={"max_retries": 0}),

    row("cancelled-in-the-queue", "completed", same("wait", "adopted", "cancelled"),
        cancelled_and_lost),

    # What is still going on there.
    row("running", ["running", "running", "completed"],
        either(("complete", "service_completed", "completed"), requeued("service_running")),
        evidence={"safe": {}, "seed": DUPLICATE}),
    row("pending", ["pending", "running", "completed"],
        either(("complete", "service_completed", "completed"), requeued("service_pending")),
        evidence={"safe": {}, "seed": DUPLICATE}),
    row("waited-till-the-deadline", "running",
        either(("time_out", "deadline_passed", "timeout"), requeued("service_running")),
        held=SHORT, evidence={"safe": {"cancel": "confirmed"}, "seed": DUPLICATE}),
    row("running-cancelled", "running", same(*requeued("service_cancelled")), service="cancels",
        evidence={"safe": {"possible_duplicate": None},
                  "seed": {"cancel": "confirmed", "possible_duplicate": None}}),
    row("running-cancel-refused", "running", same(*requeued("service_running")), service="cancels",
        evidence=DUPLICATE),
    row("running-cancel-too-late", "running", COMPLETED, service="cancels"),

    # What is not known there, or no longer.
    row("not-found", None, same(*requeued("service_not_found"))),
    row("not-found-parks", None, same(*parked("service_not_found")), service="parks"),
    row("forgotten", None, either(parked("service_forgot"), requeued("service_forgot")),
        service="forgets"),
    row("forgotten-idempotent", None, same(*requeued("service_forgot")), service="forgets",
        held={"idempotent": "true"}),
    row("expired", "expired", either(parked("service_forgot"), requeued("service_forgot"))),
    row("past-retention", None, either(parked("service_forgot"), requeued("service_forgot")),
        service="retains"),

    # What can not be found out: asked three times under safe, once under seed.
    row("inconclusive", "thinking", same(*requeued("service_inconclusive")),
        evidence=DUPLICATE),
    row("inconclusive-parks", "thinking", same(*parked("service_inconclusive")), service="parks",
        evidence={"safe": {"asks": 3}, "seed": {"asks": 1}}),
    row("unreachable", None, same(*requeued("service_unreachable")), service="down",
        evidence=DUPLICATE),
    row("no-profile", None, same(*requeued("no_profile")), service="nobodys", evidence=DUPLICATE),

    # A job that overruns its time is stopped there, as far as the service can and will.
    row("deadline-cancelled", "running", TIMED_OUT, stays, held=SHORT,
        evidence={"cancel": "confirmed"}),
    row("deadline-cancelled-later", "running", TIMED_OUT, stays, held=SHORT,
        evidence={"cancel": "confirmed"}),
    row("deadline-never-stops", "running", TIMED_OUT, stays, held=SHORT,
        evidence={"cancel": "accepted"}),
    row("deadline-refused", "running", TIMED_OUT, stays, held=SHORT,
        evidence={"cancel": "refused"}),
    row("deadline-already-final", "running", COMPLETED, stays, held=SHORT),
    row("deadline-completed-meanwhile", "running", COMPLETED, stays, held=SHORT),
    row("deadline-unanswered", "running", TIMED_OUT, stays, held=SHORT,
        evidence={"cancel": "unknown"}),
    row("deadline-page", "running", TIMED_OUT, stays, held=SHORT,
        evidence={"cancel": "unknown"}),
    row("deadline-unsupported", "running", TIMED_OUT, stays, held=SHORT, service="cannot-cancel",
        evidence={"cancel": "unsupported"}),
    row("deadline-shared", "running", TIMED_OUT, stays, held=SHORT, service="shared",
        evidence={"cancel": "unsupported"}),
    row("deadline-exclusive", "running", TIMED_OUT, stays, held=SHORT, service="exclusive",
        evidence={"cancel": "confirmed"}),
    row("deadline-observed", "running", same("cancel", "deadline_passed", "in_progress"), stays,
        held=SHORT, service="observed"),
    row("deadline-retried", "running", same(*requeued("deadline_passed")), stays, held=SHORT,
        service="retries"),
    row("deadline-late-completion", "running", TIMED_OUT, stays, held=SHORT,
        then=(completed, same("complete", "late_completion", "completed"))),

    # A completion that comes after the requeue wins.
    row("late-completion", None, same(*requeued("service_not_found")),
        then=(completed, same("complete", "late_completion", "completed"))),

    # An operator's word.
    row("operator-cancels", "running", same("fail", "operator", "failed"), ordered("cancel"),
        evidence={"cancel": "confirmed"}),
    row("operator-resumes-parked", "thinking", same(*parked("service_inconclusive")),
        service="parks", then=(lambda stage, row: finds(stage, row, "completed"),
                               COMPLETED)),
]


def finds(stage, row, state):
    """The service knows it after all, and an operator lets the job go on."""
    stage.services[row.service].states[f"of-{row.name}"] = state
    ordered("resume")(stage, row)


# Where the service agrees and goes on running the job, it is asked again.
REPEATED = {"deadline-cancelled-later", "deadline-never-stops"}


def check_cancels(stage):
    """Each is asked for where it may be, and nowhere else; once, unless it shows no effect."""
    asked = [path.split("/")[2].removeprefix("of-") for service in stage.services.values()
             for method, path, _, _ in service.requests if method == "POST"]
    none = {"waited-till-the-deadline"} if stage.preset == "seed" else set()
    check_equal(set(cancels) - none, set(asked), stage.preset, "cancels")
    check(len(asked) - len(set(asked)) == sum(asked.count(job) - 1 for job in REPEATED),
          stage.preset, "cancels asked for more than once:", asked)


def test_safe_decides_each_situation_with_a_service_as_the_table_says():
    play("safe", ROWS, check_cancels, services=services, policy=POLICY)


def test_seed_decides_each_situation_with_a_service_as_the_table_says():
    play("seed", ROWS, check_cancels, services=services, policy=POLICY)


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
