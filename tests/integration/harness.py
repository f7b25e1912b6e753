# SPDX-License-Identifier: MIT
"""Private servers and a private Salvor for the integration tests; standard library only.

A test takes a Place (a temporary folder that removes itself), starts what it needs in it, waits for
conditions with a deadline, and leaves nothing running. BUILD names the build folder.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
SALVOR = os.path.join(BUILD, "salvor")
CAPTURES = os.path.join(BUILD, "captures")
DEADLINE_S = float(os.environ.get("TEST_DEADLINE_S", "30"))
STREAM = "salvor:{0}:events"
CONTROL = "salvor:{0}:ctl"


class Failure(AssertionError):
    pass


def check(condition, *told):
    if not condition:
        raise Failure(" ".join(str(part) for part in told) or "a condition does not hold")


def check_equal(wanted, given, *told):
    check(wanted == given, *told, f"\n  wanted {wanted!r}\n  given  {given!r}")


def wait_until(condition, what, deadline_s=None):
    """The first true value of condition(); a Failure that says what was waited for."""
    end = time.monotonic() + (deadline_s or DEADLINE_S)
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited in vain for: {what() if callable(what) else what}")
        pause.wait(0.01)


class ReplyError(Exception):
    pass


class Client:
    """A RESP2 connection to a unix socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    @classmethod
    def wait_for(cls, path):
        """A connection as soon as somebody listens, whatever is answered then."""
        def connect():
            try:
                return cls(path)
            except OSError:
                return None
        return wait_until(connect, f"somebody listens at {path}")

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, *words):
        raw = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(raw) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in raw))

    def reply(self, raw=False):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise ReplyError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            if size < 0:
                return None
            data = self.file.read(size + 2)[:-2]
            return data if raw else data.decode(errors="surrogateescape")
        count = int(rest)
        return None if count < 0 else [self.reply(raw) for _ in range(count)]

    def call(self, *words, raw=False):
        self.send(*words)
        return self.reply(raw)


class Redis:
    """A private redis-server on a unix socket in the place."""

    def __init__(self, place, *arguments, name="redis", starts=True):
        self.folder = os.path.join(place.folder, name)
        os.makedirs(self.folder, exist_ok=True)
        self.path = os.path.join(place.folder, name + ".sock")
        self.url = "unix://" + self.path
        self.arguments = arguments
        self.client = None
        self.process = None
        place.servers.append(self)
        if starts:
            self.start()

    def start(self, *more, is_awaited=True):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", self.folder,
             "--save", "", "--enable-debug-command", "local", *self.arguments, *more],
            stdout=open(os.path.join(self.folder, "log"), "ab"), stderr=subprocess.STDOUT)

        if is_awaited:
            self.wait_answers()

    def wait_answers(self):
        def answers():
            try:
                client = Client(self.path)
            except OSError:
                return False
            try:
                if client.call("PING") == "PONG":
                    self.client = client
                    return True
            except (ReplyError, OSError):
                client.close()
            return False

        wait_until(answers, "redis-server answers PING")

    def call(self, *words, raw=False):
        return self.client.call(*words, raw=raw)

    def xadd(self, type, stream=STREAM, **fields):
        words = [part for name, value in fields.items() for part in (name, value)]
        return self.call("XADD", stream, "*", "type", type, *words)

    def hash(self, key):
        flat = self.call("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def pending(self):
        return self.call("ZRANGE", "jobs:pending", 0, -1)

    def dump(self, but=None):
        """All keys, their contents serialized; without those that begin with `but`."""
        return {key: self.call("DUMP", key, raw=True) for key in sorted(self.call("KEYS", "*"))
                if but is None or not key.startswith(but)}

    def entries(self, stream=STREAM):
        return [(id, dict(zip(flat[::2], flat[1::2])))
                for id, flat in self.call("XRANGE", stream, "-", "+")]

    def kill(self):
        self._end(signal.SIGKILL)

    def stop(self):
        self._end(signal.SIGTERM)

    def _end(self, number):
        if self.client is not None:
            self.client.close()
            self.client = None
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(DEADLINE_S)
            self.process = None


def parse_logfmt(line):
    return {key: value[1:-1] if value.startswith('"') else value
            for key, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)}


