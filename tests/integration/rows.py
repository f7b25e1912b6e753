# SPDX-License-Identifier: MIT
"""One row of the policy's tables: a situation, brought about on real servers, and what becomes of the
job under each preset. Many of them live side by side in one Salvor."""
import json

from harness import Place, Redis, Salvor, check, check_equal, claim, prove, submit, wait_until

PRESETS = ("safe", "seed")
# The presets as they are, but for waits that a test would only sit through.
QUICK = {"safe": {"backoff_ms": 40, "ask_backoff_ms": 40}, "seed": {}}


class Row:
    """`safe` and `seed` are (action, reason, status in the queue) of the job's last decision, or
    None: nothing at all is decided. `held` goes into job.claimed, `handed` into job.handed_off.
    `service` is the name of the one that has the job, `says` what it says. `went` tells what
    happened; it is given the stage and the job."""

    def __init__(self, name, safe, seed, went, held=None, service=None, says=None, handed=None,
                 start=True, evidence=None, then=None):
        self.name = name
        self.wanted = {"safe": safe, "seed": seed}
        self.went = went
        self.held = held or {}
        self.service = service
        self.says = says
        self.handed = handed or {}
        self.start = start              # false: the worker claims the job and never starts it
        self.evidence = evidence or {}  # what the last decision's must hold, by preset or for both
        self.then = then                # what happens once that is decided, and is decided again

    @property
    def worker(self):
        return f"w-{self.name}"


def same(action, reason, status):
    """What both presets decide."""
    return {"safe": (action, reason, status), "seed": (action, reason, status)}


class Stage:
    """A Redis, a Salvor under one preset, and the services of the rows."""

    def __init__(self, preset, rows, services=None, policy=None):
        self.preset = preset
        self.rows = rows
        self.services_of = services or (lambda place: {})
        self.policy = policy or {}

    def __enter__(self):
        self.place = Place()
        self.place.__enter__()
        try:
            self.redis = Redis(self.place)
            self.services = self.services_of(self.place)
            configured = {name: part for service in self.services.values()
                          for name, part in service.config.items()}
            self.salvor = Salvor(self.place, self.redis, {
                "policy": {"preset": self.preset, **QUICK[self.preset], **self.policy},
                "queue": {"failures": "salvor"}, "services": configured})
            self.salvor.wait_log("in_charge")
        except BaseException as error:
            self.place.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                check_equal(0, self.salvor.stop())
                self.redis.stop()
                prove(self.salvor)
        except BaseException as error:
            self.place.__exit__(type(error), error, None)
            raise
        return self.place.__exit__(kind, value, trace)

    # --- what happens in the rows ---

    def hold(self, row, attempt=1):
        if attempt == 1:
            submit(self.redis, row.name)
        claim(self.redis, row.name, row.worker, attempt, row.start, **row.held)
        if row.service is not None:
            if row.service in self.services and row.says is not None:
                self.services[row.service].states[f"of-{row.name}"] = row.says
            self.redis.xadd("job.handed_off", job=row.name, worker=row.worker, attempt=attempt,
                            service=row.service, service_job=f"of-{row.name}", **row.handed)

    def wait_ticks(self, count=3):
        def ticks():
            return sum(fields["type"] == "tick" for _, fields in self.redis.entries())
        least = ticks() + count
        wait_until(lambda: ticks() >= least, "the clock goes on")

    def last(self, job):
        rows = [row for row in self.salvor.decisions(job)
                if row["action"] not in ("release", "ignore")]
        return rows[-1] if rows else None

    def status(self, job):
        return self.redis.hash(f"job:{job}").get("status")

    def is_as_wanted(self, job, wanted):
        last = self.last(job)
        return last is not None and (last["action"], last["reason"], self.status(job)) == wanted

    def wait_wanted(self, job, wanted):
        wait_until(lambda: self.is_as_wanted(job, wanted), lambda: (
            f"{self.preset}: {job} comes to {wanted}, not to {self.status(job)} by " + "; ".join(
                f"{row['action']} {row['reason']} {row['evidence']}"
                for row in self.salvor.decisions(job))))

    def check_row(self, row):
        wanted = row.wanted[self.preset]
        if wanted is None:
            return
        self.wait_wanted(row.name, wanted)
        told = json.loads(self.last(row.name)["evidence"])
        for key, value in row.evidence.get(self.preset, row.evidence).items():
            if key in PRESETS:
                continue
            given = told.get(key, told.get("measures", {}).get(key))
            check_equal(value, given, self.preset, row.name, key, told)


def play(preset, rows, check_stage=None, **options):
    """Brings all of the rows about, at once, and waits for what each must come to; at last,
    `check_stage` is given the stage."""
    names = [row.name for row in rows]
    check_equal(len(names), len(set(names)), "each row has a name of its own")
    with Stage(preset, rows, **options) as stage:
        for row in rows:
            stage.hold(row)
        stage.wait_ticks()
        for row in rows:
            row.went(stage, row)
        for row in rows:
            stage.check_row(row)
        for row in rows:
            if row.then is not None:
                happens, wanted = row.then
                happens(stage, row)
                stage.wait_wanted(row.name, wanted[preset])
        stage.salvor.wait_folded(stage.redis)
        for row in rows:
            wanted = row.then[1][preset] if row.then is not None else row.wanted[preset]
            if wanted is None:
                check_equal(None, stage.last(row.name), preset, row.name)
            else:
                check(stage.is_as_wanted(row.name, wanted), preset, row.name, "stays so")
        pending = {row.name for row in rows if stage.status(row.name) == "pending"}
        check_equal(pending, set(stage.redis.pending()), preset, "waits in the queue")
        completed = {row.name for row in rows if stage.status(row.name) == "completed"}
        check_equal(completed, set(stage.redis.hash("jobs:completed")), preset, "is completed")
        if check_stage is not None:
            check_stage(stage)


# --- what can happen to a row's worker or job ---

def lost(stage, row):
    stage.redis.xadd("worker.lost", worker=row.worker)


def stopped(stage, row):
    stage.redis.xadd("worker.stopped", worker=row.worker)


def restarted(stage, row):
    stage.redis.xadd("worker.registered", worker=row.worker, incarnation=2)


def silent(stage, row):
    """Tells a short heartbeat, and is heard no more."""
    stage.redis.xadd("worker.registered", worker=row.worker, heartbeat_ms=40)


def stays(stage, row):
    """Its worker lives on."""
    stage.redis.xadd("worker.registered", worker=row.worker, heartbeat_ms=60000)


def failed(stage, row, **fields):
    stage.redis.xadd("job.failed", job=row.name, worker=row.worker, attempt=1, error="no", **fields)


def completed(stage, row):
    stage.redis.xadd("job.completed", job=row.name, worker=row.worker, attempt=1, result="here")


def ordered(command):
    def order(stage, row):
        stage.redis.xadd(f"operator.{command}", who="ada", why="a test", job=row.name)
    return order
