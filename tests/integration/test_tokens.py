#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tokens of outside services: read anew for each request, refused when they could break out of their
header, never information about a job, and never kept anywhere."""
import ctypes
import os
import sqlite3

from harness import Place, Redis, Salvor, check, check_equal, main, wait_until
from services import Service, reply
from test_service_faults import finish, hand_off

PROFILE = """\
profile: {name}
volatile: {volatile}
headers:
  Authorization: "Bearer {token}"
status:
  - request: GET /jobs/{id}
    rules:
      - '200 & /id = "{id}" & /state = "completed" => completed'
      - '200 & /id = "{id}" & /state = "running" => running'
result: /result
word: /state
"""
MARK = b"s3cr3t"  # in every token
FIRST, SECOND, OTHER = "first-s3cr3t", "second-s3cr3t", "other-s3cr3t"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Guarded(Service):
    """Says that a job is completed to whoever knows the token that it wants; to others `refusal`,
    and the same of the job."""

    def __init__(self, place, name, wanted, refusal=401, **settings):
        super().__init__(place, name, profile=PROFILE, **settings)
        self.wanted = wanted
        self.refusal = refusal
        self.accepted = [wanted]

    @property
    def tokens(self):
        return [headers.get("Authorization", "") for _, _, headers, _ in self.requests]

    def answer(self, handler, job):
        given = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        state = "completed" if given == self.wanted else "running"
        status = 200 if given in self.accepted else self.refusal
        reply(handler, status, {"id": job, "state": "completed" if status != 200 else state,
                                "result": "here"})


def write(path, text):
    """In one step, as whoever rotates tokens should."""
    with open(path + ".next", "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.rename(path + ".next", path)


def unpacked(data):
    """Every zstd frame in these bytes, decompressed."""
    library = ctypes.CDLL("libzstd.so.1")
    for name in ("ZSTD_getFrameContentSize", "ZSTD_decompress", "ZSTD_findFrameCompressedSize"):
        getattr(library, name).restype = ctypes.c_size_t
    place = data.find(ZSTD_MAGIC)
    while place >= 0:
        rest = data[place:]
        packed = library.ZSTD_findFrameCompressedSize(rest, ctypes.c_size_t(len(rest)))
        size = library.ZSTD_getFrameContentSize(rest, ctypes.c_size_t(len(rest)))
        if packed <= len(rest) and size < 1 << 28:
            room = ctypes.create_string_buffer(size or 1)
            done = library.ZSTD_decompress(room, ctypes.c_size_t(size), rest,
                                           ctypes.c_size_t(packed))
            if done == size:
                yield room.raw
        place = data.find(ZSTD_MAGIC, place + 1)


def all_that_is_kept(salvor, redis):
    """By where it is kept: all bytes of it."""
    kept = {"log": "\n".join(salvor.lines).encode(),
            "redis": b"".join(redis.dump().values())}
    captures = b""
    for folder, _, names in os.walk(salvor.data):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            kept[name] = data
            if "capture" in folder:
                captures += b"".join(unpacked(data))
    kept["captures"] = captures
    rows = b""
    with sqlite3.connect(f"file:{salvor.audit}?mode=ro", uri=True) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    rows += data + b"\n" + b"".join(unpacked(data))
    kept["audit"] = rows
    return kept


def settings(*services):
    return {"policy": {"ask_backoff_ms": 10, "backoff_max_ms": 50, "ask_limit": 2,
                       "on_unreachable": "park",
                       "services": {"late": {"ask_limit": 1000}}},
            "services": {name: part for service in services
                         for name, part in service.config.items()}}


def answers(redis, job):
    return [(fields["verdict"], fields.get("word")) for _, fields in redis.entries()
            if fields["type"] == "service.answered" and fields["job"] == job]


def test_tokens_are_read_anew_refused_when_bad_and_kept_nowhere():
    with Place() as place:
        redis = Redis(place, "--rdbcompression", "no")
        files = {name: os.path.join(place.folder, name + ".token")
                 for name in ("rotating", "late", "missing", "empty", "broken", "wrong",
                              "forbidden")}
        for name, path in files.items():
            write(path, FIRST + "\n" if name == "rotating" else OTHER)
        services = {name: Guarded(place, name, SECOND, token=f"file:{path}")
                    for name, path in files.items()}
        services["forbidden"].refusal = 403
        services["rotating"].accepted.append(FIRST)
        services["by-environment"] = Guarded(place, "by-environment", SECOND,
                                             token="env:RENDER_TOKEN")
        salvor = Salvor(place, redis, settings(*services.values()),
                        environment={"RENDER_TOKEN": SECOND})
        salvor.wait_log("in_charge")
        # Since the start some are gone, or spoiled.
        os.unlink(files["late"])
        os.unlink(files["missing"])
        write(files["empty"], "")
        write(files["broken"], OTHER + "\r\nX-Injected: yes")
        for name, service in services.items():
            hand_off(redis, name, service)
        held = {name: redis.hash(f"job:{name}") for name in services}
        redis.xadd("worker.lost", worker="w1")

        # One token works and is replaced between two questions; one is not there at first.
        wait_until(lambda: len(services["rotating"].tokens) > 1, "asked twice with one token")
        check_equal({f"Bearer {FIRST}"}, set(services["rotating"].tokens))
        check_equal("in_progress", redis.hash("job:rotating")["status"])
        write(files["rotating"], SECOND)
        wait_until(lambda: answers(redis, "late"), "the token that is not there is missed")
        check_equal([], services["late"].asked)
        write(files["late"], SECOND)
        for name in ("rotating", "late", "by-environment"):
            wait_until(lambda: redis.hash(f"job:{name}")["status"] == "completed",
                       lambda: f"{name} is completed, not {answers(redis, name)}")
        check_equal(f"Bearer {SECOND}", services["rotating"].tokens[-1])
        check_equal([f"Bearer {SECOND}"], services["late"].tokens)
        check_equal([f"Bearer {SECOND}"], services["by-environment"].tokens)

        # What can not be sent is not, and a refusal is nothing about the job.
        for name, word in (("missing", "no_token"), ("empty", "no_token"), ("broken", "bad_token"),
                           ("wrong", "auth"), ("forbidden", "auth")):
            salvor.wait_decision(name, action="park", reason="service_inconclusive")
            check_equal([("inconclusive", word)] * 2, answers(redis, name), name)
            check_equal(held[name], redis.hash(f"job:{name}"), name)
        for name in ("missing", "empty", "broken"):
            check_equal(0, services[name].connections, name)
        for name in ("wrong", "forbidden"):
            check_equal([f"Bearer {OTHER}"] * 2, services[name].tokens, name)
        check_equal({"rotating", "late", "by-environment"}, set(redis.hash("jobs:completed")))
        check_equal([], redis.pending())

        salvor.wait_folded(redis)
        check_equal(0, salvor.stop())
        kept = all_that_is_kept(salvor, redis)
        for where in ("log", "redis", "captures", "audit"):
            check(b"by-environment" in kept[where], "the search sees what is in the", where)
        for where, data in kept.items():
            check(MARK not in data, "a token is in", where)
            check(b"X-Injected" not in data, "what stood beside a token is in", where)
        finish(redis, salvor, *services.values())


def test_a_start_without_a_token_names_every_one_that_is_bad_and_shows_none():
    with Place() as place:
        paths = {name: os.path.join(place.folder, name + ".token")
                 for name in ("missing", "empty", "broken", "fine")}
        write(paths["empty"], "")
        write(paths["broken"], OTHER + "\r\nX-Injected: yes")
        write(paths["fine"], FIRST)
        services = {name: Guarded(place, name, SECOND, token=f"file:{path}")
                    for name, path in paths.items()}
        salvor = Salvor(place, None, settings(*services.values()))
        check_equal(2, salvor.wait_end())
        told = "\n".join(salvor.lines)
        for name in ("missing", "empty", "broken"):
            check(f"services.{name}.token: " in told, told)
        check("services.fine" not in told, told)
        check(MARK.decode() not in told and "X-Injected" not in told, told)


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