class Salvor:
    """`salvor run` in the place; its log is read by a thread."""

    def __init__(self, place, redis, config=None, environment=None, arguments=(), wrapper=(),
                 program=None, data=None):
        self.data = data or os.path.join(place.folder, "data")
        self.config = os.path.join(place.folder, "salvor.yaml")
        sections = {"salvor": {"data": self.data, "tick_ms": 50, "lease_ms": 2000},
                    "redis": {"url": redis.url if redis else place.missing_url()}}
        for name, section in (config or {}).items():
            sections.setdefault(name, {}).update(section)
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump(sections, file)  # JSON is YAML
        self.command = [*wrapper, program or SALVOR, "run", "-c", self.config, *arguments]
        self.environment = {**os.environ, **(environment or {})}
        self.lines = []
        self.process = None
        place.servers.append(self)
        self.start()

    def start(self, environment=None):
        self.lines = []
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, text=True,
                                        errors="replace",
                                        env={**self.environment, **(environment or {})})
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,),
                                       daemon=True)
        self.reader.start()

    def _read(self, pipe):
        for line in pipe:
            self.lines.append(line.rstrip("\n"))
        pipe.close()

    def log(self, event):
        return [parse_logfmt(line) for line in list(self.lines)
                if re.search(rf"\bevent={event}\b", line)]

    def wait_log(self, event, deadline_s=None, **fields):
        def found():
            is_over = not self.reader.is_alive()  # asked first: what it read last counts too
            facts = [fact for fact in self.log(event)
                     if all(fact.get(key) == str(value) for key, value in fields.items())]
            check(facts or not is_over, f"salvor has ended without event={event} {fields}:\n" +
                  "\n".join(self.lines[-20:]))
            return facts
        return wait_until(found, lambda: f"log event={event} {fields} in:\n" +
                          "\n".join(self.lines[-20:]), deadline_s)[0]

    def wait_end(self, deadline_s=None):
        """The exit code; negative for a signal."""
        code = self.process.wait(deadline_s or DEADLINE_S)
        self.reader.join(DEADLINE_S)
        return code

    def stop(self):
        """A clean stop; its exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        return self.wait_end()

    @property
    def audit(self):
        return os.path.join(self.data, "audit-0.db")

    @property
    def capture(self):
        return os.path.join(self.data, "capture-0")

    def query(self, sql, *values):
        """Rows as dictionaries; none while the file is not there yet."""
        if not os.path.exists(self.audit):
            return []
        with contextlib.closing(sqlite3.connect(f"file:{self.audit}?mode=ro", uri=True,
                                                timeout=5)) as database:
            database.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in database.execute(sql, values)]
            except sqlite3.OperationalError as error:
                if "no such table" in str(error) or "locked" in str(error):
                    return []
                raise

    def decisions(self, job=None, **columns):
        rows = self.query("SELECT * FROM decision WHERE superseded_by IS NULL ORDER BY seq")
        wanted = {**({"job": job} if job else {}), **columns}
        return [row for row in rows if all(row[key] == value for key, value in wanted.items())]

    def wait_decision(self, job=None, deadline_s=None, **columns):
        return wait_until(lambda: self.decisions(job, **columns),
                          lambda: f"a decision {job} {columns} among "
                                  f"{[(d['job'], d['action'], d['reason']) for d in self.decisions()]}"
                                  f"\nlog:\n" + "\n".join(self.lines[-15:]),
                          deadline_s)[0]

    def wait_folded(self, redis, deadline_s=None):
        """Until every entry that is in the stream now is folded and committed."""
        last = redis.call("XREVRANGE", STREAM, "+", "-", "COUNT", 1)[0][0]

        def reached():
            rows = self.query("SELECT stream_id FROM position")
            return rows and key_of(rows[0]["stream_id"]) >= key_of(last)
        wait_until(reached, f"position reaches {last}", deadline_s)


def key_of(stream_id):
    return tuple(int(part) for part in stream_id.split("-"))


def run(*command, environment=None, only=None, code=0, deadline_s=120, **options):
    """Runs a command to its end; its output. A Failure when the exit code is another. `only` is the
    whole environment, `environment` comes on top."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                          timeout=deadline_s,
                          env={**(os.environ if only is None else only), **(environment or {})},
                          **options)
    if code is not None and done.returncode != code:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}, wanted {code}\n"
                      f"{done.stdout}{done.stderr}")
    return done


class Place:
    """A temporary folder and the servers in it; leaving it ends and removes them all."""

    def __init__(self, keeps=True):
        """`keeps` false: what was captured here is damaged on purpose."""
        self.keeps = keeps
        self.folder = tempfile.mkdtemp(prefix="salvor-test-")
        self.servers = []

    def missing_url(self):
        return "unix://" + os.path.join(self.folder, "nobody.sock")

    def keep_captures(self):
        """What was captured is replayed once more by the test of determinism."""
        test = os.path.splitext(os.path.basename(sys.argv[0]))[0]
        for data in sorted({server.data for server in self.servers
                            if isinstance(server, Salvor)}):
            if self.keeps and os.path.exists(os.path.join(data, "audit-0.db")):
                os.makedirs(CAPTURES, exist_ok=True)
                kept = tempfile.mkdtemp(prefix=f"{test}-", dir=CAPTURES)
                shutil.copytree(data, kept, dirs_exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            for server in self.servers:
                if isinstance(server, Salvor):
                    print("--- the log of salvor run, its end:")
                    print("\n".join(server.lines[-40:]))
        for server in reversed(self.servers):
            try:
                if isinstance(server, Salvor):
                    if server.process is not None:
                        server.kill()
                else:
                    server.kill()
            except Exception:  # the next one must still be ended
                traceback.print_exc()
        if kind is None:
            self.keep_captures()
        shutil.rmtree(self.folder, ignore_errors=True)


def prove(salvor):
    """A fresh fold of the capture, without Redis or any service, gives this audit, and its chain
    holds. Returns what the replay said: a dictionary of its figures."""
    done = run(SALVOR, "replay", salvor.capture, "--audit", salvor.audit)
    figures = parse_logfmt(done.stdout)
    agrees = re.search(r"^the audit agrees: decisions=(\d+) ", done.stdout, re.M)
    check(agrees, "the replay compared nothing:", done.stdout)
    check_equal(len(salvor.query("SELECT seq FROM decision WHERE superseded_by IS NULL"
                                 " AND action <> 'prune'")),
                int(agrees[1]), "rows that a replay gives again", done.stdout)
    if salvor.process.returncode == 0:  # a clean stop leaves one
        check(int(figures["state_hashes"]) > 0, "no state hash was compared", done.stdout)
    check_equal(salvor.query("SELECT ordinal FROM position")[0]["ordinal"],
                int(figures["ordinal"]), done.stdout)
    run(SALVOR, "audit", "verify", salvor.audit)
    return figures


def check_ordinals(redis, salvor):
    """Once Salvor is stopped: it has counted just what the stream has, but what still waits."""
    info = redis.call("XINFO", "STREAM", STREAM)
    position = salvor.query("SELECT ordinal, stream_id FROM position")[0]
    waiting = redis.call("XRANGE", STREAM, "(" + position["stream_id"], "+")
    check_equal(info[info.index("entries-added") + 1], position["ordinal"] + len(waiting),
                "entries added, and folded or waiting")


@contextlib.contextmanager
def rescue(config=None, redis_arguments=(), **options):
    """A Redis and a Salvor that leads; at the end a clean stop and the proof by replay."""
    with Place() as place:
        redis = Redis(place, *redis_arguments)
        salvor = Salvor(place, redis, config(place) if callable(config) else config, **options)
        salvor.wait_log("in_charge")
        yield place, redis, salvor
        check_equal(0, salvor.stop(), "the stop's exit code")
        redis.stop()
        prove(salvor)


AUDIT_TABLES = ("decision", "effect", "policy", "leadership", "quarantine", "position")


def audit_content(path):
    """What a fold determines of an audit, row by row, and the hash of the state at its end."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        content = {table: database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
                   for table in AUDIT_TABLES}
        content["state_hash"] = database.execute(
            "SELECT s.ordinal, s.sha256 FROM snapshot AS s JOIN position AS p USING (ordinal)"
        ).fetchall()
    check_equal(1, len(content["state_hash"]), "a clean stop leaves a snapshot at the position")
    return content


# What a leader may append after the last entry it folded before a clean stop.
LEADERS_LAST_WORDS = {"tick", "effect.settled", "service.answered", "service.probed"}


def fresh_fold_agrees(place, redis, salvor):
    """After a clean stop: the stream, folded from its first entry by a program that never stopped,
    gives the same rows, chain of hashes included, and the same state."""
    wanted = os.path.join(place.folder, "fresh")
    ordinal = salvor.query("SELECT ordinal FROM position")[0]["ordinal"]
    run(os.path.join(BUILD, "tests/tools/fold_stream"), redis.url, STREAM, str(ordinal), wanted)
    left = [fields["type"] for _, fields in redis.entries()[ordinal:]]
    check(set(left) <= LEADERS_LAST_WORDS, "nothing but our own words is unread:", left)
    fresh, ours = (audit_content(os.path.join(data, "audit-0.db"))
                   for data in (wanted, salvor.data))
    for name, rows in fresh.items():
        for row, pair in enumerate(zip(rows, ours[name])):
            check_equal(*pair, name, row)
        check_equal(len(rows), len(ours[name]), "rows of", name)


def submit(redis, job, **fields):
    """A job in the queue of the emprops layout, waiting."""
    told = {"id": job, "status": "pending", "priority": 50, "retry_count": 0, "max_retries": 3,
            "created_at": "2026-01-01T00:00:00.000Z", "worker_id": "", "service_required": "none"}
    told.update(fields)
    redis.call("HSET", f"job:{job}", *[part for pair in told.items() for part in pair])
    redis.call("ZADD", "jobs:pending", 50, job)


def claim(redis, job, worker, attempt=1, start=True, event=True, **fields):
    """What a worker does in the queue and tells in the stream when it takes a job."""
    redis.call("ZREM", "jobs:pending", job)
    redis.call("HSET", f"job:{job}", "id", job, "status", "in_progress" if start else "assigned",
               "worker_id", worker, "retry_count", attempt - 1, "assigned_at", f"c{attempt}",
               "priority", 50, "created_at", "2026-01-01T00:00:00.000Z")
    redis.call("HSET", f"jobs:active:{worker}", job, "{}")
    redis.call("HSET", f"worker:{worker}", "status", "busy", "current_job_id", job)
    if event:
        redis.xadd("job.claimed", job=job, worker=worker, attempt=attempt, claim=f"c{attempt}",
                   **fields)
        if start:
            redis.xadd("job.started", job=job, worker=worker, attempt=attempt)


def main(*tests):
    """Runs the tests (or those named on the command line); the exit code is the number failed."""
    wanted = sys.argv[1:]
    failed = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        began = time.monotonic()
        try:
            test()
            print(f"ok    {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL  {test.__name__}", flush=True)
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)
